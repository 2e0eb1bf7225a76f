/* SPDX-License-Identifier: Apache-2.0 */
/* The commit that a runbook of the working tree belongs to, and whether its texts
 * are the commit's. The `git` program is asked: it answers in parallel while the
 * session opens, where loading libgit2 would double the time of a start. */
#ifndef MIDWATCH_CLI_ORIGIN_H
#define MIDWATCH_CLI_ORIGIN_H

#include "book/book.h"
#include "io/host.h"

struct origin_query {
    struct host *host;
    struct runbook *book;
    struct host_op *op;         /* NULL = answered, or nothing to ask */
};

/* Asks if the book lies in a git repository and its commit is not known. */
void origin_ask(struct origin_query *q, struct host *host, struct runbook *book);
/* Waits for the answer and puts it into the book; where there is none it says so on stderr, and the origin stays
 * without a commit. `wanted` false only lets go. */
void origin_take(struct origin_query *q, bool wanted);

#endif
