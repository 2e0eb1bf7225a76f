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
#include <time.h>

/* Steps of Lua or of replay in one turn of the loop. */
#define STEPS_PER_TURN 256

int64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

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
    /* Behind its rows it may have something on its way, and what this program believes of it is wrong: all stops. */
    if (r->phase == PHASE_REPLAY && engine_opts(r->engine)->watch.trouble) {
        err_set(&e, ERR_CORRUPT, "its journal contradicts its code, and it is set aside: %s", r->difference);
        run_set_aside(r, &e);
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
    if (r->temporary_timer)
        h->ops->cancel(h, r->temporary_timer);
    r->escalate_timer = r->flush_timer = r->temporary_timer = NULL;
    if (o->watch.settled)
        o->watch.settled(o->watch.ctx, r);
}

/* The counter behind the paths of a branch's calls. */
static struct track *track_of(struct run *r, uint32_t branch)
{
    struct track *t;

    for (t = r->tracks; t && t->branch != branch; t = t->next)
        continue;
    return t;
}

static struct track *track_new(struct run *r, uint32_t branch)
{
    struct track *t = xcalloc(1, sizeof(*t));

    t->branch = branch;
    t->next = r->tracks;
    r->tracks = t;
    return t;
}

static void track_drop(struct run *r, uint32_t branch)
{
    struct track **at = &r->tracks, *t;

    while (*at && (*at)->branch != branch)
        at = &(*at)->next;
    t = *at;
    if (t)
        *at = t->next;
    free(t);
}

void run_tracks_free(struct run *r)
{
    while (r->tracks)
        track_drop(r, r->tracks->branch);
}

/* Behind the text in out. */
static void add_number(char *out, size_t size, uint64_t n)
{
    char digits[24];
    size_t used = strlen(out), i = sizeof(digits);

    do
        digits[--i] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    str_copy(out + used, size - used, (struct str){digits + i, sizeof(digits) - i});
}

void run_next_path(struct run *r, uint32_t branch, char *out, size_t size)
{
    struct track *t = track_of(r, branch);

    if (!t)
        t = track_new(r, branch);
    str_copy(out, size, str_of(t->prefix));
    add_number(out, size, ++t->calls);
}

