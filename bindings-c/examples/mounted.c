/* A custom source: reads secrets that a sidecar keeps in files, one file per secret. Prints one: `mounted FOLDER NAME`.
 *
 *     cc mounted.c $(pkg-config --cflags --libs secretcache) -o mounted
 */
#include <secretcache.h>
#include <stdio.h>
#include <string.h>

/* Runs on a thread of the library's, which may block. `folder` is the program's own and lives as long as it. */
static void fetch(void *folder, secretcache_str id, const secretcache_version_selector *version,
                  secretcache_answer *answer)
{
    char path[4096], text[65536];
    /* Files have no other versions, and the name of a secret must not lead out of the folder. */
    if (!version->stage.data || version->stage.length != strlen("AWSCURRENT") ||
        memcmp(version->stage.data, "AWSCURRENT", version->stage.length) != 0 || memchr(id.data, '.', id.length)) {
        secretcache_answer_fail(answer, SECRETCACHE_VERSION_NOT_FOUND, SECRETCACHE_STR("there is no such version"));
        return;
    }
    snprintf(path, sizeof path, "%s/%.*s", (const char *)folder, (int)id.length, id.data);
    FILE *file = fopen(path, "r");
    if (!file) {
        secretcache_answer_fail(answer, SECRETCACHE_SECRET_NOT_FOUND, SECRETCACHE_STR("there is no such file"));
        return;
    }
    size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    if (secretcache_answer_set_string(answer, secretcache_str_of_length(text, length), NULL) == SECRETCACHE_OK) {
        secretcache_answer_succeed(answer);
    } else {
        secretcache_answer_fail(answer, SECRETCACHE_INVALID_RESPONSE, SECRETCACHE_STR("the file is not text"));
    }
    memset(text, 0, sizeof text);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: mounted FOLDER NAME\n");
        return 2;
    }
    secretcache_source source = {sizeof source, argv[1], fetch, NULL, NULL, NULL};
    secretcache_config *config = secretcache_config_new();
    secretcache_cache *cache = NULL;
    secretcache_value *value = secretcache_value_new();
    secretcache_error *error = NULL;
    secretcache_str secret;

    int failed =
        secretcache_config_set_source(config, &source, &error) != SECRETCACHE_OK ||
        secretcache_new(config, &cache, &error) != SECRETCACHE_OK ||
        secretcache_get_string(cache, secretcache_str_of(argv[2]), NULL, value, &secret, &error) != SECRETCACHE_OK;
    if (failed) {
        fprintf(stderr, "%s\n", secretcache_error_message(error).data);
        secretcache_error_free(error);
    } else {
        fwrite(secret.data, 1, secret.length, stdout);
    }
    secretcache_value_free(value);
    secretcache_free(cache);
    secretcache_config_free(config);
    return failed;
}
