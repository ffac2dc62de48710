/* A user's program, to run under valgrind and the thread sanitizer: reads on two threads, gets a new version in a
 * callback, and exits while the threads of the library run. */
#include <pthread.h>

#include "check.h"

struct news {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int versions;
};

static void on_new_version(void *user_data, secretcache_str id, secretcache_str stage, secretcache_str old_version,
                           secretcache_str new_version)
{
    (void)id, (void)stage, (void)old_version, (void)new_version;
    struct news *news = user_data;
    pthread_mutex_lock(&news->lock);
    news->versions++;
    pthread_cond_signal(&news->changed);
    pthread_mutex_unlock(&news->lock);
}

static void *read_often(void *cache)
{
    secretcache_value *value = secretcache_value_new();
    for (int read = 0; read < 200; read++) {
        secretcache_str text;
        OK(secretcache_get_field(cache, SECRETCACHE_STR("user/db"), NULL, SECRETCACHE_STR("username"), value, &text,
                                 &error));
        CHECK(text.length == 3 && text.data[0] == 'a');
        if (read % 50 == 0) {
            OK(secretcache_refresh(cache, SECRETCACHE_STR("user/db"), NULL, NULL, &error));
        }
    }
    secretcache_value_free(value);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct news news = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_timeout(config, 60000, &error)); /* slow under a checker */
    OK(secretcache_config_set_max_wait(config, 60000, &error));
    OK(secretcache_config_on_new_version(config, on_new_version, &news, NULL, &error));
    secretcache_cache *cache = NULL;
    OK(secretcache_new(config, &cache, &error));
    secretcache_config_free(config);
    pthread_t threads[2];
    for (int thread = 0; thread < 2; thread++) {
        CHECK(pthread_create(&threads[thread], NULL, read_often, cache) == 0);
    }
    for (int thread = 0; thread < 2; thread++) {
        CHECK(pthread_join(threads[thread], NULL) == 0);
    }
    /* Now the test stores a new version. */
    puts("read");
    fflush(stdout);
    CHECK(getchar() == '\n');
    OK(secretcache_refresh(cache, SECRETCACHE_STR("user/db"), NULL, NULL, &error));
    pthread_mutex_lock(&news.lock);
    while (news.versions == 0) {
        pthread_cond_wait(&news.changed, &news.lock);
    }
    pthread_mutex_unlock(&news.lock);
    if (argc > 1 && strcmp(argv[1], "leak") == 0) {
        secretcache_value *forgotten = secretcache_value_new();
        OK(secretcache_get(cache, SECRETCACHE_STR("user/db"), NULL, forgotten, &error));
        forgotten = NULL;
    }
    secretcache_free(cache);
    return 0;
}
