/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed slices of text, and the few string questions the house asks:
 * equality, splitting, UTF-8, durations and sizes, the nearest known name. */
#ifndef MIDWATCH_BASE_STR_H
#define MIDWATCH_BASE_STR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes, not ended by NUL. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

struct str str_of(const char *s);                 /* s may be NULL: empty */
bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *s);
bool str_starts(struct str s, const char *prefix);
/* True if one of the globs, which spaces separate, takes the name. What is longer than 1000 bytes is not looked at. */
bool str_matches(struct str globs, struct str name);
/* s into out, NUL behind it; what does not fit is cut off. Returns out. */
char *str_copy(char *out, size_t size, struct str s);
/* True if all bytes are one well-formed UTF-8 text (no overlong forms, no surrogates). */
bool str_is_utf8(const char *s, size_t n);
/* Adds s as UTF-8, each bad byte as U+FFFD. Returns true if any was bad. */
bool str_add_utf8(struct buf *out, const char *s, size_t n);
/* Adds s with control bytes and terminal escapes made visible (\x1b, \n as "\\n"). */
void str_add_printable(struct buf *out, const char *s, size_t n);
/* The same of a text of several lines: they stay lines, and a tab is a space. */
void str_add_lines(struct buf *out, const char *s, size_t n);
/* A text that is printable, its further lines behind `indent` spaces. */
void str_add_indented(struct buf *out, const char *s, int indent);
/* "90s" "10m" "1h30m" "250ms" "2d" "1w": milliseconds into *ms. 0 or ERR_INVALID. */
int str_duration_ms(struct str s, int64_t *ms);
/* 5400000 -> "1h30m"; shortest exact form, into out. Returns out. */
const char *str_duration(int64_t ms, char *out, size_t size);
/* "512", "10kib", "4 MiB", "1gb": bytes. 0 or ERR_INVALID. */
int str_size_bytes(struct str s, int64_t *bytes);
/* Unix milliseconds -> "2026-11-24T03:00:00.250Z". Returns out (size >= 32). */
const char *str_time(int64_t unix_ms, char *out, size_t size);
/* RFC 3339 -> Unix milliseconds. 0 or ERR_INVALID. */
int str_parse_time(struct str s, int64_t *unix_ms);
/* The entry of names[n] nearest to s by edit distance (at most 1 + len/3), or NULL. */
const char *str_nearest(struct str s, const char *const *names, size_t n);

#endif
