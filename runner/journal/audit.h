/* SPDX-License-Identifier: Apache-2.0 */
/* Does a journal file say what was written to it? The rows and the changes against
 * their hash chains, the sources against their hashes, and the projections against the
 * log that they follow from. Everything here reads, but for journal_rebuild with `write`.
 * Works on what journal_sqlite_open gives; readers may be beside an owner, and see one
 * moment of it. */
#ifndef MIDWATCH_JOURNAL_AUDIT_H
#define MIDWATCH_JOURNAL_AUDIT_H

#include "journal/journal.h"

/* One thing that is wrong: where ("run 3, row 7", "change 12", "lock on sh:a") and what. False to stop. */
typedef bool (*audit_fn)(void *ctx, int64_t run, int64_t seq, const char *where, const char *what);

struct audit_counts {
    int64_t runs, rows, changes, blobs;
};

enum { AUDIT_ALL = -1, AUDIT_LOG = -2 };       /* LOG: without what is rebuilt from it */
/* Of one run, or of AUDIT_ALL or AUDIT_LOG. Reports the first bad row of each run. An error is one of reading: a page that cannot be
 * read is damage (ERR_CORRUPT), and what was not looked at is not known. */
int journal_verify(struct journal *j, int64_t run, struct audit_counts *counts, audit_fn fn, void *ctx, struct err *e);

/* Makes all projections again from the log and reports where those of the file differ. write: puts the file's right, in
 * one transaction; j must be the owner. Memory does not grow with the journal. ERR_CORRUPT: the log cannot be followed. */
int journal_rebuild(struct journal *j, bool write, audit_fn fn, void *ctx, struct err *e);

/* Where the log ends: run 0 with its last row and chain (0 where there is none), and run -1 with the number and chain of the
 * last change, which holds the head of every run at its last change. */
typedef bool (*head_fn)(void *ctx, int64_t run, int64_t seq, const struct hash *chain);
int journal_last_change(struct journal *j, head_fn fn, void *ctx, struct err *e);
/* The chain of a row (run -1: of a change) as the file has it now. ERR_NOT_FOUND: there is none. */
int journal_head_at(struct journal *j, int64_t run, int64_t seq, struct hash *out, struct err *e);

#endif
