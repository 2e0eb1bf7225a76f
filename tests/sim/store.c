/* SPDX-License-Identifier: Apache-2.0 */
/* A journal between the engine and the real one: it outlives its owner, remembers for
 * the checks what became durable, and fails or lies on demand. */
#include "sim.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

struct store {
    struct journal base;
    struct sim *sim;
    bool dead;
    bool lying;                 /* planted: says committed, and does nothing */
    bool showing;               /* planted: rows look as the fault would have left them */
};

static struct sim *sim_of(struct journal *j)
{
    return ((struct store *)j)->sim;
}

static void remember_intent(struct sim *s, int64_t run, const struct change *c)
{
    char key[33];
    struct known *k;

    snprintf(key, sizeof(key), "%.*s", (int)c->key.n, c->key.p);
    k = world_known(s, key);
    if (!k && s->nknown == KEYS_MAX)
        abort();
    if (!k) {
        k = &s->known[s->nknown++];
        *k = (struct known){.run = run, .first_at = sim_now(s)};
        snprintf(k->key, sizeof(k->key), "%s", key);
        snprintf(k->path, sizeof(k->path), "%.*s", (int)c->path.n, c->path.p);
        snprintf(k->target, sizeof(k->target), "%.*s", (int)c->target.n, c->target.p);
    }
    k->intents++;
}

static void remember(struct sim *s, const struct journal_item *item)
{
    for (size_t i = 0; item->result == ITEM_COMMITTED && i < item->nchanges; i++) {
        const struct change *c = &item->changes[i];

        if (c->kind == CHANGE_EFFECT_NEW)
            remember_intent(s, item->run, c);
        if (c->kind == CHANGE_RUN_NEW && s->ndurable < 64)
            s->durable[s->ndurable++] = (struct durable){.id = item->run, .began_at = sim_now(s)};
        for (size_t k = 0; c->kind == CHANGE_RUN_END && k < s->ndurable; k++) {
            if (s->durable[k].id == item->run)
                s->durable[k].ended_at = sim_now(s);
        }
    }
}

/* The changes of an item as a planted fault leaves them. Owned, or NULL where it leaves them alone. */
static struct change *planted_changes(struct sim *s, const struct journal_item *item, size_t *n)
{
    struct change *out;

    *n = 0;
    if (s->plant != PLANT_NO_ESCALATION && s->plant != PLANT_KEEP_LOCKS && s->plant != PLANT_FREE_LOCKS)
        return NULL;
    out = xcalloc(item->nchanges + 1, sizeof(*out));
    for (size_t i = 0; i < item->nchanges; i++) {
        enum change_kind kind = item->changes[i].kind;

        if ((s->plant == PLANT_NO_ESCALATION && kind == CHANGE_ESCALATION) ||
            (s->plant == PLANT_KEEP_LOCKS && (kind == CHANGE_UNLOCK || kind == CHANGE_UNLOCK_ALL)))
            continue;
        out[(*n)++] = item->changes[i];
        if (s->plant == PLANT_FREE_LOCKS && kind == CHANGE_RUN_END)
            out[(*n)++] = (struct change){.kind = CHANGE_UNLOCK_ALL};
    }
    return out;
}

static bool intends(const struct journal_item *item)
{
    for (size_t i = 0; i < item->nrows; i++) {
        if (item->rows[i].kind == ROW_INTENT)
            return true;
    }
    return false;
}

static int commit_planted(struct store *st, struct journal_item *items, size_t n, struct err *e)
{
    struct sim *s = st->sim;
    int rc = 0;

    if (s->plant == PLANT_LOSE_COMMIT && !st->lying && intends(&items[n - 1]) && rng_chance(&s->rng, 20)) {
        st->lying = true;
        s->crash_at = s->points + rng_between(&s->rng, 4, 12);
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct journal_item item = items[i];
        size_t nchanges;
        struct change *changes = planted_changes(s, &item, &nchanges);

        if (changes) {
            item.changes = changes;
            item.nchanges = nchanges;
        }
        item.nguards = s->plant == PLANT_NO_GUARDS ? 0 : item.nguards;
        if (!st->lying)
            rc = s->inner->ops->commit(s->inner, &item, 1, e);
        items[i].result = item.result;
        items[i].refusal = item.refusal;
        if (!st->lying && rc == 0)
            remember(s, &items[i]);
        free(changes);
    }
    return rc;
}

