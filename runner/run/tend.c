/* SPDX-License-Identifier: Apache-2.0 */
/* An engine that executes every run of its journal. What waits is a row: no memory is
 * kept for it, one timer stands for the earliest wake_at of all, and the journal says
 * which runs that is. What a dead owner left is taken up one by one; a run that ends
 * the process again and again at one place is set aside, so that the others go on. */
#include "run/run.h"

#include "base/str.h"

#include <stdlib.h>

enum {
    LOADED_MAX = 256,       /* runs in memory at once: those that are due beyond it wait */
    WORTH_MS = 2000,        /* a shorter wait is waited for where it is */
    LATEST_MS = 60000,      /* the clock of the wall may be set: look again */
};

struct tend {
    struct engine *engine;
    char *who;
    int64_t *left;              /* runs that somebody executed or left, to be taken up */
    size_t nleft, next_left;
    int64_t *refused;           /* runs that cannot be taken up here */
    size_t nrefused;
    struct inside struck;       /* where the last owner died */
    int64_t *going;             /* evicted, and that is not committed yet: the agenda has what was before */
    size_t ngoing;
    bool leaving;               /* what waits goes on waiting */
    bool look;                  /* the agenda may have changed */
    int64_t next_wake;          /* of all that wait; NEVER_MS = none does */
    struct host_op *timer;
};

static struct run *loaded(const struct engine *n, int64_t id)
{
    struct run *r;

    for (r = n->runs; r && r->id != id; r = r->next)
        continue;
    return r;
}

static size_t in_memory(const struct engine *n)
{
    const struct run *r;
    size_t count = 0;

    for (r = n->runs; r; r = r->next)
        count += r->phase != PHASE_SETTLED;
    return count;
}

static bool is_in(const int64_t *list, size_t n, int64_t id)
{
    size_t i;

    for (i = 0; i < n && list[i] != id; i++)
        continue;
    return i < n;
}

static void add(int64_t **list, size_t *n, int64_t id)
{
    if ((*n & (*n - 1)) == 0)       /* doubles at each power of two */
        *list = xrealloc(*list, (*n ? 2 * *n : 1) * sizeof(**list));
    (*list)[(*n)++] = id;
}

void tend_refuse(struct engine *n, int64_t id, const struct err *e)
{
    if (n->tend)
        add(&n->tend->refused, &n->tend->nrefused, id);
    if (n->o.watch.trouble)
        n->o.watch.trouble(n->o.watch.ctx, id, e);
}

static void enter(struct run *r)
{
    r->next = r->engine->runs;
    r->engine->runs = r;
}

/* Back from its rows; nothing is written. */
static int wake_run(struct engine *n, int64_t id, struct err *e)
{
    struct journal *from = writer_reader(n->o.writer, e);
    struct run *r = run_empty(n);

    watchdog_enter(n->o.watchdog, id, 0, NULL);
    if (!from || rebuild_run(r, from, id, false, e) < 0) {
        run_free(r);
        return e->code;
    }
    run_change(r, CHANGE_RUN_STATE)->run_state = RUN_RUNNING;
    enter(r);
    return 0;
}

/* A run that an owner executed when it died, or that somebody left. */
static int take_up(struct engine *n, int64_t id, struct err *e)
{
    struct journal *from = writer_reader(n->o.writer, e);
    struct run *r = run_empty(n);

    watchdog_enter(n->o.watchdog, id, 0, NULL);
    if (!from || rebuild_run(r, from, id, false, e) < 0 || run_take_over(r, n->tend->who, e) < 0) {
        run_free(r);
        return e->code;
    }
    enter(r);
    return 0;
}

/* The run in which the last owner died. */
static int take_up_struck(struct engine *n, struct err *e)
{
    struct tend *t = n->tend;
    int64_t id = t->struck.run;
    bool set_aside;
    int rc = run_strike(n, &t->struck, t->who, &set_aside, e);

    t->struck.run = 0;
    return rc < 0 || set_aside ? e->code : wake_run(n, id, e);
}

