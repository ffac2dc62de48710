/**
 * @file
 * Settings of a cache; secretcache.hpp includes this.
 */
#ifndef SECRETCACHE_CONFIG_HPP
#define SECRETCACHE_CONFIG_HPP

#include <secretcache/source.hpp>

namespace secretcache {
inline namespace SECRETCACHE_INLINE_NAMESPACE {

/** A refresh found a new version. */
struct NewVersion {
    std::string_view secret_id;
    std::string_view version_stage;
    std::string_view old_version_id;
    std::string_view new_version_id;
};

/** Reads begin to get a value that could not be refreshed in time. */
struct Stale {
    std::string_view secret_id;
    std::chrono::milliseconds age;
    /** The error, if the source has responded. */
    std::optional<ErrorView> error;
};

/** Settings of a cache; see the functions `secretcache_config_...`. A wrong setting makes `Cache::create` fail. */
class Config {
public:
    Config() : owned_(secretcache_config_new()) {}

    Config &refresh_interval(std::chrono::milliseconds interval)
    {
        return set(secretcache_config_set_refresh_interval, detail::milliseconds(interval));
    }
    Config &refresh_interval_of(std::string_view secret_id, std::chrono::milliseconds interval)
    {
        return set(secretcache_config_set_refresh_interval_of, detail::text(secret_id), detail::milliseconds(interval));
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
                   detail::text(session_token));
    }
    Config &role(std::string_view role_arn, std::optional<std::string_view> external_id = std::nullopt)
    {
        return set(secretcache_config_set_role, detail::text(role_arn), detail::text(external_id));
    }
    Config &role_for(std::string_view prefix, std::string_view role_arn,
                     std::optional<std::string_view> external_id = std::nullopt)
    {
        return set(secretcache_config_set_role_for, detail::text(prefix), detail::text(role_arn),
                   detail::text(external_id));
    }
    Config &fallback_region(std::string_view region)
    {
        return set(secretcache_config_add_fallback_region, detail::text(region));
    }
    Config &fallback_after(std::chrono::milliseconds after)
    {
        return set(secretcache_config_set_fallback_after, detail::milliseconds(after));
    }
    Config &proxy_url(std::string_view url) { return set(secretcache_config_set_proxy_url, detail::text(url)); }
    Config &ca_bundle(std::string_view path) { return set(secretcache_config_set_ca_bundle, detail::text(path)); }
    Config &use_fips(bool use_fips) { return set(secretcache_config_set_use_fips, use_fips); }
    Config &timeout(std::chrono::milliseconds timeout)
    {
        return set(secretcache_config_set_timeout, detail::milliseconds(timeout));
    }

    /** Sets a custom source to use instead of AWS Secrets Manager: a `Source` or a `BatchSource`. */
    template <class Own>
    Config &source(std::unique_ptr<Own> source)
    {
        static_assert(std::is_base_of_v<Source, Own>, "a source is derived from secretcache::Source");
        std::unique_ptr<Source> kept = std::move(source);
        secretcache_source table{};
        table.size = sizeof table;
        table.user_data = kept.get();
        table.fetch = fetch;
        table.describe = describe;
        table.release = detail::release<Source>;
        if constexpr (std::is_base_of_v<BatchSource, Own>) {
            table.fetch_batch = fetch_batch;
        }
        return keep(std::move(kept),
                    [&](auto *error) { return secretcache_config_set_source(owned_.get(), &table, error); });
    }

    /** Calls a function for each new version, under the rules of `secretcache_config_on_new_version`. If it throws, the
     *  program terminates. */
    Config &on_new_version(std::function<void(const NewVersion &)> listener)
    {
        using Function = decltype(listener);
        return listen(std::move(listener), secretcache_config_on_new_version,
                      [](void *function, secretcache_str id, secretcache_str stage, secretcache_str old_version,
                         secretcache_str new_version) noexcept {
                          (*static_cast<Function *>(function))({detail::view(id), detail::view(stage),
                                                                detail::view(old_version), detail::view(new_version)});
                      });
    }
    /** Calls a function when reads begin to get a value that could not be refreshed in time. */
    Config &on_stale(std::function<void(const Stale &)> listener)
    {
        using Function = decltype(listener);
        return listen(
            std::move(listener), secretcache_config_on_stale,
            [](void *function, secretcache_str id, std::uint64_t age, const secretcache_error *error) noexcept {
                Stale stale{detail::view(id), std::chrono::milliseconds(age), std::nullopt};
                if (error) {
                    stale.error.emplace(error);
                }
                (*static_cast<Function *>(function))(stale);
            });
    }
    /** Calls a function when a fetch or refresh fails, with the secret's id and the error. */
    Config &on_error(std::function<void(std::string_view, ErrorView)> listener)
    {
        using Function = decltype(listener);
        return listen(std::move(listener), secretcache_config_on_error,
                      [](void *function, secretcache_str id, const secretcache_error *error) noexcept {
                          (*static_cast<Function *>(function))(detail::view(id), ErrorView(error));
                      });
    }
    /** Calls a function with each event; see `secretcache_event` and `secretcache_event_kind`. */
    Config &on_event(std::function<void(const secretcache_event &)> listener)
    {
        using Function = decltype(listener);
        return listen(std::move(listener), secretcache_config_on_event,
                      [](void *function, const secretcache_event *event) noexcept {
                          (*static_cast<Function *>(function))(*event);
                      });
    }
    /** Calls a function with each log line and its level, SECRETCACHE_LOG_INFO or SECRETCACHE_LOG_WARNING. */
    Config &on_log(std::function<void(std::uint32_t, std::string_view)> listener)
    {
        using Function = decltype(listener);
        return listen(std::move(listener), secretcache_config_on_log,
                      [](void *function, std::uint32_t level, secretcache_str text) noexcept {
                          (*static_cast<Function *>(function))(level, detail::view(text));
                      });
    }

    secretcache_config *get() const noexcept { return owned_.get(); }

private:
    friend class Cache;

    /** Keeps the first error, for `Cache::create` to return. */
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

    /** Gives up ownership of the object if the call succeeds, and so takes it over. */
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
    Config &listen(Function listener, Setter setter, Callback callback)
    {
        auto function = std::make_unique<Function>(std::move(listener));
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
            // Unwinding destroyed the answer, so the request fails.
        }
#else
        ask();
#endif
    }

    static void fetch(void *source, secretcache_str id, const secretcache_version_selector *version,
                      secretcache_answer *answer) noexcept
    {
        asked([&] { static_cast<Source *>(source)->fetch(detail::view(id), Version(*version), Answer(answer)); });
    }

    static void describe(void *source, secretcache_str id, secretcache_answer *answer) noexcept
    {
        asked([&] { static_cast<Source *>(source)->describe(detail::view(id), Answer(answer)); });
    }

    static void fetch_batch(void *source, const secretcache_str *ids, secretcache_answer *const *answers,
                            std::size_t count) noexcept
    {
        asked([&] {
            std::vector<Answer> places;
            places.reserve(count);
            for (std::size_t index = 0; index < count; index++) {
                places.emplace_back(answers[index]);
            }
            std::vector<std::string_view> texts;
            texts.reserve(count);
            for (std::size_t index = 0; index < count; index++) {
                texts.push_back(detail::view(ids[index]));
            }
            static_cast<BatchSource *>(static_cast<Source *>(source))->fetch_batch(texts, std::move(places));
        });
    }

    detail::Owner<secretcache_config, secretcache_config_free> owned_;
    std::optional<Error> refused_;
};

} // namespace SECRETCACHE_INLINE_NAMESPACE
} // namespace secretcache

#endif
