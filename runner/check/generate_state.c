/* SPDX-License-Identifier: Apache-2.0 */
#include "check/generate_state.h"

#include "base/json.h"

#include <string.h>

/* What a scenario of the file says of a target: plugins want more of a state than what they set. Owned, or NULL. */
static json_t *known_state(const struct given_states *g, const char *key)
{
    json_t *s, *state = json_object_get(json_object_get(g->shared, "state"), key);
    size_t i;

    for (i = 0; !state && i < json_array_size(g->list); i++) {
        s = json_array_get(g->list, i);
        state = json_object_get(json_object_get(s, "state"), key);
    }
    return json_is_object(state) ? json_deep_copy(state) : NULL;
}

/* Another value of the same type. */
static json_t *another(const json_t *v)
{
    if (json_is_integer(v))
        return json_integer(json_integer_value(v) > 1 ? json_integer_value(v) - 1 : json_integer_value(v) + 1);
    if (json_is_boolean(v))
        return json_boolean(!json_is_true(v));
    return json_is_string(v) ? json_string("before") : json_deep_copy(v);
}

static bool is_wanted(const json_t *state, const json_t *wanted)
{
    const char *field;
    json_t *v;

    json_object_foreach((json_t *)wanted, field, v) {
        if (!json_equal(json_object_get(state, field), v))
            return false;
    }
    return true;
}

/* How a target is found: "already" as it is wanted, "before" otherwise (so that an undo has something to go back to), "other" than
 * wanted whatever it is, or not at all. about: { how, finds }; wanted: what a run made of what is known of it. NULL: nothing can
 * or need be said. */
static json_t *state_of(const struct given_states *g, const json_t *about, const char *key, const json_t *wanted)
{
    json_t *state = known_state(g, key), *v;
    const char *field, *how = json_get_string(about, "how", "");
    bool known = state != NULL, already = strcmp(how, "already") == 0;

    if (strcmp(how, "other") == 0 && (!known || !wanted || !is_wanted(state, wanted))) {
        json_decref(state);
        return NULL;
    }
    if (strcmp(how, "error") == 0 || strcmp(how, "no_data") == 0) {
        json_decref(state);
        return json_string(how);
    }
    if (!state && json_object_get(about, "finds"))
        state = json_deep_copy(json_object_get(about, "finds"));
    if (!wanted || (known && strcmp(how, "before") == 0 && !is_wanted(state, wanted)))
        return state;
    if (!state)
        state = json_object();
    json_object_foreach((json_t *)wanted, field, v) {
        json_object_set_new(state, field, already ? json_deep_copy(v) : another(v));
    }
    return state;
}

void states_add(const struct given_states *g, json_t *scenario, const json_t *states, const json_t *plans)
{
    const char *target;
    json_t *about;

    json_object_foreach((json_t *)states, target, about) {
        const char *colon = strchr(target, ':'), *key = colon ? colon + 1 : target;
        json_t *state = state_of(g, about, key, json_object_get(plans, target));

        if (state)
            json_object_set_new(json_object_get(scenario, "state"), key, state);
    }
}

/* Nothing is to be said of the targets, or nothing is known of them that could be wrong. */
bool states_are_as_given(const struct given_states *g, const json_t *states)
{
    const char *target;
    json_t *about, *state;
    bool known;

    json_object_foreach((json_t *)states, target, about) {
        state = known_state(g, strchr(target, ':') ? strchr(target, ':') + 1 : target);
        known = state != NULL;
        json_decref(state);
        if (known || strcmp(json_get_string(about, "how", ""), "other") != 0)
            return false;
    }
    return true;
}
