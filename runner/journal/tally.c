/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/tally.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

static void add_target(struct tally *t, struct str target)
{
    size_t i;

    for (i = 0; i < t->ntargets; i++) {
        if (str_is(target, t->targets[i]))
            return;
    }
    t->targets = xrealloc(t->targets, (t->ntargets + 1) * sizeof(*t->targets));
    t->targets[t->ntargets++] = xstrndup(target.p, target.n);
    t->n++;
}

void tally_begin(struct tally *t, const struct guard *g, int64_t run)
{
    *t = (struct tally){.g = g, .run = run};
    snprintf(t->pattern, sizeof(t->pattern), "%.*s", (int)g->pattern.n, g->pattern.n ? g->pattern.p : "");
    if (g->kind != GUARD_EFFECTS && g->target.n)
        add_target(t, g->target);
}

static bool matches(const struct tally *t, struct str target)
{
    char text[sizeof(t->pattern)];

    snprintf(text, sizeof(text), "%.*s", (int)target.n, target.p);
    return !t->pattern[0] || fnmatch(t->pattern, text, FNM_PATHNAME) == 0;
}

bool tally_add(struct tally *t, int64_t run, struct str path, struct str runbook, struct str target)
{
    const struct guard *g = t->g;

    if (g->kind != GUARD_AT_MOST && g->runbook.n && !str_eq(g->runbook, runbook) && !str_matches(g->runbook, runbook))
        return true;
    if (!matches(t, target))
        return true;
    if (g->kind != GUARD_EFFECTS)
        add_target(t, target);
    else
        t->n += run != t->run || !str_eq(path, g->path);
    return t->n <= g->max;
}

bool tally_end(struct tally *t)
{
    size_t i;

    for (i = 0; i < t->ntargets; i++)
        free(t->targets[i]);
    free(t->targets);
    return t->g->kind == GUARD_EFFECTS ? t->n < t->g->max : t->n <= t->g->max;
}

int64_t tally_failures(const struct journal_item *item, const struct guard *g, int64_t failures)
{
    size_t i;

    for (i = 0; i < item->nchanges; i++) {
        const struct change *c = &item->changes[i];

        if (c->kind == CHANGE_VERDICT && str_eq(c->runbook, g->runbook))
            failures = c->n == 0 ? failures + 1 : failures < c->seq ? 0 : failures;
    }
    return failures;
}

bool tally_approved(const struct journal_item *item, const struct guard *g)
{
    size_t i;

    for (i = 0; i < item->nchanges; i++) {
        if (item->changes[i].kind == CHANGE_APPROVED && str_eq(item->changes[i].path, g->path))
            return item->changes[i].n != 0;
    }
    return false;
}
