/**
 * @file
 * secretcache for C++17 and later: secretcache.h with owners, views and results. Header only; link the C library.
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
 * Functions that can fail give a `Result<T>`: `std::expected<T, Error>` where the standard library has it, and a class
 * with the same members before. Nothing here throws except `Result::value` without a value, memory running out, and
 * whatever the program's own functions throw out of `Cache::connect`. With `-fno-exceptions` these abort.
 *
 * Owners can be moved and not copied; one that was moved from may only be destroyed or assigned to. Threads, forks and
 * lifetimes are as secretcache.h says.
 */
#ifndef SECRETCACHE_HPP
#define SECRETCACHE_HPP

#include <secretcache/types.hpp>

namespace secretcache {

/** A refresh brought another version than the one held. */
struct NewVersion {
    std::string_view secret_id;
    std::string_view version_stage;
    std::string_view old_version_id;
    std::string_view new_version_id;
};

/** Readers get a value past its freshness. */
struct Stale {
    std::string_view secret_id;
    std::chrono::milliseconds age;
    /** Why, if the source has answered. */
    std::optional<ErrorView> error;
};

/** Settings; see the functions `secretcache_config_...`. A setting that is refused makes `Cache::create` fail. */
class Config {
public:
    Config() : owned_(secretcache_config_new()) {}

    Config &refresh_interval(std::chrono::milliseconds interval)
    {
        return set(secretcache_config_set_refresh_interval, detail::milliseconds(interval));
    }
    Config &refresh_interval_of(std::string_view secret_id, std::chrono::milliseconds interval)
    {
        return set(secretcache_config_set_refresh_interval_of, detail::text(secret_id),
                   detail::milliseconds(interval));
    }
    Config &max_wait(std::chrono::milliseconds wait)
    {
        return set(secretcache_config_set_max_wait, detail::milliseconds(wait));
    }
    Config &max_stale(std::chrono::milliseconds stale)
    {
        return set(secretcache_config_set_max_stale, detail::milliseconds(stale));
    }
    Config &max_size(std::size_t secrets) { return set(secretcache_config_set_max_size, secrets); }
    Config &stale_on_denied(bool serve) { return set(secretcache_config_set_stale_on_denied, serve); }
    Config &lock_memory(bool lock) { return set(secretcache_config_set_lock_memory, lock); }
    Config &backoff(std::chrono::milliseconds base, double growth, std::chrono::milliseconds max)
    {
        return set(secretcache_config_set_backoff, detail::milliseconds(base), growth, detail::milliseconds(max));
    }
    Config &region(std::string_view region) { return set(secretcache_config_set_region, detail::text(region)); }
    Config &endpoint_url(std::string_view url) { return set(secretcache_config_set_endpoint_url, detail::text(url)); }
    Config &profile(std::string_view profile) { return set(secretcache_config_set_profile, detail::text(profile)); }
    Config &credentials(std::string_view access_key_id, std::string_view secret_access_key,
                        std::optional<std::string_view> session_token = std::nullopt)
    {
        return set(secretcache_config_set_credentials, detail::text(access_key_id), detail::text(secret_access_key),
                   optional(session_token));
    }
    Config &role(std::string_view role_arn, std::optional<std::string_view> external_id = std::nullopt)
    {
        return set(secretcache_config_set_role, detail::text(role_arn), optional(external_id));
    }
    Config &proxy_url(std::string_view url) { return set(secretcache_config_set_proxy_url, detail::text(url)); }
    Config &ca_bundle(std::string_view path) { return set(secretcache_config_set_ca_bundle, detail::text(path)); }
    Config &use_fips(bool use_fips) { return set(secretcache_config_set_use_fips, use_fips); }
    Config &timeout(std::chrono::milliseconds timeout)
    {
        return set(secretcache_config_set_timeout, detail::milliseconds(timeout));
    }

    /** A source of the program's own instead of AWS Secrets Manager. */
    Config &source(std::unique_ptr<Source> source)
    {
        secretcache_source table{sizeof table, source.get(), fetch, describe, detail::release<Source>, nullptr};
        return keep(std::move(source), [&](auto *error) {
            return secretcache_config_set_source(owned_.get(), &table, error);
        });
    }

