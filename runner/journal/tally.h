/* SPDX-License-Identifier: Apache-2.0 */
/* Counting for guards: what counts for AT_MOST, EFFECTS and TARGETS, and how much is too much; and what the item that
 * is guarded itself adds, because its changes come after its guards: a verdict or an answer waits for the next intent. */
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

/* EFFECTIVE: the failures that there are, and the item's own verdicts. */
int64_t tally_failures(const struct journal_item *item, const struct guard *g, int64_t failures);
/* APPROVAL: the item brings the approval itself. */
bool tally_approved(const struct journal_item *item, const struct guard *g);

#endif
