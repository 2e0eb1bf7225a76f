/* SPDX-License-Identifier: Apache-2.0 */
/* What an item changed in the projections, as bytes of the log, so that they can be
 * made again from it. The log of changes has one chain over all runs: it says in
 * which order they were, and each link holds the head of its run. */
#ifndef MIDWATCH_JOURNAL_CHANGE_H
#define MIDWATCH_JOURNAL_CHANGE_H

#include "journal/journal.h"

struct change_record {
    int64_t run;
    int64_t seq;            /* the row of the run that comes next behind the item */
    int64_t at;             /* of the item */
    struct str what;        /* changes_encode */
};

struct changes_room {       /* for the changes of one item after the other; free(list) */
    struct change *list;
    size_t cap;
};

/* Its epoch and its changes. Texts are cut where the projections cut them. */
void changes_encode(const struct journal_item *item, struct buf *out);
/* Sets epoch, changes and nchanges of an item; the changes are in `room`, and their texts borrow from `what`. ERR_CORRUPT:
 * these bytes say no changes. */
int changes_decode(struct str what, struct changes_room *room, struct journal_item *item, struct err *e);
/* head: the chain of the run behind the item's rows. */
struct hash changes_chain(const struct hash *previous, const struct change_record *r, const struct hash *head);

#endif
