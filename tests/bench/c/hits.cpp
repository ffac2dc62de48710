// Times hits through the C interface against a bare lookup in std::unordered_map, and two threads against two loops
// that share nothing. Prints seconds, round by round, as JSON. It is C++ only because of the map; all calls are
// secretcache.h's.
#include <secretcache.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

// Rounds of a millisecond or two, so that many run undisturbed on a busy machine.
constexpr std::size_t SECRETS = 1000, READS = 100000;
constexpr int ROUNDS = 160, SHARED_READS = 3000000, SHARED_ROUNDS = 15;

// Returns JSON of 136 bytes or 3.6 KB. The field that is read is in the middle.
std::string document(int fields)
{
    std::string text = "{";
    for (int number = 0; number < fields; number++) {
        if (number == fields / 2) {
            text += "\"password\":\"pppppppppppppppppppp\",";
        }
        text +=
            "\"field-" + std::to_string(100 + number) + "\":\"value of field " + std::to_string(100 + number) + "\",";
    }
    text.back() = '}';
    return text;
}

void fetch(void *, secretcache_str id, const secretcache_version_selector *, secretcache_answer *answer)
{
    const std::string name(id.data, id.length);
    const std::string text = document(name == "large" ? 105 : 3);
    secretcache_answer_set_version_id(answer, SECRETCACHE_STR("11111111-1111-1111-1111-111111111111"), nullptr);
    secretcache_answer_set_string(answer, {text.data(), text.size()}, nullptr);
    secretcache_answer_succeed(answer);
}

template <class Work>
double seconds(Work &&work)
{
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Returns the seconds per read, going through the secrets in turn.
template <class Read>
double each(Read &&read)
{
    return seconds([&] {
               for (std::size_t count = 0, place = 0; count < READS;
                    count++, place = place + 1 < SECRETS ? place + 1 : 0) {
                   read(place);
               }
           }) /
           READS;
}

secretcache_str read(const secretcache_cache *cache, const std::string &id, secretcache_value *value)
{
    secretcache_str text{nullptr, 0};
    const secretcache_str name{id.data(), id.size()};
    if (secretcache_get_string(cache, name, nullptr, value, &text, nullptr) != SECRETCACHE_OK) {
        std::abort();
    }
    return text;
}

secretcache_str read_field(const secretcache_cache *cache, const std::string &id, secretcache_value *value)
{
    secretcache_str text{nullptr, 0};
    const secretcache_str name{id.data(), id.size()};
    if (secretcache_get_field(cache, name, nullptr, SECRETCACHE_STR("password"), value, &text, nullptr) !=
        SECRETCACHE_OK) {
        std::abort();
    }
    return text;
}

void read_one(const secretcache_cache *cache, const std::string &id)
{
    secretcache_value *value = secretcache_value_new();
    for (int count = 0; count < SHARED_READS; count++) {
        read(cache, id, value);
    }
    secretcache_value_free(value);
}

// Work like that of hits, except that threads share nothing.
void loop()
{
    volatile unsigned long sum = 0;
    for (int count = 0; count < SHARED_READS * 8; count++) {
        sum = sum + static_cast<unsigned long>(count);
    }
}

template <class Work>
double two(Work &&work)
{
    return seconds([&] {
        std::thread other(work);
        work();
        other.join();
    });
}

void print(const char *name, const std::vector<double> &rounds, const char *end)
{
    std::printf("\"%s\": [", name);
    for (std::size_t round = 0; round < rounds.size(); round++) {
        std::printf("%s%.12g", round ? ", " : "", rounds[round]);
    }
    std::printf("]%s", end);
}

} // namespace

int main()
{
    secretcache_source source{sizeof source, nullptr, fetch, nullptr, nullptr, nullptr};
    secretcache_config *config = secretcache_config_new();
    secretcache_cache *cache = nullptr;
    if (secretcache_config_set_source(config, &source, nullptr) != SECRETCACHE_OK ||
        secretcache_new(config, &cache, nullptr) != SECRETCACHE_OK) {
        return 1;
    }
    secretcache_config_free(config);

    std::vector<std::string> ids;
    std::unordered_map<std::string, std::string> map;
    std::vector<secretcache_value *> values;
    for (std::size_t number = 0; number < SECRETS; number++) {
        ids.push_back("bench/" + std::to_string(number));
        values.push_back(secretcache_value_new());
        const secretcache_str text = read(cache, ids.back(), values.back());
        map.emplace(ids.back(), std::string(text.data, text.length));
    }

    // Times of string reads and of field reads, by size.
    const std::string sizes[] = {"small", "large"};
    std::vector<double> strings[2], fields[2];
    std::vector<double> hits, looks, same, one_thread, two_threads, one_loop, two_loops;
    volatile std::size_t length = 0;
    for (int round = 0; round < ROUNDS; round++) {
        hits.push_back(each([&](std::size_t place) { length = read(cache, ids[place], values[place]).length; }));
        looks.push_back(each([&](std::size_t place) { length = map.find(ids[place])->second.size(); }));
        same.push_back(each([&](std::size_t) { length = read(cache, ids[7], values[7]).length; }));
        for (std::size_t size = 0; size < 2; size++) {
            strings[size].push_back(each([&](std::size_t) { length = read(cache, sizes[size], values[size]).length; }));
            fields[size].push_back(
                each([&](std::size_t) { length = read_field(cache, sizes[size], values[size]).length; }));
        }
    }
    for (int round = 0; round < SHARED_ROUNDS; round++) {
        one_thread.push_back(seconds([&] { read_one(cache, ids[7]); }));
        two_threads.push_back(two([&] { read_one(cache, ids[7]); }) / 2);
        one_loop.push_back(seconds(loop));
        two_loops.push_back(two(loop) / 2);
    }
    std::printf("{");
    print("small string", strings[0], ", ");
    print("small field", fields[0], ", ");
    print("large string", strings[1], ", ");
    print("large field", fields[1], ", ");
    print("hits", hits, ", ");
    print("map", looks, ", ");
    print("same", same, ", ");
    print("one thread", one_thread, ", ");
    print("two threads", two_threads, ", ");
    print("one loop", one_loop, ", ");
    print("two loops", two_loops, "}\n");
    for (secretcache_value *value : values) {
        secretcache_value_free(value);
    }
    secretcache_free(cache);
    secretcache_shutdown(1000);
    return 0;
}
