/* SPDX-License-Identifier: Apache-2.0 */
/* The front matter of a runbook: a strict schema over the YAML tree. */
#ifndef MIDWATCH_BOOK_FRONT_MATTER_H
#define MIDWATCH_BOOK_FRONT_MATTER_H

#include "book/book.h"

/* Fills everything of b that the front matter says; first_line is that of the YAML in b->file. Ends at the first error, or
 * with `each` goes on behind it, calls that for each error, and gives the last. */
struct complaints {
    void (*each)(void *ctx, const struct err *e);
    void *ctx;
    int n;
};
int front_matter_read(struct str yaml, int first_line, struct runbook *b, struct complaints *c, struct err *e);

#endif
