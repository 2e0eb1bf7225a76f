/* SPDX-License-Identifier: Apache-2.0 */
/* The states of targets in a proposed scenario: as a path found them, in the fields that the file or the effect's declaration
 * knows of. */
#ifndef MIDWATCH_CHECK_GENERATE_STATE_H
#define MIDWATCH_CHECK_GENERATE_STATE_H

#include <jansson.h>
#include <stdbool.h>

/* What the scenario file says of states; borrowed. */
struct given_states {
    const json_t *shared;       /* what stands at its top */
    const json_t *list;         /* its scenarios, or NULL */
};

/* states: target -> { how, finds } of a path (lua/explore_witness.lua). True if nothing is to be said of the targets, or nothing
 * is known of them that could be wrong. */
bool states_are_as_given(const struct given_states *g, const json_t *states);
/* Puts them under `state` of the scenario. plans: target -> what a run wanted there, or NULL. */
void states_add(const struct given_states *g, json_t *scenario, const json_t *states, const json_t *plans);

#endif
