/**
 * @file
 * Secrets from AWS Secrets Manager: read from memory in nanoseconds, refreshed in the background, and available when
 * the service is unreachable.
 *
 * @code
 * secretcache_cache *cache;
 * if (secretcache_new(NULL, &cache, NULL) != SECRETCACHE_OK) return;
 * secretcache_value *value = secretcache_value_new();
 * secretcache_str password;
 * secretcache_error *error;
 * if (secretcache_get_field(cache, SECRETCACHE_STR("prod/checkout/db"), NULL, SECRETCACHE_STR("password"), value,
 *                           &password, &error) == SECRETCACHE_OK) {
 *     log_in(password.data, password.length);
 * } else {
 *     fprintf(stderr, "%s\n", secretcache_error_message(error).data);
 *     secretcache_error_free(error);
 * }
 * secretcache_value_free(value);
 * secretcache_free(cache);
 * @endcode
 *
 * Conventions, which hold for every function unless it says otherwise:
 *
 * - Results. A function that can fail returns SECRETCACHE_OK or the reason. Outputs (`..._out`) are written only on
 *   success. `error_out` may be NULL; on failure it gets an error that the caller frees with `secretcache_error_free`,
 *   and on success it is not changed.
 * - Arguments. Unless a function says what NULL means, NULL fails with SECRETCACHE_NULL_ARGUMENT. A function without
 *   a result code then does nothing, or returns the same as if there were no data (0, -1, false, NULL or no text).
 *   Text is UTF-8 with a length; anything else fails with SECRETCACHE_INVALID_TEXT. Texts and structures are read only
 *   during the call.
 * - Ownership. An object that a function returns or writes to `..._out` as a pointer belongs to the caller, who frees
 *   it once with the `_free` function of its type. Returned texts and bytes belong to the object that they come from.
 * - Threads. Any number of threads may use a `secretcache_cache` at the same time; only one thread at a time may use
 *   any other object. No function may be called from a signal handler.
 * - Forks. A forked child can use the objects that it inherits: caches start empty there, and values stay as they are.
 *   Objects other than caches must not be in use by another thread at the moment of the fork.
 * - Secrets never appear in errors, events or logs.
 */
#ifndef SECRETCACHE_H
#define SECRETCACHE_H



#ifndef SECRETCACHE_FFI
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#endif

/* In C before C23, the names of the enumerations are also those of integer types, which -Wc++-compat warns about. This
 * is intended. */
#if defined(__GNUC__) && !defined(__cplusplus) && !defined(SECRETCACHE_FFI)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wc++-compat"
#endif

/** The version of this header; `secretcache_version` returns the version of the library. */
#define SECRETCACHE_VERSION "0.1.0"
#define SECRETCACHE_VERSION_MAJOR 0
#define SECRETCACHE_VERSION_MINOR 1
#define SECRETCACHE_VERSION_PATCH 0

#if defined(_WIN32) && !defined(SECRETCACHE_STATIC)
#define SECRETCACHE_API __declspec(dllimport)
#else
#define SECRETCACHE_API
#endif

/**
 * The result of a function. Numbers never change their meaning; new ones are added at the end of their range.
 */
enum secretcache_result
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Success.
     */
    SECRETCACHE_OK = 0,
    /**
     * A pointer is NULL but must not be. Fix the call.
     */
    SECRETCACHE_NULL_ARGUMENT = 1,
    /**
     * A text is not UTF-8. Fix the call.
     */
    SECRETCACHE_INVALID_TEXT = 2,
    /**
     * The secret is not in memory.
     */
    SECRETCACHE_NOT_CACHED = 3,
    /**
     * The login was refused with every version of the secret that could be tried.
     */
    SECRETCACHE_LOGIN_REJECTED = 4,
    /**
     * The login function returned SECRETCACHE_LOGIN_ERROR: the login failed, but was not refused.
     */
    SECRETCACHE_LOGIN_FAILED = 5,
    /**
     * The program cancelled the read.
     */
    SECRETCACHE_CANCELLED = 6,
    /**
     * An argument is wrong: an empty secret id, an unknown number. Fix the call.
     */
    SECRETCACHE_INVALID_ARGUMENT = 100,
    /**
     * The configuration is wrong or incomplete. Fix the configuration.
     */
    SECRETCACHE_INVALID_CONFIGURATION = 101,
    /**
     * No AWS Region is configured. Set AWS_REGION or pass one.
     */
    SECRETCACHE_NO_REGION = 102,
    /**
     * No AWS credentials were found in any of the usual places.
     */
    SECRETCACHE_NO_CREDENTIALS = 103,
    /**
     * The credentials have expired or the service does not accept them.
     */
    SECRETCACHE_INVALID_CREDENTIALS = 104,
    /**
     * The caller is not allowed to read this secret, or to use its KMS key.
     */
    SECRETCACHE_ACCESS_DENIED = 105,
    /**
     * There is no such secret in this account and Region.
     */
    SECRETCACHE_SECRET_NOT_FOUND = 106,
    /**
     * The secret exists, but not the requested version stage or version id.
     */
    SECRETCACHE_VERSION_NOT_FOUND = 107,
    /**
     * The secret is marked for deletion.
     */
    SECRETCACHE_SECRET_DELETED = 108,
    /**
     * The KMS key is disabled, pending deletion or otherwise unable to decrypt.
     */
    SECRETCACHE_KEY_UNAVAILABLE = 109,
    /**
     * The service refused the request for another reason.
     */
    SECRETCACHE_INVALID_REQUEST = 110,
    /**
     * Too many requests; retry later.
     */
    SECRETCACHE_THROTTLED = 111,
    /**
     * The service failed (HTTP 5xx).
     */
    SECRETCACHE_SERVICE_UNAVAILABLE = 112,
    /**
     * The endpoint is unreachable: DNS, connection refused or reset.
     */
    SECRETCACHE_CONNECTION = 113,
    /**
     * The response did not arrive in time.
     */
    SECRETCACHE_TIMEOUT = 114,
    /**
     * The response is not what the service sends.
     */
    SECRETCACHE_INVALID_RESPONSE = 115,
    /**
     * The secret contains no string (or no binary value), but one was requested.
     */
    SECRETCACHE_WRONG_TYPE = 116,
    /**
     * The secret string is not JSON, but a JSON value was requested.
     */
    SECRETCACHE_NOT_JSON = 117,
    /**
     * The secret's JSON has no such field.
     */
    SECRETCACHE_FIELD_NOT_FOUND = 118,
    /**
     * The cache has been closed.
     */
    SECRETCACHE_CLOSED = 119,
    /**
     * The source that the program supplied failed.
     */
    SECRETCACHE_SOURCE = 120,
    /**
     * A bug in this library. Please report it.
     */
    SECRETCACHE_INTERNAL = 121,
    /**
     * The process or the system has no thread, file descriptor or memory left. The message says which.
     */
    SECRETCACHE_RESOURCE_EXHAUSTED = 122,
    /**
     * The endpoint is reachable, but TLS failed: its certificate is not trusted, or it speaks no TLS.
     */
    SECRETCACHE_TLS = 123,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum secretcache_result secretcache_result;
#else
typedef uint32_t secretcache_result;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The counters of a cache. They start at zero in each process and only grow.
 */
