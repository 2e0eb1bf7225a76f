/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by tests: a C function under Lua's `<` that does not return, ends the
 * process, takes a second, or says something else in the next process, where the
 * runbook says so. No limit of the sandbox sees the first two; the last is what no
 * replay survives. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
