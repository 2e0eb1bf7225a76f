/* SPDX-License-Identifier: Apache-2.0 */
/* One run: its Lua is stepped, its gate calls begin here, and while a journal is
 * replayed each recorded row is handed to the call it belongs to, in the order of
 * the rows. When the rows are used up, every call in flight goes on live. */
#include "run/life.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Steps of Lua or of replay in one turn of the loop. */
#define STEPS_PER_TURN 256

void run_diverged(struct run *r, const char *fmt, ...)
{
    va_list ap;
    struct err e = {0};

    if (r->difference[0] == '\0') {
        va_start(ap, fmt);
        vsnprintf(r->difference, sizeof(r->difference), fmt, ap);
        va_end(ap);
    }
    if (r->replay_only) {
        run_settle_phase(r);
        return;
    }
    err_set(&e, ERR_CORRUPT, "run %lld cannot go on: %s", (long long)r->id, r->difference);
    run_fail(r, &e);
}

void run_fail(struct run *r, const struct err *e)
{
    if (r->difference[0] == '\0')
        snprintf(r->difference, sizeof(r->difference), "%s", e->msg);
    run_settle_phase(r);
    if (!r->replay_only)
        engine_fatal(r->engine, e);
}

void run_settle_phase(struct run *r)
{
    const struct engine_options *o = engine_opts(r->engine);
    struct host *h = engine_host(r->engine);

    if (r->phase == PHASE_SETTLED)
        return;
    r->phase = PHASE_SETTLED;
    if (r->escalate_timer)
        h->ops->cancel(h, r->escalate_timer);
    if (r->flush_timer)
        h->ops->cancel(h, r->flush_timer);
    r->escalate_timer = r->flush_timer = NULL;
    if (o->watch.settled)
        o->watch.settled(o->watch.ctx, r);
}

static bool keeps_lock(enum effect_state s)
{
    switch (s) {
    case EFFECT_INTENDED:
    case EFFECT_APPLIED:
    case EFFECT_UNKNOWN:
    case EFFECT_MOVED:
    case EFFECT_UNVERIFIED:
        return true;
    default:
        return false;
    }
}

/* Frees the target of x unless some effect on it is unknown or not verified. */
static void free_target(struct run *r, const struct effect *x)
{
    const struct effect *y;
    struct change *c;
    bool touched = false;

    for (y = r->effects; y; y = y->next) {
        if (strcmp(y->target, x->target) != 0)
            continue;
        if (keeps_lock(y->state))
            return;
        touched = touched || y->state == EFFECT_VERIFIED || y->state == EFFECT_UNDONE;
    }
    c = run_change(r, CHANGE_UNLOCK);
    c->target = run_keep(r, str_of(x->target));
    c->n = touched ? run_now(r) + r->book->cooldown_ms : 0;
}

static void plain_text(struct str json, struct buf *out)
{
    json_error_t error;
    json_t *v = json_loadb(json.p, json.n, JSON_DECODE_ANY, &error);

    if (json_is_string(v))
        buf_add(out, json_string_value(v), json_string_length(v));
    json_decref(v);
}

void run_end_changes(struct run *r, struct str outcome, struct str reason, struct str text)
{
    struct buf b = BUF_INIT(KIB);
    const struct effect *x;
    struct change *c;

    for (x = r->effects; x; x = x->next)
        free_target(r, x);
    plain_text(reason, &b);
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
    plain_text(json_slice(row->args, "reason"), &text);
    snprintf(r->reason, sizeof(r->reason), "%s", buf_text(&text));
    buf_reset(&text);
    plain_text(json_slice(row->args, "text"), &text);
    free(r->text);
    r->text = buf_take(&text, NULL);
    r->ended = true;
    r->state = RUN_ENDED;
}

static const struct row *next_recorded(const struct run *r)
{
    return r->recorded.cursor < r->recorded.n ? &r->recorded.rows[r->recorded.cursor] : NULL;
}

