/* Prints the name of the user in a secret: `get prod/checkout/db`.
 *
 *     cc get.c $(pkg-config --cflags --libs secretcache) -o get
 */
#include <secretcache.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: get SECRET\n");
        return 2;
    }
    secretcache_cache *cache = NULL;
    secretcache_value *value = secretcache_value_new();
    secretcache_error *error = NULL;
    secretcache_str username;

    int failed = secretcache_new(NULL, &cache, &error) != SECRETCACHE_OK ||
                 secretcache_get_field(cache, secretcache_str_of(argv[1]), NULL, SECRETCACHE_STR("username"), value,
                                       &username, &error) != SECRETCACHE_OK;
    if (failed) {
        fprintf(stderr, "%s\n", secretcache_error_message(error).data);
        secretcache_error_free(error);
    } else {
        /* A field is followed by a NUL; whole strings and binaries come with their length only. */
        printf("%s\n", username.data);
    }
    secretcache_value_free(value);
    secretcache_free(cache);
    return failed;
}
