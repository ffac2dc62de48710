// The half of a program compiled for C++23, whose standard library has std::expected.
#include "standards.hpp"

#if !defined(__cpp_lib_expected)
#error "this is to be compiled with std::expected"
#endif

namespace {

class Fixed : public secretcache::Source {
public:
    void fetch(std::string_view id, const secretcache::Version &, secretcache::Answer answer) override
    {
        if (id == "db" && answer.string(R"({"username":"app"})")) {
            answer.succeed();
        } else {
            answer.fail(SECRETCACHE_SECRET_NOT_FOUND, "there is no such secret");
        }
    }
};

} // namespace

secretcache::Result<secretcache::Cache> make_cache()
{
    secretcache::Config config;
    config.source(std::make_unique<Fixed>());
    return secretcache::Cache::create(config);
}

secretcache::Result<std::string_view> read(const secretcache::Cache &cache, secretcache::Value &value)
{
    auto username = cache.get_field("db", "username", value);
    std::expected<std::string_view, secretcache::Error> same = secretcache::to_expected(std::move(username));
    if (!same || secretcache::to_expected(cache.invalidate("none")).has_value() == false) {
        return secretcache::Unexpected(std::move(same).error());
    }
    return *same;
}

secretcache::Result<void> log_in(const secretcache::Cache &cache, std::function<secretcache_login()> answer)
{
    return cache.connect("db", [&](const secretcache::Credential &) { return answer(); });
}
