/* Starts, works, fails, and exits with a given status: `ending own|aws STATUS HOW`. HOW is `return`, `exit` while a
 * callback can run, or `_exit`. Nothing is freed or shut down. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "store.h"

static void on_done(void *user_data, const secretcache_value *value, const secretcache_error *error)
{
    (void)user_data, (void)value, (void)error;
}

static void on_error(void *user_data, secretcache_str id, const secretcache_error *error)
{
    (void)user_data, (void)id, (void)error;
}

static secretcache_cache *cache_of(const char *transport)
{
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_on_error(config, on_error, NULL, NULL, &error));
    secretcache_cache *cache = NULL;
    if (strcmp(transport, "own") == 0) {
        struct store *store = store_new();
        store_put_string(store, "db", "v1", "{\"username\":\"app\"}");
        store_label(store, "db", "AWSCURRENT", "v1");
        cache = cache_with(store, config);
    } else {
        OK(secretcache_new(config, &cache, &error));
    }
    secretcache_config_free(config);
    return cache;
}

int main(int argc, char **argv)
{
    CHECK(argc == 4);
    secretcache_cache *cache = cache_of(argv[1]);
    secretcache_value *value = secretcache_value_new();
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    FAILS(SECRETCACHE_SECRET_NOT_FOUND, secretcache_get(cache, SECRETCACHE_STR("none"), NULL, value, &error));
    /* In progress when the program exits. */
    OK(secretcache_get_async(cache, SECRETCACHE_STR("other"), NULL, on_done, NULL, &error));
    const int status = atoi(argv[2]);
    if (strcmp(argv[3], "exit") == 0) {
        exit(status);
    }
    if (strcmp(argv[3], "_exit") == 0) {
        _exit(status);
    }
    return status;
}
