/* The declarations of secretcache.h without preprocessor and inline functions: for LuaJIT's ffi.cdef, PHP's FFI and
 * others that read C. secretcache.h documents each function; hosts that cannot pass structures by value use
 * the functions secretcache_ffi_... instead. */
enum secretcache_result
 {
    SECRETCACHE_OK = 0,
    SECRETCACHE_NULL_ARGUMENT = 1,
    SECRETCACHE_INVALID_TEXT = 2,
    SECRETCACHE_NOT_CACHED = 3,
    SECRETCACHE_LOGIN_REJECTED = 4,
    SECRETCACHE_LOGIN_FAILED = 5,
    SECRETCACHE_CANCELLED = 6,
    SECRETCACHE_INVALID_ARGUMENT = 100,
    SECRETCACHE_INVALID_CONFIGURATION = 101,
    SECRETCACHE_NO_REGION = 102,
    SECRETCACHE_NO_CREDENTIALS = 103,
    SECRETCACHE_INVALID_CREDENTIALS = 104,
    SECRETCACHE_ACCESS_DENIED = 105,
    SECRETCACHE_SECRET_NOT_FOUND = 106,
    SECRETCACHE_VERSION_NOT_FOUND = 107,
    SECRETCACHE_SECRET_DELETED = 108,
    SECRETCACHE_KEY_UNAVAILABLE = 109,
    SECRETCACHE_INVALID_REQUEST = 110,
    SECRETCACHE_THROTTLED = 111,
    SECRETCACHE_SERVICE_UNAVAILABLE = 112,
    SECRETCACHE_CONNECTION = 113,
    SECRETCACHE_TIMEOUT = 114,
    SECRETCACHE_INVALID_RESPONSE = 115,
    SECRETCACHE_WRONG_TYPE = 116,
    SECRETCACHE_NOT_JSON = 117,
    SECRETCACHE_FIELD_NOT_FOUND = 118,
    SECRETCACHE_CLOSED = 119,
    SECRETCACHE_SOURCE = 120,
    SECRETCACHE_INTERNAL = 121,
    SECRETCACHE_RESOURCE_EXHAUSTED = 122,
    SECRETCACHE_TLS = 123,
};
typedef uint32_t secretcache_result;
enum secretcache_counter
 {
    SECRETCACHE_COUNTER_HITS = 0,
    SECRETCACHE_COUNTER_MISSES_ABSENT = 1,
    SECRETCACHE_COUNTER_MISSES_EXPIRED = 2,
    SECRETCACHE_COUNTER_STALE_SERVED = 3,
    SECRETCACHE_COUNTER_COALESCED = 4,
    SECRETCACHE_COUNTER_REFRESHES = 5,
    SECRETCACHE_COUNTER_ROTATIONS_OBSERVED = 6,
    SECRETCACHE_COUNTER_EVICTIONS = 7,
    SECRETCACHE_COUNTER_LOGINS_ACCEPTED = 8,
    SECRETCACHE_COUNTER_FALLBACK_LOGINS = 9,
    SECRETCACHE_COUNTER_LOGINS_REFUSED = 10,
    SECRETCACHE_COUNTER_REPLICA_READS = 11,
};
typedef uint32_t secretcache_counter;
enum secretcache_event_kind
 {
    SECRETCACHE_EVENT_NEW_VERSION = 1,
    SECRETCACHE_EVENT_STALE = 2,
    SECRETCACHE_EVENT_ERROR = 3,
    SECRETCACHE_EVENT_REPLICA = 4,
    SECRETCACHE_EVENT_FALLBACK_LOGIN = 5,
};
typedef uint32_t secretcache_event_kind;
enum secretcache_login
 {
    SECRETCACHE_LOGIN_ACCEPTED = 0,
    SECRETCACHE_LOGIN_REFUSED = 1,
    SECRETCACHE_LOGIN_ERROR = 2,
};
typedef uint32_t secretcache_login;
enum secretcache_log_level
 {
    SECRETCACHE_LOG_INFO = 1,
    SECRETCACHE_LOG_WARNING = 2,
};
typedef uint32_t secretcache_log_level;
typedef struct secretcache_answer secretcache_answer;
typedef struct secretcache_cache secretcache_cache;
typedef struct secretcache_config secretcache_config;
typedef struct secretcache_credential secretcache_credential;
typedef struct secretcache_error secretcache_error;
typedef struct secretcache_read secretcache_read;
typedef struct secretcache_stats secretcache_stats;
typedef struct secretcache_value secretcache_value;
typedef struct secretcache_watch secretcache_watch;
typedef struct secretcache_str {
    const char *data;
    size_t length;
} secretcache_str;
typedef struct secretcache_version_selector {
    struct secretcache_str stage;
    struct secretcache_str version_id;
} secretcache_version_selector;
typedef void (*secretcache_fetch_function)(void *user_data,
                                           struct secretcache_str secret_id,
                                           const struct secretcache_version_selector *version,
                                           struct secretcache_answer *answer);
