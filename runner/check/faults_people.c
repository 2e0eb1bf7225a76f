/* SPDX-License-Identifier: Apache-2.0 */
/* The people that let one question fail: nobody can be asked, nobody answers, the answer is no, or the process ends while
 * somebody is to answer. */
#include "check/faults.h"

#include <stdlib.h>

struct faulty_people {
    struct people base;
    struct people *inner;
    struct host *host;
    struct fault_plan *plan;
    struct enquiry *q;          /* ours */
    struct host_op *timer;
};

static const char *last_choice(const struct enquiry *q)
{
    const json_t *choices = json_object_get(q->args, "choices");

    return json_string_value(json_array_get(choices, json_array_size(choices) - 1));
}

/* The first of those who may, where it is said who may. */
static const char *somebody(const struct enquiry *q)
{
    const char *by = json_string_value(json_array_get(json_object_get(q->args, "by"), 0));

    return by ? by : "a person";
}

static void happen(void *ctx)
{
    struct faulty_people *f = ctx;
    struct enquiry *q = f->q;
    struct reply w = {.answer = last_choice(q), .by = somebody(q), .via = "test"};

    f->timer = NULL;
    if (f->plan->fault == FAULT_REFUSED) {
        q->answer(q->ctx, &w);          /* may withdraw it */
        return;
    }
    f->plan->crashed = true;
    f->host->ops->stop(f->host);
}

static int ask(struct people *p, struct enquiry *q, struct err *e)
{
    struct faulty_people *f = (struct faulty_people *)p;

    if (f->plan->crashed)
        return 0;
    if (!fault_plan_next(f->plan, AT_PERSON, q->title))
        return f->inner->ops->ask(f->inner, q, e);
    if (f->plan->fault == FAULT_ERROR)
        return err_set(e, ERR_NOT_FOUND, "nobody can be asked");
    f->q = q;
    q->in_flight = f;
    return f->plan->fault == FAULT_TIMEOUT ? 0 : f->host->ops->timer(f->host, 1, happen, f, &f->timer, e);
}

static void withdraw(struct people *p, struct enquiry *q)
{
    struct faulty_people *f = (struct faulty_people *)p;

    if (f->q != q) {
        f->inner->ops->withdraw(f->inner, q);
        return;
    }
    if (f->timer)
        f->host->ops->cancel(f->host, f->timer);
    f->timer = NULL;
    f->q = NULL;
    q->in_flight = NULL;
}

static void faulty_free(struct people *p)
{
    free(p);
}

static const struct people_ops faulty_ops = {.ask = ask, .withdraw = withdraw, .free = faulty_free};

struct people *people_faulty_new(struct people *inner, struct host *host, struct fault_plan *plan)
{
    struct faulty_people *f = xcalloc(1, sizeof(*f));

    f->base.ops = &faulty_ops;
    f->inner = inner;
    f->host = host;
    f->plan = plan;
    return &f->base;
}