/* Rows of the run itself (START, RESUME, an escalation) belong to no call: they are taken when they are next. */
static bool take_own_row(struct run *r)
{
    const struct row *row = next_recorded(r);

    if (!row || row->path.n > 0 || row->kind == ROW_END)
        return false;
    r->recorded.cursor++;
    if (row->kind == ROW_ESCALATION)
        r->escalation_open = true;
    run_consume(r, NULL, NULL, row, true);
    return true;
}

/* An ending that the host makes: recorded at the cursor, or new. */
void run_finish(struct run *r, const char *outcome, const char *reason, const char *fmt, ...)
{
    struct buf text = BUF_INIT(16 * KIB), args = BUF_INIT(64 * KIB);
    const struct row *row;
    struct json_object o;
    char line[40];
    va_list ap;

    if (r->ended || r->phase == PHASE_SETTLED)
        return;
    while (r->phase == PHASE_REPLAY && take_own_row(r))
        continue;
    row = next_recorded(r);
    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    json_open(&o, &args);
    json_put_string(&o, "reason", str_of(reason));
    json_put_string(&o, "text", str_of(buf_text(&text)));
    json_close(&o);
    if (r->phase == PHASE_REPLAY && row) {
        if (row->kind != ROW_END || !str_is(row->name, outcome)) {
            run_diverged(r, "row %lld is %s %.*s where the run ends %s (%s: %s)", (long long)row->seq,
                         row_kind_name(row->kind), (int)row->name.n, row->name.p, outcome, reason, buf_text(&text));
        } else {
            r->recorded.cursor++;
            run_consume(r, NULL, NULL, row, true);
        }
    } else if (!r->replay_only) {
        r->phase = PHASE_LIVE;
        run_end_changes(r, str_of(outcome), json_slice((struct str){args.data, args.len}, "reason"),
                        json_slice((struct str){args.data, args.len}, "text"));
        snprintf(line, sizeof(line), "{\"line\":%d}", r->calls ? r->calls->line : 0);
        run_row(r, NULL, NULL, ROW_END, str_of(outcome), (struct str){args.data, args.len}, str_of(line));
    }
    buf_free(&text);
    buf_free(&args);
}

bool run_out_of_time(struct run *r)
{
    char limit[32];

    if (r->phase != PHASE_LIVE || run_now(r) <= r->started_at + r->waited_ms + r->book->time_ms)
        return false;
    run_finish(r, "escalated", "deadline", "the run took longer than limits.time (%s)",
               str_duration(r->book->time_ms, limit, sizeof(limit)));
    return true;
}

static void parked(struct run *r, void *ctx, const struct row *row, const char *refusal)
{
    (void)ctx, (void)row, (void)refusal;
    r->parked = true;
    run_settle_phase(r);
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
    run_commit(r, NULL, 0, 0, parked, NULL);
    buf_free(&text);
    buf_free(&payload);
}

static void left(struct run *r, void *ctx, const struct row *row, const char *refusal)
{
    (void)ctx, (void)row, (void)refusal;
    run_settle_phase(r);
}

static void ended(struct run *r, void *ctx, const struct row *row, const char *refusal)
{
    (void)ctx, (void)row, (void)refusal;
    run_settle_phase(r);
}

/* Most errors say their place themselves. */
static void finish_error(struct run *r, const struct vm_event *ev)
{
    if (ev->line > 0 && strncmp(ev->error, r->book->file, strlen(r->book->file)) != 0)
        run_finish(r, "escalated", "error", "%s:%d: %s", r->book->file, ev->line, ev->error);
    else
        run_finish(r, "escalated", "error", "%s", ev->error);
}

