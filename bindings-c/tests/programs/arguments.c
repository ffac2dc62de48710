/* Calls every function with NULL, and with other wrong arguments. */
#include <stdint.h>

#include "check.h"
#include "store.h"

#define NULLS(call) FAILS(SECRETCACHE_NULL_ARGUMENT, call)

static const secretcache_str NOTHING = {NULL, 0};
static const secretcache_str ID = {"db", 2};

static void on_new_version(void *user_data, secretcache_str id, secretcache_str stage, secretcache_str old_version,
                           secretcache_str new_version)
{
    (void)user_data, (void)id, (void)stage, (void)old_version, (void)new_version;
}

static void on_stale(void *user_data, secretcache_str id, uint64_t age_ms, const secretcache_error *error)
{
    (void)user_data, (void)id, (void)age_ms, (void)error;
}

static void on_error(void *user_data, secretcache_str id, const secretcache_error *error)
{
    (void)user_data, (void)id, (void)error;
}

static void on_log(void *user_data, uint32_t level, secretcache_str text)
{
    (void)user_data, (void)level, (void)text;
}

static void on_done(void *user_data, const secretcache_value *value, const secretcache_error *error)
{
    (void)user_data, (void)value, (void)error;
    CHECK(0);
}

static secretcache_login on_login(void *user_data, const secretcache_credential *credential)
{
    (void)user_data, (void)credential;
    return SECRETCACHE_LOGIN_ERROR;
}

/* Functions without a result code accept NULL, and return no data. */
static void null_gives_nothing(void)
{
    CHECK(secretcache_error_code(NULL) == SECRETCACHE_OK);
    CHECK(secretcache_error_message(NULL).data == NULL);
    CHECK(!secretcache_error_is_transient(NULL));
    CHECK(secretcache_error_service_code(NULL).data == NULL);
    CHECK(secretcache_error_operation(NULL).data == NULL);
    CHECK(secretcache_error_request_id(NULL).data == NULL);
    CHECK(secretcache_error_http_status(NULL) == 0);
    CHECK(secretcache_error_clone(NULL) == NULL);
    secretcache_error_free(NULL);
    secretcache_config_free(NULL);
    secretcache_free(NULL);
    secretcache_close(NULL);
    secretcache_value_free(NULL);
    secretcache_value_clear(NULL);
    CHECK(secretcache_value_arn(NULL).data == NULL);
    CHECK(secretcache_value_name(NULL).data == NULL);
    CHECK(secretcache_value_version_id(NULL).data == NULL);
    CHECK(secretcache_value_stage_count(NULL) == 0);
    CHECK(secretcache_value_stage(NULL, 0).data == NULL);
    CHECK(secretcache_value_created_ms(NULL) == -1);
    secretcache_answer_succeed(NULL);
    secretcache_answer_fail(NULL, SECRETCACHE_TIMEOUT, NOTHING);
    secretcache_answer_fail_as_service(NULL, NOTHING, NOTHING, 0, NOTHING);
    secretcache_read_cancel(NULL);
    secretcache_read_free(NULL);
    secretcache_watch_free(NULL);
    CHECK(!secretcache_is_outdated(NULL, ID, ID));
    secretcache_stats_free(NULL);
    CHECK(secretcache_stats_count(NULL, SECRETCACHE_COUNTER_HITS) == 0);
    CHECK(secretcache_stats_api_calls(NULL, ID) == 0);
    CHECK(secretcache_stats_failures(NULL, SECRETCACHE_TIMEOUT) == 0);
    CHECK(secretcache_stats_secret_count(NULL) == 0);
    CHECK(secretcache_stats_secret_id(NULL, 0).data == NULL);
    CHECK(secretcache_stats_secret_stage(NULL, 0).data == NULL);
    CHECK(secretcache_stats_secret_version_id(NULL, 0).data == NULL);
    CHECK(secretcache_stats_secret_age_ms(NULL, 0) == -1);
    CHECK(secretcache_stats_secret_next_refresh_ms(NULL, 0) == -1);
    CHECK(secretcache_stats_secret_last_error(NULL, 0) == SECRETCACHE_OK);
    CHECK(secretcache_stats_secret_failures(NULL, 0) == 0);
    CHECK(secretcache_credential_username(NULL).data == NULL);
    CHECK(secretcache_credential_password(NULL).data == NULL);
    CHECK(secretcache_credential_host(NULL).data == NULL);
    CHECK(secretcache_credential_port(NULL) == 0);
    CHECK(secretcache_credential_dbname(NULL).data == NULL);
    CHECK(secretcache_credential_engine(NULL).data == NULL);
    CHECK(secretcache_credential_field(NULL, ID).data == NULL);
    CHECK(secretcache_credential_version_id(NULL).data == NULL);
    CHECK(secretcache_credential_version_stage(NULL).data == NULL);
    CHECK(is(secretcache_version(), SECRETCACHE_VERSION));
    CHECK(is(secretcache_result_name(SECRETCACHE_OK), "SECRETCACHE_OK"));
    secretcache_shutdown(0); /* Nothing is running. */
}

