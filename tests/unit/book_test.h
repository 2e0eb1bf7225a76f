/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the book share: reading a good text, and being refused at a place. */
#ifndef MIDWATCH_TESTS_BOOK_TEST_H
#define MIDWATCH_TESTS_BOOK_TEST_H

#include "book/book.h"

#include "base/json.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Four lines of front matter: the body begins on line 5. */
#define FRONT "---\nrunbook: t\nsummary: a test\n---\n"

static inline struct runbook *read_good(struct str text)
{
    struct runbook *b = NULL;
    struct err e = {0};
    char why[1400];

    if (book_read(text, "t.md", &b, &e) < 0)
        fail_msg("%.*s\n%s", (int)(text.n > 400 ? 400 : text.n), text.p, err_text(&e, why, sizeof(why)));
    return b;
}

/* Refused at `where` with `says` in the message or hint; nothing is handed out. */
static inline void assert_refused(struct str text, const char *where, const char *says)
{
    struct runbook untouched, *b = &untouched;
    struct err e = {0};
    char why[1400];
    int rc = book_read(text, "t.md", &b, &e);

    err_text(&e, why, sizeof(why));
    if (rc >= 0 || b != &untouched || strcmp(e.where, where) != 0 || !strstr(why, says))
        fail_msg("%.*s\n%d: %s\ninstead of %s: %s", (int)(text.n > 400 ? 400 : text.n), text.p, rc, why, where, says);
    assert_int_equal(book_read(text, "t.md", &b, NULL), rc);
}

#endif
