/**
 * @file
 * Secrets from AWS Secrets Manager: read from memory in nanoseconds, refreshed in the background, served on when the
 * service cannot be reached.
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
 * - Results. A function that can fail gives SECRETCACHE_OK or why it failed. Outputs (`..._out`) are written on success
 *   alone. `error_out` may be NULL; on failure it is given an error that the caller frees with
 *   `secretcache_error_free`, and on success it is left alone.
 * - Arguments. NULL gives SECRETCACHE_NULL_ARGUMENT, or "nothing" from functions without a result, unless NULL is said to
 *   mean something. Text is UTF-8 with a length; anything else gives SECRETCACHE_INVALID_TEXT. Texts and structures are
 *   read during the call only.
 * - Ownership. What ends in `_new` or is written to `..._out` as a pointer is the caller's, and freed once with the `_free`
 *   function of its type. Texts and bytes that are given belong to what they came from.
 * - Threads. A `secretcache_cache` may be used by any number of threads; of everything else, one thread at a time may use
 *   the same object. No function may be called from a signal handler.
 * - Forks. A forked child may use what it inherited: caches start afresh there, values stay as they are. Other objects
 *   must not be in use by another thread at the moment of the fork.
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

/* The names of the enumerations are those of integer types in C before C23, and enumerations in C++: as intended. */
#if defined(__GNUC__) && !defined(__cplusplus) && !defined(SECRETCACHE_FFI)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wc++-compat"
#endif

/** The version of this header; `secretcache_version` tells that of the library. */
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
 * What a function came to. Numbers keep their meaning for ever; new ones are added at the end of their range.
 */
enum secretcache_result
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It worked.
     */
    SECRETCACHE_OK = 0,
    /**
     * A pointer is NULL that must not be. Mend the call.
     */
    SECRETCACHE_NULL_ARGUMENT = 1,
    /**
     * A text is not UTF-8. Mend the call.
     */
    SECRETCACHE_INVALID_TEXT = 2,
    /**
     * There is nothing in memory to peek at.
     */
    SECRETCACHE_NOT_CACHED = 3,
    /**
     * The resource refused every version of the secret that could be tried.
     */
    SECRETCACHE_LOGIN_REJECTED = 4,
    /**
     * The login function gave up: the resource failed in another way than by refusing the login.
     */
    SECRETCACHE_LOGIN_FAILED = 5,
    /**
     * The program cancelled the read.
     */
    SECRETCACHE_CANCELLED = 6,
    /**
     * An argument is wrong: an empty secret id, an unknown number. Mend the call.
     */
    SECRETCACHE_INVALID_ARGUMENT = 100,
    /**
     * The configuration is wrong or incomplete. Mend the set-up.
     */
    SECRETCACHE_INVALID_CONFIGURATION = 101,
    /**
     * No AWS Region is configured. Set AWS_REGION or pass one.
     */
    SECRETCACHE_NO_REGION = 102,
    /**
     * No AWS credentials were found by any of the usual sources.
     */
    SECRETCACHE_NO_CREDENTIALS = 103,
    /**
     * The credentials have expired or the service does not accept them.
     */
    SECRETCACHE_INVALID_CREDENTIALS = 104,
    /**
     * The caller may not read this secret, or may not use its KMS key.
     */
    SECRETCACHE_ACCESS_DENIED = 105,
    /**
     * There is no such secret in this account and Region.
     */
    SECRETCACHE_SECRET_NOT_FOUND = 106,
    /**
     * The secret exists; the version stage or version id asked for does not.
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
     * Too many requests for now.
     */
    SECRETCACHE_THROTTLED = 111,
    /**
     * The service had a failure of its own (HTTP 5xx).
     */
    SECRETCACHE_SERVICE_UNAVAILABLE = 112,
    /**
     * The endpoint could not be reached: DNS, connection refused or reset, TLS.
     */
    SECRETCACHE_CONNECTION = 113,
    /**
     * No answer came in time.
     */
    SECRETCACHE_TIMEOUT = 114,
    /**
     * The answer could not be understood.
     */
    SECRETCACHE_INVALID_RESPONSE = 115,
    /**
     * The secret holds no string (or no binary), but that was asked for.
     */
    SECRETCACHE_WRONG_TYPE = 116,
    /**
     * The secret string is not JSON, but a JSON value was asked for.
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
     * A source supplied by the program failed in its own way.
     */
    SECRETCACHE_SOURCE = 120,
    /**
     * A defect of this library. Please report it.
     */
    SECRETCACHE_INTERNAL = 121,
    /**
     * The process or the system has no thread, file descriptor or memory left. The message says which.
     */
    SECRETCACHE_RESOURCE_EXHAUSTED = 122,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum secretcache_result secretcache_result;
#else
typedef uint32_t secretcache_result;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The counters. They start at zero with the process and only grow.
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
     * Reads that found a value past its freshness and had to wait for the source.
     */
    SECRETCACHE_COUNTER_MISSES_EXPIRED = 2,
    /**
     * Reads answered with a value past its freshness, because it could not be refreshed.
     */
    SECRETCACHE_COUNTER_STALE_SERVED = 3,
    /**
     * Reads that waited for a request another reader had started.
     */
    SECRETCACHE_COUNTER_COALESCED = 4,
    /**
     * Refreshes that succeeded, whether or not they brought a new version.
     */
    SECRETCACHE_COUNTER_REFRESHES = 5,
    /**
     * New versions seen in place of old ones.
     */
    SECRETCACHE_COUNTER_ROTATIONS_OBSERVED = 6,
    /**
     * Secrets dropped to keep within the size.
     */
    SECRETCACHE_COUNTER_EVICTIONS = 7,
    /**
     * Logins of `secretcache_connect` that the resource took.
     */
    SECRETCACHE_COUNTER_LOGINS_ACCEPTED = 8,
    /**
     * Those among them with another version than the current one.
     */
    SECRETCACHE_COUNTER_LOGINS_WITH_OTHER_VERSION = 9,
    /**
     * Logins refused. A rotation costs one, and one more for each that was under way at that moment.
     */
    SECRETCACHE_COUNTER_LOGINS_REFUSED = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum secretcache_counter secretcache_counter;
#else
typedef uint32_t secretcache_counter;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Which event it is.
 */
enum secretcache_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A refresh brought another version than the one held.
     */
    SECRETCACHE_EVENT_NEW_VERSION = 1,
    /**
     * Readers get a value past its freshness, because it cannot be refreshed; told once per spell.
     */
    SECRETCACHE_EVENT_STALE = 2,
    /**
     * A fetch or refresh failed.
     */
    SECRETCACHE_EVENT_ERROR = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum secretcache_event_kind secretcache_event_kind;
#else
typedef uint32_t secretcache_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a login came to. The one that succeeded is 0, as in most of C: a function that returns a `bool` or a count of what
 * worked says the opposite of what it means. C++ does not compile such a function; C may not even warn.
 */
