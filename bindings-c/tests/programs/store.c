#include "store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { MOST = 64, NAME = 128 };

struct version {
    char id[NAME];
    unsigned char *bytes;
    size_t length;
    int is_binary;
};

struct label {
    char stage[NAME];
    char version_id[NAME];
};

struct held {
    char name[NAME];
    char arn[NAME];
    struct version versions[MOST];
    struct label labels[MOST];
    int version_count;
    int label_count;
};

struct store {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct held *secrets[MOST];
    int secret_count;
    char code[NAME], message[NAME], on[NAME], of[NAME];
    void (*on_call)(void);
    int is_held;
    int held_count;
    int calls;
    char log[1 << 16];
};

static atomic_int released;

int stores_released(void)
{
    return atomic_load(&released);
}

struct store *store_new(void)
{
    struct store *store = calloc(1, sizeof *store);
    CHECK(store != NULL);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->changed, NULL);
    return store;
}

static void store_free(void *user_data)
{
    FROM_LIBRARY();
    struct store *store = user_data;
    /* Waits until its last user has left it. */
    pthread_mutex_lock(&store->lock);
    pthread_mutex_unlock(&store->lock);
    for (int secret = 0; secret < store->secret_count; secret++) {
        for (int version = 0; version < store->secrets[secret]->version_count; version++) {
            free(store->secrets[secret]->versions[version].bytes);
        }
        free(store->secrets[secret]);
    }
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    free(store);
    atomic_fetch_add(&released, 1);
}

static void copy(char place[NAME], const char *text, size_t length)
{
    CHECK(length < NAME);
    memcpy(place, text, length);
    place[length] = '\0';
}

static struct held *secret_named(struct store *store, const char *name)
{
    for (int number = 0; number < store->secret_count; number++) {
        if (strcmp(store->secrets[number]->name, name) == 0) {
            return store->secrets[number];
        }
    }
    CHECK(store->secret_count < MOST);
    struct held *held = calloc(1, sizeof *held);
    CHECK(held != NULL);
    copy(held->name, name, strlen(name));
    store->secrets[store->secret_count++] = held;
    return held;
}

void store_put(struct store *store, const char *name, const char *version_id, const void *bytes, size_t length,
               int is_binary)
{
    pthread_mutex_lock(&store->lock);
    struct held *held = secret_named(store, name);
    struct version *version = NULL;
    for (int number = 0; number < held->version_count; number++) {
        if (strcmp(held->versions[number].id, version_id) == 0) {
            version = &held->versions[number];
        }
    }
    if (!version) {
        CHECK(held->version_count < MOST);
        version = &held->versions[held->version_count++];
        copy(version->id, version_id, strlen(version_id));
    }
    free(version->bytes);
    version->bytes = malloc(length + 1);
    CHECK(version->bytes != NULL);
    memcpy(version->bytes, bytes, length);
    version->length = length;
    version->is_binary = is_binary;
    pthread_mutex_unlock(&store->lock);
}

void store_put_string(struct store *store, const char *name, const char *version_id, const char *string)
{
    store_put(store, name, version_id, string, strlen(string), 0);
}

void store_label(struct store *store, const char *name, const char *stage, const char *version_id)
{
    pthread_mutex_lock(&store->lock);
    struct held *held = secret_named(store, name);
    struct label *label = NULL;
    for (int number = 0; number < held->label_count; number++) {
        if (strcmp(held->labels[number].stage, stage) == 0) {
            label = &held->labels[number];
        }
    }
    if (!label) {
        CHECK(held->label_count < MOST);
        label = &held->labels[held->label_count++];
        copy(label->stage, stage, strlen(stage));
    }
    version_id = version_id ? version_id : "";
    copy(label->version_id, version_id, strlen(version_id));
    pthread_mutex_unlock(&store->lock);
}

void store_set_arn(struct store *store, const char *name, const char *arn)
{
    pthread_mutex_lock(&store->lock);
    copy(secret_named(store, name)->arn, arn, strlen(arn));
    pthread_mutex_unlock(&store->lock);
}

