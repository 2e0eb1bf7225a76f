/* SPDX-License-Identifier: Apache-2.0 */
/* The journal thread. Items queue up while a commit is under way, and the next
 * commit takes all of them: one fsync for as many runs as are waiting. Bundles are
 * queued like items, so that a bundle is in the same transaction as its run.
 *
 * Between writer_gather and writer_hand_over the loop thread holds what is submitted until it has HELD_MAX of it or
 * looks for what was committed, before which it could not go on anyway: a commit costs the same for one item as for
 * many. */
#include "journal/writer.h"

#include <pthread.h>
#include <stdlib.h>

enum { HELD_MAX = 16 };

struct entry {
    struct entry *next;
    struct journal_item item;       /* all it points to lies behind the entry */
    writer_done_fn done;
    void *ctx;
    bool begins;                    /* writer_begin: item is unused */
    char *bundle_id;                /* set for a bundle: then, too */
    struct str meta;
    struct blob_ref *files;
    size_t nfiles;
};

struct queue {
    struct entry *first, **last;
};

struct writer {
    struct journal *journal, *reader;   /* reader: the loop thread's own, made when it is first wanted */
    bool threaded, begun, stopping, working;
    void (*wake)(void *ctx);
    void *wake_ctx;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct queue waiting, finished;
    struct queue held;              /* of the loop thread: submitted, and to be handed over */
    size_t nheld;
    bool gathers;
    struct queue taken;             /* of the loop thread: committed, and to be delivered */
    struct err taken_failure;
    int64_t commits;
    struct err failure;             /* sticky */
};

static void push(struct queue *q, struct entry *x)
{
    x->next = NULL;
    if (!q->first)
        q->last = &q->first;
    *q->last = x;
    q->last = &x->next;
}

static struct entry *take_all(struct queue *q)
{
    struct entry *first = q->first;

    q->first = NULL;
    return first;
}

/* Adds what is in `from` to `to`. */
static void move_all(struct queue *to, struct queue *from)
{
    if (!from->first)
        return;
    if (!to->first)
        to->last = &to->first;
    *to->last = from->first;
    to->last = from->last;
    from->first = NULL;
}

/* Commits a chain of entries as one batch. */
static void commit_batch(struct writer *w, struct entry *batch, struct err *failure)
{
    struct journal_item items[64];
    struct entry *members[64], *x = batch;
    size_t n, i;

    while (x) {
        for (n = 0; x && n < 64; x = x->next) {
            if (failure->code)
                continue;
            if (x->begins) {
                w->journal->ops->begin(w->journal, failure);
            } else if (x->bundle_id) {
                w->journal->ops->put_bundle(w->journal, x->bundle_id, x->meta, x->files, x->nfiles, failure);
            } else {
                members[n] = x;
                items[n++] = x->item;
            }
        }
        if (n == 0 || failure->code)
            continue;
        if (w->journal->ops->commit(w->journal, items, n, failure) < 0)
            continue;
        __atomic_add_fetch(&w->commits, 1, __ATOMIC_RELAXED);
        for (i = 0; i < n; i++) {
            members[i]->item.result = items[i].result;
            members[i]->item.refusal = items[i].refusal;
        }
    }
}

static void move_to_finished(struct writer *w, struct entry *batch)
{
    struct entry *x, *next;

    for (x = batch; x; x = next) {
        next = x->next;
        push(&w->finished, x);
    }
}

static void *work(void *arg)
{
    struct writer *w = arg;
    struct entry *batch;
    struct err failure = {0};

    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->waiting.first && !w->stopping)
            pthread_cond_wait(&w->changed, &w->mutex);
        batch = take_all(&w->waiting);
        if (!batch)
            break;
        w->working = true;
        pthread_mutex_unlock(&w->mutex);
        commit_batch(w, batch, &failure);
        pthread_mutex_lock(&w->mutex);
        w->failure = failure;
        move_to_finished(w, batch);
        w->working = false;
        pthread_cond_broadcast(&w->changed);
        if (w->wake)
            w->wake(w->wake_ctx);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