enum secretcache_login
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The resource took it: `secretcache_connect` is done.
     */
    SECRETCACHE_LOGIN_ACCEPTED = 0,
    /**
     * The resource refused this user name or password, as against failing: another version is tried.
     */
    SECRETCACHE_LOGIN_REFUSED = 1,
    /**
     * The resource failed in another way: `secretcache_connect` ends with SECRETCACHE_LOGIN_FAILED.
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
 * How much a line of the log matters.
 */
enum secretcache_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * News: a secret has a new version.
     */
    SECRETCACHE_LOG_INFO = 1,
    /**
     * Something to be looked at.
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
 * Where a source's answer goes. One thread may use it at a time.
 */
typedef struct secretcache_answer secretcache_answer;

/**
 * A cache of secrets. Any number of threads may use it at the same time. Nothing is started and nobody is asked until the
 * first read; a forked child starts afresh with its first one.
 */
typedef struct secretcache_cache secretcache_cache;

/**
 * Settings, with which any number of caches may be made. One thread may use it at a time.
 */
typedef struct secretcache_config secretcache_config;

/**
 * User name, password and whatever else is in one version of a secret: they belong together, since a rotation may change
 * the user name too. It lives until the login function returns.
 */
typedef struct secretcache_credential secretcache_credential;

/**
 * Why something failed. It never holds a secret. Free it with `secretcache_error_free`, unless a callback got it, which
 * may look at it until it returns.
 */
typedef struct secretcache_error secretcache_error;

/**
 * A read under way, which can be cancelled. One thread may use it at a time.
 */
typedef struct secretcache_read secretcache_read;

/**
 * What a cache had done at one moment, and held then. It does not change, so any thread may look at it.
 */
typedef struct secretcache_stats secretcache_stats;

/**
 * A place for one version of a secret, or for one field of it. It is empty until a function fills it, and may be filled
 * again and again; what it held is given back then. It keeps its version alive whatever becomes of the cache, and its
 * bytes are wiped once neither cache nor any value holds them. One thread may use it at a time.
 *
 * Reads are quickest with one value for each secret and thread: a value that holds what is asked for is not filled again
 * as long as the cache would fill it with the same.
 */
typedef struct secretcache_value secretcache_value;

/**
 * As long as it is there, its secret counts as in use.
 */
typedef struct secretcache_watch secretcache_watch;

/**
 * Text in UTF-8 with its length in bytes, owned by somebody else. It need not end in a NUL, unless the function that
 * gives it says so. `data` is NULL where there is no text.
 */
typedef struct secretcache_str {
    /**
     * The first byte, or NULL.
     */
    const char *data;
    /**
     * How many bytes there are, a final NUL not counted.
     */
    size_t length;
} secretcache_str;

/**
 * Which version of a secret: that with a staging label, or that with a version id; the other of the two has NULL for data.
 * With NULL for both, as with NULL for the selector itself, it is the version labelled AWSCURRENT; naming both is refused
 * with SECRETCACHE_INVALID_ARGUMENT.
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
 * Asks the store for a version with its value. Texts live until the function returns.
 */
typedef void (*secretcache_fetch_function)(void *user_data,
                                           struct secretcache_str secret_id,
                                           const struct secretcache_version_selector *version,
                                           struct secretcache_answer *answer);

/**
 * Asks the store which versions there are and which labels they carry, without values. Texts live until the function
 * returns.
 */
typedef void (*secretcache_describe_function)(void *user_data,
                                              struct secretcache_str secret_id,
                                              struct secretcache_answer *answer);

/**
 * Frees user data, on whichever thread let go of it last.
 */
typedef void (*secretcache_release)(void *user_data);

/**
 * Asks the store for the current versions of several secrets in one go. `answers` has one answer for each of the `count`
 * ids, in their order, each of which must be ended as that of a single question; both arrays and the texts live until the
 * function returns, the answers until they are ended.
 */
typedef void (*secretcache_fetch_batch_function)(void *user_data,
                                                 const struct secretcache_str *secret_ids,
                                                 struct secretcache_answer *const *answers,
                                                 size_t count);

/**
 * Where secrets come from, for programs that bring their own transport.
 *
 * The functions run on threads of this library ("secretcache"), several at a time, with all signals blocked. They may
 * block, and may answer before they return or later, from any thread; each answer must be ended exactly once, with
 * `secretcache_answer_succeed`, `secretcache_answer_fail` or `secretcache_answer_fail_as_service`. An answer that comes
 * after the timeout of the settings is thrown away. They must answer from the store each time, never from a cache of
 * their own; must not call functions of this library that wait; must not `longjmp` out of themselves, and must not throw.
 * In a forked child they are called with the same user data.
 */
typedef struct secretcache_source {
    /**
     * `sizeof(secretcache_source)`, by which later versions tell what there is.
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
     * NULL where the store has nothing of the kind: refreshes then fetch.
     */
    secretcache_describe_function describe;
    /**
     * Called once when nothing will be called any more, on whichever thread let go last. May be NULL.
     */
    secretcache_release release;
    /**
     * Called by `secretcache_prefetch`, for at most 20 secrets at a time. NULL where the store has nothing of the kind:
     * those are then fetched one by one.
     */
    secretcache_fetch_batch_function fetch_batch;
} secretcache_source;

/**
 * What a source is asked: see `secretcache_ffi_source`. Its texts live until the function returns.
 */
typedef struct secretcache_request {
    /**
     * The secret.
     */
    struct secretcache_str secret_id;
    /**
     * Which version of it; of no meaning to `describe`.
     */
    struct secretcache_version_selector version;
} secretcache_request;

/**
 * Asks the store for a version with its value, or which versions there are.
 */
typedef void (*secretcache_ffi_fetch_function)(void *user_data,
                                               const struct secretcache_request *request,
                                               struct secretcache_answer *answer);

/**
 * A source for hosts whose functions take no structures by value. The functions run on threads of this library: hosts that
 * can be called on their own threads only cannot have one. Otherwise as `secretcache_source`.
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
     * NULL where the store has nothing of the kind: refreshes then fetch.
     */
    secretcache_ffi_fetch_function describe;
    /**
     * Called once when nothing will be called any more, on whichever thread let go last. May be NULL.
     */
    secretcache_release release;
} secretcache_ffi_source;

/**
 * A refresh brought another version than the one held. Ids and label are none where they are not known.
 */
typedef void (*secretcache_on_new_version)(void *user_data,
                                           struct secretcache_str secret_id,
                                           struct secretcache_str version_stage,
                                           struct secretcache_str old_version_id,
                                           struct secretcache_str new_version_id);

/**
 * Readers get a value past its freshness, because it cannot be refreshed; told once per spell. `age_ms` is the time
 * since it was last confirmed. `error` is NULL if the source has not answered yet.
 */
