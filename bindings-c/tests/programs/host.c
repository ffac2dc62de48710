/* The library in its host program: daemons, child processes, resource limits, and secrets left in memory. Needs an
 * endpoint, because it tests the library's own transport. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "store.h"

static secretcache_result get(const secretcache_cache *cache, secretcache_value *value, secretcache_error **error)
{
    return secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, error);
}

static secretcache_cache *cache_of_environment(void)
{
    secretcache_cache *cache = NULL;
    OK(secretcache_new(NULL, &cache, &error));
    return cache;
}

static void await_success(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

enum { NUMBERS = 64 };

/* Opens a socket with an unread byte under each free descriptor number up to NUMBERS. Returns how many. */
static int take_numbers(int *sockets)
{
    int count = 0;
    for (;;) {
        int pair[2];
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        for (int side = 0; side < 2; side++) {
            CHECK(write(pair[1 - side], "x", 1) == 1);
            CHECK(fcntl(pair[side], F_SETFL, O_NONBLOCK) == 0);
            sockets[count++] = pair[side];
        }
        if (pair[1] >= NUMBERS) {
            return count;
        }
    }
}

/* Behaves like a daemon: reads, forks, closes the inherited descriptors, reuses their numbers, and reads again. */
static void a_daemon_reads_and_leaves_its_sockets_alone(void)
{
    secretcache_cache *cache = cache_of_environment();
    secretcache_value *value = secretcache_value_new();
    OK(get(cache, value, &error));
    for (int reused = 0; reused < 2; reused++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            for (int number = 3; number < 1024; number++) {
                close(number);
            }
            int sockets[NUMBERS * 2], count = reused ? take_numbers(sockets) : 0;
            for (int round = 0; round < 3; round++) {
                OK(secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, value, &error));
            }
            /* A signal would make tokio read its pipe. */
            signal(SIGUSR1, SIG_IGN);
            CHECK(raise(SIGUSR1) == 0);
            OK(secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, value, &error));
            secretcache_shutdown(5000);
            for (int number = 0; number < count; number++) {
                char byte = 0;
                CHECK(read(sockets[number], &byte, 1) == 1 && byte == 'x');
                CHECK(read(sockets[number], &byte, 1) == -1 && errno == EAGAIN);
            }
            _exit(0);
        }
        await_success(child);
    }
    OK(secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    secretcache_value_free(value);
    secretcache_free(cache);
}

static int reaped;

static void reap_all(int signal)
{
    (void)signal;
    int before = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        reaped++;
    }
    errno = before;
}

/* Gets credentials from a process while the host program has its own SIGCHLD handler. */
static void credentials_of(void (*handler)(int))
{
    struct sigaction action = {0}, after = {0};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART | (handler == SIG_IGN ? SA_NOCLDWAIT : 0);
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
    secretcache_cache *cache = cache_of_environment();
    secretcache_value *value = secretcache_value_new();
    OK(get(cache, value, &error));
    CHECK(sigaction(SIGCHLD, NULL, &after) == 0);
    CHECK(after.sa_handler == handler && (after.sa_flags & SA_SIGINFO) == 0);
    /* No child process is left. */
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    secretcache_value_free(value);
    secretcache_free(cache);
}

static void a_credential_process_works_where_children_are_ignored(void)
{
    credentials_of(SIG_IGN);
}

static void a_credential_process_works_where_children_are_reaped(void)
{
    credentials_of(reap_all);
}

static void a_credential_process_works_where_nobody_minds(void)
{
    credentials_of(SIG_DFL);
}

/* Held while all calls of the source hang. */
static pthread_mutex_t hang = PTHREAD_MUTEX_INITIALIZER;

static void hanging_fetch(void *user_data, secretcache_str id, const secretcache_version_selector *version,
                          secretcache_answer *answer)
{
    (void)user_data;
    (void)id;
    (void)version;
    pthread_mutex_lock(&hang);
    pthread_mutex_unlock(&hang);
    secretcache_answer_fail(answer, SECRETCACHE_TIMEOUT, SECRETCACHE_STR("late"));
}

static void *read_and_fail(void *argument)
{
    static int number;
    char id[16];
    snprintf(id, sizeof id, "s%d", __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED));
    secretcache_value *value = secretcache_value_new();
    secretcache_str name = {id, strlen(id)};
    FAILS(SECRETCACHE_TIMEOUT, secretcache_get(argument, name, NULL, value, &error));
    secretcache_value_free(value);
    return NULL;
}