enum secretcache_counter
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Reads answered from memory, stale ones included.
     */
    SECRETCACHE_COUNTER_HITS = 0,
    /**
     * Reads that found nothing cached.
     */
    SECRETCACHE_COUNTER_MISSES_ABSENT = 1,
    /**
     * Reads that found an expired value and waited for the source.
     */
    SECRETCACHE_COUNTER_MISSES_EXPIRED = 2,
    /**
     * Reads answered with the last known value, because it could not be refreshed in time.
     */
    SECRETCACHE_COUNTER_STALE_SERVED = 3,
    /**
     * Reads that waited for another reader's request.
     */
    SECRETCACHE_COUNTER_COALESCED = 4,
    /**
     * Refreshes that succeeded, with or without a new version.
     */
    SECRETCACHE_COUNTER_REFRESHES = 5,
    /**
     * New versions found by refreshes.
     */
    SECRETCACHE_COUNTER_ROTATIONS_OBSERVED = 6,
    /**
     * Secrets evicted to make room.
     */
    SECRETCACHE_COUNTER_EVICTIONS = 7,
    /**
     * Logins of `secretcache_connect` that were accepted.
     */
    SECRETCACHE_COUNTER_LOGINS_ACCEPTED = 8,
    /**
     * Accepted logins with a version other than the current one.
     */
    SECRETCACHE_COUNTER_FALLBACK_LOGINS = 9,
    /**
     * Refused logins. A rotation costs one, and one more for each login in progress at that moment.
     */
    SECRETCACHE_COUNTER_LOGINS_REFUSED = 10,
    /**
     * Fetches and refreshes that a replica in another Region answered.
     */
    SECRETCACHE_COUNTER_REPLICA_READS = 11,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum secretcache_counter secretcache_counter;
#else
typedef uint32_t secretcache_counter;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kind of an event.
 */
enum secretcache_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A refresh found a new version.
     */
    SECRETCACHE_EVENT_NEW_VERSION = 1,
    /**
     * Reads begin to get a value that could not be refreshed in time; sent once per outage.
     */
    SECRETCACHE_EVENT_STALE = 2,
    /**
     * A fetch or refresh failed.
     */
    SECRETCACHE_EVENT_ERROR = 3,
    /**
     * From now on a secret is read from its replica in another Region, because its own Region does not respond; sent
     * once, and again only after its own Region has responded.
     */
    SECRETCACHE_EVENT_REPLICA = 4,
    /**
     * A login succeeded with a version other than the current one, as happens in the middle of a rotation. If it
     * continues, the current version does not work. Sent with the first such login, then at most once a minute.
     */
    SECRETCACHE_EVENT_FALLBACK_LOGIN = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum secretcache_event_kind secretcache_event_kind;
#else
typedef uint32_t secretcache_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The result of a login. Success is 0, as usual in C, so a function that returns a `bool` or a count would report the
 * opposite of what it means. C++ rejects such a function; C may not even warn.
 */
enum secretcache_login
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The login was accepted: `secretcache_connect` is done.
     */
    SECRETCACHE_LOGIN_ACCEPTED = 0,
    /**
     * The user name or password was refused: `secretcache_connect` tries another version.
     */
    SECRETCACHE_LOGIN_REFUSED = 1,
    /**
     * The login failed for another reason: `secretcache_connect` fails with SECRETCACHE_LOGIN_FAILED.
     */
    SECRETCACHE_LOGIN_ERROR = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum secretcache_login secretcache_login;
#else
typedef uint32_t secretcache_login;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The level of a log line.
 */
enum secretcache_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A secret has a new version.
     */
    SECRETCACHE_LOG_INFO = 1,
    /**
     * A problem.
     */
    SECRETCACHE_LOG_WARNING = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum secretcache_log_level secretcache_log_level;
#else
typedef uint32_t secretcache_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The answer of a source to one request. One thread may use it at a time.
 */
typedef struct secretcache_answer secretcache_answer;

/**
 * A cache of secrets. Any number of threads may use it at the same time. It starts no thread and sends no request
 * before the first read; a forked child starts with an empty cache at its own first read.
 */
typedef struct secretcache_cache secretcache_cache;

/**
 * Settings for any number of caches. One thread may use it at a time.
 */
typedef struct secretcache_config secretcache_config;

/**
 * User name, password and the other fields of one version of a secret. They belong together, because a rotation may
 * change the user name too. Valid until the login function returns.
 */
typedef struct secretcache_credential secretcache_credential;

/**
 * An error. It never contains a secret. Free it with `secretcache_error_free`, unless it was passed to a callback;
 * then it is valid until the callback returns.
 */
typedef struct secretcache_error secretcache_error;

/**
 * A read in progress, which can be cancelled. One thread may use it at a time.
 */
typedef struct secretcache_read secretcache_read;

/**
 * Statistics of a cache at one moment. They do not change, so any thread may read them.
 */
typedef struct secretcache_stats secretcache_stats;

/**
 * Holds one version of a secret, or one field of it. It is empty until a function fills it, and can be filled any
 * number of times. It keeps its version in memory even after the cache is freed; the bytes are wiped when neither the
 * cache nor any value holds them. One thread may use it at a time.
 *
 * Reads are fastest with one value for each secret and thread: a value that already holds the requested version is not
 * filled again.
 */
typedef struct secretcache_value secretcache_value;

/**
 * Makes its secret count as in use while it exists.
 */
typedef struct secretcache_watch secretcache_watch;

/**
 * Borrowed text in UTF-8, with its length in bytes. It ends in a NUL only if the function that returns it says so.
 * `data` is NULL if there is no text.
 */
typedef struct secretcache_str {
    /**
     * The first byte, or NULL.
     */
    const char *data;
    /**
     * The number of bytes, without a final NUL.
     */
    size_t length;
} secretcache_str;

/**
 * Selects a version of a secret by staging label or by version id; `data` of the other one is NULL. If both are NULL,
 * or the pointer to the selector is, it selects the version labelled AWSCURRENT. Setting both fails with
 * SECRETCACHE_INVALID_ARGUMENT.
 */
typedef struct secretcache_version_selector {
    /**
     * A staging label, such as AWSPENDING.
     */
    struct secretcache_str stage;
    /**
     * A version id.
     */
    struct secretcache_str version_id;
} secretcache_version_selector;

/**
 * Fetches a version with its value from the store. Texts are valid until the function returns.
 */
typedef void (*secretcache_fetch_function)(void *user_data,
                                           struct secretcache_str secret_id,
                                           const struct secretcache_version_selector *version,
                                           struct secretcache_answer *answer);

/**
 * Asks the store for the versions of a secret and their staging labels, without values. Texts are valid until the
 * function returns.
 */
typedef void (*secretcache_describe_function)(void *user_data,
                                              struct secretcache_str secret_id,
                                              struct secretcache_answer *answer);

/**
 * Frees user data. It may run on any thread.
 */
typedef void (*secretcache_release)(void *user_data);

/**
 * Fetches the current versions of several secrets from the store. `answers` has one answer for each of the `count`
 * ids, in the same order; end each of them like the answer to a single request. Both arrays and the texts are valid
 * until the function returns, the answers until they are ended.
 */
typedef void (*secretcache_fetch_batch_function)(void *user_data,
                                                 const struct secretcache_str *secret_ids,
                                                 struct secretcache_answer *const *answers,
                                                 size_t count);

/**
 * A custom source of secrets, for programs with their own transport.
 *
 * The functions run on threads of this library ("secretcache"), several at a time, with all signals blocked. They can
 * block, and can answer before they return or later, from any thread. End each answer exactly once, with
 * `secretcache_answer_succeed`, `secretcache_answer_fail` or `secretcache_answer_fail_as_service`. An answer that
 * comes after the timeout of the settings is discarded. The functions must read from the store each time, never from a
 * cache of their own. They must not call functions of this library that wait, leave by `longjmp`, or throw. In a
 * forked child they are called with the same user data.
 */
typedef struct secretcache_source {
    /**
     * `sizeof(secretcache_source)`, so that later versions of the library know which fields exist.
     */
    size_t size;
    /**
     * Passed to every function.
     */
    void *user_data;
    /**
     * Must not be NULL.
     */
    secretcache_fetch_function fetch;
    /**
     * NULL if the store cannot do this; refreshes then use `fetch`.
     */
    secretcache_describe_function describe;
    /**
     * Called once, on any thread, when no other function will be called again. NULL is allowed.
     */
    secretcache_release release;
    /**
     * Called by `secretcache_prefetch`, for at most 20 secrets at a time. NULL if the store cannot do this; secrets
     * are then fetched one by one.
     */
    secretcache_fetch_batch_function fetch_batch;
} secretcache_source;

