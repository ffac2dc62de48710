/* Calls functions in random order with random arguments, except for invalid pointers: `fuzz SEED STEPS`. Built with
 * -DLIBFUZZER, the fuzzer's bytes choose the calls (`bindings-c/fuzz`). Every call must return a result, and none may
 * crash. */
#include <stdint.h>

#include "check.h"
#include "store.h"

struct bytes {
    const uint8_t *data;
    size_t length, place;
    uint64_t state;
};

static unsigned draw(struct bytes *bytes, unsigned limit)
{
    if (bytes->data) {
        return bytes->place < bytes->length ? bytes->data[bytes->place++] % limit : 0;
    }
    bytes->state ^= bytes->state << 13;
    bytes->state ^= bytes->state >> 7;
    bytes->state ^= bytes->state << 17;
    return (unsigned)(bytes->state % limit);
}

static secretcache_str any_text(struct bytes *bytes)
{
    static const char *const TEXTS[] = {"db",       "none", "AWSCURRENT", "AWSPENDING", "password", "",
                                        "\377\376", "d\nb", "username",   "\303\251",   "port",     "x"};
    static char large[4096];
    switch (draw(bytes, 8)) {
    case 0:
        return secretcache_str_of(NULL);
    case 1:
        return secretcache_str_of_length(NULL, 7);
    case 2:
        return secretcache_str_of_length("db", (size_t)1 << 63);
    case 3:
        return secretcache_str_of_length(large, sizeof large);
    default:
        return secretcache_str_of(TEXTS[draw(bytes, sizeof TEXTS / sizeof *TEXTS)]);
    }
}

static secretcache_login log_in(void *user_data, const secretcache_credential *credential)
{
    struct bytes *bytes = user_data;
    secretcache_credential_field(credential, any_text(bytes));
    secretcache_credential_password(credential);
    secretcache_credential_port(credential);
    /* After a refusal `secretcache_connect` pauses, which would waste the fuzzer's time. */
    return draw(bytes, 2) ? SECRETCACHE_LOGIN_ACCEPTED : 1 + SECRETCACHE_LOGIN_ERROR;
}

