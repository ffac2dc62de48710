// Tests secretcache.hpp with a store in memory, with and without exceptions.
#include <secretcache.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "check.h"

using namespace std::chrono_literals;
using secretcache::Answer;
using secretcache::Cache;
using secretcache::Config;
using secretcache::Credential;
using secretcache::Error;
using secretcache::ErrorView;
using secretcache::Result;
using secretcache::Value;
using secretcache::Version;

namespace {

struct Store {
    std::mutex lock;
    std::map<std::string, std::pair<std::string, std::string>> current; // version id and value, by secret id
    int asked = 0;
};

class StoreSource : public secretcache::Source {
public:
    explicit StoreSource(std::shared_ptr<Store> store) : shared_(std::move(store)), store_(*shared_) {}

    void fetch(std::string_view id, const Version &version, Answer answer) override
    {
        const std::lock_guard<std::mutex> guard(store_.lock);
        store_.asked++;
        if (id == "lost") {
            return; // Destroys the answer, so the request fails.
        }
#if defined(__cpp_exceptions)
        if (id == "thrown") {
            throw std::string("mine");
        }
#endif
        const auto found = store_.current.find(std::string(id));
        if (found == store_.current.end() || version.stage() != "AWSCURRENT") {
            answer.fail(SECRETCACHE_SECRET_NOT_FOUND, "there is no such secret");
            return;
        }
        CHECK(answer.version_id(found->second.first));
        CHECK(answer.add_stage("AWSCURRENT"));
        if (id == "key") {
            const auto &bytes = found->second.second;
            CHECK(answer.binary(reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size()));
        } else {
            CHECK(answer.string(found->second.second));
        }
        answer.succeed();
    }

private:
    // A source can be released a moment after its cache, so it shares ownership of the store.
    std::shared_ptr<Store> shared_;
    Store &store_;
};

// Like StoreSource, for several secrets at a time.
class BatchStoreSource : public secretcache::BatchSource {
public:
    explicit BatchStoreSource(std::shared_ptr<Store> store) : single_(std::move(store)) {}