/**
 * A request to a source; see `secretcache_ffi_source`. Its texts are valid until the function returns.
 */
typedef struct secretcache_request {
    /**
     * The id of the secret.
     */
    struct secretcache_str secret_id;
    /**
     * The version; ignored by `describe`.
     */
    struct secretcache_version_selector version;
} secretcache_request;

/**
 * Fetches a version from the store, or asks for the secret's versions.
 */
typedef void (*secretcache_ffi_fetch_function)(void *user_data,
                                               const struct secretcache_request *request,
                                               struct secretcache_answer *answer);

/**
 * Like `secretcache_source`, for languages whose functions cannot take structures by value. The functions run on
 * threads of this library, so languages that can be called only on their own threads cannot have a source.
 */
typedef struct secretcache_ffi_source {
    /**
     * Passed to every function.
     */
    void *user_data;
    /**
     * Must not be NULL.
     */
    secretcache_ffi_fetch_function fetch;
    /**
     * NULL if the store cannot do this; refreshes then use `fetch`.
     */
    secretcache_ffi_fetch_function describe;
    /**
     * Called once, on any thread, when no other function will be called again. NULL is allowed.
     */
    secretcache_release release;
} secretcache_ffi_source;

/**
 * Called when a refresh found a new version: of `AWSCURRENT`, or of another staging label that the program reads.
 * Labels that only connection attempts request are left out. Ids and label are empty if they are not known.
 */
typedef void (*secretcache_on_new_version)(void *user_data,
                                           struct secretcache_str secret_id,
                                           struct secretcache_str version_stage,
                                           struct secretcache_str old_version_id,
                                           struct secretcache_str new_version_id);

/**
 * Called when reads begin to get a value that could not be refreshed in time, once per outage. `age_ms` is the time
 * since the value's last successful refresh. `error` is NULL if the source has not responded yet.
 */
typedef void (*secretcache_on_stale)(void *user_data,
                                     struct secretcache_str secret_id,
                                     uint64_t age_ms,
                                     const struct secretcache_error *error);

/**
 * Called when a fetch or refresh failed.
 */
typedef void (*secretcache_on_error)(void *user_data,
                                     struct secretcache_str secret_id,
                                     const struct secretcache_error *error);

/**
 * Called with a line for the program's log. `level` is SECRETCACHE_LOG_INFO for a new version, or
 * SECRETCACHE_LOG_WARNING for a problem, at most once a minute for each secret. `text` ends in a NUL.
 */
typedef void (*secretcache_on_log)(void *user_data, uint32_t level, struct secretcache_str text);

/**
 * Any event. Its fields are valid until the callback returns; fields that do not belong to its kind are empty.
 */
typedef struct secretcache_event {
    /**
     * `sizeof(secretcache_event)` in the library, so that programs know which fields exist.
     */
    size_t size;
    /**
     * The kind of event.
     */
    secretcache_event_kind kind;
    /**
     * The id of the secret, as reads use it.
     */
    struct secretcache_str secret_id;
    /**
     * For a new version: the staging label that moved. For a fallback login: the staging label of the version that logged
     * in.
     */
    struct secretcache_str version_stage;
    /**
     * For a new version: the id of the version before.
     */
    struct secretcache_str old_version_id;
    /**
     * For a new version: its id. For a fallback login: the id of the version that logged in.
     */
    struct secretcache_str new_version_id;
    /**
     * For a stale value: milliseconds since its last successful refresh.
     */
    uint64_t age_ms;
    /**
     * For a failed fetch or refresh, a read from a replica, and a stale value if the source has responded: the error.
     */
    const struct secretcache_error *error;
    /**
     * The event as a line for a log. Ends in a NUL.
     */
    struct secretcache_str text;
    /**
     * For a read from a replica: its Region.
     */
    struct secretcache_str region;
} secretcache_event;

/**
 * Called with each event.
 */
typedef void (*secretcache_on_event)(void *user_data, const struct secretcache_event *event);

/**
 * Borrowed bytes.
 */
typedef struct secretcache_bytes {
    /**
     * The first byte, or NULL.
     */
    const uint8_t *data;
    /**
     * The number of bytes.
     */
    size_t length;
} secretcache_bytes;

/**
 * Called with each secret that could not be fetched, and the reason. `error` is valid until the function returns.
 */
typedef void (*secretcache_on_failure)(void *user_data,
                                       struct secretcache_str secret_id,
                                       const struct secretcache_error *error);

/**
 * Called when a read is done. Exactly one of `value` and `error` is not NULL; both are valid until the function
 * returns.
 */
typedef void (*secretcache_on_done)(void *user_data,
                                    const struct secretcache_value *value,
                                    const struct secretcache_error *error);

/**
 * Logs in with one version of the credential and returns a `secretcache_login`, by name. Do not return a `bool`:
 * `true` would be SECRETCACHE_LOGIN_REFUSED. Any other number counts as SECRETCACHE_LOGIN_ERROR. The credential and
 * its texts are valid until the function returns.
 */
typedef secretcache_login (*secretcache_on_login)(void *user_data,
                                                  const struct secretcache_credential *credential);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the library at run time, such as "0.1.0"; SECRETCACHE_VERSION is the header's. Ends in a
 * NUL, and is always valid.
 */
SECRETCACHE_API
struct secretcache_str secretcache_version(void);

/**
 * Sets how many threads the library has in this process; call it before the first read. `workers` handle requests
 * and timers. Up to `blocking` more, started on demand, resolve host names, read credential files and run the
 * functions of sources. Each is 1 to 64; the defaults are 1 and 4. One more thread, "secretcache-events", starts
 * when there is a callback to run. All of them block all signals, and inherit CPU affinity and scheduling.
 *
 * Fails with SECRETCACHE_INVALID_ARGUMENT if the threads are already running.
 */
SECRETCACHE_API
secretcache_result secretcache_set_threads(size_t workers,
                                           size_t blocking,
                                           struct secretcache_error **error_out);

/**
 * Ends the background work of this process, and waits at most `timeout_ms` for requests and callbacks in progress.
 * Reads from memory still work; from then on, anything that needs the source fails with SECRETCACHE_CLOSED,
 * including asynchronous reads in progress. If this returns in time, no callback runs afterwards, except
 * `release`. If a callback calls it, it does not wait for that callback. Needed only by programs that must exit
 * with no threads running, for example under a leak checker.
 */
SECRETCACHE_API
void secretcache_shutdown(uint64_t timeout_ms);

/**
 * Returns the kind of error; SECRETCACHE_OK for NULL.
 */
SECRETCACHE_API secretcache_result secretcache_error_code(const struct secretcache_error *error);

/**
 * Returns one line that says what is wrong and what to do. Ends in a NUL, and is valid as long as the error.
 */
SECRETCACHE_API struct secretcache_str secretcache_error_message(const struct secretcache_error *error);

/**
 * Returns whether a retry may help. The cache itself retries, with backoff.
 */
SECRETCACHE_API bool secretcache_error_is_transient(const struct secretcache_error *error);

/**
 * Returns the service's error code, such as ResourceNotFoundException; no text if the service did not respond.
 * Ends in a NUL, and is valid as long as the error.
 */
SECRETCACHE_API
struct secretcache_str secretcache_error_service_code(const struct secretcache_error *error);

/**
 * Returns the operation that failed, such as GetSecretValue; no text if the service did not respond. Ends in a
 * NUL, and is valid as long as the error.
 */
SECRETCACHE_API
struct secretcache_str secretcache_error_operation(const struct secretcache_error *error);

/**
 * Returns the request id to quote to AWS support; no text if there is none. Ends in a NUL, and is valid as long as
 * the error.
 */
SECRETCACHE_API
struct secretcache_str secretcache_error_request_id(const struct secretcache_error *error);

/**
 * Returns the HTTP status of the response; 0 if there was none.
 */
SECRETCACHE_API uint16_t secretcache_error_http_status(const struct secretcache_error *error);

