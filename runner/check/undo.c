/* SPDX-License-Identifier: Apache-2.0 */
#include "check/undo.h"

#include "base/json.h"
#include "base/limits.h"
#include "check/plan_world.h"
#include "run/engine.h"

#include <string.h>

/* The state that the undo of x will find: what is there, with what the undos before it put back. NULL with why in x. Owned. */
static json_t *state_of(struct planner *p, json_t *x, const struct explore_call *c, const json_t *laid)
{
    struct buf args = BUF_INIT(VALUE_BYTES_MAX);
    const json_t *over = json_object_get(laid, json_get_string(x, "target", ""));
    json_t *answer, *state;

    json_add_value(&args, json_object_get(x, "args"));
    answer = world_ask(p, BODY_STATE, c, (struct str){args.data, args.len}, STR(""));
    state = json_copy(json_object_get(answer, "value"));
    if (!json_is_object(state)) {
        json_decref(state);
        state = NULL;
        json_object_set_new(x, "why", json_string(json_get_string(answer, "why", "it cannot be looked at")));
    } else if (over) {
        json_object_update_existing(state, (json_t *)over);
    }
    json_decref(answer);
    buf_free(&args);
    return state;
}

/* The same words as when it is put back (run/send.c). */
static const char *verdict_of(const json_t *x, const json_t *state)
{
    const char *found = state_verdict(state, json_object_get(x, "left"), json_object_get(x, "back"));

    return strcmp(found, "applied") == 0 ? "already" : strcmp(found, "moved") == 0 ? "moved" : "back";
}

static const char *look(struct planner *p, json_t *x, json_t *laid)
{
    struct explore_call c = {.name = str_of(json_get_string(x, "effect", "")),
                             .instance = str_of(json_get_string(x, "instance", ""))};
    const char *target = json_get_string(x, "target", ""), *verdict;
    struct err e = {0};
    const json_t *declared = world_declared(p, &c, "effects", &e);
    json_t *state;

    if (!declared) {
        json_object_set_new(x, "why", json_string(e.msg));
        return "unknown";
    }
    if (strcmp(json_get_string(declared, "undo", ""), "not needed") == 0)
        return "not needed";
    if (json_get_bool(declared, "irreversible", false) || json_object_size(json_object_get(x, "back")) == 0)
        return "cannot";
    state = json_get_bool(declared, "has_state", false) ? state_of(p, x, &c, laid) : NULL;
    if (!state)
        return "unknown";
    json_object_set_new(x, "now", state);
    verdict = verdict_of(x, state);
    if (strcmp(verdict, "back") == 0 && !json_object_get(laid, target))
        json_object_set_new(laid, target, json_object());
    if (strcmp(verdict, "back") == 0)
        json_object_update(json_object_get(laid, target), json_object_get(x, "back"));
    return verdict;
}

void undo_look(struct registry *registry, struct host *h, json_t *list)
{
    struct plan_request q = {.registry = registry, .host = h};
    struct planner p = {.q = &q};
    json_t *laid = json_object(), *x;
    size_t i;

    json_array_foreach(list, i, x)
        json_object_set_new(x, "verdict", json_string(look(&p, x, laid)));
    json_decref(laid);
}

static const char *words(const char *verdict)
{
    static const char *const all[][2] = {
        {"already", ": is so already"},
        {"moved", ": MOVED, somebody else has changed it since; it will be left as it is"},
        {"not needed", ": needs no undo"},
        {"cannot", ": CANNOT be put back"},
        {"unknown", ": it cannot be told what is there now: "},
    };
    size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(all[i][0], verdict) == 0)
            return all[i][1];
    }
    return "";
}

static void add_value(struct buf *out, const json_t *v)
{
    struct buf text = BUF_INIT(VALUE_BYTES_MAX);

    if (v)
        json_add_value(&text, v);
    else
        buf_adds(&text, "nothing");
    str_add_printable(out, buf_text(&text), text.len);
    buf_free(&text);
}

/* "replicas: 6 -> 3", or where it moved "replicas: 9, the run left 6". */
static void add_fields(struct buf *out, const json_t *x, const char *verdict)
{
    bool moved = strcmp(verdict, "moved") == 0;
    const json_t *back = json_object_get(x, "back"), *now = json_object_get(x, "now"), *left = json_object_get(x, "left"), *v;
    const char *key;

    json_object_foreach((json_t *)(moved ? left : back), key, v) {
        const json_t *found = json_object_get(now, key);

        if (found && json_equal(found, v))
            continue;
        buf_addf(out, "      ");
        str_add_printable(out, key, strlen(key));
        buf_adds(out, ": ");
        add_value(out, now ? found : json_object_get(left, key));
        buf_adds(out, moved ? ", the run left " : " -> ");
        add_value(out, v);
        buf_addc(out, '\n');
    }
}

void undo_text(int64_t run, const json_t *list, struct buf *out)
{
    const json_t *x;
    size_t i;

    buf_addf(out, "run %lld changed, and the latest is put back first:\n", (long long)run);
    json_array_foreach((json_t *)list, i, x) {
        const char *verdict = json_get_string(x, "verdict", ""), *target = json_get_string(x, "target", "");
        const char *why = strcmp(verdict, "unknown") == 0 ? json_get_string(x, "why", "the plugin has no `state` of it") : "";

        buf_addf(out, "  %s on ", json_get_string(x, "action", ""));
        str_add_printable(out, target, strlen(target));
        buf_addf(out, " (%s)%s", json_get_string(x, "state", ""), words(verdict));
        str_add_printable(out, why, strlen(why));
        buf_addc(out, '\n');
        if (strcmp(verdict, "back") == 0 || strcmp(verdict, "moved") == 0 || strcmp(verdict, "unknown") == 0)
            add_fields(out, x, verdict);
    }
}
