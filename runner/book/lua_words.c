/* SPDX-License-Identifier: Apache-2.0 */
#include "book/lua_words.h"

#include <stdbool.h>
#include <string.h>

/* Length of the long bracket that begins at s, 0 if none does. */
static size_t long_bracket(const char *s, size_t n)
{
    size_t level = 1, i;

    if (n < 2 || s[0] != '[')
        return 0;
    while (level < n && s[level] == '=')
        level++;
    if (level == n || s[level] != '[')
        return 0;
    for (i = level + 1; i + level < n; i++) {
        if (s[i] == ']' && s[i + level] == ']' && memcmp(s + i + 1, s + 1, level - 1) == 0)
            return i + level + 1;
    }
    return n;
}

static size_t short_string(const char *s, size_t n)
{
    size_t i;

    for (i = 1; i < n && s[i] != s[0] && s[i] != '\n'; i++)
        i += s[i] == '\\' && i + 1 < n;
    return i < n ? i + (s[i] == s[0]) : n;
}

size_t lua_skip(const char *s, size_t n)
{
    const char *line_end;
    size_t k;

    if (n >= 2 && s[0] == '-' && s[1] == '-') {
        k = long_bracket(s + 2, n - 2);
        if (k)
            return k + 2;
        line_end = memchr(s, '\n', n);
        return line_end ? (size_t)(line_end - s) : n;
    }
    if (n > 0 && (s[0] == '"' || s[0] == '\''))
        return short_string(s, n);
    return long_bracket(s, n);
}