typedef void (*secretcache_on_stale)(void *user_data,
                                     struct secretcache_str secret_id,
                                     uint64_t age_ms,
                                     const struct secretcache_error *error);

/**
 * A fetch or refresh failed.
 */
typedef void (*secretcache_on_error)(void *user_data,
                                     struct secretcache_str secret_id,
                                     const struct secretcache_error *error);

/**
 * A line for the program's log: SECRETCACHE_LOG_INFO for news, SECRETCACHE_LOG_WARNING for what should be looked at, at
 * most once a minute for each secret. `text` ends in a NUL.
 */
typedef void (*secretcache_on_log)(void *user_data, uint32_t level, struct secretcache_str text);

/**
 * Any event. What it holds lives until the function that is told of it returns; what does not belong to its kind is none.
 */
typedef struct secretcache_event {
    /**
     * `sizeof(secretcache_event)` in the library, by which programs tell what there is.
     */
    size_t size;
    /**
     * Which event it is.
     */
    secretcache_event_kind kind;
    /**
     * The secret, by the id that it is asked for with.
     */
    struct secretcache_str secret_id;
    /**
     * Of a new version: the staging label that moved.
     */
    struct secretcache_str version_stage;
    /**
     * Of a new version: the one held before.
     */
    struct secretcache_str old_version_id;
    /**
     * Of a new version: the one held now.
     */
    struct secretcache_str new_version_id;
    /**
     * Of stale values: milliseconds since the last confirmation.
     */
    uint64_t age_ms;
    /**
     * Of failures, and of stale values if the source has answered: why.
     */
    const struct secretcache_error *error;
    /**
     * What happened, as a line of a log, ending in a NUL.
     */
    struct secretcache_str text;
} secretcache_event;

/**
 * Something happened.
 */
typedef void (*secretcache_on_event)(void *user_data, const struct secretcache_event *event);

/**
 * Bytes with their number, owned by somebody else.
 */
typedef struct secretcache_bytes {
    /**
     * The first byte, or NULL.
     */
    const uint8_t *data;
    /**
     * How many bytes there are.
     */
    size_t length;
} secretcache_bytes;

/**
 * Why one secret of several could not be had. `error` lives until the function returns.
 */
typedef void (*secretcache_on_failure)(void *user_data,
                                       struct secretcache_str secret_id,
                                       const struct secretcache_error *error);

/**
 * A read is done. Exactly one of `value` and `error` is not NULL; they live until the function returns.
 */
typedef void (*secretcache_on_done)(void *user_data,
                                    const struct secretcache_value *value,
                                    const struct secretcache_error *error);

/**
 * Logs in with one version of the credential, and gives one of the numbers of `secretcache_login`, by name: never a `bool`,
 * of which `true` would be SECRETCACHE_LOGIN_REFUSED. Any other number counts as SECRETCACHE_LOGIN_ERROR. The credential
 * and its texts live until the function returns.
 */
typedef secretcache_login (*secretcache_on_login)(void *user_data,
                                                  const struct secretcache_credential *credential);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that runs, such as "0.1.0", ending in a NUL; the header's is SECRETCACHE_VERSION. It
 * lives for ever.
 */
SECRETCACHE_API
struct secretcache_str secretcache_version(void);

/**
 * Sets how many threads the library has in this process, before the first secret is read: `workers` for requests and
 * timers, and at most `blocking` more, started when needed, for name look-ups, credential files and the functions of
 * sources; each 1 to 64. One and four unless set. Beside these there is one thread, "secretcache-events", once there
 * is something to call back. All of them block all signals; they inherit CPU affinity and scheduling.
 *
 * Fails with SECRETCACHE_INVALID_ARGUMENT if they run already.
 */
SECRETCACHE_API
secretcache_result secretcache_set_threads(size_t workers,
                                           size_t blocking,
                                           struct secretcache_error **error_out);

/**
 * Ends the background work of this process, waiting at most `timeout_ms` for requests and callbacks under way. Reads
 * from memory go on working; whatever needs the source fails with SECRETCACHE_CLOSED from then on. Reads of
 * `secretcache_get_async` that are under way are told so. Once this returns before its time is over no callback runs
 * any more, nor will one, except those of `release`. A callback may call it, and is then not waited for. Only programs
 * need it that must have no thread left when they end, such as under a leak checker.
 */
SECRETCACHE_API
void secretcache_shutdown(uint64_t timeout_ms);

/**
 * What kind of failure it is; SECRETCACHE_OK for NULL.
 */
SECRETCACHE_API secretcache_result secretcache_error_code(const struct secretcache_error *error);

/**
 * One line that says what is wrong and what to do, ending in a NUL. It lives as long as the error.
 */
SECRETCACHE_API struct secretcache_str secretcache_error_message(const struct secretcache_error *error);

/**
 * Whether asking again later can help. The cache itself backs off and tries again.
 */
SECRETCACHE_API bool secretcache_error_is_transient(const struct secretcache_error *error);

/**
 * The service's own code for it, such as ResourceNotFoundException, ending in a NUL; none where it did not answer.
 * It lives as long as the error.
 */
SECRETCACHE_API
struct secretcache_str secretcache_error_service_code(const struct secretcache_error *error);

/**
 * The operation of the service that failed, such as GetSecretValue, ending in a NUL; none where it did not answer.
 * It lives as long as the error.
 */
SECRETCACHE_API
struct secretcache_str secretcache_error_operation(const struct secretcache_error *error);

/**
 * The request id to quote to AWS support, ending in a NUL; none where the service gave none. It lives as long as
 * the error.
 */
SECRETCACHE_API
struct secretcache_str secretcache_error_request_id(const struct secretcache_error *error);

/**
 * The HTTP status of the answer; 0 where there was none.
 */
SECRETCACHE_API uint16_t secretcache_error_http_status(const struct secretcache_error *error);

/**
 * Another error that says the same, to be freed with `secretcache_error_free`; for callbacks that want to keep what they
 * are shown. NULL for NULL.
 */
SECRETCACHE_API
struct secretcache_error *secretcache_error_clone(const struct secretcache_error *error);

/**
 * Frees an error. NULL is nothing to free.
 */
SECRETCACHE_API void secretcache_error_free(struct secretcache_error *error);

/**
 * The name of a result, such as "SECRETCACHE_THROTTLED", ending in a NUL; "unknown" for other numbers. It lives for
 * ever.
 */
SECRETCACHE_API
struct secretcache_str secretcache_result_name(uint32_t result);

/**
 * Default settings, to be freed with `secretcache_config_free`. Each setter checks its own value and changes nothing
 * if it fails; how they fit together is checked by `secretcache_new`.
 */
SECRETCACHE_API
struct secretcache_config *secretcache_config_new(void);

/**
 * Frees settings. Caches made with them are not concerned. NULL is nothing to free.
 */
SECRETCACHE_API void secretcache_config_free(struct secretcache_config *config);

