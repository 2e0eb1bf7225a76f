/* SPDX-License-Identifier: Apache-2.0 */
/* The answerer that lets one question fail. What became of an effect whose answer was lost it also says, when that is
 * read back: the scenario does not know of the fault. */
#include "check/faults.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

struct faulty;
struct late {                   /* an answer of ours on its way */
    struct faulty *faulty;
    struct question *q;
    struct host_op *timer;
    struct buf answer;
    struct late *next;
};

struct faulty {
    struct answerer base;
    struct answerer *inner;
    struct host *host;
    struct fault_plan *plan;
    char key[40];               /* of the effect that it happened to */
    struct late *late;
    struct question arrived;    /* what the world got while the asker hears otherwise */
    struct host_op *crash_timer;    /* while the run waits */
    int64_t dark_until;         /* wall ms: no read answers before */
    void (*done)(void *ctx, struct str answer);     /* of a question whose answer we change */
    void *ctx;
};

static const char *const names[FAULTS] = {
    [FAULT_NO_DATA] = "no_data", [FAULT_ERROR] = "error",   [FAULT_STALE] = "stale", [FAULT_TIMEOUT] = "timeout",
    [FAULT_MOVED] = "moved",     [FAULT_ABSENT] = "absent", [FAULT_CUT] = "cut",     [FAULT_409] = "409",
    [FAULT_REFUSED] = "refused", [FAULT_CRASH] = "crash",
};

const char *fault_name(enum fault f)
{
    return names[f];
}

bool fault_fits(enum fault f, int kind)
{
    static const unsigned fits[FAULT_PLACES] = {
        [ASK_READ] = 1u << FAULT_NO_DATA | 1u << FAULT_ERROR | 1u << FAULT_STALE | 1u << FAULT_TIMEOUT | 1u << FAULT_CRASH,
        [ASK_STATE] = 1u << FAULT_NO_DATA | 1u << FAULT_ERROR | 1u << FAULT_TIMEOUT | 1u << FAULT_MOVED | 1u << FAULT_CRASH,
        [ASK_CHECK] = 1u << FAULT_ERROR | 1u << FAULT_TIMEOUT | 1u << FAULT_CRASH,
        [ASK_APPLY] = 1u << FAULT_TIMEOUT | 1u << FAULT_MOVED | 1u << FAULT_ABSENT | 1u << FAULT_CUT | 1u << FAULT_409 |
                      1u << FAULT_REFUSED | 1u << FAULT_CRASH,
        [ASK_NOTIFY] = 1u << FAULT_ERROR | 1u << FAULT_CRASH,
        [AT_PERSON] = 1u << FAULT_ERROR | 1u << FAULT_TIMEOUT | 1u << FAULT_REFUSED | 1u << FAULT_CRASH,
        [AT_WAIT] = 1u << FAULT_NO_DATA | 1u << FAULT_CRASH,
    };

    return fits[kind] >> f & 1;
}

void fault_plan_deinit(struct fault_plan *p)
{
    size_t i;

    for (i = 0; i < p->calls; i++)
        free(p->names[i]);
    free(p->names);
    free(p->kinds);
}

bool fault_plan_next(struct fault_plan *p, int kind, const char *name)
{
    p->names = xrealloc(p->names, (p->calls + 1) * sizeof(*p->names));
    p->kinds = xrealloc(p->kinds, (p->calls + 1) * sizeof(*p->kinds));
    p->kinds[p->calls] = kind;
    p->names[p->calls++] = xstrdup(name);
    return p->calls == p->at;
}

static bool is_next(struct fault_plan *p, const struct question *q)
{
    struct buf name = BUF_INIT(VALUE_BYTES_MAX);
    bool next;

    if (q->kind != ASK_READ)
        buf_addf(&name, "%.*s %.*s", (int)q->name.n, q->name.p, (int)q->target.n, q->target.p);
    else if (q->label.n)
        buf_add(&name, q->label.p, q->label.n);
    else
        json_add_text(&name, q->text);
    next = fault_plan_next(p, (int)q->kind, buf_text(&name));
    buf_free(&name);
    return next;
}

