/* Everything with callbacks: events, asynchronous reads, logins. */
#include <pthread.h>
#include <sys/types.h>

#include "check.h"
#include "store.h"

/* The callbacks so far, in order, for a test to wait for. */
struct callbacks {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char text[1 << 14];
    int count;
    pthread_t thread;
    int released;
};

#define NO_CALLBACKS {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, "", 0, 0, 0}

static void record(struct callbacks *callbacks, const char *word, secretcache_str first, secretcache_str second)
{
    HANDED_OVER(first);
    HANDED_OVER(second);
    pthread_mutex_lock(&callbacks->lock);
    size_t length = strlen(callbacks->text);
    snprintf(callbacks->text + length, sizeof callbacks->text - length, "%s %.*s %.*s\n", word, (int)first.length,
             first.data, (int)second.length, second.data);
    callbacks->count++;
    callbacks->thread = pthread_self();
    pthread_cond_broadcast(&callbacks->changed);
    pthread_mutex_unlock(&callbacks->lock);
}

static void await(struct callbacks *callbacks, int count)
{
    pthread_mutex_lock(&callbacks->lock);
    while (callbacks->count < count) {
        pthread_cond_wait(&callbacks->changed, &callbacks->lock);
    }
    pthread_mutex_unlock(&callbacks->lock);
}

static void await_release(struct callbacks *callbacks, int count)
{
    pthread_mutex_lock(&callbacks->lock);
    while (callbacks->released < count) {
        pthread_cond_wait(&callbacks->changed, &callbacks->lock);
    }
    pthread_mutex_unlock(&callbacks->lock);
}

static void on_release(void *user_data)
{
    FROM_LIBRARY();
    struct callbacks *callbacks = user_data;
    pthread_mutex_lock(&callbacks->lock);
    callbacks->released++;
    pthread_cond_broadcast(&callbacks->changed);
    pthread_mutex_unlock(&callbacks->lock);
    TO_LIBRARY();
}

static void on_new_version(void *user_data, secretcache_str id, secretcache_str stage, secretcache_str old_version,
                           secretcache_str new_version)
{
    FROM_LIBRARY();
    CHECK(is(id, "db") && is(stage, "AWSCURRENT"));
    record(user_data, "new", old_version, new_version);
    TO_LIBRARY();
}

static void on_stale(void *user_data, secretcache_str id, uint64_t age_ms, const secretcache_error *error)
{
    FROM_LIBRARY();
    CHECK(age_ms < 3600000);
    record(user_data, "stale", id, error ? secretcache_error_service_code(error) : secretcache_str_of("no answer"));
    TO_LIBRARY();
}

static void on_error(void *user_data, secretcache_str id, const secretcache_error *error)
{
    FROM_LIBRARY();
    record(user_data, "error", id, secretcache_error_service_code(error));
    TO_LIBRARY();
}

static void on_log(void *user_data, uint32_t level, secretcache_str text)
{
    FROM_LIBRARY();
    CHECK(text.data[text.length] == '\0');
    record(user_data, level == SECRETCACHE_LOG_INFO ? "info" : "warning", text, secretcache_str_of(""));
    TO_LIBRARY();
}

static struct store *filled(void)
{
    struct store *store = store_new();
    store_put_string(store, "db", "v1", "{\"username\":\"app\",\"password\":\"one\",\"port\":\"5432\"}");
    store_put_string(store, "db", "v2", "{\"username\":\"app\",\"password\":\"two\",\"admin\":true}");
    store_label(store, "db", "AWSCURRENT", "v1");
    return store;
}

/* Returns a cache with a refresh interval. It reports new versions if `callbacks` is not NULL. */
static secretcache_cache *refreshing_cache(struct store *store, uint64_t interval_ms, struct callbacks *callbacks)
{
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_refresh_interval(config, interval_ms, &error));
    if (callbacks) {
        OK(secretcache_config_on_new_version(config, on_new_version, callbacks, on_release, &error));
    }
    secretcache_cache *cache = cache_with(store, config);
    secretcache_config_free(config);
    return cache;
}

