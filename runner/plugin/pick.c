/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/pick.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS_MAX = 12,
    FIELDS_MAX = 64,
    PATTERN_BYTES_MAX = 256,
    LINES_MAX = 10000,
};

struct step {
    enum { STEP_KEY, STEP_EACH, STEP_WHERE } kind;
    char *key;              /* STEP_WHERE: the field looked at */
    char *value;
};

struct field {
    const char *name;
    struct step steps[STEPS_MAX];
    size_t nsteps;
};

json_t *pick_text(struct str s)
{
    struct buf b;
    json_t *v;

    if (str_is_utf8(s.p, s.n))
        return json_stringn(s.p, s.n);
    buf_init(&b, 3 * s.n + 8);
    str_add_utf8(&b, s.p, s.n);
    v = json_stringn(b.data, b.len);
    buf_free(&b);
    return v;
}

static void free_fields(struct field *fields, size_t n)
{
    size_t i, k;

    for (i = 0; i < n; i++) {
        for (k = 0; k < fields[i].nsteps; k++) {
            free(fields[i].steps[k].key);
            free(fields[i].steps[k].value);
        }
    }
    free(fields);
}

/* What stands in brackets at *at: nothing, k=v or a quoted key. */
static bool parse_brackets(struct step *s, const char **at)
{
    const char *p = *at + 1, *end = *p == '"' ? strstr(p + 1, "\"]") : strchr(p, ']'), *equal;

    if (!end)
        return false;
    equal = memchr(p, '=', (size_t)(end - p));
    if (*p == '"') {
        *s = (struct step){.kind = STEP_KEY, .key = xstrndup(p + 1, (size_t)(end - p - 1))};
        end++;
    } else if (p == end) {
        *s = (struct step){.kind = STEP_EACH};
    } else if (equal) {
        *s = (struct step){.kind = STEP_WHERE, .key = xstrndup(p, (size_t)(equal - p)),
                           .value = xstrndup(equal + 1, (size_t)(end - equal - 1))};
    } else {
        return false;
    }
    *at = end + 1;
    return true;
}

static int parse_path(struct field *f, const char *path, struct err *e)
{
    const char *p = path;
    size_t n;

    while (*p) {
        if (f->nsteps == STEPS_MAX)
            return err_set(e, ERR_LIMIT, "the path '%.100s' has more than %d steps", path, STEPS_MAX);
        n = strcspn(p, ".[]");
        if (n > 0) {
            f->steps[f->nsteps++] = (struct step){.kind = STEP_KEY, .key = xstrndup(p, n)};
            p += n;
        } else if (*p == '[' && parse_brackets(&f->steps[f->nsteps], &p)) {
            f->nsteps++;
        } else {
            break;
        }
        if (*p == '.' && p[1] != '\0' && p[1] != '.')
            p++;
    }
    if (*p || !*path)
        return err_set(e, ERR_INVALID, "'%.100s' is no path (write spec.replicas, status.conditions[type=Ready].status)", path);
    return 0;
}

