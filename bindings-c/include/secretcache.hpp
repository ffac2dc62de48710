/**
 * @file
 * secretcache for C++17 and later: secretcache.h with owning types, views and results. Header only; link the C library.
 *
 * @code
 * auto cache = secretcache::Cache::create(secretcache::Config().refresh_interval(std::chrono::minutes(1)));
 * if (!cache) return complain(cache.error().message());
 *
 * secretcache::Value value;
 * if (auto password = cache->get_field("prod/checkout/db", "password", value)) {
 *     log_in(*password); // a std::string_view into `value`
 * } else {
 *     complain(password.error().message());
 * }
 * @endcode
 *
 * Functions that can fail return a `Result<T>`, which has the members of `std::expected<T, Error>` that C++17 allows.
 * The type is the same in every C++ standard, so objects compiled for different standards can be linked together.
 * Exceptions come only from `Result::value` without a value, from failed allocations, and from `Cache::connect` if the
 * login function throws. With `-fno-exceptions` these abort.
 *
 * Owning types can be moved, not copied; a moved-from object may only be destroyed or assigned to. secretcache.h
 * describes threads, forks and lifetimes.
 */
#ifndef SECRETCACHE_HPP
#define SECRETCACHE_HPP

#include <secretcache/config.hpp>

namespace secretcache {
inline namespace SECRETCACHE_INLINE_NAMESPACE {

/** User name, password and the other fields of one version of a secret; valid until the login function returns. */
class Credential {
public:
    explicit Credential(const secretcache_credential *credential) noexcept : credential_(credential) {}

    /** Empty if there is none, like all texts here; otherwise followed by a NUL. */
    std::string_view username() const noexcept { return detail::view(secretcache_credential_username(credential_)); }
    std::string_view password() const noexcept { return detail::view(secretcache_credential_password(credential_)); }
    std::string_view host() const noexcept { return detail::view(secretcache_credential_host(credential_)); }
    std::uint16_t port() const noexcept { return secretcache_credential_port(credential_); }
    std::string_view dbname() const noexcept { return detail::view(secretcache_credential_dbname(credential_)); }
    std::string_view engine() const noexcept { return detail::view(secretcache_credential_engine(credential_)); }
    std::string_view field(std::string_view name) const noexcept
    {
        return detail::view(secretcache_credential_field(credential_, detail::text(name)));
    }
    /** Not followed by a NUL, like the next one. */
    std::string_view version_id() const noexcept
    {
        return detail::view(secretcache_credential_version_id(credential_));
    }
    /** The staging label of the version. */
    std::string_view version_stage() const noexcept
    {
        return detail::view(secretcache_credential_version_stage(credential_));
    }

private:
    const secretcache_credential *credential_;
};

/** Statistics of one version of a secret. */
struct SecretStatus {
    /** The id, as reads use it. */
    std::string_view id;
    /** The staging label that reads use; empty if they use a version id. */
    std::string_view stage;
    /** The id of the cached version; empty if there is none. */
    std::string_view version_id;
    /** The time since its last successful refresh. */
    std::optional<std::chrono::milliseconds> age;
    std::optional<std::chrono::milliseconds> next_refresh;
    /** The error of the last fetch; SECRETCACHE_OK if it succeeded. */
    secretcache_result last_error = SECRETCACHE_OK;
    /** How many fetches in a row have failed. */
    std::uint32_t failures = 0;
};

/** Statistics of a cache at one moment. */
class Stats {
public:
    explicit Stats(secretcache_stats *owned) noexcept : owned_(owned) {}

    std::uint64_t count(secretcache_counter counter) const noexcept
    {
        return secretcache_stats_count(owned_.get(), counter);
    }
    std::uint64_t api_calls(std::string_view operation) const noexcept
    {
        return secretcache_stats_api_calls(owned_.get(), detail::text(operation));
    }
    std::uint64_t failures(secretcache_result result) const noexcept
    {
        return secretcache_stats_failures(owned_.get(), result);
    }
    std::size_t secret_count() const noexcept { return secretcache_stats_secret_count(owned_.get()); }
    /** One of the secrets; its texts are valid as long as the statistics. */
    SecretStatus secret(std::size_t index) const noexcept
    {
        const secretcache_stats *stats = owned_.get();
        SecretStatus status;
        status.id = detail::view(secretcache_stats_secret_id(stats, index));
        status.stage = detail::view(secretcache_stats_secret_stage(stats, index));
        status.version_id = detail::view(secretcache_stats_secret_version_id(stats, index));
        status.age = span(secretcache_stats_secret_age_ms(stats, index));
        status.next_refresh = span(secretcache_stats_secret_next_refresh_ms(stats, index));
        status.last_error = secretcache_stats_secret_last_error(stats, index);
        status.failures = secretcache_stats_secret_failures(stats, index);
        return status;
    }

    const secretcache_stats *get() const noexcept { return owned_.get(); }

private:
    static std::optional<std::chrono::milliseconds> span(std::int64_t milliseconds) noexcept
    {
        return milliseconds < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(milliseconds));
    }

    detail::Owner<secretcache_stats, secretcache_stats_free> owned_;
};

/** Returns the version of the library at run time; SECRETCACHE_VERSION is the version of the headers. */
inline std::string_view version() noexcept
{
    return detail::view(secretcache_version());
}

/** Returns the name of a result, such as "SECRETCACHE_THROTTLED". */
inline std::string_view result_name(secretcache_result result) noexcept
{
    return detail::view(secretcache_result_name(result));
}

/** Sets how many threads the library has; see `secretcache_set_threads`. */
inline Result<void> set_threads(std::size_t workers, std::size_t blocking)
{
    return detail::done([&](auto *error) { return secretcache_set_threads(workers, blocking, error); });
}

/** Ends the background work of this process; see `secretcache_shutdown`. */
inline void shutdown(std::chrono::milliseconds timeout) noexcept
{
    secretcache_shutdown(detail::milliseconds(timeout));
}

/** Makes its secret count as in use while it exists; see `secretcache_watch_new`. */
class Watch {
public:
    explicit Watch(secretcache_watch *owned) noexcept : owned_(owned) {}

private:
    detail::Owner<secretcache_watch, secretcache_watch_free> owned_;
};

/** A read in progress. It continues after this is destroyed. */
class Read {
public:
    explicit Read(secretcache_read *owned) noexcept : owned_(owned) {}

