/* SPDX-License-Identifier: Apache-2.0 */
/* How a run stops: its end, by its own word or the host's; a park on an effect that
 * only a person can settle; leaving. Nothing of it overtakes an effect that is on its
 * way, and what was changed only for a while is put back before the END row, in the
 * order that undoes the last first. */
#include "run/life.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* escalated: the run is handed over. One that ended well although a target was moved has proven what it wanted. */
static bool keeps_lock(enum effect_state s, bool escalated)
{
    switch (s) {
    case EFFECT_INTENDED:
    case EFFECT_APPLIED:
    case EFFECT_UNKNOWN:
    case EFFECT_UNVERIFIED:
        return true;
    case EFFECT_MOVED:
        return escalated;
    default:
        return false;
    }
}

/* Frees the target of x unless some effect on it is unknown, not verified, or could not be put back. */
static void free_target(struct run *r, const struct effect *x, bool escalated)
{
    const struct effect *y;
    struct change *c;
    bool touched = false;

    for (y = effect_on(r, x->target, NULL); y; y = effect_on(r, x->target, y)) {
        if (keeps_lock(y->state, escalated) || (y->undo_tried && y->state != EFFECT_UNDONE && y->state != EFFECT_ABSENT))
            return;
        touched = touched || y->state == EFFECT_VERIFIED || y->state == EFFECT_UNDONE || y->state == EFFECT_MOVED;
    }
    c = run_change(r, CHANGE_UNLOCK);
    c->target = run_keep(r, str_of(x->target));
    c->n = touched ? run_now(r) + r->book->cooldown_ms : 0;
}

void run_verdict(struct run *r, bool holds, int64_t off_after)
{
    struct change *c = run_change(r, CHANGE_VERDICT);

    c->runbook = run_keep(r, str_of(r->book->name));
    c->n = holds;
    c->seq = off_after;
}

/* A remedy that was sent and never proven, unless a person or policy is why. */
static bool ends_unproven(const struct run *r, struct str outcome, const char *reason)
{
    return r->unproven && str_is(outcome, "escalated") && !policy_is_refusal(reason);
}

void run_end_payload(struct run *r, int line, struct str outcome, struct str reason, struct buf *out)
{
    struct buf b = BUF_INIT(KIB);

    json_add_text(&b, reason);
    buf_addf(out, "{\"line\":%d%s}", line, ends_unproven(r, outcome, buf_text(&b)) ? ",\"unverified\":true" : "");
    buf_free(&b);
}

void run_end_changes(struct run *r, struct str outcome, struct str reason, struct str text)
{
    struct buf b = BUF_INIT(KIB);
    const struct effect *x;
    struct change *c;

    for (x = r->effects; x; x = x->next)
        free_target(r, x, str_is(outcome, "escalated"));
    json_add_text(&b, reason);
    if (ends_unproven(r, outcome, buf_text(&b)))
        run_verdict(r, false, 0);
    c = run_change(r, CHANGE_RUN_END);
    c->outcome = run_keep(r, outcome);
    c->reason = run_keep(r, str_of(buf_text(&b)));
    if (str_is(outcome, "escalated")) {
        c = run_change(r, CHANGE_ESCALATION);
        c->text = run_keep(r, text);
        c->n = 1;
    }
    buf_free(&b);
}

void run_end_consumed(struct run *r, const struct row *row)
{
    struct buf text = BUF_INIT(VALUE_BYTES_MAX);

    snprintf(r->outcome, sizeof(r->outcome), "%.*s", (int)row->name.n, row->name.p);
    json_add_text(&text, json_slice(row->args, "reason"));
    snprintf(r->reason, sizeof(r->reason), "%s", buf_text(&text));
    buf_reset(&text);
    json_add_text(&text, json_slice(row->args, "text"));
    free(r->text);
    r->text = buf_take(&text, NULL);
    r->ended = true;
    r->state = RUN_ENDED;
}

static void decide(struct run *r, const char *outcome, const char *reason, const char *text)
{
    free(r->finish.text);
    r->finish = (struct finish){.text = xstrdup(text), .line = run_line(r)};
    snprintf(r->finish.outcome, sizeof(r->finish.outcome), "%s", outcome);
    snprintf(r->finish.reason, sizeof(r->finish.reason), "%s", reason);
}

void run_finish(struct run *r, const char *outcome, const char *reason, const char *fmt, ...)
{
    struct buf text = BUF_INIT(16 * KIB);
    va_list ap;

    if (r->ended || r->ending || r->phase == PHASE_SETTLED)
        return;
    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    decide(r, outcome, reason, buf_text(&text));
    r->ending = true;
    buf_free(&text);
}

