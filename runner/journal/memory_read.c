/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of the memory journal, in the same orders as of SQLite. */
#include "journal/memory.h"

#include <stdlib.h>

static const struct mem_bundle *find_bundle(const struct memory *m, const char *id, struct err *e)
{
    size_t i;

    for (i = 0; i < m->nbundles; i++) {
        if (strcmp(m->bundles[i].id, id) == 0)
            return &m->bundles[i];
    }
    err_set(e, ERR_NOT_FOUND, "the journal has no bundle %.12s", id);
    return NULL;
}

static int get_bundle(struct journal *j, const char *id, struct buf *meta, blob_fn fn, void *ctx, struct err *e)
{
    const struct mem_bundle *b = find_bundle((struct memory *)j, id, e);
    size_t i;

    if (!b)
        return ERR_NOT_FOUND;
    buf_add(meta, b->meta, b->meta_len);
    for (i = 0; fn && i < b->nfiles; i++) {
        if (!fn(ctx, b->files[i].path, b->files[i].data))
            break;
    }
    return 0;
}

static int get_file(struct journal *j, const char *id, const char *path, struct buf *out, struct err *e)
{
    const struct mem_bundle *b = find_bundle((struct memory *)j, id, e);
    size_t i;

    for (i = 0; b && i < b->nfiles; i++) {
        if (strcmp(b->files[i].path, path) != 0)
            continue;
        buf_add(out, b->files[i].data.p, b->files[i].data.n);
        return 0;
    }
    return b ? err_set(e, ERR_NOT_FOUND, "the journal has no %s of bundle %.12s", path, id) : ERR_NOT_FOUND;
}

static struct run_info copy_info(const struct run_info *r)
{
    struct run_info c = *r;

    c.params = xstrdup(r->params);
    c.trigger = xstrdup(r->trigger);
    return c;
}

static int get_run(struct journal *j, int64_t id, struct run_info *out, struct err *e)
{
    struct mem_run *r = memory_run((struct memory *)j, id);

    if (!r)
        return err_set(e, ERR_NOT_FOUND, "there is no run %lld", (long long)id);
    *out = copy_info(&r->info);
    return 0;
}

