/* Loads and unloads the library at run time, as plug-ins do: `unloading LIBRARY ENDPOINT`. */
#include <dlfcn.h>
#include <secretcache.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Loads a function by its name, with the type that the header declares. */
#define LOAD(name)                                                                                                     \
    __typeof__(name) *load_##name;                                                                                     \
    *(void **)&load_##name = dlsym(library, #name);                                                                    \
    CHECK(load_##name != NULL)

static void use(void *library, const char *endpoint)
{
    LOAD(secretcache_config_new);
    LOAD(secretcache_config_set_endpoint_url);
    LOAD(secretcache_config_free);
    LOAD(secretcache_new);
    LOAD(secretcache_free);
    LOAD(secretcache_get);
    LOAD(secretcache_value_new);
    LOAD(secretcache_value_free);
    LOAD(secretcache_value_name);
    secretcache_config *config = load_secretcache_config_new();
    secretcache_cache *cache = NULL;
    CHECK(load_secretcache_config_set_endpoint_url(config, secretcache_str_of(endpoint), NULL) == SECRETCACHE_OK);
    CHECK(load_secretcache_new(config, &cache, NULL) == SECRETCACHE_OK);
    load_secretcache_config_free(config);
    secretcache_value *value = load_secretcache_value_new();
    CHECK(load_secretcache_get(cache, SECRETCACHE_STR("prod/db"), NULL, value, NULL) == SECRETCACHE_OK);
    CHECK(load_secretcache_value_name(value).length == strlen("prod/db"));
    load_secretcache_value_free(value);
    load_secretcache_free(cache);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    for (int round = 0; round < 3; round++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        use(library, argv[2]);
        /* Its threads still run, so their code must stay loaded. */
        CHECK(dlclose(library) == 0);
        CHECK(dlopen(argv[1], RTLD_NOLOAD | RTLD_NOW) != NULL);
    }
    return 0;
}