    /** Cancels the read: its callback soon gets SECRETCACHE_CANCELLED, unless the read is done. */
    void cancel() noexcept { secretcache_read_cancel(owned_.get()); }

private:
    detail::Owner<secretcache_read, secretcache_read_free> owned_;
};

/** A cache of secrets; any number of threads may use it. secretcache.h documents the functions. */
class Cache {
public:
    static Result<Cache> create(const Config &config = Config())
    {
        if (config.refused_) {
            return Unexpected(Error(ErrorView(*config.refused_)));
        }
        return detail::made<secretcache_cache *>(
            [&](auto *out, auto *error) { return secretcache_new(config.get(), out, error); },
            [](secretcache_cache *cache) { return Cache(cache); });
    }

    /** Takes over a cache of the C interface. */
    explicit Cache(secretcache_cache *owned) noexcept : owned_(owned) {}

    /** Reads a version of a secret into a new value. */
    Result<Value> get(std::string_view secret_id, const Version &version = {}) const
    {
        return filled([&](Value &value) { return get(secret_id, value, version); });
    }
    /** Reads into an existing value, which allocates nothing. On failure the value is not changed. */
    Result<void> get(std::string_view secret_id, Value &value, const Version &version = {}) const
    {
        return detail::done([&](auto *error) {
            return secretcache_get(get(), detail::text(secret_id), version.get(), value.get(), error);
        });
    }
    /** Like `get`, but waits for at most `timeout`. */
    Result<void> get_within(std::string_view secret_id, std::chrono::milliseconds timeout, Value &value,
                            const Version &version = {}) const
    {
        return detail::done([&](auto *error) {
            return secretcache_get_within(get(), detail::text(secret_id), version.get(), detail::milliseconds(timeout),
                                          value.get(), error);
        });
    }
    /** Returns the secret string, valid until the value is filled again, cleared or destroyed. */
    Result<std::string_view> get_string(std::string_view secret_id, Value &value, const Version &version = {}) const
    {
        return detail::made<secretcache_str>(
            [&](auto *out, auto *error) {
                return secretcache_get_string(get(), detail::text(secret_id), version.get(), value.get(), out, error);
            },
            detail::view);
    }
    /** Returns the secret binary, valid until the value is filled again, cleared or destroyed. */
    Result<Bytes> get_binary(std::string_view secret_id, Value &value, const Version &version = {}) const
    {
        return detail::made<secretcache_bytes>(
            [&](auto *out, auto *error) {
                return secretcache_get_binary(get(), detail::text(secret_id), version.get(), value.get(), out, error);
            },
            [](secretcache_bytes bytes) { return Bytes{bytes.data, bytes.length}; });
    }
    /** Returns one field, valid until the value is filled again, cleared or destroyed. A NUL follows it. */
    Result<std::string_view> get_field(std::string_view secret_id, std::string_view field, Value &value,
                                       const Version &version = {}) const
    {
        return detail::made<secretcache_str>(
            [&](auto *out, auto *error) {
                return secretcache_get_field(get(), detail::text(secret_id), version.get(), detail::text(field),
                                             value.get(), out, error);
            },
            detail::view);
    }
    /** Fills the value with the last known version. Never waits for the source, and does no I/O. */
    Result<void> peek(std::string_view secret_id, Value &value, const Version &version = {}) const
    {
        return detail::done([&](auto *error) {
            return secretcache_peek(get(), detail::text(secret_id), version.get(), value.get(), error);
        });
    }
    /** Fetches a version now. */
    Result<Value> refresh(std::string_view secret_id, const Version &version = {}) const
    {
        return filled([&](Value &value) {
            return detail::done([&](auto *error) {
                return secretcache_refresh(get(), detail::text(secret_id), version.get(), value.get(), error);
            });
        });
    }
    /** Fetches secrets before they are read; returns the errors of those that failed. */
    Result<std::vector<std::pair<std::string, Error>>> prefetch(const std::vector<std::string_view> &secret_ids) const
    {
        const auto ids = detail::texts(secret_ids);
        std::vector<std::pair<std::string, Error>> failed;
        auto note = [](void *list, secretcache_str id, const secretcache_error *error) noexcept {
            static_cast<decltype(failed) *>(list)->emplace_back(detail::view(id), Error(ErrorView(error)));
        };
        auto result = detail::done(
            [&](auto *error) { return secretcache_prefetch(get(), ids.data(), ids.size(), note, &failed, error); });
        if (!result) {
            return Unexpected(std::move(result).error());
        }
        return Result<decltype(failed)>(std::move(failed));
    }
    /** Reads without waiting. If this succeeds, `on_done` is called exactly once; see `secretcache_get_async`. */
    Result<void> get_async(std::string_view secret_id, std::function<void(Result<Value>)> on_done,
                           const Version &version = {}) const
    {
        auto function = std::make_unique<OnDone>(std::move(on_done));
        auto result = detail::done([&](auto *error) {
            return secretcache_get_async(get(), detail::text(secret_id), version.get(), finish, function.get(), error);
        });
        if (result) {
            static_cast<void>(function.release());
        }
        return result;
    }
    /** Like `get_async`, with a handle that can cancel the read and, unless `timeout` is 0, a deadline. */
    Result<Read> start(std::string_view secret_id, std::function<void(Result<Value>)> on_done,
                       std::chrono::milliseconds timeout = {}, const Version &version = {}) const
    {
        auto function = std::make_unique<OnDone>(std::move(on_done));
        auto result = detail::made<secretcache_read *>(
            [&](auto *out, auto *error) {
                return secretcache_read_start(get(), detail::text(secret_id), version.get(),
                                              detail::milliseconds(timeout), finish, function.get(), out, error);
            },
            [](secretcache_read *read) { return Read(read); });
        if (result) {
            static_cast<void>(function.release());
        }
        return result;
    }
    /**
     * Connects, even during a rotation. `log_in(const Credential &)` is called on this thread and returns a
     * `secretcache_login`; if it throws, the exception is rethrown here. `stages`, unless empty, are the staging
     * labels to try, in this order.
     */
    template <class LogIn>
    Result<void> connect(std::string_view secret_id, LogIn &&log_in,
                         std::chrono::milliseconds timeout = std::chrono::seconds(30),
                         const std::vector<std::string_view> &stages = {}) const
    {
        static_assert(
            std::is_same_v<std::invoke_result_t<LogIn &, const Credential &>, secretcache_login>,
            "log_in must return a secretcache_login: SECRETCACHE_LOGIN_ACCEPTED is 0, so a bool or an int would "
            "mean the opposite");
        struct Attempt {
            LogIn &log_in;
            std::exception_ptr thrown;
        } attempt{log_in, nullptr};
        auto call = [](void *user_data, const secretcache_credential *credential) noexcept -> secretcache_login {
            auto &running = *static_cast<Attempt *>(user_data);
#if defined(__cpp_exceptions)
            try {
                return running.log_in(Credential(credential));
            } catch (...) {
                running.thrown = std::current_exception();
                return SECRETCACHE_LOGIN_ERROR;
            }
#else
            return running.log_in(Credential(credential));
#endif
        };
        const auto texts = detail::texts(stages);
        auto result = detail::done([&](auto *error) {
            const auto id = detail::text(secret_id);
            const auto patience = detail::milliseconds(timeout);
            return texts.empty() ? secretcache_connect(get(), id, patience, call, &attempt, error)
                                 : secretcache_connect_stages(get(), id, texts.data(), texts.size(), patience, call,
                                                              &attempt, error);
        });
        if (attempt.thrown) {
            std::rethrow_exception(attempt.thrown);
        }
        return result;
    }
    /** Keeps a secret fresh without reads while the watch exists. */
    Result<Watch> watch(std::string_view secret_id) const
    {
        return detail::made<secretcache_watch *>(
            [&](auto *out, auto *error) { return secretcache_watch_new(get(), detail::text(secret_id), out, error); },
            [](secretcache_watch *watch) { return Watch(watch); });
    }
    /** Returns whether to close a connection made with this version when it is idle; see `secretcache_is_outdated`. */
    bool is_outdated(std::string_view secret_id, std::string_view version_id) const noexcept
    {
        return secretcache_is_outdated(get(), detail::text(secret_id), detail::text(version_id));
    }
    /** Forgets a secret with all its versions. */
    Result<void> invalidate(std::string_view secret_id) const
    {
        return detail::done([&](auto *error) { return secretcache_invalidate(get(), detail::text(secret_id), error); });
    }
    /** Returns the statistics of the cache. */
    Result<Stats> stats() const
    {
        return detail::made<secretcache_stats *>(
            [&](auto *out, auto *error) { return secretcache_stats_new(get(), out, error); },
            [](secretcache_stats *stats) { return Stats(stats); });
    }
    /** Forgets every value and refuses further reads. */
    void close() const noexcept { secretcache_close(get()); }

    secretcache_cache *get() const noexcept { return owned_.get(); }

private:
    template <class Fill>
    static Result<Value> filled(Fill &&fill)
    {
        Value value;
        auto result = fill(value);
        if (!result) {
            return Unexpected(std::move(result).error());
        }
        return Result<Value>(std::move(value));
    }

    using OnDone = std::function<void(Result<Value>)>;

    static void finish(void *user_data, const secretcache_value *value, const secretcache_error *error) noexcept
    {
        std::unique_ptr<OnDone> function(static_cast<OnDone *>(user_data));
        if (error) {
            (*function)(Unexpected(Error(ErrorView(error))));
            return;
        }
        (*function)(detail::made<secretcache_value *>(
            [&](auto *out, auto *failure) { return secretcache_value_clone(value, out, failure); },
            [](secretcache_value *clone) { return Value(clone); }));
    }

    detail::Owner<secretcache_cache, secretcache_free> owned_;
};

} // namespace SECRETCACHE_INLINE_NAMESPACE
} // namespace secretcache

#endif
