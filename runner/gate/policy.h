/* SPDX-License-Identifier: Apache-2.0 */
/* What may happen, as far as it is decided outside the journal's transaction:
 * the runbook's `may`, approval that an effect would need, and the halt file.
 * Every refusal has a name that people see (DESIGN section 6). Pure but for the
 * halt file's stat. An error in here refuses. */
#ifndef MIDWATCH_GATE_POLICY_H
#define MIDWATCH_GATE_POLICY_H

#include "base/err.h"
#include "book/book.h"
#include "config/config.h"
#include "io/host.h"

struct policy_effect {
    struct str name;            /* "kubernetes.scale" */
    struct str target;          /* "deployment/prod/api" */
    const json_t *args;         /* NULL = whatever they are: no bound is in the way */
    const json_t *declared;     /* the effect's declaration: class, undo, irreversible */
    const struct str *touched;  /* targets that the run has changed, or plans to change before, by effects of this name */
    size_t ntouched;
    const struct config *config;    /* whose `allow` counts; NULL = nobody's (test, replay) */
    struct str instance;        /* "prod-eu" */
    const struct may **permit;  /* out: the entry of `may` that permits it; NULL = nobody asks */
};

/* The refusals, in the order in which policy is asked (DESIGN section 6): whoever asks, or tells about it, walks this one. */
enum refusal {
    REFUSAL_HALTED, REFUSAL_REVOKED, REFUSAL_NOT_ALLOWED, REFUSAL_FROZEN, REFUSAL_STALE_TRIGGER, REFUSAL_NO_DATA,
    REFUSAL_TARGET_BUSY, REFUSAL_COOLING_DOWN, REFUSAL_OVER_BUDGET, REFUSAL_INEFFECTIVE, REFUSAL_FLAPPING,
    REFUSAL_NEEDS_APPROVAL, REFUSAL_DENIED, REFUSAL_EXPIRED, REFUSALS
};
const char *refusal_name(enum refusal r);
/* REFUSALS: it is the name of none. */
enum refusal refusal_of(const char *name);

/* NULL if the effect is permitted, else the refusal's name; `why` then says what would be right. */
const char *policy_refuses(const struct runbook *book, const json_t *params, const struct policy_effect *x,
                           struct buf *why);
/* What depends on the clock and the trigger. target: "instance:target"; now: Unix ms. config NULL = nobody's (test, replay). */
bool policy_is_frozen(const struct config *config, const char *runbook, const char *target, int64_t now, struct buf *why);
/* An alert that does not say when it began cannot be told to be young. */
bool policy_is_stale(const struct config *config, const json_t *trigger, int64_t now, struct buf *why);
/* True if the trigger is an alert that began too often of late (engine_start counted that). */
bool policy_is_flapping(const struct config *config, const json_t *trigger, struct buf *why);
/* Why people must approve such an effect, whatever the runbook says; NULL = they need not, or the operator said so. */
const char *policy_needs_approval(const struct policy_effect *x);
/* True if state_dir/halt exists: nothing may be sent. */
bool policy_halted(struct host *h, const char *state_dir);
/* True if name is the name of a refusal (exit code 4). */
bool policy_is_refusal(const char *name);
/* The refusals that a scenario may say of an effect that is to be sent: what people and data refuse it says otherwise. *n: how
 * many. */
const char *const *policy_at_send(size_t *n);

#endif
