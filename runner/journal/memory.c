/* SPDX-License-Identifier: Apache-2.0 */
/* The reference model: lists in memory, searched from end to end, so that what it
 * says is plainly right. SQLite is compared with it; scenarios run on it. */
#include "journal/memory.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

struct mem_run *memory_run(struct memory *m, int64_t id)
{
    size_t i;

    for (i = 0; i < m->nruns; i++) {
        if (m->runs[i].info.id == id)
            return &m->runs[i];
    }
    return NULL;
}

struct lock_info *memory_lock(struct memory *m, struct str target)
{
    size_t i;

    for (i = 0; i < m->nlocks; i++) {
        if (str_is(target, m->locks[i].target))
            return &m->locks[i];
    }
    return NULL;
}

void memory_text(char *out, size_t size, struct str s)
{
    s = journal_clip(s, size);
    snprintf(out, size, "%.*s", (int)s.n, s.p);
}

static void new_run(struct memory *m, const struct journal_item *item, const struct change *c)
{
    struct mem_run r = {.info = {.id = item->run, .state = RUN_RUNNING, .epoch = item->epoch, .next_seq = 1,
                                 .created_at = item->at}};
    size_t i;

    memory_text(r.info.uuid, sizeof(r.info.uuid), c->uuid);
    memory_text(r.info.runbook, sizeof(r.info.runbook), c->runbook);
    memory_text(r.info.command, sizeof(r.info.command), c->command);
    memory_text(r.info.bundle, sizeof(r.info.bundle), c->bundle);
    r.info.params = xstrndup(c->params.n ? c->params.p : "", c->params.n);
    r.info.trigger = xstrndup(c->trigger.n ? c->trigger.p : "", c->trigger.n);
    r.dedup = xstrndup(c->dedup.n ? c->dedup.p : "", c->dedup.n);
    APPEND(m->runs, m->nruns, r);
    for (i = m->nruns - 1; i > 0 && m->runs[i - 1].info.id > m->runs[i].info.id; i--) {
        struct mem_run later = m->runs[i - 1];

        m->runs[i - 1] = m->runs[i];
        m->runs[i] = later;
    }
}

static void take_lock(struct memory *m, const struct journal_item *item, const struct change *c)
{
    struct lock_info *l = memory_lock(m, c->target), fresh = {.run = item->run, .fence = 1};

    if (!l) {
        memory_text(fresh.target, sizeof(fresh.target), c->target);
        APPEND(m->locks, m->nlocks, fresh);
    } else if (l->run != item->run) {
        l->run = item->run;
        l->fence++;
    }
}

static void release(struct lock_info *l, int64_t cool_until)
{
    if (cool_until > l->cool_until) {
        l->cool_until = cool_until;
        l->cool_run = l->run;
    }
    l->run = 0;
}

static void unlock(struct memory *m, const struct journal_item *item, const struct change *c)
{
    size_t i;

    for (i = 0; i < m->nlocks; i++) {
        struct lock_info *l = &m->locks[i];

        if (l->run == item->run && (c->kind == CHANGE_UNLOCK_ALL || str_is(c->target, l->target)))
            release(l, c->n);
    }
}

static struct effect_info *find_effect(struct memory *m, int64_t run, struct str path)
{
    size_t i;

    for (i = 0; i < m->neffects; i++) {
        if (m->effects[i].run == run && str_is(path, m->effects[i].path))
            return &m->effects[i];
    }
    return NULL;
}

static void new_effect(struct memory *m, const struct journal_item *item, const struct change *c)
{
    struct effect_info *again = find_effect(m, item->run, c->path);
    struct effect_info x = {.run = item->run, .intent_seq = c->seq, .counts_at = c->n, .state = EFFECT_INTENDED};

    if (again) {
        again->intent_seq = c->seq;
        again->state = EFFECT_INTENDED;
        return;
    }
    memory_text(x.key, sizeof(x.key), c->key);
    memory_text(x.path, sizeof(x.path), c->path);
    memory_text(x.action, sizeof(x.action), c->action);
    memory_text(x.target, sizeof(x.target), c->target);
    APPEND(m->effects, m->neffects, x);
}

static void change_effect(struct memory *m, const struct journal_item *item, const struct change *c)
{
    struct effect_info *x = find_effect(m, item->run, c->path);

    if (!x)
        return;
    x->state = c->effect_state;
    if (c->seq > 0)
        x->result_seq = c->seq;
}

