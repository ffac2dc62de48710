/**
 * @file
 * Errors, results and values; the other headers include this.
 */
#ifndef SECRETCACHE_TYPES_HPP
#define SECRETCACHE_TYPES_HPP

#include <secretcache.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if __has_include(<version>)
#include <version>
#endif
#if defined(__cpp_lib_expected)
#include <expected>
#endif

/* One program can link objects compiled for different C++ standards, so every type here is the same in all of them.
 * Where types do differ (between minor releases before 1.0, and without exceptions), this namespace gives them
 * different names for the linker. */
#if defined(__cpp_exceptions)
#define SECRETCACHE_INLINE_NAMESPACE_(major, minor) v##major##_##minor
#else
#define SECRETCACHE_INLINE_NAMESPACE_(major, minor) v##major##_##minor##_noexcept
#endif
#define SECRETCACHE_INLINE_NAMESPACE_OF(major, minor) SECRETCACHE_INLINE_NAMESPACE_(major, minor)
#define SECRETCACHE_INLINE_NAMESPACE                                                                                   \
    SECRETCACHE_INLINE_NAMESPACE_OF(SECRETCACHE_VERSION_MAJOR, SECRETCACHE_VERSION_MINOR)

namespace secretcache {
inline namespace SECRETCACHE_INLINE_NAMESPACE {

/** A borrowed error. It never contains a secret. */
class ErrorView {
public:
    explicit ErrorView(const secretcache_error *error) noexcept : error_(error) {}

    /** The kind of error, such as SECRETCACHE_THROTTLED. */
    secretcache_result code() const noexcept { return secretcache_error_code(error_); }
    /** What is wrong and what to do. */
    std::string_view message() const noexcept { return view(secretcache_error_message(error_)); }
    /** Whether a retry may help. */
    bool is_transient() const noexcept { return secretcache_error_is_transient(error_); }
    /** The service's error code, such as ResourceNotFoundException; empty if the service did not respond. */
    std::string_view service_code() const noexcept { return view(secretcache_error_service_code(error_)); }
    /** The operation that failed; empty if the service did not respond. */
    std::string_view operation() const noexcept { return view(secretcache_error_operation(error_)); }
    /** The request id to quote to AWS support; empty if there is none. */
    std::string_view request_id() const noexcept { return view(secretcache_error_request_id(error_)); }
    /** The HTTP status of the response; 0 if there was none. */
    std::uint16_t http_status() const noexcept { return secretcache_error_http_status(error_); }

    const secretcache_error *get() const noexcept { return error_; }

private:
    static std::string_view view(secretcache_str text) noexcept { return {text.data, text.length}; }

    const secretcache_error *error_;
};

/** An error. */
class Error : public ErrorView {
public:
    /** Takes over an error of the C interface. */
    explicit Error(secretcache_error *owned) noexcept : ErrorView(owned), owned_(owned) {}
    /** Copies an error that a callback got. */
    explicit Error(ErrorView shown) noexcept : Error(secretcache_error_clone(shown.get())) {}

private:
    struct Free {
        void operator()(secretcache_error *error) const noexcept { secretcache_error_free(error); }
    };
    std::unique_ptr<secretcache_error, Free> owned_;
};

/** An error from which a failed Result is made, like `std::unexpected`. */
class Unexpected {
public:
    explicit Unexpected(Error error) noexcept : error_(std::move(error)) {}
    Error &error() noexcept { return error_; }

private:
    Error error_;
};

/** Thrown by `Result::value` if there is no value. */
class BadResult : public std::exception {
public:
    explicit BadResult(std::string_view message) : message_(message) {}
    const char *what() const noexcept override { return message_.c_str(); }

private:
    std::string message_;
};

/**
 * A value or an error, like `std::expected<T, Error>`, in every standard since C++17. It is never an alias of that
 * class, so that objects compiled for different standards can be linked together; `to_expected` converts it.
 */
template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;
    using error_type = Error;

    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(Unexpected failure) noexcept : content_(std::in_place_index<1>, std::move(failure.error())) {}

    bool has_value() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    /** The value; there must be one. */
    T &operator*() & noexcept { return *std::get_if<0>(&content_); }
    const T &operator*() const & noexcept { return *std::get_if<0>(&content_); }
    T &&operator*() && noexcept { return std::move(*std::get_if<0>(&content_)); }
    T *operator->() noexcept { return std::get_if<0>(&content_); }
    const T *operator->() const noexcept { return std::get_if<0>(&content_); }

    /** The value; throws BadResult, or aborts, if there is none. */
    T &value() & { return check(), **this; }
    const T &value() const & { return check(), **this; }
    T &&value() && { return check(), *std::move(*this); }

    /** The value, or `otherwise` if there is none. */
    template <class U>
    T value_or(U &&otherwise) const &
    {
        return has_value() ? **this : static_cast<T>(std::forward<U>(otherwise));
    }
    template <class U>
    T value_or(U &&otherwise) &&
    {
        return has_value() ? *std::move(*this) : static_cast<T>(std::forward<U>(otherwise));
    }

    /** The failure; there must be one. */
    Error &error() & noexcept { return *std::get_if<1>(&content_); }
    const Error &error() const & noexcept { return *std::get_if<1>(&content_); }
    Error &&error() && noexcept { return std::move(*std::get_if<1>(&content_)); }

private:
    void check() const
    {
        if (!has_value()) {
#if defined(__cpp_exceptions)
            throw BadResult(error().message());
#else
            std::abort();
#endif
        }
    }

    std::variant<T, Error> content_;
};

/** Success, or an error. */
template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;
    using error_type = Error;