    void fetch(std::string_view id, const Version &version, Answer answer) override
    {
        single_.fetch(id, version, std::move(answer));
    }
    void fetch_batch(const std::vector<std::string_view> &ids, std::vector<Answer> answers) override
    {
        CHECK(ids.size() == answers.size());
        for (std::size_t index = 0; index < ids.size(); index++) {
            if (ids[index] == "denied") {
                answers[index].fail_as_service("AccessDeniedException", "not yours", 400, "request-1");
                continue;
            }
            CHECK(answers[index].created(std::chrono::system_clock::time_point(std::chrono::seconds(7))));
            single_.fetch(ids[index], Version::stage("AWSCURRENT"), std::move(answers[index]));
        }
    }

private:
    StoreSource single_;
};

Config settings(const std::shared_ptr<Store> &store)
{
    Config config;
    config.source(std::make_unique<StoreSource>(store)).max_wait(60s).timeout(60s);
    return config;
}

// Passes an item from one thread to another.
template <class T>
class Mailbox {
public:
    void put(T item)
    {
        const std::lock_guard<std::mutex> guard(lock_);
        item_.emplace(std::move(item));
        changed_.notify_all();
    }
    T take()
    {
        std::unique_lock<std::mutex> guard(lock_);
        changed_.wait(guard, [this] { return item_.has_value(); });
        T item = std::move(*item_);
        item_.reset();
        return item;
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::optional<T> item_;
};

void reads()
{
    const auto shared = std::make_shared<Store>();
    Store &store = *shared;
    store.current["db"] = {"v1", R"({"username":"app","password":"hunter2"})"};
    store.current["key"] = {"v1", std::string("\0\xff", 2)};
    auto made = Cache::create(settings(shared));
    CHECK(made);
    Cache cache = std::move(*made);

    Value value;
    auto password = cache.get_field("db", "password", value);
    CHECK(password && *password == "hunter2" && password->data()[password->size()] == '\0');
    auto json = cache.get_string("db", value);
    CHECK(json && *json == store.current["db"].second);
    CHECK(value.version_id() == "v1" && value.stages() == std::vector<std::string_view>{"AWSCURRENT"});
    CHECK(value.arn().empty() && value.name().empty() && !value.created());
    auto field = value.field("username");
    CHECK(field && field->string() && *field->string() == "app");
    auto clone = value.clone();
    value.clear();
    CHECK(!value.string() && clone && *clone->string() == store.current["db"].second);

    auto key = cache.get_binary("key", value);
    CHECK(key && key->size() == 2 && key->data()[1] == 0xff && key->end() - key->begin() == 2);
    CHECK(value.binary() && !value.string());

    auto missing = cache.get("none");
    CHECK(!missing && missing.error().code() == SECRETCACHE_SECRET_NOT_FOUND);
    CHECK(missing.error().message() == "there is no such secret" && !missing.error().is_transient());
    CHECK(missing.error().service_code().empty() && missing.error().http_status() == 0);
    CHECK(missing.error().operation().empty() && missing.error().request_id().empty());
    CHECK(cache.get("db", Version::stage("AWSPENDING")).error().code() == SECRETCACHE_SECRET_NOT_FOUND);
    CHECK(cache.get("db", Version::id("short")).error().code() == SECRETCACHE_INVALID_ARGUMENT);
    CHECK(cache.get_string("none", value).value_or("nothing") == "nothing");
    CHECK(cache.get({}).error().code() == SECRETCACHE_INVALID_ARGUMENT);
    CHECK(cache.get("lost").error().code() == SECRETCACHE_SOURCE);

    CHECK(cache.peek("db", value) && cache.invalidate("db"));
    CHECK(cache.peek("db", value).error().code() == SECRETCACHE_NOT_CACHED);
    store.lock.lock();
    store.current["db"] = {"v2", "two"};
    store.lock.unlock();
    auto refreshed = cache.refresh("db");
    CHECK(refreshed && refreshed->version_id() == "v2");
    auto failed = cache.prefetch({"db", "none"});
    CHECK(failed && failed->size() == 1 && (*failed)[0].first == "none");
    CHECK((*failed)[0].second.code() == SECRETCACHE_SECRET_NOT_FOUND);

    auto stats = cache.stats();
    CHECK(stats && stats->count(SECRETCACHE_COUNTER_HITS) > 0 && stats->api_calls("GetSecretValue") > 0);
    CHECK(stats->failures(SECRETCACHE_SECRET_NOT_FOUND) > 0 && stats->secret_count() > 1);
    cache.close();
    CHECK(cache.get("db").error().code() == SECRETCACHE_CLOSED);
}

void c10_several_are_read_at_once()
{
    const auto shared = std::make_shared<Store>();
    shared->current["one"] = {"v1", "1"};
    shared->current["two"] = {"v2", "2"};
    Config config;
    config.source(std::make_unique<BatchStoreSource>(shared)).max_wait(60s).timeout(60s);
    auto cache = Cache::create(config);
    CHECK(cache);
    auto failed = cache->prefetch({"one", "two", "denied"});
    CHECK(failed && failed->size() == 1 && (*failed)[0].first == "denied");
    const Error &error = (*failed)[0].second;
    CHECK(error.code() == SECRETCACHE_ACCESS_DENIED && error.service_code() == "AccessDeniedException");
    CHECK(error.http_status() == 400 && error.request_id() == "request-1" &&
          error.operation() == "BatchGetSecretValue");
    Value value;
    CHECK(cache->peek("two", value) && *value.string() == "2");
    CHECK(value.created() && value.created()->time_since_epoch() == 7s);

    auto stats = cache->stats();
    CHECK(stats);
    int held = 0;
    for (std::size_t index = 0; index < stats->secret_count(); index++) {
        const auto secret = stats->secret(index);
        held += secret.version_id.empty() ? 0 : 1;
        if (secret.id == "one") {
            CHECK(secret.stage == "AWSCURRENT" && secret.version_id == "v1" && secret.failures == 0);
            CHECK(secret.age && secret.next_refresh && secret.last_error == SECRETCACHE_OK);
        } else if (secret.id == "denied") {
            CHECK(!secret.age && secret.last_error == SECRETCACHE_ACCESS_DENIED && secret.failures == 1);
        }
    }
    CHECK(held == 2);
    CHECK(secretcache::version() == SECRETCACHE_VERSION);
    CHECK(secretcache::result_name(SECRETCACHE_THROTTLED) == "SECRETCACHE_THROTTLED");
    CHECK(!secretcache::set_threads(0, 0));
    secretcache::shutdown(60s);
}

void c10_reads_have_deadlines_and_are_cancelled()
{
    const auto shared = std::make_shared<Store>();
    Store &store = *shared;
    store.current["db"] = {"v1", "one"};
    auto cache = Cache::create(settings(shared));
    CHECK(cache);
    Value value;
    store.lock.lock(); // holds all answers
    CHECK(cache->get_within("db", 1ms, value).error().code() == SECRETCACHE_TIMEOUT);
    Mailbox<Result<Value>> done;
    CHECK(cache->start("db", [&](Result<Value> result) { done.put(std::move(result)); }, 1ms));
    CHECK(done.take().error().code() == SECRETCACHE_TIMEOUT);
    auto read = cache->start("db", [&](Result<Value> result) { done.put(std::move(result)); });
    CHECK(read);
    read->cancel();
    auto cancelled = done.take();
    CHECK(cancelled.error().code() == SECRETCACHE_CANCELLED && !cancelled.error().is_transient());
    read->cancel();
    CHECK(cache->start("db", [&](Result<Value> result) { done.put(std::move(result)); })); // destroys its handle
    store.lock.unlock();
    CHECK(*done.take()->string() == "one");
    CHECK(cache->get_within("db", 60s, value) && *value.string() == "one");
    CHECK(cache->get_within("db", 0ms, value)); // in memory
    CHECK(store.asked == 1);
}

void settings_are_checked_at_the_end()
{
    const auto shared = std::make_shared<Store>();
    {
        Config config = settings(shared);
        config.max_size(0).region("us-east-1");
        auto made = Cache::create(config);
        CHECK(!made && made.error().code() == SECRETCACHE_INVALID_CONFIGURATION);
        CHECK(made.error().message().find("max_size") != std::string_view::npos);
        CHECK(!Cache::create(Config().refresh_interval(-1s)));
        CHECK(!Cache::create(Config().refresh_interval(10s).max_stale(5s)));
        CHECK(!Cache::create(Config().role("role")) && !Cache::create(Config().timeout(0s)));
        CHECK(Cache::create(Config()
                                .refresh_interval_of("db", 1s)
                                .stale_on_denied(false)
                                .backoff(1s, 2, 3s)
                                .endpoint_url("http://127.0.0.1:1")
                                .profile("p")
                                .credentials("id", "key", "token")
                                .role("arn:aws:iam::123456789012:role/name", "x")
                                .proxy_url("http://127.0.0.1:1")
                                .ca_bundle("/nonexistent")
                                .use_fips(false)));
    }
    CHECK(shared.use_count() == 1);
}

void callbacks()
{
    const auto shared = std::make_shared<Store>();
    Store &store = *shared;
    store.current["db"] = {"v1", "one"};
    Mailbox<std::string> news, log, errors;
    Config config = settings(shared);
    config.on_new_version([&](const secretcache::NewVersion &event) {
        news.put(std::string(event.secret_id) + " " + std::string(event.old_version_id) + " " +
                 std::string(event.new_version_id) + " " + std::string(event.version_stage));
    });
    config.on_log([&](std::uint32_t, std::string_view line) { log.put(std::string(line)); });
    config.on_error([&](std::string_view id, ErrorView error) {
        errors.put(std::string(id) + " " + std::string(error.message()));
    });
    config.on_stale([](const secretcache::Stale &stale) { CHECK(stale.error); });
    Mailbox<std::string> events;
    config.on_event([&](const secretcache_event &event) {
        CHECK(event.size == sizeof event && event.text.data[event.text.length] == '\0');
        if (event.kind == SECRETCACHE_EVENT_NEW_VERSION) {
            events.put(std::string(event.new_version_id.data, event.new_version_id.length));
        }
    });
    auto cache = Cache::create(config);
    CHECK(cache && cache->get("db"));
    store.lock.lock();
    store.current["db"] = {"v2", "two"};
    store.lock.unlock();
    CHECK(cache->refresh("db"));
    CHECK(news.take() == "db v1 v2 AWSCURRENT");
    CHECK(events.take() == "v2");
    CHECK(log.take() == "secret \"db\" has a new version: v2");
    CHECK(!cache->get("none"));
    CHECK(errors.take() == "none there is no such secret");

    Mailbox<Result<Value>> done;
    CHECK(cache->get_async("db", [&](Result<Value> result) { done.put(std::move(result)); }));
    auto value = done.take();
    CHECK(value && *value->string() == "two");
    CHECK(cache->get_async("none", [&](Result<Value> result) { done.put(std::move(result)); }));
    CHECK(done.take().error().code() == SECRETCACHE_SECRET_NOT_FOUND);
    CHECK(!cache->get_async("db", nullptr, Version::id("\xff")));
}

void logins()
{
    const auto shared = std::make_shared<Store>();
    Store &store = *shared;
    store.current["db"] = {"v1",
                           R"({"username":"app","password":"hunter2","host":"h","port":1,"dbname":"d","engine":"e"})"};
    auto cache = Cache::create(settings(shared));
    CHECK(cache);
    int logins = 0;
    auto log_in = [&](const Credential &it) {
        logins++;
        CHECK(it.username() == "app" && it.password() == "hunter2" && it.host() == "h" && it.port() == 1);
        CHECK(it.dbname() == "d" && it.engine() == "e" && it.field("none").empty());
        CHECK(it.version_id() == "v1" && it.version_stage() == "AWSCURRENT");
        return SECRETCACHE_LOGIN_ACCEPTED;
    };
    CHECK(cache->connect("db", log_in) && logins == 1);
    CHECK(cache->connect("db", log_in, 30s, {"AWSCURRENT"}) && logins == 2);
    CHECK(cache->connect("db", log_in, 30s, {"LATEST"}).error().code() == SECRETCACHE_INVALID_ARGUMENT);
    CHECK(cache->watch("db") && !cache->is_outdated("db", "v1"));
    auto failed = cache->connect("db", [](const Credential &) { return SECRETCACHE_LOGIN_ERROR; });
    CHECK(!failed && failed.error().code() == SECRETCACHE_LOGIN_FAILED);
#if defined(__cpp_exceptions)
    bool thrown = false;
    try {
        static_cast<void>(cache->connect("db", [](const Credential &) -> secretcache_login { throw 7; }));
    } catch (int number) {
        thrown = number == 7;
    }
    CHECK(thrown);
    CHECK(cache->get("thrown").error().code() == SECRETCACHE_SOURCE);
    thrown = false;
    try {
        static_cast<void>(cache->get("none").value());
    } catch (const std::exception &) {
        thrown = true;
    }
    CHECK(thrown);
    CHECK(cache->get("db").value().version_id() == "v1");
    cache->invalidate("db").value();
#endif
}

} // namespace

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"reads", reads},
        {"settings_are_checked_at_the_end", settings_are_checked_at_the_end},
        {"c10_several_are_read_at_once", c10_several_are_read_at_once},
        {"c10_reads_have_deadlines_and_are_cancelled", c10_reads_have_deadlines_and_are_cancelled},
        {"callbacks", callbacks},
        {"logins", logins},
        {nullptr, nullptr},
    };
    return run_tests(tests, argc, argv);
}
