/* SPDX-License-Identifier: Apache-2.0 */
/* The process that owns the journal, and the others that ask it. */
#ifndef MIDWATCH_CLI_OWNER_H
#define MIDWATCH_CLI_OWNER_H

#include "cli/session.h"
#include "cli/socket.h"

/* Opens the owner's socket of a session. Without it the run goes on; it says so. */
void owner_open(struct session *s);
/* Asks the owner and prints what it says. ERR_NOT_FOUND: there is none. Takes the request. */
int owner_ask(struct cli *c, json_t *request, struct err *e);
/* Prints the error of what is asked of a run, most often one that was mistyped if there is none. The exit code. */
int owner_fail(struct err *e);
/* The run that the first argument names. An exit code. */
int owner_find_run(struct cli *c, int64_t *run);
/* The run that the owner executes; 0 = none yet. ERR_NOT_FOUND: nobody owns the journal; another error: it cannot be asked. */
int64_t owner_run(const struct cli *c, struct err *e);
/* What one person decides for all runs (revoke.c): { commit, on, why } or { runbook }. */
int decide(struct session *s, const struct peer *who, const json_t *request, struct buf *text, struct err *e);
/* The same through the owner, if there is one. Takes the request; the exit code. */
int cli_decide(struct cli *c, json_t *request);
/* True if the owner executes the run; also where there is an owner who cannot be asked. */
bool owner_executes(const struct cli *c, int64_t run);
/* The same from what owner_run answered, for many runs. */
bool owner_means(int64_t answer, int64_t run);

#endif