    /** Has a function told of new versions. The functions run as `secretcache_config_on_new_version` says; if one throws,
     *  the program ends. */
    Config &on_new_version(std::function<void(const NewVersion &)> tell)
    {
        using Function = decltype(tell);
        return listen(std::move(tell), secretcache_config_on_new_version,
                      [](void *function, secretcache_str id, secretcache_str stage, secretcache_str old_version,
                         secretcache_str new_version) noexcept {
                          (*static_cast<Function *>(function))({detail::view(id), detail::view(stage),
                                                                detail::view(old_version), detail::view(new_version)});
                      });
    }
    /** Has a function told when values are served past their freshness. */
    Config &on_stale(std::function<void(const Stale &)> tell)
    {
        using Function = decltype(tell);
        return listen(std::move(tell), secretcache_config_on_stale,
                      [](void *function, secretcache_str id, std::uint64_t age, const secretcache_error *error) noexcept {
                          Stale stale{detail::view(id), std::chrono::milliseconds(age), std::nullopt};
                          if (error) {
                              stale.error.emplace(error);
                          }
                          (*static_cast<Function *>(function))(stale);
                      });
    }
    /** Has a function told of failed fetches and refreshes: with the secret's id, and why. */
    Config &on_error(std::function<void(std::string_view, ErrorView)> tell)
    {
        using Function = decltype(tell);
        return listen(std::move(tell), secretcache_config_on_error,
                      [](void *function, secretcache_str id, const secretcache_error *error) noexcept {
                          (*static_cast<Function *>(function))(detail::view(id), ErrorView(error));
                      });
    }
    /** Has a function write a log: with SECRETCACHE_LOG_INFO or SECRETCACHE_LOG_WARNING, and a line. */
    Config &on_log(std::function<void(std::uint32_t, std::string_view)> tell)
    {
        using Function = decltype(tell);
        return listen(std::move(tell), secretcache_config_on_log,
                      [](void *function, std::uint32_t level, secretcache_str text) noexcept {
                          (*static_cast<Function *>(function))(level, detail::view(text));
                      });
    }

    secretcache_config *get() const noexcept { return owned_.get(); }

private:
    friend class Cache;

    static secretcache_str optional(std::optional<std::string_view> text) noexcept
    {
        return text ? detail::text(*text) : secretcache_str_of_length(nullptr, 0);
    }

    /** Keeps the first refusal for `Cache::create`. */
    void note(Result<void> result)
    {
        if (!result && !refused_) {
            refused_.emplace(std::move(result).error());
        }
    }

    template <class Setter, class... Arguments>
    Config &set(Setter setter, Arguments... arguments)
    {
        note(detail::done([&](auto *error) { return setter(owned_.get(), arguments..., error); }));
        return *this;
    }

    /** Gives an object away, if the call takes it. */
    template <class T, class Call>
    Config &keep(std::unique_ptr<T> object, Call &&call)
    {
        auto result = detail::done(call);
        if (result) {
            static_cast<void>(object.release());
        }
        note(std::move(result));
        return *this;
    }

    template <class Function, class Setter, class Callback>
    Config &listen(Function tell, Setter setter, Callback callback)
    {
        auto function = std::make_unique<Function>(std::move(tell));
        void *user_data = function.get();
        return keep(std::move(function), [&](auto *error) {
            return setter(owned_.get(), callback, user_data, detail::release<Function>, error);
        });
    }

    template <class Ask>
    static void asked(Ask &&ask) noexcept
    {
#if defined(__cpp_exceptions)
        try {
            ask();
        } catch (...) {
            // The answer has gone with it, and so has failed.
        }
#else
        ask();
#endif
    }

    static void fetch(void *source, secretcache_str id, const secretcache_version_selector *version,
                      secretcache_answer *answer) noexcept
    {
        asked([&] {
            static_cast<Source *>(source)->fetch(detail::view(id), Version(*version), Answer(answer));
        });
    }

    static void describe(void *source, secretcache_str id, secretcache_answer *answer) noexcept
    {
        asked([&] { static_cast<Source *>(source)->describe(detail::view(id), Answer(answer)); });
    }

    detail::Owner<secretcache_config, secretcache_config_free> owned_;
    std::optional<Error> refused_;
};

/** User name, password and whatever else is in one version of a secret; lives until the login function returns. */
class Credential {
public:
    explicit Credential(const secretcache_credential *credential) noexcept : credential_(credential) {}

    /** Like all texts here, empty where there is none, and followed by a NUL otherwise. */
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
    /** Without a NUL behind it, as the next. */
    std::string_view version_id() const noexcept
    {
        return detail::view(secretcache_credential_version_id(credential_));
    }
    /** The staging label by which the version was found. */
    std::string_view version_stage() const noexcept
    {
        return detail::view(secretcache_credential_version_stage(credential_));
    }

private:
    const secretcache_credential *credential_;
};

/** What a cache had done at one moment, and held then. */
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
    /** For what each secret is, use the functions `secretcache_stats_secret_...`. */
    std::size_t secret_count() const noexcept { return secretcache_stats_secret_count(owned_.get()); }

    const secretcache_stats *get() const noexcept { return owned_.get(); }

private:
    detail::Owner<secretcache_stats, secretcache_stats_free> owned_;
};

/** As long as it is there, its secret counts as in use; see `secretcache_watch_new`. */
class Watch {
public:
    explicit Watch(secretcache_watch *owned) noexcept : owned_(owned) {}

private:
    detail::Owner<secretcache_watch, secretcache_watch_free> owned_;
};