static int commit_well(struct store *st, struct journal_item *items, size_t n, struct err *e)
{
    struct sim *s = st->sim;
    int rc = s->inner->ops->commit(s->inner, items, n, e);

    for (size_t i = 0; rc == 0 && i < n; i++)
        remember(s, &items[i]);
    return rc;
}

static int commit(struct journal *j, struct journal_item *items, size_t n, struct err *e)
{
    struct store *st = (struct store *)j;
    struct sim *s = st->sim;
    int rc;

    if (st->dead || s->down)
        return err_set(e, ERR_DISK, "the journal is dead");
    for (size_t i = 0; i < n; i++) {
        if (journal_check(&items[i], e) < 0)
            return e->code;
    }
    st->dead = sim_point(s, "begin") < 0;
    if (st->dead)
        return err_set(e, ERR_DISK, "journal: disk full");
    rc = s->plant ? commit_planted(st, items, n, e) : commit_well(st, items, n, e);
    st->dead = rc < 0;
    if (rc == 0 && sim_point(s, "committed") < 0) {
        st->dead = true;
        return err_set(e, ERR_DISK, "journal: the commit failed");
    }
    return rc;
}

static int64_t next_run(struct journal *j)
{
    return sim_of(j)->inner->ops->next_run(sim_of(j)->inner);
}

static int put_bundle(struct journal *j, const char *id, struct str meta, const struct blob_ref *files, size_t n, struct err *e)
{
    struct store *st = (struct store *)j;

    if (st->dead || st->sim->down)
        return err_set(e, ERR_DISK, "the journal is dead");
    return st->sim->inner->ops->put_bundle(st->sim->inner, id, meta, files, n, e);
}

static int get_bundle(struct journal *j, const char *id, struct buf *meta, blob_fn fn, void *ctx, struct err *e)
{
    return sim_of(j)->inner->ops->get_bundle(sim_of(j)->inner, id, meta, fn, ctx, e);
}

static int get_file(struct journal *j, const char *id, const char *path, struct buf *out, struct err *e)
{
    return sim_of(j)->inner->ops->get_file(sim_of(j)->inner, id, path, out, e);
}

static int get_run(struct journal *j, int64_t id, struct run_info *out, struct err *e)
{
    if (((struct store *)j)->showing && sim_of(j)->plant == PLANT_LOSE_RUN && id == 1)
        return err_set(e, ERR_NOT_FOUND, "no run 1");
    return sim_of(j)->inner->ops->get_run(sim_of(j)->inner, id, out, e);
}

static int find_run(struct journal *j, struct str prefix, int64_t *id, struct err *e)
{
    return sim_of(j)->inner->ops->find_run(sim_of(j)->inner, prefix, id, e);
}

static int runs(struct journal *j, bool open_only, run_fn fn, void *ctx, struct err *e)
{
    return sim_of(j)->inner->ops->runs(sim_of(j)->inner, open_only, fn, ctx, e);
}

struct shown {
    enum plant plant;
    row_fn fn;
    effect_fn effect;
    void *ctx;
};

static bool has(const struct row *r, const char *text)
{
    return r->payload.n && memmem(r->payload.p, r->payload.n, text, strlen(text));
}