/* Wants the run ended from outside of its code. False if it ends already. */
static bool interrupt(struct run *r, const char *outcome, const char *reason, const char *fmt, ...)
{
    struct buf text = BUF_INIT(16 * KIB);
    va_list ap;

    if (r->ended || r->ending || r->finish.wanted || r->phase != PHASE_LIVE)
        return false;
    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    decide(r, outcome, reason, buf_text(&text));
    r->finish.wanted = true;
    buf_free(&text);
    return true;
}

static void finish_args(const struct run *r, const char *more, struct buf *out)
{
    struct buf text = BUF_INIT(32 * KIB);
    struct json_object o;

    buf_addf(&text, "%s%s", r->finish.text, more);
    json_open(&o, out);
    json_put_string(&o, "reason", str_of(r->finish.reason));
    json_put_string(&o, "text", (struct str){buf_text(&text), text.len});
    json_close(&o);
    buf_free(&text);
}

static void announce(struct run *r)
{
    struct buf args = BUF_INIT(64 * KIB);

    r->finish.announced = true;
    finish_args(r, "", &args);
    run_row(r, NULL, NULL, ROW_ENDING, str_of(r->finish.outcome), (struct str){args.data, args.len}, STR(""));
    buf_free(&args);
}

bool finish_interrupted(struct run *r)
{
    struct call *c;

    if (!r->finish.wanted || r->ending || r->barrier.active)
        return false;
    r->finish.wanted = false;
    r->ending = true;
    /* What was known to be absent when the end was wanted was not sent again, and nothing else will take it up. */
    for (c = r->calls; c; c = c->next)
        c->stalled = c->stalled || (life_is_open(&c->parts[0]) && !c->parts[0].life->busy);
    announce(r);
    return true;
}

void finish_by_code(struct run *r)
{
    free(r->finish.text);
    r->finish = (struct finish){0};
    r->ending = true;
}

/* The next change in force that has to be put back, the latest first. */
static struct effect *next_to_undo(struct run *r)
{
    struct effect *x;

    /* The instance is not what it was: nothing more is done there, and the locks stay. */
    if (r->elsewhere)
        return NULL;
    for (x = r->effects; x; x = x->next) {
        if ((x->temporary || (r->finish.everything && !x->is_undo)) && !x->undo_tried &&
            effect_in_force(x->state))
            return x;
    }
    return NULL;
}

int finish_undo(struct run *r, struct effect *x, struct err *e)
{
    struct buf args = BUF_INIT(KIB), path = BUF_INIT(KIB);
    struct json_object o;
    int rc;

    x->undo_tried = true;
    buf_addf(&path, "end.%s", x->path);
    json_open(&o, &args);
    json_put_string(&o, "effect", str_of(x->path));
    json_put_string(&o, "title", STR("the run ends"));
    json_close(&o);
    rc = call_host(r, STR("undo"), buf_text(&path), str_of(x->name), str_of(x->instance),
                   (struct str){args.data, args.len}, e);
    buf_free(&args);
    buf_free(&path);
    return rc;
}

bool finish_takes_over(struct run *r, struct str outcome, struct str reason, struct str text)
{
    struct buf why = BUF_INIT(KIB), words = BUF_INIT(VALUE_BYTES_MAX);
    char name[24];

    if (!next_to_undo(r))
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)outcome.n, outcome.p);
    json_add_text(&why, reason);
    json_add_text(&words, text);
    decide(r, name, buf_text(&why), buf_text(&words));
    buf_free(&why);
    buf_free(&words);
    return true;
}

/* True while changes are being put back. */
static bool is_undoing(struct run *r)
{
    struct effect *x;
    struct err e = {0};
    const struct call *c;

    for (c = r->calls; c; c = c->next) {
        if (strncmp(c->path, "end.", 4) == 0)
            return true;
    }
    x = next_to_undo(r);
    if (!x)
        return false;
    if (!r->finish.announced)
        announce(r);
    if (finish_undo(r, x, &e) < 0)
        run_fail(r, &e);
    return true;
}

static bool is_left(const struct effect *x)
{
    return x->undo_tried && x->state != EFFECT_UNDONE;
}

/* The refusal because of which something could not be undone; NULL = none, or that is not all that is why. */
static const char *undo_refusal(const struct run *r, const struct row *recorded)
{
    const char *refusal = NULL;
    const struct effect *x;

    if (recorded && str_is(json_slice(recorded->args, "reason"), "\"unverified\""))
        return NULL;
    for (x = r->effects; x; x = x->next) {
        if (is_left(x) && !x->undo_refused)
            return NULL;
        if (is_left(x) && !refusal)
            refusal = x->undo_refused;
    }
    return refusal;
}

