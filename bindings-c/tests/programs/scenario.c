/* Executes the steps of `test_scenarios.py`: reads one line per step, with fields separated by tabs, and answers with
 * one line. Arguments are settings, NAME=NUMBER. */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "store.h"

enum { LINE = 1 << 14, FIELDS = 40, LATER = 16 };

static struct store *store;
static secretcache_cache *cache;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char events[LINE], logins[LINE], accepts[LINE];
static int resource_fails;
static struct {
    double due;
    char line[LINE];
} later[LATER];
static int later_count;

static void note(char *list, const char *line)
{
    pthread_mutex_lock(&lock);
    CHECK(strlen(list) + strlen(line) + 2 < LINE);
    strcat(strcat(list, line), "\n");
    pthread_mutex_unlock(&lock);
}

/* Returns the name of a result in scenarios: SECRETCACHE_NOT_JSON is not_json. */
static const char *kind(secretcache_result result, char *name)
{
    strcpy(name, secretcache_result_name(result).data + strlen("SECRETCACHE_"));
    for (char *letter = name; *letter; letter++) {
        *letter = *letter >= 'A' && *letter <= 'Z' ? (char)(*letter + 32) : *letter;
    }
    return name;
}

static void on_new_version(void *user_data, secretcache_str id, secretcache_str stage, secretcache_str old_version,
                           secretcache_str new_version)
{
    char line[512];
    (void)user_data, (void)stage;
    snprintf(line, sizeof line, "new_version %.*s %.*s %.*s", (int)id.length, id.data, (int)old_version.length,
             old_version.data, (int)new_version.length, new_version.data);
    note(events, line);
}

static void on_stale(void *user_data, secretcache_str id, uint64_t age_ms, const secretcache_error *error)
{
    char line[512];
    (void)user_data, (void)age_ms, (void)error;
    snprintf(line, sizeof line, "stale %.*s", (int)id.length, id.data);
    note(events, line);
}

static void on_error(void *user_data, secretcache_str id, const secretcache_error *error)
{
    char line[512], name[64];
    (void)user_data;
    snprintf(line, sizeof line, "error %.*s %s", (int)id.length, id.data, kind(secretcache_error_code(error), name));
    note(events, line);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int change(char **field, int count);

static int split(char *line, char **field)
{
    int count = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *rest = line; rest && count < FIELDS; count++) {
        field[count] = rest;
        rest = strchr(rest, '\t');
        if (rest) {
            *rest++ = '\0';
        }
    }
    return count;
}

/* Applies the changes that are due by now. */
static void catch_up(void)
{
    pthread_mutex_lock(&lock);
    for (int number = 0; number < later_count; number++) {
        if (later[number].due > 0 && later[number].due <= now()) {
            char *field[FIELDS];
            later[number].due = 0;
            CHECK(change(field, split(later[number].line, field)));
        }
    }
    pthread_mutex_unlock(&lock);
}

static size_t from_hex(char *text)
{
    size_t length = strlen(text) / 2;
    for (size_t place = 0; place < length; place++) {
        unsigned byte = 0;
        CHECK(sscanf(text + 2 * place, "%2x", &byte) == 1);
        text[place] = (char)byte;
    }
    return length;
}

/* Executes a step that changes the store or the resource. Returns whether it was such a step. */
static int change(char **field, int count)
{
    if (!strcmp(field[0], "put") && count == 5) {
        store_put(store, field[1], field[2], field[4], from_hex(field[4]), *field[3] == 'b');
    } else if (!strcmp(field[0], "label") && count == 4) {
        store_label(store, field[1], field[2], *field[3] ? field[3] : NULL);
    } else if (!strcmp(field[0], "arn") && count == 3) {
        store_set_arn(store, field[1], field[2]);
    } else if (!strcmp(field[0], "fail") && count == 4) {
        store_fail(store, field[1], field[2], field[3]);
    } else if (!strcmp(field[0], "fail_of") && count == 4) {
        store_fail_of(store, field[1], field[2], field[3]);
    } else if (!strcmp(field[0], "restore")) {
        store_fail(store, NULL, "", "");
    } else if (!strcmp(field[0], "hold") && count == 2) {
        store_hold(store, *field[1] == '1');
    } else if (!strcmp(field[0], "resource") && count == 3) {
        /* The accepted credentials, each as |USER/PASSWORD|. */
        resource_fails = *field[1] == '1';
        strcpy(accepts, field[2]);
    } else {
        return 0;
    }
    return 1;
}