static int parse_fields(const json_t *list, struct field **out, size_t *n, struct err *e)
{
    struct field *fields = xcalloc(FIELDS_MAX, sizeof(*fields));
    const char *name;
    json_t *path;
    int rc = 0;

    *n = 0;
    *out = fields;
    if (json_object_size(list) == 0 || json_object_size(list) > FIELDS_MAX)
        return err_set(e, ERR_INVALID, "fields: a map of 1 to %d names and paths", FIELDS_MAX);
    json_object_foreach((json_t *)list, name, path) {
        fields[*n].name = name;
        rc = json_is_string(path) ? parse_path(&fields[*n], json_string_value(path), e)
                                  : err_set(e, ERR_INVALID, "fields: the path of '%.60s' is no text", name);
        (*n)++;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The first element whose field is the value. */
static json_t *where(const json_t *list, const struct step *s)
{
    json_t *v, *is;
    size_t i;

    json_array_foreach(list, i, v) {
        is = json_object_get(v, s->key);
        if (json_is_string(is) && strcmp(json_string_value(is), s->value) == 0)
            return v;
    }
    return NULL;
}

/* The value at the end of the steps, a new reference, or NULL. */
static json_t *walk(json_t *v, const struct step *s, size_t n)
{
    json_t *out, *element, *found;
    size_t i;

    for (; n > 0 && v; s++, n--) {
        if (s->kind == STEP_EACH && n > 1) {
            if (!json_is_array(v))
                return NULL;
            out = json_array();
            json_array_foreach(v, i, element) {
                found = walk(element, s + 1, n - 1);
                if (found)
                    json_array_append_new(out, found);
            }
            return out;
        }
        v = s->kind == STEP_KEY ? json_object_get(v, s->key) : s->kind == STEP_WHERE ? where(v, s) : json_is_array(v) ? v : NULL;
    }
    return !v || json_is_null(v) ? NULL : json_incref(v);
}

static void drop_nulls(json_t *v)
{
    const char *key;
    json_t *inner;
    void *next;
    size_t i;

    json_object_foreach_safe(v, next, key, inner) {
        if (json_is_null(inner))
            json_object_del(v, key);
        else
            drop_nulls(inner);
    }
    if (json_is_array(v)) {
        json_array_foreach(v, i, inner)
            drop_nulls(inner);
    }
}

static json_t *row_of(json_t *item, const struct field *fields, size_t n)
{
    json_t *row = json_object(), *v;
    size_t i;

    for (i = 0; i < n; i++) {
        v = walk(item, fields[i].steps, fields[i].nsteps);
        if (!v)
            continue;
        drop_nulls(v);
        json_object_set_new_nocheck(row, fields[i].name, v);
    }
    return row;
}

/* Behind the string that begins at p, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    const char *quote, *back;

    for (p++; (quote = memchr(p, '"', (size_t)(end - p))); p = quote + 1) {
        for (back = quote; back > p && back[-1] == '\\'; back--)
            ;
        if ((quote - back) % 2 == 0)
            return quote + 1;
    }
    return NULL;
}

/* Behind the list that begins at p, or NULL. */
static const char *skip_list(const char *p, const char *end)
{
    int depth = 0;

    while (p && p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        depth += (*p == '[') - (*p == ']');
        p++;
        if (depth == 0)
            return p;
    }
    return NULL;
}

/* The document without what managedFields lists (often half of it), so that it is neither parsed nor kept: each becomes 0.
 * What is no JSON stays as it is, for the parser to say. */
static void without_managed(struct str body, struct buf *out)
{
    static const char key[] = "\"managedFields\":[";
    const size_t n = sizeof(key) - 1;
    const char *p = body.p, *end = body.p + body.n, *done = p, *to;

    while (p && (p = memchr(p, '"', (size_t)(end - p)))) {
        if ((size_t)(end - p) <= n || memcmp(p, key, n) != 0) {
            p = skip_string(p, end);
            continue;
        }
        to = skip_list(p + n - 1, end);
        if (!to)
            break;
        buf_add(out, done, (size_t)(p + n - 1 - done));
        buf_addc(out, '0');
        p = done = to;
    }
    buf_add(out, done, (size_t)(end - done));
}

static json_t *read_document(struct str body, struct err *e)
{
    struct buf text;
    json_error_t why;
    json_t *v;

    buf_init(&text, body.n + 1);
    without_managed(body, &text);
    v = json_loadb(text.data ? text.data : "", text.len, JSON_ALLOW_NUL, &why);
    buf_free(&text);
    if (!v)
        err_set(e, ERR_INVALID, "no JSON (line %d: %.100s)", why.line, why.text);
    return v;
}

int pick_list(struct str body, const json_t *fields, json_t **out, struct err *e)
{
    json_t *root = NULL, *items, *item, *rows, *metadata;
    struct field *parsed = NULL;
    size_t i, n;
    int rc = parse_fields(fields, &parsed, &n, e);

    if (rc == 0 && !(root = read_document(body, e)))
        rc = ERR_INVALID;
    items = json_object_get(root, "items");
    if (rc == 0 && !json_is_array(items) && !json_is_null(items))
        rc = err_set(e, ERR_INVALID, "no list: it has no items");
    if (rc == 0) {
        metadata = json_object_get(root, "metadata");
        rows = json_array();
        json_array_foreach(items, i, item)
            json_array_append_new(rows, row_of(item, parsed, n));
        *out = json_pack("{s:s s:o s:s}", "continue", json_get_string(metadata, "continue", ""), "rows", rows, "version",
                         json_get_string(metadata, "resourceVersion", ""));
    }
    json_decref(root);
    free_fields(parsed, n);
    return rc;
}

int pick_object(struct str body, json_t **out, struct err *e)
{
    json_t *root = read_document(body, e);

    if (!root)
        return ERR_INVALID;
    if (!json_is_object(root)) {
        json_decref(root);
        return err_set(e, ERR_INVALID, "no JSON object");
    }
    json_object_del(json_object_get(root, "metadata"), "managedFields");
    drop_nulls(root);
    *out = root;
    return 0;
}

static int compile(regex_t *re, const char *pattern, struct err *e)
{
    const char *brace = strchr(pattern, '{'), *back = strchr(pattern, '\\');
    char why[120];
    int rc;

    /* Back-references and nested bounds take exponential time or memory. */
    for (; back && back[1]; back = strchr(back + 2, '\\')) {
        if (back[1] >= '1' && back[1] <= '9')
            return err_set(e, ERR_INVALID, "match: no back-references");
    }
    if (strlen(pattern) > PATTERN_BYTES_MAX || (brace && strchr(brace + 1, '{')))
        return err_set(e, ERR_INVALID, "match: at most %d bytes and one {bound}", PATTERN_BYTES_MAX);
    rc = regcomp(re, pattern, REG_EXTENDED | REG_NOSUB);
    if (rc == 0)
        return 0;
    regerror(rc, re, why, sizeof(why));
    return err_set(e, ERR_INVALID, "match: '%.100s' is no regular expression: %s", pattern, why);
}

static bool line_matches(const regex_t *re, const char *from, const char *to)
{
    regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)(to - from)};

    return regexec(re, from, 1, &range, REG_STARTEND) == 0;
}