/**
 * How long a value counts as fresh; each is refreshed between half of it and all of it. 0: every read asks the source
 * first. Default: 300,000 ms.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_refresh_interval(struct secretcache_config *config,
                                                           uint64_t interval_ms,
                                                           struct secretcache_error **error_out);

/**
 * The refresh interval of one secret, by the id it is asked for with.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_refresh_interval_of(struct secretcache_config *config,
                                                              struct secretcache_str secret_id,
                                                              uint64_t interval_ms,
                                                              struct secretcache_error **error_out);

/**
 * How long a reader waits for a refresh of a value past its freshness before it gets the last-known one. Default:
 * 2,000 ms.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_max_wait(struct secretcache_config *config,
                                                   uint64_t wait_ms,
                                                   struct secretcache_error **error_out);

/**
 * How long after its last confirmation a value may still be served while it cannot be refreshed; at least the refresh
 * interval. Default: for as long as that lasts.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_max_stale(struct secretcache_config *config,
                                                    uint64_t stale_ms,
                                                    struct secretcache_error **error_out);

/**
 * How many secrets are kept; at least 1. Each keeps the versions asked for, at most ten. Default: 1,024.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_max_size(struct secretcache_config *config,
                                                   size_t secrets,
                                                   struct secretcache_error **error_out);

/**
 * Whether the last-known value is also served once the service says that this caller may not have it. Default: yes.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_stale_on_denied(struct secretcache_config *config,
                                                          bool serve,
                                                          struct secretcache_error **error_out);

/**
 * Whether the memory of values is kept out of swap (`mlock`) and, on Linux, out of core dumps. Each value costs four
 * system calls and at least the page it lies in of the limit of locked memory (`ulimit -l`); a value that finds no
 * room is not cached, and reading it fails with SECRETCACHE_RESOURCE_EXHAUSTED. Copies of the program's own are not
 * locked. Default: no.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_lock_memory(struct secretcache_config *config,
                                                      bool lock,
                                                      struct secretcache_error **error_out);

/**
 * The waits after failures: the first, by how much each is longer than the one before (a finite number of at least
 * 1), and the longest. Each is shortened at random.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_backoff(struct secretcache_config *config,
                                                  uint64_t base_ms,
                                                  double growth,
                                                  uint64_t max_ms,
                                                  struct secretcache_error **error_out);

/**
 * The AWS Region; otherwise AWS_REGION, AWS_DEFAULT_REGION or the profile's.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_region(struct secretcache_config *config,
                                                 struct secretcache_str region,
                                                 struct secretcache_error **error_out);

/**
 * The service endpoint, for instance that of `secretcache local` or of a VPC endpoint; otherwise
 * AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL or the Region's own.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_endpoint_url(struct secretcache_config *config,
                                                       struct secretcache_str url,
                                                       struct secretcache_error **error_out);

/**
 * The profile in the AWS configuration files; otherwise AWS_PROFILE or "default".
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_profile(struct secretcache_config *config,
                                                  struct secretcache_str profile,
                                                  struct secretcache_error **error_out);

/**
 * An access key to use as it is, with its session token if it is a temporary one; otherwise the environment, the
 * profile, the container or the machine is asked.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_credentials(struct secretcache_config *config,
                                                      struct secretcache_str access_key_id,
                                                      struct secretcache_str secret_access_key,
                                                      struct secretcache_str session_token,
                                                      struct secretcache_error **error_out);

/**
 * A role to assume with the credentials found, and the external id that its trust policy asks for, if it does.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_role(struct secretcache_config *config,
                                               struct secretcache_str role_arn,
                                               struct secretcache_str external_id,
                                               struct secretcache_error **error_out);

/**
 * An HTTP proxy; otherwise HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_proxy_url(struct secretcache_config *config,
                                                    struct secretcache_str url,
                                                    struct secretcache_error **error_out);

/**
 * A file of PEM certificates to trust instead of the system's; otherwise AWS_CA_BUNDLE.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_ca_bundle(struct secretcache_config *config,
                                                    struct secretcache_str path,
                                                    struct secretcache_error **error_out);

/**
 * Whether to use the FIPS endpoint; otherwise AWS_USE_FIPS_ENDPOINT.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_use_fips(struct secretcache_config *config,
                                                   bool use_fips,
                                                   struct secretcache_error **error_out);

/**
 * How long one operation may take with all its retries, or one request to the program's own source; at least 1.
 * Default: 5,000 ms.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_timeout(struct secretcache_config *config,
                                                  uint64_t timeout_ms,
                                                  struct secretcache_error **error_out);

/**
 * A source of the program's own instead of AWS Secrets Manager. The structure is copied. Its user data are taken over
 * if this gives SECRETCACHE_OK: `release` is then called once the settings, every cache made with them, and every
 * answer that is still due are gone.
 */
SECRETCACHE_API
secretcache_result secretcache_config_set_source(struct secretcache_config *config,
                                                 const struct secretcache_source *source,
                                                 struct secretcache_error **error_out);

/**
 * As `secretcache_config_set_source`, for hosts whose functions take no structures by value. See
 * `secretcache_source` for what a source must do.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_source(struct secretcache_config *config,
                                                     const struct secretcache_ffi_source *source,
                                                     struct secretcache_error **error_out);

/**
 * Has a function told of new versions.
 *
 * This and the next four may be called several times. The functions run on the thread "secretcache-events", one at a
 * time and in order, with all signals blocked. They may call this library, but must not wait for another callback,
 * must not call `longjmp` out of themselves, and must not throw. What they are passed lives until they return.
 *
 * `user_data` is taken over if this gives SECRETCACHE_OK: `release`, if it is not NULL, is called with it once the
 * settings and every cache made with them are gone and the function will not be called again.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_new_version(struct secretcache_config *config,
                                                     secretcache_on_new_version on_new_version,
                                                     void *user_data,
                                                     secretcache_release release,
                                                     struct secretcache_error **error_out);

/**
 * Has a function told when values are served past their freshness: see `secretcache_config_on_new_version`.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_stale(struct secretcache_config *config,
                                               secretcache_on_stale on_stale,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);

/**
 * Has a function told of failed fetches and refreshes: see `secretcache_config_on_new_version`.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_error(struct secretcache_config *config,
                                               secretcache_on_error on_error,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);

/**
 * Has a function write a log: see `secretcache_config_on_new_version`.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_log(struct secretcache_config *config,
                                             secretcache_on_log on_log,
                                             void *user_data,
                                             secretcache_release release,
                                             struct secretcache_error **error_out);

/**
 * Has a function told of every event, as a structure: see `secretcache_config_on_new_version`.
 */
SECRETCACHE_API
secretcache_result secretcache_config_on_event(struct secretcache_config *config,
                                               secretcache_on_event on_event,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);

