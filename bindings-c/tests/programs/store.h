/* A secret store in memory, as a source for caches. The test decides what it contains and how it fails. */
#ifndef STORE_H
#define STORE_H

#include <secretcache.h>

struct store;

struct store *store_new(void);
/* The source takes over the store, which is freed with the last cache. */
secretcache_source store_source(struct store *store);

void store_put(struct store *store, const char *name, const char *version_id, const void *bytes, size_t length,
               int is_binary);
void store_put_string(struct store *store, const char *name, const char *version_id, const char *string);
/* NULL as the version id removes the label. */
void store_label(struct store *store, const char *name, const char *stage, const char *version_id);
void store_set_arn(struct store *store, const char *name, const char *arn);

/* Makes the operations named in `on` fail from now on; "" means all of them. A NULL code ends this. */
void store_fail(struct store *store, const char *code, const char *message, const char *on);
/* Makes reads of versions with one of the labels in `of` fail from now on. */
void store_fail_of(struct store *store, const char *code, const char *message, const char *of);
/* Sets a function that is called before each answer, while the store is not locked. */
void store_on_call(struct store *store, void (*on_call)(void));
/* Holds all answers until this is called with 0. */
void store_hold(struct store *store, int is_held);
/* Waits until `count` requests are held. */
void store_await_held(struct store *store, int count);

/* Returns how many requests the store has received. */
int store_calls(struct store *store);
/* Returns the operations since the last call, with a space before each; the caller frees the text. */
char *store_take_calls(struct store *store);

/* Returns how many stores have been released. */
int stores_released(void);

/* Returns a cache that reads from the store; `config` may be NULL. */
secretcache_cache *cache_with(struct store *store, secretcache_config *config);

#endif
