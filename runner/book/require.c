/* SPDX-License-Identifier: Apache-2.0 */
/* A scan of Lua's words: comments and strings are stepped over, the word `require`
 * is looked at unless it is a field, a method or a key. Text that is not Lua is
 * left to the compiler. */
#include "book/require.h"

#include "book/lua_words.h"

#include <ctype.h>
#include <stdio.h>

struct scan {
    const char *start, *p, *end;
    const char *file;
    struct err *e;
};

static void place_of(const struct scan *s, const char *at, int *line, int *column)
{
    const char *p, *begin = s->start;

    *line = 1;
    for (p = s->start; p < at; p++) {
        if (*p == '\n') {
            ++*line;
            begin = p + 1;
        }
    }
    *column = (int)(at - begin) + 1;
}

static int bad(const struct scan *s, const char *at, const char *what)
{
    int line, column;

    place_of(s, at, &line, &column);
    err_at(s->e, ERR_INVALID, s->file, line, column, "%s", what);
    return err_hint(s->e, "require \"lib_name\": modules are pinned when the run starts");
}

/* Steps over blanks and comments. */
static void skip_blanks(struct scan *s)
{
    for (;;) {
        size_t n;

        while (s->p < s->end && isspace((unsigned char)*s->p))
            s->p++;
        if (s->end - s->p < 2 || s->p[0] != '-' || s->p[1] != '-')
            return;
        n = lua_skip(s->p, (size_t)(s->end - s->p));
        s->p += n;
    }
}

/* The text between the quotes at s->p; false if there is no string or it has escapes. Steps over it. */
static bool take_literal(struct scan *s, struct str *out)
{
    size_t n = lua_skip(s->p, (size_t)(s->end - s->p)), open;

    if (n < 2 || s->p[0] == '-')
        return false;
    open = s->p[0] == '[' ? strcspn(s->p + 1, "[") + 2 : 1;
    if (n < 2 * open)
        return false;
    *out = (struct str){s->p + open, n - 2 * open};
    s->p += n;
    return memchr(out->p, '\\', out->n) == NULL;
}

static bool is_module_name(struct str s)
{
    size_t i;

    if (s.n == 0 || s.n >= MODULE_NAME_MAX || s.p[s.n - 1] == '.')
        return false;
    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '.' ? i == 0 || s.p[i - 1] == '.' : !islower(c) && !isdigit(c) && c != '_')
            return false;
    }
    return true;
}

/* s->p is behind the word at `at`. */
static int take_require(struct scan *s, const char *at,
                        int (*fn)(void *ctx, const char *name, int line, int column, struct err *e), void *ctx)
{
    char name[MODULE_NAME_MAX];
    struct str literal;
    bool paren;
    int line, column;

    skip_blanks(s);
    if (s->p < s->end && *s->p == '=' && (s->p + 1 == s->end || s->p[1] != '='))
        return 0;               /* a key or a local of that name */
    paren = s->p < s->end && *s->p == '(';
    if (paren) {
        s->p++;
        skip_blanks(s);
    }
    if (!take_literal(s, &literal))
        return bad(s, at, "require takes a literal name");
    if (paren) {
        skip_blanks(s);
        if (s->p == s->end || *s->p != ')')
            return bad(s, at, "require takes a literal name");
    }
    if (!is_module_name(literal))
        return bad(s, at, "the name of a module is lower-case letters, digits and _, its parts divided by dots");
    snprintf(name, sizeof(name), "%.*s", (int)literal.n, literal.p);
    place_of(s, at, &line, &column);
    return fn(ctx, name, line, column, s->e);
}

/* True if the word at `at` is a field or a method: x.require, x:require. */
static bool is_field(const struct scan *s, const char *at)
{
    while (at > s->start && isspace((unsigned char)at[-1]))
        at--;
    if (at == s->start)
        return false;
    return at[-1] == ':' || (at[-1] == '.' && !(at - s->start > 1 && at[-2] == '.'));
}

int require_scan(struct str code, const char *file,
                 int (*fn)(void *ctx, const char *name, int line, int column, struct err *e), void *ctx, struct err *e)
{
    struct scan s = {.start = code.p, .p = code.p, .end = code.p + code.n, .file = file, .e = e};
    int rc = 0;

    while (rc == 0 && s.p < s.end) {
        size_t n = lua_skip(s.p, (size_t)(s.end - s.p));
        const char *at = s.p;

        if (n) {
            s.p += n;
            continue;
        }
        if (!isalnum((unsigned char)*s.p) && *s.p != '_') {
            s.p++;
            continue;
        }
        while (s.p < s.end && (isalnum((unsigned char)*s.p) || *s.p == '_'))
            s.p++;
        if (str_is((struct str){at, (size_t)(s.p - at)}, "require") && !is_field(&s, at))
            rc = take_require(&s, at, fn, ctx);
    }
    return rc;
}
