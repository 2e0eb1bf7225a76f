/* SPDX-License-Identifier: Apache-2.0 */
/* The sources that explore.c runs, in their checked form. */
#ifndef MIDWATCH_CHECK_EXPLORE_CODE_H
#define MIDWATCH_CHECK_EXPLORE_CODE_H

#include "book/book.h"
#include "vm/vm.h"

#include <jansson.h>

#define EXPLORE_LANGUAGE 12         /* modules of the language that look at values of the runbook */

struct explore_code {
    const struct runbook *book;     /* borrowed */
    char *program;                  /* the runbook's */
    char **modules;                 /* those of the repository, in the book's order */
    char *language[EXPLORE_LANGUAGE];
    json_t *branched;               /* parameters that the code branches on: name -> true */
    bool changes;                   /* a function changes what is outside of it */
};

/* program: a form of the runbook's code that runs in its place, or NULL. ERR_INVALID with the place for code that is no program.
 * explore_code_free in any case. */
int explore_code_read(struct explore_code *c, const struct runbook *book, const char *program, struct err *e);
/* Loads everything into a new state; `setup` is the argument of lua/language.lua and lua/explore.lua. What is loaded borrows
 * from c. */
int explore_code_load(const struct explore_code *c, struct vm *vm, struct str setup, struct err *e);
void explore_code_free(struct explore_code *c);

#endif
