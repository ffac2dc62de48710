/* Several accounts in one cache, with moto as STS and Secrets Manager. */
#include "check.h"

#define ROLE "arn:aws:iam::111122223333:role/reads-secrets"

static void reads(secretcache_cache *cache, const char *id, const char *expected)
{
    secretcache_value *value = secretcache_value_new();
    secretcache_str text;
    OK(secretcache_get_string(cache, secretcache_str_of(id), NULL, value, &text, &error));
    CHECK(text.length == strlen(expected) && memcmp(text.data, expected, text.length) == 0);
    secretcache_value_free(value);
}

int main(void)
{
    secretcache_config *config = secretcache_config_new();
    OK(secretcache_config_set_role_for(config, SECRETCACHE_STR("billing/"), SECRETCACHE_STR(ROLE), (secretcache_str){0},
                                       &error));
    OK(secretcache_ffi_config_set_role_for(config, "billing/audit/", ROLE, "external", &error));
    secretcache_cache *cache = NULL;
    OK(secretcache_new(config, &cache, &error));
    reads(cache, "billing/key", "theirs");
    reads(cache, "key", "ours");
    secretcache_free(cache);

    for (int number = 0; number < 20; number++) {
        char prefix[8], arn[64];
        snprintf(prefix, sizeof prefix, "%d/", number);
        snprintf(arn, sizeof arn, ROLE "-%d", number);
        OK(secretcache_ffi_config_set_role_for(config, prefix, arn, NULL, &error));
    }
    FAILS(SECRETCACHE_INVALID_CONFIGURATION, secretcache_new(config, &cache, &error));
    secretcache_config_free(config);
    return 0;
}
