/* SPDX-License-Identifier: Apache-2.0 */
/* Counting for the guards AT_MOST, EFFECTS and TARGETS: what counts, and how much is too much. */
#ifndef MIDWATCH_JOURNAL_TALLY_H
#define MIDWATCH_JOURNAL_TALLY_H

#include "journal/journal.h"

struct tally {
    const struct guard *g;
    int64_t run, n;             /* n: effects, or distinct targets with g->target among them */
    char pattern[sizeof(((struct lock_info *)0)->target)];
    char **targets;
    size_t ntargets;
};

/* For an item of this run. Borrows g. */
void tally_begin(struct tally *t, const struct guard *g, int64_t run);
/* One effect, of which the caller knows that it is recent enough (AT_MOST: this run's, with the action). False: the rest
 * cannot change what tally_end says. */
bool tally_add(struct tally *t, int64_t run, struct str path, struct str runbook, struct str target);
/* Whether the guard holds; frees what t has. */
bool tally_end(struct tally *t);

#endif
