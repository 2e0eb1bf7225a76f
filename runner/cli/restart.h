/* SPDX-License-Identifier: Apache-2.0 */
/* Who executes runs watches its own process, and starts it again where a run ends it. */
#ifndef MIDWATCH_CLI_RESTART_H
#define MIDWATCH_CLI_RESTART_H

#include "cli/cli.h"
#include "run/watchdog.h"

/* From now on, once per process. all: every run of the journal is executed. *died: where the last owner died. The watchdog
 * is the caller's to free, and c must live as long as the process. ERR_DISK, ERR_IO: it cannot be watched. */
int restart_open(const struct cli *c, bool all, struct watchdog **out, struct inside *died, struct err *e);
/* The registry's `at_work`. */
void restart_at_work(void *ctx, int64_t run, const char *instance);

#endif