/**
 * Returns a copy of an error, for callbacks that keep it; free it with `secretcache_error_free`. Returns NULL for
 * NULL.
 */
SECRETCACHE_API
struct secretcache_error *secretcache_error_clone(const struct secretcache_error *error);

/**
 * Frees an error. NULL is ignored.
 */
SECRETCACHE_API void secretcache_error_free(struct secretcache_error *error);

/**
 * Returns the name of a result, such as "SECRETCACHE_THROTTLED"; "unknown" for other numbers. Ends in a NUL, and
 * is always valid.
 */
SECRETCACHE_API
struct secretcache_str secretcache_result_name(uint32_t result);

/**
 * Returns the default settings; free them with `secretcache_config_free`. Each setter checks its own value and
 * changes nothing if it fails; `secretcache_new` checks the combination.
 */
SECRETCACHE_API
struct secretcache_config *secretcache_config_new(void);

/**
 * Frees settings. Caches made with them are not affected. NULL is ignored.
 */
SECRETCACHE_API void secretcache_config_free(struct secretcache_config *config);

/**
 * Sets how long a value counts as fresh. It is refreshed at a random moment in the second half of this time. 0
 * means that every read asks the source. Default: 300,000 ms.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_refresh_interval(struct secretcache_config *config,
                                                           uint64_t interval_ms,
                                                           struct secretcache_error **error_out);

/**
 * Sets the refresh interval of one secret, by the id that reads use.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_refresh_interval_of(struct secretcache_config *config,
                                                              struct secretcache_str secret_id,
                                                              uint64_t interval_ms,
                                                              struct secretcache_error **error_out);

/**
 * Sets how long a read waits for the source if there is a last known value. Default: 2,000 ms.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_max_wait(struct secretcache_config *config,
                                                   uint64_t wait_ms,
                                                   struct secretcache_error **error_out);

/**
 * Sets how long the last known value is served while refreshes fail, counted from the last success; at least the
 * refresh interval. Default: no limit.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_max_stale(struct secretcache_config *config,
                                                    uint64_t stale_ms,
                                                    struct secretcache_error **error_out);

/**
 * Sets how many secrets the cache keeps; at least 1. It keeps at most ten versions of each secret, those that were
 * read. Default: 1,024.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_max_size(struct secretcache_config *config,
                                                   size_t secrets,
                                                   struct secretcache_error **error_out);

/**
 * Sets whether the last known value is still served after the service denies access or the secret is deleted.
 * Default: true.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_stale_on_denied(struct secretcache_config *config,
                                                          bool serve,
                                                          struct secretcache_error **error_out);

/**
 * Sets whether to keep the memory of values out of swap (`mlock`) and, on Linux, out of core dumps. Each value
 * costs four system calls and at least one page of the limit on locked memory (`ulimit -l`). A value that does not
 * fit within that limit is not cached, and reading it fails with SECRETCACHE_RESOURCE_EXHAUSTED. Copies that the
 * program makes are not locked. Default: false.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_lock_memory(struct secretcache_config *config,
                                                      bool lock,
                                                      struct secretcache_error **error_out);

/**
 * Sets the pauses after failures: the first one, the factor by which each is longer than the one before (finite,
 * at least 1), and the longest one. Each is shortened at random. Default: 1,000 ms, 2 and 60,000 ms.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_backoff(struct secretcache_config *config,
                                                  uint64_t base_ms,
                                                  double growth,
                                                  uint64_t max_ms,
                                                  struct secretcache_error **error_out);

/**
 * Sets the AWS Region. Default: AWS_REGION, AWS_DEFAULT_REGION or the profile's Region.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_region(struct secretcache_config *config,
                                                 struct secretcache_str region,
                                                 struct secretcache_error **error_out);

/**
 * Sets the service endpoint, such as that of `secretcache local` or of a VPC endpoint. Default:
 * AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL or the Region's endpoint.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_endpoint_url(struct secretcache_config *config,
                                                       struct secretcache_str url,
                                                       struct secretcache_error **error_out);

/**
 * Sets the profile in the AWS configuration files. Default: AWS_PROFILE or "default".
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_profile(struct secretcache_config *config,
                                                  struct secretcache_str profile,
                                                  struct secretcache_error **error_out);

/**
 * Sets an access key, with its session token if it is temporary. Default: credentials of the environment, the
 * profile, the container or the instance.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_credentials(struct secretcache_config *config,
                                                      struct secretcache_str access_key_id,
                                                      struct secretcache_str secret_access_key,
                                                      struct secretcache_str session_token,
                                                      struct secretcache_error **error_out);

/**
 * Sets a role to assume with the credentials, and the external id if the role's trust policy requires one.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_role(struct secretcache_config *config,
                                               struct secretcache_str role_arn,
                                               struct secretcache_str external_id,
                                               struct secretcache_error **error_out);

/**
 * Sets a role to assume for the secrets whose id, as passed to a read (a name or an ARN), begins with `prefix`,
 * and the external id if the role's trust policy requires one. The longest matching prefix is used; if none
 * matches, a secret is read with the cache's own credentials. A second call for a prefix replaces the first. At
 * most 20 roles.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_role_for(struct secretcache_config *config,
                                                   struct secretcache_str prefix,
                                                   struct secretcache_str role_arn,
                                                   struct secretcache_str external_id,
                                                   struct secretcache_error **error_out);

/**
 * Adds a Region that holds replicas of the secrets. It is read while a secret's own Region does not respond;
 * several Regions are tried in the order in which they were added. If the Region needs its own endpoint, add it to
 * the name: "eu-west-1=https://...". A replica may lag, so its version replaces a cached one only if it was
 * created later.
 */
SECRETCACHE_API
secretcache_result secretcache_config_add_fallback_region(struct secretcache_config *config,
                                                          struct secretcache_str region,
                                                          struct secretcache_error **error_out);

