/* Uses this library and another one that contains Rust's standard library. */
#include <secretcache.h>
#include <stdbool.h>
#include <stdio.h>

bool other_catches(void);

int main(void)
{
    secretcache_cache *cache = NULL;
    if (secretcache_new(NULL, &cache, NULL) != SECRETCACHE_OK) {
        return 1;
    }
    secretcache_free(cache);
    puts(secretcache_version().data);
    puts(other_catches() ? "caught" : "not caught");
    return 0;
}