static int find_run(struct journal *j, struct str prefix, int64_t *id, struct err *e)
{
    struct memory *m = (struct memory *)j;
    size_t i, n = 0;

    for (i = 0; i < m->nruns; i++) {
        if (strncmp(m->runs[i].info.uuid, prefix.p, prefix.n) != 0)
            continue;
        *id = m->runs[i].info.id;
        n++;
    }
    if (n == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no run '%.*s'", (int)prefix.n, prefix.p);
    return n == 1 ? 0 : err_set(e, ERR_INVALID, "several runs begin with '%.*s'", (int)prefix.n, prefix.p);
}

static int runs(struct journal *j, bool open_only, run_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    size_t i;

    (void)e;
    for (i = m->nruns; i > 0; i--) {
        const struct run_info *r = &m->runs[i - 1].info;

        if ((!open_only || r->state != RUN_ENDED) && !fn(ctx, r))
            break;
    }
    return 0;
}

static int by_wake(const void *a, const void *b)
{
    const struct run_info *x = *(const struct run_info *const *)a, *y = *(const struct run_info *const *)b;

    if (x->wake_at != y->wake_at)
        return x->wake_at < y->wake_at ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int agenda(struct journal *j, enum run_state state, agenda_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    const struct run_info **list = xcalloc(m->nruns + 1, sizeof(*list));
    size_t i, n = 0;

    (void)e;
    for (i = 0; i < m->nruns; i++) {
        if (m->runs[i].info.state == state && state != RUN_ENDED)
            list[n++] = &m->runs[i].info;
    }
    qsort(list, n, sizeof(*list), by_wake);
    for (i = 0; i < n && fn(ctx, list[i]->id, state, list[i]->wake_at); i++)
        ;
    free(list);
    return 0;
}

static int reader(struct journal *j, struct journal **out, struct err *e)
{
    (void)j, (void)out;
    return err_set(e, ERR_INVALID, "a journal in memory is read by the thread that has it");
}

static int rows(struct journal *j, int64_t run, int64_t from_seq, row_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    struct mem_run *r = run ? memory_run(m, run) : &m->system;
    size_t i;

    (void)e;
    for (i = 0; r && i < r->nrows; i++) {
        if (r->rows[i].seq >= from_seq && !fn(ctx, &r->rows[i]))
            break;
    }
    return 0;
}

static int by_target(const void *a, const void *b)
{
    return strcmp(((const struct lock_info *)a)->target, ((const struct lock_info *)b)->target);
}

static int locks(struct journal *j, lock_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    struct lock_info *sorted = xmemdup(m->locks ? (void *)m->locks : "", m->nlocks * sizeof(*sorted));
    size_t i;

    (void)e;
    qsort(sorted, m->nlocks, sizeof(*sorted), by_target);
    for (i = 0; i < m->nlocks && fn(ctx, &sorted[i]); i++)
        ;
    free(sorted);
    return 0;
}

static int by_intent(const void *a, const void *b)
{
    const struct effect_info *x = a, *y = b;

    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return x->intent_seq < y->intent_seq ? -1 : x->intent_seq > y->intent_seq;
}

static int effects(struct journal *j, int64_t run, effect_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    struct effect_info *sorted = xmemdup(m->effects ? (void *)m->effects : "", m->neffects * sizeof(*sorted));
    size_t i;

    (void)e;
    qsort(sorted, m->neffects, sizeof(*sorted), by_intent);
    for (i = 0; i < m->neffects; i++) {
        if ((run == -1 || sorted[i].run == run) && !fn(ctx, &sorted[i]))
            break;
    }
    free(sorted);
    return 0;
}

static int halted(struct journal *j, bool *on, struct buf *why, struct err *e)
{
    struct memory *m = (struct memory *)j;

    (void)e;
    *on = m->halted;
    if (m->halted && why)
        buf_adds(why, m->halt_why);
    return 0;
}

static int escalations(struct journal *j, bool open_only, escalation_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    size_t i;

    (void)e;
    for (i = 0; i < m->nescalations; i++) {
        if ((!open_only || m->escalations[i].open) && !fn(ctx, &m->escalations[i]))
            break;
    }
    return 0;
}

static int by_commit(const void *a, const void *b)
{
    return strcmp(((const struct revoked_info *)a)->commit, ((const struct revoked_info *)b)->commit);
}

static int revoked(struct journal *j, revoked_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    size_t i;

    (void)e;
    if (m->nrevoked)
        qsort(m->revoked, m->nrevoked, sizeof(*m->revoked), by_commit);
    for (i = 0; i < m->nrevoked && fn(ctx, &m->revoked[i]); i++)
        ;
    return 0;
}

static int by_runbook(const void *a, const void *b)
{
    return strcmp(((const struct breaker_info *)a)->runbook, ((const struct breaker_info *)b)->runbook);
}

static int breakers(struct journal *j, breaker_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    size_t i;

    (void)e;
    if (m->nbreakers)
        qsort(m->breakers, m->nbreakers, sizeof(*m->breakers), by_runbook);
    for (i = 0; i < m->nbreakers && fn(ctx, &m->breakers[i]); i++)
        ;
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct approval_info *x = a, *y = b;

    return x->run != y->run ? (x->run < y->run ? -1 : 1) : strcmp(x->path, y->path);
}

static int approvals(struct journal *j, approval_fn fn, void *ctx, struct err *e)
{
    struct memory *m = (struct memory *)j;
    size_t i;

    (void)e;
    if (m->napprovals)
        qsort(m->approvals, m->napprovals, sizeof(*m->approvals), by_path);
    for (i = 0; i < m->napprovals && fn(ctx, &m->approvals[i]); i++)
        ;
    return 0;
}

static int guard(struct journal *j, const struct journal_item *item, const struct guard *g, struct err *e)
{
    (void)e;
    return memory_guard((struct memory *)j, item, g);
}

const struct journal_ops memory_reads = {
    .guard = guard,
    .get_bundle = get_bundle, .get_file = get_file, .get_run = get_run, .find_run = find_run, .runs = runs,
    .agenda = agenda, .reader = reader,
    .rows = rows, .locks = locks, .effects = effects, .halted = halted, .escalations = escalations, .revoked = revoked,
    .breakers = breakers, .approvals = approvals,
};
