/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a run between their making and their commit. Output commit: rows wait
 * in a batch until a barrier (an intent, a park, an end) or until they are 200 ms
 * old; a barrier is in flight at most once per run, and what is appended meanwhile
 * waits for the next. A refused barrier gives its rows back, without the last. */
#include "run/run.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>

#define FLUSH_AFTER_MS 200
#define ROWS_KEPT 32

#define CHUNK_BYTES 4096

struct chunk {
    struct chunk *next;
    size_t used, size;
    char data[];
};
struct arena {
    struct chunk *chunks;
};

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

struct str arena_copy(struct arena *a, struct str s)
{
    struct chunk *c = a->chunks;
    size_t size;

    if (s.n == 0)
        return STR("");
    if (!c || c->size - c->used < s.n) {
        size = s.n > CHUNK_BYTES ? s.n : CHUNK_BYTES;
        c = xmalloc(sizeof(*c) + size);
        c->used = 0;
        c->size = size;
        c->next = a->chunks;
        a->chunks = c;
    }
    memcpy(c->data + c->used, s.p, s.n);
    c->used += s.n;
    return (struct str){c->data + c->used - s.n, s.n};
}

static void free_chunks(struct chunk *c)
{
    struct chunk *next;

    for (; c; c = next) {
        next = c->next;
        free(c);
    }
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    free_chunks(a->chunks);
    free(a);
}

void batch_reset(struct batch *b)
{
    arena_free(b->arena);
    free(b->rows);
    free(b->changes);
    *b = (struct batch){0};
}

/* Keeps memory for as much as most batches hold. */
static void batch_empty(struct batch *b)
{
    struct chunk *c = b->arena ? b->arena->chunks : NULL;

    if (b->cap_rows > ROWS_KEPT || b->cap_changes > ROWS_KEPT || (c && c->size > CHUNK_BYTES)) {
        batch_reset(b);
        return;
    }
    if (c) {
        free_chunks(c->next);
        c->next = NULL;
        c->used = 0;
    }
    b->nrows = b->nchanges = 0;
}

/* b has been committed: its memory is for the next one. */
static void recycle(struct run *r, struct batch *b)
{
    batch_reset(&r->spare);
    batch_empty(b);
    r->spare = *b;
}

int64_t run_now(struct run *r)
{
    struct host *h = engine_host(r->engine);
    int64_t at = r->base_at + (h->ops->mono_ms(h) - r->base_mono);

    return at < r->last_at ? r->last_at : at;
}

static struct row *new_row(struct run *r, struct str path, struct part *p, enum row_kind kind, struct str name,
                           struct str args, struct str payload)
{
    struct batch *b = &r->pending;
    struct row *row;
    struct host *h = engine_host(r->engine);

    if (!b->arena)
        b->arena = arena_new();
    if (b->nrows == b->cap_rows) {
        b->cap_rows = b->cap_rows ? 2 * b->cap_rows : 16;
        b->rows = xrealloc(b->rows, b->cap_rows * sizeof(*b->rows));
    }
    if (b->nrows == 0 && b->nchanges == 0)
        b->since = h->ops->mono_ms(h);
    row = &b->rows[b->nrows++];
    *row = (struct row){.seq = r->next_seq++, .epoch = r->epoch, .kind = kind, .at = run_now(r)};
    row->path = arena_copy(b->arena, path);
    row->name = arena_copy(b->arena, name);
    row->args = arena_copy(b->arena, args);
    row->payload = arena_copy(b->arena, payload);
    if (p)
        row->args_hash = p->hash;
    return row;
}

int run_consume(struct run *r, struct call *c, struct part *p, const struct row *row, bool replayed)
{
    const struct engine_options *o = engine_opts(r->engine);
    struct err e;
    int rc = 0;

    err_clear(&e);
    if (row->at > r->last_at)
        r->last_at = row->at;
    r->rows_total++;
    if (replayed)
        r->chain = row->chain;      /* rebuild_run has looked whether it is right */
    else if (o->chains)
        r->chain = journal_chain(&r->chain, row);
    vm_set_now(r->vm, r->last_at);
    if (o->watch.row)
        o->watch.row(o->watch.ctx, r, row, replayed);
    if (c)
        rc = c->op->row(c, p, row, &e);
    else if (row->kind == ROW_END)
        run_end_consumed(r, row);
    if (rc < 0)
        run_diverged(r, "%s", e.msg);
    return rc;
}

