/* SPDX-License-Identifier: Apache-2.0 */
/* `require` in a text of Lua, without running it: only a literal name can be pinned
 * when a run starts, so anything else is an error. */
#ifndef MIDWATCH_BOOK_REQUIRE_H
#define MIDWATCH_BOOK_REQUIRE_H

#include "base/err.h"
#include "base/str.h"

enum { MODULE_NAME_MAX = 128 };

/* Calls fn with each required name in order. ERR_INVALID with the place for one that is no literal or no name of a
 * module ([a-z0-9_]+, parts divided by dots); what fn returns below 0 ends it. */
int require_scan(struct str code, const char *file,
                 int (*fn)(void *ctx, const char *name, int line, int column, struct err *e), void *ctx, struct err *e);

#endif