/**
 * Sets how long a Region may take to respond before the next one is asked; at least 1. Default: 2,000 ms.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_fallback_after(struct secretcache_config *config,
                                                         uint64_t after_ms,
                                                         struct secretcache_error **error_out);

/**
 * Sets an HTTP proxy. Default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_proxy_url(struct secretcache_config *config,
                                                    struct secretcache_str url,
                                                    struct secretcache_error **error_out);

/**
 * Sets a file of PEM certificates to trust instead of the system's. Default: AWS_CA_BUNDLE.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_ca_bundle(struct secretcache_config *config,
                                                    struct secretcache_str path,
                                                    struct secretcache_error **error_out);

/**
 * Sets whether to use the FIPS endpoint. Default: AWS_USE_FIPS_ENDPOINT.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_use_fips(struct secretcache_config *config,
                                                   bool use_fips,
                                                   struct secretcache_error **error_out);

/**
 * Sets how long one operation may take with all its retries, or one request to a custom source; at least 1.
 * Default: 5,000 ms.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_timeout(struct secretcache_config *config,
                                                  uint64_t timeout_ms,
                                                  struct secretcache_error **error_out);

/**
 * Sets a custom source to use instead of AWS Secrets Manager. The structure is copied. If this returns
 * SECRETCACHE_OK, it takes over the user data: `release` is called once the settings, every cache made with them,
 * and every pending answer are gone.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_source(struct secretcache_config *config,
                                                 const struct secretcache_source *source,
                                                 struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_source`, for languages whose functions cannot take structures by value. See
 * `secretcache_source` for the requirements on a source.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_source(struct secretcache_config *config,
                                                     const struct secretcache_ffi_source *source,
                                                     struct secretcache_error **error_out);

/**
 * Calls a function for each new version.
 *
 * This function and the four below can be called several times. The callbacks run on the thread
 * "secretcache-events", one at a time and in order, with all signals blocked. They can call this library, but must
 * not wait for another callback, leave by `longjmp`, or throw. Their arguments are valid until they return.
 *
 * If this returns SECRETCACHE_OK, it takes over `user_data`: `release`, unless NULL, is called with it once the
 * settings and every cache made with them are gone and the callback will not be called again.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_new_version(struct secretcache_config *config,
                                                     secretcache_on_new_version on_new_version,
                                                     void *user_data,
                                                     secretcache_release release,
                                                     struct secretcache_error **error_out);

/**
 * Calls a function when reads begin to get a value that could not be refreshed in time; see
 * `secretcache_config_on_new_version`.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_stale(struct secretcache_config *config,
                                               secretcache_on_stale on_stale,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);

/**
 * Calls a function when a fetch or refresh fails; see `secretcache_config_on_new_version`.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_error(struct secretcache_config *config,
                                               secretcache_on_error on_error,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);

/**
 * Calls a function with each log line; see `secretcache_config_on_new_version`.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_log(struct secretcache_config *config,
                                             secretcache_on_log on_log,
                                             void *user_data,
                                             secretcache_release release,
                                             struct secretcache_error **error_out);

/**
 * Calls a function with each event, as a structure; `secretcache_event_kind` lists the kinds; see
 * `secretcache_config_on_new_version`.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_event(struct secretcache_config *config,
                                               secretcache_on_event on_event,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);

/**
 * Sets the secret's full ARN, for any request.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_arn(struct secretcache_answer *answer,
                                              struct secretcache_str arn,
                                              struct secretcache_error **error_out);

/**
 * Sets the secret's friendly name, for `fetch` or `fetch_batch`.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_name(struct secretcache_answer *answer,
                                               struct secretcache_str name,
                                               struct secretcache_error **error_out);

/**
 * Sets the version's id, for `fetch` or `fetch_batch`. Without one, every refresh fetches the value, and
 * `secretcache_connect` cannot distinguish versions.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_version_id(struct secretcache_answer *answer,
                                                     struct secretcache_str version_id,
                                                     struct secretcache_error **error_out);

/**
 * Adds a staging label of the version, for `fetch` or `fetch_batch`.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_add_stage(struct secretcache_answer *answer,
                                                struct secretcache_str stage,
                                                struct secretcache_error **error_out);

/**
 * Sets when the version was created, in milliseconds since 1970 (UTC), for `fetch` or `fetch_batch`.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_created(struct secretcache_answer *answer,
                                                  uint64_t created_ms,
                                                  struct secretcache_error **error_out);

/**
 * Sets the secret string, for `fetch` or `fetch_batch`. It is copied; the copy is wiped when it is no longer used.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_string(struct secretcache_answer *answer,
                                                 struct secretcache_str string,
                                                 struct secretcache_error **error_out);

/**
 * Sets the secret binary, for `fetch` or `fetch_batch`. It is copied; the copy is wiped when it is no longer used.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_binary(struct secretcache_answer *answer,
                                                 struct secretcache_bytes binary,
                                                 struct secretcache_error **error_out);

/**
 * Adds a version and one of its staging labels, for `describe`. Call this for each label of each version.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_add_version_stage(struct secretcache_answer *answer,
                                                        struct secretcache_str version_id,
                                                        struct secretcache_str stage,
                                                        struct secretcache_error **error_out);

/**
 * Ends an answer with what was set, and frees it. NULL is ignored.
 */
SECRETCACHE_API void secretcache_answer_succeed(struct secretcache_answer *answer);

/**
 * Ends an answer with a failure, and frees it. `result` is a result from 100 up, such as SECRETCACHE_CONNECTION;
 * others count as SECRETCACHE_SOURCE. `message` says what is wrong and what to do; it must not contain a secret.
 * NULL is ignored.
 */
SECRETCACHE_API
void secretcache_answer_fail(struct secretcache_answer *answer,
                             uint32_t result,
                             struct secretcache_str message);

/**
 * Ends an answer with an error of Secrets Manager, and frees it: the error code, such as
 * ResourceNotFoundException, the message, the HTTP status (0 if there is none), and the request id (no text if
 * there is none). NULL is ignored.
 */
SECRETCACHE_API
void secretcache_answer_fail_as_service(struct secretcache_answer *answer,
                                        struct secretcache_str code,
                                        struct secretcache_str message,
                                        uint16_t http_status,
                                        struct secretcache_str request_id);

/**
 * Returns a new cache; free it with `secretcache_free`. The settings are copied; NULL means the defaults. This
 * starts no thread and sends no request.
 *
 * Fails with SECRETCACHE_INVALID_CONFIGURATION if two settings contradict each other; the error names the setting.
 */
SECRETCACHE_API
secretcache_result secretcache_new(const struct secretcache_config *config,
                                   struct secretcache_cache **cache_out,
                                   struct secretcache_error **error_out);

/**
 * Frees a cache. No other thread may be using it. Refreshes in progress end on their own; filled values stay
 * valid. Callbacks can still run until their `release` is called. NULL is ignored.
 */
SECRETCACHE_API void secretcache_free(struct secretcache_cache *cache);

/**
 * Forgets every value, ends the background work, and makes further reads fail with SECRETCACHE_CLOSED. Other
 * threads can be using the cache at the same time.
 */
SECRETCACHE_API void secretcache_close(const struct secretcache_cache *cache);

/**
 * Fills a value with a version of a secret, from memory or by waiting for the source. `secret_id` is a name, an
 * ARN or a partial ARN; NULL for `version` means the version labelled AWSCURRENT. On failure the value is not
 * changed.
 *
 * A read from memory takes no lock, allocates nothing and copies no secret. Keep one value for each secret and
 * thread: reading the same secret into it again counts no reference and writes nothing that other threads read, so
 * threads do not slow each other down.
 */
SECRETCACHE_API
secretcache_result secretcache_get(const struct secretcache_cache *cache,
                                   struct secretcache_str secret_id,
                                   const struct secretcache_version_selector *version,
                                   struct secretcache_value *value,
                                   struct secretcache_error **error_out);

/**
 * Like `secretcache_get`, but waits for at most `timeout_ms`; 0 returns only what is in memory. After a timeout
 * the request continues, and a later read gets its result.
 *
 * Fails with SECRETCACHE_TIMEOUT if the source has not responded in time and there is no last known value. A plain
 * `secretcache_get` takes no longer than the timeout of the settings.
 */
SECRETCACHE_API
secretcache_result secretcache_get_within(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          uint64_t timeout_ms,
                                          struct secretcache_value *value,
                                          struct secretcache_error **error_out);

/**
 * Like `secretcache_get`, and returns the secret string. It does not end in a NUL, and is valid until the value is
 * filled again, cleared or freed.
 *
 * Fails with SECRETCACHE_WRONG_TYPE if the version holds binary data.
 */
SECRETCACHE_API
secretcache_result secretcache_get_string(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          struct secretcache_value *value,
                                          struct secretcache_str *string_out,
                                          struct secretcache_error **error_out);

/**
 * Like `secretcache_get`, and returns the secret binary. It is valid until the value is filled again, cleared or
 * freed.
 *
 * Fails with SECRETCACHE_WRONG_TYPE if the version holds a string.
 */
SECRETCACHE_API
secretcache_result secretcache_get_binary(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          struct secretcache_value *value,
                                          struct secretcache_bytes *binary_out,
                                          struct secretcache_error **error_out);

/**
 * Like `secretcache_get`, and returns one field, such as "password", of a secret whose string is a JSON object.
 * The field becomes the value's string. A number or boolean is returned as its JSON text. The text ends in a NUL
 * that is not counted, and is valid until the value is filled again, cleared or freed.
 *
 * Fails with SECRETCACHE_NOT_JSON or SECRETCACHE_FIELD_NOT_FOUND.
 */
SECRETCACHE_API
secretcache_result secretcache_get_field(const struct secretcache_cache *cache,
                                         struct secretcache_str secret_id,
                                         const struct secretcache_version_selector *version,
                                         struct secretcache_str field,
                                         struct secretcache_value *value,
                                         struct secretcache_str *string_out,
                                         struct secretcache_error **error_out);

