/* SPDX-License-Identifier: Apache-2.0 */
/* The matcher (see pattern.h). A pattern is a list of items without
 * alternatives, so a capture is always written again before it is read again and
 * only quantifiers need to backtrack. Every item tried and every byte a
 * quantifier takes is a step; the clock is looked at every 65,536 steps. */
#include "vm/pattern.h"

#include "vm/state.h"

#include <ctype.h>
#include <threads.h>

#define STEPS_BASE 4000000u
#define STEPS_PER_BYTE 16u
#define DEPTH_MAX 200
#define PATTERN_BYTES_MAX 65536u

static const char class_letters[] = "acdglpsuwxz";
static uint32_t classes[sizeof class_letters - 1][8];
static once_flag once = ONCE_FLAG_INIT;

static bool in_class(char letter, int c)
{
    switch (letter) {
    case 'a': return isalpha(c);
    case 'c': return iscntrl(c);
    case 'd': return isdigit(c);
    case 'g': return isgraph(c);
    case 'l': return islower(c);
    case 'p': return ispunct(c);
    case 's': return isspace(c);
    case 'u': return isupper(c);
    case 'w': return isalnum(c);
    case 'x': return isxdigit(c);
    default: return c == 0;
    }
}

static void make_classes(void)
{
    for (size_t k = 0; k + 1 < sizeof class_letters; k++)
        for (int c = 0; c < 256; c++)
            if (in_class(class_letters[k], c))
                classes[k][c >> 5] |= UINT32_C(1) << (c & 31);
}

static void add_byte(uint32_t set[8], unsigned char c)
{
    set[c >> 5] |= UINT32_C(1) << (c & 31);
}

static bool has_byte(const uint32_t set[8], unsigned char c)
{
    return set[c >> 5] >> (c & 31) & 1;
}

/* Adds class %c to the set; false if it is no class but the byte itself. */
static bool add_class(uint32_t set[8], unsigned char c)
{
    const char *at = c && isalpha(c) ? strchr(class_letters, tolower(c)) : NULL;
    if (!at)
        return false;
    const uint32_t *class = classes[at - class_letters];
    for (int i = 0; i < 8; i++)
        set[i] |= isupper(c) ? ~class[i] : class[i];
    return true;
}

struct compiler {
    struct matcher *m;
    const char *p, *end;
    int open[PATTERN_CAPTURES], nopen;
    bool closed[PATTERN_CAPTURES];
};

RAISES static void malformed(struct compiler *c, const char *what)
{
    vm_fail(c->m->L, "malformed pattern (%s): '%.60s'", what, c->m->pattern);
}

static struct pattern_item *add_item(struct compiler *c, enum pattern_kind kind)
{
    struct pattern_item *item = &c->m->items[c->m->nitems++];
    memset(item, 0, sizeof *item);
    item->kind = (unsigned char)kind;
    return item;
}

/* Behind '['. Where the set ends is found first, as Lua does it: a ']' right at the front is a
 * member, and an escaped byte never ends the set. */
RAISES static void compile_set(struct compiler *c, struct pattern_item *item)
{
    const char *p = c->p, *end;
    bool negated = p < c->end && *p == '^';
    p += negated;
    end = p;
    do {
        if (end >= c->end)
            malformed(c, "missing ']'");
        if (*end++ == '%')
            end++;
    } while (end >= c->end || *end != ']');
    uint32_t *set = item->u.set;
    memset(set, 0, sizeof item->u.set);
    for (; p < end; p++) {
        if (*p == '%') {            /* behind a range it may escape the ']' itself, as in Lua */
            p++;
            if (!add_class(set, (unsigned char)*p))
                add_byte(set, (unsigned char)*p);
        } else if (end - p > 2 && p[1] == '-') {
            for (int b = (unsigned char)p[0]; b <= (unsigned char)p[2]; b++)
                add_byte(set, (unsigned char)b);
            p += 2;
        } else {
            add_byte(set, (unsigned char)*p);
        }
    }
    for (int i = 0; negated && i < 8; i++)
        set[i] = ~set[i];
    c->p = end + 1;
}

RAISES static void compile_escape(struct compiler *c)
{
    if (c->p == c->end)
        malformed(c, "ends with '%'");
    unsigned char e = (unsigned char)*c->p++;
    if (e == 'b') {
        if (c->end - c->p < 2)
            malformed(c, "missing arguments to '%b'");
        add_item(c, ITEM_BALANCE)->u.text.p = c->p;
        c->p += 2;
    } else if (e == 'f') {
        if (c->p == c->end || *c->p != '[')
            malformed(c, "missing '[' after '%f' in pattern");
        c->p++;
        compile_set(c, add_item(c, ITEM_FRONTIER));
    } else if (isdigit(e)) {
        int index = e - '1';
        if (index < 0 || index >= c->m->ncaptures || !c->closed[index])
            vm_fail(c->m->L, "invalid capture index %%%d in pattern '%.60s'", index + 1, c->m->pattern);
        add_item(c, ITEM_BACK)->index = (unsigned char)index;
    } else {
        struct pattern_item *item = add_item(c, ITEM_SET);
        if (!add_class(item->u.set, e)) {
            item->kind = ITEM_TEXT;
            item->u.text.p = c->p - 1;
            item->u.text.n = 1;
        }
    }
}

