/* SPDX-License-Identifier: Apache-2.0 */
/* What a scenario gives, against what a plugin could answer. Only for the scripts of
 * scenarios; live answers are checked where their body ends (plugin/body.c). */
#ifndef MIDWATCH_GATE_FIXTURE_H
#define MIDWATCH_GATE_FIXTURE_H

#include "gate/gate.h"

/* The first thing that a scenario gets wrong. */
struct fixture_fault {
    struct err e;
    char path[1024];            /* the way to it in the scenario, as yaml_at takes it */
};

/* Which answer of the world stands for itself: no_data, error, stale, ambiguous. */
bool fixture_is_unknown(const json_t *v);
/* given[key], and every after[effect][key], for the read `q`: a value, a word for what is not known, {then: [...]}, {at: {...}}.
 * Sets the fault and returns its code, or 0. */
int fixture_check_answers(struct registry *r, const struct question *q, const char *key, const json_t *given,
                          const json_t *after, struct fixture_fault *f);
/* The state of an effect's target has the fields that the effect would set, and values that they could have. An effect that
 * needs no undo may find its field missing: several effects share the state of a target. */
int fixture_check_state(struct registry *r, const struct question *q, const char *target, const json_t *state,
                        struct fixture_fault *f);

#endif
