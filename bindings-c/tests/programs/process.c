/* Effects of the library on its process: threads, signals, forks. */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "store.h"

static struct store *filled(void)
{
    struct store *store = store_new();
    store_put_string(store, "db", "v1", "{\"username\":\"app\"}");
    store_label(store, "db", "AWSCURRENT", "v1");
    return store;
}

static void read_line(const char *directory, const char *task, const char *file, const char *field, char *line,
                      size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", directory, task, file);
    FILE *stream = fopen(path, "r");
    CHECK(stream != NULL);
    line[0] = '\0';
    while (fgets(line, (int)size, stream) && strncmp(line, field, strlen(field)) != 0) {
    }
    fclose(stream);
}

/* Calls `look` with each thread of this process except the first. Returns how many there are. */
static int each_thread(void (*look)(const char *task, const char *name))
{
    const char *directory = "/proc/self/task";
    char own[32];
    snprintf(own, sizeof own, "%d", (int)getpid());
    DIR *tasks = opendir(directory);
    CHECK(tasks != NULL);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, own) != 0) {
            char name[64];
            read_line(directory, entry->d_name, "comm", "", name, sizeof name);
            name[strcspn(name, "\n")] = '\0';
            look(entry->d_name, name);
            count++;
        }
    }
    closedir(tasks);
    return count;
}

static cpu_set_t chosen_cores;

static void look_at_thread(const char *task, const char *name)
{
    CHECK(strcmp(name, "secretcache") == 0 || strcmp(name, "secretcache-eve") == 0);
    char line[256];
    read_line("/proc/self/task", task, "status", "SigBlk:", line, sizeof line);
    unsigned long long blocked = strtoull(line + strlen("SigBlk:"), NULL, 16);
    for (int signal = 1; signal < 32; signal++) {
        /* These two cannot be blocked. */
        CHECK(signal == SIGKILL || signal == SIGSTOP || (blocked & (1ULL << (signal - 1))));
    }
    cpu_set_t cores;
    CHECK(sched_getaffinity((pid_t)atoi(task), sizeof cores, &cores) == 0);
    CHECK(CPU_EQUAL(&cores, &chosen_cores));
    CHECK(sched_getscheduler((pid_t)atoi(task)) == SCHED_BATCH);
}

static void on_done(void *user_data, const secretcache_value *value, const secretcache_error *error)
{
    (void)error;
    CHECK(value != NULL);
    pthread_mutex_unlock(user_data);
}

static void threads_are_ours_alone(void)
{
    struct sigaction before[NSIG], after;
    for (int signal = 1; signal < NSIG; signal++) {
        memset(&before[signal], 0, sizeof before[signal]);
        sigaction(signal, NULL, &before[signal]);
    }
    cpu_set_t all_cores;
    CHECK(sched_getaffinity(0, sizeof all_cores, &all_cores) == 0);
    /* CPU affinity and scheduling (taskset, chrt) apply to the library's threads too. */
    CPU_ZERO(&chosen_cores);
    for (int core = 0; core < CPU_SETSIZE && !CPU_COUNT(&chosen_cores); core++) {
        if (CPU_ISSET(core, &all_cores)) {
            CPU_SET(core, &chosen_cores);
        }
    }
    CHECK(sched_setaffinity(0, sizeof chosen_cores, &chosen_cores) == 0);
    struct sched_param priority = {0};
    CHECK(sched_setscheduler(0, SCHED_BATCH, &priority) == 0);

    OK(secretcache_set_threads(3, 2, &error));
    secretcache_cache *cache = cache_with(filled(), NULL);
    CHECK(each_thread(look_at_thread) == 0); /* No thread starts before it is needed. */
    secretcache_value *value = secretcache_value_new();
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    static pthread_mutex_t done = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&done);
    OK(secretcache_get_async(cache, SECRETCACHE_STR("db"), NULL, on_done, &done, &error));
    pthread_mutex_lock(&done);
    int threads = each_thread(look_at_thread);
    CHECK(threads >= 4 && threads <= 6); /* three workers, one for events, up to two for blocking calls */
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_set_threads(1, 1, &error));

    for (int signal = 1; signal < NSIG; signal++) {
        memset(&after, 0, sizeof after);
        sigaction(signal, NULL, &after);
        CHECK(after.sa_handler == before[signal].sa_handler && after.sa_flags == before[signal].sa_flags);
    }
    secretcache_value_free(value);
    secretcache_free(cache);
}

