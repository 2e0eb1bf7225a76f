/* SPDX-License-Identifier: Apache-2.0 */
/* Which branches of a runbook its scenarios reach: the arms of every `if`, one that is not written included, bodies of loops
 * and functions, and both verdicts of every hypothesis. Of the runbook's own code, not of its modules. */
#ifndef MIDWATCH_CHECK_COVER_H
#define MIDWATCH_CHECK_COVER_H

#include "book/book.h"
#include "run/engine.h"

struct cover;

/* decisions: what decides is noted, too, under numbers behind those of the branches. *out is owned. ERR_INVALID: the code is no
 * program. */
int cover_new(const struct runbook *book, bool decisions, struct cover **out, struct err *e);
void cover_free(struct cover *c);
/* The counted form of the code: engine_options.counted. Borrowed. */
struct str cover_code(const struct cover *c);
/* With decisions: the code as explore_options.program takes it. Borrowed. */
const char *cover_program(const struct cover *c);
/* A hypothesis came to this verdict. */
void cover_verdict(struct cover *c, struct str title, struct str args);
/* Takes what the run's code has reached. A run whose state is dead tells nothing. */
void cover_take(struct cover *c, struct run *r);
/* The numbers that the run noted that was taken last. Borrowed. */
const json_t *cover_latest(const struct cover *c);
/* Whether a number is a branch's; else it is that of something that decides, and of how. */
bool cover_is_branch(const struct cover *c, int64_t number);
/* How many branches there are, and how many were reached. */
size_t cover_count(const struct cover *c, size_t *covered);
/* What no scenario reached, as [{ line, why }] by line. Owned. */
json_t *cover_missed(const struct cover *c);

#endif
