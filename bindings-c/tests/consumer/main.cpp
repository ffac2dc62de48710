// Says which version it runs, and that a cache can be made.
#include <secretcache.hpp>

#include <iostream>

int main()
{
    if (!secretcache::Cache::create()) {
        return 1;
    }
    std::cout << secretcache_version().data << '\n';
}
