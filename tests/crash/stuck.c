/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by tests: a C function under Lua's `<` that does not return, waits, ends the
 * process, takes a second, or says something else in the next process, where the
 * runbook says so; and disks that are slow or cannot sync a directory. No limit of the
 * sandbox sees what does not return; the last of them is what no replay survives. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A disk that takes its time. */
int fdatasync(int fd)
{
    const char *said = getenv("MIDWATCH_TEST_SYNC_MS");

    if (said)
        usleep(1000u * (unsigned)strtoul(said, NULL, 10));
    return (int)syscall(SYS_fdatasync, fd);
}

/* A file system that cannot sync a directory. */
int fsync(int fd)
{
    struct stat st;

    if (getenv("MIDWATCH_TEST_NO_DIRECTORY") && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* The machine that the program believes to be on. */
int gethostname(char *name, size_t size)
{
    const char *said = getenv("MIDWATCH_TEST_MACHINE");

    snprintf(name, size, "%s", said ? said : "here");
    return 0;
}

int strcoll(const char *a, const char *b)
{
    volatile int forever = 1;

    if (strncmp(a, "stuck in C", 10) == 0) {
        while (forever)
            continue;
    }
    if (strncmp(a, "waits in C", 10) == 0)
        pause();
    if (strncmp(a, "slow in C", 9) == 0) {
        for (clock_t from = clock(); clock() - from < CLOCKS_PER_SEC;)
            continue;
    }
    if (strncmp(a, "crash in C", 10) == 0)
        raise(SIGSEGV);
    if (strncmp(a, "turned in C", 11) == 0)
        return getenv("MIDWATCH_TEST_TURNED") ? 1 : -1;
    return strcmp(a, b);
}
