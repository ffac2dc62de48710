// Prints a line when a secret changes, until standard input ends: `watcher SECRET`.
//
//     c++ -std=c++17 watcher.cpp $(pkg-config --cflags --libs secretcache) -o watcher
#include <secretcache.hpp>

#include <iostream>
#include <string>

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::cerr << "usage: watcher SECRET\n";
        return 2;
    }
    secretcache::Config config;
    config.refresh_interval(std::chrono::milliseconds(200));
    config.on_new_version(
        [](const secretcache::NewVersion &event) { std::cout << event.secret_id << " has rotated" << std::endl; });
    auto cache = secretcache::Cache::create(config);
    if (!cache) {
        std::cerr << cache.error().message() << '\n';
        return 1;
    }
    secretcache::Value value;
    auto username = cache->get_field(argv[1], "username", value);
    if (!username) {
        std::cerr << username.error().message() << '\n';
        return 1;
    }
    std::cout << "user " << *username << std::endl;
    // Nobody reads the secret from here on; the watch keeps it fresh.
    const auto watch = cache->watch(argv[1]);
    std::string line;
    while (std::getline(std::cin, line)) {
    }
    return watch ? 0 : 1;
}
