/* SPDX-License-Identifier: Apache-2.0 */
/* One spelling of every value. */
#include "base/json.h"
#include "base/limits.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes that a quoted string holds as they are; the rest is escaped or checked as UTF-8. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void add_escaped(struct buf *out, unsigned char c)
{
    static const char short_form[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

    if (c == '"' || c == '\\')
        buf_addf(out, "\\%c", c);
    else if (c < sizeof(short_form) && short_form[c])
        buf_addf(out, "\\%c", short_form[c]);
    else
        buf_addf(out, "\\u%04x", c);
}

bool json_add_string(struct buf *out, const char *s, size_t n)
{
    bool lossy = false;
    size_t i = 0;

    buf_addc(out, '"');
    while (i < n) {
        size_t from = i;
        unsigned char c;

        while (i < n && is_plain((unsigned char)s[i]))
            i++;
        if (i > from)
            buf_add(out, s + from, i - from);
        if (i == n)
            break;
        c = (unsigned char)s[i];
        if (c < 0x80) {
            add_escaped(out, c);
            i++;
            continue;
        }
        for (from = i; i < n && (unsigned char)s[i] >= 0x80;)
            i++;
        lossy |= str_add_utf8(out, s + from, i - from);
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

int json_add_double(struct buf *out, double v)
{
    char text[40];
    int precision;

    if (!isfinite(v))
        return ERR_INVALID;
    for (precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    if (!strpbrk(text, ".e"))
        snprintf(text + strlen(text), 3, ".0");
    return buf_adds(out, text);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_object(struct buf *out, const json_t *v)
{
    size_t n = json_object_size(v), i = 0;
    const char **keys = xcalloc(n, sizeof(*keys)), *key;
    json_t *value;
    int rc = 0;

    json_object_foreach((json_t *)v, key, value) {
        keys[i++] = key;
    }
    qsort(keys, n, sizeof(*keys), compare_keys);
    buf_addc(out, '{');
    for (i = 0; i < n && rc == 0; i++) {
        if (i)
            buf_addc(out, ',');
        json_add_string(out, keys[i], strlen(keys[i]));
        buf_addc(out, ':');
        rc = json_add_value(out, json_object_get(v, keys[i]));
    }
    free(keys);
    return rc ? rc : buf_addc(out, '}');
}

static int add_array(struct buf *out, const json_t *v)
{
    size_t i;
    int rc = 0;

    buf_addc(out, '[');
    for (i = 0; i < json_array_size(v) && rc == 0; i++) {
        if (i)
            buf_addc(out, ',');
        rc = json_add_value(out, json_array_get(v, i));
    }
    return rc ? rc : buf_addc(out, ']');
}

int json_add_value(struct buf *out, const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT:
        return add_object(out, v);
    case JSON_ARRAY:
        return add_array(out, v);
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

/* jansson has a fixed depth limit of its own that is higher than ours. */
static bool too_deep(struct str text)
{
    int depth = 0;
    bool quoted = false;
    size_t i;

    for (i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

int json_read(struct str text, json_t **out, struct err *e)
{
    json_error_t error;
    json_t *v;

    if (too_deep(text))
        return err_set(e, ERR_LIMIT, "JSON is nested deeper than %d", JSON_DEPTH_MAX);
    v = json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!v)
        return err_set(e, ERR_INVALID, "JSON, line %d column %d: %s", error.line, error.column, error.text);
    *out = v;
    return 0;
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