/* What the vm said. */
static void on_event(struct run *r, const struct vm_event *ev)
{
    struct err e = {0};
    json_t *value = NULL;

    switch (ev->outcome) {
    case VM_PARKED:
        if (call_begin(r, &ev->request, &e) < 0)
            run_finish(r, "escalated", "error", "%s", e.msg);
        break;
    case VM_DONE:
        run_finish(r, "escalated", "fell_off_end", "the runbook ended without resolve, no_action or escalate");
        break;
    case VM_ERROR:
        if (ev->json.n && json_read(ev->json, &value, &e) == 0 &&
            strcmp(json_get_string(value, "kind", ""), "inconclusive") == 0)
            run_finish(r, "escalated", "no_data", "%s:%lld: %s is unknown (%s): %s",
                       json_get_string(value, "chunk", r->book->file), (long long)json_get_int(value, "line", 0),
                       json_get_string(value, "name", "?"), json_get_string(value, "unknown", "?"),
                       json_get_string(value, "why", ""));
        else
            finish_error(r, ev);
        json_decref(value);
        break;
    case VM_NOMEM:
    case VM_KILLED:
        finish_error(r, ev);
        break;
    }
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

static void take_up_live(struct run *r)
{
    struct call *c, *next;

    r->phase = PHASE_LIVE;
    if (r->elsewhere) {
        run_finish(r, "escalated", "error", "%s", r->elsewhere);
        return;
    }
    run_arm_escalation(r);
    for (c = r->calls; c && r->phase == PHASE_LIVE; c = next) {
        next = c->next;
        c->op->live(c);
    }
}

/* Hands out the next recorded row. Returns true if there was one. */
static bool replay_next(struct run *r)
{
    const struct row *row = next_recorded(r);
    struct part *p = NULL;
    struct call *c;

    if (!row)
        return false;
    if (take_own_row(r))
        return true;
    r->recorded.cursor++;
    if (row->path.n == 0) {
        run_consume(r, NULL, NULL, row, true);
        return true;
    }
    c = call_find(r, row->path, &p);
    if (!c)
        run_diverged(r, "row %lld is %s %.*s at %.*s, and the code makes no such call (it is at line %d)",
                     (long long)row->seq, row_kind_name(row->kind), (int)row->name.n, row->name.p, (int)row->path.n,
                     row->path.p, run_line(r));
    else
        run_consume(r, c, p, row, true);
    return true;
}

/* Work that waited for a barrier, and the commits of leaving and ending. */
static void after_barrier(struct run *r)
{
    struct change *change;
    struct call *c;

    if (r->barrier.active || r->phase != PHASE_LIVE)
        return;
    if (r->ended) {
        run_commit(r, NULL, 0, 0, ended, NULL);
        return;
    }
    for (c = r->calls; c; c = c->next) {
        if (c->stalled) {
            c->stalled = false;
            c->op->live(c);
            return;
        }
    }
    if (r->leaving && !run_sending(r)) {
        r->state = RUN_LEFT;
        change = run_change(r, CHANGE_RUN_STATE);
        change->run_state = RUN_LEFT;
        run_commit(r, NULL, 0, 0, left, NULL);
    }
}

/* One step of Lua or of the replay. False if there is nothing to do until something comes from outside. */
static bool step(struct run *r)
{
    struct vm_event ev;
    int rc;

    if (r->ended || r->parked || r->state == RUN_WAITING_PERSON || (r->leaving && r->phase == PHASE_LIVE))
        return false;
    /* START tells the code what time it is. */
    if (r->phase == PHASE_REPLAY && r->recorded.cursor == 0 && replay_next(r))
        return true;
    rc = vm_step(r->vm, &ev);
    if (rc == 1)
        on_event(r, &ev);
    if (rc != 0)
        return true;
    if (r->phase != PHASE_REPLAY)
        return false;
    if (replay_next(r))
        return true;
    if (r->replay_only)
        run_settle_phase(r);
    else
        take_up_live(r);
    return true;
}

bool run_pump(struct run *r)
{
    int i;

    for (i = 0; i < STEPS_PER_TURN && r->phase != PHASE_SETTLED; i++) {
        if (!step(r))
            break;
    }
    if (r->ended && r->phase == PHASE_REPLAY)
        run_settle_phase(r);
    if (r->phase != PHASE_SETTLED)
        after_barrier(r);
    return i > 0;
}
