/* SPDX-License-Identifier: Apache-2.0 */
/* What policy would say now: every check in its order, from the journal and the configuration; nothing is changed. */
#ifndef MIDWATCH_CHECK_EXPLAIN_H
#define MIDWATCH_CHECK_EXPLAIN_H

#include "book/book.h"
#include "config/config.h"
#include "io/host.h"
#include "journal/journal.h"

struct explain_query {
    const struct runbook *book;
    const json_t *params;
    const struct config *config;
    struct host *host;
    struct journal *journal;        /* NULL = there is none yet */
    const char *state_dir;
    const json_t *trigger;          /* of the run that would begin; NULL = of any */
    const char *effect, *target;    /* "kubernetes.scale", "deployment/prod/api"; NULL = any that the runbook may do */
};
/* A list of { check, verdict: "passes" | "refuses" | "depends", why }. ERR_INVALID: the runbook does not use what effect
 * names. *out is owned. */
int explain_policy(const struct explain_query *q, json_t **out, struct err *e);

#endif