static void change_escalation(struct memory *m, const struct journal_item *item, const struct change *c)
{
    struct escalation_info x = {.id = (int64_t)m->nescalations + 1, .run = item->run, .at = item->at, .open = true};
    size_t i;

    if (c->n) {
        memory_text(x.text, sizeof(x.text), c->text);
        APPEND(m->escalations, m->nescalations, x);
        return;
    }
    for (i = 0; i < m->nescalations; i++) {
        if (m->escalations[i].run == item->run)
            m->escalations[i].open = false;
    }
}

static void change_halt(struct memory *m, const struct change *c)
{
    struct str why = journal_clip(c->text, KIB);

    m->halted = c->n != 0;
    free(m->halt_why);
    m->halt_why = xstrndup(why.p, why.n);
}

static void apply_change(struct memory *m, const struct journal_item *item, const struct change *c)
{
    struct mem_run *r = memory_run(m, item->run);

    switch (c->kind) {
    case CHANGE_RUN_NEW:
        break;      /* done first */
    case CHANGE_RUN_STATE:
        r->info.state = c->run_state;
        r->info.wake_at = c->n;
        break;
    case CHANGE_RUN_END:
        r->info.state = RUN_ENDED;
        r->info.ended_at = item->at;
        memory_text(r->info.outcome, sizeof(r->info.outcome), c->outcome);
        memory_text(r->info.reason, sizeof(r->info.reason), c->reason);
        break;
    case CHANGE_RUN_EPOCH:
        r->info.epoch = c->n;
        break;
    case CHANGE_LOCK:
        take_lock(m, item, c);
        break;
    case CHANGE_UNLOCK:
    case CHANGE_UNLOCK_ALL:
        unlock(m, item, c);
        break;
    case CHANGE_EFFECT_NEW:
        new_effect(m, item, c);
        break;
    case CHANGE_EFFECT_STATE:
        change_effect(m, item, c);
        break;
    case CHANGE_ESCALATION:
        change_escalation(m, item, c);
        break;
    case CHANGE_HALT:
        change_halt(m, c);
        break;
    default:
        memory_policy(m, item, c);
        break;
    }
}

static struct row copy_row(const struct row *r)
{
    struct row c = *r;

    c.path.p = xstrndup(r->path.n ? r->path.p : "", r->path.n);
    c.name.p = xstrndup(r->name.n ? r->name.p : "", r->name.n);
    c.args.p = xstrndup(r->args.n ? r->args.p : "", r->args.n);
    c.payload.p = xstrndup(r->payload.n ? r->payload.p : "", r->payload.n);
    return c;
}

static int add_rows(struct memory *m, const struct journal_item *item, struct err *e)
{
    struct mem_run *r = item->run ? memory_run(m, item->run) : &m->system;
    size_t i;

    if (item->nrows && item->rows[0].seq != r->info.next_seq)
        return err_set(e, ERR_CORRUPT, "run %lld: row %lld where %lld is next", (long long)item->run,
                       (long long)item->rows[0].seq, (long long)r->info.next_seq);
    for (i = 0; i < item->nrows; i++) {
        struct row copy = copy_row(&item->rows[i]);

        r->info.chain = copy.chain = journal_chain(&r->info.chain, &copy);
        r->info.next_seq++;
        APPEND(r->rows, r->nrows, copy);
    }
    return 0;
}

static bool creates(const struct journal_item *item)
{
    return item->nchanges && item->changes[0].kind == CHANGE_RUN_NEW;
}

/* The epoch that the item's author holds the run by; a take-over must bring a newer one. */
static bool is_fenced(struct memory *m, const struct journal_item *item)
{
    const struct mem_run *r = memory_run(m, item->run);
    size_t i;

    if (item->run == 0 || creates(item))
        return false;
    for (i = 0; r && i < item->nchanges; i++) {
        if (item->changes[i].kind == CHANGE_RUN_EPOCH)
            return item->changes[i].n <= r->info.epoch;
    }
    return !r || r->info.epoch != item->epoch;
}

/* The name of what turns the item away, or NULL. */
static const char *refuses(struct memory *m, const struct journal_item *item)
{
    size_t i;

    for (i = 0; i < item->nguards; i++) {
        if (!memory_guard(m, item, &item->guards[i]))
            return guard_refusal(item->guards[i].kind);
    }
    for (i = 0; creates(item) && item->changes[0].dedup.n && i < m->nruns; i++) {
        if (str_is(item->changes[0].dedup, m->runs[i].dedup))
            return "duplicate";
    }
    return NULL;
}

