/* SPDX-License-Identifier: Apache-2.0 */
/* One spelling of every value. Strings and numbers are written many times per journal
 * row: plain ASCII goes in runs, and a number goes to printf only if nothing simpler
 * gives the same digits. */
#include "base/json.h"
#include "base/limits.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What stands behind the backslash; 'u' for \u00xx. */
static const char escapes[128] = {
    [0x00] = 'u', [0x01] = 'u', [0x02] = 'u', [0x03] = 'u', [0x04] = 'u', [0x05] = 'u', [0x06] = 'u', [0x07] = 'u',
    [0x08] = 'b', [0x09] = 't', [0x0a] = 'n', [0x0b] = 'u', [0x0c] = 'f', [0x0d] = 'r', [0x0e] = 'u', [0x0f] = 'u',
    [0x10] = 'u', [0x11] = 'u', [0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u', [0x16] = 'u', [0x17] = 'u',
    [0x18] = 'u', [0x19] = 'u', [0x1a] = 'u', [0x1b] = 'u', [0x1c] = 'u', [0x1d] = 'u', [0x1e] = 'u', [0x1f] = 'u',
    ['"'] = '"', ['\\'] = '\\',
};

static void add_escaped(struct buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\', escapes[c], '0', '0', digits[c >> 4], digits[c & 15]};

    buf_add(out, text, escapes[c] == 'u' ? 6 : 2);
}

/* Eight bytes at once: none above 0x7f, below 0x20, a quote or a backslash. (A byte
 * that is zero after the xor borrows into its top bit; a false alarm only costs time.) */
static bool is_plain8(const char *s)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t v, quote, back;

    memcpy(&v, s, sizeof(v));
    quote = v ^ ones * '"';
    back = v ^ ones * '\\';
    return ((v | (v - ones * 0x20) | (quote - ones) | (back - ones)) & tops) == 0;
}

static size_t plain_run(const char *s, size_t i, size_t n)
{
    while (n - i >= 8 && is_plain8(s + i))
        i += 8;
    while (i < n && (unsigned char)s[i] < 0x80 && !escapes[(unsigned char)s[i]])
        i++;
    return i;
}

/* A text without anything to escape. */
static void add_quoted(struct buf *out, const char *s, size_t n)
{
    char *to = buf_reserve(out, n + 2);

    if (!to)
        return;
    to[0] = '"';
    if (n)
        memcpy(to + 1, s, n);
    to[n + 1] = '"';
    out->len += n + 2;
}

bool json_add_string(struct buf *out, const char *s, size_t n)
{
    bool lossy = false;
    size_t i = plain_run(s, 0, n), from;

    if (i == n) {
        add_quoted(out, s, n);
        return false;
    }
    buf_addc(out, '"');
    buf_add(out, s, i);
    while (i < n) {
        from = i;
        if ((unsigned char)s[i] < 0x80) {
            add_escaped(out, (unsigned char)s[i++]);
        } else {
            while (i < n && (unsigned char)s[i] >= 0x80)
                i++;
            lossy |= str_add_utf8(out, s + from, i - from);
        }
        from = i;
        i = plain_run(s, i, n);
        buf_add(out, s + from, i - from);
    }
    buf_addc(out, '"');
    return lossy;
}

