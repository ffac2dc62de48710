/* Several Regions in one cache: the secret's own Region does not respond. */
#include <pthread.h>

#include "check.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t reported = PTHREAD_COND_INITIALIZER;
static int is_reported;

static void on_event(void *user_data, const secretcache_event *event)
{
    (void)user_data;
    if (event->kind != SECRETCACHE_EVENT_REPLICA) {
        return;
    }
    CHECK(event->region.length == 9 && memcmp(event->region.data, "eu-west-1", 9) == 0);
    CHECK(secretcache_error_code(event->error) == SECRETCACHE_TIMEOUT);
    pthread_mutex_lock(&lock);
    is_reported = 1;
    pthread_cond_signal(&reported);
    pthread_mutex_unlock(&lock);
}

int main(void)
{
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_ffi_config_add_fallback_region(config, "eu-west-1", &error));
    OK(secretcache_config_set_fallback_after(config, 500, &error));
    OK(secretcache_config_on_event(config, on_event, NULL, NULL, &error));
    secretcache_cache *cache = NULL;
    OK(secretcache_new(config, &cache, &error));
    secretcache_value *value = secretcache_value_new();
    secretcache_str text;
    OK(secretcache_get_string(cache, SECRETCACHE_STR("db"), NULL, value, &text, &error));
    CHECK(text.length == 2 && memcmp(text.data, "v1", 2) == 0);
    pthread_mutex_lock(&lock);
    while (!is_reported) {
        pthread_cond_wait(&reported, &lock);
    }
    pthread_mutex_unlock(&lock);
    secretcache_stats *stats = NULL;
    OK(secretcache_stats_new(cache, &stats, &error));
    CHECK(secretcache_stats_count(stats, SECRETCACHE_COUNTER_REPLICA_READS) == 1);
    secretcache_stats_free(stats);
    secretcache_value_free(value);
    secretcache_free(cache);
    secretcache_config_free(config);
    return 0;
}