/**
 * The secret's full ARN, for either question.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_arn(struct secretcache_answer *answer,
                                              struct secretcache_str arn,
                                              struct secretcache_error **error_out);

/**
 * The secret's friendly name, in answer to `fetch` or `fetch_batch`.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_name(struct secretcache_answer *answer,
                                               struct secretcache_str name,
                                               struct secretcache_error **error_out);

/**
 * The version's id, in answer to `fetch` or `fetch_batch`. Without one, every refresh fetches, and `secretcache_connect` cannot tell
 * versions apart.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_version_id(struct secretcache_answer *answer,
                                                     struct secretcache_str version_id,
                                                     struct secretcache_error **error_out);

/**
 * One of the staging labels of the version, in answer to `fetch` or `fetch_batch`.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_add_stage(struct secretcache_answer *answer,
                                                struct secretcache_str stage,
                                                struct secretcache_error **error_out);

/**
 * When the version was created, in milliseconds since 1970 (UTC), in answer to `fetch` or `fetch_batch`.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_created(struct secretcache_answer *answer,
                                                  uint64_t created_ms,
                                                  struct secretcache_error **error_out);

/**
 * The secret string, in answer to `fetch` or `fetch_batch`. It is copied; the copy is wiped in time.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_string(struct secretcache_answer *answer,
                                                 struct secretcache_str string,
                                                 struct secretcache_error **error_out);

/**
 * The secret binary, in answer to `fetch` or `fetch_batch`. It is copied; the copy is wiped in time.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_set_binary(struct secretcache_answer *answer,
                                                 struct secretcache_bytes binary,
                                                 struct secretcache_error **error_out);

/**
 * A version and one staging label that it carries, in answer to `describe`; to be called for each label of each.
 */
SECRETCACHE_API
secretcache_result secretcache_answer_add_version_stage(struct secretcache_answer *answer,
                                                        struct secretcache_str version_id,
                                                        struct secretcache_str stage,
                                                        struct secretcache_error **error_out);

/**
 * Ends an answer, with what was set. The answer is gone afterwards. NULL is nothing to end.
 */
SECRETCACHE_API void secretcache_answer_succeed(struct secretcache_answer *answer);

/**
 * Ends an answer with a failure: one of the results from 100 on, such as SECRETCACHE_CONNECTION; others count as
 * SECRETCACHE_SOURCE. `message` says what is wrong and what to do; it must not hold a secret. The answer is gone
 * afterwards. NULL is nothing to end.
 */
SECRETCACHE_API
void secretcache_answer_fail(struct secretcache_answer *answer,
                             uint32_t result,
                             struct secretcache_str message);

/**
 * Ends an answer with a failure in the words of Secrets Manager: its error code, such as ResourceNotFoundException,
 * its message, the HTTP status (0 where there is none), and the request id (none where there is none). The answer is
 * gone afterwards. NULL is nothing to end.
 */
SECRETCACHE_API
void secretcache_answer_fail_as_service(struct secretcache_answer *answer,
                                        struct secretcache_str code,
                                        struct secretcache_str message,
                                        uint16_t http_status,
                                        struct secretcache_str request_id);

/**
 * A cache, to be freed with `secretcache_free`. The settings are copied; NULL stands for the defaults. It starts no
 * thread and asks nobody.
 *
 * Fails with SECRETCACHE_INVALID_CONFIGURATION, naming the setting, if the settings make no sense together.
 */
SECRETCACHE_API
secretcache_result secretcache_new(const struct secretcache_config *config,
                                   struct secretcache_cache **cache_out,
                                   struct secretcache_error **error_out);

/**
 * Frees a cache, which no other thread may be using any more. Refreshes that are under way end by themselves; values
 * that were filled stay as they are. Callbacks may still run, until their `release` was called. NULL is nothing to
 * free.
 */
SECRETCACHE_API
void secretcache_free(struct secretcache_cache *cache);

/**
 * Forgets every value, ends the background work, and refuses further reads with SECRETCACHE_CLOSED. Other threads may
 * be using the cache.
 */
SECRETCACHE_API
void secretcache_close(const struct secretcache_cache *cache);

/**
 * Fills a value with a version of a secret: from memory at once, or it waits for the source. `secret_id` is a name,
 * an ARN or a partial ARN; `version` may be NULL for the version labelled AWSCURRENT. On failure the value holds what
 * it held before.
 *
 * A read from memory takes no lock, allocates nothing and copies no secret. Use one value for each secret and thread,
 * again and again: such a read counts no reference and writes nothing that other threads read, so threads do not slow
 * each other down.
 */
SECRETCACHE_API
secretcache_result secretcache_get(const struct secretcache_cache *cache,
                                   struct secretcache_str secret_id,
                                   const struct secretcache_version_selector *version,
                                   struct secretcache_value *value,
                                   struct secretcache_error **error_out);

/**
 * As `secretcache_get`, for at most `timeout_ms`: whoever reads has a deadline of its own. 0 gives what is in memory.
 * The request goes on, and the next read has its answer.
 *
 * Fails with SECRETCACHE_TIMEOUT if neither the source nor the last-known value has answered by then. Without it a
 * read takes no longer than the timeout of the settings.
 */
SECRETCACHE_API
secretcache_result secretcache_get_within(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          uint64_t timeout_ms,
                                          struct secretcache_value *value,
                                          struct secretcache_error **error_out);

/**
 * As `secretcache_get`, and gives the secret string. It is not followed by a NUL, and lives until the value is filled
 * again, cleared or freed.
 *
 * Fails with SECRETCACHE_WRONG_TYPE if the version holds binary.
 */
SECRETCACHE_API
secretcache_result secretcache_get_string(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          struct secretcache_value *value,
                                          struct secretcache_str *string_out,
                                          struct secretcache_error **error_out);

/**
 * As `secretcache_get`, and gives the secret binary. It lives until the value is filled again, cleared or freed.
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
 * As `secretcache_get`, for one field of a secret whose string is a JSON object, such as "password": the value's
 * string is then that field, and is given. A number or boolean is given as its JSON text. It is followed by a NUL
 * that is not counted, and lives until the value is filled again, cleared or freed.
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
 * Fills a value with the last-known version, fresh or not: it never waits for the source and does no I/O. For threads
 * that must not be held up; `secretcache_prefetch` and reads of other threads bring values in. A fresh version is
 * given without a lock; for any other it takes the cache's, which is held for bookkeeping of microseconds, and never
 * while anyone waits or is asked or called.
 *
 * Fails with SECRETCACHE_NOT_CACHED if there is none.
 */
SECRETCACHE_API
secretcache_result secretcache_peek(const struct secretcache_cache *cache,
                                    struct secretcache_str secret_id,
                                    const struct secretcache_version_selector *version,
                                    struct secretcache_value *value,
                                    struct secretcache_error **error_out);

/**
 * Fetches a version now, whatever its age, clears its backoffs, and waits for it. The value is filled with it, unless
 * NULL is passed. If it fails, the last-known value goes on being served.
 */
