/* SPDX-License-Identifier: Apache-2.0 */
/* Lua patterns, compiled and matched with a budget of steps: backtracking that
 * would take minutes is an error that names the pattern, not a hanging program.
 * Subjects may have any size. */
#ifndef MIDWATCH_VM_PATTERN_H
#define MIDWATCH_VM_PATTERN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_CAPTURES 32
#define PATTERN_INLINE 32
#define CAPTURE_POSITION ((size_t)-1)   /* length of a capture that is a position */

enum pattern_kind {
    ITEM_TEXT, ITEM_ANY, ITEM_SET, ITEM_OPEN, ITEM_CLOSE, ITEM_POSITION, ITEM_BALANCE, ITEM_FRONTIER, ITEM_BACK,
    ITEM_END,
};

struct pattern_item {
    unsigned char kind;         /* enum pattern_kind */
    char quantifier;            /* 0 ? * + - */
    unsigned char index;        /* of the capture */
    union {
        struct {
            const char *p;      /* text; both delimiters of a balance */
            size_t n;
        } text;
        uint32_t set[8];        /* one bit per byte */
    } u;
};

struct capture {
    const char *p;
    size_t n;
};

struct matcher {
    lua_State *L;
    const char *pattern;
    size_t pattern_n;
    const char *subject, *end;
    int nitems, ncaptures;
    int depth;
    uint64_t steps, steps_max;
    struct pattern_item *items;
    struct capture captures[PATTERN_CAPTURES];
    struct pattern_item inline_items[PATTERN_INLINE];
};

/* Compiles the pattern, which must outlive *m. Long ones push a userdata, short ones nil.
 * Raises for a malformed pattern. [-0, +1, e] */
void pattern_compile(struct matcher *m, lua_State *L, const char *pattern, size_t n);
/* Sets the subject and a fresh budget. */
void pattern_subject(struct matcher *m, const char *subject, size_t n);
/* Matches at exactly `at`; returns the end of the match or NULL. Raises when the budget is used up. */
const char *pattern_match(struct matcher *m, const char *at);
/* The first place from `at` on where a match can begin (possibly the end), or NULL. */
const char *pattern_skip(const struct matcher *m, const char *at);
/* True if the pattern has no special characters. */
bool pattern_is_plain(const char *pattern, size_t n);

#endif