typedef void (*secretcache_describe_function)(void *user_data,
                                              struct secretcache_str secret_id,
                                              struct secretcache_answer *answer);
typedef void (*secretcache_release)(void *user_data);
typedef void (*secretcache_fetch_batch_function)(void *user_data,
                                                 const struct secretcache_str *secret_ids,
                                                 struct secretcache_answer *const *answers,
                                                 size_t count);
typedef struct secretcache_source {
    size_t size;
    void *user_data;
    secretcache_fetch_function fetch;
    secretcache_describe_function describe;
    secretcache_release release;
    secretcache_fetch_batch_function fetch_batch;
} secretcache_source;
typedef struct secretcache_request {
    struct secretcache_str secret_id;
    struct secretcache_version_selector version;
} secretcache_request;
typedef void (*secretcache_ffi_fetch_function)(void *user_data,
                                               const struct secretcache_request *request,
                                               struct secretcache_answer *answer);
typedef struct secretcache_ffi_source {
    void *user_data;
    secretcache_ffi_fetch_function fetch;
    secretcache_ffi_fetch_function describe;
    secretcache_release release;
} secretcache_ffi_source;
typedef void (*secretcache_on_new_version)(void *user_data,
                                           struct secretcache_str secret_id,
                                           struct secretcache_str version_stage,
                                           struct secretcache_str old_version_id,
                                           struct secretcache_str new_version_id);
typedef void (*secretcache_on_stale)(void *user_data,
                                     struct secretcache_str secret_id,
                                     uint64_t age_ms,
                                     const struct secretcache_error *error);
typedef void (*secretcache_on_error)(void *user_data,
                                     struct secretcache_str secret_id,
                                     const struct secretcache_error *error);
typedef void (*secretcache_on_log)(void *user_data, uint32_t level, struct secretcache_str text);
typedef struct secretcache_event {
    size_t size;
    secretcache_event_kind kind;
    struct secretcache_str secret_id;
    struct secretcache_str version_stage;
    struct secretcache_str old_version_id;
    struct secretcache_str new_version_id;
    uint64_t age_ms;
    const struct secretcache_error *error;
    struct secretcache_str text;
    struct secretcache_str region;
} secretcache_event;
typedef void (*secretcache_on_event)(void *user_data, const struct secretcache_event *event);
typedef struct secretcache_bytes {
    const uint8_t *data;
    size_t length;
} secretcache_bytes;
typedef void (*secretcache_on_failure)(void *user_data,
                                       struct secretcache_str secret_id,
                                       const struct secretcache_error *error);
typedef void (*secretcache_on_done)(void *user_data,
                                    const struct secretcache_value *value,
                                    const struct secretcache_error *error);
typedef secretcache_login (*secretcache_on_login)(void *user_data,
                                                  const struct secretcache_credential *credential);
struct secretcache_str secretcache_version(void);
secretcache_result secretcache_set_threads(size_t workers,
                                           size_t blocking,
                                           struct secretcache_error **error_out);
void secretcache_shutdown(uint64_t timeout_ms);
 secretcache_result secretcache_error_code(const struct secretcache_error *error);
 struct secretcache_str secretcache_error_message(const struct secretcache_error *error);
 bool secretcache_error_is_transient(const struct secretcache_error *error);
struct secretcache_str secretcache_error_service_code(const struct secretcache_error *error);
struct secretcache_str secretcache_error_operation(const struct secretcache_error *error);
struct secretcache_str secretcache_error_request_id(const struct secretcache_error *error);
 uint16_t secretcache_error_http_status(const struct secretcache_error *error);
struct secretcache_error *secretcache_error_clone(const struct secretcache_error *error);
 void secretcache_error_free(struct secretcache_error *error);
