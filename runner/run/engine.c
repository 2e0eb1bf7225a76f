/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: it starts, takes up and replays runs, and turns them until all are
 * settled. A dead journal or a broken invariant stops everything at once: nothing
 * more is sent, and what was durable is what is true. */
#include "run/ask.h"

#include "base/id.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

/* Moves before I/O and timers get their chance again. */
#define MOVES_PER_TURN 32
/* How often one run goes on before the others do: as long as plugins answer it at once, what it needs is in the
 * caches. */
#define ROUNDS_PER_VISIT 4
#define TURN_US 500             /* where runs have slices */

struct host *engine_host(const struct engine *n)
{
    return n->o.host;
}

const struct engine_options *engine_opts(const struct engine *n)
{
    return &n->o;
}

const struct err *engine_failure(const struct engine *n)
{
    return n->failure.code ? &n->failure : NULL;
}

int engine_new(const struct engine_options *o, struct engine **out, struct err *e)
{
    (void)e;
    *out = xcalloc(1, sizeof(**out));
    (*out)->o = *o;
    return 0;
}

void run_deinit(struct run *r)
{
    struct host *h = engine_host(r->engine);
    struct run place = {.engine = r->engine, .next = r->next, .held = r->held, .spent_us = r->spent_us,
                        .registry = r->engine->o.registry, .hashed = HASHED_INIT};

    call_free_all(r);
    if (r->escalate_timer)
        h->ops->cancel(h, r->escalate_timer);
    if (r->flush_timer)
        h->ops->cancel(h, r->flush_timer);
    if (r->temporary_timer)
        h->ops->cancel(h, r->temporary_timer);
    effect_free_all(r);
    approval_free_all(r);
    run_tracks_free(r);
    vm_free(r->vm);
    free(r->faces);
    batch_reset(&r->pending);
    batch_reset(&r->spare);
    batch_reset(&r->barrier.batch);
    recorded_release(&r->recorded);
    buf_free(&r->hashed.texts);
    arena_free(r->asked);
    book_free(r->book);
    free(r->file);
    bundle_free(r->bundle);
    json_decref(r->start);
    free(r->text);
    free(r->finish.text);
    free(r->cancelled_by);
    free(r->elsewhere);
    *r = place;
}

void run_free(struct run *r)
{
    if (!r)
        return;
    run_deinit(r);
    free(r);
}

void engine_free(struct engine *n)
{
    struct run *r, *next;

    if (!n)
        return;
    for (r = n->runs; r; r = next) {
        next = r->next;
        run_free(r);
    }
    tend_free(n);
    rebuild_free(n);
    free(n);
}

void engine_fatal(struct engine *n, const struct err *e)
{
    struct run *r;

    if (n->failure.code == 0)
        n->failure = *e;
    /* Whoever found the error may stand inside of a call: the calls are freed with their runs. */
    for (r = n->runs; r; r = r->next)
        run_settle_phase(r);
    n->o.host->ops->stop(n->o.host);
}

static struct run *run_new(struct engine *n)
{
    struct run *r = run_empty(n);
    struct host *h = n->o.host;

    r->phase = PHASE_LIVE;
    r->state = RUN_RUNNING;
    r->base_at = r->started_at = h->ops->wall_ms(h);
    r->base_mono = h->ops->mono_ms(h);
    r->last_at = r->started_at;
    r->next_seq = 1;
    r->epoch = 1;
    return r;
}

static void changes_of_new(struct run *r, const struct run_request *q)
{
    struct buf b = BUF_INIT(VALUE_BYTES_MAX);
    struct change *c = run_change(r, CHANGE_RUN_NEW);

    c->uuid = run_keep(r, str_of(r->uuid));
    c->runbook = run_keep(r, str_of(r->book->name));
    c->command = run_keep(r, str_of(q->command));
    c->bundle = run_keep(r, str_of(r->bundle->id));
    json_add_value(&b, r->params);
    c->params = run_keep(r, (struct str){b.data, b.len});
    buf_reset(&b);
    json_add_value(&b, r->trigger);
    c->trigger = run_keep(r, (struct str){b.data, b.len});
    c->n = r->epoch;
    buf_free(&b);
}