void store_fail(struct store *store, const char *code, const char *message, const char *on)
{
    pthread_mutex_lock(&store->lock);
    copy(store->code, code ? code : "", code ? strlen(code) : 0);
    copy(store->message, message, strlen(message));
    copy(store->on, on, strlen(on));
    store->of[0] = '\0';
    pthread_mutex_unlock(&store->lock);
}

void store_fail_of(struct store *store, const char *code, const char *message, const char *of)
{
    store_fail(store, code, message, "");
    pthread_mutex_lock(&store->lock);
    copy(store->of, of, strlen(of));
    pthread_mutex_unlock(&store->lock);
}

void store_on_call(struct store *store, void (*on_call)(void))
{
    store->on_call = on_call;
}

void store_hold(struct store *store, int is_held)
{
    pthread_mutex_lock(&store->lock);
    store->is_held = is_held;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

void store_await_held(struct store *store, int count)
{
    pthread_mutex_lock(&store->lock);
    while (store->held_count < count) {
        pthread_cond_wait(&store->changed, &store->lock);
    }
    pthread_mutex_unlock(&store->lock);
}

int store_calls(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    int calls = store->calls;
    pthread_mutex_unlock(&store->lock);
    return calls;
}

char *store_take_calls(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    char *calls = strdup(store->log);
    store->log[0] = '\0';
    pthread_mutex_unlock(&store->lock);
    return calls;
}

static int is_named(const struct held *held, secretcache_str id)
{
    if (is(id, held->name) || (held->arn[0] && is(id, held->arn))) {
        return 1;
    }
    /* A partial ARN, without the hyphen and the six characters that the service appends. */
    size_t length = strlen(held->arn);
    return length > 7 && id.length == length - 7 && memcmp(id.data, held->arn, id.length) == 0;
}

/* Begins an answer: counts the call, waits while the store is held, and fails if the test wants that. Returns NULL if
 * it has already answered. */
static struct held *begin(struct store *store, const char *operation, secretcache_str id, secretcache_answer *answer)
{
    store->calls++;
    if (strlen(store->log) + NAME < sizeof store->log) {
        strcat(strcat(store->log, " "), operation);
    }
    /* Whether a request fails is decided when it arrives, not when it is answered. */
    int fails = store->code[0] && !store->of[0] && (!store->on[0] || strstr(store->on, operation));
    char code[NAME], message[NAME];
    strcpy(code, store->code);
    strcpy(message, store->message);
    if (store->is_held) {
        store->held_count++;
        pthread_cond_broadcast(&store->changed);
        while (store->is_held) {
            pthread_cond_wait(&store->changed, &store->lock);
        }
        store->held_count--;
    }
    if (!fails) {
        for (int number = 0; number < store->secret_count; number++) {
            if (is_named(store->secrets[number], id)) {
                return store->secrets[number];
            }
        }
        strcpy(code, "ResourceNotFoundException");
        strcpy(message, "Secrets Manager can't find the specified secret.");
    }
    secretcache_answer_fail_as_service(answer, secretcache_str_of(code), secretcache_str_of(message), 400,
                                       SECRETCACHE_STR("request-1"));
    return NULL;
}

static void set_arn(const struct held *held, secretcache_answer *answer)
{
    if (held->arn[0]) {
        OK(secretcache_answer_set_arn(answer, secretcache_str_of(held->arn), &error));
    }
}

static void describe(void *user_data, secretcache_str id, secretcache_answer *answer)
{
    FROM_LIBRARY();
    struct store *store = user_data;
    if (store->on_call) {
        store->on_call();
    }
    pthread_mutex_lock(&store->lock);
    struct held *held = begin(store, "DescribeSecret", id, answer);
    if (held) {
        set_arn(held, answer);
        for (int number = 0; number < held->label_count; number++) {
            const struct label *label = &held->labels[number];
            if (label->version_id[0]) {
                OK(secretcache_answer_add_version_stage(answer, secretcache_str_of(label->version_id),
                                                        secretcache_str_of(label->stage), &error));
            }
        }
        secretcache_answer_succeed(answer);
    }
    pthread_mutex_unlock(&store->lock);
    TO_LIBRARY();
}

static const struct version *version_of(const struct held *held, const secretcache_version_selector *selector)
{
    secretcache_str id = selector->version_id;
    for (int number = 0; selector->stage.data && number < held->label_count; number++) {
        if (is(selector->stage, held->labels[number].stage)) {
            id = secretcache_str_of(held->labels[number].version_id);
        }
    }
    for (int number = 0; id.data && number < held->version_count; number++) {
        if (is(id, held->versions[number].id)) {
            return &held->versions[number];
        }
    }
    return NULL;
}

static void give(const struct held *held, const struct version *version, secretcache_answer *answer)
{
    set_arn(held, answer);
    OK(secretcache_answer_set_version_id(answer, secretcache_str_of(version->id), &error));
    for (int number = 0; number < held->label_count; number++) {
        if (strcmp(held->labels[number].version_id, version->id) == 0) {
            OK(secretcache_answer_add_stage(answer, secretcache_str_of(held->labels[number].stage), &error));
        }
    }
    if (version->is_binary) {
        secretcache_bytes bytes;
        bytes.data = version->bytes;
        bytes.length = version->length;
        OK(secretcache_answer_set_binary(answer, bytes, &error));
    } else {
        secretcache_str text = secretcache_str_of_length((const char *)version->bytes, version->length);
        OK(secretcache_answer_set_string(answer, text, &error));
    }
    secretcache_answer_succeed(answer);
}

/* Returns whether the requested version has a label whose versions fail. */
static int is_spoilt(const struct store *store, const struct held *held, const secretcache_version_selector *selector)
{
    secretcache_str id = selector->version_id;
    for (int number = 0; selector->stage.data && number < held->label_count; number++) {
        if (is(selector->stage, held->labels[number].stage)) {
            id = secretcache_str_of(held->labels[number].version_id);
        }
    }
    for (int number = 0; store->of[0] && id.data && number < held->label_count; number++) {
        if (is(id, held->labels[number].version_id) && strstr(store->of, held->labels[number].stage)) {
            return 1;
        }
    }
    return 0;
}

static void fetch(void *user_data, secretcache_str id, const secretcache_version_selector *selector,
                  secretcache_answer *answer)
{
    FROM_LIBRARY();
    struct store *store = user_data;
    if (store->on_call) {
        store->on_call();
    }
    pthread_mutex_lock(&store->lock);
    struct held *held = begin(store, "GetSecretValue", id, answer);
    if (held) {
        const struct version *version = version_of(held, selector);
        if (is_spoilt(store, held, selector)) {
            secretcache_answer_fail_as_service(answer, secretcache_str_of(store->code),
                                               secretcache_str_of(store->message), 400, SECRETCACHE_STR("request-1"));
        } else if (version) {
            give(held, version, answer);
        } else {
            secretcache_answer_fail_as_service(
                answer, SECRETCACHE_STR("ResourceNotFoundException"),
                SECRETCACHE_STR("Secrets Manager can't find the specified secret value for staging label: it"), 400,
                SECRETCACHE_STR("request-1"));
        }
    }
    pthread_mutex_unlock(&store->lock);
    TO_LIBRARY();
}

secretcache_source store_source(struct store *store)
{
    secretcache_source source;
    memset(&source, 0, sizeof source);
    source.size = sizeof source;
    source.user_data = store;
    source.fetch = fetch;
    source.describe = describe;
    source.release = store_free;
    return source;
}

secretcache_cache *cache_with(struct store *store, secretcache_config *config)
{
    secretcache_config *own = config ? config : secretcache_config_new();
    secretcache_source source = store_source(store);
    secretcache_cache *cache = NULL;
    OK(secretcache_config_set_source(own, &source, &error));
    OK(secretcache_new(own, &cache, &error));
    if (!config) {
        secretcache_config_free(own);
    }
    return cache;
}
