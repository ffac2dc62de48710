/**
 * @file
 * Custom sources of secrets; secretcache.hpp includes this.
 */
#ifndef SECRETCACHE_SOURCE_HPP
#define SECRETCACHE_SOURCE_HPP

#include <secretcache/types.hpp>

namespace secretcache {
inline namespace SECRETCACHE_INLINE_NAMESPACE {

/** The answer of a source; see `secretcache_answer`. If it is destroyed before it is ended, the request fails. */
class Answer {
public:
    explicit Answer(secretcache_answer *owned) noexcept : owned_(owned) {}

    Result<void> arn(std::string_view arn) { return set(secretcache_answer_set_arn, arn); }
    Result<void> name(std::string_view name) { return set(secretcache_answer_set_name, name); }
    Result<void> version_id(std::string_view id) { return set(secretcache_answer_set_version_id, id); }
    Result<void> add_stage(std::string_view stage) { return set(secretcache_answer_add_stage, stage); }
    Result<void> created(std::chrono::system_clock::time_point created)
    {
        const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(created.time_since_epoch());
        return detail::done([&](auto *error) {
            return secretcache_answer_set_created(owned_.get(), since.count() < 0 ? 0 : detail::milliseconds(since),
                                                  error);
        });
    }
    Result<void> string(std::string_view string) { return set(secretcache_answer_set_string, string); }
    Result<void> binary(const std::uint8_t *data, std::size_t length)
    {
        return detail::done([&](auto *error) {
            return secretcache_answer_set_binary(owned_.get(), secretcache_bytes{data, length}, error);
        });
    }
    /** Adds a version and one of its labels, for `describe`. */
    Result<void> add_version_stage(std::string_view version_id, std::string_view stage)
    {
        return detail::done([&](auto *error) {
            return secretcache_answer_add_version_stage(owned_.get(), detail::text(version_id), detail::text(stage),
                                                        error);
        });
    }

    /** Ends the answer with what was set. */
    void succeed() noexcept { secretcache_answer_succeed(owned_.release()); }
    /** Ends the answer with a failure such as SECRETCACHE_CONNECTION. */
    void fail(secretcache_result result, std::string_view message) noexcept
    {
        secretcache_answer_fail(owned_.release(), result, detail::text(message));
    }
    /** Ends the answer with an error of Secrets Manager, such as ResourceNotFoundException. */
    void fail_as_service(std::string_view code, std::string_view message, std::uint16_t http_status = 0,
                         std::optional<std::string_view> request_id = std::nullopt) noexcept
    {
        secretcache_answer_fail_as_service(owned_.release(), detail::text(code), detail::text(message), http_status,
                                           detail::text(request_id));
    }

private:
    using Setter = secretcache_result (*)(secretcache_answer *, secretcache_str, secretcache_error **);

    Result<void> set(Setter setter, std::string_view text)
    {
        return detail::done([&](auto *error) { return setter(owned_.get(), detail::text(text), error); });
    }

    static void abandon(secretcache_answer *answer) noexcept
    {
        secretcache_answer_fail(answer, SECRETCACHE_SOURCE, SECRETCACHE_STR("the custom source gave no answer"));
    }

    detail::Owner<secretcache_answer, abandon> owned_;
};

/** A custom source; see `secretcache_source` for threads and requirements. If a function throws, its request fails. */
class Source {
public:
    virtual ~Source() = default;
    /** Fetches a version with its value. The texts are valid until this returns. */
    virtual void fetch(std::string_view secret_id, const Version &version, Answer answer) = 0;
    /** Asks for the secret's versions. Unless this is overridden, refreshes call `fetch`. */
    virtual void describe(std::string_view, Answer answer)
    {
        answer.fail(SECRETCACHE_ACCESS_DENIED, "this source does not override describe");
    }
};

/** A source that can fetch several secrets at once. */
class BatchSource : public Source {
public:
    /** Fetches the current versions of several secrets. There is one answer for each id, in the same order. The ids are
     *  valid until this returns. */
    virtual void fetch_batch(const std::vector<std::string_view> &secret_ids, std::vector<Answer> answers) = 0;
};

} // namespace SECRETCACHE_INLINE_NAMESPACE
} // namespace secretcache

#endif
