/* Reads of all kinds. */
#include <pthread.h>
#include <stdint.h>

#include "check.h"
#include "store.h"

static const char JSON[] = "{\"username\":\"app\",\"password\":\"hunter2\",\"port\":5432,\"nul\":\"a\\u0000b\"}";
static const char V1[] = "11111111-1111-1111-1111-111111111111";
static const char V2[] = "22222222-2222-2222-2222-222222222222";

/* Returns a store with a secret that has a current and a pending version, and with a binary secret. */
static struct store *filled(void)
{
    struct store *store = store_new();
    store_put_string(store, "db", V1, JSON);
    store_put_string(store, "db", V2, "{\"username\":\"app2\"}");
    store_label(store, "db", "AWSCURRENT", V1);
    store_label(store, "db", "AWSPENDING", V2);
    store_set_arn(store, "db", "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf");
    store_put(store, "key", "v1", "\0\377key", 5, 1);
    store_label(store, "key", "AWSCURRENT", "v1");
    return store;
}

static void strings_binaries_and_fields(void)
{
    secretcache_cache *cache = cache_with(filled(), NULL);
    secretcache_value *value = secretcache_value_new();
    secretcache_str text;
    secretcache_bytes bytes;

    OK(secretcache_get_string(cache, SECRETCACHE_STR("db"), NULL, value, &text, &error));
    CHECK(is(text, JSON));
    CHECK(is(secretcache_value_version_id(value), V1));
    CHECK(secretcache_value_stage_count(value) == 1 && is(secretcache_value_stage(value, 0), "AWSCURRENT"));
    CHECK(secretcache_value_stage(value, 1).data == NULL);
    CHECK(is(secretcache_value_arn(value), "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"));
    CHECK(secretcache_value_name(value).data == NULL);
    CHECK(secretcache_value_created_ms(value) == -1);

    OK(secretcache_get_binary(cache, SECRETCACHE_STR("key"), NULL, value, &bytes, &error));
    CHECK(bytes.length == 5 && memcmp(bytes.data, "\0\377key", 5) == 0);

    OK(secretcache_get_field(cache, SECRETCACHE_STR("db"), NULL, SECRETCACHE_STR("password"), value, &text, &error));
    CHECK(is(text, "hunter2") && text.data[text.length] == '\0');
    CHECK(is(secretcache_value_version_id(value), V1));
    OK(secretcache_get_field(cache, SECRETCACHE_STR("db"), NULL, SECRETCACHE_STR("port"), value, &text, &error));
    CHECK(is(text, "5432"));
    OK(secretcache_get_field(cache, SECRETCACHE_STR("db"), NULL, SECRETCACHE_STR("nul"), value, &text, &error));
    CHECK(text.length == 3 && memcmp(text.data, "a\0b", 4) == 0);

    /* The whole version again, through the value. */
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    OK(secretcache_value_string(value, &text, &error));
    CHECK(is(text, JSON));
    secretcache_value *field = NULL;
    OK(secretcache_value_field(value, SECRETCACHE_STR("username"), &field, &error));
    OK(secretcache_value_string(field, &text, &error));
    CHECK(is(text, "app"));

    secretcache_value_free(field);
    secretcache_value_free(value);
    secretcache_free(cache);
}

/* A value remembers the place of the field that it returned last. */
static void a_field_is_that_of_the_version(void)
{
    struct store *store = store_new();
    store_put_string(store, "db", V1, "{\"username\":\"app\",\"password\":\"old\"}");
    store_put_string(store, "db", V2, "{\"password\":\"new\",\"username\":\"app\"}");
    store_label(store, "db", "AWSCURRENT", V1);
    secretcache_cache *cache = cache_with(store, NULL);
    secretcache_value *value = secretcache_value_new();
    secretcache_str id = SECRETCACHE_STR("db"), password = SECRETCACHE_STR("password"), text;

    for (int turn = 0; turn < 2; turn++) {
        OK(secretcache_get_field(cache, id, NULL, password, value, &text, &error));
        CHECK(is(text, "old"));
    }
    OK(secretcache_get_string(cache, id, NULL, value, &text, &error));
    CHECK(text.data[0] == '{');
    FAILS(SECRETCACHE_FIELD_NOT_FOUND,
          secretcache_get_field(cache, id, NULL, SECRETCACHE_STR("x"), value, &text, &error));
    OK(secretcache_value_string(value, &text, &error));
    CHECK(text.data[0] == '{');
    OK(secretcache_get_field(cache, id, NULL, password, value, &text, &error));
    CHECK(is(text, "old"));
    store_label(store, "db", "AWSCURRENT", V2);
    OK(secretcache_refresh(cache, id, NULL, NULL, &error));
    OK(secretcache_get_field(cache, id, NULL, password, value, &text, &error));
    CHECK(is(text, "new"));
    secretcache_value_free(value);
    secretcache_free(cache);
}

