/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON. What programs write to each other, small and in the commonest spelling, is read here in one pass;
 * jansson, which goes byte by byte through several layers, reads the rest, and says what is wrong with a text. Whatever is
 * taken here jansson would take, with the same result (a test compares them). */
#include "base/json.h"
#include "base/limits.h"

#include <math.h>
#include <stdlib.h>

/* A text that is given up halfway is read twice. */
#define QUICK_BYTES_MAX (64 * KIB)
#define INT_DIGITS 18           /* that fit into 64 bits, whatever they are */
#define REAL_BYTES 40

struct quick {
    const char *p, *end;
    int depth;
};

static json_t *quick_value(struct quick *q);

static void skip_space(struct quick *q)
{
    while (q->p < q->end && (*q->p == ' ' || *q->p == '\n' || *q->p == '\t' || *q->p == '\r'))
        q->p++;
}

/* Behind the opening quote: a text without escapes, or p NULL. */
static struct str quick_text(struct quick *q, bool *is_ascii)
{
    const char *from = q->p;
    unsigned char seen = 0;

    while (q->p < q->end && *q->p != '"' && *q->p != '\\' && (unsigned char)*q->p >= 0x20)
        seen |= (unsigned char)*q->p++;
    *is_ascii = seen < 0x80;
    if (q->p == q->end || *q->p != '"')
        return (struct str){0};
    return (struct str){from, (size_t)(q->p++ - from)};
}

static json_t *quick_string(struct quick *q)
{
    bool is_ascii;
    struct str s = quick_text(q, &is_ascii);

    if (!s.p)
        return NULL;
    return is_ascii ? json_stringn_nocheck(s.p, s.n) : json_stringn(s.p, s.n);
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* The end of the fraction and exponent at p; NULL if they are none. */
static const char *skip_fraction(const char *p, const char *end)
{
    const char *from;

    if (p < end && *p == '.') {
        from = ++p;
        p = skip_digits(p, end);
        if (p == from)
            return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        from = p;
        p = skip_digits(p, end);
        if (p == from)
            return NULL;
    }
    return p;
}

static json_t *quick_number(struct quick *q)
{
    const char *from = q->p, *digits = from + (*from == '-'), *whole = skip_digits(digits, q->end);
    const char *end = skip_fraction(whole, q->end);
    char text[REAL_BYTES];
    json_int_t v = 0;
    double real;

    if (whole == digits || !end || (*digits == '0' && whole - digits > 1) || whole - digits > INT_DIGITS ||
        (size_t)(end - from) >= sizeof(text))
        return NULL;
    q->p = end;
    if (end == whole) {
        for (; digits < whole; digits++)
            v = 10 * v + (*digits - '0');
        return json_integer(*from == '-' ? -v : v);
    }
    memcpy(text, from, (size_t)(end - from));
    text[end - from] = '\0';
    real = strtod(text, NULL);
    return isfinite(real) ? json_real(real) : NULL;
}

static json_t *quick_word(struct quick *q)
{
    static const struct {
        struct str word;
        json_t *(*make)(void);
    } words[] = {{{"true", 4}, json_true}, {{"false", 5}, json_false}, {{"null", 4}, json_null}};
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if ((size_t)(q->end - q->p) < words[i].word.n || memcmp(q->p, words[i].word.p, words[i].word.n) != 0)
            continue;
        q->p += words[i].word.n;
        return words[i].make();
    }
    return NULL;
}

/* Behind an element: 1 = another one follows, 0 = `close` was there. */
static int quick_next(struct quick *q, char close)
{
    char c;

    skip_space(q);
    c = q->p < q->end ? *q->p++ : '\0';
    return c == ',' ? 1 : c == close ? 0 : ERR_INVALID;
}

static bool is_empty(struct quick *q, char close)
{
    skip_space(q);
    if (q->p == q->end || *q->p != close)
        return false;
    q->p++;
    return true;
}

static int quick_element(struct quick *q, json_t *list)
{
    json_t *v = quick_value(q);

    return v && json_array_append_new(list, v) == 0 ? quick_next(q, ']') : ERR_INVALID;
}

static int quick_field(struct quick *q, json_t *object)
{
    bool is_ascii;
    struct str key;
    json_t *v;
    size_t n;

    skip_space(q);
    if (q->p == q->end || *q->p++ != '"')
        return ERR_INVALID;
    key = quick_text(q, &is_ascii);
    if (!key.p || !is_ascii)
        return ERR_INVALID;
    skip_space(q);
    if (q->p == q->end || *q->p++ != ':')
        return ERR_INVALID;
    v = quick_value(q);
    n = json_object_size(object);
    if (!v || json_object_setn_new_nocheck(object, key.p, key.n, v) < 0 || json_object_size(object) == n)
        return ERR_INVALID;         /* it was there already */
    return quick_next(q, '}');
}

/* Behind the bracket. */
static json_t *quick_collection(struct quick *q, char close)
{
    json_t *v = close == ']' ? json_array() : json_object();
    int more = v && ++q->depth <= JSON_DEPTH_MAX ? !is_empty(q, close) : ERR_LIMIT;

    while (more == 1)
        more = close == ']' ? quick_element(q, v) : quick_field(q, v);
    q->depth--;
    if (more == 0)
        return v;
    json_decref(v);
    return NULL;
}

/* NULL: not for this reader. */
static json_t *quick_value(struct quick *q)
{
    skip_space(q);
    if (q->p == q->end)
        return NULL;
    switch (*q->p) {
    case '{':
        q->p++;
        return quick_collection(q, '}');
    case '[':
        q->p++;
        return quick_collection(q, ']');
    case '"':
        q->p++;
        return quick_string(q);
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        return quick_number(q);
    default:
        return quick_word(q);
    }
}

static json_t *quick_read(struct str text)
{
    struct quick q = {text.p, text.p + text.n, 0};
    json_t *v;

    if (text.n == 0 || text.n > QUICK_BYTES_MAX)
        return NULL;
    v = quick_value(&q);
    skip_space(&q);
    if (!v || q.p == q.end)
        return v;
    json_decref(v);
    return NULL;
}

/* jansson's own depth limit is far above ours and it has none for values, so both are
 * counted before it allocates. A comma or an opening bracket announces a value; in a
 * text that is no JSON the counts mean nothing, and jansson refuses it. */
static int check_limits(struct str text, struct err *e)
{
    size_t depth = 0, nodes = 0, i;
    bool quoted = false;

    for (i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            continue;
        }
        if (c == '"')
            quoted = true;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if ((c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
            return err_set(e, ERR_LIMIT, "JSON is nested deeper than %d", JSON_DEPTH_MAX);
        nodes += c == ',' || c == '{' || c == '[';
        if (nodes > JSON_NODES_MAX)
            return err_set(e, ERR_LIMIT, "JSON has more than %d values", JSON_NODES_MAX);
    }
    return 0;
}

int json_read(struct str text, json_t **out, struct err *e)
{
    json_error_t error;
    json_t *v;
    int rc;

    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        return err_set(e, ERR_INVALID, "JSON begins with a byte order mark");
    v = quick_read(text);
    if (v) {
        *out = v;
        return 0;
    }
    rc = check_limits(text, e);
    if (rc < 0)
        return rc;
    v = json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!v)
        return err_set(e, ERR_INVALID, "JSON, line %d column %d: %s", error.line, error.column, error.text);
    *out = v;
    return 0;
}
