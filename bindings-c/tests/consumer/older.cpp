// The half of a program compiled for C++17.
#include "standards.hpp"

#include <iostream>

#if defined(__cpp_lib_expected)
#error "this is to be compiled without std::expected"
#endif

int main()
{
    auto cache = make_cache();
    if (!cache) {
        return 1;
    }
    secretcache::Value value;
    auto username = read(*cache, value);
    auto missing = cache->get("none");
    auto refused = log_in(*cache, [] { return SECRETCACHE_LOGIN_ERROR; });
    if (!username || missing || refused || !log_in(*cache, [] { return SECRETCACHE_LOGIN_ACCEPTED; })) {
        return 1;
    }
    std::cout << *username << '\n' << missing.error().message() << '\n' << refused.error().message() << '\n';
}