struct secretcache_str secretcache_result_name(uint32_t result);
struct secretcache_config *secretcache_config_new(void);
 void secretcache_config_free(struct secretcache_config *config);
secretcache_result secretcache_config_set_refresh_interval(struct secretcache_config *config,
                                                           uint64_t interval_ms,
                                                           struct secretcache_error **error_out);
secretcache_result secretcache_config_set_refresh_interval_of(struct secretcache_config *config,
                                                              struct secretcache_str secret_id,
                                                              uint64_t interval_ms,
                                                              struct secretcache_error **error_out);
secretcache_result secretcache_config_set_max_wait(struct secretcache_config *config,
                                                   uint64_t wait_ms,
                                                   struct secretcache_error **error_out);
secretcache_result secretcache_config_set_max_stale(struct secretcache_config *config,
                                                    uint64_t stale_ms,
                                                    struct secretcache_error **error_out);
secretcache_result secretcache_config_set_max_size(struct secretcache_config *config,
                                                   size_t secrets,
                                                   struct secretcache_error **error_out);
secretcache_result secretcache_config_set_stale_on_denied(struct secretcache_config *config,
                                                          bool serve,
                                                          struct secretcache_error **error_out);
secretcache_result secretcache_config_set_lock_memory(struct secretcache_config *config,
                                                      bool lock,
                                                      struct secretcache_error **error_out);
secretcache_result secretcache_config_set_backoff(struct secretcache_config *config,
                                                  uint64_t base_ms,
                                                  double growth,
                                                  uint64_t max_ms,
                                                  struct secretcache_error **error_out);
secretcache_result secretcache_config_set_region(struct secretcache_config *config,
                                                 struct secretcache_str region,
                                                 struct secretcache_error **error_out);
secretcache_result secretcache_config_set_endpoint_url(struct secretcache_config *config,
                                                       struct secretcache_str url,
                                                       struct secretcache_error **error_out);
secretcache_result secretcache_config_set_profile(struct secretcache_config *config,
                                                  struct secretcache_str profile,
                                                  struct secretcache_error **error_out);
secretcache_result secretcache_config_set_credentials(struct secretcache_config *config,
                                                      struct secretcache_str access_key_id,
                                                      struct secretcache_str secret_access_key,
                                                      struct secretcache_str session_token,
                                                      struct secretcache_error **error_out);
secretcache_result secretcache_config_set_role(struct secretcache_config *config,
                                               struct secretcache_str role_arn,
                                               struct secretcache_str external_id,
                                               struct secretcache_error **error_out);
secretcache_result secretcache_config_set_role_for(struct secretcache_config *config,
                                                   struct secretcache_str prefix,
                                                   struct secretcache_str role_arn,
                                                   struct secretcache_str external_id,
                                                   struct secretcache_error **error_out);
secretcache_result secretcache_config_add_fallback_region(struct secretcache_config *config,
                                                          struct secretcache_str region,
                                                          struct secretcache_error **error_out);
secretcache_result secretcache_config_set_fallback_after(struct secretcache_config *config,
                                                         uint64_t after_ms,
                                                         struct secretcache_error **error_out);
secretcache_result secretcache_config_set_proxy_url(struct secretcache_config *config,
                                                    struct secretcache_str url,
                                                    struct secretcache_error **error_out);
secretcache_result secretcache_config_set_ca_bundle(struct secretcache_config *config,
                                                    struct secretcache_str path,
                                                    struct secretcache_error **error_out);
secretcache_result secretcache_config_set_use_fips(struct secretcache_config *config,
                                                   bool use_fips,
                                                   struct secretcache_error **error_out);
secretcache_result secretcache_config_set_timeout(struct secretcache_config *config,
                                                  uint64_t timeout_ms,
                                                  struct secretcache_error **error_out);