RAISES static void compile_parenthesis(struct compiler *c, char p)
{
    if (p == ')') {
        if (c->nopen == 0)
            vm_fail(c->m->L, "invalid pattern capture: '%.60s'", c->m->pattern);
        int index = c->open[--c->nopen];
        c->closed[index] = true;
        add_item(c, ITEM_CLOSE)->index = (unsigned char)index;
        return;
    }
    if (c->m->ncaptures == PATTERN_CAPTURES)
        vm_fail(c->m->L, "too many captures: '%.60s'", c->m->pattern);
    int index = c->m->ncaptures++;
    bool is_position = c->p < c->end && *c->p == ')';
    add_item(c, is_position ? ITEM_POSITION : ITEM_OPEN)->index = (unsigned char)index;
    if (is_position) {
        c->p++;
        c->closed[index] = true;
    } else {
        c->open[c->nopen++] = index;
    }
}

/* One byte that stands for itself. Runs of them become one item. */
static void compile_byte(struct compiler *c)
{
    const char *p = c->p - 1;
    struct pattern_item *last = c->m->nitems ? &c->m->items[c->m->nitems - 1] : NULL;
    bool quantified = c->p < c->end && *c->p && strchr("?*+-", *c->p);
    if (last && last->kind == ITEM_TEXT && !last->quantifier && !quantified && last->u.text.p + last->u.text.n == p) {
        last->u.text.n++;
        return;
    }
    struct pattern_item *item = add_item(c, ITEM_TEXT);
    item->u.text.p = p;
    item->u.text.n = 1;
}

static void compile_item(struct compiler *c)
{
    char p = *c->p++;
    switch (p) {
    case '(':
    case ')':
        compile_parenthesis(c, p);
        return;
    case '%':
        compile_escape(c);
        break;
    case '[':
        compile_set(c, add_item(c, ITEM_SET));
        break;
    case '.':
        add_item(c, ITEM_ANY);
        break;
    case '$':
        if (c->p == c->end) {
            add_item(c, ITEM_END);
            return;
        }
        compile_byte(c);
        break;
    default:
        compile_byte(c);
    }
    struct pattern_item *item = &c->m->items[c->m->nitems - 1];
    if (item->kind <= ITEM_SET && c->p < c->end && *c->p && strchr("?*+-", *c->p))
        item->quantifier = *c->p++;
}

void pattern_compile(struct matcher *m, lua_State *L, const char *pattern, size_t n)
{
    struct compiler c = {.m = m, .p = pattern, .end = pattern + n};
    call_once(&once, make_classes);
    m->L = L;
    m->pattern = pattern;
    m->pattern_n = n;
    m->nitems = m->ncaptures = m->depth = 0;
    m->items = m->inline_items;
    if (n > PATTERN_BYTES_MAX)
        vm_fail(L, "the pattern is longer than %u bytes", PATTERN_BYTES_MAX);
    if (n > PATTERN_INLINE)
        m->items = lua_newuserdatauv(L, n * sizeof *m->items, 0);
    else
        lua_pushnil(L);
    while (c.p < c.end)
        compile_item(&c);
    if (c.nopen > 0)
        vm_fail(L, "unfinished capture: '%.60s'", pattern);
}

void pattern_subject(struct matcher *m, const char *subject, size_t n)
{
    m->subject = subject;
    m->end = subject + n;
    m->steps = 0;
    m->steps_max = STEPS_BASE + STEPS_PER_BYTE * (uint64_t)n;
}

RAISES static void overrun(struct matcher *m)
{
    vm_fail(m->L, "the pattern '%.60s' needs more than %llu steps on %zu bytes: make it more exact", m->pattern,
            (unsigned long long)m->steps_max, (size_t)(m->end - m->subject));
}

RAISES static inline void count(struct matcher *m)
{
    if ((++m->steps & 0xffff) == 0)
        vm_charge(m->L, 0x10000);
    if (m->steps > m->steps_max)
        overrun(m);
}

/* True if the single-byte item takes the byte at s. */
static inline bool takes(const struct matcher *m, const struct pattern_item *item, const char *s)
{
    if (s >= m->end)
        return false;
    return item->kind == ITEM_ANY || (item->kind == ITEM_TEXT ? *s == *item->u.text.p
                                                                : has_byte(item->u.set, (unsigned char)*s));
}