/** A cache of secrets; any number of threads may use it. See the functions of secretcache.h for what each does. */
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

    /** A version of a secret, in a value of its own. */
    Result<Value> get(std::string_view secret_id, const Version &version = {}) const
    {
        return filled([&](Value &value) { return get(secret_id, value, version); });
    }
    /** The same in a value that is used again, which allocates nothing. On failure it holds what it held before. */
    Result<void> get(std::string_view secret_id, Value &value, const Version &version = {}) const
    {
        return detail::done([&](auto *error) {
            return secretcache_get(get(), detail::text(secret_id), version.get(), value.get(), error);
        });
    }
    /** The secret string, valid until the value is filled again, cleared or destroyed. */
    Result<std::string_view> get_string(std::string_view secret_id, Value &value, const Version &version = {}) const
    {
        return detail::made<secretcache_str>(
            [&](auto *out, auto *error) {
                return secretcache_get_string(get(), detail::text(secret_id), version.get(), value.get(), out, error);
            },
            detail::view);
    }
    /** The secret binary, valid until the value is filled again, cleared or destroyed. */
    Result<Bytes> get_binary(std::string_view secret_id, Value &value, const Version &version = {}) const
    {
        return detail::made<secretcache_bytes>(
            [&](auto *out, auto *error) {
                return secretcache_get_binary(get(), detail::text(secret_id), version.get(), value.get(), out, error);
            },
            [](secretcache_bytes bytes) { return Bytes{bytes.data, bytes.length}; });
    }
    /** One field, valid until the value is filled again, cleared or destroyed. A NUL follows it. */
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
    /** The last-known version: never waits for the source, does no I/O. */
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
    /** Fetches secrets before they are read; gives those that could not be had. */
    Result<std::vector<std::pair<std::string, Error>>> prefetch(const std::vector<std::string_view> &secret_ids) const
    {
        std::vector<secretcache_str> ids;
        for (std::string_view id : secret_ids) {
            ids.push_back(detail::text(id));
        }
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
    /** Reads without waiting: calls `on_done` exactly once if this works, as `secretcache_get_async` says. */
    Result<void> get_async(std::string_view secret_id, std::function<void(Result<Value>)> on_done,
                           const Version &version = {}) const
    {
        using Function = decltype(on_done);
        auto function = std::make_unique<Function>(std::move(on_done));
        auto result = detail::done([&](auto *error) {
            return secretcache_get_async(get(), detail::text(secret_id), version.get(), async_done, function.get(),
                                         error);
        });
        if (result) {
            static_cast<void>(function.release());
        }
        return result;
    }
    /**
     * Connects, also while the secret rotates. `log_in(const Credential &)` is called on this thread and gives a
     * `secretcache_login`; what it throws is thrown from here.
     */
    template <class LogIn>
    Result<void> connect(std::string_view secret_id, LogIn &&log_in,
                         std::chrono::milliseconds timeout = std::chrono::seconds(30)) const
    {
        struct Attempt {
            LogIn &log_in;
            std::exception_ptr thrown;
        } attempt{log_in, nullptr};
        auto call = [](void *user_data, const secretcache_credential *credential) noexcept -> std::uint32_t {
            auto &attempt = *static_cast<Attempt *>(user_data);
#if defined(__cpp_exceptions)
            try {
                return attempt.log_in(Credential(credential));
            } catch (...) {
                attempt.thrown = std::current_exception();
                return SECRETCACHE_LOGIN_ERROR;
            }
#else
            return attempt.log_in(Credential(credential));
#endif
        };
        auto result = detail::done([&](auto *error) {
            return secretcache_connect(get(), detail::text(secret_id), detail::milliseconds(timeout), call, &attempt,
                                       error);
        });
        if (attempt.thrown) {
            std::rethrow_exception(attempt.thrown);
        }
        return result;
    }
    /** Has a secret kept fresh, although nobody reads it, while the watch is there. */
    Result<Watch> watch(std::string_view secret_id) const
    {
        return detail::made<secretcache_watch *>(
            [&](auto *out, auto *error) { return secretcache_watch_new(get(), detail::text(secret_id), out, error); },
            [](secretcache_watch *watch) { return Watch(watch); });
    }
    /** Whether a connection made with this version should be retired. */
    bool is_outdated(std::string_view secret_id, std::string_view version_id) const noexcept
    {
        return secretcache_is_outdated(get(), detail::text(secret_id), detail::text(version_id));
    }
    /** Forgets a secret with all its versions. */
    Result<void> invalidate(std::string_view secret_id) const
    {
        return detail::done(
            [&](auto *error) { return secretcache_invalidate(get(), detail::text(secret_id), error); });
    }
    /** What the cache has done, and holds now. */
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

    static void async_done(void *user_data, const secretcache_value *value, const secretcache_error *error) noexcept
    {
        using Function = std::function<void(Result<Value>)>;
        std::unique_ptr<Function> function(static_cast<Function *>(user_data));
        if (error) {
            (*function)(Unexpected(Error(ErrorView(error))));
            return;
        }
        (*function)(detail::made<secretcache_value *>(
            [&](auto *out, auto *error) { return secretcache_value_clone(value, out, error); },
            [](secretcache_value *clone) { return Value(clone); }));
    }

    detail::Owner<secretcache_cache, secretcache_free> owned_;
};

} // namespace secretcache

#endif
