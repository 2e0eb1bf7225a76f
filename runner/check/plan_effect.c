/* SPDX-License-Identifier: Apache-2.0 */
/* One effect of a plan: may it, what is there now, what will be there, and what the target itself says of it. */
#include "check/plan_world.h"

#include "base/json.h"
#include "base/limits.h"
#include "gate/gate.h"
#include "gate/policy.h"
#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan {
    struct planner *p;
    const struct explore_call *c;
    const json_t *declared;
    json_t *args;               /* of the plugin; borrowed from request */
    json_t *request;
    json_t *from, *to;
    struct buf target;          /* "prod-eu:deployment/prod/api" */
};

static const char *undo_word(const json_t *declared)
{
    return json_get_bool(declared, "irreversible", false) ? "irreversible" : json_get_string(declared, "undo", "derived");
}

static const char *local(const struct plan *x)
{
    const char *colon = strchr(buf_text(&x->target), ':');

    return colon ? colon + 1 : "";
}

/* The targets that an entry of `may` with at_most counts: changed on this path, and planned before in the same call. */
static struct str *touched(struct plan *x, size_t *n)
{
    const json_t *lists[] = {x->c->changed, x->p->planned}, *one;
    struct str *out = xcalloc(json_array_size(lists[0]) + json_array_size(lists[1]) + 1, sizeof(*out));
    size_t i, k;

    *n = 0;
    for (k = 0; k < 2; k++) {
        json_array_foreach(lists[k], i, one) {
            const char *target = strchr(json_get_string(one, "target", ""), ':');

            if (target && str_is(x->c->name, json_get_string(one, "effect", "")) &&
                str_is(x->c->instance, json_get_string(one, "instance", "")))
                out[(*n)++] = str_of(target + 1);
        }
    }
    return out;
}

static struct policy_effect policy_of(const struct plan *x)
{
    const struct plan_request *q = x->p->q;

    return (struct policy_effect){.name = x->c->name, .instance = x->c->instance, .args = x->args, .declared = x->declared,
                                  .target = str_of(local(x)), .config = q->config};
}

static bool is_same(const struct plan *x, const json_t *other, const json_t *entry)
{
    if (strcmp(json_get_string(other, "target", ""), buf_text(&x->target)) != 0 ||
        !str_is(x->c->name, json_get_string(other, "effect", "")))
        return false;
    if (x->c->symbolic)         /* what it depends on is another symbol on every path */
        return json_get_int(other, "line", 0) == x->c->line && !json_object_get(other, "to");
    return json_equal(json_object_get(other, "args"), x->args) &&
           json_equal(json_object_get(other, "from"), json_object_get(entry, "from")) &&
           json_equal(json_object_get(other, "to"), json_object_get(entry, "to"));
}

/* Appends the effect to the plan's, once. */
static json_t *record(struct plan *x, json_t *more)
{
    json_t *entry = json_pack("{s:s s:O s:s% s:s s:s% s:i s:s}", "target", buf_text(&x->target), "args", x->args, "effect",
                              x->c->name.p, x->c->name.n, "class", json_get_string(x->declared, "class", "never_twice"),
                              "instance", x->c->instance.p, x->c->instance.n, "line", x->c->line, "undo",
                              undo_word(x->declared));
    json_t *other;
    size_t i;

    json_object_update(entry, more);
    json_decref(more);
    json_array_foreach(x->p->effects, i, other) {
        if (is_same(x, other, entry)) {
            json_decref(entry);
            return other;
        }
    }
    json_array_append_new(x->p->effects, entry);
    return entry;
}

static int answer(json_t *payload, struct buf *out)
{
    json_add_value(out, payload);
    json_decref(payload);
    return 1;
}

/* It ends here: the run would be refused, or cannot know. */
static int stops(struct plan *x, const char *key, const char *value, const char *why, struct buf *out)
{
    record(x, json_pack("{s:s s:s}", key, value, "why", why));
    return answer(json_pack("{s:s s:s s:s}", key, value, "target", buf_text(&x->target), "why", why), out);
}

/* The state as earlier effects of this path, and of the same list, leave it. */
static void lay_over(struct plan *x)
{
    const json_t *lists[] = {x->c->changed, x->p->planned}, *one, *to;
    size_t i, k;

    for (k = 0; k < 2; k++) {
        json_array_foreach(lists[k], i, one) {
            to = json_object_get(one, "to");
            if (strcmp(json_get_string(one, "target", ""), buf_text(&x->target)) == 0 && json_is_object(to))
                json_object_update(x->from, (json_t *)to);
        }
    }
}

