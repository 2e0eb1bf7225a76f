/* SPDX-License-Identifier: Apache-2.0 */
/* Looking, for a plan: bodies are asked and waited for, the journal is read. */
#include "check/plan_world.h"

#include "base/json.h"
#include "base/limits.h"
#include "check/explain.h"
#include "gate/gate.h"
#include "gate/policy.h"

#include <stdio.h>
#include <string.h>

static void on_answer(void *ctx, struct str answer)
{
    struct world_call *w = ctx;
    struct err e = {0};

    if (json_read(answer, &w->answer, &e) < 0)
        w->answer = json_pack("{s:s s:s}", "unknown", "error", "why", e.msg);
    if (--w->p->waiting == 0)
        w->p->q->host->ops->stop(w->p->q->host);
}

static bool turn(void *ctx)
{
    struct planner *p = ctx;

    return registry_turn(p->q->registry);
}

void world_start(struct planner *p, struct world_call *w, enum body_kind kind, const struct explore_call *c, struct str args,
                 struct str extra)
{
    struct str v = gate_verb(c->name);
    struct body_call *call;
    char instance[256], verb[128];
    struct body_request q = {.kind = kind, .instance = instance, .verb = verb, .args = args, .extra = extra};
    struct err e = {0};

    *w = (struct world_call){.p = p};
    snprintf(instance, sizeof(instance), "%.*s", (int)c->instance.n, c->instance.p);
    snprintf(verb, sizeof(verb), "%.*s", (int)v.n, v.p);
    if (c->instance.n == 0)
        err_set(&e, ERR_NOT_FOUND, "nothing tells here whether it is %.*s", (int)c->name.n, c->name.p);
    else if (body_start(p->q->registry, &q, on_answer, w, &call, &e) == 0)
        p->waiting++;
    if (e.code)
        w->answer = json_pack("{s:s s:s}", "unknown", "error", "why", e.msg);
}

void world_wait(struct planner *p)
{
    struct host *h = p->q->host;
    struct err e = {0};

    if (p->waiting > 0 && h->ops->run(h, turn, p, &e) < 0)
        p->broken = e;
}

json_t *world_ask(struct planner *p, enum body_kind kind, const struct explore_call *c, struct str args, struct str extra)
{
    struct world_call w;

    world_start(p, &w, kind, c, args, extra);
    world_wait(p);
    return w.answer ? w.answer : json_pack("{s:s s:s}", "unknown", "error", "why", p->broken.msg);
}

const json_t *world_declared(struct planner *p, const struct explore_call *c, const char *kind, struct err *e)
{
    const json_t *declared, *found;
    char instance[256], verb[128];
    struct str v = gate_verb(c->name);

    snprintf(instance, sizeof(instance), "%.*s", (int)c->instance.n, c->instance.p);
    snprintf(verb, sizeof(verb), "%.*s", (int)v.n, v.p);
    if (registry_describe(p->q->registry, instance, NULL, &declared, e) < 0)
        return NULL;
    if (!kind)
        return declared;
    found = json_object_get(json_object_get(declared, kind), verb);
    if (!found)
        err_set(e, ERR_INVALID, "%s has no '%s' in its %s", instance, verb, kind);
    return found;
}

bool world_may_ask(struct planner *p, const struct explore_call *c)
{
    const json_t *declared = world_declared(p, c, NULL, &(struct err){0}), *one;
    const char *plugin = json_get_string(declared, "name", "");
    char what[300], why[300];
    json_t *note;
    size_t i;

    if (!json_is_false(json_object_get(declared, "plan")))
        return true;
    snprintf(what, sizeof(what), "what %.*s would answer", (int)c->instance.n, c->instance.p);
    snprintf(why, sizeof(why), "plugin %s does not say that a plan may ask it (\"plan\": true in %s.json)", plugin, plugin);
    json_array_foreach(p->notes, i, one) {
        if (strcmp(json_get_string(one, "what", ""), what) == 0)
            return false;
    }
    note = json_pack("{s:s s:i s:s s:s}", "file", p->q->book->file, "line", c->line, "what", what, "why", why);
    json_array_append_new(p->notes, note);
    return false;
}

/* Refusals that are about this moment: later, nobody knows. */
static bool may_pass(const char *refusal)
{
    static const char *const passing[] = {"frozen", "target_busy", "cooling_down", "over_budget"};
    size_t i;

    for (i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        if (strcmp(refusal, passing[i]) == 0)
            return true;
    }
    return false;
}

/* The first check of policy that says no now. */
static const char *first_refusal(const json_t *checks, bool is_now, struct buf *why)
{
    const json_t *check;
    size_t i;

    json_array_foreach(checks, i, check) {
        const char *name = json_get_string(check, "check", "");

        if (strcmp(json_get_string(check, "verdict", ""), "refuses") != 0 || (!is_now && may_pass(name)))
            continue;
        buf_adds(why, json_get_string(check, "why", ""));
        return name;
    }
    return NULL;
}

/* limits.targets: those that this path has changed, and this one. */
static bool is_one_too_many(const struct planner *p, const struct explore_call *c, const char *target)
{
    json_t *seen = json_object();
    const json_t *one;
    size_t i, n;

    json_object_set_new(seen, target, json_true());
    json_array_foreach(c->changed, i, one)
        json_object_set_new(seen, json_get_string(one, "target", ""), json_true());
    n = json_object_size(seen);
    json_decref(seen);
    return (int64_t)n > p->q->book->targets;
}

bool world_refuses(struct planner *p, const struct explore_call *c, const json_t *args, struct buf *name, struct buf *why)
{
    const struct plan_request *q = p->q;
    const char *target = json_get_string(args, "target", ""), *colon = strchr(target, ':'), *refusal = NULL;
    bool is_now = c->effects == 0 && c->waited_ms == 0;
    char effect[256];
    struct explain_query ask = {.book = q->book, .params = q->params, .config = q->config, .host = q->host,
                                .journal = q->journal, .state_dir = q->state_dir, .trigger = q->trigger, .effect = effect,
                                .target = colon ? colon + 1 : ""};
    json_t *checks = NULL;
    struct err e = {0};

    snprintf(effect, sizeof(effect), "%.*s", (int)c->name.n, c->name.p);
    if (explain_policy(&ask, &checks, &e) < 0) {
        refusal = "error";              /* an error in policy refuses */
        buf_adds(why, e.msg);
    }
    if (!refusal)
        refusal = first_refusal(checks, is_now, why);
    if (!refusal && json_get_int(args, "remedy", 1) > q->book->remedies) {
        refusal = "over_budget";
        buf_addf(why, "one run may make %lld remedies (limits)", (long long)q->book->remedies);
    }
    if (!refusal && is_one_too_many(p, c, target)) {
        refusal = "over_budget";
        buf_addf(why, "one run may change %lld targets (limits)", (long long)q->book->targets);
    }
    buf_adds(name, refusal ? refusal : "");
    json_decref(checks);
    return refusal != NULL;
}
