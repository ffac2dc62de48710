/* Preloaded into a process, moves its wall clock from the moment the file named by STEP_FILE exists: by
 * STEP_SECONDS, or back by 23 hours. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    const char *file = getenv("STEP_FILE"), *by = getenv("STEP_SECONDS");
    int wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (result == 0 && wall && file != NULL && access(file, F_OK) == 0)
        now->tv_sec += by != NULL ? atol(by) : -23 * 3600;
    return result;
}
