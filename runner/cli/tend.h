/* SPDX-License-Identifier: Apache-2.0 */
/* A session that executes every open run of its journal. */
#ifndef MIDWATCH_CLI_TEND_H
#define MIDWATCH_CLI_TEND_H

#include "cli/session.h"

/* Runs until every run is settled, or a signal leaves them; the exit code: that of the most serious ending, or of a run that
 * waits for a person. */
int tend_run(struct session *s);

/* What the session's parts call. */
void tend_row(void *ctx, const struct run *r, const struct row *row, bool replayed);
void tend_settled(void *ctx, const struct run *r);
void tend_trouble(void *ctx, int64_t run, const struct err *e);

#endif
