/* A library to preload. It resolves names that end in ".invalid" to this machine; once the file named by DNS_DOWN
 * exists, they no longer resolve. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    lookup *real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *file = getenv("DNS_DOWN");
    size_t length = name != NULL ? strlen(name) : 0;
    if (length > 8 && strcmp(name + length - 8, ".invalid") == 0) {
        if (file != NULL && access(file, F_OK) == 0)
            return EAI_AGAIN;
        name = "127.0.0.1";
    }
    return real(name, service, hints, found);
}