void finish_end_args(struct run *r, const struct row *recorded, struct buf *out)
{
    bool escalated = strcmp(r->finish.outcome, "escalated") == 0, hand_over = !recorded || str_is(recorded->name, "escalated");
    const char *refusal = undo_refusal(r, recorded), *reason = refusal ? refusal : "unverified";
    struct buf more = BUF_INIT(16 * KIB);
    const struct effect *x, *moved = NULL;

    for (x = r->effects; x; x = x->next) {
        if (is_left(x))
            buf_addf(&more, "; %s on %s could NOT be undone", x->name, x->target);
        else if (x->state == EFFECT_MOVED)
            moved = x;
    }
    if (moved && hand_over && !escalated && more.len == 0) {
        buf_addf(&more, "; %s on %s: somebody else changed it meanwhile", moved->name, moved->target);
        reason = "moved";
    }
    /* What could not be put back is handed over. */
    if (more.len && !escalated) {
        snprintf(r->finish.outcome, sizeof(r->finish.outcome), "escalated");
        snprintf(r->finish.reason, sizeof(r->finish.reason), "%s", reason);
    }
    finish_args(r, buf_text(&more), out);
    buf_free(&more);
}

static void end_by_host(struct run *r)
{
    struct buf args = BUF_INIT(64 * KIB);
    struct buf payload = BUF_INIT(KIB);

    finish_end_args(r, NULL, &args);
    run_end_changes(r, str_of(r->finish.outcome), json_slice((struct str){args.data, args.len}, "reason"),
                    json_slice((struct str){args.data, args.len}, "text"));
    run_end_payload(r, r->finish.line, str_of(r->finish.outcome), json_slice((struct str){args.data, args.len}, "reason"),
                    &payload);
    run_row(r, NULL, NULL, ROW_END, str_of(r->finish.outcome), (struct str){args.data, args.len},
            (struct str){payload.data, payload.len});
    buf_free(&payload);
    buf_free(&args);
}

void finish_announced(struct run *r, const struct row *row)
{
    struct buf reason = BUF_INIT(KIB), text = BUF_INIT(32 * KIB);
    char outcome[24];

    snprintf(outcome, sizeof(outcome), "%.*s", (int)row->name.n, row->name.p);
    json_add_text(&reason, json_slice(row->args, "reason"));
    json_add_text(&text, json_slice(row->args, "text"));
    decide(r, outcome, buf_text(&reason), buf_text(&text));
    r->ending = r->finish.announced = true;
    r->finish.everything = strcmp(outcome, "cancelled") == 0 || r->undoes;
    buf_free(&reason);
    buf_free(&text);
}

void run_cancel(struct run *r)
{
    if (interrupt(r, "cancelled", "cancelled_by", "cancelled by %s", r->cancelled_by))
        r->finish.everything = true;
}

int64_t run_time_left(struct run *r)
{
    int64_t now = run_now(r), waited = r->waited_ms + (r->questions ? now - r->waiting_since : 0);

    return r->started_at + waited + r->book->time_ms - now;
}

bool run_out_of_time(struct run *r)
{
    char limit[32];

    if (r->phase != PHASE_LIVE || r->ending || run_time_left(r) >= 0)
        return false;
    interrupt(r, "escalated", "deadline", "the run took longer than limits.time (%s)",
              str_duration(r->book->time_ms, limit, sizeof(limit)));
    return true;
}

void run_park(struct run *r, struct part *p, const char *why)
{
    struct buf text = BUF_INIT(4 * KIB), payload = BUF_INIT(16 * KIB);
    struct json_object o;
    struct change *c;

    buf_addf(&text, "%s: %.*s on %s (call %s)", why, (int)p->name.n, p->name.p,
             json_get_string(p->request, "target", "its target"), p->path);
    json_open(&o, &payload);
    json_put_string(&o, "effect", str_of(p->path));
    json_put_string(&o, "text", str_of(buf_text(&text)));
    json_put_string(&o, "to", str_of(r->book->escalate_to));
    json_close(&o);
    r->state = RUN_WAITING_PERSON;
    c = run_change(r, CHANGE_RUN_STATE);
    c->run_state = RUN_WAITING_PERSON;
    c = run_change(r, CHANGE_ESCALATION);
    c->text = run_keep(r, str_of(buf_text(&text)));
    c->n = 1;
    run_row(r, NULL, NULL, ROW_ESCALATION, STR("opened"), STR(""), (struct str){payload.data, payload.len});
    buf_free(&text);
    buf_free(&payload);
}

static bool is_for_a_while(const struct effect *x)
{
    return x->temporary && !x->undo_tried && x->state != EFFECT_UNDONE;
}

