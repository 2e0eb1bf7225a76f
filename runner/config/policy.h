/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator bounds over time, beside `allow:` and `freezes:`: budgets, the breaker of runbooks that do not
 * help, the age of alerts, and who may approve. */
#ifndef MIDWATCH_CONFIG_POLICY_H
#define MIDWATCH_CONFIG_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define BUDGETS_MAX 16
#define EPISODES_MAX 1000       /* that flapping counts */

struct budget {
    bool targets;               /* counts distinct targets, not effects */
    int64_t max, per_ms;
    int64_t percent, of;        /* how max was written: percent of a population of `of`; 0 = as a number */
    char *runbook;              /* a glob: each such runbook by itself; NULL = all together */
    char *team;                 /* globs with spaces between: these runbooks together; NULL = not so */
    char *target;               /* a glob over instance:target: only changes of these; NULL = of all */
    int line, column;
};
/* Whether a change by this runbook of "instance:target" spends of it. target NULL = of anything. */
bool budget_concerns(const struct budget *b, const char *runbook, const char *target);

struct approval_rule {
    bool not_self;              /* whoever started a run may not approve */
    int64_t of;                 /* so many people at least */
    json_t *by;                 /* of these, where a runbook names nobody; NULL = anybody */
};

#endif