SECRETCACHE_API
secretcache_result secretcache_refresh(const struct secretcache_cache *cache,
                                       struct secretcache_str secret_id,
                                       const struct secretcache_version_selector *version,
                                       struct secretcache_value *value,
                                       struct secretcache_error **error_out);

/**
 * Fetches secrets before they are read, twenty in a call, and waits for them. What is cached and not due is left
 * alone. `on_failure` is called on this thread with each that could not be had, unless it is NULL; those do not make
 * this function fail.
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
 * An empty value, to be filled and at last freed with `secretcache_value_free`.
 */
SECRETCACHE_API struct secretcache_value *secretcache_value_new(void);

/**
 * Frees a value. NULL is nothing to free.
 */
SECRETCACHE_API void secretcache_value_free(struct secretcache_value *value);

/**
 * Empties a value, so that it keeps no secret in memory any longer.
 */
SECRETCACHE_API void secretcache_value_clear(struct secretcache_value *value);

/**
 * Another value that holds the same, to be freed with `secretcache_value_free`; for callbacks that want to keep what
 * they are shown. The bytes of a string or binary are shared, those of a field copied.
 */
SECRETCACHE_API
secretcache_result secretcache_value_clone(const struct secretcache_value *value,
                                           struct secretcache_value **value_out,
                                           struct secretcache_error **error_out);

/**
 * The secret string, or the field that the value was filled with. A field is followed by a NUL that is not counted;
 * a whole string is not. It lives until the value is filled again, cleared or freed.
 *
 * Fails with SECRETCACHE_WRONG_TYPE if the version holds binary.
 */
SECRETCACHE_API
secretcache_result secretcache_value_string(const struct secretcache_value *value,
                                            struct secretcache_str *string_out,
                                            struct secretcache_error **error_out);

/**
 * The secret binary. It lives until the value is filled again, cleared or freed.
 *
 * Fails with SECRETCACHE_WRONG_TYPE if the version holds a string.
 */
SECRETCACHE_API
secretcache_result secretcache_value_binary(const struct secretcache_value *value,
                                            struct secretcache_bytes *binary_out,
                                            struct secretcache_error **error_out);

/**
 * A field of a secret whose string is a JSON object, as a value of its own, to be freed with
 * `secretcache_value_free`. A number or boolean is given as its JSON text.
 *
 * Fails with SECRETCACHE_NOT_JSON or SECRETCACHE_FIELD_NOT_FOUND.
 */
SECRETCACHE_API
secretcache_result secretcache_value_field(const struct secretcache_value *value,
                                           struct secretcache_str field,
                                           struct secretcache_value **value_out,
                                           struct secretcache_error **error_out);

/**
 * The full ARN of the secret; none where the source does not tell it. It lives until the value is filled again,
 * cleared or freed; so do the other texts below.
 */
SECRETCACHE_API
struct secretcache_str secretcache_value_arn(const struct secretcache_value *value);

/**
 * The friendly name of the secret; none where the source does not tell it.
 */
SECRETCACHE_API struct secretcache_str secretcache_value_name(const struct secretcache_value *value);

/**
 * The version id; none where the source does not tell it. A version's value never changes.
 */
SECRETCACHE_API struct secretcache_str secretcache_value_version_id(const struct secretcache_value *value);

/**
 * How many staging labels were attached to this version when it was last confirmed.
 */
SECRETCACHE_API size_t secretcache_value_stage_count(const struct secretcache_value *value);

/**
 * One of the staging labels; none beyond the last.
 */
SECRETCACHE_API
struct secretcache_str secretcache_value_stage(const struct secretcache_value *value,
                                               size_t index);

/**
 * When this version was created, in milliseconds since 1970 (UTC); -1 where the source does not tell it.
 */
SECRETCACHE_API int64_t secretcache_value_created_ms(const struct secretcache_value *value);

/**
 * Reads as `secretcache_get` does, without waiting: `on_done` is called exactly once if this gives SECRETCACHE_OK, and
 * never otherwise. It runs on the thread "secretcache-events", never inside this call, under the rules of
 * `secretcache_config_on_new_version`; only while the library is shut down may it run on another thread. The read goes
 * on if the cache is freed meanwhile, or fails with SECRETCACHE_CLOSED.
 */
SECRETCACHE_API
secretcache_result secretcache_get_async(const struct secretcache_cache *cache,
                                         struct secretcache_str secret_id,
                                         const struct secretcache_version_selector *version,
                                         secretcache_on_done on_done,
                                         void *user_data,
                                         struct secretcache_error **error_out);

/**
 * As `secretcache_get_async`, for a read that can be cancelled, and that has a deadline if `timeout_ms` is not 0:
 * `on_done` is then told SECRETCACHE_TIMEOUT. To be freed with `secretcache_read_free`, also once it is done.
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
 * Has `on_done` told SECRETCACHE_CANCELLED soon, unless the read is done or about to be. The request that it waited
 * for goes on: others may wait for it too.
 */
SECRETCACHE_API
void secretcache_read_cancel(struct secretcache_read *read);

/**
 * Frees the handle of a read, which goes on if it is not done. NULL is nothing to free.
 */
SECRETCACHE_API void secretcache_read_free(struct secretcache_read *read);

/**
 * Connects to the resource that a secret is the credential of, also while it rotates.
 *
 * `on_login` is called on this thread with the cached current version first. If the resource refuses that login, the
 * version is fetched anew, then AWSPENDING is tried (the one that works while a rotation is between its steps), then
 * AWSPREVIOUS, and after a wait all over again, until `timeout_ms` is over (0: 30,000 ms). What the resource took and
 * refused is remembered for all callers, so that a rotation costs one refused login and not one for each connection.
 *
 * Fails with SECRETCACHE_LOGIN_REJECTED if no version logs in, with SECRETCACHE_LOGIN_FAILED if `on_login` gives
 * SECRETCACHE_LOGIN_ERROR, or with why the secret could not be had.
 */
SECRETCACHE_API
secretcache_result secretcache_connect(const struct secretcache_cache *cache,
                                       struct secretcache_str secret_id,
                                       uint64_t timeout_ms,
                                       secretcache_on_login on_login,
                                       void *user_data,
                                       struct secretcache_error **error_out);

/**
 * As `secretcache_connect`, with the staging labels to try, in this order: any of AWSCURRENT, AWSPENDING and
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
 * The field "username"; none if there is none. Like all texts of a credential it is followed by a NUL that is not
 * counted, so it may be passed on as a C string if it holds no other NUL.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_username(const struct secretcache_credential *credential);

/**
 * The field "password"; none if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_password(const struct secretcache_credential *credential);

/**
 * The field "host"; none if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_host(const struct secretcache_credential *credential);

/**
 * The field "port", a number or its text; 0 if there is none.
 */
SECRETCACHE_API uint16_t secretcache_credential_port(const struct secretcache_credential *credential);