/* Returns a cache that reads from a function; 0 for `timeout_ms` means the default. */
static secretcache_cache *asking_cache(secretcache_fetch_function fetch, struct callbacks *callbacks,
                                       uint64_t timeout_ms)
{
    secretcache_config *config = secretcache_config_new();
    secretcache_source source;
    memset(&source, 0, sizeof source);
    source.size = sizeof source;
    source.user_data = callbacks;
    source.fetch = fetch;
    OK(secretcache_config_set_source(config, &source, &error));
    if (timeout_ms) {
        OK(secretcache_config_set_timeout(config, timeout_ms, &error));
    }
    secretcache_cache *cache = NULL;
    OK(secretcache_new(config, &cache, &error));
    secretcache_config_free(config);
    return cache;
}

static void events_are_reported_and_released(void)
{
    struct callbacks callbacks = NO_CALLBACKS;
    struct store *store = filled();
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_refresh_interval(config, 0, &error));
    OK(secretcache_config_on_new_version(config, on_new_version, &callbacks, on_release, &error));
    OK(secretcache_config_on_stale(config, on_stale, &callbacks, on_release, &error));
    OK(secretcache_config_on_error(config, on_error, &callbacks, on_release, &error));
    OK(secretcache_config_on_log(config, on_log, &callbacks, on_release, &error));
    secretcache_cache *cache = cache_with(store, config);
    secretcache_config_free(config);
    secretcache_value *value = secretcache_value_new();

    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    store_label(store, "db", "AWSCURRENT", "v2");
    OK(secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, NULL, &error));
    await(&callbacks, 2);
    CHECK(strcmp(callbacks.text, "new v1 v2\ninfo secret \"db\" has a new version: v2 \n") == 0);
    CHECK(!pthread_equal(callbacks.thread, pthread_self()));

    store_fail(store, "ThrottlingException", "slow down", "");
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    await(&callbacks, 5); /* an error, a stale value, and one log line for both */
    CHECK(strstr(callbacks.text, "error db ThrottlingException\n"));
    CHECK(strstr(callbacks.text, "stale db ThrottlingException\n"));
    CHECK(strstr(callbacks.text, "warning "));
    CHECK(!strstr(callbacks.text, "two"));

    secretcache_value_free(value);
    CHECK(callbacks.released == 0);
    secretcache_free(cache);
    await_release(&callbacks, 4);
}

/* A secret without reads is refreshed as long as it is watched. */
static void watched_secrets_are_kept_fresh(void)
{
    struct callbacks callbacks = NO_CALLBACKS;
    struct store *store = filled();
    secretcache_cache *cache = refreshing_cache(store, 20, &callbacks);
    secretcache_watch *watch = NULL;
    OK(secretcache_watch_new(cache, SECRETCACHE_STR("db"), &watch, &error));
    OK(secretcache_prefetch(cache, &(secretcache_str){"db", 2}, 1, NULL, NULL, &error));
    for (int round = 1; round <= 4; round++) {
        store_label(store, "db", "AWSCURRENT", round % 2 ? "v2" : "v1");
        await(&callbacks, round);
    }
    secretcache_watch_free(watch);
    secretcache_free(cache);
    await_release(&callbacks, 1);
}

static void rejected_settings_keep_nothing(void)
{
    struct callbacks callbacks = NO_CALLBACKS;
    secretcache_config *config = secretcache_config_new();
    FAILS(SECRETCACHE_NULL_ARGUMENT, secretcache_config_on_log(config, NULL, &callbacks, on_release, &error));
    secretcache_source source;
    memset(&source, 0, sizeof source);
    source.user_data = &callbacks;
    source.release = on_release;
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_config_set_source(config, &source, &error));
    source.size = sizeof source;
    FAILS(SECRETCACHE_NULL_ARGUMENT, secretcache_config_set_source(config, &source, &error));
    secretcache_config_free(config);
    CHECK(callbacks.released == 0);
}

static void on_done(void *user_data, const secretcache_value *value, const secretcache_error *error)
{
    FROM_LIBRARY();
    CHECK((value == NULL) != (error == NULL));
    record(user_data, "done", value ? secretcache_value_version_id(value) : secretcache_error_message(error),
           secretcache_str_of(""));
    TO_LIBRARY();
}

