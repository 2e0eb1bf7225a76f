/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of a plugin, tried on the real thing. Per effect: state -> want ->
 * apply -> the state is the wanted one -> undo -> the state is the old one; then it is
 * cut off in the middle of an apply, and must still know what became of it. */
#include "check/plugin_test.h"

#include "base/json.h"
#include "base/limits.h"
#include "check/plugin_bench.h"
#include "plugin/schema.h"
#include "run/run.h"

#include <stdio.h>
#include <stdlib.h>

#define CUT_MS 3            /* into an apply: it may have arrived or not */
#define CALM_MS 200         /* until what was cut off has ended */

struct trial {
    struct bench bench;
    plugin_case_fn tell;
    void *ctx;
};

static void verdict(struct trial *t, const char *what, const char *verb, const char *why)
{
    char name[200];

    snprintf(name, sizeof(name), "%s %s", what, verb);
    t->tell(t->ctx, name, why);
}

/* "{...} instead of {...}" */
static const char *differs(struct buf *why, const char *what, const json_t *got, const json_t *wanted)
{
    buf_reset(why);
    buf_addf(why, "%s: ", what);
    json_add_value(why, got);
    buf_adds(why, " instead of ");
    json_add_value(why, wanted);
    return buf_text(why);
}

static void try_read(struct trial *t, const json_t *example)
{
    const char *verb = json_get_string(example, "read", ""), *unknown = json_get_string(example, "unknown", NULL);
    const json_t *spec = json_object_get(json_object_get(t->bench.declared, "reads"), verb);
    const json_t *wanted = json_object_get(example, "value");
    json_t *a = bench_ask(&t->bench, BODY_READ, verb, json_object_get(example, "args"), NULL);
    const json_t *value = json_object_get(a, "value");
    struct buf why = BUF_INIT(64 * KIB);
    struct err e = {0};

    if (unknown && strcmp(json_get_string(a, "unknown", ""), unknown) == 0)
        verdict(t, "read", verb, NULL);
    else if (unknown || !value)
        verdict(t, "read", verb, differs(&why, "it answered", a, example));
    else if (schema_fits(json_object_get(spec, "returns"), value, "value", &e) < 0)
        verdict(t, "read", verb, e.msg);
    else if (wanted && !json_equal(wanted, value))
        verdict(t, "read", verb, differs(&why, "it answered", value, wanted));
    else
        verdict(t, "read", verb, NULL);
    json_decref(a);
    buf_free(&why);
}

/* One effect under trial. */
struct attempt {
    struct trial *t;
    const char *verb;
    const json_t *spec, *args;
    json_t *from, *to, *after;
    struct buf why;
};

/* The state now (owned), or NULL after saying why there is none. */
static json_t *state_now(struct attempt *c, const char *when)
{
    json_t *a, *state;

    if (!json_get_bool(c->spec, "has_state", false))
        return json_object();
    a = bench_ask(&c->t->bench, BODY_STATE, c->verb, c->args, NULL);
    state = json_incref(json_object_get(a, "value"));
    if (!json_is_object(state)) {
        json_decref(state);
        state = NULL;
        buf_reset(&c->why);
        buf_addf(&c->why, "its state %s: ", when);
        json_add_value(&c->why, a);
    }
    json_decref(a);
    return state;
}

static json_t *extra_of(const json_t *from, const json_t *to)
{
    return json_pack("{s:O s:s s:O}", "from", from, "key", "plugintestplugintestplugintestpl", "to", to);
}

/* "applied", "absent", "moved", or what else came; into c->why. */
static const char *look_back(struct attempt *c, const json_t *from, const json_t *to)
{
    json_t *extra, *a, *state;

    buf_reset(&c->why);
    if (json_get_bool(c->spec, "has_check", false)) {
        extra = extra_of(from, to);
        a = bench_ask(&c->t->bench, BODY_CHECK, c->verb, c->args, extra);
        if (json_get_string(a, "verdict", NULL))
            buf_adds(&c->why, json_get_string(a, "verdict", ""));
        else
            json_add_value(&c->why, a);
        json_decref(extra);
        json_decref(a);
    } else if ((state = state_now(c, "read back")) != NULL) {
        buf_adds(&c->why, state_verdict(state, from, to));
        json_decref(state);
    }
    return buf_text(&c->why);
}

/* One apply, and the state after it. NULL, or why not. */
static const char *apply(struct attempt *c, const json_t *from, const json_t *to)
{
    json_t *extra = extra_of(from, to), *a = bench_ask(&c->t->bench, BODY_APPLY, c->verb, c->args, extra);
    bool sent = strcmp(json_get_string(a, "outcome", ""), "sent") == 0, checked;

    json_decref(extra);
    checked = json_get_bool(c->spec, "has_check", false);
    buf_reset(&c->why);
    if (!sent) {
        buf_adds(&c->why, "it answered ");
        json_add_value(&c->why, a);
    }
    json_decref(a);
    json_decref(c->after);
    c->after = NULL;
    if (!sent)
        return buf_text(&c->why);
    c->after = state_now(c, "afterwards");
    if (!c->after)
        return buf_text(&c->why);
    if (json_get_bool(c->spec, "has_state", false) && strcmp(state_verdict(c->after, NULL, to), "applied") != 0)
        return differs(&c->why, "its state afterwards", c->after, to);
    if (checked && strcmp(look_back(c, from, to), "applied") != 0) {
        struct buf found = BUF_INIT(4 * KIB);

        buf_addf(&found, "check says %s after it was applied", buf_text(&c->why));
        buf_reset(&c->why);
        buf_adds(&c->why, buf_text(&found));
        buf_free(&found);
        return buf_text(&c->why);
    }
    return NULL;
}

