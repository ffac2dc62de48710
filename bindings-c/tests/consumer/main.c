/* Creates a cache, and prints the version of the library. */
#include <secretcache.h>
#include <stdio.h>

int main(void)
{
    secretcache_cache *cache = NULL;
    if (secretcache_new(NULL, &cache, NULL) != SECRETCACHE_OK) {
        return 1;
    }
    secretcache_free(cache);
    printf("%s\n", secretcache_version().data);
    return 0;
}