static bool take_up_next(struct engine *n)
{
    struct tend *t = n->tend;
    struct err e = {0};
    int64_t id;

    if (t->next_left == t->nleft || in_memory(n) >= LOADED_MAX)
        return false;
    id = t->left[t->next_left++];
    if ((id == t->struck.run ? take_up_struck(n, &e) : take_up(n, id, &e)) < 0)
        tend_refuse(n, id, &e);
    return true;
}

static void evicted(void *ctx, const struct journal_item *item, const struct err *e)
{
    struct engine *n = ctx;
    struct tend *t = n->tend;
    struct err fenced = {0};
    size_t i;

    for (i = 0; i < t->ngoing && t->going[i] != item->run; i++)
        continue;
    if (i < t->ngoing)
        memmove(&t->going[i], &t->going[i + 1], (--t->ngoing - i) * sizeof(*t->going));
    t->look = true;
    if (!e && item->result != ITEM_COMMITTED)
        err_set(&fenced, ERR_BUSY, "run %lld was taken over by another owner", (long long)item->run);
    if (e || fenced.code)
        engine_fatal(n, e ? e : &fenced);
}

/* True if r is gone. */
static bool evict(struct run *r)
{
    struct engine *n = r->engine;
    struct change *c;
    int64_t wake;

    if (r->held || !evict_possible(r, &wake) || vm_is_ready(r->vm) || wake - run_now(r) < WORTH_MS)
        return false;
    c = run_change(r, CHANGE_RUN_STATE);
    c->run_state = r->questions ? RUN_WAITING_PERSON : RUN_WAITING_TIME;
    c->n = wake;
    add(&n->tend->going, &n->tend->ngoing, r->id);
    run_submit(r, evicted, n);
    return true;
}

/* A run that needs its place no more: it has settled, and nothing of it is in flight. */
static bool is_done_with(const struct run *r)
{
    return !r->held && r->phase == PHASE_SETTLED && !r->barrier.active && !r->flushes;
}

static bool let_go(struct engine *n)
{
    struct run **at = &n->runs, *r;
    bool any = false;

    while ((r = *at)) {
        if (n->failure.code == 0 && (is_done_with(r) || evict(r))) {
            *at = r->next;
            run_free(r);
            any = true;
        } else {
            at = &r->next;
        }
    }
    return any;
}

struct due {
    struct tend *t;
    int64_t now, first;             /* first: the earliest wake_at that is not due yet */
    int64_t ids[64];
    size_t n, room;
};

static bool see_due(void *ctx, int64_t id, enum run_state state, int64_t wake_at)
{
    struct due *d = ctx;

    (void)state;
    /* 0: parked on what only a person can settle. */
    if (wake_at == 0 || loaded(d->t->engine, id) || is_in(d->t->refused, d->t->nrefused, id) ||
        is_in(d->t->going, d->t->ngoing, id))
        return true;
    if (wake_at > d->now || d->n == d->room) {
        if (wake_at < d->first)
            d->first = wake_at;
        return false;
    }
    d->ids[d->n++] = id;
    return true;
}

static void timer_fired(void *ctx)
{
    struct tend *t = ctx;

    t->timer = NULL;
    t->look = true;
}

static void arm(struct tend *t, int64_t now)
{
    struct host *h = engine_host(t->engine);
    int64_t left = t->next_wake - now;
    struct err e = {0};

    if (t->timer)
        h->ops->cancel(h, t->timer);
    t->timer = NULL;
    if (t->next_wake == NEVER_MS)
        return;
    if (left > LATEST_MS)
        left = LATEST_MS;
    if (h->ops->timer(h, left > 0 ? left : 0, timer_fired, t, &t->timer, &e) < 0)
        engine_fatal(t->engine, &e);
}

