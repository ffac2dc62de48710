/* What the test programs share. Each program is a list of tests; run with a name it does that one, without it lists them. */
#ifndef CHECK_H
#define CHECK_H

#include <secretcache.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program, and so the test, if something does not hold. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* As CHECK, for a call that must work. `error` is a variable for it. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        secretcache_error *error = NULL;                                                           \
        if ((call) != SECRETCACHE_OK) {                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,                          \
                    secretcache_error_message(error).data);                                        \
            exit(1);                                                                               \
        }                                                                                          \
        CHECK(error == NULL);                                                                      \
    } while (0)

/* As CHECK, for a call that must fail with a result, and say why. */
#define FAILS(result, call)                                                                        \
    do {                                                                                           \
        secretcache_error *error = NULL;                                                           \
        secretcache_result got = (call);                                                           \
        if (got != (result)) {                                                                     \
            fprintf(stderr, "%s:%d: %s gave %s\n", __FILE__, __LINE__, #call,                      \
                    secretcache_result_name(got).data);                                            \
            exit(1);                                                                               \
        }                                                                                          \
        CHECK(error != NULL && secretcache_error_code(error) == got);                              \
        CHECK(secretcache_error_message(error).length > 0);                                        \
        secretcache_error_free(error);                                                             \
    } while (0)

static inline int is(secretcache_str text, const char *expected)
{
    return text.data != NULL && text.length == strlen(expected) && memcmp(text.data, expected, text.length) == 0;
}

struct test {
    const char *name;
    void (*run)(void);
};

/* Ends with an empty entry. */
static inline int run_tests(const struct test *tests, int argc, char **argv)
{
    for (; tests->name; tests++) {
        if (argc < 2) {
            printf("%s\n", tests->name);
        } else if (strcmp(argv[1], tests->name) == 0) {
            tests->run();
            /* No thread of the library is left when a leak checker looks. */
            secretcache_shutdown(5000);
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}

#endif
