/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder (see value.h): strict RFC 8259 text to Lua values, one pass, no
 * tree between. Integers beyond 64 bits become strings of their digits; a lone
 * surrogate becomes U+FFFD; of two equal keys the last one counts. */
#include "vm/value.h"

#include "base/limits.h"
#include "vm/readonly.h"
#include "vm/sandbox.h"
#include "vm/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* So many elements are read onto the stack before their table is made, so that it need not grow. */
#define AHEAD 16

struct decoder {
    lua_State *L;
    struct vm *vm;
    const char *p, *end, *start;
    const char *view;       /* not NULL: every table goes behind a view of this name */
    const struct vm_record *records;
    size_t nrecords;
    int depth;
};

static const double power_of_ten[] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static const char *wrong(struct decoder *d, const char *what)
{
    snprintf(d->vm->error, sizeof d->vm->error, "json: %s at byte %zu", what, (size_t)(d->p - d->start) + 1);
    return d->vm->error;
}

static void skip_space(struct decoder *d)
{
    while (d->p < d->end && *d->p <= ' ' && (*d->p == ' ' || *d->p == '\n' || *d->p == '\t' || *d->p == '\r'))
        d->p++;
}

static bool is_digit(const struct decoder *d)
{
    return d->p < d->end && *d->p >= '0' && *d->p <= '9';
}