int writer_new(struct journal *j_take, bool threaded, void (*wake)(void *ctx), void *wake_ctx, struct writer **out,
               struct err *e)
{
    struct writer *w = xcalloc(1, sizeof(*w));
    int why;

    w->journal = j_take;
    w->threaded = threaded;
    w->wake = wake;
    w->wake_ctx = wake_ctx;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    if (threaded && (why = pthread_create(&w->thread, NULL, work, w)) != 0) {
        w->threaded = false;
        writer_free(w);
        return err_set(e, ERR_IO, "the journal thread cannot be started: %s", strerror(why));
    }
    *out = w;
    return 0;
}

/* One allocation for an entry and all it points to: sizes first, then copies. */
struct packer {
    char *to;       /* NULL while measuring */
    size_t used;
};

static size_t aligned(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static void *place(struct packer *k, const void *from, size_t n)
{
    void *at = k->to ? k->to + k->used : NULL;

    k->used += aligned(n);
    if (at && n)
        memcpy(at, from, n);
    return at;
}

static void place_str(struct packer *k, struct str *s)
{
    const char *at = s->n ? place(k, s->p, s->n) : NULL;

    if (at)
        s->p = at;
}

static void pack_rows(struct packer *k, struct journal_item *item)
{
    struct row *rows = place(k, item->rows, item->nrows * sizeof(*rows));
    size_t i;

    for (i = 0; i < item->nrows; i++) {
        struct row r = item->rows[i];

        place_str(k, &r.path);
        place_str(k, &r.name);
        place_str(k, &r.args);
        place_str(k, &r.payload);
        if (rows)
            rows[i] = r;
    }
    if (rows)
        item->rows = rows;
}

static void pack_guards(struct packer *k, struct journal_item *item)
{
    struct guard *guards = place(k, item->guards, item->nguards * sizeof(*guards));
    size_t i, t;

    for (i = 0; i < item->nguards; i++) {
        struct guard g = item->guards[i];
        struct str *texts[] = {&g.target, &g.commit, &g.path, &g.action, &g.pattern, &g.runbook};

        for (t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
            place_str(k, texts[t]);
        if (guards)
            guards[i] = g;
    }
    if (guards)
        item->guards = guards;
}

static void pack_changes(struct packer *k, struct journal_item *item)
{
    struct change *changes = place(k, item->changes, item->nchanges * sizeof(*changes));
    size_t i, t;

    for (i = 0; i < item->nchanges; i++) {
        struct change c = item->changes[i];
        struct str *texts[] = {&c.target, &c.key,    &c.path,    &c.action,  &c.text,  &c.uuid,    &c.runbook,
                               &c.command, &c.bundle, &c.params, &c.trigger, &c.dedup, &c.outcome, &c.reason};

        for (t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
            place_str(k, texts[t]);
        if (changes)
            changes[i] = c;
    }
    if (changes)
        item->changes = changes;
}

static void pack(struct packer *k, struct journal_item *item)
{
    pack_rows(k, item);
    pack_guards(k, item);
    pack_changes(k, item);
}

static void hand_over(struct writer *w)
{
    if (!w->held.first)
        return;
    pthread_mutex_lock(&w->mutex);
    move_all(&w->waiting, &w->held);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    w->nheld = 0;
}

void writer_gather(struct writer *w)
{
    w->gathers = true;
}

void writer_hand_over(struct writer *w)
{
    w->gathers = false;
    hand_over(w);
}

static int submit(struct writer *w, struct entry *x)
{
    push(&w->held, x);
    if (++w->nheld == HELD_MAX || !w->gathers)
        hand_over(w);
    return 0;
}

void writer_begin(struct writer *w)
{
    struct entry *x;

    if (!w->threaded || w->begun || !w->journal->ops->begin)
        return;
    w->begun = true;
    x = xcalloc(1, sizeof(*x));
    x->begins = true;
    submit(w, x);
    hand_over(w);
}

int writer_submit(struct writer *w, const struct journal_item *item, writer_done_fn done, void *ctx, struct err *e)
{
    struct packer k = {0};
    struct journal_item copy = *item;
    struct entry *x;

    if (journal_check(item, e) < 0)
        return e ? e->code : ERR_CORRUPT;
    pack(&k, &copy);
    x = xmalloc(aligned(sizeof(*x)) + k.used);
    k = (struct packer){.to = (char *)x + aligned(sizeof(*x))};
    *x = (struct entry){.item = *item, .done = done, .ctx = ctx};
    pack(&k, &x->item);
    return submit(w, x);
}

int writer_put_bundle(struct writer *w, const char *id, struct str meta, const struct blob_ref *files, size_t n,
                      struct err *e)
{
    struct packer k = {0};
    struct entry *x;
    size_t i, size = aligned(sizeof(*x)) + aligned(strlen(id) + 1) + aligned(meta.n) + aligned(n * sizeof(*files));

    (void)e;
    for (i = 0; i < n; i++)
        size += aligned(strlen(files[i].path) + 1) + (files[i].stays ? 0 : aligned(files[i].data.n));
    x = xcalloc(1, size);
    k.to = (char *)x + aligned(sizeof(*x));
    x->bundle_id = place(&k, id, strlen(id) + 1);
    x->meta = (struct str){place(&k, meta.p, meta.n), meta.n};
    x->files = place(&k, files, n * sizeof(*files));
    x->nfiles = n;
    for (i = 0; i < n; i++) {
        x->files[i].path = place(&k, files[i].path, strlen(files[i].path) + 1);
        if (!files[i].stays)
            x->files[i].data.p = place(&k, files[i].data.p, files[i].data.n);
    }
    return submit(w, x);
}

static void commit_inline(struct writer *w)
{
    struct entry *batch = take_all(&w->waiting);

    if (!batch)
        return;
    commit_batch(w, batch, &w->failure);
    move_to_finished(w, batch);
}

void writer_collect(struct writer *w)
{
    hand_over(w);
    if (!w->threaded)
        commit_inline(w);
    pthread_mutex_lock(&w->mutex);
    move_all(&w->taken, &w->finished);
    w->taken_failure = w->failure;
    pthread_mutex_unlock(&w->mutex);
}

bool writer_deliver(struct writer *w)
{
    struct entry *x = w->taken.first;
    struct err failure = w->taken_failure;

    if (!x)
        return false;
    w->taken.first = x->next;
    if (x->done)
        x->done(x->ctx, &x->item, failure.code ? &failure : NULL);
    free(x);
    return true;
}

size_t writer_poll(struct writer *w)
{
    size_t n = 0;

    writer_collect(w);
    while (writer_deliver(w))
        n++;
    return n;
}

int writer_flush(struct writer *w, struct err *e)
{
    hand_over(w);
    pthread_mutex_lock(&w->mutex);
    while (w->threaded && (w->waiting.first || w->working))
        pthread_cond_wait(&w->changed, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    writer_poll(w);
    if (w->failure.code && e)
        *e = w->failure;
    return w->failure.code;
}

int64_t writer_commits(const struct writer *w)
{
    return __atomic_load_n(&w->commits, __ATOMIC_RELAXED);
}

struct journal *writer_reader(struct writer *w, struct err *e)
{
    if (!w->threaded)
        return w->journal;
    if (!w->reader && w->journal->ops->reader(w->journal, &w->reader, e) < 0)
        return NULL;
    return w->reader;
}

struct journal *writer_journal(struct writer *w)
{
    return w->journal;
}

void writer_stop(struct writer *w)
{
    if (!w || !w->threaded)
        return;
    hand_over(w);
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

void writer_free(struct writer *w)
{
    struct entry *x, *next;

    if (!w)
        return;
    if (w->threaded) {
        writer_stop(w);
        pthread_join(w->thread, NULL);
    }
    move_all(&w->taken, &w->finished);
    move_all(&w->taken, &w->waiting);
    move_all(&w->taken, &w->held);
    for (x = take_all(&w->taken); x; x = next) {
        next = x->next;
        free(x);
    }
    if (w->reader)
        w->reader->ops->free(w->reader);
    w->journal->ops->free(w->journal);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->changed);
    free(w);
}