static void journal_start(struct run *r, const struct run_request *q)
{
    struct buf b = BUF_INIT(PAYLOAD_BYTES_MAX);

    changes_of_new(r, q);
    json_add_value(&b, r->start);
    run_row(r, NULL, NULL, ROW_START, str_of(r->book->name), STR(""), (struct str){b.data, b.len});
    buf_free(&b);
}

static int put_bundle(struct run *r, struct err *e)
{
    struct buf manifest = BUF_INIT(MIB);
    struct blob_ref *files = xcalloc(r->bundle->nfiles, sizeof(*files));
    size_t i;
    int rc;

    for (i = 0; i < r->bundle->nfiles; i++) {
        const struct bundle_file *f = &r->bundle->files[i];

        files[i] = (struct blob_ref){.path = f->path, .data = f->text, .stays = !f->owned};
    }
    bundle_manifest(r->bundle, &manifest);
    rc = writer_put_bundle(engine_opts(r->engine)->writer, r->bundle->id, (struct str){manifest.data, manifest.len},
                           files, r->bundle->nfiles, e);
    buf_free(&manifest);
    free(files);
    return rc;
}

static int identify(struct run *r, struct run_request *q, struct err *e)
{
    struct host *h = engine_host(r->engine);
    struct journal *j = writer_journal(engine_opts(r->engine)->writer);
    unsigned char random[18];

    if (h->ops->random(h, random, sizeof(random), e) < 0)
        return e->code;
    r->id = j->ops->next_run(j);
    uuid_v7(r->started_at, random, r->uuid);
    if (q->seed == 0)
        memcpy(&q->seed, random + 10, sizeof(q->seed));
    return 0;
}

/* Only the errors of the start name the file as it was given. */
static int start_vm(struct run *r, struct err *e)
{
    char where[sizeof(e->where)];
    size_t n = strlen(r->file);
    int rc = setup_vm(r, e);

    if (rc < 0 && strncmp(e->where, r->file, n) == 0) {
        snprintf(where, sizeof(where), "%.180s%s", r->book->file, e->where + n);
        snprintf(e->where, sizeof(e->where), "%s", where);
    }
    return rc;
}

/* The run is the engine's; whoever takes its pointer holds it. */
static void join(struct run *r, struct run **out)
{
    r->next = r->engine->runs;
    r->engine->runs = r;
    r->held = out != NULL;
    if (out)
        *out = r;
}

int engine_start(struct engine *n, struct run_request *q, struct run **out, struct err *e)
{
    struct run *r = run_new(n);
    json_t *trigger = q->trigger ? json_copy(q->trigger) : json_pack("{s:s}", "kind", "command line");
    struct run_request with = *q;
    int rc;

    run_takes_book(r, q->book);
    with.trigger = trigger;
    rc = identify(r, &with, e);
    if (rc == 0)
        writer_begin(engine_opts(n)->writer);
    if (rc == 0)
        rc = episodes_count(r, trigger, e);
    if (rc == 0)
        rc = (r->start = setup_start(r, &with, e)) ? 0 : e->code;
    if (rc == 0) {
        r->params = json_object_get(r->start, "params");
        r->trigger = json_object_get(r->start, "trigger");
        rc = (r->bundle = setup_bundle(r, &with, e)) ? 0 : e->code;
    }
    if (rc == 0)
        rc = start_vm(r, e);
    if (rc == 0)
        rc = put_bundle(r, e);
    json_decref(trigger);
    if (rc < 0) {
        run_free(r);
        return rc;
    }
    join(r, out);
    journal_start(r, &with);
    run_arm_escalation(r);
    return 0;
}

/* The run is ours from here on: a new epoch fences whoever had it. The RESUME row is the last
 * recorded one of the replay, so that replay and live meet at the same place. */