/* Wakes what is due; arms the timer for the next. */
static bool wake_due(struct engine *n)
{
    struct tend *t = n->tend;
    size_t taken = in_memory(n), i;
    struct due d = {.t = t, .now = n->o.host->ops->wall_ms(n->o.host), .first = NEVER_MS};
    struct err e = {0};
    struct journal *from;

    d.room = taken >= LOADED_MAX ? 0 : LOADED_MAX - taken < 64 ? LOADED_MAX - taken : 64;
    t->look = d.room == 0;          /* when one has gone */
    if (d.room == 0)
        return false;
    from = writer_reader(n->o.writer, &e);
    if (!from || from->ops->agenda(from, RUN_WAITING_TIME, see_due, &d, &e) < 0 ||
        from->ops->agenda(from, RUN_WAITING_PERSON, see_due, &d, &e) < 0) {
        engine_fatal(n, &e);
        return false;
    }
    for (i = 0; i < d.n; i++) {
        if (wake_run(n, d.ids[i], &e) < 0)
            tend_refuse(n, d.ids[i], &e);
    }
    t->next_wake = d.first;
    arm(t, d.now);
    return d.n > 0;
}

bool tend_turn(struct engine *n)
{
    bool moved = let_go(n);

    if (n->failure.code)
        return false;
    if (n->tend->leaving)
        return moved;
    moved |= take_up_next(n);
    if (n->tend->look)
        moved |= wake_due(n);
    return moved;
}

bool tend_is_over(const struct engine *n)
{
    const struct tend *t = n->tend;

    if (t->leaving)
        return t->ngoing == 0;
    return n->failure.code || (t->next_left == t->nleft && t->ngoing == 0 && !t->look && t->next_wake == NEVER_MS);
}

void tend_leave(struct engine *n)
{
    n->tend->leaving = true;
}

void tend_free(struct engine *n)
{
    struct tend *t = n->tend;

    if (!t)
        return;
    if (t->timer)
        n->o.host->ops->cancel(n->o.host, t->timer);
    free(t->left);
    free(t->refused);
    free(t->going);
    free(t->who);
    free(t);
    n->tend = NULL;
}

static bool see_left(void *ctx, int64_t id, enum run_state state, int64_t wake_at)
{
    struct tend *t = ctx;

    (void)state, (void)wake_at;
    if (!loaded(t->engine, id) && id != t->struck.run)
        add(&t->left, &t->nleft, id);
    return true;
}

int engine_recover(struct engine *n, const char *who, const struct inside *died, struct err *e)
{
    struct journal *j = writer_journal(n->o.writer);
    struct tend *t = xcalloc(1, sizeof(*t));
    struct run_info info = {0};
    int rc = 0;

    t->engine = n;
    t->who = xstrdup(who);
    t->next_wake = NEVER_MS;
    t->look = true;
    n->tend = t;
    /* First the one that ended the process: it may have been woken, and have died before it wrote anything. */
    if (died && died->run && (rc = j->ops->get_run(j, died->run, &info, e)) == 0) {
        t->struck = *died;
        if (info.state != RUN_ENDED && info.state != RUN_QUARANTINED)
            add(&t->left, &t->nleft, died->run);
        run_info_deinit(&info);
    }
    if (rc == 0 || rc == ERR_NOT_FOUND)
        rc = j->ops->agenda(j, RUN_RUNNING, see_left, t, e);
    if (rc == 0)
        rc = j->ops->agenda(j, RUN_LEFT, see_left, t, e);
    return rc;
}

int engine_wake(struct engine *n, int64_t id, struct err *e)
{
    if (!n->tend || loaded(n, id))
        return 0;
    /* Its last rows may be on their way. */
    return writer_flush(n->o.writer, e) < 0 ? e->code : wake_run(n, id, e);
}

bool engine_has(const struct engine *n, int64_t id)
{
    return loaded(n, id) != NULL;
}