    Result() noexcept = default;
    Result(Unexpected failure) noexcept : error_(std::move(failure.error())) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }

    /** Throws BadResult, or aborts, if it failed. */
    void value() const
    {
        if (error_) {
#if defined(__cpp_exceptions)
            throw BadResult(error_->message());
#else
            std::abort();
#endif
        }
    }

    /** The failure; there must be one. */
    Error &error() & noexcept { return *error_; }
    const Error &error() const & noexcept { return *error_; }
    Error &&error() && noexcept { return std::move(*error_); }

private:
    std::optional<Error> error_;
};

#if defined(__cpp_lib_expected)

/** Converts a result to the standard library's class. */
template <class T>
std::expected<T, Error> to_expected(Result<T> result)
{
    if (!result) {
        return std::unexpected<Error>(std::move(result).error());
    }
    if constexpr (std::is_void_v<T>) {
        return {};
    } else {
        return *std::move(result);
    }
}

#endif

/** The bytes of a secret binary, borrowed from a Value. */
struct Bytes {
    const std::uint8_t *bytes = nullptr;
    std::size_t length = 0;

    const std::uint8_t *data() const noexcept { return bytes; }
    std::size_t size() const noexcept { return length; }
    const std::uint8_t *begin() const noexcept { return bytes; }
    const std::uint8_t *end() const noexcept { return bytes + length; }
};

namespace detail {

inline secretcache_str text(std::string_view text) noexcept
{
    // A view whose data is null is an empty text, not a missing one.
    return secretcache_str_of_length(text.data() ? text.data() : "", text.size());
}

inline secretcache_str text(std::optional<std::string_view> optional) noexcept
{
    return optional ? text(*optional) : secretcache_str_of_length(nullptr, 0);
}

inline std::vector<secretcache_str> texts(const std::vector<std::string_view> &views)
{
    std::vector<secretcache_str> texts;
    texts.reserve(views.size());
    for (std::string_view view : views) {
        texts.push_back(text(view));
    }
    return texts;
}

inline std::string_view view(secretcache_str text) noexcept
{
    return {text.data, text.length};
}

/** Converts a time to milliseconds for C. A negative one becomes the longest, which is refused or means forever. */
inline std::uint64_t milliseconds(std::chrono::milliseconds span) noexcept
{
    return span.count() < 0 ? UINT64_MAX : static_cast<std::uint64_t>(span.count());
}

/** Receives the error of a call. */
class Failure {
public:
    secretcache_error **place() noexcept { return &error_; }
    Unexpected take() noexcept { return Unexpected(Error(std::exchange(error_, nullptr))); }

private:
    secretcache_error *error_ = nullptr;
};

/** Returns the result of a call without an output: `call(error_out)`. */
template <class Call>
Result<void> done(Call &&call)
{
    Failure failure;
    if (call(failure.place()) != SECRETCACHE_OK) {
        return failure.take();
    }
    return {};
}

/** Returns the result of a call with an output: `call(out, error_out)`, then `convert(output)`. */
template <class Output, class Call, class Convert>
auto made(Call &&call, Convert &&convert) -> Result<decltype(convert(std::declval<Output>()))>
{
    Failure failure;
    Output output;
    if (call(&output, failure.place()) != SECRETCACHE_OK) {
        return failure.take();
    }
    return convert(output);
}

template <class T, void (*free)(T *)>
struct Deleter {
    void operator()(T *object) const noexcept { free(object); }
};

template <class T, void (*free)(T *)>
using Owner = std::unique_ptr<T, Deleter<T, free>>;

template <class Function>
void release(void *function)
{
    delete static_cast<Function *>(function);
}

} // namespace detail

