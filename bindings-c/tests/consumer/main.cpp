// Creates a cache, and prints the version of the library.
#include <secretcache.hpp>

#include <iostream>

int main()
{
    if (!secretcache::Cache::create()) {
        return 1;
    }
    std::cout << secretcache_version().data << '\n';
}