static void await_success(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int use_cache(secretcache_cache *cache, secretcache_value *value)
{
    secretcache_str text;
    return secretcache_get_string(cache, SECRETCACHE_STR("db"), NULL, value, &text, NULL) == SECRETCACHE_OK &&
           is(text, "{\"username\":\"app\"}");
}

/* Forks after the library has run, and forks the child again. */
static void forked_children_start_afresh(void)
{
    struct store *store = filled();
    secretcache_cache *cache = cache_with(store, NULL);
    secretcache_value *value = secretcache_value_new();
    for (int read = 0; read < 3; read++) { /* A reused value remembers what it read. */
        CHECK(use_cache(cache, value));
    }
    /* Waits until the source has released the store's lock, which the child would inherit. */
    CHECK(store_calls(store) == 1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* A filled value stays readable; a new read sends a new request. */
        CHECK(is(secretcache_value_version_id(value), "v1"));
        FAILS(SECRETCACHE_NOT_CACHED, secretcache_peek(cache, SECRETCACHE_STR("db"), NULL, value, &error));
        for (int read = 0; read < 100; read++) {
            CHECK(use_cache(cache, value));
        }
        CHECK(store_calls(store) == 2);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            _exit(use_cache(cache, value) ? 0 : 1);
        }
        await_success(grandchild);
        secretcache_value_free(value);
        secretcache_free(cache);
        secretcache_shutdown(5000);
        _exit(0);
    }
    await_success(child);
    CHECK(use_cache(cache, value));
    CHECK(store_calls(store) == 1);
    secretcache_value_free(value);
    secretcache_free(cache);
}

struct busy {
    secretcache_cache *cache;
    int is_over;
};

static void *keep_busy(void *argument)
{
    struct busy *busy = argument;
    secretcache_value *value = secretcache_value_new();
    while (!__atomic_load_n(&busy->is_over, __ATOMIC_ACQUIRE)) {
        OK(secretcache_invalidate(busy->cache, SECRETCACHE_STR("db"), &error));
        CHECK(use_cache(busy->cache, value));
    }
    secretcache_value_free(value);
    return NULL;
}

/* Forks while other threads are in the middle of calls. */
static void forks_at_any_moment(void)
{
    struct store *store = filled();
    struct busy busy = {cache_with(store, NULL), 0};
    pthread_t threads[3];
    for (int number = 0; number < 3; number++) {
        CHECK(pthread_create(&threads[number], NULL, keep_busy, &busy) == 0);
    }
    secretcache_value *inherited = secretcache_value_new();
    /* Forks are slow under a checker. */
    int rounds = getenv("FORKS") ? atoi(getenv("FORKS")) : 40;
    for (int round = 0; round < rounds; round++) {
        CHECK(use_cache(busy.cache, inherited));
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60); /* A child that hangs is killed, so the test fails. */
            /* The inherited store's lock may be held forever, so the child creates its own source. */
            secretcache_cache *own = cache_with(filled(), NULL);
            secretcache_value *value = secretcache_value_new();
            CHECK(use_cache(own, value));
            /* At the fork, another thread may have been removing the version that this value holds from the cache. */
            CHECK(is(secretcache_value_version_id(inherited), "v1"));
            for (int read = 0; read < 100; read++) {
                CHECK(use_cache(own, inherited));
            }
            secretcache_value_free(inherited);
            secretcache_stats *stats = NULL;
            OK(secretcache_stats_new(busy.cache, &stats, &error));
            OK(secretcache_invalidate(busy.cache, SECRETCACHE_STR("db"), &error));
            secretcache_close(busy.cache);
            _exit(0);
        }
        await_success(child);
    }
    __atomic_store_n(&busy.is_over, 1, __ATOMIC_RELEASE);
    for (int number = 0; number < 3; number++) {
        pthread_join(threads[number], NULL);
    }
    secretcache_value_free(inherited);
    secretcache_free(busy.cache);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"threads_are_ours_alone", threads_are_ours_alone},
        {"forked_children_start_afresh", forked_children_start_afresh},
        {"forks_at_any_moment", forks_at_any_moment},
        {NULL, NULL},
    };
    return run_tests(tests, argc, argv);
}