/* The fields of from that to names. */
static json_t *old_fields(const json_t *from, const json_t *to)
{
    json_t *out = json_object(), *v;
    const char *key;

    json_object_foreach((json_t *)to, key, v) {
        if (json_object_get(from, key))
            json_object_set(out, key, json_object_get(from, key));
    }
    return out;
}

static const char *undo(struct attempt *c)
{
    json_t *back = old_fields(c->from, c->to), *after = json_incref(c->after);
    const char *why = apply(c, after, back);

    json_decref(back);
    json_decref(after);
    return why;
}

/* Cuts an apply off and asks what became of it; puts it back if it happened. */
static const char *cut(struct attempt *c)
{
    json_t *extra = extra_of(c->from, c->to);
    const char *found;
    bool known;

    bench_cut(&c->t->bench, c->verb, c->args, extra, CUT_MS, CALM_MS);
    json_decref(extra);
    found = look_back(c, c->from, c->to);
    known = strcmp(found, "applied") == 0 || strcmp(found, "absent") == 0;
    if (!known || found[1] == 'b')
        return known ? NULL : found;
    json_decref(c->after);
    c->after = state_now(c, "after the cut");
    return c->after ? undo(c) : buf_text(&c->why);
}

/* What it starts from and aims at. NULL, or why that cannot be tried. */
static const char *aim(struct attempt *c)
{
    struct buf want = BUF_INIT(VALUE_BYTES_MAX), args = BUF_INIT(VALUE_BYTES_MAX), state = BUF_INIT(VALUE_BYTES_MAX);
    const char *why = NULL;
    struct err e = {0};

    c->from = state_now(c, "before");
    if (!c->from)
        return buf_text(&c->why);
    json_add_value(&args, c->args);
    json_add_value(&state, c->from);
    if (plugin_want(c->t->bench.registry, BENCH_INSTANCE, c->verb, (struct str){args.data, args.len},
                    (struct str){state.data, state.len}, STR(""), &want, &e) < 0 ||
        json_read((struct str){want.data, want.len}, &c->to, &e) < 0) {
        buf_addf(&c->why, "want: %s", e.msg);
        why = buf_text(&c->why);
    } else if (strcmp(state_verdict(c->from, NULL, c->to), "applied") == 0) {
        why = "the example changes nothing: its state is already the wanted one";
    }
    buf_free(&want);
    buf_free(&args);
    buf_free(&state);
    return why;
}

static void try_effect(struct trial *t, const json_t *example)
{
    struct attempt c = {.t = t, .verb = json_get_string(example, "effect", ""), .args = json_object_get(example, "args"),
                       .why = BUF_INIT(VALUE_BYTES_MAX)};
    const char *why;
    bool undoable;

    c.spec = json_object_get(json_object_get(t->bench.declared, "effects"), c.verb);
    undoable = !json_get_bool(c.spec, "irreversible", false) && !json_get_string(c.spec, "undo", NULL) &&
               json_get_bool(c.spec, "has_state", false);
    why = aim(&c);
    if (!why)
        why = apply(&c, c.from, c.to);
    verdict(t, "effect", c.verb, why);
    if (!why && undoable) {
        why = undo(&c);
        verdict(t, "undo of", c.verb, why);
        if (!why)
            verdict(t, "cut in the middle of", c.verb, cut(&c));
    }
    json_decref(c.from);
    json_decref(c.to);
    json_decref(c.after);
    buf_free(&c.why);
}

static void try_probe(struct trial *t)
{
    json_t *a = bench_ask(&t->bench, BODY_PROBE, "", NULL, NULL);

    t->tell(t->ctx, "probe", json_get_string(a, "value", NULL) ? NULL : json_get_string(a, "why", "it answers no text"));
    json_decref(a);
}

/* Every verb of a section has an example, and every example a verb. */
static void try_section(struct trial *t, const char *section, const char *key,
                        void (*try)(struct trial *t, const json_t *example))
{
    const json_t *declared = json_object_get(t->bench.declared, section);
    json_t *examples = json_object_get(t->bench.examples, section), *example, *spec;
    const char *verb;
    size_t i;

    json_array_foreach(examples, i, example) {
        verb = json_get_string(example, key, "");
        if (json_object_get(declared, verb))
            try(t, example);
        else
            verdict(t, key, verb, "the plugin does not declare it");
    }
    json_object_foreach((json_t *)declared, verb, spec) {
        json_array_foreach(examples, i, example) {
            if (strcmp(json_get_string(example, key, ""), verb) == 0)
                break;
        }
        if (i == json_array_size(examples))
            verdict(t, key, verb, "there is no example of it");
    }
}

int plugin_test(const char *path, plugin_case_fn tell, void *ctx, struct err *e)
{
    struct trial t = {.tell = tell, .ctx = ctx};
    struct err bad = {0};
    int rc = bench_open(&t.bench, path, e);

    bool loaded = rc == 0 && bench_load(&t.bench, &bad) == 0;

    if (rc == 0)
        tell(ctx, "declaration", loaded ? NULL : bad.msg);
    if (loaded) {
        if (json_get_bool(t.bench.declared, "has_probe", false))
            try_probe(&t);
        try_section(&t, "reads", "read", try_read);
        try_section(&t, "effects", "effect", try_effect);
    }
    bench_close(&t.bench);
    return rc;
}
