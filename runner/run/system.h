/* SPDX-License-Identifier: Apache-2.0 */
/* What a named person decides for all runs: rows of run 0 with their projections. */
#ifndef MIDWATCH_RUN_SYSTEM_H
#define MIDWATCH_RUN_SYSTEM_H

#include "io/host.h"
#include "journal/writer.h"

/* Revokes a commit (7 to 64 hex digits, the beginning of its id), or takes that back (on = false). ERR_INVALID: it is no
 * commit; ERR_NOT_FOUND: it is not revoked. Durable when it returns. */
int system_revoke(struct writer *w, struct host *h, const char *commit, bool on, const char *who, const char *why, struct err *e);
/* Turns a runbook on that did not help so often that it is off. ERR_NOT_FOUND: none of its remedies failed since then. */
int system_runbook_on(struct writer *w, struct host *h, const char *runbook, const char *who, struct err *e);
/* Halts all effects, or releases that (on = false), beside the halt file. */
int system_halt(struct writer *w, struct host *h, bool on, const char *who, const char *why, struct err *e);

#endif