static int look(struct plan *x, struct buf *out)
{
    struct buf args = BUF_INIT(VALUE_BYTES_MAX), key = BUF_INIT(VALUE_BYTES_MAX);
    json_t *a;
    int rc = 0;

    json_add_value(&args, x->args);
    buf_addf(&key, "state %.*s %.*s %s", (int)x->c->name.n, x->c->name.p, (int)x->c->instance.n, x->c->instance.p,
             buf_text(&args));
    a = json_object_get(x->p->kept, buf_text(&key));
    if (!a) {
        a = world_ask(x->p, BODY_STATE, x->c, (struct str){args.data, args.len}, STR(""));
        json_object_set_new(x->p->kept, buf_text(&key), a);
    }
    if (json_object_get(a, "refused"))
        rc = stops(x, "refused", json_get_string(a, "refused", "error"), json_get_string(a, "why", ""), out);
    else if (json_object_get(a, "unknown") || !json_is_object(json_object_get(a, "value")))
        rc = stops(x, "unknown", json_get_string(a, "unknown", "error"), json_get_string(a, "why", "no state"), out);
    else
        x->from = json_copy(json_object_get(a, "value"));
    if (rc == 0)
        lay_over(x);
    buf_free(&args);
    buf_free(&key);
    return rc;
}

static int want(struct plan *x, struct buf *out)
{
    struct buf args = BUF_INIT(VALUE_BYTES_MAX), state = BUF_INIT(VALUE_BYTES_MAX), past = BUF_INIT(VALUE_BYTES_MAX);
    struct buf to = BUF_INIT(VALUE_BYTES_MAX);
    char instance[256], verb[128];
    struct str v = gate_verb(x->c->name);
    struct err e = {0};
    int rc = 0;

    snprintf(instance, sizeof(instance), "%.*s", (int)x->c->instance.n, x->c->instance.p);
    snprintf(verb, sizeof(verb), "%.*s", (int)v.n, v.p);
    json_add_value(&args, x->args);
    if (x->from)
        json_add_value(&state, x->from);
    if (json_get_bool(x->declared, "history", false) && x->from)
        engine_effect_history(x->p->q->journal, x->c->name, buf_text(&x->target), &past, &e);
    if (e.code == 0 && plugin_want(x->p->q->registry, instance, verb, (struct str){args.data, args.len},
                                   (struct str){state.data, state.len}, (struct str){past.data, past.len}, &to, &e) == 0)
        json_read((struct str){to.data, to.len}, &x->to, &e);
    if (e.code && !x->from)
        x->to = json_incref(x->args);       /* as run/plan.c: nobody looked, the arguments are what can be said */
    else if (e.code)
        rc = stops(x, "refused", "error", e.msg, out);
    buf_free(&args);
    buf_free(&state);
    buf_free(&past);
    buf_free(&to);
    return rc;
}

/* The target's own permission check and dry run, once per effect: permitted, preflight ("yes", "no", or why nobody can tell),
 * and denied_by, denied_why if one of them says no. */
static void ask_target(struct plan *x, json_t *entry)
{
    struct buf target = BUF_INIT(4 * KIB), args = BUF_INIT(VALUE_BYTES_MAX), extra = BUF_INIT(2 * VALUE_BYTES_MAX);
    json_t *t = json_pack("{s:s}", "target", local(x)), *both = json_pack("{s:O s:O}", "from", x->from, "to", x->to), *a;
    const json_t *of_plugin = world_declared(x->p, x->c, NULL, &(struct err){0});

    json_add_value(&target, t);
    json_add_value(&args, x->args);
    json_add_value(&extra, both);
    if (json_get_bool(of_plugin, "has_permitted", false)) {
        a = world_ask(x->p, BODY_PERMITTED, x->c, (struct str){target.data, target.len}, STR(""));
        json_object_set_new(entry, "permitted", json_is_boolean(json_object_get(a, "value"))
                            ? json_string(json_is_true(json_object_get(a, "value")) ? "yes" : "no")
                            : json_string(json_get_string(a, "why", "it cannot be told")));
        if (json_is_false(json_object_get(a, "value"))) {
            json_object_set_new(entry, "denied_by", json_string("its own permission check"));
            json_object_set_new(entry, "denied_why", json_string(json_get_string(a, "why", "no reason given")));
        }
        json_decref(a);
    }
    if (json_get_bool(x->declared, "has_preflight", false) && !json_object_get(entry, "denied_by")) {
        a = world_ask(x->p, BODY_PREFLIGHT, x->c, (struct str){args.data, args.len}, (struct str){extra.data, extra.len});
        json_object_set_new(entry, "preflight", json_is_true(json_object_get(a, "value")) ? json_string("yes")
                            : json_object_get(a, "refused") ? json_string("no")
                            : json_string(json_get_string(a, "why", "it cannot be told")));
        if (json_object_get(a, "refused")) {
            json_object_set_new(entry, "denied_by", json_string("its own dry run"));
            json_object_set_new(entry, "denied_why", json_string(json_get_string(a, "why", "no reason given")));
        }
        json_decref(a);
    }
    json_decref(t);
    json_decref(both);
    buf_free(&target);
    buf_free(&args);
    buf_free(&extra);
}

