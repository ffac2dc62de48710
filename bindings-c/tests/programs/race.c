/* Has a data race, to test that the checker finds it: the program and a callback increment a counter without a lock. */
#include <semaphore.h>

#include "check.h"
#include "store.h"

static int counter;
static sem_t done;

static void on_done(void *user_data, const secretcache_value *value, const secretcache_error *error)
{
    FROM_LIBRARY();
    (void)user_data, (void)value, (void)error;
    counter++;
    TO_LIBRARY();
    sem_post(&done);
}

int main(void)
{
    struct store *store = store_new();
    store_put_string(store, "db", "v1", "hunter2");
    store_label(store, "db", "AWSCURRENT", "v1");
    secretcache_cache *cache = cache_with(store, NULL);
    sem_init(&done, 0, 0);
    OK(secretcache_get_async(cache, SECRETCACHE_STR("db"), NULL, on_done, NULL, &error));
    counter++;
    sem_wait(&done);
    secretcache_free(cache);
    secretcache_shutdown(5000);
    return 0;
}