/* Takes it off the list, or returns NULL: the question is not ours. */
static struct late *take_late(struct faulty *f, const struct question *q)
{
    struct late **at = &f->late, *late;

    while (*at && (*at)->q != q)
        at = &(*at)->next;
    late = *at;
    if (late)
        *at = late->next;
    return late;
}

static void late_free(struct late *late)
{
    if (late->timer)
        late->faulty->host->ops->cancel(late->faulty->host, late->timer);
    buf_free(&late->answer);
    free(late);
}

static void deliver(void *ctx)
{
    struct late *late = ctx;
    struct question *q = late->q;

    late->timer = NULL;
    take_late(late->faulty, q);
    q->in_flight = NULL;
    q->done(q->ctx, (struct str){late->answer.data, late->answer.len});
    late_free(late);
}

/* Answers q itself, after a while. Takes the answer. */
static int say(struct faulty *f, struct question *q, int64_t after_ms, json_t *answer, struct err *e)
{
    struct late *late = xcalloc(1, sizeof(*late));

    *late = (struct late){.faulty = f, .q = q, .answer = BUF_INIT(4 * MIB), .next = f->late};
    f->late = late;
    json_add_value(&late->answer, answer);
    json_decref(answer);
    return f->host->ops->timer(f->host, after_ms, deliver, late, &late->timer, e);
}

static json_t *unknown(const char *kind)
{
    return json_pack("{s:s s:s}", "unknown", kind, "why", "a fault of --faults");
}

static void heard(void *ctx, struct str answer)
{
    (void)ctx, (void)answer;
}

/* The world gets the question, and nobody the answer. */
static void arrive(struct faulty *f, const struct question *q)
{
    struct err e = {0};

    f->arrived = *q;
    f->arrived.done = heard;
    f->inner->ops->ask(f->inner, &f->arrived, &e);
}

static void key_of(const struct question *q, char out[40])
{
    struct err e = {0};
    json_t *extra = NULL;

    if (json_read(q->extra, &extra, &e) == 0)
        snprintf(out, 40, "%s", json_get_string(extra, "key", ""));
    json_decref(extra);
}

static int fail_apply(struct faulty *f, struct question *q, struct err *e)
{
    enum fault fault = f->plan->fault;
    const char *outcome = fault == FAULT_REFUSED ? "refused" : fault == FAULT_409 || fault == FAULT_MOVED ? "moved" : "unknown";

    key_of(q, f->key);
    if (fault == FAULT_CUT)
        arrive(f, q);
    return say(f, q, fault == FAULT_TIMEOUT ? q->timeout_ms : 0,
               json_pack("{s:s s:s}", "outcome", outcome, "why", fault == FAULT_409 ? "409 conflict" : "a fault of --faults"), e);
}

/* Another value of the same type in every field. */
static void move_state(json_t *state)
{
    const char *key;
    json_t *v;

    json_object_foreach(state, key, v) {
        json_t *other = json_is_integer(v)   ? json_integer(json_integer_value(v) + 7)
                        : json_is_boolean(v) ? json_boolean(!json_is_true(v))
                        : json_is_string(v)  ? json_string("moved")
                                             : json_incref(v);

        json_object_set_new(state, key, other);
    }
}

static void moved(void *ctx, struct str answer)
{
    struct faulty *f = ctx;
    struct buf b = BUF_INIT(4 * MIB);
    struct err e = {0};
    json_t *a = NULL;

    if (json_read(answer, &a, &e) == 0)
        move_state(json_object_get(a, "value"));
    json_add_value(&b, a);
    json_decref(a);
    f->done(f->ctx, (struct str){b.data, b.len});
    buf_free(&b);
}

static int crash(struct faulty *f, struct question *q)
{
    if (q->kind == ASK_APPLY) {
        key_of(q, f->key);
        arrive(f, q);
    }
    f->plan->crashed = true;
    f->host->ops->stop(f->host);
    return 0;
}