/* Four hex digits, or -1. */
static long hex4(struct decoder *d)
{
    long v = 0;
    for (int i = 0; i < 4; i++, d->p++) {
        int c = d->p < d->end ? (unsigned char)*d->p : 0;
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

static void add_code_point(struct buf *out, long c)
{
    if (c < 0x80) {
        buf_addc(out, (char)c);
    } else if (c < 0x800) {
        buf_addc(out, (char)(0xc0 | (c >> 6)));
        buf_addc(out, (char)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        buf_addc(out, (char)(0xe0 | (c >> 12)));
        buf_addc(out, (char)(0x80 | ((c >> 6) & 63)));
        buf_addc(out, (char)(0x80 | (c & 63)));
    } else {
        buf_addc(out, (char)(0xf0 | (c >> 18)));
        buf_addc(out, (char)(0x80 | ((c >> 12) & 63)));
        buf_addc(out, (char)(0x80 | ((c >> 6) & 63)));
        buf_addc(out, (char)(0x80 | (c & 63)));
    }
}

/* Behind "\u". */
static const char *decode_unicode(struct decoder *d, struct buf *out)
{
    long c = hex4(d);
    if (c >= 0xd800 && c < 0xdc00 && d->end - d->p >= 6 && d->p[0] == '\\' && d->p[1] == 'u') {
        const char *before = d->p;
        d->p += 2;
        long low = hex4(d);
        if (low >= 0xdc00 && low < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else
            d->p = before;
    }
    if (c < 0)
        return wrong(d, "bad \\u escape");
    add_code_point(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    return NULL;
}

static const char *decode_escape(struct decoder *d, struct buf *out)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (d->p == d->end)
        return wrong(d, "unfinished string");
    if (*d->p == 'u') {
        d->p++;
        return decode_unicode(d, out);
    }
    const char *at = *d->p ? strchr(plain, *d->p) : NULL;
    if (!at)
        return wrong(d, "unknown escape");
    buf_addc(out, meant[at - plain]);
    d->p++;
    return NULL;
}

/* Behind the opening quote; pushes the string. */
static const char *decode_string(struct decoder *d)
{
    const char *from = d->p;
    bool escaped = false;
    struct buf *out = &d->vm->scratch;
    for (;;) {
        while (d->p < d->end && *d->p != '"' && *d->p != '\\' && (unsigned char)*d->p >= 0x20)
            d->p++;
        if (d->p == d->end)
            return wrong(d, "unfinished string");
        if (*d->p == '"')
            break;
        if (*d->p != '\\')
            return wrong(d, "control byte in a string");
        if (!escaped)
            buf_reset(out);
        escaped = true;
        buf_add(out, from, (size_t)(d->p - from));
        d->p++;
        const char *bad = decode_escape(d, out);
        if (bad)
            return bad;
        from = d->p;
    }
    if (escaped) {
        if (buf_add(out, from, (size_t)(d->p - from)) < 0)
            return wrong(d, "string too long");
        lua_pushlstring(d->L, out->data, out->len);
    } else {
        lua_pushlstring(d->L, from, (size_t)(d->p - from));
    }
    d->p++;
    return NULL;
}

static const char *push_float(struct decoder *d, const char *from, uint64_t digits, int ndigits, long exponent)
{
    if (ndigits <= 15 && exponent >= -22 && exponent <= 22) {   /* both factors are exact, so one rounding */
        double v = (double)digits;
        v = exponent < 0 ? v / power_of_ten[-exponent] : v * power_of_ten[exponent];
        lua_pushnumber(d->L, *from == '-' ? -v : v);
        return NULL;
    }
    struct buf *text = &d->vm->scratch;
    buf_reset(text);
    if (buf_add(text, from, (size_t)(d->p - from)) < 0)
        return wrong(d, "number too long");
    double v = strtod(text->data, NULL);
    if (!isfinite(v))
        return wrong(d, "number out of range");
    lua_pushnumber(d->L, v);
    return NULL;
}

/* Digits from here on, into *digits while they fit. Returns how many significant ones. */
static int take_digits(struct decoder *d, uint64_t *digits, int n, bool *overflow)
{
    for (; is_digit(d); d->p++) {
        unsigned v = (unsigned)(*d->p - '0');
        if (n > 0 || v > 0)
            n++;
        if (*digits > (UINT64_MAX - v) / 10)
            *overflow = true;
        else if (!*overflow)
            *digits = *digits * 10 + v;
    }
    return n;
}

static const char *decode_number(struct decoder *d)
{
    const char *from = d->p;
    bool negative = *d->p == '-', overflow = false, is_float = false;
    uint64_t digits = 0;
    long exponent = 0;
    d->p += negative;
    if (!is_digit(d))
        return wrong(d, "not a value");
    if (*d->p == '0' && d->end - d->p > 1 && d->p[1] >= '0' && d->p[1] <= '9')
        return wrong(d, "number with a leading zero");
    int n = take_digits(d, &digits, 0, &overflow);
    if (d->p < d->end && *d->p == '.') {
        const char *point = d->p++;
        is_float = true;
        if (!is_digit(d))
            return wrong(d, "number without digits behind its point");
        n = take_digits(d, &digits, n, &overflow);
        exponent = -(long)(d->p - point - 1);
    }
    if (d->p < d->end && (*d->p | 32) == 'e') {
        d->p++;
        is_float = true;
        bool down = d->p < d->end && *d->p == '-';
        d->p += d->p < d->end && (*d->p == '-' || *d->p == '+');
        if (!is_digit(d))
            return wrong(d, "number without digits in its exponent");
        long e = 0;
        for (; is_digit(d); d->p++)
            e = e < 100000 ? e * 10 + (*d->p - '0') : e;
        exponent += down ? -e : e;
    }
    if (is_float)
        return push_float(d, from, digits, overflow ? 99 : n, exponent);
    if (overflow || digits > (uint64_t)INT64_MAX + negative)
        lua_pushlstring(d->L, from, (size_t)(d->p - from));
    else
        lua_pushinteger(d->L, (lua_Integer)(negative ? 0 - digits : digits));
    return NULL;
}

static const char *decode(struct decoder *d);

static void finish_table(struct decoder *d)
{
    d->depth--;
    if (!d->view)
        return;
    readonly_push(d->L, -1, d->view);
    lua_remove(d->L, -2);
}

/* The n values above `base` become a list there, made to size. */
static void gather_list(struct decoder *d, int base, int n)
{
    lua_createtable(d->L, n, 0);
    lua_insert(d->L, base + 1);
    for (int i = n; i > 0; i--)
        lua_rawseti(d->L, base + 1, i);
    value_mark_array(d->L);
}

/* The n keys and values above `base` become a record there, made to size. */
static void gather_record(struct decoder *d, int base, int n)
{
    int table = base + 2 * n + 1;
    lua_createtable(d->L, 0, n);
    for (int i = base + 1; i < table; i += 2) {
        lua_pushvalue(d->L, i);
        lua_pushvalue(d->L, i + 1);
        lua_rawset(d->L, table);
    }
    lua_copy(d->L, table, base + 1);
    lua_settop(d->L, base + 1);
}

/* True behind the last element, which `close` follows. */
static const char *next_element(struct decoder *d, char close, const char *expected, bool *last)
{
    skip_space(d);
    char c = d->p < d->end ? *d->p : '\0';
    if (c != ',' && c != close)
        return wrong(d, expected);
    d->p++;
    *last = c == close;
    return NULL;
}

static bool is_empty(struct decoder *d, char close)
{
    skip_space(d);
    if (d->p == d->end || *d->p != close)
        return false;
    d->p++;
    return true;
}

/* Behind the '['. */
static const char *decode_list(struct decoder *d)
{
    int base = lua_gettop(d->L), n = 0;
    bool last = is_empty(d, ']');
    while (!last) {
        const char *bad = decode(d);
        if (!bad)
            bad = next_element(d, ']', "expected ',' or ']'", &last);
        if (bad)
            return bad;
        if (++n == AHEAD)
            gather_list(d, base, n);
        else if (n > AHEAD)
            lua_rawseti(d->L, base + 1, n);
    }
    if (n < AHEAD)
        gather_list(d, base, n);
    finish_table(d);
    return NULL;
}

static const char *decode_field(struct decoder *d)
{
    skip_space(d);
    if (d->p == d->end || *d->p != '"')
        return wrong(d, "expected a key");
    d->p++;
    const char *bad = decode_string(d);
    if (bad)
        return bad;
    skip_space(d);
    if (d->p == d->end || *d->p != ':')
        return wrong(d, "expected ':'");
    d->p++;
    return decode(d);
}

/* Behind the '{'. */
static const char *decode_record(struct decoder *d)
{
    int base = lua_gettop(d->L), n = 0;
    bool last = is_empty(d, '}');
    while (!last) {
        const char *bad = decode_field(d);
        if (!bad)
            bad = next_element(d, '}', "expected ',' or '}'", &last);
        if (bad)
            return bad;
        if (++n == AHEAD)
            gather_record(d, base, n);
        else if (n > AHEAD)
            lua_rawset(d->L, base + 1);
    }
    if (n < AHEAD)
        gather_record(d, base, n);
    finish_table(d);
    return NULL;
}

static const char *decode_word(struct decoder *d, const char *word, size_t n)
{
    if ((size_t)(d->end - d->p) < n || memcmp(d->p, word, n) != 0)
        return wrong(d, "not a value");
    d->p += n;
    if (*word == 'n')
        lua_pushlightuserdata(d->L, vm_key(KEY_NULL));
    else
        lua_pushboolean(d->L, *word == 't');
    return NULL;
}

/* Behind the '@' that stands for a record. */
static const char *decode_later(struct decoder *d)
{
    size_t i = 0;
    while (is_digit(d) && i < d->nrecords)
        i = 10 * i + (size_t)(*d->p++ - '0');
    if (i >= d->nrecords)
        return wrong(d, "not a value");
    fields_push(d->L, &d->records[i]);
    return NULL;
}

static const char *decode(struct decoder *d)
{
    skip_space(d);
    char c = d->p < d->end ? *d->p : '\0';
    if (c == '{' || c == '[') {
        if (d->depth == JSON_DEPTH_MAX || !lua_checkstack(d->L, 2 * AHEAD + 8))
            return wrong(d, "nested more than 64 deep");
        d->depth++;
        d->p++;
        return c == '{' ? decode_record(d) : decode_list(d);
    }
    switch (c) {
    case '"':
        d->p++;
        return decode_string(d);
    case 't':
        return decode_word(d, "true", 4);
    case 'f':
        return decode_word(d, "false", 5);
    case 'n':
        return decode_word(d, "null", 4);
    case '@':
        d->p++;
        return decode_later(d);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return decode_number(d);
        return wrong(d, d->p < d->end ? "not a value" : "unexpected end");
    }
}

/* The elements of the list that is the whole text, one by one. */
static const char *spread(struct decoder *d, int most)
{
    skip_space(d);
    if (d->p == d->end || *d->p != '[')
        return wrong(d, "not a list");
    d->p++;
    bool last = is_empty(d, ']');
    for (int n = 0; !last; n++) {
        if (n == most || !lua_checkstack(d->L, 8))
            return wrong(d, "too many elements");
        const char *bad = decode(d);
        if (!bad)
            bad = next_element(d, ']', "expected ',' or ']'", &last);
        if (bad)
            return bad;
    }
    return NULL;
}

/* spread_most: 0 = the value, else the elements of a list that has at most so many. */
static const char *decode_all(struct decoder *d, struct str json, int spread_most)
{
    int top = lua_gettop(d->L);
    d->vm = vm_of(d->L);
    d->p = d->start = json.p;
    d->end = json.p + json.n;
    if (!lua_checkstack(d->L, 8))
        return wrong(d, "no room on the stack");
    if (d->vm->inside)
        vm_charge(d->L, json.n / 4);
    const char *bad = spread_most ? spread(d, spread_most) : decode(d);
    skip_space(d);
    if (!bad && d->p != d->end)
        bad = wrong(d, "more text behind the value");
    if (bad)
        lua_settop(d->L, top);
    return bad;
}

const char *value_decode(lua_State *L, struct str json)
{
    return decode_all(&(struct decoder){.L = L}, json, 0);
}

const char *value_decode_spread(lua_State *L, struct str json, int most)
{
    return decode_all(&(struct decoder){.L = L}, json, most);
}

const char *value_decode_readonly(lua_State *L, struct str json, const char *what)
{
    return decode_all(&(struct decoder){.L = L, .view = what}, json, 0);
}

const char *value_decode_argument(lua_State *L, struct str json, const struct vm_record *records, size_t n)
{
    return decode_all(&(struct decoder){.L = L, .records = records, .nrecords = n}, json, 0);
}
