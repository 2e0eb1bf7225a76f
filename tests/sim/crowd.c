/* SPDX-License-Identifier: Apache-2.0 */
/* People: they answer at once, late, twice, or never; and while no process runs they
 * answer questions and say what became of effects, which they look up in the world. */
#include "sim.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

struct crowd {
    struct people base;
    struct sim *sim;
};

struct talk {
    struct crowd *crowd;
    struct enquiry *q;
    struct host_op *timer;
    int words;
};

static const char *const people[] = {"anna", "ben", "carl"};

static void speak(void *ctx);

static void arm(struct talk *t)
{
    struct sim *s = t->crowd->sim;
    struct err e = {0};

    t->timer = NULL;
    s->quiet = true;
    s->host->ops->timer(s->host, rng_between(&s->rng, 0, 30000), speak, t, &t->timer, &e);
    s->quiet = false;
}

static const char *choice(struct sim *s, const json_t *args)
{
    const json_t *choices = json_object_get(args, "choices");

    if (strcmp(json_get_string(args, "kind", ""), "approval") == 0)
        return rng_chance(&s->rng, 85) ? "yes" : "no";
    return json_string_value(json_array_get(choices, rng_below(&s->rng, (uint32_t)json_array_size(choices))));
}

static void speak(void *ctx)
{
    struct talk *t = ctx;
    struct sim *s = t->crowd->sim;
    struct enquiry *q = t->q;
    struct reply w = {.answer = choice(s, q->args), .by = people[rng_below(&s->rng, 3)], .via = "simulation"};

    t->timer = NULL;
    if (s->down)
        return;
    if (--t->words > 0)
        arm(t);
    sim_log(s, "%s says %s to %s", w.by, w.answer, q->title);
    q->answer(q->ctx, &w);      /* may withdraw the enquiry, and with it t */
}

static int ask(struct people *p, struct enquiry *q, struct err *e)
{
    struct crowd *c = (struct crowd *)p;
    struct talk *t;

    if (rng_chance(&c->sim->rng, 3) && !sim_is_calm(c->sim))
        return err_set(e, ERR_NOT_FOUND, "nobody can be asked");
    t = xcalloc(1, sizeof(*t));
    *t = (struct talk){.crowd = c, .q = q, .words = (int)rng_below(&c->sim->rng, 5)};
    q->in_flight = t;
    if (t->words)
        arm(t);
    return 0;
}

static void withdraw(struct people *p, struct enquiry *q)
{
    struct talk *t = q->in_flight;
    struct host *h = ((struct crowd *)p)->sim->host;

    if (t && t->timer)
        h->ops->cancel(h, t->timer);
    free(t);
    q->in_flight = NULL;
}

static void crowd_free(struct people *p)
{
    free(p);
}

static const struct people_ops ops = {.ask = ask, .withdraw = withdraw, .free = crowd_free};

struct people *crowd_new(struct sim *s)
{
    struct crowd *c = xcalloc(1, sizeof(*c));

    c->base.ops = &ops;
    c->sim = s;
    return &c->base;
}

struct doubt {
    struct sim *sim;
    struct effect_info found[16];
    size_t n;
};

static bool in_doubt(void *ctx, const struct effect_info *x)
{
    struct doubt *d = ctx;

    if ((x->state == EFFECT_UNKNOWN || x->state == EFFECT_INTENDED) && d->n < 16)
        d->found[d->n++] = *x;
    return true;
}

struct waiting {
    int64_t runs[64];
    size_t n;
};

static bool waits(void *ctx, const struct run_info *r)
{
    struct waiting *w = ctx;

    if (r->state == RUN_WAITING_PERSON && w->n < 64)
        w->runs[w->n++] = r->id;
    return true;
}

/* Says what is true: whether the world made the change under the effect's key. */
static void settle(struct sim *s, struct writer *w, int64_t run)
{
    struct journal *j = writer_journal(w);
    struct doubt d = {.sim = s};
    struct err e = {0};

    if (j->ops->effects(j, run, in_doubt, &d, &e) < 0)
        return;
    for (size_t i = 0; i < d.n; i++) {
        struct known *k = world_known(s, d.found[i].key);
        const char *verdict = k && k->applied ? "applied" : "absent";

        if (rng_chance(&s->rng, 15))
            verdict = "release";
        if (settle_effect(w, s->host, run, d.found[i].path, verdict, "dora", &e) == 0)
            sim_log(s, "dora settles %lld %s: %s", (long long)run, d.found[i].path, verdict);
        if (strcmp(verdict, "release") == 0)
            return;
    }
}

void crowd_meanwhile(struct sim *s, struct writer *w)
{
    struct journal *j = writer_journal(w);
    struct waiting waiting = {.n = 0};
    struct err e = {0};
    bool more;

    if (j->ops->runs(j, true, waits, &waiting, &e) < 0)
        return;
    for (size_t i = 0; i < waiting.n; i++) {
        struct reply word = {.answer = rng_chance(&s->rng, 50) ? "yes" : "a", .by = "carl", .via = "command"};

        if (rng_chance(&s->rng, 40) && answer_question(w, s->host, waiting.runs[i], NULL, &word, &more, &e) == 0)
            sim_log(s, "carl answers %lld: %s", (long long)waiting.runs[i], word.answer);
        if (sim_is_calm(s) || rng_chance(&s->rng, 40))
            settle(s, w, waiting.runs[i]);
    }
}
