/* SPDX-License-Identifier: Apache-2.0 */
/* Slices, UTF-8 and what a terminal may see. */
#include "base/str.h"

#include <fnmatch.h>
#include <stdio.h>

struct str str_of(const char *s)
{
    return (struct str){s ? s : "", s ? strlen(s) : 0};
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_is(struct str a, const char *s)
{
    return str_eq(a, str_of(s));
}

bool str_matches(struct str globs, struct str name)
{
    char glob[1001], text[1001];
    size_t i, n;

    snprintf(text, sizeof(text), "%.*s", (int)name.n, name.n ? name.p : "");
    for (i = 0; i < globs.n && globs.n < sizeof(glob) && name.n < sizeof(text); i += n + 1) {
        for (n = 0; i + n < globs.n && globs.p[i + n] != ' '; n++)
            glob[n] = globs.p[i + n];
        glob[n] = '\0';
        if (fnmatch(glob, text, 0) == 0)
            return true;
    }
    return false;
}

char *str_copy(char *out, size_t size, struct str s)
{
    size_t n = s.n < size ? s.n : size - 1;

    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
    return out;
}

bool str_starts(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

/* Length of the well-formed UTF-8 sequence at s, or 0. */
static size_t utf8_at(const unsigned char *s, size_t n)
{
    size_t len, i;
    unsigned low = 0x80, high = 0xbf;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        len = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        len = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        len = 4;
    else
        return 0;
    if (n < len)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (i = 2; i < len; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    }
    return len;
}

bool str_is_utf8(const char *s, size_t n)
{
    size_t i = 0, len;

    while (i < n) {
        len = utf8_at((const unsigned char *)s + i, n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

bool str_add_utf8(struct buf *out, const char *s, size_t n)
{
    size_t i = 0, from = 0, len;
    bool bad = false;

    while (i < n) {
        len = utf8_at((const unsigned char *)s + i, n - i);
        if (len > 0) {
            i += len;
            continue;
        }
        buf_add(out, s + from, i - from);
        buf_add(out, "\xef\xbf\xbd", 3);
        bad = true;
        from = ++i;
    }
    buf_add(out, n ? s + from : "", n - from);
    return bad;
}

/* Code points that print nothing but reorder or break the line around them: U+2028,
 * U+2029 and the bidirectional controls, with which text can pose as other text. */
static bool reorders(const unsigned char *c, size_t len)
{
    if (len != 3 || c[0] != 0xe2)
        return false;
    return (c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
           (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

/* Bad bytes, C0, DEL and C1 controls: what could steer a terminal. */
static bool steers(const unsigned char *c, size_t len)
{
    return len == 0 || *c < 0x20 || *c == 0x7f || (len == 2 && c[0] == 0xc2 && c[1] < 0xa0);
}

static void add_visible(struct buf *out, const unsigned char *c, size_t len)
{
    if (len == 3)
        buf_addf(out, "\\u%04x", (unsigned)((c[0] & 0x0f) << 12 | (c[1] & 0x3f) << 6 | (c[2] & 0x3f)));
    else if (*c == '\n')
        buf_adds(out, "\\n");
    else if (*c == '\t')
        buf_adds(out, "\\t");
    else
        buf_addf(out, "\\x%02x", len == 2 ? c[1] : *c);
}

void str_add_printable(struct buf *out, const char *s, size_t n)
{
    size_t i = 0, from = 0, len;

    while (i < n) {
        const unsigned char *c = (const unsigned char *)s + i;

        len = utf8_at(c, n - i);
        if (!steers(c, len) && !reorders(c, len)) {
            i += len;
            continue;
        }
        buf_add(out, s + from, i - from);
        add_visible(out, c, len);
        i += len ? len : 1;
        from = i;
    }
    buf_add(out, n ? s + from : "", n - from);
}

void str_add_lines(struct buf *out, const char *s, size_t n)
{
    size_t i, from = 0;

    for (i = 0; i <= n; i++) {
        if (i < n && s[i] != '\n' && s[i] != '\t')
            continue;
        str_add_printable(out, s + from, i - from - (i > from && i < n && s[i] == '\n' && s[i - 1] == '\r'));
        if (i < n)
            buf_addc(out, s[i] == '\t' ? ' ' : '\n');
        from = i + 1;
    }
}

void str_add_indented(struct buf *out, const char *s, int indent)
{
    size_t n;

    for (; *s; s += n) {
        n = strcspn(s, "\n");
        buf_add(out, s, n);
        if (s[n])
            buf_addf(out, "\n%*s", s[n + 1] && s[n + 1] != '\n' ? indent : 0, "");
        n += s[n] != '\0';
    }
}

#define NEAREST_MAX 64  /* longer names are no typing errors of each other */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein; SIZE_MAX if either is too long to compare. */
static size_t distance(struct str a, const char *b, size_t nb)
{
    size_t row[NEAREST_MAX + 1], i, k;

    if (a.n > NEAREST_MAX || nb > NEAREST_MAX)
        return SIZE_MAX;
    for (k = 0; k <= nb; k++)
        row[k] = k;
    for (i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (k = 1; k <= nb; k++) {
            size_t swap = diagonal + (a.p[i - 1] != b[k - 1]);

            diagonal = row[k];
            row[k] = smaller(swap, smaller(row[k], row[k - 1]) + 1);
        }
    }
    return row[nb];
}

const char *str_nearest(struct str s, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t i, found = 1 + s.n / 3 + 1;   /* one above the largest that counts */

    for (i = 0; i < n; i++) {
        size_t d = distance(s, names[i], strlen(names[i]));

        if (d < found) {
            found = d;
            best = names[i];
        }
    }
    return best;
}