static void stages_and_version_ids(void)
{
    secretcache_cache *cache = cache_with(filled(), NULL);
    secretcache_value *value = secretcache_value_new();
    secretcache_version_selector pending = secretcache_stage(SECRETCACHE_STR("AWSPENDING"));
    secretcache_version_selector second =
        secretcache_version_id(SECRETCACHE_STR("22222222-2222-2222-2222-222222222222"));
    secretcache_version_selector nothing = secretcache_stage(secretcache_str_of(NULL));
    secretcache_version_selector gone = secretcache_stage(SECRETCACHE_STR("AWSPREVIOUS"));

    OK(secretcache_get(cache, SECRETCACHE_STR("db"), &pending, value, &error));
    CHECK(is(secretcache_value_version_id(value), V2));
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), &nothing, value, &error));
    CHECK(is(secretcache_value_version_id(value), V1));
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), &second, value, &error));
    CHECK(is(secretcache_value_version_id(value), V2));
    FAILS(SECRETCACHE_VERSION_NOT_FOUND, secretcache_get(cache, SECRETCACHE_STR("db"), &gone, value, &error));
    second.stage = pending.stage;
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_get(cache, SECRETCACHE_STR("db"), &second, value, &error));
    /* A failure does not change the value. */
    CHECK(is(secretcache_value_version_id(value), V2));

    secretcache_value_free(value);
    secretcache_free(cache);
}

static void failures_say_what_the_service_said(void)
{
    struct store *store = filled();
    secretcache_cache *cache = cache_with(store, NULL);
    secretcache_value *value = secretcache_value_new();
    secretcache_str text = {NULL, 0};
    secretcache_bytes bytes = {NULL, 0};
    secretcache_error *error = NULL;

    CHECK(secretcache_get(cache, SECRETCACHE_STR("none"), NULL, value, &error) == SECRETCACHE_SECRET_NOT_FOUND);
    CHECK(is(secretcache_error_message(error), "Secrets Manager can't find the specified secret."));
    CHECK(is(secretcache_error_service_code(error), "ResourceNotFoundException"));
    CHECK(is(secretcache_error_operation(error), "GetSecretValue"));
    CHECK(is(secretcache_error_request_id(error), "request-1"));
    CHECK(secretcache_error_http_status(error) == 400);
    CHECK(!secretcache_error_is_transient(error));
    secretcache_error_free(error);
    CHECK(is(secretcache_result_name(SECRETCACHE_SECRET_NOT_FOUND), "SECRETCACHE_SECRET_NOT_FOUND"));
    CHECK(is(secretcache_result_name(12345), "unknown"));

    FAILS(SECRETCACHE_WRONG_TYPE, secretcache_get_string(cache, SECRETCACHE_STR("key"), NULL, value, &text, &error));
    FAILS(SECRETCACHE_WRONG_TYPE, secretcache_get_binary(cache, SECRETCACHE_STR("db"), NULL, value, &bytes, &error));
    FAILS(SECRETCACHE_FIELD_NOT_FOUND,
          secretcache_get_field(cache, SECRETCACHE_STR("db"), NULL, SECRETCACHE_STR("x"), value, &text, &error));
    FAILS(SECRETCACHE_WRONG_TYPE,
          secretcache_get_field(cache, SECRETCACHE_STR("key"), NULL, SECRETCACHE_STR("x"), value, &text, &error));
    CHECK(text.data == NULL && bytes.data == NULL);
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_value_string(value, &text, &error));
    /* `error_out` can be NULL. */
    CHECK(secretcache_get(cache, SECRETCACHE_STR("none"), NULL, value, NULL) == SECRETCACHE_SECRET_NOT_FOUND);

    secretcache_value_free(value);
    secretcache_free(cache);
}

