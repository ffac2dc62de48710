/* Shared by the test programs. Each program is a list of tests: called with a name it runs that test, without one it
 * lists them. */
#ifndef CHECK_H
#define CHECK_H

#include <secretcache.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program, and so the test, if something does not hold. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* For helgrind, which knows the locks of POSIX threads but not those inside the library. Everything a thread did before
 * it called the library, or returned to it, happens before everything done by a thread that the library calls or
 * returns to. */
#ifdef FOR_HELGRIND
#include <valgrind/helgrind.h>
#define TO_LIBRARY() ANNOTATE_HAPPENS_BEFORE(&secretcache_new)
#define FROM_LIBRARY() ANNOTATE_HAPPENS_AFTER(&secretcache_new)
#define ACROSS(call)                                                                                                   \
    do {                                                                                                               \
        TO_LIBRARY();                                                                                                  \
        call;                                                                                                          \
        FROM_LIBRARY();                                                                                                \
    } while (0)
#define secretcache_free(cache) ACROSS(secretcache_free(cache))
#define secretcache_config_free(config) ACROSS(secretcache_config_free(config))
#define secretcache_shutdown(timeout_ms) ACROSS(secretcache_shutdown(timeout_ms))
/* Stops checking the bytes of a text from the library, which the program may read. */
#define HANDED_OVER(text) VALGRIND_HG_DISABLE_CHECKING((text).data, (text).length)
#else
#define TO_LIBRARY() ((void)0)
#define FROM_LIBRARY() ((void)0)
#define HANDED_OVER(text) ((void)0)
#endif

/* Like CHECK, for a call that must succeed. The call passes `&error`. */
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        secretcache_error *error = NULL;                                                                               \
        TO_LIBRARY();                                                                                                  \
        secretcache_result result_of_call = (call);                                                                    \
        FROM_LIBRARY();                                                                                                \
        if (result_of_call != SECRETCACHE_OK) {                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, secretcache_error_message(error).data);      \
            exit(1);                                                                                                   \
        }                                                                                                              \
        CHECK(error == NULL);                                                                                          \
    } while (0)

/* Like CHECK, for a call that must fail with a given result and a message. */
#define FAILS(result, call)                                                                                            \
    do {                                                                                                               \
        secretcache_error *error = NULL;                                                                               \
        TO_LIBRARY();                                                                                                  \
        secretcache_result got = (call);                                                                               \
        FROM_LIBRARY();                                                                                                \
        if (got != (result)) {                                                                                         \
            fprintf(stderr, "%s:%d: %s gave %s\n", __FILE__, __LINE__, #call, secretcache_result_name(got).data);      \
            exit(1);                                                                                                   \
        }                                                                                                              \
        CHECK(error != NULL && secretcache_error_code(error) == got);                                                  \
        CHECK(secretcache_error_message(error).length > 0);                                                            \
        secretcache_error_free(error);                                                                                 \
    } while (0)

static inline int is(secretcache_str text, const char *expected)
{
    HANDED_OVER(text);
    return text.data != NULL && text.length == strlen(expected) && memcmp(text.data, expected, text.length) == 0;
}

struct test {
    const char *name;
    void (*run)(void);
};

/* The list ends with an empty entry. */
static inline int run_tests(const struct test *tests, int argc, char **argv)
{
    for (; tests->name; tests++) {
        if (argc < 2) {
            printf("%s\n", tests->name);
        } else if (strcmp(argv[1], tests->name) == 0) {
            tests->run();
            /* Ends the threads of the library before a leak checker runs. */
            secretcache_shutdown(5000);
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}

#endif