static void asynchronous_reads_call_once(void)
{
    struct callbacks callbacks = NO_CALLBACKS;
    struct store *store = filled();
    secretcache_cache *cache = cache_with(store, NULL);
    store_hold(store, 1);
    OK(secretcache_get_async(cache, SECRETCACHE_STR("db"), NULL, on_done, &callbacks, &error));
    OK(secretcache_get_async(cache, SECRETCACHE_STR("db"), NULL, on_done, &callbacks, &error));
    store_await_held(store, 1);
    CHECK(callbacks.count == 0);
    store_hold(store, 0);
    await(&callbacks, 2);
    CHECK(strcmp(callbacks.text, "done v1 \ndone v1 \n") == 0);
    CHECK(!pthread_equal(callbacks.thread, pthread_self()));
    CHECK(store_calls(store) == 1);
    OK(secretcache_get_async(cache, SECRETCACHE_STR("none"), NULL, on_done, &callbacks, &error));
    await(&callbacks, 3);
    FAILS(SECRETCACHE_NULL_ARGUMENT,
          secretcache_get_async(cache, SECRETCACHE_STR("db"), NULL, NULL, &callbacks, &error));
    FAILS(SECRETCACHE_INVALID_TEXT,
          secretcache_get_async(cache, SECRETCACHE_STR("\377"), NULL, on_done, &callbacks, &error));
    secretcache_free(cache);
}

static void asynchronous_reads_end_with_the_library(void)
{
    struct callbacks callbacks = NO_CALLBACKS;
    struct store *store = filled();
    secretcache_cache *cache = cache_with(store, NULL);
    store_hold(store, 1);
    OK(secretcache_get_async(cache, SECRETCACHE_STR("db"), NULL, on_done, &callbacks, &error));
    store_await_held(store, 1);
    secretcache_shutdown(0);
    await(&callbacks, 1);
    store_hold(store, 0);
    FAILS(SECRETCACHE_CLOSED, secretcache_get_async(cache, SECRETCACHE_STR("x"), NULL, on_done, &callbacks, &error));
    secretcache_free(cache);
}

/* A cache can be freed during its refresh; a waiting reader gets an answer. */
static void destruction_during_a_refresh(void)
{
    struct callbacks callbacks = NO_CALLBACKS;
    struct store *store = filled();
    secretcache_cache *cache = refreshing_cache(store, 1, NULL);
    secretcache_value *value = secretcache_value_new();
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    store_hold(store, 1);
    OK(secretcache_get_async(cache, SECRETCACHE_STR("other"), NULL, on_done, &callbacks, &error));
    store_await_held(store, 1);
    secretcache_free(cache);
    CHECK(stores_released() == 0);
    store_hold(store, 0);
    await(&callbacks, 1);
    secretcache_str text;
    OK(secretcache_value_string(value, &text, &error));
    secretcache_value_free(value);
    secretcache_shutdown(5000);
    CHECK(stores_released() == 1);
}

static void on_event(void *user_data, const secretcache_event *event)
{
    FROM_LIBRARY();
    if (event->kind == SECRETCACHE_EVENT_FALLBACK_LOGIN) {
        CHECK(event->size >= sizeof *event && is(event->secret_id, "db") && event->error == NULL);
        CHECK(event->text.data[event->text.length] == '\0');
        record(user_data, "fallback", event->version_stage, event->new_version_id);
    }
    TO_LIBRARY();
}

/* A resource that accepts one password. */
struct resource {
    const char *password;
    int logins;
    int error;
    char stages[256];
};

static secretcache_login log_in(void *user_data, const secretcache_credential *credential)
{
    struct resource *resource = user_data;
    resource->logins++;
    CHECK(is(secretcache_credential_username(credential), "app"));
    CHECK(secretcache_credential_host(credential).data == NULL);
    CHECK(secretcache_credential_dbname(credential).data == NULL);
    CHECK(secretcache_credential_engine(credential).data == NULL);
    CHECK(secretcache_credential_version_id(credential).length == 2);
    secretcache_str stage = secretcache_credential_version_stage(credential);
    strncat(strcat(resource->stages, " "), stage.data, stage.length);
    secretcache_str password = secretcache_credential_password(credential);
    CHECK(password.data[password.length] == '\0');
    CHECK(secretcache_credential_password(credential).data == password.data);
    if (is(password, "one")) {
        CHECK(secretcache_credential_port(credential) == 5432);
        CHECK(secretcache_credential_field(credential, SECRETCACHE_STR("admin")).data == NULL);
    } else {
        CHECK(secretcache_credential_port(credential) == 0);
        CHECK(is(secretcache_credential_field(credential, SECRETCACHE_STR("admin")), "true"));
    }
    if (resource->error) {
        return (uint32_t)resource->error;
    }
    return is(password, resource->password) ? SECRETCACHE_LOGIN_ACCEPTED : SECRETCACHE_LOGIN_REFUSED;
}