int run_take_over(struct run *r, const char *who, struct err *e)
{
    struct buf b = BUF_INIT(4 * KIB);
    struct json_object o;
    struct row row;
    struct journal_item item = {.run = r->id, .rows = &row, .nrows = 1};
    struct change changes[2] = {{.kind = CHANGE_RUN_EPOCH, .n = r->epoch + 1},
                                {.kind = CHANGE_RUN_STATE, .run_state = RUN_RUNNING}};
    const struct engine_watch *watch = &engine_opts(r->engine)->watch;
    struct str from = rebuild_moved(r, who);
    int rc;

    if (from.n && watch->moved)
        watch->moved(watch->ctx, r->id, from);

    json_open(&o, &b);
    json_put_string(&o, "by", str_of(who));
    json_close(&o);
    row = (struct row){.seq = r->next_seq++, .epoch = r->epoch + 1, .kind = ROW_RESUME, .name = STR("resume"),
                       .payload = {b.data, b.len}, .at = run_now(r)};
    r->epoch++;
    item.epoch = r->epoch;
    item.changes = changes;
    item.nchanges = 2;
    item.at = row.at;
    rc = writer_submit(engine_opts(r->engine)->writer, &item, NULL, NULL, e);
    row.chain = journal_chain(&r->recorded.rows[r->recorded.n - 1].chain, &row);
    if (rc == 0)
        recorded_add(&r->recorded, &row);
    buf_free(&b);
    return rc;
}

int engine_resume(struct engine *n, int64_t id, const char *who, struct run **out, struct err *e)
{
    struct run *r = run_empty(n);

    if (rebuild_run(r, writer_journal(n->o.writer), id, false, e) < 0 || (who && run_take_over(r, who, e) < 0)) {
        run_free(r);
        return e->code;
    }
    join(r, out);
    return 0;
}

static bool keep_start(void *ctx, const struct row *row)
{
    json_t **start = ctx;

    json_read(row->payload, start, NULL);
    return false;
}

/* The effects of the run that is to be undone as r's. info is the caller's to deinit. */
static int seed_undo(struct run *r, struct journal *j, int64_t id, struct run_info *info, struct err *e)
{
    int rc = j->ops->get_run(j, id, info, e);

    if (rc == 0 && info->state != RUN_ENDED) {
        rc = err_set(e, ERR_INVALID, "run %lld has not ended", (long long)id);
        err_hint(e, "midwatch cancel %lld ends it and undoes what it changed", (long long)id);
    }
    if (rc == 0)
        rc = undo_seed(r, j, id, INT64_MAX, e);
    if (rc == 0 && !undo_has_work(r))
        rc = err_set(e, ERR_NOT_FOUND, "run %lld has changed nothing that is still in force", (long long)id);
    return rc;
}

int engine_undo_list(struct engine *n, int64_t id, json_t **list, struct err *e)
{
    struct run *r = run_new(n);
    struct run_info info = {0};
    int rc = seed_undo(r, writer_journal(n->o.writer), id, &info, e);
    const struct effect *x;

    *list = json_array();
    for (x = r->effects; rc == 0 && x; x = x->next) {
        if (!effect_in_force(x->state))
            continue;
        json_array_append_new(*list, json_pack("{s:s s:O* s:o s:s s:s s:O* s:s s:s}", "action", gate_verb(str_of(x->name)).p,
                                               "args", x->args, "back", state_fields(x->from, x->to), "effect", x->name,
                                               "instance", x->instance, "left", x->after, "state",
                                               effect_state_name(x->state), "target", x->target));
    }
    run_info_deinit(&info);
    run_free(r);
    return rc;
}

/* Sources and inputs of the run that is undone. */
static int begin_undo(struct run *r, struct journal *j, const struct run_info *info, const char *who, struct err *e)
{
    json_t *start = NULL;
    int rc = rebuild_sources(r, j, info->bundle, e);

    if (rc == 0)
        rc = j->ops->rows(j, info->id, 1, keep_start, &start, e);
    if (rc == 0) {
        r->start = undo_start(r, start, who);
        r->params = json_object_get(r->start, "params");
        r->trigger = json_object_get(r->start, "trigger");
        rc = rebuild_registry(r, e);
    }
    if (rc == 0)
        rc = setup_same_settings(r, e);
    json_decref(start);
    if (rc == 0)
        rc = setup_vm(r, e);
    return rc == 0 ? undo_release(r, info, e) : rc;
}

int engine_undo(struct engine *n, int64_t id, const char *who, struct run **out, struct err *e)
{
    struct journal *j = writer_journal(n->o.writer);
    struct run_request q = {.command = "undo", .requester = who, .seed = 1};
    struct run_info info = {0};
    struct run *r = run_new(n);
    int rc = seed_undo(r, j, id, &info, e);

    if (rc == 0)
        rc = identify(r, &q, e);
    if (rc == 0)
        rc = begin_undo(r, j, &info, who, e);
    run_info_deinit(&info);
    if (rc < 0) {
        run_free(r);
        return rc;
    }
    join(r, out);
    journal_start(r, &q);
    undo_begin(r);
    return 0;
}

