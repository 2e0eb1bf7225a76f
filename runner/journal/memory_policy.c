/* SPDX-License-Identifier: Apache-2.0 */
/* What policy remembers in the memory journal, and the guards that ask it. */
#include "journal/memory.h"
#include "journal/tally.h"

#include <stdlib.h>

static bool is_revoked(const struct memory *m, struct str commit)
{
    size_t i;

    for (i = 0; i < m->nrevoked; i++) {
        if (str_starts(commit, m->revoked[i].commit))
            return true;
    }
    return false;
}

static struct breaker_info *find_breaker(struct memory *m, struct str runbook)
{
    size_t i;

    for (i = 0; i < m->nbreakers; i++) {
        if (str_is(runbook, m->breakers[i].runbook))
            return &m->breakers[i];
    }
    return NULL;
}

static struct approval_info *find_approval(struct memory *m, int64_t run, struct str path)
{
    size_t i;

    for (i = 0; i < m->napprovals; i++) {
        if (m->approvals[i].run == run && str_is(path, m->approvals[i].path))
            return &m->approvals[i];
    }
    return NULL;
}

static bool counts(struct memory *m, int64_t run, const struct guard *g)
{
    struct tally t;
    size_t i;

    tally_begin(&t, g, run);
    for (i = 0; i < m->neffects; i++) {
        const struct effect_info *x = &m->effects[i];
        bool taken = g->kind == GUARD_AT_MOST ? x->run == run && str_is(g->action, x->action) : x->counts_at > g->since;

        if (taken)
            tally_add(&t, x->run, str_of(x->path), str_of(memory_run(m, x->run)->info.runbook), str_of(x->target));
    }
    return tally_end(&t);
}

bool memory_guard(struct memory *m, const struct journal_item *item, const struct guard *g)
{
    const struct lock_info *l = memory_lock(m, g->target);
    const struct breaker_info *b;
    const struct approval_info *a;
    int64_t held = 0, run = item->run;
    size_t i;

    switch (g->kind) {
    case GUARD_HALT:
        return !m->halted;
    case GUARD_REVOKED:
        return !is_revoked(m, g->commit);
    case GUARD_LOCK:
        return !l || l->run == 0 || l->run == run;
    case GUARD_COOLDOWN:
        return !l || l->run == run || l->cool_run == run || l->cool_until <= g->now;
    case GUARD_RUN_BUDGET:
        for (i = 0; i < m->nlocks; i++)
            held += m->locks[i].run == run && !str_is(g->target, m->locks[i].target);
        return held + 1 <= g->max;
    case GUARD_EFFECTIVE:
        b = find_breaker(m, g->runbook);
        return tally_failures(item, g, b ? b->failures : 0) < g->max;
    case GUARD_APPROVAL:
        a = find_approval(m, run, g->path);
        return (a && a->left != 0) || tally_approved(item, g);
    default:
        return counts(m, run, g);
    }
}

static void change_revoked(struct memory *m, const struct journal_item *item, const struct change *c)
{
    struct revoked_info x = {.at = item->at};
    size_t i;

    for (i = 0; i < m->nrevoked && !str_is(c->key, m->revoked[i].commit); i++)
        ;
    if (i < m->nrevoked)
        m->revoked[i] = m->revoked[--m->nrevoked];
    if (!c->n)
        return;
    memory_text(x.commit, sizeof(x.commit), c->key);
    memory_text(x.why, sizeof(x.why), c->text);
    APPEND(m->revoked, m->nrevoked, x);
}

static void change_breaker(struct memory *m, const struct change *c)
{
    struct breaker_info fresh = {0}, *b = find_breaker(m, journal_clip(c->runbook, sizeof(fresh.runbook)));

    if (c->kind == CHANGE_VERDICT && !c->n && !b) {
        memory_text(fresh.runbook, sizeof(fresh.runbook), c->runbook);
        fresh.failures = 1;
        APPEND(m->breakers, m->nbreakers, fresh);
    } else if (c->kind == CHANGE_VERDICT && !c->n) {
        b->failures++;
    } else if (b && (c->kind == CHANGE_RUNBOOK_ON || b->failures < c->seq)) {
        b->failures = 0;
    }
}

static void change_approval(struct memory *m, const struct journal_item *item, const struct change *c)
{
    struct approval_info *a = find_approval(m, item->run, c->path), fresh = {.run = item->run, .left = c->n};

    if (a && c->kind == CHANGE_APPROVED)
        a->left = c->n;
    else if (a)
        a->left -= a->left > 0;
    else if (c->kind == CHANGE_APPROVED) {
        memory_text(fresh.path, sizeof(fresh.path), c->path);
        APPEND(m->approvals, m->napprovals, fresh);
    }
}

void memory_policy(struct memory *m, const struct journal_item *item, const struct change *c)
{
    if (c->kind == CHANGE_REVOKE)
        change_revoked(m, item, c);
    else if (c->kind == CHANGE_VERDICT || c->kind == CHANGE_RUNBOOK_ON)
        change_breaker(m, c);
    else
        change_approval(m, item, c);
}