int run_row(struct run *r, struct call *c, struct part *p, enum row_kind kind, struct str name, struct str args,
            struct str payload)
{
    struct str path = p ? str_of(p->path) : c ? str_of(c->path) : STR("");
    struct row row;

    if (r->ended)           /* an answer that comes before the END is durable */
        return 0;
    row = *new_row(r, path, p, kind, name, args, payload);
    return run_consume(r, c, p, &row, false);
}

int run_row_conditional(struct run *r, struct part *p, enum row_kind kind, struct str name, struct str args,
                        struct str payload, struct row **out)
{
    *out = new_row(r, str_of(p->path), p, kind, name, args, payload);
    return 0;
}

struct change *run_change(struct run *r, enum change_kind kind)
{
    struct batch *b = &r->pending;
    struct host *h = engine_host(r->engine);

    if (!b->arena)
        b->arena = arena_new();
    if (b->nrows == 0 && b->nchanges == 0)
        b->since = h->ops->mono_ms(h);
    if (b->nchanges == b->cap_changes) {
        b->cap_changes = b->cap_changes ? 2 * b->cap_changes : 8;
        b->changes = xrealloc(b->changes, b->cap_changes * sizeof(*b->changes));
    }
    b->changes[b->nchanges] = (struct change){.kind = kind};
    return &b->changes[b->nchanges++];
}

struct str run_keep(struct run *r, struct str s)
{
    if (!r->pending.arena)
        r->pending.arena = arena_new();
    return arena_copy(r->pending.arena, s);
}

static void copy_change(struct run *r, const struct change *old)
{
    struct change *c = run_change(r, old->kind);

    *c = *old;
    c->target = run_keep(r, old->target);
    c->key = run_keep(r, old->key);
    c->path = run_keep(r, old->path);
    c->action = run_keep(r, old->action);
    c->text = run_keep(r, old->text);
    c->uuid = run_keep(r, old->uuid);
    c->runbook = run_keep(r, old->runbook);
    c->command = run_keep(r, old->command);
    c->bundle = run_keep(r, old->bundle);
    c->params = run_keep(r, old->params);
    c->trigger = run_keep(r, old->trigger);
    c->dedup = run_keep(r, old->dedup);
    c->outcome = run_keep(r, old->outcome);
    c->reason = run_keep(r, old->reason);
}

static void append_again(struct run *r, const struct row *old)
{
    struct row *row = new_row(r, old->path, NULL, old->kind, old->name, old->args, old->payload);

    row->seq = old->seq;
    row->at = old->at;
    row->args_hash = old->args_hash;
}

/* Other branches went on behind the refused row: it leaves a row of the run's own in its place, so that the refusal
 * comes in a replay when it came here, behind theirs. */
static void fill_place(struct run *r, const struct row *last, const char *refusal)
{
    struct buf why = BUF_INIT(4 * KIB);
    struct json_object o;
    struct row *row;

    json_open(&o, &why);
    json_put_string(&o, "why", str_of(refusal));
    json_close(&o);
    row = new_row(r, STR(""), NULL, ROW_SKIP, last->name, STR(""), (struct str){why.data, why.len});
    row->at = last->at;
    run_consume(r, NULL, NULL, row, false);
    buf_free(&why);
}

/* A refused item happened in no part: what stood before its last row goes back into the pending batch
 * with its changes, and `refused` (which appends exactly one row) takes the last row's place if nothing was
 * appended meanwhile. */
static void give_back(struct run *r, struct barrier *b, const struct row *last, const char *refusal)
{
    struct batch later = r->pending;
    int64_t next_seq = r->next_seq;
    size_t i;

    r->pending = (struct batch){0};
    for (i = 0; i + 1 < b->batch.nrows; i++)
        append_again(r, &b->batch.rows[i]);
    for (i = 0; i + b->conditional_changes < b->batch.nchanges; i++)
        copy_change(r, &b->batch.changes[i]);
    r->next_seq = last->seq;
    if (later.nrows)
        fill_place(r, last, refusal);
    for (i = 0; i < later.nrows; i++)
        append_again(r, &later.rows[i]);
    for (i = 0; i < later.nchanges; i++)
        copy_change(r, &later.changes[i]);
    r->next_seq = later.nrows ? next_seq : last->seq;
    batch_reset(&later);
    b->done(r, b->ctx, last, refusal);
}

