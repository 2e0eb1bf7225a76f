/* SPDX-License-Identifier: Apache-2.0 */
/* A lexer that only knows what it needs to (see chain.h): strings, comments,
 * brackets, words. At every bracket depth it counts the accesses (".name",
 * ":name", "[") since the last call, operator or keyword. */
#include "vm/chain.h"

#include <ctype.h>

#define CHAIN_MAX 200
#define DEPTH_MAX 256       /* the compiler itself stops at 200 */

struct scan {
    const char *p, *end;
    int line;
    int depth;
    int chain[DEPTH_MAX];
};

static int peek(const struct scan *s, size_t ahead)
{
    return (size_t)(s->end - s->p) > ahead ? (unsigned char)s->p[ahead] : 0;
}

static void step(struct scan *s)
{
    s->line += *s->p == '\n';
    s->p++;
}

/* At '[': the level of a long bracket, or -1. */
static int long_level(const struct scan *s)
{
    size_t n = 1;
    while (peek(s, n) == '=')
        n++;
    return peek(s, n) == '[' ? (int)n - 1 : -1;
}

static void skip_long(struct scan *s, int level)
{
    s->p += level + 2;
    while (s->p < s->end) {
        if (*s->p == ']') {
            int n = 0;
            while (peek(s, (size_t)n + 1) == '=')
                n++;
            if (n == level && peek(s, (size_t)n + 1) == ']') {
                s->p += n + 2;
                return;
            }
        }
        step(s);
    }
}

static void skip_string(struct scan *s)
{
    char quote = *s->p++;
    while (s->p < s->end && *s->p != quote && *s->p != '\n') {
        if (*s->p == '\\' && s->end - s->p > 1)
            step(s);
        step(s);
    }
    if (s->p < s->end && *s->p == quote)
        s->p++;
}

static void skip_comment(struct scan *s)
{
    s->p += 2;
    int level = peek(s, 0) == '[' ? long_level(s) : -1;
    if (level >= 0)
        skip_long(s, level);
    else
        while (s->p < s->end && *s->p != '\n')
            s->p++;
}

/* False for a keyword that ends an expression. */
static bool skip_word(struct scan *s)
{
    static const char *const keywords[] = {
        "and", "break", "do", "else", "elseif", "for", "function", "goto", "if", "in", "local", "not",
        "or", "repeat", "return", "then", "until", "while",
    };
    const char *from = s->p;
    while (s->p < s->end && (isalnum((unsigned char)*s->p) || *s->p == '_'))
        s->p++;
    struct str word = {from, (size_t)(s->p - from)};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (str_is(word, keywords[i]))
            return false;
    return true;
}

/* What stands inside brackets counts for the expression around them: nesting must not multiply.
 * A call ends the chain it hangs on. */
static void bracket(struct scan *s, int c)
{
    s->p++;
    if (c == ']' || c == ')' || c == '}') {
        if (s->depth > 0) {
            s->depth--;
            s->chain[s->depth] += s->chain[s->depth + 1];
        }
        return;
    }
    s->chain[s->depth] = c == '[' ? s->chain[s->depth] + 1 : 0;
    if (s->depth < DEPTH_MAX - 1)
        s->chain[++s->depth] = 0;
}

static void token(struct scan *s)
{
    int c = (unsigned char)*s->p, next = peek(s, 1);
    int level = c == '[' ? long_level(s) : -1;
    if (isspace(c)) {
        step(s);
    } else if (c == '-' && next == '-') {
        skip_comment(s);
    } else if (level >= 0) {
        skip_long(s, level);
    } else if (c == '"' || c == '\'') {
        skip_string(s);
    } else if (strchr("[](){}", c) && c) {
        bracket(s, c);
    } else if ((c == '.' && next != '.' && !isdigit(next)) || (c == ':' && next != ':')) {
        s->chain[s->depth]++;
        s->p++;
    } else if (isalnum(c) || c == '_') {
        if (!skip_word(s))
            s->chain[s->depth] = 0;
    } else {
        s->chain[s->depth] = 0;
        s->p += c == '.' && next == '.' ? 2 : 1;
    }
}

const char *chain_check(struct str text, int *line)
{
    struct scan s = {.p = text.p, .end = text.p + text.n, .line = 1};
    while (s.p < s.end) {
        token(&s);
        if (s.chain[s.depth] > CHAIN_MAX) {
            *line = s.line;
            return "more than 200 field accesses in one expression";
        }
    }
    return NULL;
}