/* The earliest end of a change for a while is the run's, if its code has not put it back by then. */
static void temporary_is_over(void *ctx)
{
    struct run *r = ctx;
    const struct effect *x;

    r->temporary_timer = NULL;
    for (x = r->effects; x; x = x->next) {
        if (is_for_a_while(x) && x->until <= run_now(r)) {
            interrupt(r, "escalated", "deadline", "%s on %s was to be put back by now", x->name, x->target);
            return;
        }
    }
    run_arm_temporary(r);
}

void run_arm_temporary(struct run *r)
{
    struct host *h = engine_host(r->engine);
    const struct effect *x, *first = NULL;
    struct err e = {0};
    int64_t left;

    if (r->phase != PHASE_LIVE || r->ending || !r->has_temporary)
        return;
    for (x = r->effects; x; x = x->next) {
        if (is_for_a_while(x) && (!first || x->until < first->until))
            first = x;
    }
    if (r->temporary_timer)
        h->ops->cancel(h, r->temporary_timer);
    r->temporary_timer = NULL;
    left = first ? first->until - run_now(r) : 0;
    if (first && h->ops->timer(h, left > 0 ? left : 0, temporary_is_over, r, &r->temporary_timer, &e) < 0)
        run_fail(r, &e);
}

static void stopped(struct run *r, void *ctx, const struct row *row, const char *refusal)
{
    (void)ctx, (void)row, (void)refusal;
    r->parked = r->state == RUN_WAITING_PERSON;
    run_settle_phase(r);
}

static void leave(struct run *r)
{
    struct change *change = run_change(r, CHANGE_RUN_STATE);

    r->state = change->run_state = RUN_LEFT;
    run_commit(r, NULL, 0, 0, stopped, NULL);
}

bool run_unsettled(const struct run *r)
{
    const struct call *c;

    for (c = r->calls; c; c = c->next) {
        if (life_is_open(&c->parts[0]))
            return true;
    }
    return false;
}

/* A call that waited for a barrier. Once the run ends, only what ends it goes on, and what is not settled yet. */
static struct call *next_stalled(struct run *r)
{
    struct call *c;

    for (c = r->calls; c; c = c->next) {
        if (c->stalled && (!r->ending || c->finishing || life_is_open(&c->parts[0])))
            return c;
    }
    return NULL;
}

bool run_after_barrier(struct run *r)
{
    struct call *c;
    char path[sizeof(c->path)];

    if (r->barrier.active || r->phase != PHASE_LIVE)
        return false;
    if (r->ended || (r->state == RUN_WAITING_PERSON && !run_sending(r))) {
        run_commit(r, NULL, 0, 0, stopped, NULL);
    } else if (r->state == RUN_WAITING_PERSON) {
        return false;
    } else if ((c = next_stalled(r))) {
        str_copy(path, sizeof(path), str_of(c->path));
        c->stalled = false;
        c->op->live(c);
        /* It may have ended, or wait again for what comes from outside. */
        return !(c = next_stalled(r)) || strcmp(c->path, path) != 0;
    } else if (r->leaving && !run_sending(r)) {
        leave(r);
    } else if (r->ending && r->finish.text && (!run_unsettled(r) || r->elsewhere) && !is_undoing(r)) {
        end_by_host(r);
    } else {
        return false;
    }
    return true;
}

static void escalate_after(void *ctx)
{
    struct run *r = ctx;
    struct buf payload = BUF_INIT(4 * KIB);
    struct json_object o;
    struct change *c;

    r->escalate_timer = NULL;
    if (r->ended || r->escalation_open || r->phase != PHASE_LIVE)
        return;
    json_open(&o, &payload);
    json_put_string(&o, "text", STR("the run goes on longer than escalate.after"));
    json_put_string(&o, "to", str_of(r->book->escalate_to));
    json_close(&o);
    c = run_change(r, CHANGE_ESCALATION);
    c->text = run_keep(r, STR("the run goes on longer than escalate.after"));
    c->n = 1;
    r->escalation_open = true;
    run_row(r, NULL, NULL, ROW_ESCALATION, STR("opened"), STR(""), (struct str){payload.data, payload.len});
    buf_free(&payload);
}

void run_arm_escalation(struct run *r)
{
    struct host *h = engine_host(r->engine);
    int64_t left = r->started_at + r->book->escalate_after_ms - run_now(r);
    struct err e = {0};

    if (r->book->escalate_after_ms == 0 || r->escalation_open || r->escalate_timer)
        return;
    if (h->ops->timer(h, left > 0 ? left : 0, escalate_after, r, &r->escalate_timer, &e) < 0)
        run_fail(r, &e);
}

bool run_sending(const struct run *r)
{
    const struct call *c;

    for (c = r->calls; c; c = c->next) {
        if (life_is_sending(&c->parts[0]))
            return true;
    }
    return false;
}