static int do_item(struct memory *m, struct journal_item *item, struct err *e)
{
    size_t i;

    item->refusal = NULL;
    item->result = is_fenced(m, item) ? ITEM_FENCED : ITEM_COMMITTED;
    if (item->result == ITEM_COMMITTED)
        item->refusal = refuses(m, item);
    if (item->refusal)
        item->result = ITEM_REFUSED;
    if (item->result != ITEM_COMMITTED)
        return 0;
    if (creates(item))
        new_run(m, item, &item->changes[0]);
    if (add_rows(m, item, e) < 0)
        return e->code;
    for (i = 0; i < item->nchanges; i++)
        apply_change(m, item, &item->changes[i]);
    return 0;
}

static int commit(struct journal *j, struct journal_item *items, size_t n, struct err *e)
{
    struct memory *m = (struct memory *)j;
    struct err own = {0};
    size_t i;

    e = e ? e : &own;
    if (m->dead)
        return err_set(e, ERR_DISK, "the journal is dead: an earlier write failed");
    for (i = 0; i < n; i++) {
        if (journal_check(&items[i], e) < 0)
            return e->code;
    }
    if (m->o.point && (m->o.point(m->o.ctx, "begin") < 0 || m->o.point(m->o.ctx, "commit") < 0)) {
        m->dead = true;
        return err_set(e, ERR_DISK, "journal: the commit failed");
    }
    for (i = 0; i < n; i++) {
        if (do_item(m, &items[i], e) < 0) {
            m->dead = true;
            return e->code;
        }
    }
    m->dead = m->o.point && m->o.point(m->o.ctx, "committed") < 0;
    return m->dead ? err_set(e, ERR_DISK, "journal: the commit failed") : 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct mem_file *)a)->path, ((const struct mem_file *)b)->path);
}

static int put_bundle(struct journal *j, const char *id, struct str meta, const struct blob_ref *files, size_t n,
                      struct err *e)
{
    struct memory *m = (struct memory *)j;
    struct mem_bundle b = {.meta_len = meta.n};
    struct mem_file f;
    size_t i;

    (void)e;
    for (i = 0; i < m->nbundles; i++) {
        if (strcmp(m->bundles[i].id, id) == 0)
            return 0;       /* content-addressed: the same id is the same bundle */
    }
    b.id = xstrdup(id);
    b.meta = xstrndup(meta.n ? meta.p : "", meta.n);
    for (i = 0; i < n; i++) {
        f = (struct mem_file){.path = xstrdup(files[i].path), .data = files[i].data};
        if (!files[i].stays)
            f.data.p = f.owned = xmemdup(f.data.n ? f.data.p : "", f.data.n);
        APPEND(b.files, b.nfiles, f);
    }
    qsort(b.nfiles ? (void *)b.files : (void *)&f, b.nfiles, sizeof(f), by_path);
    APPEND(m->bundles, m->nbundles, b);
    return 0;
}

static int64_t next_run(struct journal *j)
{
    return ++((struct memory *)j)->last_id;
}

static void free_run(struct mem_run *r)
{
    size_t i;

    for (i = 0; i < r->nrows; i++) {
        free((char *)r->rows[i].path.p);
        free((char *)r->rows[i].name.p);
        free((char *)r->rows[i].args.p);
        free((char *)r->rows[i].payload.p);
    }
    free(r->rows);
    free(r->dedup);
    run_info_deinit(&r->info);
}

static void free_bundle(struct mem_bundle *b)
{
    size_t i;

    for (i = 0; i < b->nfiles; i++) {
        free(b->files[i].path);
        free(b->files[i].owned);
    }
    free(b->files);
    free(b->id);
    free(b->meta);
}

static void memory_free(struct journal *j)
{
    struct memory *m = (struct memory *)j;
    size_t i;

    for (i = 0; i < m->nruns; i++)
        free_run(&m->runs[i]);
    for (i = 0; i < m->nbundles; i++)
        free_bundle(&m->bundles[i]);
    free_run(&m->system);
    free(m->runs);
    free(m->bundles);
    free(m->escalations);
    free(m->locks);
    free(m->effects);
    free(m->revoked);
    free(m->breakers);
    free(m->approvals);
    free(m->halt_why);
    free(m);
}

int journal_memory_open(const struct journal_options *o, struct journal **out, struct err *e)
{
    static struct journal_ops ops;
    struct memory *m = xcalloc(1, sizeof(*m));

    (void)e;
    ops = memory_reads;
    ops.commit = commit;
    ops.put_bundle = put_bundle;
    ops.next_run = next_run;
    ops.free = memory_free;
    m->base.ops = &ops;
    m->system.info.next_seq = 1;
    if (o)
        m->o = *o;
    *out = &m->base;
    return 0;
}