static bool show_row(void *ctx, const struct row *r)
{
    const struct shown *x = ctx;
    struct row row = *r;

    if (x->plant == PLANT_FALSE_ABSENT && row.kind == ROW_RESULT && has(r, "\"outcome\":\"applied\""))
        row.payload = STR("{\"outcome\":\"absent\"}");
    if (x->plant == PLANT_UNKNOWN_EVIDENCE && row.kind == ROW_OBS)
        row.payload = STR("{\"line\":1,\"o\":{\"unknown\":\"error\"}}");
    if (x->plant == PLANT_CHANGED_ROW && row.kind == ROW_OBS)
        row.payload = STR("{\"line\":1,\"o\":{\"value\":17}}");
    if (x->plant == PLANT_SILENT_END && row.kind == ROW_END)
        row.name = STR("resolved");
    if (x->plant == PLANT_NO_ANSWERS && row.kind == ROW_ANSWER && has(r, "\"yes\""))
        return true;
    if (x->plant == PLANT_TWO_ENDS && row.kind == ROW_END && !x->fn(x->ctx, &row))
        return false;
    return x->fn(x->ctx, &row);
}

static int rows(struct journal *j, int64_t run, int64_t from, row_fn fn, void *ctx, struct err *e)
{
    struct sim *s = sim_of(j);
    struct shown x = {.plant = s->plant, .fn = fn, .ctx = ctx};

    if (((struct store *)j)->showing)
        return s->inner->ops->rows(s->inner, run, from, show_row, &x, e);
    return s->inner->ops->rows(s->inner, run, from, fn, ctx, e);
}

static int locks(struct journal *j, lock_fn fn, void *ctx, struct err *e)
{
    return sim_of(j)->inner->ops->locks(sim_of(j)->inner, fn, ctx, e);
}

static bool show_effect(void *ctx, const struct effect_info *i)
{
    const struct shown *x = ctx;
    struct effect_info info = *i;

    if (x->plant == PLANT_FALSE_ABSENT && (effect_in_force(i->state) || i->state == EFFECT_UNDONE))
        info.state = EFFECT_ABSENT;
    if (x->plant == PLANT_FALSE_APPLIED && (i->state == EFFECT_MOVED || i->state == EFFECT_FAILED))
        info.state = EFFECT_VERIFIED;
    return x->effect(x->ctx, &info);
}

static int effects(struct journal *j, int64_t run, effect_fn fn, void *ctx, struct err *e)
{
    struct sim *s = sim_of(j);
    struct shown x = {.plant = s->plant, .effect = fn, .ctx = ctx};

    if (((struct store *)j)->showing)
        return s->inner->ops->effects(s->inner, run, show_effect, &x, e);
    return s->inner->ops->effects(s->inner, run, fn, ctx, e);
}

static int halted(struct journal *j, bool *on, struct buf *why, struct err *e)
{
    return sim_of(j)->inner->ops->halted(sim_of(j)->inner, on, why, e);
}

static int escalations(struct journal *j, bool open_only, escalation_fn fn, void *ctx, struct err *e)
{
    return sim_of(j)->inner->ops->escalations(sim_of(j)->inner, open_only, fn, ctx, e);
}

static int guard(struct journal *j, const struct journal_item *item, const struct guard *g, struct err *e)
{
    return sim_of(j)->inner->ops->guard(sim_of(j)->inner, item, g, e);
}

static void store_free(struct journal *j)
{
    sim_of(j)->store = NULL;
    free(j);
}

static const struct journal_ops ops = {
    .commit = commit, .next_run = next_run, .put_bundle = put_bundle, .get_bundle = get_bundle, .get_file = get_file,
    .get_run = get_run, .find_run = find_run, .runs = runs, .rows = rows, .locks = locks, .effects = effects, .halted = halted,
    .escalations = escalations, .guard = guard, .free = store_free,
};

int store_open(struct sim *s, struct journal **out, struct err *e)
{
    int rc = 0;

    if (!s->inner)
        rc = s->on_disk ? journal_sqlite_open(s->dir, "simulation", NULL, &s->inner, e) : journal_memory_open(NULL, &s->inner, e);
    if (rc < 0)
        return rc;
    s->store = xcalloc(1, sizeof(*s->store));
    s->store->base.ops = &ops;
    s->store->sim = s;
    *out = &s->store->base;
    return 0;
}

void store_close(struct sim *s)
{
    if (!s->on_disk || !s->inner)
        return;
    s->inner->ops->free(s->inner);
    s->inner = NULL;
}

void store_show_planted(struct sim *s, bool on)
{
    s->store->showing = on;
}