static void peek_never_asks(void)
{
    struct store *store = filled();
    secretcache_cache *cache = cache_with(store, NULL);
    secretcache_value *value = secretcache_value_new();

    FAILS(SECRETCACHE_NOT_CACHED, secretcache_peek(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    CHECK(store_calls(store) == 0);
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    secretcache_value_clear(value);
    OK(secretcache_peek(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    CHECK(is(secretcache_value_version_id(value), V1));
    CHECK(store_calls(store) == 1);

    /* It does not wait while a request is in progress either. */
    store_hold(store, 1);
    secretcache_version_selector pending = secretcache_stage(SECRETCACHE_STR("AWSPENDING"));
    FAILS(SECRETCACHE_NOT_CACHED, secretcache_peek(cache, SECRETCACHE_STR("db"), &pending, value, &error));
    store_hold(store, 0);

    secretcache_value_free(value);
    secretcache_free(cache);
}

static void count_failure(void *user_data, secretcache_str id, const secretcache_error *error)
{
    CHECK(is(id, "none") && secretcache_error_code(error) == SECRETCACHE_SECRET_NOT_FOUND);
    ++*(int *)user_data;
}

static void prefetch_refresh_invalidate_and_stats(void)
{
    struct store *store = filled();
    secretcache_cache *cache = cache_with(store, NULL);
    secretcache_value *value = secretcache_value_new();
    secretcache_stats *stats = NULL;
    int failures = 0;
    secretcache_str ids[] = {SECRETCACHE_STR("db"), SECRETCACHE_STR("key"), SECRETCACHE_STR("none")};

    OK(secretcache_prefetch(cache, ids, 3, count_failure, &failures, &error));
    CHECK(failures == 1);
    OK(secretcache_prefetch(cache, ids, 2, NULL, NULL, &error));
    OK(secretcache_prefetch(cache, NULL, 0, NULL, NULL, &error));
    OK(secretcache_peek(cache, SECRETCACHE_STR("db"), NULL, value, &error));

    store_label(store, "db", "AWSCURRENT", V2);
    OK(secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    CHECK(is(secretcache_value_version_id(value), V2));
    OK(secretcache_refresh(cache, SECRETCACHE_STR("key"), NULL, NULL, &error));
    FAILS(SECRETCACHE_SECRET_NOT_FOUND, secretcache_refresh(cache, SECRETCACHE_STR("none"), NULL, value, &error));

    int calls = store_calls(store);
    OK(secretcache_invalidate(cache, SECRETCACHE_STR("key"), &error));
    FAILS(SECRETCACHE_NOT_CACHED, secretcache_peek(cache, SECRETCACHE_STR("key"), NULL, value, &error));
    OK(secretcache_get(cache, SECRETCACHE_STR("key"), NULL, value, &error));
    OK(secretcache_get(cache, SECRETCACHE_STR("key"), NULL, value, &error));
    CHECK(store_calls(store) == calls + 1);

    OK(secretcache_stats_new(cache, &stats, &error));
    CHECK(secretcache_stats_count(stats, SECRETCACHE_COUNTER_HITS) == 2);
    CHECK(secretcache_stats_count(stats, SECRETCACHE_COUNTER_ROTATIONS_OBSERVED) == 1);
    CHECK(secretcache_stats_count(stats, 4711) == 0);
    CHECK(secretcache_stats_api_calls(stats, SECRETCACHE_STR("GetSecretValue")) > 0);
    CHECK(secretcache_stats_api_calls(stats, SECRETCACHE_STR("Nothing")) == 0);
    CHECK(secretcache_stats_failures(stats, SECRETCACHE_SECRET_NOT_FOUND) == 2);
    CHECK(secretcache_stats_failures(stats, SECRETCACHE_THROTTLED) == 0);
    int found = 0;
    for (size_t index = 0; index < secretcache_stats_secret_count(stats); index++) {
        if (is(secretcache_stats_secret_id(stats, index), "db")) {
            found++;
            CHECK(is(secretcache_stats_secret_stage(stats, index), "AWSCURRENT"));
            CHECK(is(secretcache_stats_secret_version_id(stats, index), V2));
            CHECK(secretcache_stats_secret_age_ms(stats, index) >= 0);
            CHECK(secretcache_stats_secret_next_refresh_ms(stats, index) > 0);
            CHECK(secretcache_stats_secret_last_error(stats, index) == SECRETCACHE_OK);
            CHECK(secretcache_stats_secret_failures(stats, index) == 0);
        } else if (is(secretcache_stats_secret_id(stats, index), "none")) {
            found++;
            CHECK(secretcache_stats_secret_last_error(stats, index) == SECRETCACHE_SECRET_NOT_FOUND);
            CHECK(secretcache_stats_secret_failures(stats, index) == 1);
            CHECK(secretcache_stats_secret_age_ms(stats, index) == -1);
        }
    }
    CHECK(found == 2);
    CHECK(secretcache_stats_secret_id(stats, SIZE_MAX).data == NULL);

    secretcache_stats_free(stats);
    secretcache_value_free(value);
    secretcache_free(cache);
}

static void values_outlive_their_cache(void)
{
    secretcache_cache *cache = cache_with(filled(), NULL);
    secretcache_value *value = secretcache_value_new(), *clone = NULL;
    secretcache_str text;

    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    secretcache_close(cache);
    FAILS(SECRETCACHE_CLOSED, secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    FAILS(SECRETCACHE_CLOSED, secretcache_refresh(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    secretcache_free(cache);

    OK(secretcache_value_clone(value, &clone, &error));
    secretcache_value_free(value);
    OK(secretcache_value_string(clone, &text, &error));
    CHECK(is(text, JSON));
    secretcache_value_free(clone);
}

/* A reused value remembers what it read. Callers must not notice. */
static void one_value_for_many_secrets(void)
{
    struct store *store = filled();
    char ids[40][16];
    for (int number = 0; number < 40; number++) {
        snprintf(ids[number], sizeof ids[number], "secret-%d", number);
        store_put_string(store, ids[number], "v1", ids[number]);
        store_label(store, ids[number], "AWSCURRENT", "v1");
    }
    secretcache_cache *cache = cache_with(store, NULL), *other = cache_with(filled(), NULL);
    secretcache_value *value = secretcache_value_new(), *clone = NULL;
    secretcache_str text;
    secretcache_bytes bytes;
    for (int round = 0; round < 4; round++) {
        for (int number = 0; number < 40; number++) {
            OK(secretcache_get_string(cache, secretcache_str_of(ids[number]), NULL, value, &text, &error));
            CHECK(is(text, ids[number]));
        }
        OK(secretcache_get_binary(cache, SECRETCACHE_STR("key"), NULL, value, &bytes, &error));
        FAILS(SECRETCACHE_WRONG_TYPE,
              secretcache_get_string(cache, SECRETCACHE_STR("key"), NULL, value, &text, &error));
        FAILS(SECRETCACHE_WRONG_TYPE,
              secretcache_get_binary(cache, SECRETCACHE_STR("secret-1"), NULL, value, &bytes, &error));
        FAILS(SECRETCACHE_INVALID_TEXT, secretcache_get(cache, SECRETCACHE_STR("\377"), NULL, value, &error));
        FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_get(cache, SECRETCACHE_STR(""), NULL, value, &error));
        OK(secretcache_value_binary(value, &bytes, &error));
        CHECK(bytes.length == 5);
        secretcache_version_selector pending = {SECRETCACHE_STR("AWSPENDING"), {NULL, 0}};
        OK(secretcache_get(cache, SECRETCACHE_STR("db"), &pending, value, &error));
        CHECK(is(secretcache_value_version_id(value), V2));
        OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
        CHECK(is(secretcache_value_version_id(value), V1));
    }
    CHECK(store_calls(store) == 43);

    /* A replaced or forgotten version is fetched again; a cached one is not. */
    store_put_string(store, "secret-3", "v2", "new");
    store_label(store, "secret-3", "AWSCURRENT", "v2");
    OK(secretcache_get_string(cache, SECRETCACHE_STR("secret-3"), NULL, value, &text, &error));
    OK(secretcache_refresh(cache, SECRETCACHE_STR("secret-3"), NULL, NULL, &error));
    CHECK(is(text, "secret-3"));
    OK(secretcache_value_clone(value, &clone, &error));
    OK(secretcache_get_string(cache, SECRETCACHE_STR("secret-3"), NULL, value, &text, &error));
    CHECK(is(text, "new"));
    OK(secretcache_value_string(clone, &text, &error));
    CHECK(is(text, "secret-3"));
    OK(secretcache_invalidate(cache, SECRETCACHE_STR("secret-4"), &error));
    OK(secretcache_get_string(cache, SECRETCACHE_STR("secret-4"), NULL, value, &text, &error));
    CHECK(store_calls(store) == 45);

    for (int read = 0; read < 200; read++) {
        OK(secretcache_get_string(read % 2 ? cache : other, SECRETCACHE_STR("db"), NULL, value, &text, &error));
        CHECK(is(text, JSON));
    }
    secretcache_close(cache);
    FAILS(SECRETCACHE_CLOSED, secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    secretcache_free(cache);
    OK(secretcache_value_string(value, &text, &error));
    CHECK(is(text, JSON));
    for (int read = 0; read < 200; read++) {
        OK(secretcache_get_string(other, SECRETCACHE_STR("db"), NULL, value, &text, &error));
    }
    secretcache_value_clear(value);
    OK(secretcache_get_string(other, SECRETCACHE_STR("db"), NULL, value, &text, &error));
    OK(secretcache_get_string(other, SECRETCACHE_STR("db"), NULL, value, &text, &error));
    secretcache_free(other);
    CHECK(is(text, JSON));
    secretcache_value_free(value);
    secretcache_value_free(clone);
}

struct reader {
    secretcache_cache *cache;
    int reads;
};

static void *read_often(void *argument)
{
    struct reader *reader = argument;
    secretcache_value *value = secretcache_value_new();
    for (int read = 0; read < reader->reads; read++) {
        secretcache_str text;
        OK(secretcache_get_string(reader->cache, SECRETCACHE_STR("db"), NULL, value, &text, &error));
        CHECK(is(text, JSON) || is(text, "{\"username\":\"app2\"}"));
        if (read % 3 == 0) {
            OK(secretcache_get(reader->cache, SECRETCACHE_STR("key"), NULL, value, &error));
        }
    }
    secretcache_value_free(value);
    return NULL;
}

/* Several threads read while the secret changes, is refreshed and is forgotten. */
static void many_threads(void)
{
    struct store *store = filled();
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_refresh_interval(config, 5, &error));
    struct reader reader = {cache_with(store, config), 2000};
    secretcache_config_free(config);
    pthread_t threads[8];
    for (int number = 0; number < 8; number++) {
        CHECK(pthread_create(&threads[number], NULL, read_often, &reader) == 0);
    }
    for (int round = 0; round < 50; round++) {
        store_label(store, "db", "AWSCURRENT", round % 2 ? V1 : V2);
        OK(secretcache_refresh(reader.cache, SECRETCACHE_STR("db"), NULL, NULL, &error));
        OK(secretcache_invalidate(reader.cache, SECRETCACHE_STR("db"), &error));
    }
    for (int number = 0; number < 8; number++) {
        pthread_join(threads[number], NULL);
    }
    secretcache_free(reader.cache);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"strings_binaries_and_fields", strings_binaries_and_fields},
        {"a_field_is_that_of_the_version", a_field_is_that_of_the_version},
        {"stages_and_version_ids", stages_and_version_ids},
        {"failures_say_what_the_service_said", failures_say_what_the_service_said},
        {"peek_never_asks", peek_never_asks},
        {"prefetch_refresh_invalidate_and_stats", prefetch_refresh_invalidate_and_stats},
        {"values_outlive_their_cache", values_outlive_their_cache},
        {"one_value_for_many_secrets", one_value_for_many_secrets},
        {"many_threads", many_threads},
        {NULL, NULL},
    };
    return run_tests(tests, argc, argv);
}
