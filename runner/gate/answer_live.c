/* SPDX-License-Identifier: Apache-2.0 */
/* The live answerer: a question becomes a call of the plugin's body. Reads of the
 * run itself (trigger.firing) are answered here, because no plugin stands behind
 * them. */
#include "gate/gate.h"
#include "gate/message.h"

#include <stdio.h>
#include <stdlib.h>

struct live {
    struct answerer base;
    struct registry *registry;
};

static const enum body_kind kinds[] = {
    [ASK_READ] = BODY_READ, [ASK_STATE] = BODY_STATE, [ASK_CHECK] = BODY_CHECK, [ASK_APPLY] = BODY_APPLY,
};

static void answered(void *ctx, struct str answer)
{
    struct question *q = ctx;

    q->in_flight = NULL;
    q->done(q->ctx, answer);
}

static int ask(struct answerer *a, struct question *q, struct err *e)
{
    struct live *l = (struct live *)a;
    char instance[256], verb[128];
    struct str v = gate_verb(q->name);
    struct body_request r = {.instance = instance, .verb = verb, .args = q->args, .extra = q->extra, .run = q->run,
                             .timeout_ms = q->timeout_ms};
    struct registry *registry = q->registry ? q->registry : l->registry;
    struct body_call *call;

    if (q->kind == ASK_NOTIFY)
        return message_send(registry_host(registry), registry_config(registry), q, e);
    r.kind = kinds[q->kind];
    if (q->instance.n == 0)
        return err_set(e, ERR_NOT_FOUND, "nothing tells here whether it is %.*s", (int)q->name.n, q->name.p);
    str_copy(instance, sizeof(instance), q->instance);
    str_copy(verb, sizeof(verb), v);
    if (body_start(registry, &r, answered, q, &call, e) < 0)
        return e->code;
    q->in_flight = call;
    return 0;
}

static void cancel(struct answerer *a, struct question *q)
{
    struct live *l = (struct live *)a;

    if (q->in_flight && q->kind == ASK_NOTIFY)
        message_cancel(q->in_flight);
    else if (q->in_flight)
        body_cancel(q->registry ? q->registry : l->registry, q->in_flight);
    q->in_flight = NULL;
}

static void live_free(struct answerer *a)
{
    free(a);
}

static const struct answerer_ops live_ops = {.name = "live", .ask = ask, .cancel = cancel, .free = live_free};

struct answerer *answer_live_new(struct registry *r)
{
    struct live *l = xcalloc(1, sizeof(*l));

    l->base.ops = &live_ops;
    l->registry = r;
    return &l->base;
}
