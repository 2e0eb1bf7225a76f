/* SPDX-License-Identifier: Apache-2.0 */
/* Where runbooks come from: the working tree (a NULL source), or one commit of a
 * git repository. Either way a name becomes a runbook with every Lua module of its
 * repository that it requires, so that a run is pinned to texts and not to places. */
#ifndef MIDWATCH_BOOK_SOURCE_H
#define MIDWATCH_BOOK_SOURCE_H

#include "book/book.h"

struct source;

/* The files of the commit that `at` names (NULL: HEAD). `repo`: a local repository, whose root the names of runbooks
 * start from; NULL: the one around the place that `name`, a runbook, leads to. Loads midwatch_git. *out is owned. */
int source_open(const char *repo, const char *at, const char *name, struct source **out, struct err *e);
void source_close(struct source *s);
/* What people call the repository from here on (an address); its own path without. Copied. */
void source_called(struct source *s, const char *repo);
/* The full id of its commit. Borrowed. */
const char *source_commit(const struct source *s);
/* True if the repository has this commit: 40 digits of a full id. */
bool source_has_commit(const char *repo, const char *commit);

/* A path that ends in .md, or NAME = runbooks/NAME.md. Only regular files, at most RUNBOOK_BYTES_MAX. *out is owned. */
int source_load(struct source *s, const char *name, struct runbook **out, struct err *e);
/* The scenarios beside that runbook: FILE.test.yaml; `file` gets its name for messages. ERR_NOT_FOUND. */
int source_scenarios(struct source *s, const char *name, struct buf *file, struct buf *text, struct err *e);
/* Everything that is wrong with a runbook's front matter, where source_load tells the first: calls each per error, borrowed.
 * Returns how many there are, or below 0 if it cannot be read. */
int source_complaints(struct source *s, const char *name, void (*each)(void *ctx, const struct err *e), void *ctx);

#endif