secretcache_result secretcache_config_set_source(struct secretcache_config *config,
                                                 const struct secretcache_source *source,
                                                 struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_source(struct secretcache_config *config,
                                                     const struct secretcache_ffi_source *source,
                                                     struct secretcache_error **error_out);
secretcache_result secretcache_config_on_new_version(struct secretcache_config *config,
                                                     secretcache_on_new_version on_new_version,
                                                     void *user_data,
                                                     secretcache_release release,
                                                     struct secretcache_error **error_out);
secretcache_result secretcache_config_on_stale(struct secretcache_config *config,
                                               secretcache_on_stale on_stale,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);
secretcache_result secretcache_config_on_error(struct secretcache_config *config,
                                               secretcache_on_error on_error,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);
secretcache_result secretcache_config_on_log(struct secretcache_config *config,
                                             secretcache_on_log on_log,
                                             void *user_data,
                                             secretcache_release release,
                                             struct secretcache_error **error_out);
secretcache_result secretcache_config_on_event(struct secretcache_config *config,
                                               secretcache_on_event on_event,
                                               void *user_data,
                                               secretcache_release release,
                                               struct secretcache_error **error_out);
secretcache_result secretcache_answer_set_arn(struct secretcache_answer *answer,
                                              struct secretcache_str arn,
                                              struct secretcache_error **error_out);
secretcache_result secretcache_answer_set_name(struct secretcache_answer *answer,
                                               struct secretcache_str name,
                                               struct secretcache_error **error_out);
secretcache_result secretcache_answer_set_version_id(struct secretcache_answer *answer,
                                                     struct secretcache_str version_id,
                                                     struct secretcache_error **error_out);
secretcache_result secretcache_answer_add_stage(struct secretcache_answer *answer,
                                                struct secretcache_str stage,
                                                struct secretcache_error **error_out);
secretcache_result secretcache_answer_set_created(struct secretcache_answer *answer,
                                                  uint64_t created_ms,
                                                  struct secretcache_error **error_out);
secretcache_result secretcache_answer_set_string(struct secretcache_answer *answer,
                                                 struct secretcache_str string,
                                                 struct secretcache_error **error_out);
secretcache_result secretcache_answer_set_binary(struct secretcache_answer *answer,
                                                 struct secretcache_bytes binary,
                                                 struct secretcache_error **error_out);
secretcache_result secretcache_answer_add_version_stage(struct secretcache_answer *answer,
                                                        struct secretcache_str version_id,
                                                        struct secretcache_str stage,
                                                        struct secretcache_error **error_out);
 void secretcache_answer_succeed(struct secretcache_answer *answer);
void secretcache_answer_fail(struct secretcache_answer *answer,
                             uint32_t result,
                             struct secretcache_str message);
void secretcache_answer_fail_as_service(struct secretcache_answer *answer,
                                        struct secretcache_str code,
                                        struct secretcache_str message,
                                        uint16_t http_status,
                                        struct secretcache_str request_id);
secretcache_result secretcache_new(const struct secretcache_config *config,
                                   struct secretcache_cache **cache_out,
                                   struct secretcache_error **error_out);
 void secretcache_free(struct secretcache_cache *cache);
 void secretcache_close(const struct secretcache_cache *cache);
secretcache_result secretcache_get(const struct secretcache_cache *cache,
                                   struct secretcache_str secret_id,
                                   const struct secretcache_version_selector *version,
                                   struct secretcache_value *value,
                                   struct secretcache_error **error_out);
secretcache_result secretcache_get_within(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          uint64_t timeout_ms,
                                          struct secretcache_value *value,
                                          struct secretcache_error **error_out);
secretcache_result secretcache_get_string(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          struct secretcache_value *value,
                                          struct secretcache_str *string_out,
                                          struct secretcache_error **error_out);
secretcache_result secretcache_get_binary(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          struct secretcache_value *value,
                                          struct secretcache_bytes *binary_out,
                                          struct secretcache_error **error_out);
secretcache_result secretcache_get_field(const struct secretcache_cache *cache,
                                         struct secretcache_str secret_id,
                                         const struct secretcache_version_selector *version,
                                         struct secretcache_str field,
                                         struct secretcache_value *value,
                                         struct secretcache_str *string_out,
                                         struct secretcache_error **error_out);
secretcache_result secretcache_peek(const struct secretcache_cache *cache,
                                    struct secretcache_str secret_id,
                                    const struct secretcache_version_selector *version,
                                    struct secretcache_value *value,
                                    struct secretcache_error **error_out);
secretcache_result secretcache_refresh(const struct secretcache_cache *cache,
                                       struct secretcache_str secret_id,
                                       const struct secretcache_version_selector *version,
                                       struct secretcache_value *value,
                                       struct secretcache_error **error_out);
secretcache_result secretcache_prefetch(const struct secretcache_cache *cache,
                                        const struct secretcache_str *secret_ids,
                                        size_t count,
                                        secretcache_on_failure on_failure,
                                        void *user_data,
                                        struct secretcache_error **error_out);
secretcache_result secretcache_invalidate(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          struct secretcache_error **error_out);
 struct secretcache_value *secretcache_value_new(void);
 void secretcache_value_free(struct secretcache_value *value);
 void secretcache_value_clear(struct secretcache_value *value);
secretcache_result secretcache_value_clone(const struct secretcache_value *value,
                                           struct secretcache_value **value_out,
                                           struct secretcache_error **error_out);
secretcache_result secretcache_value_string(const struct secretcache_value *value,
                                            struct secretcache_str *string_out,
                                            struct secretcache_error **error_out);
secretcache_result secretcache_value_binary(const struct secretcache_value *value,
                                            struct secretcache_bytes *binary_out,
                                            struct secretcache_error **error_out);
secretcache_result secretcache_value_field(const struct secretcache_value *value,
                                           struct secretcache_str field,
                                           struct secretcache_value **value_out,
                                           struct secretcache_error **error_out);
struct secretcache_str secretcache_value_arn(const struct secretcache_value *value);
 struct secretcache_str secretcache_value_name(const struct secretcache_value *value);
 struct secretcache_str secretcache_value_version_id(const struct secretcache_value *value);
 size_t secretcache_value_stage_count(const struct secretcache_value *value);
struct secretcache_str secretcache_value_stage(const struct secretcache_value *value,
                                               size_t index);
 int64_t secretcache_value_created_ms(const struct secretcache_value *value);
secretcache_result secretcache_get_async(const struct secretcache_cache *cache,
                                         struct secretcache_str secret_id,
                                         const struct secretcache_version_selector *version,
                                         secretcache_on_done on_done,
                                         void *user_data,
                                         struct secretcache_error **error_out);
secretcache_result secretcache_read_start(const struct secretcache_cache *cache,
                                          struct secretcache_str secret_id,
                                          const struct secretcache_version_selector *version,
                                          uint64_t timeout_ms,
                                          secretcache_on_done on_done,
                                          void *user_data,
                                          struct secretcache_read **read_out,
                                          struct secretcache_error **error_out);
void secretcache_read_cancel(struct secretcache_read *read);
 void secretcache_read_free(struct secretcache_read *read);
secretcache_result secretcache_connect(const struct secretcache_cache *cache,
                                       struct secretcache_str secret_id,
                                       uint64_t timeout_ms,
                                       secretcache_on_login on_login,
                                       void *user_data,
                                       struct secretcache_error **error_out);
secretcache_result secretcache_connect_stages(const struct secretcache_cache *cache,
                                              struct secretcache_str secret_id,
                                              const struct secretcache_str *stages,
                                              size_t stage_count,
                                              uint64_t timeout_ms,
                                              secretcache_on_login on_login,
                                              void *user_data,
                                              struct secretcache_error **error_out);
struct secretcache_str secretcache_credential_username(const struct secretcache_credential *credential);
struct secretcache_str secretcache_credential_password(const struct secretcache_credential *credential);
struct secretcache_str secretcache_credential_host(const struct secretcache_credential *credential);
 uint16_t secretcache_credential_port(const struct secretcache_credential *credential);
struct secretcache_str secretcache_credential_dbname(const struct secretcache_credential *credential);
struct secretcache_str secretcache_credential_engine(const struct secretcache_credential *credential);
struct secretcache_str secretcache_credential_field(const struct secretcache_credential *credential,
                                                    struct secretcache_str field);
struct secretcache_str secretcache_credential_version_id(const struct secretcache_credential *credential);
struct secretcache_str secretcache_credential_version_stage(const struct secretcache_credential *credential);
secretcache_result secretcache_watch_new(const struct secretcache_cache *cache,
                                         struct secretcache_str secret_id,
                                         struct secretcache_watch **watch_out,
                                         struct secretcache_error **error_out);
 void secretcache_watch_free(struct secretcache_watch *watch);
bool secretcache_is_outdated(const struct secretcache_cache *cache,
                             struct secretcache_str secret_id,
                             struct secretcache_str version_id);
secretcache_result secretcache_stats_new(const struct secretcache_cache *cache,
                                         struct secretcache_stats **stats_out,
                                         struct secretcache_error **error_out);
 void secretcache_stats_free(struct secretcache_stats *stats);
 uint64_t secretcache_stats_count(const struct secretcache_stats *stats, uint32_t counter);
uint64_t secretcache_stats_api_calls(const struct secretcache_stats *stats,
                                     struct secretcache_str operation);
 uint64_t secretcache_stats_failures(const struct secretcache_stats *stats, uint32_t result);
 size_t secretcache_stats_secret_count(const struct secretcache_stats *stats);
struct secretcache_str secretcache_stats_secret_id(const struct secretcache_stats *stats,
                                                   size_t index);
struct secretcache_str secretcache_stats_secret_stage(const struct secretcache_stats *stats,
                                                      size_t index);
struct secretcache_str secretcache_stats_secret_version_id(const struct secretcache_stats *stats,
                                                           size_t index);
 int64_t secretcache_stats_secret_age_ms(const struct secretcache_stats *stats, size_t index);
int64_t secretcache_stats_secret_next_refresh_ms(const struct secretcache_stats *stats,
                                                 size_t index);
secretcache_result secretcache_stats_secret_last_error(const struct secretcache_stats *stats,
                                                       size_t index);
uint32_t secretcache_stats_secret_failures(const struct secretcache_stats *stats,
                                           size_t index);
const char *secretcache_ffi_version(void);
 const char *secretcache_ffi_result_name(uint32_t result);
 const char *secretcache_ffi_error_message(const struct secretcache_error *error);
 const char *secretcache_ffi_error_service_code(const struct secretcache_error *error);
 const char *secretcache_ffi_error_operation(const struct secretcache_error *error);
 const char *secretcache_ffi_error_request_id(const struct secretcache_error *error);
secretcache_result secretcache_ffi_config_set_refresh_interval_of(struct secretcache_config *config,
                                                                  const char *secret_id,
                                                                  uint64_t interval_ms,
                                                                  struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_region(struct secretcache_config *config,
                                                     const char *region,
                                                     struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_endpoint_url(struct secretcache_config *config,
                                                           const char *url,
                                                           struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_profile(struct secretcache_config *config,
                                                      const char *profile,
                                                      struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_credentials(struct secretcache_config *config,
                                                          const char *access_key_id,
                                                          const char *secret_access_key,
                                                          const char *session_token,
                                                          struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_role(struct secretcache_config *config,
                                                   const char *role_arn,
                                                   const char *external_id,
                                                   struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_role_for(struct secretcache_config *config,
                                                       const char *prefix,
                                                       const char *role_arn,
                                                       const char *external_id,
                                                       struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_add_fallback_region(struct secretcache_config *config,
                                                              const char *region,
                                                              struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_proxy_url(struct secretcache_config *config,
                                                        const char *url,
                                                        struct secretcache_error **error_out);
secretcache_result secretcache_ffi_config_set_ca_bundle(struct secretcache_config *config,
                                                        const char *path,
                                                        struct secretcache_error **error_out);
secretcache_result secretcache_ffi_answer_set_arn(struct secretcache_answer *answer,
                                                  const char *arn,
                                                  struct secretcache_error **error_out);
secretcache_result secretcache_ffi_answer_set_name(struct secretcache_answer *answer,
                                                   const char *name,
                                                   struct secretcache_error **error_out);
secretcache_result secretcache_ffi_answer_set_version_id(struct secretcache_answer *answer,
                                                         const char *version_id,
                                                         struct secretcache_error **error_out);
secretcache_result secretcache_ffi_answer_add_stage(struct secretcache_answer *answer,
                                                    const char *stage,
                                                    struct secretcache_error **error_out);
secretcache_result secretcache_ffi_answer_set_string(struct secretcache_answer *answer,
                                                     const char *string,
                                                     struct secretcache_error **error_out);
secretcache_result secretcache_ffi_answer_add_version_stage(struct secretcache_answer *answer,
                                                            const char *version_id,
                                                            const char *stage,
                                                            struct secretcache_error **error_out);
void secretcache_ffi_answer_fail(struct secretcache_answer *answer,
                                 uint32_t result,
                                 const char *message);
secretcache_result secretcache_ffi_get(const struct secretcache_cache *cache,
                                       const char *secret_id,
                                       const struct secretcache_version_selector *version,
                                       struct secretcache_value *value,
                                       struct secretcache_error **error_out);
secretcache_result secretcache_ffi_get_within(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              uint64_t timeout_ms,
                                              struct secretcache_value *value,
                                              struct secretcache_error **error_out);
secretcache_result secretcache_ffi_get_string(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              struct secretcache_value *value,
                                              struct secretcache_str *string_out,
                                              struct secretcache_error **error_out);
secretcache_result secretcache_ffi_get_binary(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              struct secretcache_value *value,
                                              struct secretcache_bytes *binary_out,
                                              struct secretcache_error **error_out);
secretcache_result secretcache_ffi_get_field(const struct secretcache_cache *cache,
                                             const char *secret_id,
                                             const struct secretcache_version_selector *version,
                                             const char *field,
                                             struct secretcache_value *value,
                                             struct secretcache_str *string_out,
                                             struct secretcache_error **error_out);
secretcache_result secretcache_ffi_peek(const struct secretcache_cache *cache,
                                        const char *secret_id,
                                        const struct secretcache_version_selector *version,
                                        struct secretcache_value *value,
                                        struct secretcache_error **error_out);
secretcache_result secretcache_ffi_refresh(const struct secretcache_cache *cache,
                                           const char *secret_id,
                                           const struct secretcache_version_selector *version,
                                           struct secretcache_value *value,
                                           struct secretcache_error **error_out);
secretcache_result secretcache_ffi_invalidate(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              struct secretcache_error **error_out);
secretcache_result secretcache_ffi_value_field(const struct secretcache_value *value,
                                               const char *field,
                                               struct secretcache_value **value_out,
                                               struct secretcache_error **error_out);
secretcache_result secretcache_ffi_get_async(const struct secretcache_cache *cache,
                                             const char *secret_id,
                                             const struct secretcache_version_selector *version,
                                             secretcache_on_done on_done,
                                             void *user_data,
                                             struct secretcache_error **error_out);
secretcache_result secretcache_ffi_read_start(const struct secretcache_cache *cache,
                                              const char *secret_id,
                                              const struct secretcache_version_selector *version,
                                              uint64_t timeout_ms,
                                              secretcache_on_done on_done,
                                              void *user_data,
                                              struct secretcache_read **read_out,
                                              struct secretcache_error **error_out);
secretcache_result secretcache_ffi_connect(const struct secretcache_cache *cache,
                                           const char *secret_id,
                                           uint64_t timeout_ms,
                                           secretcache_on_login on_login,
                                           void *user_data,
                                           struct secretcache_error **error_out);
const char *secretcache_ffi_credential_field(const struct secretcache_credential *credential,
                                             const char *field);
secretcache_result secretcache_ffi_watch_new(const struct secretcache_cache *cache,
                                             const char *secret_id,
                                             struct secretcache_watch **watch_out,
                                             struct secretcache_error **error_out);
bool secretcache_ffi_is_outdated(const struct secretcache_cache *cache,
                                 const char *secret_id,
                                 const char *version_id);
uint64_t secretcache_ffi_stats_api_calls(const struct secretcache_stats *stats,
                                         const char *operation);
secretcache_result secretcache_ffi_answer_set_binary(struct secretcache_answer *answer,
                                                     const uint8_t *data,
                                                     size_t length,
                                                     struct secretcache_error **error_out);
secretcache_result secretcache_ffi_value_arn(const struct secretcache_value *value,
                                             struct secretcache_str *text_out,
                                             struct secretcache_error **error_out);
secretcache_result secretcache_ffi_value_name(const struct secretcache_value *value,
                                              struct secretcache_str *text_out,
                                              struct secretcache_error **error_out);
secretcache_result secretcache_ffi_value_version_id(const struct secretcache_value *value,
                                                    struct secretcache_str *text_out,
                                                    struct secretcache_error **error_out);
secretcache_result secretcache_ffi_value_stage(const struct secretcache_value *value,
                                               size_t index,
                                               struct secretcache_str *text_out,
                                               struct secretcache_error **error_out);
secretcache_result secretcache_ffi_credential_version_id(const struct secretcache_credential *credential,
                                                         struct secretcache_str *text_out,
                                                         struct secretcache_error **error_out);
secretcache_result secretcache_ffi_credential_version_stage(const struct secretcache_credential *credential,
                                                            struct secretcache_str *text_out,
                                                            struct secretcache_error **error_out);