/**
 * The field "dbname"; none if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_dbname(const struct secretcache_credential *credential);

/**
 * The field "engine"; none if there is none.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_engine(const struct secretcache_credential *credential);

/**
 * Any field; none if there is none. A number or boolean is given as its JSON text.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_field(const struct secretcache_credential *credential,
                                                    struct secretcache_str field);

/**
 * The id of the version that the credential is from, without a NUL behind it; none where the source does not tell it.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_version_id(const struct secretcache_credential *credential);

/**
 * The staging label by which that version was found, without a NUL behind it. A login with anything but AWSCURRENT
 * should be noticed: if it goes on, the current version is broken.
 */
SECRETCACHE_API
struct secretcache_str secretcache_credential_version_stage(const struct secretcache_credential *credential);

/**
 * Has a secret count as in use until the watch is freed with `secretcache_watch_free`: the refresher keeps it fresh
 * although nobody reads it, so that a new version is noticed, and eviction spares it. For pools whose connections
 * are open, and for callbacks that wait for a new version. Nothing is fetched on its account before the secret has
 * been read once. It may outlive the cache.
 */
SECRETCACHE_API
secretcache_result secretcache_watch_new(const struct secretcache_cache *cache,
                                         struct secretcache_str secret_id,
                                         struct secretcache_watch **watch_out,
                                         struct secretcache_error **error_out);

/**
 * Frees a watch. NULL is nothing to free.
 */
SECRETCACHE_API void secretcache_watch_free(struct secretcache_watch *watch);

/**
 * Whether a connection made with this version should be retired: see `secretcache_credential_version_id`. It asks
 * nobody, and says no of what it knows nothing of.
 */
SECRETCACHE_API
bool secretcache_is_outdated(const struct secretcache_cache *cache,
                             struct secretcache_str secret_id,
                             struct secretcache_str version_id);

/**
 * What the cache has done in this process and holds now, to be freed with `secretcache_stats_free`.
 */
SECRETCACHE_API
secretcache_result secretcache_stats_new(const struct secretcache_cache *cache,
                                         struct secretcache_stats **stats_out,
                                         struct secretcache_error **error_out);

/**
 * Frees statistics. NULL is nothing to free.
 */
SECRETCACHE_API void secretcache_stats_free(struct secretcache_stats *stats);

/**
 * One of the counters of `secretcache_counter`; 0 for other numbers.
 */
SECRETCACHE_API uint64_t secretcache_stats_count(const struct secretcache_stats *stats, uint32_t counter);

/**
 * How often an operation of the service was called: GetSecretValue, DescribeSecret or BatchGetSecretValue.
 */
SECRETCACHE_API
uint64_t secretcache_stats_api_calls(const struct secretcache_stats *stats,
                                     struct secretcache_str operation);

/**
 * How many fetches failed with a result such as SECRETCACHE_THROTTLED.
 */
SECRETCACHE_API uint64_t secretcache_stats_failures(const struct secretcache_stats *stats, uint32_t result);

/**
 * How many versions of secrets are known, whether held or not yet to be had.
 */
SECRETCACHE_API size_t secretcache_stats_secret_count(const struct secretcache_stats *stats);

/**
 * The id that the secret was asked for with; none beyond the last. It lives as long as the statistics; so do the
 * other texts below.
 */
SECRETCACHE_API
struct secretcache_str secretcache_stats_secret_id(const struct secretcache_stats *stats,
                                                   size_t index);

/**
 * The staging label that it was asked for with; none if it was asked for by version id.
 */
SECRETCACHE_API
struct secretcache_str secretcache_stats_secret_stage(const struct secretcache_stats *stats,
                                                      size_t index);

/**
 * The version held; none if none is.
 */
SECRETCACHE_API
struct secretcache_str secretcache_stats_secret_version_id(const struct secretcache_stats *stats,
                                                           size_t index);

/**
 * Milliseconds since it was last confirmed; -1 if it never was.
 */
SECRETCACHE_API int64_t secretcache_stats_secret_age_ms(const struct secretcache_stats *stats, size_t index);

/**
 * Milliseconds until the next refresh is due; -1 if none will be.
 */
SECRETCACHE_API
int64_t secretcache_stats_secret_next_refresh_ms(const struct secretcache_stats *stats,
                                                 size_t index);

/**
 * Why the last fetch failed; SECRETCACHE_OK if it did not.
 */
SECRETCACHE_API
secretcache_result secretcache_stats_secret_last_error(const struct secretcache_stats *stats,
                                                       size_t index);

/**
 * How many fetches in a row have failed.
 */
SECRETCACHE_API
uint32_t secretcache_stats_secret_failures(const struct secretcache_stats *stats,
                                           size_t index);

/**
 * As `secretcache_version`. This and the functions `secretcache_ffi_...` that follow do what their namesakes do, for
 * hosts that cannot pass structures by value: texts are passed as `char *` that end in a NUL, and NULL is none.
 */
SECRETCACHE_API
const char *secretcache_ffi_version(void);

/**
 * As `secretcache_result_name`.
 */
SECRETCACHE_API const char *secretcache_ffi_result_name(uint32_t result);

/**
 * As `secretcache_error_message`; NULL for NULL.
 */
SECRETCACHE_API const char *secretcache_ffi_error_message(const struct secretcache_error *error);

/**
 * As `secretcache_error_service_code`; NULL where there is none, as of the next two.
 */
SECRETCACHE_API const char *secretcache_ffi_error_service_code(const struct secretcache_error *error);

/**
 * As `secretcache_error_operation`.
 */
SECRETCACHE_API const char *secretcache_ffi_error_operation(const struct secretcache_error *error);

/**
 * As `secretcache_error_request_id`.
 */
SECRETCACHE_API const char *secretcache_ffi_error_request_id(const struct secretcache_error *error);

