/* Sources that can fetch several secrets at once. */
#include <stdatomic.h>
#include <stddef.h>

#include "check.h"

/* How many times the source was asked for one secret, and for several at once. */
struct asked {
    atomic_int once, at_once;
};

static void give(secretcache_str id, secretcache_answer *answer)
{
    OK(secretcache_answer_set_version_id(answer, SECRETCACHE_STR("v1"), &error));
    OK(secretcache_answer_set_string(answer, id, &error));
    secretcache_answer_succeed(answer);
}

static void fetch_one(void *user_data, secretcache_str id, const secretcache_version_selector *version,
                      secretcache_answer *answer)
{
    FROM_LIBRARY();
    (void)version;
    ((struct asked *)user_data)->once++;
    give(id, answer);
    TO_LIBRARY();
}

static void fetch_several(void *user_data, const secretcache_str *ids, secretcache_answer *const *answers, size_t count)
{
    FROM_LIBRARY();
    struct asked *asked = user_data;
    asked->at_once++;
    CHECK(count == 3);
    for (size_t number = 0; number < count; number++) {
        if (is(ids[number], "denied")) {
            secretcache_answer_fail_as_service(answers[number], SECRETCACHE_STR("AccessDeniedException"),
                                               SECRETCACHE_STR("not yours"), 400, SECRETCACHE_STR(""));
        } else {
            give(ids[number], answers[number]);
        }
    }
    TO_LIBRARY();
}

static void on_failure(void *user_data, secretcache_str id, const secretcache_error *error)
{
    CHECK(is(id, "denied") && secretcache_error_code(error) == SECRETCACHE_ACCESS_DENIED);
    CHECK(is(secretcache_error_operation(error), "BatchGetSecretValue"));
    ++*(int *)user_data;
}

static void prefetch_three(struct asked *asked, size_t size, int refused)
{
    const char *arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
    secretcache_str ids[] = {SECRETCACHE_STR("db"), SECRETCACHE_STR("denied"), secretcache_str_of(arn)};
    secretcache_source source = {size, asked, fetch_one, NULL, NULL, fetch_several};
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_source(config, &source, &error));
    secretcache_cache *cache = NULL;
    OK(secretcache_new(config, &cache, &error));
    secretcache_config_free(config);
    int failures = 0;
    OK(secretcache_prefetch(cache, ids, 3, on_failure, &failures, &error));
    CHECK(failures == refused);
    secretcache_value *value = secretcache_value_new();
    secretcache_str text;
    for (int number = 0; number < 3; number += 2) {
        OK(secretcache_get_string(cache, ids[number], NULL, value, &text, &error));
        CHECK(text.length == ids[number].length && memcmp(text.data, ids[number].data, text.length) == 0);
    }
    secretcache_value_free(value);
    secretcache_free(cache);
}

static void batches_are_asked_for_in_one_go(void)
{
    struct asked asked = {0, 0};
    prefetch_three(&asked, sizeof(secretcache_source), 1);
    CHECK(asked.at_once == 1 && asked.once == 0);
}

/* A program built before `fetch_batch` existed: the memory after its smaller structure is not read. */
static void sources_of_older_programs_are_asked_singly(void)
{
    struct asked asked = {0, 0};
    prefetch_three(&asked, offsetof(secretcache_source, fetch_batch), 0);
    CHECK(asked.at_once == 0 && asked.once == 3);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"batches_are_asked_for_in_one_go", batches_are_asked_for_in_one_go},
        {"sources_of_older_programs_are_asked_singly", sources_of_older_programs_are_asked_singly},
        {NULL, NULL},
    };
    return run_tests(tests, argc, argv);
}