/* The kept lines, oldest first, out of a ring of which `matched` entries were written. */
static json_t *kept(const struct str *ring, size_t size, size_t matched)
{
    json_t *lines = json_array();
    size_t i = matched > size ? matched - size : 0;

    for (; i < matched; i++)
        json_array_append_new(lines, pick_text(ring[i % size]));
    return lines;
}

int pick_lines(struct str body, const json_t *how, json_t **out, struct err *e)
{
    const char *pattern = json_get_string(how, "match", NULL), *p = body.p, *end = body.p + body.n, *to;
    int64_t at_most = json_get_int(how, "at_most", 1000);
    size_t size = at_most < 1 ? 1 : at_most > LINES_MAX ? LINES_MAX : (size_t)at_most, matched = 0, total = 0;
    struct str *ring;
    regex_t re;

    if (pattern && compile(&re, pattern, e) < 0)
        return e->code;
    ring = xcalloc(size, sizeof(*ring));
    for (; p < end; p = to + 1) {
        to = memchr(p, '\n', (size_t)(end - p));
        to = to ? to : end;
        total++;
        if (!pattern || line_matches(&re, p, to))
            ring[matched++ % size] = (struct str){p, (size_t)(to - p - (to > p && to[-1] == '\r'))};
    }
    *out = json_pack("{s:I s:o s:I s:I}", "bytes", (json_int_t)body.n, "lines", kept(ring, size, matched), "matched",
                     (json_int_t)matched, "total", (json_int_t)total);
    free(ring);
    if (pattern)
        regfree(&re);
    return 0;
}