/**
 * As `secretcache_config_set_refresh_interval_of`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_refresh_interval_of(struct secretcache_config *config,
                                                                  const char *secret_id,
                                                                  uint64_t interval_ms,
                                                                  struct secretcache_error **error_out);

/**
 * As `secretcache_config_set_region`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_region(struct secretcache_config *config,
                                                     const char *region,
                                                     struct secretcache_error **error_out);

/**
 * As `secretcache_config_set_endpoint_url`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_endpoint_url(struct secretcache_config *config,
                                                           const char *url,
                                                           struct secretcache_error **error_out);

/**
 * As `secretcache_config_set_profile`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_profile(struct secretcache_config *config,
                                                      const char *profile,
                                                      struct secretcache_error **error_out);

/**
 * As `secretcache_config_set_credentials`; `session_token` may be NULL.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_credentials(struct secretcache_config *config,
                                                          const char *access_key_id,
                                                          const char *secret_access_key,
                                                          const char *session_token,
                                                          struct secretcache_error **error_out);

/**
 * As `secretcache_config_set_role`; `external_id` may be NULL.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_role(struct secretcache_config *config,
                                                   const char *role_arn,
                                                   const char *external_id,
                                                   struct secretcache_error **error_out);

/**
 * As `secretcache_config_set_proxy_url`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_proxy_url(struct secretcache_config *config,
                                                        const char *url,
                                                        struct secretcache_error **error_out);

/**
 * As `secretcache_config_set_ca_bundle`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_config_set_ca_bundle(struct secretcache_config *config,
                                                        const char *path,
                                                        struct secretcache_error **error_out);

/**
 * As `secretcache_answer_set_arn`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_arn(struct secretcache_answer *answer,
                                                  const char *arn,
                                                  struct secretcache_error **error_out);

/**
 * As `secretcache_answer_set_name`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_name(struct secretcache_answer *answer,
                                                   const char *name,
                                                   struct secretcache_error **error_out);

/**
 * As `secretcache_answer_set_version_id`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_version_id(struct secretcache_answer *answer,
                                                         const char *version_id,
                                                         struct secretcache_error **error_out);

/**
 * As `secretcache_answer_add_stage`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_add_stage(struct secretcache_answer *answer,
                                                    const char *stage,
                                                    struct secretcache_error **error_out);

/**
 * As `secretcache_answer_set_string`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_string(struct secretcache_answer *answer,
                                                     const char *string,
                                                     struct secretcache_error **error_out);

/**
 * As `secretcache_answer_add_version_stage`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_add_version_stage(struct secretcache_answer *answer,
                                                            const char *version_id,
                                                            const char *stage,
                                                            struct secretcache_error **error_out);

/**
 * As `secretcache_answer_fail`.
 */
SECRETCACHE_API
void secretcache_ffi_answer_fail(struct secretcache_answer *answer,
                                 uint32_t result,
                                 const char *message);

/**
 * As `secretcache_get`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get(const struct secretcache_cache *cache,
                                       const char *secret_id,
                                       const struct secretcache_version_selector *version,
                                       struct secretcache_value *value,
                                       struct secretcache_error **error_out);

/**
 * As `secretcache_get_within`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_within(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              uint64_t timeout_ms,
                                              struct secretcache_value *value,
                                              struct secretcache_error **error_out);

/**
 * As `secretcache_get_string`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_string(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              struct secretcache_value *value,
                                              struct secretcache_str *string_out,
                                              struct secretcache_error **error_out);

/**
 * As `secretcache_get_binary`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_binary(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              struct secretcache_value *value,
                                              struct secretcache_bytes *binary_out,
                                              struct secretcache_error **error_out);

/**
 * As `secretcache_get_field`.
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
 * As `secretcache_peek`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_peek(const struct secretcache_cache *cache,
                                        const char *secret_id,
                                        const struct secretcache_version_selector *version,
                                        struct secretcache_value *value,
                                        struct secretcache_error **error_out);

/**
 * As `secretcache_refresh`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_refresh(const struct secretcache_cache *cache,
                                           const char *secret_id,
                                           const struct secretcache_version_selector *version,
                                           struct secretcache_value *value,
                                           struct secretcache_error **error_out);

/**
 * As `secretcache_invalidate`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_invalidate(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              struct secretcache_error **error_out);

/**
 * As `secretcache_value_field`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_field(const struct secretcache_value *value,
                                               const char *field,
                                               struct secretcache_value **value_out,
                                               struct secretcache_error **error_out);

/**
 * As `secretcache_get_async`. The function runs on a thread of this library: not for hosts that can be called on their
 * own threads only.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_get_async(const struct secretcache_cache *cache,
                                             const char *secret_id,
                                             const struct secretcache_version_selector *version,
                                             secretcache_on_done on_done,
                                             void *user_data,
                                             struct secretcache_error **error_out);

/**
 * As `secretcache_read_start`; the same of its function.
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
 * As `secretcache_connect`, which calls on the thread that calls it: any host can be called so.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_connect(const struct secretcache_cache *cache,
                                           const char *secret_id,
                                           uint64_t timeout_ms,
                                           secretcache_on_login on_login,
                                           void *user_data,
                                           struct secretcache_error **error_out);

/**
 * As `secretcache_credential_field`, for "username" and "password" too; NULL if there is none.
 */
SECRETCACHE_API
const char *secretcache_ffi_credential_field(const struct secretcache_credential *credential,
                                             const char *field);

/**
 * As `secretcache_watch_new`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_watch_new(const struct secretcache_cache *cache,
                                             const char *secret_id,
                                             struct secretcache_watch **watch_out,
                                             struct secretcache_error **error_out);

/**
 * As `secretcache_is_outdated`.
 */
SECRETCACHE_API
bool secretcache_ffi_is_outdated(const struct secretcache_cache *cache,
                                 const char *secret_id,
                                 const char *version_id);

/**
 * As `secretcache_stats_api_calls`.
 */
SECRETCACHE_API
uint64_t secretcache_ffi_stats_api_calls(const struct secretcache_stats *stats,
                                         const char *operation);

/**
 * As `secretcache_answer_set_binary`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_answer_set_binary(struct secretcache_answer *answer,
                                                     const uint8_t *data,
                                                     size_t length,
                                                     struct secretcache_error **error_out);

/**
 * As `secretcache_value_arn`: `text_out` is given it, or no text. So are the next ones.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_arn(const struct secretcache_value *value,
                                             struct secretcache_str *text_out,
                                             struct secretcache_error **error_out);

/**
 * As `secretcache_value_name`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_name(const struct secretcache_value *value,
                                              struct secretcache_str *text_out,
                                              struct secretcache_error **error_out);

/**
 * As `secretcache_value_version_id`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_version_id(const struct secretcache_value *value,
                                                    struct secretcache_str *text_out,
                                                    struct secretcache_error **error_out);

/**
 * As `secretcache_value_stage`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_value_stage(const struct secretcache_value *value,
                                               size_t index,
                                               struct secretcache_str *text_out,
                                               struct secretcache_error **error_out);

/**
 * As `secretcache_credential_version_id`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_credential_version_id(const struct secretcache_credential *credential,
                                                         struct secretcache_str *text_out,
                                                         struct secretcache_error **error_out);

/**
 * As `secretcache_credential_version_stage`.
 */
SECRETCACHE_API
secretcache_result secretcache_ffi_credential_version_stage(const struct secretcache_credential *credential,
                                                            struct secretcache_str *text_out,
                                                            struct secretcache_error **error_out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#ifndef SECRETCACHE_FFI

/** A text made from a string literal. */
#define SECRETCACHE_STR(literal) secretcache_str_of_length("" literal, sizeof(literal) - 1)

/** A text made from a pointer to bytes in UTF-8 and their number. */
static inline secretcache_str secretcache_str_of_length(const char *data, size_t length)
{
    secretcache_str text;
    text.data = data;
    text.length = length;
    return text;
}

/** A text made from one that ends in a NUL; no text if it is NULL. */
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