/* The same for the variants for foreign function interfaces, which pass their arguments on. */
static void c9_null_is_found_by_the_pointer_variants(void)
{
    CHECK(secretcache_ffi_version() != NULL);
    CHECK(secretcache_ffi_result_name(0) != NULL);
    CHECK(secretcache_ffi_error_message(NULL) == NULL);
    CHECK(secretcache_ffi_error_service_code(NULL) == NULL);
    CHECK(secretcache_ffi_error_operation(NULL) == NULL);
    CHECK(secretcache_ffi_error_request_id(NULL) == NULL);
    secretcache_ffi_answer_fail(NULL, 0, NULL);
    CHECK(secretcache_ffi_credential_field(NULL, NULL) == NULL);
    CHECK(!secretcache_ffi_is_outdated(NULL, NULL, NULL));
    CHECK(!secretcache_ffi_stats_api_calls(NULL, NULL));
    NULLS(secretcache_ffi_config_set_refresh_interval_of(NULL, NULL, 0, &error));
    NULLS(secretcache_ffi_config_set_region(NULL, NULL, &error));
    NULLS(secretcache_ffi_config_set_endpoint_url(NULL, NULL, &error));
    NULLS(secretcache_ffi_config_set_profile(NULL, NULL, &error));
    NULLS(secretcache_ffi_config_set_credentials(NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_config_set_role(NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_config_set_role_for(NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_config_add_fallback_region(NULL, NULL, &error));
    NULLS(secretcache_ffi_config_set_proxy_url(NULL, NULL, &error));
    NULLS(secretcache_ffi_config_set_ca_bundle(NULL, NULL, &error));
    NULLS(secretcache_ffi_answer_set_arn(NULL, NULL, &error));
    NULLS(secretcache_ffi_answer_set_name(NULL, NULL, &error));
    NULLS(secretcache_ffi_answer_set_version_id(NULL, NULL, &error));
    NULLS(secretcache_ffi_answer_add_stage(NULL, NULL, &error));
    NULLS(secretcache_ffi_answer_set_string(NULL, NULL, &error));
    NULLS(secretcache_ffi_answer_add_version_stage(NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_get(NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_get_within(NULL, NULL, NULL, 0, NULL, &error));
    NULLS(secretcache_ffi_get_string(NULL, NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_get_binary(NULL, NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_get_field(NULL, NULL, NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_peek(NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_refresh(NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_invalidate(NULL, NULL, &error));
    NULLS(secretcache_ffi_value_field(NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_get_async(NULL, NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_read_start(NULL, NULL, NULL, 0, NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_connect(NULL, NULL, 0, NULL, NULL, &error));
    NULLS(secretcache_ffi_watch_new(NULL, NULL, NULL, &error));
    NULLS(secretcache_ffi_answer_set_binary(NULL, NULL, 0, &error));
    NULLS(secretcache_ffi_value_arn(NULL, NULL, &error));
    NULLS(secretcache_ffi_value_name(NULL, NULL, &error));
    NULLS(secretcache_ffi_value_version_id(NULL, NULL, &error));
    NULLS(secretcache_ffi_value_stage(NULL, 0, NULL, &error));
    NULLS(secretcache_ffi_credential_version_id(NULL, NULL, &error));
    NULLS(secretcache_ffi_credential_version_stage(NULL, NULL, &error));
    NULLS(secretcache_ffi_config_set_source(NULL, NULL, &error));

    secretcache_cache *cache = cache_with(store_new(), NULL);
    secretcache_value *value = secretcache_value_new();
    secretcache_config *config = secretcache_config_new();
    secretcache_ffi_source source = {NULL, NULL, NULL, NULL};
    NULLS(secretcache_ffi_config_set_source(config, &source, &error));
    NULLS(secretcache_ffi_get(cache, NULL, NULL, value, &error));
    NULLS(secretcache_ffi_get_field(cache, "db", NULL, NULL, value, NULL, &error));
    FAILS(SECRETCACHE_INVALID_TEXT, secretcache_ffi_get(cache, "\xff", NULL, value, &error));
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_ffi_get(cache, "", NULL, value, &error));
    FAILS(SECRETCACHE_SECRET_NOT_FOUND, secretcache_ffi_get(cache, "db", NULL, value, &error));
    secretcache_config_free(config);
    secretcache_value_free(value);
    secretcache_free(cache);
}

/* All other functions report each argument that is NULL. */
static void null_is_an_error(void)
{
    secretcache_cache *cache = cache_with(store_new(), NULL);
    secretcache_config *config = secretcache_config_new();
    secretcache_value *value = secretcache_value_new();
    secretcache_value *made = NULL;
    secretcache_str text;
    secretcache_bytes bytes;
    secretcache_bytes no_bytes = {NULL, 3};
    secretcache_source source = {0, NULL, NULL, NULL, NULL, NULL};
    secretcache_stats *stats = NULL;
    secretcache_watch *watch = NULL;

    NULLS(secretcache_new(config, NULL, &error));
    NULLS(secretcache_get(NULL, ID, NULL, value, &error));
    NULLS(secretcache_get(cache, NOTHING, NULL, value, &error));
    NULLS(secretcache_get(cache, ID, NULL, NULL, &error));
    NULLS(secretcache_get_string(NULL, ID, NULL, value, &text, &error));
    NULLS(secretcache_get_string(cache, NOTHING, NULL, value, &text, &error));
    NULLS(secretcache_get_string(cache, ID, NULL, NULL, &text, &error));
    NULLS(secretcache_get_string(cache, ID, NULL, value, NULL, &error));
    NULLS(secretcache_get_binary(NULL, ID, NULL, value, &bytes, &error));
    NULLS(secretcache_get_binary(cache, NOTHING, NULL, value, &bytes, &error));
    NULLS(secretcache_get_binary(cache, ID, NULL, NULL, &bytes, &error));
    NULLS(secretcache_get_binary(cache, ID, NULL, value, NULL, &error));
    NULLS(secretcache_get_field(NULL, ID, NULL, ID, value, &text, &error));
    NULLS(secretcache_get_field(cache, NOTHING, NULL, ID, value, &text, &error));
    NULLS(secretcache_get_field(cache, ID, NULL, NOTHING, value, &text, &error));
    NULLS(secretcache_get_field(cache, ID, NULL, ID, NULL, &text, &error));
    NULLS(secretcache_get_field(cache, ID, NULL, ID, value, NULL, &error));
    NULLS(secretcache_peek(NULL, ID, NULL, value, &error));
    NULLS(secretcache_peek(cache, NOTHING, NULL, value, &error));
    NULLS(secretcache_peek(cache, ID, NULL, NULL, &error));
    NULLS(secretcache_refresh(NULL, ID, NULL, value, &error));
    NULLS(secretcache_refresh(cache, NOTHING, NULL, value, &error));
    NULLS(secretcache_prefetch(NULL, &ID, 1, NULL, NULL, &error));
    NULLS(secretcache_prefetch(cache, NULL, 1, NULL, NULL, &error));
    NULLS(secretcache_prefetch(cache, &NOTHING, 1, NULL, NULL, &error));
    NULLS(secretcache_invalidate(NULL, ID, &error));
    NULLS(secretcache_invalidate(cache, NOTHING, &error));
    NULLS(secretcache_get_within(NULL, ID, NULL, 0, value, &error));
    NULLS(secretcache_get_within(cache, NOTHING, NULL, 0, value, &error));
    NULLS(secretcache_get_within(cache, ID, NULL, 0, NULL, &error));
    secretcache_read *read = NULL;
    NULLS(secretcache_read_start(NULL, ID, NULL, 0, on_done, NULL, &read, &error));
    NULLS(secretcache_read_start(cache, NOTHING, NULL, 0, on_done, NULL, &read, &error));
    NULLS(secretcache_read_start(cache, ID, NULL, 0, NULL, NULL, &read, &error));
    NULLS(secretcache_read_start(cache, ID, NULL, 0, on_done, NULL, NULL, &error));
    NULLS(secretcache_config_on_event(NULL, NULL, NULL, NULL, &error));
    NULLS(secretcache_config_on_event(config, NULL, NULL, NULL, &error));
    NULLS(secretcache_get_async(NULL, ID, NULL, on_done, NULL, &error));
    NULLS(secretcache_get_async(cache, NOTHING, NULL, on_done, NULL, &error));
    NULLS(secretcache_connect(NULL, ID, 0, on_login, NULL, &error));
    NULLS(secretcache_connect(cache, NOTHING, 0, on_login, NULL, &error));
    NULLS(secretcache_connect(cache, ID, 0, NULL, NULL, &error));
    NULLS(secretcache_connect_stages(cache, ID, NULL, 1, 0, on_login, NULL, &error));
    NULLS(secretcache_connect_stages(cache, ID, &NOTHING, 1, 0, on_login, NULL, &error));
    NULLS(secretcache_watch_new(NULL, ID, &watch, &error));
    NULLS(secretcache_watch_new(cache, NOTHING, &watch, &error));
    NULLS(secretcache_watch_new(cache, ID, NULL, &error));
    NULLS(secretcache_stats_new(NULL, &stats, &error));
    NULLS(secretcache_stats_new(cache, NULL, &error));

    NULLS(secretcache_value_clone(NULL, &made, &error));
    NULLS(secretcache_value_clone(value, NULL, &error));
    NULLS(secretcache_value_string(NULL, &text, &error));
    NULLS(secretcache_value_string(value, NULL, &error));
    NULLS(secretcache_value_binary(NULL, &bytes, &error));
    NULLS(secretcache_value_binary(value, NULL, &error));
    NULLS(secretcache_value_field(NULL, ID, &made, &error));
    NULLS(secretcache_value_field(value, NOTHING, &made, &error));
    NULLS(secretcache_value_field(value, ID, NULL, &error));

    NULLS(secretcache_config_set_refresh_interval(NULL, 1, &error));
    NULLS(secretcache_config_set_refresh_interval_of(NULL, ID, 1, &error));
    NULLS(secretcache_config_set_refresh_interval_of(config, NOTHING, 1, &error));
    NULLS(secretcache_config_set_max_wait(NULL, 1, &error));
    NULLS(secretcache_config_set_max_stale(NULL, 1, &error));
    NULLS(secretcache_config_set_max_size(NULL, 1, &error));
    NULLS(secretcache_config_set_stale_on_denied(NULL, true, &error));
    NULLS(secretcache_config_set_lock_memory(NULL, true, &error));
    NULLS(secretcache_config_set_backoff(NULL, 1, 2, 3, &error));
    NULLS(secretcache_config_set_region(NULL, ID, &error));
    NULLS(secretcache_config_set_region(config, NOTHING, &error));
    NULLS(secretcache_config_set_endpoint_url(config, NOTHING, &error));
    NULLS(secretcache_config_set_profile(config, NOTHING, &error));
    NULLS(secretcache_config_set_credentials(config, NOTHING, ID, NOTHING, &error));
    NULLS(secretcache_config_set_credentials(config, ID, NOTHING, NOTHING, &error));
    NULLS(secretcache_config_set_role(config, NOTHING, ID, &error));
    NULLS(secretcache_config_set_role_for(config, NOTHING, ID, ID, &error));
    NULLS(secretcache_config_add_fallback_region(config, NOTHING, &error));
    NULLS(secretcache_config_set_fallback_after(NULL, 1, &error));
    NULLS(secretcache_config_set_proxy_url(config, NOTHING, &error));
    NULLS(secretcache_config_set_ca_bundle(config, NOTHING, &error));
    NULLS(secretcache_config_set_use_fips(NULL, true, &error));
    NULLS(secretcache_config_set_timeout(NULL, 1, &error));
    NULLS(secretcache_config_set_source(NULL, &source, &error));
    NULLS(secretcache_config_set_source(config, NULL, &error));
    NULLS(secretcache_config_on_new_version(NULL, on_new_version, NULL, NULL, &error));
    NULLS(secretcache_config_on_new_version(config, NULL, NULL, NULL, &error));
    NULLS(secretcache_config_on_stale(NULL, on_stale, NULL, NULL, &error));
    NULLS(secretcache_config_on_error(NULL, on_error, NULL, NULL, &error));
    NULLS(secretcache_config_on_log(NULL, on_log, NULL, NULL, &error));

    NULLS(secretcache_answer_set_arn(NULL, ID, &error));
    NULLS(secretcache_answer_set_name(NULL, ID, &error));
    NULLS(secretcache_answer_set_version_id(NULL, ID, &error));
    NULLS(secretcache_answer_add_stage(NULL, ID, &error));
    NULLS(secretcache_answer_set_created(NULL, 1, &error));
    NULLS(secretcache_answer_set_string(NULL, ID, &error));
    NULLS(secretcache_answer_set_binary(NULL, no_bytes, &error));
    NULLS(secretcache_answer_add_version_stage(NULL, ID, ID, &error));

    CHECK(made == NULL && stats == NULL && watch == NULL);
    secretcache_value_free(value);
    secretcache_config_free(config);
    secretcache_free(cache);
}

static void texts_are_checked(void)
{
    secretcache_cache *cache = cache_with(store_new(), NULL);
    secretcache_value *value = secretcache_value_new();
    char long_id[3000];
    memset(long_id, 'x', sizeof long_id);
    secretcache_str endless = {"db", SIZE_MAX};
    secretcache_str ids[] = {{"db", 2}, {"\377", 1}};
    secretcache_version_selector bad = secretcache_stage(secretcache_str_of_length("\300\200", 2));

    FAILS(SECRETCACHE_INVALID_TEXT, secretcache_get(cache, SECRETCACHE_STR("\303("), NULL, value, &error));
    FAILS(SECRETCACHE_INVALID_TEXT, secretcache_get(cache, ID, &bad, value, &error));
    FAILS(SECRETCACHE_INVALID_TEXT, secretcache_prefetch(cache, ids, 2, NULL, NULL, &error));
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_prefetch(cache, ids, SIZE_MAX, NULL, NULL, &error));
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_get(cache, endless, NULL, value, &error));
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_get(cache, SECRETCACHE_STR(""), NULL, value, &error));
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_get(cache, SECRETCACHE_STR("d\0b"), NULL, value, &error));
    FAILS(SECRETCACHE_INVALID_ARGUMENT,
          secretcache_get(cache, secretcache_str_of_length(long_id, sizeof long_id), NULL, value, &error));
    bad = secretcache_version_id(SECRETCACHE_STR("short"));
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_get(cache, ID, &bad, value, &error));

    secretcache_value_free(value);
    secretcache_free(cache);
}

static void settings_are_checked(void)
{
    secretcache_config *config = secretcache_config_new();
    secretcache_cache *cache = NULL;
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_config_set_refresh_interval(config, UINT64_MAX, &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION,
          secretcache_config_set_refresh_interval_of(config, ID, UINT64_MAX, &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_config_set_max_size(config, 0, &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_config_set_backoff(config, 1, 0.5, 1, &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_config_set_region(config, SECRETCACHE_STR(" "), &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION,
          secretcache_config_set_endpoint_url(config, SECRETCACHE_STR("localhost"), &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION,
          secretcache_config_set_role(config, SECRETCACHE_STR("role"), NOTHING, &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION,
          secretcache_config_set_role_for(config, ID, SECRETCACHE_STR("role"), NOTHING, &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION,
          secretcache_config_add_fallback_region(config, SECRETCACHE_STR("Ireland"), &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_config_set_fallback_after(config, 0, &error));
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_config_set_timeout(config, 0, &error));
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_set_threads(0, 1, &error));
    FAILS(SECRETCACHE_INVALID_ARGUMENT, secretcache_set_threads(1, 65, &error));

    /* Rejected values have changed nothing, and valid ones take effect. */
    OK(secretcache_config_set_refresh_interval(config, 1000, &error));
    OK(secretcache_config_set_refresh_interval_of(config, ID, 1000, &error));
    OK(secretcache_config_set_max_wait(config, 100, &error));
    OK(secretcache_config_set_max_size(config, 1, &error));
    OK(secretcache_config_set_stale_on_denied(config, false, &error));
    OK(secretcache_config_set_backoff(config, 1, 2, 3, &error));
    OK(secretcache_config_set_region(config, SECRETCACHE_STR("us-east-1"), &error));
    OK(secretcache_config_set_endpoint_url(config, SECRETCACHE_STR("http://127.0.0.1:1"), &error));
    OK(secretcache_config_set_profile(config, SECRETCACHE_STR("default"), &error));
    OK(secretcache_config_set_credentials(config, ID, ID, NOTHING, &error));
    OK(secretcache_config_set_credentials(config, ID, ID, ID, &error));
    OK(secretcache_config_set_role(config, SECRETCACHE_STR("arn:aws:iam::123456789012:role/name"), ID, &error));
    OK(secretcache_config_set_role_for(config, ID, SECRETCACHE_STR("arn:aws:iam::123456789012:role/name"), ID, &error));
    OK(secretcache_config_add_fallback_region(config, SECRETCACHE_STR("eu-west-1"), &error));
    OK(secretcache_config_add_fallback_region(config, SECRETCACHE_STR("us-east-2=http://127.0.0.1:1"), &error));
    OK(secretcache_config_set_fallback_after(config, 1000, &error));
    OK(secretcache_config_set_proxy_url(config, SECRETCACHE_STR("http://127.0.0.1:1"), &error));
    OK(secretcache_config_set_ca_bundle(config, SECRETCACHE_STR("/nonexistent"), &error));
    OK(secretcache_config_set_use_fips(config, false, &error));
    OK(secretcache_config_set_timeout(config, 1000, &error));
    OK(secretcache_new(config, &cache, &error));
    secretcache_value *value = secretcache_value_new();
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_get(cache, ID, NULL, value, &error));
    secretcache_free(cache);

    /* The combination is checked too. */
    OK(secretcache_config_set_max_stale(config, 999, &error));
    cache = NULL;
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_new(config, &cache, &error));
    CHECK(cache == NULL);
    OK(secretcache_config_set_max_stale(config, 1000, &error));
    OK(secretcache_new(config, &cache, &error));
    secretcache_free(cache);
    OK(secretcache_new(NULL, &cache, &error));
    secretcache_free(cache);

    secretcache_value_free(value);
    secretcache_config_free(config);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"null_gives_nothing", null_gives_nothing},
        {"c9_null_is_found_by_the_pointer_variants", c9_null_is_found_by_the_pointer_variants},
        {"null_is_an_error", null_is_an_error},
        {"texts_are_checked", texts_are_checked},
        {"settings_are_checked", settings_are_checked},
        {NULL, NULL},
    };
    return run_tests(tests, argc, argv);
}
