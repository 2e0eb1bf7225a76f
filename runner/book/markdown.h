/* SPDX-License-Identifier: Apache-2.0 */
/* What a Markdown reader sees in a runbook: its headings, and which lines are code
 * of top-level blocks tagged exactly `lua`. */
#ifndef MIDWATCH_BOOK_MARKDOWN_H
#define MIDWATCH_BOOK_MARKDOWN_H

#include "book/book.h"

/* `body` starts at `first_line` of the file. Fills sections and chunk of b (chunk: the file's lines, those that
 * are not code empty). ERR_INVALID with the place. */
int markdown_read(struct str body, int first_line, struct runbook *b, struct err *e);

#endif
