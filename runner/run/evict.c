/* SPDX-License-Identifier: Apache-2.0 */
/* Eviction. A run whose calls all only wait, for time or for people, can be rebuilt from
 * its journal at any moment: nothing of it is anywhere else. Waking adds no row, so a run
 * that was evicted writes the same journal as one that was not. */
#include "run/ask.h"

#include <stdlib.h>

static void sooner(int64_t *wake, int64_t at)
{
    if (at < *wake)
        *wake = at;
}

bool evict_possible(struct run *r, int64_t *wake)
{
    const struct effect *x;
    const struct call *c;
    int64_t at;

    if (r->phase != PHASE_LIVE || r->replay_only || r->state != RUN_RUNNING || r->ended || r->ending || r->finish.wanted ||
        r->leaving || r->cancelled_by || r->elsewhere || r->undoes || r->barrier.active || r->flushes)
        return false;
    *wake = NEVER_MS;
    for (c = r->calls; c; c = c->next) {
        at = c->op->wakes && !c->stalled ? c->op->wakes(c) : -1;
        if (at < 0)
            return false;
        sooner(wake, at);
    }
    for (x = r->effects; x; x = x->next) {
        if (x->temporary && !x->undo_tried && x->state != EFFECT_UNDONE)
            sooner(wake, x->until);
    }
    if (r->book->escalate_after_ms && !r->escalation_open)
        sooner(wake, r->started_at + r->book->escalate_after_ms);
    return true;
}

bool evict_wanted(struct run *r)
{
    int64_t wake;

    return r->rows_total > r->recorded.n && evict_possible(r, &wake);
}

/* Blocks until its rows are committed: for tests, whose journal is in memory or simulated. */
void evict_in_place(struct run *r)
{
    struct engine *n = r->engine;
    int64_t id = r->id;
    struct err e = {0};

    if (r->pending.nrows || r->pending.nchanges)
        run_submit(r, NULL, NULL);
    if (writer_flush(n->o.writer, &e) < 0) {
        engine_fatal(n, &e);
        return;
    }
    run_deinit(r);
    if (rebuild_run(r, writer_journal(n->o.writer), id, false, &e) < 0)
        engine_fatal(n, &e);
}
