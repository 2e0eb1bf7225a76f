/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about a run for those outside, and what its end means as an exit code. */
#include "run/run.h"

#include "gate/policy.h"

int64_t run_id(const struct run *r) { return r->id; }
const char *run_uuid(const struct run *r) { return r->uuid; }
const struct runbook *run_book(const struct run *r) { return r->book; }
const char *run_file(const struct run *r) { return r->file; }
enum run_state run_state_of(const struct run *r) { return r->state; }
const char *run_outcome(const struct run *r) { return r->outcome; }
const char *run_reason(const struct run *r) { return r->reason; }
const char *run_text(const struct run *r) { return r->text ? r->text : ""; }
int run_line(const struct run *r) { return r->calls ? r->calls->line : 0; }
const char *run_replay_difference(const struct run *r) { return r->difference; }
size_t run_rows(const struct run *r) { return r->rows_total; }
struct hash run_chain(const struct run *r) { return r->chain; }
size_t run_vm_bytes(const struct run *r) { return vm_memory(r->vm); }
bool run_holds_rows(const struct run *r) { return r->recorded.rows != NULL; }

size_t run_unknown_effects(const struct run *r)
{
    const struct effect *x;
    size_t n = 0;

    for (x = r->effects; x; x = x->next)
        n += x->state == EFFECT_UNKNOWN || x->state == EFFECT_INTENDED;
    return n;
}

int outcome_exit_code(enum run_state state, const char *outcome, const char *reason, size_t unknown_effects)
{
    if (unknown_effects > 0)
        return 6;
    if (state != RUN_ENDED)
        return 5;
    if (strcmp(outcome, "cancelled") == 0)
        return 7;
    /* Missing data is a fact about the world, not a no of policy. */
    if (strcmp(outcome, "escalated") == 0)
        return policy_is_refusal(reason) && strcmp(reason, "no_data") != 0 ? 4 : 3;
    return strcmp(reason, "refused") == 0 ? 2 : 0;
}