/**
 * Fills a value with the last known version, fresh or not. It never waits for the source and does no I/O, so
 * threads that must not block can call it; `secretcache_prefetch` and reads of other threads load the values.
 * Reading a fresh version takes no lock. Reading any other takes the cache's lock, which is held for microseconds
 * and never during a wait, a request or a callback.
 *
 * Fails with SECRETCACHE_NOT_CACHED if no version is known.
 */
SECRETCACHE_API
secretcache_result secretcache_peek(const struct secretcache_cache *cache,
                                    struct secretcache_str secret_id,
                                    const struct secretcache_version_selector *version,
                                    struct secretcache_value *value,
                                    struct secretcache_error **error_out);

/**
 * Fetches a version now, whatever its age, clears its backoffs, and waits for it. Fills `value` with it, unless
 * that is NULL. If this fails, reads still get the last known value.
 */
SECRETCACHE_API
secretcache_result secretcache_refresh(const struct secretcache_cache *cache,
                                       struct secretcache_str secret_id,
                                       const struct secretcache_version_selector *version,
                                       struct secretcache_value *value,
                                       struct secretcache_error **error_out);

/**
 * Fetches secrets before they are read, twenty per call, and waits for them. Secrets that are cached and not due
 * for a refresh are skipped. `on_failure`, unless NULL, is called on this thread for each secret that could not be
 * fetched; such failures do not make this function fail.
 */
SECRETCACHE_API
secretcache_result secretcache_prefetch(const struct secretcache_cache *cache,
                                        const struct secretcache_str *secret_ids,
                                        size_t count,
                                        secretcache_on_failure on_failure,
                                        void *user_data,
                                        struct secretcache_error **error_out);

/**
 * Forgets a secret with all its versions: the next read fetches it.
 */
SECRETCACHE_API
secretcache_result secretcache_invalidate(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          struct secretcache_error **error_out);

/**
 * Returns an empty value; free it with `secretcache_value_free`.
 */
SECRETCACHE_API struct secretcache_value *secretcache_value_new(void);

/**
 * Frees a value. NULL is ignored.
 */
SECRETCACHE_API void secretcache_value_free(struct secretcache_value *value);

/**
 * Empties a value, so that it no longer keeps a secret in memory.
 */
SECRETCACHE_API void secretcache_value_clear(struct secretcache_value *value);

/**
 * Returns a copy of a value, for callbacks that keep it; free it with `secretcache_value_free`. The copy shares
 * the secret's bytes with the original.
 */
SECRETCACHE_API
secretcache_result secretcache_value_clone(const struct secretcache_value *value,
                                           struct secretcache_value **value_out,
                                           struct secretcache_error **error_out);

/**
 * Returns the secret string, or the field that the value was filled with. A field ends in a NUL that is not
 * counted; a whole string does not. Valid until the value is filled again, cleared or freed.
 *
 * Fails with SECRETCACHE_WRONG_TYPE if the version holds binary data.
 */
SECRETCACHE_API
secretcache_result secretcache_value_string(const struct secretcache_value *value,
                                            struct secretcache_str *string_out,
                                            struct secretcache_error **error_out);

/**
 * Returns the secret binary. Valid until the value is filled again, cleared or freed.
 *
 * Fails with SECRETCACHE_WRONG_TYPE if the version holds a string.
 */
SECRETCACHE_API
secretcache_result secretcache_value_binary(const struct secretcache_value *value,
                                            struct secretcache_bytes *binary_out,
                                            struct secretcache_error **error_out);

/**
 * Returns one field of a secret whose string is a JSON object, as a new value; free it with
 * `secretcache_value_free`. A number or boolean is returned as its JSON text.
 *
 * Fails with SECRETCACHE_NOT_JSON or SECRETCACHE_FIELD_NOT_FOUND.
 */
SECRETCACHE_API
secretcache_result secretcache_value_field(const struct secretcache_value *value,
                                           struct secretcache_str field,
                                           struct secretcache_value **value_out,
                                           struct secretcache_error **error_out);

/**
 * Returns the full ARN of the secret; no text if the source does not set it. Like the other texts below, it is
 * valid until the value is filled again, cleared or freed.
 */
SECRETCACHE_API
struct secretcache_str secretcache_value_arn(const struct secretcache_value *value);

/**
 * Returns the friendly name of the secret; no text if the source does not set it.
 */
SECRETCACHE_API struct secretcache_str secretcache_value_name(const struct secretcache_value *value);

/**
 * Returns the version id; no text if the source does not set it. The value of a version never changes.
 */
SECRETCACHE_API struct secretcache_str secretcache_value_version_id(const struct secretcache_value *value);

/**
 * Returns how many staging labels this version had at the last successful refresh.
 */
SECRETCACHE_API size_t secretcache_value_stage_count(const struct secretcache_value *value);

/**
 * Returns one of the staging labels; no text if `index` is past the last one.
 */
SECRETCACHE_API
struct secretcache_str secretcache_value_stage(const struct secretcache_value *value,
                                               size_t index);

/**
 * Returns when this version was created, in milliseconds since 1970 (UTC); -1 if the source does not set it.
 */
SECRETCACHE_API int64_t secretcache_value_created_ms(const struct secretcache_value *value);

/**
 * Starts a read like `secretcache_get`, without waiting for it. If this returns SECRETCACHE_OK, `on_done` is
 * called exactly once, otherwise never. It runs on the thread "secretcache-events", never inside this call, under
 * the rules of `secretcache_config_on_new_version`; only during a shutdown can it run on another thread. If the
 * cache is freed in the meantime, the read continues or fails with SECRETCACHE_CLOSED.
 */
SECRETCACHE_API
secretcache_result secretcache_get_async(const struct secretcache_cache *cache,
                                         struct secretcache_str secret_id,
                                         const struct secretcache_version_selector *version,
                                         secretcache_on_done on_done,
                                         void *user_data,
                                         struct secretcache_error **error_out);

/**
 * Like `secretcache_get_async`, for a read that can be cancelled. If `timeout_ms` is not 0, it is the read's
 * deadline, after which `on_done` gets SECRETCACHE_TIMEOUT. Free the handle with `secretcache_read_free`, even
 * after the read is done.
 */
SECRETCACHE_API
secretcache_result secretcache_read_start(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          uint64_t timeout_ms,
                                          secretcache_on_done on_done,
                                          void *user_data,
                                          struct secretcache_read **read_out,
                                          struct secretcache_error **error_out);

/**
 * Cancels a read: `on_done` soon gets SECRETCACHE_CANCELLED, unless the read is done or about to be. The request
 * itself continues, because other readers may be waiting for it.
 */
SECRETCACHE_API
void secretcache_read_cancel(struct secretcache_read *read);

/**
 * Frees the handle of a read. A read that is not done continues. NULL is ignored.
 */
SECRETCACHE_API void secretcache_read_free(struct secretcache_read *read);

/**
 * Connects to the database (or other server) that a secret is for, even during a rotation.
 *
 * Calls `on_login` on this thread, with the cached current version first. If the login is refused, it fetches that
 * version again, then tries AWSPENDING (which works in the middle of a rotation), then AWSPREVIOUS, then pauses
 * and starts again, until `timeout_ms` have passed (0 means 30,000 ms). Accepted and refused versions are
 * remembered for all callers, so a rotation costs one refused login, not one for each connection.
 *
 * Fails with SECRETCACHE_LOGIN_REJECTED if no version logs in, with SECRETCACHE_LOGIN_FAILED if `on_login` returns
 * SECRETCACHE_LOGIN_ERROR, or with the reason why the secret could not be read.
 */
SECRETCACHE_API
secretcache_result secretcache_connect(const struct secretcache_cache *cache,
                                       struct secretcache_str secret_id,
                                       uint64_t timeout_ms,
                                       secretcache_on_login on_login,
                                       void *user_data,
                                       struct secretcache_error **error_out);

/**
 * Like `secretcache_connect`, with the staging labels to try, in this order: any of AWSCURRENT, AWSPENDING and
 * AWSPREVIOUS.
 */