int engine_replay(struct engine *n, struct journal *from, int64_t id, struct run **out, struct err *e)
{
    struct run *r = run_empty(n);
    int rc = rebuild_run(r, from, id, true, e);

    if (rc < 0) {
        run_free(r);
        return rc;
    }
    join(r, out);
    return 0;
}

void engine_leave(struct engine *n, bool now)
{
    struct run *r;

    if (n->tend)
        tend_leave(n);
    for (r = n->runs; r; r = r->next) {
        r->leaving = true;
        if (now && r->phase != PHASE_SETTLED)
            run_settle_phase(r);
    }
}

void engine_cancel_run(struct engine *n, int64_t id, const char *who)
{
    struct run *r;

    for (r = n->runs; r && r->id != id; r = r->next)
        continue;
    if (!r || r->phase == PHASE_SETTLED || r->cancelled_by)
        return;
    r->cancelled_by = xstrdup(who);
    if (r->phase == PHASE_LIVE)
        run_cancel(r);
}

void engine_cancel(struct engine *n, const char *who)
{
    struct run *r;

    for (r = n->runs; r; r = r->next)
        engine_cancel_run(n, r->id, who);
}

static bool pump(struct run *r)
{
    watchdog_enter(r->engine->o.watchdog, r->id, r->line, NULL);
    return run_pump(r);
}

/* Pumps r, and again when bodies answered. Where runs are evicted at every step, once. */
static bool visit(struct run *r)
{
    bool moved = pump(r), goes_on = moved && !r->engine->o.evict_always;
    int i;

    for (i = 1; goes_on && i < ROUNDS_PER_VISIT && r->phase != PHASE_SETTLED && !r->preempted; i++)
        goes_on = rebuild_turn(r->engine) && pump(r);
    return moved;
}

/* What was committed, run by run. */
static bool deliver(struct engine *n)
{
    bool moved = false;
    struct run *r;

    writer_collect(n->o.writer);
    for (n->moved = NULL; writer_deliver(n->o.writer); n->moved = NULL) {
        moved = true;
        r = n->moved;
        if (r && r->phase != PHASE_SETTLED && !r->preempted && rebuild_turn(n))
            visit(r);
    }
    return moved;
}

/* Everything that can move now, once; of the runs that only compute the one that used least. */
static bool move(struct engine *n)
{
    struct run *r, *least = NULL;
    bool moved = false;

    if (n->o.writer)
        moved = deliver(n);
    moved |= rebuild_turn(n);
    for (r = n->runs; r; r = r->next) {
        if (r->phase != PHASE_SETTLED && r->preempted)
            least = !least || r->spent_us < least->spent_us ? r : least;
        else if (r->phase != PHASE_SETTLED)
            moved |= visit(r);
        if (n->o.evict_always && evict_wanted(r)) {
            evict_in_place(r);
            moved = true;
        }
    }
    if (least)
        moved |= visit(least);
    watchdog_enter(n->o.watchdog, 0, 0, NULL);
    if (n->tend)
        moved |= tend_turn(n);
    return moved;
}

bool engine_turn(void *engine)
{
    struct engine *n = engine;
    struct host *h = n->o.host;
    struct run *r;
    bool moved = true, all_settled = true;
    int64_t begun_us = n->o.slice_us ? clock_us() : 0;
    int i;

    if (n->o.writer)
        writer_gather(n->o.writer);
    for (i = 0; i < MOVES_PER_TURN && moved && (!n->o.slice_us || clock_us() - begun_us < TURN_US); i++)
        moved = move(n);
    watchdog_leave(n->o.watchdog);
    for (r = n->runs; r; r = r->next) {
        if (r->phase == PHASE_SETTLED)
            continue;
        run_flush_if_due(r);
        all_settled = all_settled && r->phase == PHASE_SETTLED;
    }
    if (n->o.writer)
        writer_hand_over(n->o.writer);
    all_settled = all_settled && (!n->tend || tend_is_over(n));
    if (all_settled && n->o.stop_when_settled)
        h->ops->stop(h);
    return moved && !all_settled;
}