static int fail(struct faulty *f, struct question *q, struct err *e)
{
    enum fault fault = f->plan->fault;

    if (fault == FAULT_CRASH)
        return crash(f, q);
    if (q->kind == ASK_APPLY)
        return fail_apply(f, q, e);
    if (q->kind == ASK_NOTIFY)
        return say(f, q, 0, json_pack("{s:s}", "why", "a fault of --faults"), e);
    if (fault == FAULT_MOVED) {
        f->done = q->done;
        f->ctx = q->ctx;
        q->done = moved;
        q->ctx = f;
        return f->inner->ops->ask(f->inner, q, e);
    }
    if (fault == FAULT_TIMEOUT)
        return say(f, q, q->timeout_ms ? q->timeout_ms : 30000, unknown("error"), e);
    return say(f, q, 0, unknown(fault_name(fault)), e);
}

/* What the effect that failed came to. NULL: that is the scenario's. */
static json_t *verdict(const struct faulty *f, const struct question *q)
{
    char key[40] = "";

    if (q->kind != ASK_CHECK || !f->key[0])
        return NULL;
    key_of(q, key);
    if (strcmp(key, f->key) != 0)
        return NULL;
    switch (f->plan->fault) {
    case FAULT_ABSENT:
        return json_pack("{s:s}", "verdict", "absent");
    case FAULT_CUT:
    case FAULT_CRASH:
        return json_pack("{s:s}", "verdict", "applied");
    case FAULT_TIMEOUT:
        return unknown("error");
    default:
        return NULL;
    }
}

static int ask(struct answerer *a, struct question *q, struct err *e)
{
    struct faulty *f = (struct faulty *)a;
    json_t *known;

    if (f->plan->crashed)
        return 0;
    if (is_next(f->plan, q))
        return fail(f, q, e);
    if (q->kind == ASK_READ && f->host->ops->wall_ms(f->host) < f->dark_until)
        return say(f, q, 0, unknown("no_data"), e);
    known = verdict(f, q);
    if (known)
        return say(f, q, 0, known, e);
    return f->inner->ops->ask(f->inner, q, e);
}

static const char *refuses(struct answerer *a, struct str effect, bool is_undo)
{
    struct faulty *f = (struct faulty *)a;

    return f->inner->ops->refuses ? f->inner->ops->refuses(f->inner, effect, is_undo) : NULL;
}

static void cancel(struct answerer *a, struct question *q)
{
    struct faulty *f = (struct faulty *)a;
    struct late *late = take_late(f, q);

    if (late)
        late_free(late);
    else
        f->inner->ops->cancel(f->inner, q);
}

static void faulty_free(struct answerer *a)
{
    struct faulty *f = (struct faulty *)a;

    if (f->arrived.in_flight)
        f->inner->ops->cancel(f->inner, &f->arrived);
    if (f->crash_timer)
        f->host->ops->cancel(f->host, f->crash_timer);
    while (f->late)
        late_free(take_late(f, f->late->q));
    free(f);
}

static void crash_now(void *ctx)
{
    struct faulty *f = ctx;

    f->crash_timer = NULL;
    f->plan->crashed = true;
    f->host->ops->stop(f->host);
}

void answer_faulty_waits(struct answerer *faulty, struct str title, int64_t within_ms)
{
    struct faulty *f = (struct faulty *)faulty;
    char name[300];
    struct err e = {0};

    snprintf(name, sizeof(name), "wait: %.*s", (int)title.n, title.p);
    if (!fault_plan_next(f->plan, AT_WAIT, name))
        return;
    if (f->plan->fault == FAULT_NO_DATA)
        f->dark_until = f->host->ops->wall_ms(f->host) + within_ms + 1;
    else
        f->host->ops->timer(f->host, 1, crash_now, f, &f->crash_timer, &e);
}

static const struct answerer_ops faulty_ops = {
    .name = "faulty", .answers_checks = true, .ask = ask, .cancel = cancel, .refuses = refuses,
    .free = faulty_free,
};

struct answerer *answer_faulty_new(struct answerer *inner, struct host *host, struct fault_plan *plan)
{
    struct faulty *f = xcalloc(1, sizeof(*f));

    f->base.ops = &faulty_ops;
    f->inner = inner;
    f->host = host;
    f->plan = plan;
    return &f->base;
}