static void describe(char *text, secretcache_result result, const secretcache_value *value)
{
    char name[64];
    secretcache_str string = {NULL, 0};
    secretcache_bytes bytes = {NULL, 0};
    if (result != SECRETCACHE_OK) {
        sprintf(text, "error %s", kind(result, name));
        return;
    }
    int is_binary = secretcache_value_binary(value, &bytes, NULL) == SECRETCACHE_OK;
    if (!is_binary) {
        OK(secretcache_value_string(value, &string, &error));
        bytes.data = (const uint8_t *)string.data;
        bytes.length = string.length;
    }
    text += sprintf(text, is_binary ? "b " : "s ");
    for (size_t place = 0; place < bytes.length; place++) {
        text += sprintf(text, "%02x", bytes.data[place]);
    }
}

struct read {
    char **field;
    char text[1024];
    pthread_t thread;
};

static void *read_one(void *argument)
{
    struct read *read = argument;
    secretcache_value *value = secretcache_value_new();
    secretcache_version_selector version =
        *read->field[3] ? secretcache_version_id(secretcache_str_of(read->field[3]))
                        : secretcache_stage(secretcache_str_of(*read->field[2] ? read->field[2] : NULL));
    describe(read->text, secretcache_get(cache, secretcache_str_of(read->field[1]), &version, value, NULL), value);
    secretcache_value_free(value);
    return NULL;
}

static void read_at_once(char **field)
{
    static struct read reads[256];
    int count = atoi(field[4]);
    CHECK(count <= 256);
    /* Ids are in hexadecimal, because they can contain tabs and line ends. */
    field[1][from_hex(field[1])] = '\0';
    for (int number = 0; number < count; number++) {
        reads[number].field = field;
        CHECK(pthread_create(&reads[number].thread, NULL, read_one, &reads[number]) == 0);
    }
    for (int number = 0; number < count; number++) {
        pthread_join(reads[number].thread, NULL);
        printf("%s%s", number ? "\t" : "", reads[number].text);
    }
}

static secretcache_login log_in(void *user_data, const secretcache_credential *credential)
{
    char name[256], given[512];
    catch_up();
    secretcache_str stage = secretcache_credential_version_stage(credential);
    secretcache_str version = secretcache_credential_version_id(credential);
    snprintf(user_data, 256, "%.*s %.*s", (int)stage.length, stage.data, (int)version.length, version.data);
    snprintf(given, sizeof given, "|%s/%s|", secretcache_credential_username(credential).data,
             secretcache_credential_password(credential).data);
    pthread_mutex_lock(&lock);
    int fails = resource_fails, takes = strstr(accepts, given) != NULL;
    pthread_mutex_unlock(&lock);
    snprintf(name, sizeof name, "%.200s %s", (char *)user_data, fails ? "failed" : takes ? "accepted" : "refused");
    note(logins, name);
    return fails ? SECRETCACHE_LOGIN_ERROR : takes ? SECRETCACHE_LOGIN_ACCEPTED : SECRETCACHE_LOGIN_REFUSED;
}

static void connect_with(char **field, int count)
{
    char last[256] = "", name[64];
    secretcache_str stages[FIELDS];
    secretcache_error *error = NULL;
    for (int number = 3; number < count; number++) {
        stages[number - 3] = secretcache_str_of(field[number]);
    }
    uint64_t timeout = strtoull(field[2], NULL, 10);
    secretcache_str id = secretcache_str_of(field[1]);
    secretcache_result result =
        count > 3 ? secretcache_connect_stages(cache, id, stages, (size_t)count - 3, timeout, log_in, last, &error)
                  : secretcache_connect(cache, id, timeout, log_in, last, &error);
    if (result == SECRETCACHE_OK) {
        printf("connected %s", last);
    } else {
        printf("error %s\t%s", kind(result, name), secretcache_error_message(error).data);
        secretcache_error_free(error);
    }
}

