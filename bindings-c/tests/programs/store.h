/* A secret store in memory, as a source for caches: what it holds and how it fails is said by the test. */
#ifndef STORE_H
#define STORE_H

#include <secretcache.h>

struct store;

struct store *store_new(void);
/* The source takes the store over: it goes with the last cache. */
secretcache_source store_source(struct store *store);

void store_put(struct store *store, const char *name, const char *version_id, const void *bytes, size_t length,
               int is_binary);
void store_put_string(struct store *store, const char *name, const char *version_id, const char *string);
/* NULL takes the label away. */
void store_label(struct store *store, const char *name, const char *stage, const char *version_id);
void store_set_arn(struct store *store, const char *name, const char *arn);

/* From now on the operations named in `on` fail so; "" is all of them. A code of NULL ends it. */
void store_fail(struct store *store, const char *code, const char *message, const char *on);
/* From now on reads fail so of versions that carry one of the labels in `of`. */
void store_fail_of(struct store *store, const char *code, const char *message, const char *of);
/* Is called before each answer, with the store not locked. */
void store_on_call(struct store *store, void (*on_call)(void));
/* From now on nobody is answered, until this is called with 0. */
void store_hold(struct store *store, int is_held);
/* Waits until so many requests are held. */
void store_await_held(struct store *store, int count);

/* How often it was asked. */
int store_calls(struct store *store);
/* The operations since this was last asked, a blank before each; the caller frees it. */
char *store_take_calls(struct store *store);

/* How many stores have been released. */
int stores_released(void);

/* A cache with a store of its own; `config` may be NULL. */
secretcache_cache *cache_with(struct store *store, secretcache_config *config);

#endif