/** Selects a version of a secret. Borrows its text. */
class Version {
public:
    /** The version labelled AWSCURRENT. */
    Version() noexcept : selector_(secretcache_stage(secretcache_str_of_length(nullptr, 0))) {}
    /** The version with a staging label. */
    static Version stage(std::string_view stage) noexcept { return Version(secretcache_stage(detail::text(stage))); }
    /** The version with a version id. */
    static Version id(std::string_view id) noexcept { return Version(secretcache_version_id(detail::text(id))); }

    explicit Version(const secretcache_version_selector &selector) noexcept : selector_(selector) {}
    /** The staging label; empty if it selects by version id. */
    std::string_view stage() const noexcept { return detail::view(selector_.stage); }
    /** The version id; empty if it selects by staging label. */
    std::string_view id() const noexcept { return detail::view(selector_.version_id); }

    const secretcache_version_selector *get() const noexcept { return &selector_; }

private:
    secretcache_version_selector selector_;
};

/** Holds one version of a secret, or one field of it; see `secretcache_value`. */
class Value {
public:
    Value() : owned_(secretcache_value_new()) {}
    /** Takes over a value of the C interface. */
    explicit Value(secretcache_value *owned) noexcept : owned_(owned) {}

    /** Returns the secret string, or the field that the value was filled with. Valid until the value is filled again,
     *  cleared or destroyed. */
    Result<std::string_view> string() const
    {
        return detail::made<secretcache_str>(
            [&](auto *out, auto *error) { return secretcache_value_string(get(), out, error); }, detail::view);
    }
    /** Returns the secret binary. Valid until the value is filled again, cleared or destroyed. */
    Result<Bytes> binary() const
    {
        return detail::made<secretcache_bytes>(
            [&](auto *out, auto *error) { return secretcache_value_binary(get(), out, error); },
            [](secretcache_bytes bytes) { return Bytes{bytes.data, bytes.length}; });
    }
    /** Returns a field of a secret whose string is a JSON object. */
    Result<Value> field(std::string_view name) const
    {
        return detail::made<secretcache_value *>(
            [&](auto *out, auto *error) { return secretcache_value_field(get(), detail::text(name), out, error); },
            [](secretcache_value *field) { return Value(field); });
    }
    /** Returns a copy of this value. */
    Result<Value> clone() const
    {
        return detail::made<secretcache_value *>(
            [&](auto *out, auto *error) { return secretcache_value_clone(get(), out, error); },
            [](secretcache_value *clone) { return Value(clone); });
    }
    /** Empties the value, so that it no longer keeps a secret in memory. */
    void clear() noexcept { secretcache_value_clear(get()); }

    /** The full ARN; empty if the source does not set it. */
    std::string_view arn() const noexcept { return detail::view(secretcache_value_arn(get())); }
    /** The friendly name; empty if the source does not set it. */
    std::string_view name() const noexcept { return detail::view(secretcache_value_name(get())); }
    /** The version id; empty if the source does not set it. */
    std::string_view version_id() const noexcept { return detail::view(secretcache_value_version_id(get())); }
    /** The staging labels of this version at the last successful refresh. */
    std::vector<std::string_view> stages() const
    {
        std::vector<std::string_view> stages(secretcache_value_stage_count(get()));
        for (std::size_t index = 0; index < stages.size(); index++) {
            stages[index] = detail::view(secretcache_value_stage(get(), index));
        }
        return stages;
    }
    /** When this version was created, if the source sets it. */
    std::optional<std::chrono::system_clock::time_point> created() const
    {
        const std::int64_t created = secretcache_value_created_ms(get());
        if (created < 0) {
            return std::nullopt;
        }
        return std::chrono::system_clock::time_point(std::chrono::milliseconds(created));
    }

    secretcache_value *get() const noexcept { return owned_.get(); }

private:
    detail::Owner<secretcache_value, secretcache_value_free> owned_;
};

} // namespace SECRETCACHE_INLINE_NAMESPACE
} // namespace secretcache

#endif
