// Shared by two files that are compiled for different C++ standards.
#include <secretcache.hpp>

secretcache::Result<secretcache::Cache> make_cache();
secretcache::Result<std::string_view> read(const secretcache::Cache &cache, secretcache::Value &value);
secretcache::Result<void> log_in(const secretcache::Cache &cache, std::function<secretcache_login()> answer);