static void logins_find_the_version_that_works(void)
{
    struct store *store = filled();
    store_label(store, "db", "AWSPENDING", "v2");
    struct callbacks callbacks = NO_CALLBACKS;
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_on_event(config, on_event, &callbacks, on_release, &error));
    secretcache_cache *cache = cache_with(store, config);
    secretcache_config_free(config);
    struct resource resource = {"one", 0, 0, ""};
    OK(secretcache_connect(cache, SECRETCACHE_STR("db"), 0, log_in, &resource, &error));
    CHECK(resource.logins == 1);

    /* The password has changed, but the labels have not moved yet. */
    resource.password = "two";
    OK(secretcache_connect(cache, SECRETCACHE_STR("db"), 60000, log_in, &resource, &error));
    CHECK(strcmp(resource.stages, " AWSCURRENT AWSCURRENT AWSPENDING") == 0);
    /* The refusal is remembered, so there is no second one. */
    OK(secretcache_connect(cache, SECRETCACHE_STR("db"), 60000, log_in, &resource, &error));
    CHECK(resource.logins == 4);
    /* The program hears of the first of these logins. */
    await(&callbacks, 1);
    CHECK(strcmp(callbacks.text, "fallback AWSPENDING v2\n") == 0);

    /* Connections made with the refused version must be replaced. */
    CHECK(secretcache_is_outdated(cache, SECRETCACHE_STR("db"), SECRETCACHE_STR("v1")));
    CHECK(!secretcache_is_outdated(cache, SECRETCACHE_STR("db"), SECRETCACHE_STR("v2")));
    secretcache_stats *stats = NULL;
    OK(secretcache_stats_new(cache, &stats, &error));
    CHECK(secretcache_stats_count(stats, SECRETCACHE_COUNTER_LOGINS_ACCEPTED) == 3);
    CHECK(secretcache_stats_count(stats, SECRETCACHE_COUNTER_FALLBACK_LOGINS) == 2);
    CHECK(secretcache_stats_count(stats, SECRETCACHE_COUNTER_LOGINS_REFUSED) == 1);
    secretcache_stats_free(stats);

    resource.error = SECRETCACHE_LOGIN_ERROR;
    FAILS(SECRETCACHE_LOGIN_FAILED,
          secretcache_connect(cache, SECRETCACHE_STR("db"), 60000, log_in, &resource, &error));
    resource.error = 4711;
    FAILS(SECRETCACHE_LOGIN_FAILED,
          secretcache_connect(cache, SECRETCACHE_STR("db"), 60000, log_in, &resource, &error));
    resource.error = 0;
    resource.password = "neither";
    secretcache_error *rejected = NULL;
    CHECK(secretcache_connect(cache, SECRETCACHE_STR("db"), 3000, log_in, &resource, &rejected) ==
          SECRETCACHE_LOGIN_REJECTED);
    CHECK(secretcache_error_code(rejected) == SECRETCACHE_LOGIN_REJECTED && secretcache_error_is_transient(rejected));
    CHECK(secretcache_error_message(rejected).length > 0);
    secretcache_error_free(rejected);
    FAILS(SECRETCACHE_SECRET_NOT_FOUND,
          secretcache_connect(cache, SECRETCACHE_STR("none"), 60000, log_in, &resource, &error));
    secretcache_free(cache);
    await_release(&callbacks, 1);
}