/* More calls hang than the source has threads. The endpoint has a host name, and resolving it needs a thread that may
 * block. */
static void a_source_that_hangs_holds_up_itself_alone(void)
{
    enum { CALLS = 8 };
    secretcache_source source = {.size = sizeof source, .fetch = hanging_fetch};
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_source(config, &source, &error));
    OK(secretcache_config_set_timeout(config, 1500, &error));
    secretcache_cache *hanging = NULL;
    OK(secretcache_new(config, &hanging, &error));
    secretcache_config_free(config);
    pthread_mutex_lock(&hang);
    pthread_t threads[CALLS];
    for (int number = 0; number < CALLS; number++) {
        CHECK(pthread_create(&threads[number], NULL, read_and_fail, hanging) == 0);
    }
    usleep(300000); /* until they hang; if some do not yet, the test only gets easier */
    secretcache_cache *cache = cache_of_environment();
    secretcache_value *value = secretcache_value_new();
    OK(get(cache, value, &error));
    for (int number = 0; number < CALLS; number++) {
        pthread_join(threads[number], NULL);
    }
    pthread_mutex_unlock(&hang);
    secretcache_value_free(value);
    secretcache_free(cache);
    secretcache_free(hanging);
}

static int says(const secretcache_error *error, const char *word)
{
    secretcache_str message = secretcache_error_message(error);
    return memmem(message.data, message.length, word, strlen(word)) != NULL;
}

static void a_shortage_is_named(secretcache_cache *cache, const char *word)
{
    secretcache_value *value = secretcache_value_new();
    secretcache_error *error = NULL;
    secretcache_result result = get(cache, value, &error);
    if (result != SECRETCACHE_RESOURCE_EXHAUSTED || !says(error, word)) {
        fprintf(stderr, "%s: %s\n", secretcache_result_name(result).data, secretcache_error_message(error).data);
        exit(1);
    }
    secretcache_error_free(error);
    secretcache_value_free(value);
}

static void a_lack_of_threads_is_named(void)
{
    /* Limits do not apply to root. */
    CHECK(geteuid() != 0 || setuid(65534) == 0);
    struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
    secretcache_cache *cache = cache_of_environment();
    a_shortage_is_named(cache, "threads");
    secretcache_free(cache);
}

static void a_lack_of_descriptors_is_named_and_passes(void)
{
    secretcache_cache *cache = cache_of_environment();
    int taken[256], count = 0, number;
    struct rlimit few = {128, 128};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    while ((number = dup(0)) >= 0) {
        taken[count++] = number;
    }
    a_shortage_is_named(cache, "descriptors");
    /* Leaves some descriptors for the runtime, but none for a connection. */
    for (int some = 0; some < 3; some++) {
        close(taken[--count]);
    }
    secretcache_value *value = secretcache_value_new();
    secretcache_error *error = NULL;
    if (secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, value, &error) != SECRETCACHE_OK) {
        fprintf(stderr, "%s\n", secretcache_error_message(error).data);
        CHECK(says(error, "descriptors"));
        secretcache_error_free(error);
    }
    while (count > 0) {
        close(taken[--count]);
    }
    OK(secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    secretcache_value_free(value);
    secretcache_free(cache);
}

/* Returns how often a text occurs in this process's memory. Each byte of the argument is raised by one, so that the
 * argument itself is not found. */
static int occurrences(const char *raised)
{
    enum { WINDOW = 1 << 16 };
    static unsigned char window[WINDOW];
    size_t length = strlen(raised);
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY), found = 0;
    CHECK(maps != NULL && memory >= 0);
    char line[512];
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char mode[8];
        CHECK(sscanf(line, "%lx-%lx %7s", &start, &end, mode) == 3);
        if (mode[0] != 'r' || mode[1] != 'w') {
            continue;
        }
        for (unsigned long at = start; at < end; at += WINDOW / 2) {
            if ((unsigned char *)at < window + WINDOW && (unsigned char *)at + WINDOW > window) {
                continue;
            }
            ssize_t size = pread(memory, window, end - at < WINDOW ? end - at : WINDOW, (off_t)at);
            for (ssize_t place = 0; place + (ssize_t)length <= size && place < WINDOW / 2; place++) {
                size_t same = 0;
                while (same < length && window[place + same] + 1 == (unsigned char)raised[same]) {
                    same++;
                }
                found += same == length;
            }
        }
    }
    memset(window, 0, sizeof window);
    close(memory);
    fclose(maps);
    return found;
}

