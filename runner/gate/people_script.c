/* SPDX-License-Identifier: Apache-2.0 */
/* The people of a scenario. A question is answered under its title, an approval also
 * under `approve`; a list of answers is several people, in its order. */
#include "gate/people.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

struct crowd {
    struct people base;
    struct host *host;
    json_t *people;
    struct buf complaint;
};

/* What is still to be said to one enquiry. */
struct turn {
    struct crowd *crowd;
    struct enquiry *q;
    const json_t *says;         /* list */
    size_t next;
    int64_t waited_ms;
    struct host_op *timer;
};

static int64_t after_ms(const json_t *say)
{
    int64_t ms = 0;

    if (str_duration_ms(str_of(json_get_string(say, "after", "0s")), &ms) < 0)
        return 0;
    return ms;
}

static int arm(struct turn *t, struct err *e);

static void speak(void *ctx)
{
    struct turn *t = ctx;
    const json_t *say = json_array_get(t->says, t->next++);
    struct reply w = {.answer = json_get_string(say, "say", "yes"), .by = json_get_string(say, "by", "a person"), .via = "test"};
    struct enquiry *q = t->q;
    struct crowd *c = t->crowd;
    const char *wrong;
    struct err e = {0};

    t->timer = NULL;
    t->waited_ms = after_ms(say);
    if (t->next < json_array_size(t->says) && arm(t, &e) < 0)
        return;
    /* The answer may withdraw the enquiry, and with it t. */
    wrong = q->answer(q->ctx, &w);
    if (wrong && c->complaint.len == 0)
        buf_addf(&c->complaint, "people: '%s' by %s was not taken: %s", w.answer, w.by, wrong);
}

static int arm(struct turn *t, struct err *e)
{
    struct host *h = t->crowd->host;
    int64_t delay = after_ms(json_array_get(t->says, t->next)) - t->waited_ms;

    return h->ops->timer(h, delay > 0 ? delay : 0, speak, t, &t->timer, e);
}

static const json_t *says_of(struct crowd *c, const struct enquiry *q)
{
    const json_t *v = json_object_get(c->people, q->title);

    if (!v && strcmp(json_get_string(q->args, "kind", ""), "approval") == 0)
        v = json_object_get(c->people, "approve");
    return v;
}

static int ask(struct people *p, struct enquiry *q, struct err *e)
{
    struct crowd *c = (struct crowd *)p;
    const json_t *v = says_of(c, q);
    struct turn *t;

    if (!v) {
        if (c->complaint.len == 0)
            buf_addf(&c->complaint, "the scenario does not say who answers; add under people:  \"%s\": { say: %s, by: somebody }"
                     " (or nobody)", q->title, json_string_value(json_array_get(json_object_get(q->args, "choices"), 0)));
        return err_set(e, ERR_NOT_FOUND, "nobody can be asked");
    }
    t = xcalloc(1, sizeof(*t));
    t->crowd = c;
    t->q = q;
    t->next = q->votes;
    t->waited_ms = c->host->ops->wall_ms(c->host) - q->asked_at;
    t->says = json_is_array(v) ? json_incref((json_t *)v) : json_is_object(v) ? json_pack("[O]", v) : json_array();
    q->in_flight = t;
    return t->next < json_array_size(t->says) ? arm(t, e) : 0;
}

static void withdraw(struct people *p, struct enquiry *q)
{
    struct crowd *c = (struct crowd *)p;
    struct turn *t = q->in_flight;

    if (!t)
        return;
    if (t->timer)
        c->host->ops->cancel(c->host, t->timer);
    json_decref((json_t *)t->says);
    free(t);
    q->in_flight = NULL;
}

static void crowd_free(struct people *p)
{
    struct crowd *c = (struct crowd *)p;

    json_decref(c->people);
    buf_free(&c->complaint);
    free(c);
}

static const struct people_ops crowd_ops = {.ask = ask, .withdraw = withdraw, .free = crowd_free};

struct people *people_script_new(const json_t *scenario, struct host *host)
{
    struct crowd *c = xcalloc(1, sizeof(*c));

    c->base.ops = &crowd_ops;
    c->host = host;
    c->people = json_deep_copy(json_object_get(scenario, "people"));
    buf_init(&c->complaint, 4096);
    return &c->base;
}

const char *people_script_complaint(const struct people *p)
{
    return buf_text(&((const struct crowd *)p)->complaint);
}
