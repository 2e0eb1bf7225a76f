/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by tests: a C function under Lua's `<` that does not return, or ends the
 * process, where the runbook says so. No limit of the sandbox sees either. */
#include <signal.h>
#include <string.h>

int strcoll(const char *a, const char *b)
{
    volatile int forever = 1;

    if (strncmp(a, "stuck in C", 10) == 0) {
        while (forever)
            continue;
    }
    if (strncmp(a, "crash in C", 10) == 0)
        raise(SIGSEGV);
    return strcmp(a, b);
}