static void logins_with_chosen_stages(void)
{
    struct store *store = filled();
    store_label(store, "db", "AWSPENDING", "v2");
    secretcache_cache *cache = cache_with(store, NULL);
    struct resource resource = {"two", 0, 0, ""};
    secretcache_str stages[] = {SECRETCACHE_STR("AWSPENDING"), SECRETCACHE_STR("AWSCURRENT")};
    OK(secretcache_connect_stages(cache, SECRETCACHE_STR("db"), stages, 2, 60000, log_in, &resource, &error));
    CHECK(strcmp(resource.stages, " AWSPENDING") == 0);
    stages[1] = SECRETCACHE_STR("MINE");
    FAILS(SECRETCACHE_INVALID_ARGUMENT,
          secretcache_connect_stages(cache, SECRETCACHE_STR("db"), stages, 2, 60000, log_in, &resource, &error));
    secretcache_free(cache);
}

/* A callback can use the library. A call that waits on a thread of the library fails instead of hanging. */
static secretcache_cache *other;

static void on_done_reads(void *user_data, const secretcache_value *value, const secretcache_error *error)
{
    FROM_LIBRARY();
    CHECK(value != NULL && error == NULL);
    secretcache_value *another = secretcache_value_new();
    OK(secretcache_refresh(other, SECRETCACHE_STR("db"), NULL, another, &error));
    secretcache_value_free(another);
    record(user_data, "read", secretcache_str_of(""), secretcache_str_of(""));
    TO_LIBRARY();
}

static void fetch_waits(void *user_data, secretcache_str id, const secretcache_version_selector *version,
                        secretcache_answer *answer)
{
    FROM_LIBRARY();
    (void)id, (void)version;
    secretcache_value *value = secretcache_value_new();
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_refresh(other, SECRETCACHE_STR("db"), NULL, value, &error));
    secretcache_value_free(value);
    record(user_data, "asked", secretcache_str_of(""), secretcache_str_of(""));
    secretcache_answer_fail(answer, 4711, SECRETCACHE_STR("my own reason"));
    TO_LIBRARY();
}

static void callbacks_may_use_the_library(void)
{
    struct callbacks callbacks = NO_CALLBACKS;
    other = cache_with(filled(), NULL);
    OK(secretcache_get_async(other, SECRETCACHE_STR("db"), NULL, on_done_reads, &callbacks, &error));
    await(&callbacks, 1);

    secretcache_cache *cache = asking_cache(fetch_waits, &callbacks, 0);
    secretcache_value *value = secretcache_value_new();
    FAILS(SECRETCACHE_SOURCE, secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    await(&callbacks, 2);
    secretcache_value_free(value);
    secretcache_free(cache);
    secretcache_free(other);
}

/* An answer that does not come, or comes too late, is a timeout. */
static secretcache_answer *late;

static void fetch_never(void *user_data, secretcache_str id, const secretcache_version_selector *version,
                        secretcache_answer *answer)
{
    FROM_LIBRARY();
    (void)id, (void)version;
    late = answer;
    record(user_data, "asked", secretcache_str_of(""), secretcache_str_of(""));
    TO_LIBRARY();
}

static void late_answers_are_thrown_away(void)
{
    struct callbacks callbacks = NO_CALLBACKS;
    secretcache_cache *cache = asking_cache(fetch_never, &callbacks, 10);
    secretcache_value *value = secretcache_value_new();
    FAILS(SECRETCACHE_TIMEOUT, secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    await(&callbacks, 1);
    OK(secretcache_answer_set_string(late, SECRETCACHE_STR("too late"), &error));
    secretcache_answer_succeed(late);
    FAILS(SECRETCACHE_NOT_CACHED, secretcache_peek(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    secretcache_value_free(value);
    secretcache_free(cache);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"events_are_reported_and_released", events_are_reported_and_released},
        {"watched_secrets_are_kept_fresh", watched_secrets_are_kept_fresh},
        {"rejected_settings_keep_nothing", rejected_settings_keep_nothing},
        {"asynchronous_reads_call_once", asynchronous_reads_call_once},
        {"asynchronous_reads_end_with_the_library", asynchronous_reads_end_with_the_library},
        {"destruction_during_a_refresh", destruction_during_a_refresh},
        {"logins_find_the_version_that_works", logins_find_the_version_that_works},
        {"logins_with_chosen_stages", logins_with_chosen_stages},
        {"callbacks_may_use_the_library", callbacks_may_use_the_library},
        {"late_answers_are_thrown_away", late_answers_are_thrown_away},
        {NULL, NULL},
    };
    return run_tests(tests, argc, argv);
}
