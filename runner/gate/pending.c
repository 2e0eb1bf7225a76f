/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/pending.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>

struct pending {
    struct question *q;
    struct host_op *timer;
    struct buf answer;
};

static void deliver(void *ctx)
{
    struct pending *p = ctx;
    struct question *q = p->q;
    struct buf answer = p->answer;

    q->in_flight = NULL;
    free(p);
    q->done(q->ctx, (struct str){answer.data, answer.len});
    buf_free(&answer);
}

static void forget(struct pending *p)
{
    buf_free(&p->answer);
    free(p);
}

int pending_start(struct host *h, struct question *q, json_t *answer, int64_t delay_ms, struct err *e)
{
    struct pending *p = xcalloc(1, sizeof *p);

    p->q = q;
    buf_init(&p->answer, 4 * MIB);
    json_add_value(&p->answer, answer);
    json_decref(answer);
    q->in_flight = NULL;
    if (h->ops->timer(h, delay_ms > 0 ? delay_ms : 0, deliver, p, &p->timer, e) < 0) {
        forget(p);
        return e->code;
    }
    q->in_flight = p;
    return 0;
}

void pending_cancel(struct host *h, struct question *q)
{
    struct pending *p = q->in_flight;

    if (!p)
        return;
    h->ops->cancel(h, p->timer);
    forget(p);
    q->in_flight = NULL;
}