static int done(struct plan *x, struct buf *out)
{
    bool already = x->from && strcmp(state_verdict(x->from, NULL, x->to), "applied") == 0;
    struct policy_effect pe = policy_of(x);
    const char *needs = policy_needs_approval(&pe);
    json_t *entry;

    /* Whether it is so already after other changes cannot be known. */
    if (already && (x->c->effects > 0 || x->c->waited_ms > 0))
        return 0;
    entry = record(x, json_pack("{s:b s:O? s:b s:s* s:O}", "already", already, "from", x->from, "later",
                                x->c->effects > 0 || x->c->waited_ms > 0, "needs_approval", needs, "to", x->to));
    json_object_set(json_array_get(x->p->planned, json_array_size(x->p->planned) - 1), "to", x->to);
    if (!x->from)
        json_object_set_new(entry, "unknown", json_string("what is there now cannot be looked at: the plugin has no `state` "
                                                          "of it"));
    if (x->from && !already && x->c->effects == 0 && !json_object_get(entry, "permitted") && !json_object_get(entry, "preflight"))
        ask_target(x, entry);
    return answer(json_pack("{s:b s:s s:O? s:i s:s* s:s s:O s:s}", "already", already, "class",
                            json_get_string(x->declared, "class", "never_twice"), "from", x->from, "line", x->c->line,
                            "needs_approval", needs, "target", buf_text(&x->target), "to", x->to, "undo",
                            undo_word(x->declared)), out);
}

static void remember_planned(struct plan *x)
{
    json_array_append_new(x->p->planned, json_pack("{s:s% s:s% s:s}", "effect", x->c->name.p, x->c->name.n, "instance",
                                                   x->c->instance.p, x->c->instance.n, "target", buf_text(&x->target)));
}

static int plan_it(struct plan *x, struct buf *out)
{
    struct buf why = BUF_INIT(2048);
    struct policy_effect pe = policy_of(x);
    struct str *list = touched(x, &pe.ntouched);
    const char *refusal;
    int rc = 0;

    pe.touched = list;
    refusal = policy_refuses(x->p->q->book, x->p->q->params, &pe, &why);
    remember_planned(x);
    if (refusal)
        rc = stops(x, "refused", refusal, buf_text(&why), out);
    if (rc == 0 && json_get_bool(x->declared, "has_state", false))
        rc = look(x, out);
    if (rc == 0)
        rc = want(x, out);
    if (rc == 0)
        rc = done(x, out);
    free(list);
    buf_free(&why);
    return rc;
}

int plan_effect(struct planner *p, const struct explore_call *c, struct buf *out, struct err *e)
{
    struct plan x = {.p = p, .c = c, .target = BUF_INIT(TARGET_BYTES_MAX)};
    int rc = json_read(c->args, &x.request, e);

    x.args = json_object_get(x.request, "args");
    x.declared = rc == 0 ? world_declared(p, c, "effects", e) : NULL;
    if (c->part <= 1)
        json_array_clear(p->planned);
    buf_addf(&x.target, "%.*s:", (int)c->instance.n, c->instance.p);
    if (!x.declared) {
        rc = e->code;
    } else if (c->symbolic || (json_get_bool(x.declared, "has_state", false) && !world_may_ask(p, c))) {
        if (template_fill(str_of(json_get_string(x.declared, "target", "")), x.args, true, &x.target, e) < 0)
            buf_adds(&x.target, "(not known yet)");
        *e = (struct err){0};
        record(&x, json_pack("{s:s}", "unknown", c->symbolic ? "its arguments depend on what is not known yet"
                                                             : "a plan may not ask what is there now"));
        rc = 0;
    } else if (template_fill(str_of(json_get_string(x.declared, "target", "")), x.args, true, &x.target, e) < 0) {
        rc = stops(&x, "refused", "error", e->msg, out);
        *e = (struct err){0};
    } else {
        rc = plan_it(&x, out);
    }
    json_decref(x.request);
    json_decref(x.from);
    json_decref(x.to);
    buf_free(&x.target);
    return rc;
}

json_t *plan_find_effect(struct planner *p, const struct explore_call *c, const json_t *args)
{
    json_t *entry;
    size_t i;

    json_array_foreach(p->effects, i, entry) {
        if (str_is(c->name, json_get_string(entry, "effect", "")) &&
            strcmp(json_get_string(entry, "target", ""), json_get_string(args, "target", "?")) == 0 &&
            (json_equal(json_object_get(entry, "to"), json_object_get(args, "to")) ||
             (!json_object_get(entry, "to") && json_get_int(entry, "line", 0) == c->line)))
            return entry;
    }
    return NULL;
}
