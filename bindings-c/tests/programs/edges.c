/* Process exits, shutdowns, memory use over time, and the cost of reading a field. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "store.h"

/* Counts the allocations of this program and of the library, whose calls also come here. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
static atomic_long allocations;
#ifdef COUNT_ALLOCATIONS
void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, size);
}
int posix_memalign(void **out, size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : 12;
}
#endif

static struct store *filled(void)
{
    struct store *store = store_new();
    store_put_string(store, "db", "v1", "{\"username\":\"app\",\"password\":\"hunter2\",\"port\":5432}");
    store_label(store, "db", "AWSCURRENT", "v1");
    return store;
}

static long long nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

#define READS 20000

/* Returns the time of the fastest of several runs, in nanoseconds per read. */
static double cost(secretcache_cache *cache, secretcache_value *value, int is_field)
{
    double best = 1e9;
    for (int run = 0; run < 7; run++) {
        long long start = nanoseconds();
        for (int read = 0; read < READS; read++) {
            secretcache_str text;
            secretcache_result result =
                is_field ? secretcache_get_field(cache, SECRETCACHE_STR("db"), NULL, SECRETCACHE_STR("password"), value,
                                                 &text, NULL)
                         : secretcache_get_string(cache, SECRETCACHE_STR("db"), NULL, value, &text, NULL);
            CHECK(result == SECRETCACHE_OK);
        }
        double each = (double)(nanoseconds() - start) / READS;
        best = each < best ? each : best;
    }
    return best;
}

/* A hit on a field allocates nothing. The test also prints the cost of a field and of a string in a debug build; `make
 * bench` measures a release build. */
static void c8_a_field_is_read_without_parsing(void)
{
    secretcache_cache *cache = cache_with(filled(), NULL);
    secretcache_value *value = secretcache_value_new();
    secretcache_str text;
    OK(secretcache_get_field(cache, SECRETCACHE_STR("db"), NULL, SECRETCACHE_STR("password"), value, &text, &error));
    CHECK(is(text, "hunter2"));
    const double string = cost(cache, value, 0);
    cost(cache, value, 1);
    const long before = atomic_load(&allocations);
    const double field = cost(cache, value, 1);
    CHECK(atomic_load(&allocations) - before < READS / 10); /* other threads may allocate occasionally */
    fprintf(stderr, "a string %.0f ns, a field %.0f ns\n", string, field);
    secretcache_value_free(value);
    secretcache_free(cache);
}

static size_t in_use(void)
{
    return mallinfo2().uordblks;
}

#define SECRETS 12
#define ROUNDS 12

/* Reads with a newly allocated id each time, most of which are evicted at once, and a million reads of fields. */
static void memory_stays_flat(void)
{
    struct store *store = filled();
    for (int number = 0; number < SECRETS; number++) {
        char id[32];
        snprintf(id, sizeof id, "db-%d", number);
        store_put_string(store, id, "v1", "{\"username\":\"app\",\"password\":\"hunter2\"}");
        store_label(store, id, "AWSCURRENT", "v1");
    }
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_max_size(config, 4, &error));
    secretcache_cache *cache = cache_with(store, config);
    secretcache_config_free(config);
    secretcache_value *value = secretcache_value_new();
    size_t after_warming_up = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int step = 0; step < 20 * SECRETS; step++) {
            char *id = malloc(32);
            CHECK(id != NULL);
            snprintf(id, 32, "db-%d", step % SECRETS);
            secretcache_str text;
            OK(secretcache_get_field(cache, secretcache_str_of(id), NULL, SECRETCACHE_STR("password"), value, &text,
                                     &error));
            secretcache_error *missing = NULL;
            CHECK(secretcache_get_field(cache, secretcache_str_of(id), NULL, SECRETCACHE_STR("none"), value, &text,
                                        &missing) == SECRETCACHE_FIELD_NOT_FOUND);
            secretcache_error_free(missing);
            free(id);
        }
        for (int read = 0; read < 1000000 / ROUNDS; read++) {
            secretcache_str text;
            CHECK(secretcache_get_field(cache, SECRETCACHE_STR("db"), NULL,
                                        read % 2 ? SECRETCACHE_STR("username") : SECRETCACHE_STR("port"), value, &text,
                                        NULL) == SECRETCACHE_OK);
        }
        free(store_take_calls(store));
        if (round == 3) {
            after_warming_up = in_use();
        }
    }
    const size_t grown = in_use() > after_warming_up ? in_use() - after_warming_up : 0;
    fprintf(stderr, "grown by %zu bytes in eight rounds\n", grown);
    CHECK(grown < 64 * 1024);
    secretcache_value_free(value);
    secretcache_free(cache);
}

static atomic_int done_count;
static atomic_int is_over;

static void on_done(void *user_data, const secretcache_value *value, const secretcache_error *error)
{
    (void)user_data;
    CHECK((value == NULL) != (error == NULL));
    CHECK(!atomic_load(&is_over));
    atomic_fetch_add(&done_count, 1);
}

/* When the shutdown returns, the callback of every started read has run, and none runs after that. */
static void c10_nothing_is_called_after_shutdown(void)
{
    struct store *store = filled();
    secretcache_cache *cache = cache_with(store, NULL);
    secretcache_value *value = secretcache_value_new();
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error));
    store_hold(store, 1);
    for (int number = 0; number < 50; number++) {
        /* Half of them wait for a source that does not respond. */
        secretcache_str id = number % 2 ? SECRETCACHE_STR("db") : SECRETCACHE_STR("none");
        OK(secretcache_get_async(cache, id, NULL, on_done, NULL, &error));
    }
    store_await_held(store, 1);
    store_hold(store, 0);
    secretcache_shutdown(60000);
    CHECK(atomic_load(&done_count) == 50);
    atomic_store(&is_over, 1);
    FAILS(SECRETCACHE_CLOSED, secretcache_get_async(cache, SECRETCACHE_STR("db"), NULL, on_done, NULL, &error));
    OK(secretcache_get(cache, SECRETCACHE_STR("db"), NULL, value, &error)); /* still works from memory */
    secretcache_value_free(value);
    secretcache_free(cache);
}

static void shut_down(void *user_data, const secretcache_value *value, const secretcache_error *error)
{
    (void)value, (void)error;
    secretcache_shutdown(60000);
    pthread_mutex_unlock(user_data);
}

static void c10_a_callback_may_shut_down(void)
{
    secretcache_cache *cache = cache_with(filled(), NULL);
    static pthread_mutex_t done = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&done);
    OK(secretcache_get_async(cache, SECRETCACHE_STR("db"), NULL, shut_down, &done, &error));
    pthread_mutex_lock(&done);
    secretcache_free(cache);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"c8_a_field_is_read_without_parsing", c8_a_field_is_read_without_parsing},
        {"memory_stays_flat", memory_stays_flat},
        {"c10_nothing_is_called_after_shutdown", c10_nothing_is_called_after_shutdown},
        {"c10_a_callback_may_shut_down", c10_a_callback_may_shut_down},
        {NULL, NULL},
    };
    return run_tests(tests, argc, argv);
}