/* The children of the branch at "4" have the paths "4.b1.1", "4.b2.1"... */
static void forked(struct run *r, const struct vm_event *ev)
{
    char path[80];
    size_t i;

    run_next_path(r, ev->branch, path, sizeof(path));
    for (i = 0; i < ev->nchildren; i++) {
        struct track *t = track_new(r, ev->children[i]);
        int n = snprintf(t->prefix, sizeof(t->prefix), "%s.b%zu.", path, i + 1);

        if (n < 0 || (size_t)n >= sizeof(t->prefix)) {
            run_finish(r, "escalated", "error", "%s:%d: branches inside branches are nested too deep", r->file, ev->line);
            return;
        }
    }
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
    if (row->kind == ROW_ENDING)
        finish_announced(r, row);
    run_consume(r, NULL, NULL, row, true);
    return true;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Most errors say their place themselves. */
static void finish_error(struct run *r, const struct vm_event *ev)
{
    if (ev->line > 0 && !starts(ev->error, ev->chunk) && !starts(ev->error, r->file))
        run_finish(r, "escalated", "error", "%s:%d: %s", ev->chunk, ev->line, ev->error);
    else
        run_finish(r, "escalated", "error", "%s", ev->error);
}

/* What the vm said. */
static void on_event(struct run *r, const struct vm_event *ev)
{
    struct err e;
    json_t *value = NULL;

    err_clear(&e);
    effect_heard(r, ev->branch);
    switch (ev->outcome) {
    case VM_PARKED:
        if (call_begin(r, &ev->request, &e) < 0)
            run_finish(r, "escalated", "error", "%s", e.msg);
        break;
    case VM_FORKED:
        forked(r, ev);
        break;
    case VM_DONE:
        track_drop(r, ev->branch);
        if (ev->branch != r->main_branch)
            break;
        run_finish(r, "escalated", "fell_off_end", "the runbook ended without resolve, no_action or escalate");
        break;
    case VM_ERROR:
        if (ev->json.n && json_read(ev->json, &value, &e) == 0 &&
            strcmp(json_get_string(value, "kind", ""), "inconclusive") == 0)
            run_finish(r, "escalated", "no_data", "%s:%lld: %s is unknown (%s): %s",
                       json_get_string(value, "chunk", r->file), (long long)json_get_int(value, "line", 0),
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

/* The instances are not those that the run started with: it ends, and touches nothing any more. */
static void end_elsewhere(struct run *r)
{
    struct buf more = BUF_INIT(16 * KIB);
    const struct effect *x;

    for (x = r->effects; x; x = x->next) {
        if (x->temporary && x->state != EFFECT_UNDONE && x->state != EFFECT_ABSENT)
            buf_addf(&more, "; %s on %s was for a while and may still be in force", x->name, x->target);
    }
    run_finish(r, "escalated", "error", "%s%s", r->elsewhere, buf_text(&more));
    buf_free(&more);
}

/* In the order in which they were made, the oldest first: so timers for one moment fire in the order that they had. */
static void calls_live(struct run *r)
{
    struct call *c, **list;
    size_t n = 0, i;

    for (c = r->calls; c; c = c->next)
        n++;
    list = xcalloc(n + 1, sizeof(struct call *));
    for (i = n, c = r->calls; c; c = c->next)
        list[--i] = c;
    for (i = 0; i < n && r->phase == PHASE_LIVE; i++)
        list[i]->op->live(list[i]);
    free(list);
}

static void take_up_live(struct run *r)
{
    r->phase = PHASE_LIVE;
    recorded_release(&r->recorded);
    vm_limit_memory(r->vm, VM_MEMORY_MAX);
    if (r->elsewhere) {
        end_elsewhere(r);
        return;
    }
    if (r->undoes)
        undo_begin(r);
    else if (r->cancelled_by)
        run_cancel(r);
    run_arm_escalation(r);
    run_arm_temporary(r);
    calls_live(r);
}

/* The call that a row belongs to. An undo that the host made when the run ended begins with its first row. */
static struct call *call_of(struct run *r, const struct row *row, struct part **p, struct err *e)
{
    struct call *c = call_find(r, row->path, p);
    struct effect *x;
    char path[96];

    if (c || row->path.n < 5 || row->path.n >= sizeof(path) || strncmp(row->path.p, "end.", 4) != 0)
        return c;
    snprintf(path, sizeof(path), "%.*s", (int)row->path.n - 4, row->path.p + 4);
    x = effect_find(r, path);
    return x && finish_undo(r, x, e) == 0 ? call_find(r, row->path, p) : NULL;
}

/* A person ended the run, whatever it was coming to. */
static bool is_released(const struct row *row)
{
    return json_slice(row->payload, "released_by").n > 0 && str_is(row->name, "escalated");
}

/* An END that the host wrote: if the code already came to another one, the journal contradicts it. */
static void replay_end(struct run *r, const struct row *row)
{
    struct buf args = BUF_INIT(64 * KIB);

    if (r->finish.text)
        finish_end_args(r, row, &args);
    if (r->finish.text && !is_released(row) &&
        (!str_is(row->name, r->finish.outcome) || !str_eq(row->args, (struct str){args.data, args.len})))
        run_diverged(r, "row %lld is END %.*s with %.*s where the run ends %s with %s", (long long)row->seq,
                     (int)row->name.n, row->name.p, (int)(row->args.n > 250 ? 250 : row->args.n), row->args.p,
                     r->finish.outcome, buf_text(&args));
    else
        run_consume(r, NULL, NULL, row, true);
    buf_free(&args);
}

/* Hands out the next recorded row. Returns true if there was one. */
static bool replay_next(struct run *r)
{
    const struct row *row = next_recorded(r);
    struct part *p = NULL;
    struct err e;
    struct call *c;

    if (!row)
        return false;
    err_clear(&e);
    if (take_own_row(r))
        return true;
    r->recorded.cursor++;
    if (row->path.n == 0) {
        replay_end(r, row);
        return true;
    }
    c = call_of(r, row, &p, &e);
    if (!c && r->finish.text)
        run_diverged(r, "row %lld is %s where the run ends %s (%s: %s)", (long long)row->seq, row_kind_name(row->kind),
                     r->finish.outcome, r->finish.reason, r->finish.text);
    else if (!c)
        run_diverged(r, "row %lld is %s %.*s at %.*s, and the code makes no such call (it is at line %d)",
                     (long long)row->seq, row_kind_name(row->kind), (int)row->name.n, row->name.p, (int)row->path.n,
                     row->path.p, run_line(r));
    else
        run_consume(r, c, p, row, true);
    return true;
}

/* Only an error is left of the rows. If it was memory that ended, it has to end where it did (rebuild_run). */
static bool only_error_left(const struct run *r)
{
    const struct row *row = r->phase == PHASE_REPLAY ? next_recorded(r) : NULL;

    return row && row->kind == ROW_END && row->path.n == 0 && str_starts(row->args, "{\"reason\":\"error\",");
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
    if (only_error_left(r))
        vm_limit_memory(r->vm, VM_MEMORY_MAX);
    rc = r->ending ? 0 : vm_step(r->vm, &ev);
    r->preempted = rc == 2;
    if (rc == 1)
        on_event(r, &ev);
    if (rc != 0)
        return true;
    if (r->phase != PHASE_REPLAY)
        return finish_interrupted(r);
    if (replay_next(r))
        return true;
    if (r->replay_only)
        run_settle_phase(r);
    else
        take_up_live(r);
    return true;
}

/* True if it has had its slice: others come first, and it goes on when it is the one that used least. */
static bool slice_is_over(struct run *r, int step, int64_t begun_us)
{
    int slice_us = engine_opts(r->engine)->slice_us;

    r->preempted = slice_us > 0 && (r->preempted || (step % 8 == 7 && clock_us() - begun_us >= slice_us));
    return r->preempted;
}

/* Nothing of its own can move: what comes from outside is awaited. */
static bool is_idle(const struct run *r)
{
    return r->phase == PHASE_LIVE && !r->finish.wanted && !vm_is_ready(r->vm);
}

bool run_pump(struct run *r)
{
    int64_t begun_us;
    bool moved;
    int i;

    if (is_idle(r)) {
        r->preempted = false;
        return run_after_barrier(r);
    }
    begun_us = clock_us();
    for (i = 0; i < STEPS_PER_TURN && r->phase != PHASE_SETTLED; i++) {
        if (!step(r) || slice_is_over(r, i, begun_us))
            break;
        if (r->engine->o.evict_always && evict_wanted(r))
            return true;
    }
    if (i == 0)
        r->preempted = false;
    r->spent_us += clock_us() - begun_us;
    if (r->ended && r->phase == PHASE_REPLAY)
        run_settle_phase(r);
    moved = r->phase != PHASE_SETTLED && run_after_barrier(r);
    return moved || i > 0 || r->preempted;
}