/* Returns whether the mapping of an address has a flag, such as `lo` (locked) or `dd` (left out of core dumps). */
static int has_flag(const void *address, const char *flag)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps != NULL);
    char line[1024];
    int holds = 0, found = -1;
    while (found < 0 && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            holds = start <= (unsigned long)address && (unsigned long)address < end;
        } else if (holds && strncmp(line, "VmFlags:", 8) == 0) {
            found = strstr(line, flag) != NULL;
        }
    }
    fclose(maps);
    return found;
}

static void locked_values_stay_out_of_swap_and_dumps(void)
{
    for (int lock = 0; lock < 2; lock++) {
        secretcache_config *config = secretcache_config_new();
        OK(secretcache_config_set_lock_memory(config, lock, &error));
        secretcache_cache *cache = NULL;
        OK(secretcache_new(config, &cache, &error));
        secretcache_config_free(config);
        secretcache_value *value = secretcache_value_new();
        secretcache_str text;
        OK(secretcache_get_string(cache, SECRETCACHE_STR("db"), NULL, value, &text, &error));
        CHECK(has_flag(text.data, " lo") == lock && has_flag(text.data, " dd") == lock);
        secretcache_value_free(value);
        secretcache_free(cache);
    }
}

static void memory_that_cannot_be_locked_is_an_error(void)
{
    /* Limits do not apply to root. */
    CHECK(geteuid() != 0 || setuid(65534) == 0);
    struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_lock_memory(config, 1, &error));
    secretcache_cache *cache = NULL;
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_new(config, &cache, &error));
    secretcache_config_free(config);
}

static void next_line(void)
{
    char line[16];
    CHECK(fgets(line, sizeof line, stdin) != NULL);
}

/* The endpoint's secret is {"password": OLD}, and contains NEW after the first line of standard input. */
static void nothing_is_left_in_memory(void)
{
    const char *old = getenv("OLD"), *new = getenv("NEW");
    CHECK(old != NULL && new != NULL);
    secretcache_cache *cache = cache_of_environment();
    secretcache_value *value = secretcache_value_new();
    secretcache_str text;
    for (int round = 0; round < 2; round++) {
        OK(secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, value, &error));
        OK(secretcache_get_string(cache, SECRETCACHE_STR("db"), NULL, value, &text, &error));
        OK(secretcache_get_field(cache, SECRETCACHE_STR("db"), NULL, SECRETCACHE_STR("password"), value, &text,
                                 &error));
        CHECK(occurrences(round ? new : old) > 0); /* The search works. */
        if (round == 0) {
            puts("read");
            fflush(stdout);
            next_line();
        }
    }
    secretcache_value_free(value);
    secretcache_close(cache);
    secretcache_free(cache);
    secretcache_shutdown(5000);
    printf("%d %d\n", occurrences(old), occurrences(new));
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"a_daemon_reads_and_leaves_its_sockets_alone", a_daemon_reads_and_leaves_its_sockets_alone},
        {"a_credential_process_works_where_children_are_ignored",
         a_credential_process_works_where_children_are_ignored},
        {"a_credential_process_works_where_children_are_reaped", a_credential_process_works_where_children_are_reaped},
        {"a_credential_process_works_where_nobody_minds", a_credential_process_works_where_nobody_minds},
        {"a_source_that_hangs_holds_up_itself_alone", a_source_that_hangs_holds_up_itself_alone},
        {"a_lack_of_threads_is_named", a_lack_of_threads_is_named},
        {"a_lack_of_descriptors_is_named_and_passes", a_lack_of_descriptors_is_named_and_passes},
        {"locked_values_stay_out_of_swap_and_dumps", locked_values_stay_out_of_swap_and_dumps},
        {"memory_that_cannot_be_locked_is_an_error", memory_that_cannot_be_locked_is_an_error},
        {"nothing_is_left_in_memory", nothing_is_left_in_memory},
        {NULL, NULL},
    };
    return run_tests(tests, argc, argv);
}
