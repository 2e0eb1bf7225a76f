/* SPDX-License-Identifier: Apache-2.0 */
/* What in a text of Lua is no code: comments and strings. For scans that look at words. */
#ifndef MIDWATCH_BOOK_LUA_WORDS_H
#define MIDWATCH_BOOK_LUA_WORDS_H

#include <stddef.h>

/* Bytes of the comment or string that begins at s (n bytes are left); 0 if none does. One that is not closed ends
 * with the text, a short string with its line. */
size_t lua_skip(const char *s, size_t n);

#endif