static void take(char *list)
{
    pthread_mutex_lock(&lock);
    for (char *letter = list; *letter; letter++) {
        putchar(*letter == '\n' ? '\t' : *letter);
    }
    list[0] = '\0';
    pthread_mutex_unlock(&lock);
}

static void step(char **field, int count)
{
    secretcache_value *value = secretcache_value_new();
    char text[LINE];
    if (!strcmp(field[0], "read")) {
        read_at_once(field);
    } else if (!strcmp(field[0], "refresh")) {
        describe(text, secretcache_refresh(cache, secretcache_str_of(field[1]), NULL, value, NULL), value);
        printf("%s", text);
    } else if (!strcmp(field[0], "peek")) {
        describe(text, secretcache_peek(cache, secretcache_str_of(field[1]), NULL, value, NULL), value);
        printf("%s", text);
    } else if (!strcmp(field[0], "invalidate")) {
        OK(secretcache_invalidate(cache, secretcache_str_of(field[1]), &error));
    } else if (!strcmp(field[0], "close")) {
        secretcache_close(cache);
    } else if (!strcmp(field[0], "connect")) {
        connect_with(field, count);
    } else if (!strcmp(field[0], "calls")) {
        char *calls = store_take_calls(store);
        printf("%s", calls);
        free(calls);
    } else if (!strcmp(field[0], "events")) {
        take(events);
    } else if (!strcmp(field[0], "logins")) {
        take(logins);
    } else if (!strcmp(field[0], "stats")) {
        secretcache_stats *stats = NULL;
        OK(secretcache_stats_new(cache, &stats, &error));
        printf("%llu", (unsigned long long)secretcache_stats_count(stats, (uint32_t)atoi(field[1])));
        secretcache_stats_free(stats);
    } else {
        CHECK(!"a step that is known");
    }
    secretcache_value_free(value);
}

static void set(secretcache_config *config, const char *setting)
{
    uint64_t number = strtoull(strchr(setting, '=') + 1, NULL, 10);
    if (!strncmp(setting, "ttl=", 4)) {
        OK(secretcache_config_set_refresh_interval(config, number, &error));
    } else if (!strncmp(setting, "max_wait=", 9)) {
        OK(secretcache_config_set_max_wait(config, number, &error));
    } else if (!strncmp(setting, "max_stale=", 10)) {
        OK(secretcache_config_set_max_stale(config, number, &error));
    } else if (!strncmp(setting, "max_size=", 9)) {
        OK(secretcache_config_set_max_size(config, number, &error));
    } else if (!strncmp(setting, "stale_on_denied=", 16)) {
        OK(secretcache_config_set_stale_on_denied(config, number != 0, &error));
    } else {
        CHECK(!"a setting that is known");
    }
}

int main(int argc, char **argv)
{
    static char line[LINE];
    char *field[FIELDS];
    secretcache_config *config = secretcache_config_new();
    for (int number = 1; number < argc; number++) {
        set(config, argv[number]);
    }
    /* Requests to a held service must not time out before the scenario ends. */
    OK(secretcache_config_set_timeout(config, 600000, &error));
    OK(secretcache_config_on_new_version(config, on_new_version, NULL, NULL, &error));
    OK(secretcache_config_on_stale(config, on_stale, NULL, NULL, &error));
    OK(secretcache_config_on_error(config, on_error, NULL, NULL, &error));
    store = store_new();
    store_on_call(store, catch_up);
    cache = cache_with(store, config);
    secretcache_config_free(config);
    while (fgets(line, sizeof line, stdin)) {
        catch_up();
        if (!strncmp(line, "after\t", 6)) {
            char *rest = strchr(line + 6, '\t');
            CHECK(rest && later_count < LATER);
            pthread_mutex_lock(&lock);
            strcpy(later[later_count].line, rest + 1);
            later[later_count++].due = now() + atof(line + 6);
            pthread_mutex_unlock(&lock);
        } else {
            int count = split(line, field);
            pthread_mutex_lock(&lock);
            int is_change = change(field, count);
            pthread_mutex_unlock(&lock);
            if (!is_change) {
                step(field, count);
            }
        }
        printf("\n");
        fflush(stdout);
    }
    store_hold(store, 0);
    secretcache_free(cache);
    secretcache_shutdown(5000);
    return 0;
}