static void step(struct bytes *bytes, secretcache_cache **cache, secretcache_config *config, secretcache_value *value,
                 struct store **store)
{
    secretcache_error *error = NULL;
    secretcache_str text;
    secretcache_bytes binary;
    secretcache_value *made = NULL;
    secretcache_stats *stats = NULL;
    secretcache_watch *watch = NULL;
    secretcache_version_selector version = {any_text(bytes), any_text(bytes)};
    const secretcache_version_selector *selector = draw(bytes, 2) ? &version : NULL;
    secretcache_value *place = draw(bytes, 8) ? value : NULL;
    secretcache_str id = any_text(bytes), other = any_text(bytes);
    secretcache_str ids[] = {id, other};
    uint64_t number = (uint64_t)draw(bytes, 256) << draw(bytes, 57);
    secretcache_result result = SECRETCACHE_OK;
    switch (draw(bytes, 24)) {
    case 0:
        result = secretcache_get(*cache, id, selector, place, &error);
        break;
    case 1:
        result = secretcache_get_string(*cache, id, selector, place, &text, &error);
        break;
    case 2:
        result = secretcache_get_binary(*cache, id, selector, place, &binary, &error);
        break;
    case 3:
        result = secretcache_get_field(*cache, id, selector, other, place, &text, &error);
        break;
    case 4:
        result = secretcache_peek(*cache, id, selector, place, &error);
        break;
    case 5:
        result = secretcache_refresh(*cache, id, selector, place, &error);
        break;
    case 6:
        result = secretcache_prefetch(*cache, ids, draw(bytes, 3), NULL, NULL, &error);
        break;
    case 7:
        result = secretcache_invalidate(*cache, id, &error);
        break;
    case 8:
        result = secretcache_connect(*cache, id, 1 + draw(bytes, 50), log_in, bytes, &error);
        break;
    case 9:
        result = secretcache_connect_stages(*cache, id, ids, draw(bytes, 3), 1 + draw(bytes, 9), log_in, bytes, &error);
        break;
    case 10:
        result = secretcache_value_string(place, &text, &error);
        break;
    case 11:
        result = secretcache_value_binary(place, &binary, &error);
        break;
    case 12:
        result = secretcache_value_field(place, other, &made, &error);
        break;
    case 13:
        result = secretcache_value_clone(place, &made, &error);
        break;
    case 14:
        result = secretcache_config_set_refresh_interval(config, number, &error);
        break;
    case 15:
        result = secretcache_config_set_max_stale(config, number, &error);
        break;
    case 16:
        result = secretcache_config_set_max_size(config, (size_t)number, &error);
        break;
    case 17:
        result = secretcache_config_set_backoff(config, number, (double)number / 3, number, &error);
        break;
    case 18:
        result = secretcache_config_set_endpoint_url(config, other, &error);
        break;
    case 19:
        result = secretcache_watch_new(*cache, id, &watch, &error);
        break;
    case 20:
        result = secretcache_stats_new(*cache, &stats, &error);
        secretcache_stats_count(stats, draw(bytes, 256));
        secretcache_stats_secret_id(stats, number);
        secretcache_stats_failures(stats, draw(bytes, 256));
        break;
    case 21:
        store_label(*store, "db", draw(bytes, 2) ? "AWSCURRENT" : "AWSPENDING", draw(bytes, 4) ? "v1" : "v2");
        store_fail(*store, draw(bytes, 3) ? NULL : "ThrottlingException", "slow down", "");
        break;
    case 22:
        secretcache_value_clear(place);
        break;
    case 23:
        secretcache_free(*cache);
        *store = store_new();
        store_put_string(*store, "db", "v1", "{\"username\":\"app\",\"password\":\"hunter2\",\"port\":1}");
        store_put(*store, "db", "v2", "\0\377", 2, 1);
        store_label(*store, "db", "AWSCURRENT", "v1");
        *cache = cache_with(*store, NULL);
        break;
    }
    /* There is an error exactly if the call failed. */
    CHECK((result == SECRETCACHE_OK) == (error == NULL));
    CHECK(!error || (secretcache_error_code(error) == result && result != SECRETCACHE_INTERNAL));
    CHECK(!error || !strstr(secretcache_error_message(error).data, "hunter2"));
    secretcache_error_free(error);
    secretcache_value_free(made);
    secretcache_stats_free(stats);
    secretcache_watch_free(watch);
}

static void run(struct bytes *bytes, int steps)
{
    struct store *store = store_new();
    store_put_string(store, "db", "v1", "{\"username\":\"app\",\"password\":\"hunter2\",\"port\":1}");
    store_label(store, "db", "AWSCURRENT", "v1");
    secretcache_cache *cache = cache_with(store, NULL);
    secretcache_config *config = secretcache_config_new();
    secretcache_value *value = secretcache_value_new();
    for (int number = 0; number < steps; number++) {
        step(bytes, &cache, config, value, &store);
    }
    secretcache_value_free(value);
    secretcache_config_free(config);
    secretcache_free(cache);
}

#ifdef LIBFUZZER
void fuzz_calls(const uint8_t *data, size_t length);

void fuzz_calls(const uint8_t *data, size_t length)
{
    struct bytes bytes = {data, length, 0, 0};
    run(&bytes, (int)(length / 8));
}
#else
int main(int argc, char **argv)
{
    CHECK(argc == 3);
    struct bytes bytes = {NULL, 0, 0, strtoull(argv[1], NULL, 10) * 2654435761u + 88172645463325252u};
    run(&bytes, atoi(argv[2]));
    secretcache_shutdown(5000);
    return 0;
}
#endif