/* The end of the balanced text at s, or NULL. */
RAISES static const char *balance(struct matcher *m, const struct pattern_item *item, const char *s)
{
    char open = item->u.text.p[0], close = item->u.text.p[1];
    if (s >= m->end || *s != open)
        return NULL;
    for (size_t nested = 1; ++s < m->end;) {
        count(m);
        if (*s == close) {
            if (--nested == 0)
                return s + 1;
        } else if (*s == open) {
            nested++;
        }
    }
    return NULL;
}

/* The end of what one item without quantifier takes at s, or NULL. */
RAISES static const char *match_item(struct matcher *m, const struct pattern_item *item, const char *s)
{
    struct capture *capture = &m->captures[item->index];
    switch ((enum pattern_kind)item->kind) {
    case ITEM_TEXT:
        if ((size_t)(m->end - s) < item->u.text.n || memcmp(s, item->u.text.p, item->u.text.n) != 0)
            return NULL;
        return s + item->u.text.n;
    case ITEM_ANY:
    case ITEM_SET:
        return takes(m, item, s) ? s + 1 : NULL;
    case ITEM_OPEN:
        capture->p = s;
        return s;
    case ITEM_CLOSE:
        capture->n = (size_t)(s - capture->p);
        return s;
    case ITEM_POSITION:
        *capture = (struct capture){s, CAPTURE_POSITION};
        return s;
    case ITEM_BALANCE:
        return balance(m, item, s);
    case ITEM_FRONTIER:
        return !has_byte(item->u.set, s == m->subject ? 0 : (unsigned char)s[-1]) &&
                       has_byte(item->u.set, s == m->end ? 0 : (unsigned char)*s)
                   ? s : NULL;
    case ITEM_BACK:
        if (capture->n > (size_t)(m->end - s) || memcmp(s, capture->p, capture->n) != 0)
            return NULL;
        m->steps += capture->n / 16;
        return s + capture->n;
    case ITEM_END:
        return s == m->end ? s : NULL;
    }
    return NULL;
}

static const char *match_from(struct matcher *m, int i, const char *s);

RAISES static const char *match_most(struct matcher *m, int i, const char *s)
{
    const struct pattern_item *item = &m->items[i];
    size_t n = 0, least = item->quantifier == '+';
    while (takes(m, item, s + n)) {
        n++;
        count(m);
    }
    if (n < least)
        return NULL;
    if (i + 1 == m->nitems)
        return s + n;
    const struct pattern_item *next = item + 1;
    bool is_text = next->kind == ITEM_TEXT && !next->quantifier;
    for (;; n--) {
        count(m);
        if (!is_text || takes(m, next, s + n)) {
            const char *end = match_from(m, i + 1, s + n);
            if (end)
                return end;
        }
        if (n == least)
            return NULL;
    }
}

RAISES static const char *match_least(struct matcher *m, int i, const char *s)
{
    const struct pattern_item *item = &m->items[i];
    for (;; s++) {
        const char *end = match_from(m, i + 1, s);
        if (end)
            return end;
        if (!takes(m, item, s))
            return NULL;
    }
}

RAISES static const char *match_from(struct matcher *m, int i, const char *s)
{
    const char *end = NULL;
    if (++m->depth > DEPTH_MAX)
        vm_fail(m->L, "pattern too complex: '%.60s'", m->pattern);
    for (; s && i < m->nitems; i++) {
        const struct pattern_item *item = &m->items[i];
        count(m);
        if (!item->quantifier) {
            s = match_item(m, item, s);
            continue;
        }
        if (item->quantifier == '?') {
            end = takes(m, item, s) ? match_from(m, i + 1, s + 1) : NULL;
            if (end)
                break;
            continue;
        }
        end = item->quantifier == '-' ? match_least(m, i, s) : match_most(m, i, s);
        s = NULL;
        break;
    }
    m->depth--;
    return end ? end : s;
}

const char *pattern_match(struct matcher *m, const char *at)
{
    m->depth = 0;
    return match_from(m, 0, at);
}

const char *pattern_skip(const struct matcher *m, const char *at)
{
    const struct pattern_item *item = m->items, *end = m->items + m->nitems;
    while (item < end && item->kind == ITEM_OPEN)
        item++;
    if (item == end || item->kind != ITEM_TEXT || (item->quantifier && item->quantifier != '+'))
        return at;
    return at < m->end ? memchr(at, *item->u.text.p, (size_t)(m->end - at)) : NULL;
}

bool pattern_is_plain(const char *pattern, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pattern[i] && strchr("^$*+?.([%-", pattern[i]))
            return false;
    return true;
}