SECRETCACHE_API
secretcache_result secretcache_connect_stages(const struct secretcache_cache *cache,
                                              struct secretcache_str secret_id,
                                              const struct secretcache_str *stages,
                                              size_t stage_count,
                                              uint64_t timeout_ms,
                                              secretcache_on_login on_login,
                                              void *user_data,
                                              struct secretcache_error **error_out);

/**
 * Returns the field "username"; no text if there is none. Like all texts of a credential it ends in a NUL that is
 * not counted, so it can be used as a C string if it contains no other NUL.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_username(const struct secretcache_credential *credential);

/**
 * Returns the field "password"; no text if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_password(const struct secretcache_credential *credential);

/**
 * Returns the field "host"; no text if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_host(const struct secretcache_credential *credential);

/**
 * Returns the field "port", which can be a number or a string; 0 if there is none.
 */
SECRETCACHE_API uint16_t secretcache_credential_port(const struct secretcache_credential *credential);

/**
 * Returns the field "dbname"; no text if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_dbname(const struct secretcache_credential *credential);

/**
 * Returns the field "engine"; no text if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_engine(const struct secretcache_credential *credential);

/**
 * Returns a field by its name; no text if there is none. A number or boolean is returned as its JSON text.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_field(const struct secretcache_credential *credential,
                                                    struct secretcache_str field);

/**
 * Returns the id of the credential's version, without a final NUL; no text if the source does not set it.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_version_id(const struct secretcache_credential *credential);

/**
 * Returns the staging label of that version, without a final NUL. Watch for logins with a label other than
 * AWSCURRENT: if they continue, the current version does not work.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_version_stage(const struct secretcache_credential *credential);

/**
 * Makes a secret count as in use until the watch is freed with `secretcache_watch_free`: it is refreshed without
 * being read, so new versions are noticed, and it is not evicted. For pools with open connections, and for
 * callbacks that wait for a new version. Refreshes start with the first read of the secret. The watch can outlive
 * the cache.
 */
SECRETCACHE_API
secretcache_result secretcache_watch_new(const struct secretcache_cache *cache,
                                         struct secretcache_str secret_id,
                                         struct secretcache_watch **watch_out,
                                         struct secretcache_error **error_out);

/**
 * Frees a watch. NULL is ignored.
 */
SECRETCACHE_API void secretcache_watch_free(struct secretcache_watch *watch);

/**
 * Returns whether to close a connection made with this version when it is idle, because another version is current
 * or the server refused this one; see `secretcache_credential_version_id`. Sends no request; false if the secret
 * is not cached.
 */
SECRETCACHE_API
bool secretcache_is_outdated(const struct secretcache_cache *cache,
                             struct secretcache_str secret_id,
                             struct secretcache_str version_id);

/**
 * Returns the statistics of a cache in this process; free them with `secretcache_stats_free`.
 */
SECRETCACHE_API
secretcache_result secretcache_stats_new(const struct secretcache_cache *cache,
                                         struct secretcache_stats **stats_out,
                                         struct secretcache_error **error_out);

/**
 * Frees statistics. NULL is ignored.
 */
SECRETCACHE_API void secretcache_stats_free(struct secretcache_stats *stats);

/**
 * Returns one of the counters of `secretcache_counter`; 0 for other numbers.
 */
SECRETCACHE_API uint64_t secretcache_stats_count(const struct secretcache_stats *stats, uint32_t counter);

/**
 * Returns how often an operation of the service was called: GetSecretValue, DescribeSecret or BatchGetSecretValue.
 */
SECRETCACHE_API
uint64_t secretcache_stats_api_calls(const struct secretcache_stats *stats,
                                     struct secretcache_str operation);

/**
 * Returns how many fetches failed with a result such as SECRETCACHE_THROTTLED.
 */
SECRETCACHE_API uint64_t secretcache_stats_failures(const struct secretcache_stats *stats, uint32_t result);

/**
 * Returns how many versions of secrets the statistics list, including versions without a value.
 */
SECRETCACHE_API size_t secretcache_stats_secret_count(const struct secretcache_stats *stats);

/**
 * Returns the id of the secret, as reads use it; no text if `index` is past the last one. Like the other texts
 * below, it is valid as long as the statistics.
 */
SECRETCACHE_API
struct secretcache_str secretcache_stats_secret_id(const struct secretcache_stats *stats,
                                                   size_t index);

/**
 * Returns the staging label that reads use; no text if they use a version id.
 */
SECRETCACHE_API
struct secretcache_str secretcache_stats_secret_stage(const struct secretcache_stats *stats,
                                                      size_t index);

/**
 * Returns the id of the cached version; no text if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_stats_secret_version_id(const struct secretcache_stats *stats,
                                                           size_t index);

/**
 * Returns the milliseconds since the last successful refresh; -1 if there was none.
 */
SECRETCACHE_API int64_t secretcache_stats_secret_age_ms(const struct secretcache_stats *stats, size_t index);

/**
 * Returns the milliseconds until the next refresh is due; -1 if none is scheduled.
 */
SECRETCACHE_API
int64_t secretcache_stats_secret_next_refresh_ms(const struct secretcache_stats *stats,
                                                 size_t index);

/**
 * Returns the error of the last fetch; SECRETCACHE_OK if it succeeded.
 */
SECRETCACHE_API
secretcache_result secretcache_stats_secret_last_error(const struct secretcache_stats *stats,
                                                       size_t index);

/**
 * Returns how many fetches in a row have failed.
 */
SECRETCACHE_API
uint32_t secretcache_stats_secret_failures(const struct secretcache_stats *stats,
                                           size_t index);

/**
 * Like `secretcache_version`. The functions `secretcache_ffi_...` do the same as the functions without `ffi`, for
 * languages that cannot pass structures by value: a text is a `char *` that ends in a NUL, and NULL means no text.
 */
SECRETCACHE_API
const char *secretcache_ffi_version(void);

/**
 * Like `secretcache_result_name`.
 */
SECRETCACHE_API const char *secretcache_ffi_result_name(uint32_t result);

/**
 * Like `secretcache_error_message`; NULL for NULL.
 */
SECRETCACHE_API const char *secretcache_ffi_error_message(const struct secretcache_error *error);

/**
 * Like `secretcache_error_service_code`; NULL if there is none. This also holds for the next two functions.
 */
SECRETCACHE_API const char *secretcache_ffi_error_service_code(const struct secretcache_error *error);

/**
 * Like `secretcache_error_operation`.
 */
SECRETCACHE_API const char *secretcache_ffi_error_operation(const struct secretcache_error *error);

/**
 * Like `secretcache_error_request_id`.
 */
SECRETCACHE_API const char *secretcache_ffi_error_request_id(const struct secretcache_error *error);

/**
 * Like `secretcache_config_set_refresh_interval_of`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_refresh_interval_of(struct secretcache_config *config,
                                                                  const char *secret_id,
                                                                  uint64_t interval_ms,
                                                                  struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_region`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_region(struct secretcache_config *config,
                                                     const char *region,
                                                     struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_endpoint_url`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_endpoint_url(struct secretcache_config *config,
                                                           const char *url,
                                                           struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_profile`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_profile(struct secretcache_config *config,
                                                      const char *profile,
                                                      struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_credentials`; `session_token` can be NULL.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_credentials(struct secretcache_config *config,
                                                          const char *access_key_id,
                                                          const char *secret_access_key,
                                                          const char *session_token,
                                                          struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_role`; `external_id` can be NULL.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_role(struct secretcache_config *config,
                                                   const char *role_arn,
                                                   const char *external_id,
                                                   struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_role_for`; `external_id` can be NULL.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_role_for(struct secretcache_config *config,
                                                       const char *prefix,
                                                       const char *role_arn,
                                                       const char *external_id,
                                                       struct secretcache_error **error_out);

/**
 * Like `secretcache_config_add_fallback_region`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_add_fallback_region(struct secretcache_config *config,
                                                              const char *region,
                                                              struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_proxy_url`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_proxy_url(struct secretcache_config *config,
                                                        const char *url,
                                                        struct secretcache_error **error_out);

/**
 * Like `secretcache_config_set_ca_bundle`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_ca_bundle(struct secretcache_config *config,
                                                        const char *path,
                                                        struct secretcache_error **error_out);

/**
 * Like `secretcache_answer_set_arn`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_arn(struct secretcache_answer *answer,
                                                  const char *arn,
                                                  struct secretcache_error **error_out);

/**
 * Like `secretcache_answer_set_name`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_name(struct secretcache_answer *answer,
                                                   const char *name,
                                                   struct secretcache_error **error_out);

/**
 * Like `secretcache_answer_set_version_id`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_version_id(struct secretcache_answer *answer,
                                                         const char *version_id,
                                                         struct secretcache_error **error_out);

/**
 * Like `secretcache_answer_add_stage`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_add_stage(struct secretcache_answer *answer,
                                                    const char *stage,
                                                    struct secretcache_error **error_out);

/**
 * Like `secretcache_answer_set_string`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_string(struct secretcache_answer *answer,
                                                     const char *string,
                                                     struct secretcache_error **error_out);

/**
 * Like `secretcache_answer_add_version_stage`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_add_version_stage(struct secretcache_answer *answer,
                                                            const char *version_id,
                                                            const char *stage,
                                                            struct secretcache_error **error_out);

/**
 * Like `secretcache_answer_fail`.
 */
