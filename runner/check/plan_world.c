/* SPDX-License-Identifier: Apache-2.0 */
/* Looking, for a plan: bodies are asked and waited for, the journal is read. */
#include "check/plan_world.h"

#include "base/json.h"
#include "base/limits.h"
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

struct lock_query {
    const char *target;
    int64_t now;
    const char *refusal;
    struct buf *why;
};

static bool see_lock(void *ctx, const struct lock_info *l)
{
    struct lock_query *q = ctx;

    if (strcmp(l->target, q->target) != 0)
        return true;
    if (l->run) {
        q->refusal = "target_busy";
        buf_addf(q->why, "run %lld holds it", (long long)l->run);
    } else if (l->cool_run && l->cool_until > q->now) {
        q->refusal = "cooling_down";
        buf_addf(q->why, "run %lld changed it; for %lld more seconds nobody else may", (long long)l->cool_run,
                 (long long)(l->cool_until - q->now + 999) / 1000);
    }
    return false;
}

const char *world_refuses(struct planner *p, const char *target, int64_t waited_ms, struct buf *why)
{
    struct lock_query q = {.target = target, .now = p->now + waited_ms, .why = why};
    struct journal *j = p->q->journal;
    bool halted = policy_halted(p->q->host, p->q->state_dir);
    struct err e = {0};

    if (!halted && j)
        j->ops->halted(j, &halted, why, &e);
    if (halted) {
        buf_reset(why);
        buf_adds(why, "midwatch halt is in force");
        return "halted";
    }
    buf_reset(why);
    if (j && j->ops->locks(j, see_lock, &q, &e) < 0) {
        buf_addf(why, "the journal cannot be read: %s", e.msg);
        return "error";
    }
    return q.refusal;
}