static void committed(void *ctx, const struct journal_item *item, const struct err *e)
{
    struct run *r = ctx;
    struct barrier b = r->barrier;
    struct row last = {0};
    struct err fenced = {0};

    r->barrier = (struct barrier){0};
    r->engine->moved = r;
    if (e) {
        batch_reset(&b.batch);
        engine_fatal(r->engine, e);
        return;
    }
    if (item->result == ITEM_FENCED) {
        batch_reset(&b.batch);
        err_set(&fenced, ERR_BUSY, "run %lld was taken over by another owner", (long long)r->id);
        run_fail(r, &fenced);
        return;
    }
    if (r->phase == PHASE_SETTLED) {    /* what waited for it is gone */
        batch_reset(&b.batch);
        return;
    }
    if (b.batch.nrows)
        last = b.batch.rows[b.batch.nrows - 1];
    if (item->result == ITEM_REFUSED)
        give_back(r, &b, &last, item->refusal);
    else if (b.done)
        b.done(r, b.ctx, &last, NULL);
    recycle(r, &b.batch);
}

static void flushed(void *ctx, const struct journal_item *item, const struct err *e)
{
    struct run *r = ctx;
    struct err fenced = {0};

    r->flushes--;
    if (e) {
        engine_fatal(r->engine, e);
    } else if (item->result != ITEM_COMMITTED) {
        err_set(&fenced, ERR_BUSY, "run %lld was taken over by another owner", (long long)r->id);
        run_fail(r, &fenced);
    }
}

static struct journal_item item_of(struct run *r, const struct batch *b)
{
    return (struct journal_item){
        .run = r->id, .epoch = r->epoch, .rows = b->rows, .nrows = b->nrows, .changes = b->changes,
        .nchanges = b->nchanges, .at = r->last_at,
    };
}

bool run_commit(struct run *r, const struct guard *guards, size_t nguards, size_t conditional_changes,
                void (*done)(struct run *, void *, const struct row *, const char *), void *ctx)
{
    struct barrier *b = &r->barrier;
    struct journal_item item;
    struct err e = {0};

    if (b->active)
        return false;
    b->active = true;
    b->batch = r->pending;
    r->pending = r->spare;
    r->spare = (struct batch){0};
    b->done = done;
    b->ctx = ctx;
    b->conditional_changes = conditional_changes;
    item = item_of(r, &b->batch);
    item.guards = guards;
    item.nguards = nguards;
    if (writer_submit(engine_opts(r->engine)->writer, &item, committed, r, &e) < 0)
        engine_fatal(r->engine, &e);
    return true;
}

/* Looks and pauses can be made again; what else a row says is synced. */
static bool is_soft(const struct batch *b)
{
    size_t i;

    for (i = 0; i < b->nrows; i++) {
        if (b->rows[i].kind != ROW_OBS && b->rows[i].kind != ROW_TIMER)
            return false;
    }
    return true;
}

void run_submit(struct run *r, writer_done_fn done, void *ctx)
{
    struct journal_item item = item_of(r, &r->pending);
    struct err e = {0};

    item.soft = is_soft(&r->pending);
    if (writer_submit(engine_opts(r->engine)->writer, &item, done, ctx, &e) < 0)
        engine_fatal(r->engine, &e);
    batch_empty(&r->pending);
}

static void flush_time(void *ctx)
{
    ((struct run *)ctx)->flush_timer = NULL;    /* the turn that follows looks */
}

void run_flush_now(struct run *r)
{
    if (r->replay_only || r->barrier.active || (r->pending.nrows == 0 && r->pending.nchanges == 0))
        return;
    r->flushes++;
    run_submit(r, flushed, r);
}

void run_flush_if_due(struct run *r)
{
    struct host *h = engine_host(r->engine);
    int64_t left = r->pending.since + FLUSH_AFTER_MS - h->ops->mono_ms(h);
    struct err e = {0};

    if (r->replay_only || r->barrier.active || (r->pending.nrows == 0 && r->pending.nchanges == 0))
        return;
    if (left > 0) {
        if (!r->flush_timer && h->ops->timer(h, left, flush_time, r, &r->flush_timer, &e) < 0)
            run_fail(r, &e);
        return;
    }
    run_flush_now(r);
}