SECRETCACHE_API
void secretcache_ffi_answer_fail(struct secretcache_answer *answer,
                                 uint32_t result,
                                 const char *message);

/**
 * Like `secretcache_get`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get(const struct secretcache_cache *cache,
                                       const char *secret_id,
                                       const struct secretcache_version_selector *version,
                                       struct secretcache_value *value,
                                       struct secretcache_error **error_out);

/**
 * Like `secretcache_get_within`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_within(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              uint64_t timeout_ms,
                                              struct secretcache_value *value,
                                              struct secretcache_error **error_out);

/**
 * Like `secretcache_get_string`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_string(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              struct secretcache_value *value,
                                              struct secretcache_str *string_out,
                                              struct secretcache_error **error_out);

/**
 * Like `secretcache_get_binary`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_binary(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              struct secretcache_value *value,
                                              struct secretcache_bytes *binary_out,
                                              struct secretcache_error **error_out);

/**
 * Like `secretcache_get_field`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_field(const struct secretcache_cache *cache,
                                             const char *secret_id,
                                             const struct secretcache_version_selector *version,
                                             const char *field,
                                             struct secretcache_value *value,
                                             struct secretcache_str *string_out,
                                             struct secretcache_error **error_out);

/**
 * Like `secretcache_peek`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_peek(const struct secretcache_cache *cache,
                                        const char *secret_id,
                                        const struct secretcache_version_selector *version,
                                        struct secretcache_value *value,
                                        struct secretcache_error **error_out);

/**
 * Like `secretcache_refresh`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_refresh(const struct secretcache_cache *cache,
                                           const char *secret_id,
                                           const struct secretcache_version_selector *version,
                                           struct secretcache_value *value,
                                           struct secretcache_error **error_out);

/**
 * Like `secretcache_invalidate`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_invalidate(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              struct secretcache_error **error_out);

/**
 * Like `secretcache_value_field`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_field(const struct secretcache_value *value,
                                               const char *field,
                                               struct secretcache_value **value_out,
                                               struct secretcache_error **error_out);

/**
 * Like `secretcache_get_async`. The callback runs on a thread of this library, so it does not work with languages
 * that can be called only on their own threads.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_async(const struct secretcache_cache *cache,
                                             const char *secret_id,
                                             const struct secretcache_version_selector *version,
                                             secretcache_on_done on_done,
                                             void *user_data,
                                             struct secretcache_error **error_out);

/**
 * Like `secretcache_read_start`; its callback also runs on a thread of this library.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_read_start(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              uint64_t timeout_ms,
                                              secretcache_on_done on_done,
                                              void *user_data,
                                              struct secretcache_read **read_out,
                                              struct secretcache_error **error_out);

/**
 * Like `secretcache_connect`. It calls the login function on the calling thread, so it works with any language.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_connect(const struct secretcache_cache *cache,
                                           const char *secret_id,
                                           uint64_t timeout_ms,
                                           secretcache_on_login on_login,
                                           void *user_data,
                                           struct secretcache_error **error_out);

/**
 * Like `secretcache_credential_field`, also for "username" and "password"; NULL if there is none.
 */
SECRETCACHE_API
const char *secretcache_ffi_credential_field(const struct secretcache_credential *credential,
                                             const char *field);

/**
 * Like `secretcache_watch_new`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_watch_new(const struct secretcache_cache *cache,
                                             const char *secret_id,
                                             struct secretcache_watch **watch_out,
                                             struct secretcache_error **error_out);

/**
 * Like `secretcache_is_outdated`.
 */
SECRETCACHE_API
bool secretcache_ffi_is_outdated(const struct secretcache_cache *cache,
                                 const char *secret_id,
                                 const char *version_id);

/**
 * Like `secretcache_stats_api_calls`.
 */
SECRETCACHE_API
uint64_t secretcache_ffi_stats_api_calls(const struct secretcache_stats *stats,
                                         const char *operation);

/**
 * Like `secretcache_answer_set_binary`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_binary(struct secretcache_answer *answer,
                                                     const uint8_t *data,
                                                     size_t length,
                                                     struct secretcache_error **error_out);

/**
 * Like `secretcache_value_arn`, but writes the text, or no text, to `text_out`. This also holds for the functions
 * below.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_arn(const struct secretcache_value *value,
                                             struct secretcache_str *text_out,
                                             struct secretcache_error **error_out);

/**
 * Like `secretcache_value_name`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_name(const struct secretcache_value *value,
                                              struct secretcache_str *text_out,
                                              struct secretcache_error **error_out);

/**
 * Like `secretcache_value_version_id`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_version_id(const struct secretcache_value *value,
                                                    struct secretcache_str *text_out,
                                                    struct secretcache_error **error_out);

/**
 * Like `secretcache_value_stage`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_stage(const struct secretcache_value *value,
                                               size_t index,
                                               struct secretcache_str *text_out,
                                               struct secretcache_error **error_out);

/**
 * Like `secretcache_credential_version_id`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_credential_version_id(const struct secretcache_credential *credential,
                                                         struct secretcache_str *text_out,
                                                         struct secretcache_error **error_out);

/**
 * Like `secretcache_credential_version_stage`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_credential_version_stage(const struct secretcache_credential *credential,
                                                            struct secretcache_str *text_out,
                                                            struct secretcache_error **error_out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#ifndef SECRETCACHE_FFI

/** Makes a text from a string literal. */
#define SECRETCACHE_STR(literal) secretcache_str_of_length("" literal, sizeof(literal) - 1)

/** Makes a text from a pointer to UTF-8 bytes and their number. */
static inline secretcache_str secretcache_str_of_length(const char *data, size_t length)
{
    secretcache_str text;
    text.data = data;
    text.length = length;
    return text;
}

/** Makes a text from a NUL-terminated string; no text if it is NULL. */
static inline secretcache_str secretcache_str_of(const char *text)
{
    return secretcache_str_of_length(text, text ? strlen(text) : 0);
}

/** Selects the version with a staging label. */
static inline secretcache_version_selector secretcache_stage(secretcache_str stage)
{
    secretcache_version_selector selector;
    selector.stage = stage;
    selector.version_id = secretcache_str_of_length(NULL, 0);
    return selector;
}

/** Selects the version with a version id. */
static inline secretcache_version_selector secretcache_version_id(secretcache_str version_id)
{
    secretcache_version_selector selector;
    selector.stage = secretcache_str_of_length(NULL, 0);
    selector.version_id = version_id;
    return selector;
}

#if defined(__GNUC__) && !defined(__cplusplus)
#pragma GCC diagnostic pop
#endif

#endif /* SECRETCACHE_FFI */

#endif /* SECRETCACHE_H */
