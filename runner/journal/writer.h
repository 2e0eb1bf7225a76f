/* SPDX-License-Identifier: Apache-2.0 */
/* The journal thread: it owns the writing connection, takes items from a queue,
 * commits all that wait as one batch (group commit), and reports each item. In
 * inline mode (simulated host, memory journal) there is no thread: items are
 * committed when writer_poll is called.
 *
 * writer_submit, writer_poll: loop thread. `wake` is called from the journal thread. */
#ifndef MIDWATCH_JOURNAL_WRITER_H
#define MIDWATCH_JOURNAL_WRITER_H

#include "journal/journal.h"

struct writer;

/* Called on the loop thread, from writer_poll or writer_deliver. If e is set the journal is dead: stop acting. */
typedef void (*writer_done_fn)(void *ctx, const struct journal_item *item, const struct err *e);

/* Takes the journal over (writer_free frees it). threaded = false is inline mode. */
int writer_new(struct journal *j_take, bool threaded, void (*wake)(void *ctx), void *wake_ctx, struct writer **out,
               struct err *e);
/* Something will be submitted soon: the journal thread gets ready for it meanwhile. In flight until it is. */
void writer_begin(struct writer *w);
/* Deep-copies the item (rows, guards, changes, their text). done may be NULL. What journal_check refuses is
 * not taken, and the journal lives on. */
int writer_submit(struct writer *w, const struct journal_item *item, writer_done_fn done, void *ctx, struct err *e);
/* A bundle to store with the next batch; deep-copied, but for what stays. */
int writer_put_bundle(struct writer *w, const char *id, struct str meta, const struct blob_ref *files, size_t n,
                      struct err *e);
/* From here to writer_hand_over the journal thread gets what is submitted sixteen at a time, or when writer_collect,
 * writer_poll, writer_flush or writer_stop is called; else at once. Who gathers hands over before it waits for anything. */
void writer_gather(struct writer *w);
void writer_hand_over(struct writer *w);
/* Delivers what has been committed since. Returns the number of items delivered. */
size_t writer_poll(struct writer *w);
/* The same in steps: takes what has been committed, and delivers one item of it; false if none is left. */
void writer_collect(struct writer *w);
bool writer_deliver(struct writer *w);
/* Blocks until everything submitted is committed or the journal is dead; then delivers it. */
int writer_flush(struct writer *w, struct err *e);
/* Number of commits (fsyncs) so far: for tests and bench. */
int64_t writer_commits(const struct writer *w);
/* The journal for reads on the loop thread at any time: what is committed. Borrowed. NULL with e set. */
struct journal *writer_reader(struct writer *w, struct err *e);
/* The journal itself, for reads; only while nothing is in flight (after writer_flush) or inline. Borrowed. */
struct journal *writer_journal(struct writer *w);
/* Nothing more will be submitted: the journal thread ends with what it has. writer_free then finds it over. */
void writer_stop(struct writer *w);
void writer_free(struct writer *w);

#endif