void json_add_int(struct buf *out, int64_t v)
{
    char digits[24];
    int i = sizeof(digits);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do {
        digits[--i] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        digits[--i] = '-';
    buf_add(out, digits + i, sizeof(digits) - (size_t)i);
}

/* Most numbers that people and systems write are m / 10^k with few digits. If m has at
 * most 15 digits and m / 10^k (one correctly rounded division) is v, then m and k are
 * the digits that %.15g would give, and the smallest k leaves no zeros at the end. */
static bool add_short_decimal(struct buf *out, double v)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double m, u = fabs(v);
    char digits[24];
    int i = sizeof(digits), k;
    int64_t left;

    if (u >= 1e15 || (u < 1e-4 && u != 0))
        return false;
    for (k = 0; k <= 6; k++) {
        m = u * powers[k];
        if (m >= 1e15 - 1)
            return false;
        m = (double)(int64_t)(m + 0.5);
        if (m / powers[k] == u)
            break;
    }
    if (k > 6)
        return false;
    left = (int64_t)m;
    if (k == 0)
        digits[--i] = '0';
    for (; k > 0; k--, left /= 10)
        digits[--i] = (char)('0' + left % 10);
    digits[--i] = '.';
    do {
        digits[--i] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (signbit(v))
        digits[--i] = '-';
    buf_add(out, digits + i, sizeof(digits) - (size_t)i);
    return true;
}

int json_add_double(struct buf *out, double v)
{
    char text[40];
    int precision;

    if (!isfinite(v))
        return ERR_INVALID;
    if (add_short_decimal(out, v))
        return out->failed ? ERR_LIMIT : 0;
    for (precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    if (!strpbrk(text, ".e"))
        snprintf(text + strlen(text), 3, ".0");
    return buf_adds(out, text);
}

struct field {
    const char *key;
    json_t *value;
};

static int compare_fields(const void *a, const void *b)
{
    return strcmp(((const struct field *)a)->key, ((const struct field *)b)->key);
}

/* What is canonical already, as most of what is read is, costs one comparison per field. */
static void sort_fields(struct field *fields, size_t n)
{
    size_t i;

    for (i = 1; i < n && compare_fields(&fields[i - 1], &fields[i]) <= 0; i++)
        continue;
    if (i < n)
        qsort(fields, n, sizeof(*fields), compare_fields);
}

static int add_value(struct buf *out, const json_t *v, int depth);

static int add_object(struct buf *out, const json_t *v, int depth)
{
    struct field few[16], *fields = few;
    size_t n = json_object_size(v), i = 0;
    const char *key;
    json_t *value;
    int rc = 0;

    if (n > sizeof(few) / sizeof(few[0]))
        fields = xcalloc(n, sizeof(*fields));
    json_object_foreach((json_t *)v, key, value) {
        fields[i++] = (struct field){key, value};
    }
    sort_fields(fields, n);
    buf_addc(out, '{');
    for (i = 0; i < n && rc == 0; i++) {
        if (i)
            buf_addc(out, ',');
        json_add_string(out, fields[i].key, strlen(fields[i].key));
        buf_addc(out, ':');
        rc = add_value(out, fields[i].value, depth);
    }
    if (fields != few)
        free(fields);
    return rc ? rc : buf_addc(out, '}');
}

static int add_array(struct buf *out, const json_t *v, int depth)
{
    size_t i;
    int rc = 0;

    buf_addc(out, '[');
    for (i = 0; i < json_array_size(v) && rc == 0; i++) {
        if (i)
            buf_addc(out, ',');
        rc = add_value(out, json_array_get(v, i), depth);
    }
    return rc ? rc : buf_addc(out, ']');
}

/* depth: collections around v. */
static int add_value(struct buf *out, const json_t *v, int depth)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT:
        return depth == JSON_DEPTH_MAX ? ERR_LIMIT : add_object(out, v, depth + 1);
    case JSON_ARRAY:
        return depth == JSON_DEPTH_MAX ? ERR_LIMIT : add_array(out, v, depth + 1);
    case JSON_STRING:
        json_add_string(out, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER:
        json_add_int(out, json_integer_value(v));
        break;
    case JSON_REAL:
        return json_add_double(out, json_real_value(v));
    case JSON_TRUE:
        return buf_adds(out, "true");
    case JSON_FALSE:
        return buf_adds(out, "false");
    case JSON_NULL:
        return buf_adds(out, "null");
    }
    return out->failed ? ERR_LIMIT : 0;
}

int json_add_value(struct buf *out, const json_t *v)
{
    return add_value(out, v, 0);
}

void json_add_text(struct buf *out, struct str json)
{
    json_t *v = NULL;

    if (json_read(json, &v, NULL) == 0 && json_is_string(v))
        buf_add(out, json_string_value(v), json_string_length(v));
    json_decref(v);
}

const char *json_get_string(const json_t *o, const char *key, const char *absent)
{
    const json_t *v = json_object_get(o, key);

    return json_is_string(v) ? json_string_value(v) : absent;
}

int64_t json_get_int(const json_t *o, const char *key, int64_t absent)
{
    const json_t *v = json_object_get(o, key);

    return json_is_integer(v) ? json_integer_value(v) : absent;
}

bool json_get_bool(const json_t *o, const char *key, bool absent)
{
    const json_t *v = json_object_get(o, key);

    return json_is_boolean(v) ? json_is_true(v) : absent;
}

void json_open(struct json_object *o, struct buf *out)
{
    o->out = out;
    o->last_key = NULL;
    buf_addc(out, '{');
}

static void put_key(struct json_object *o, const char *key)
{
    assert(!o->last_key || strcmp(o->last_key, key) < 0);
    if (o->last_key)
        buf_addc(o->out, ',');
    o->last_key = key;
    json_add_string(o->out, key, strlen(key));
    buf_addc(o->out, ':');
}

void json_put_string(struct json_object *o, const char *key, struct str v)
{
    put_key(o, key);
    json_add_string(o->out, v.p, v.n);
}

void json_put_int(struct json_object *o, const char *key, int64_t v)
{
    put_key(o, key);
    json_add_int(o->out, v);
}

void json_put_bool(struct json_object *o, const char *key, bool v)
{
    put_key(o, key);
    buf_adds(o->out, v ? "true" : "false");
}

void json_put_value(struct json_object *o, const char *key, const json_t *v)
{
    put_key(o, key);
    json_add_value(o->out, v);
}

void json_put_raw(struct json_object *o, const char *key, struct str v)
{
    put_key(o, key);
    if (v.n)
        buf_add(o->out, v.p, v.n);
    else
        buf_adds(o->out, "null");
}

void json_close(struct json_object *o)
{
    buf_addc(o->out, '}');
}
