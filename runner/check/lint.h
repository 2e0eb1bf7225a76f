/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lint share. */
#ifndef MIDWATCH_CHECK_LINT_H
#define MIDWATCH_CHECK_LINT_H

#include "check/check.h"

#include "book/book.h"
#include "config/config.h"
#include "plugin/plugin.h"

struct lint {
    const char *file;           /* in messages */
    const struct runbook *book;
    struct registry *registry;
    const struct config *config; /* NULL where the operator says nothing: then an alias is a plugin's name */
    json_t *findings;           /* list of {file, line, column, rule, why, mend} */
    json_t *declared;           /* alias -> declarations of its plugin */
    json_t *unknown_uses;       /* aliases without */
};

/* mend: what would be right, or NULL. line 0 = the whole file. */
void lint_found(struct lint *l, int line, int column, const char *rule, const char *why, const char *mend);
void lint_found_err(struct lint *l, const struct err *e, const char *rule);

/* The rules of lua/lint.lua over the runbook's code and its modules. */
void lint_code(struct lint *l);

#endif
