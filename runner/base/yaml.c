/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events become our tree; everything outside the strict subset is refused
 * where it stands. */
#include "base/yaml.h"
#include "base/limits.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    const char *file;
    int first_line;
    int depth;
    size_t nodes;
    struct err *e;
};

static int fail_at(struct reader *r, yaml_mark_t m, const char *what)
{
    return err_at(r->e, ERR_INVALID, r->file, (int)m.line + r->first_line, (int)m.column + 1, "%s", what);
}

/* The text itself, before libyaml sees it: what editors leave behind. */
static int check_text(struct str text, const char *file, int first_line, struct err *e)
{
    int line = first_line, column = 1;
    bool indenting = true;
    size_t i;

    if (text.n > YAML_BYTES_MAX)
        return err_at(e, ERR_LIMIT, file, first_line, 1, "the YAML is larger than %d bytes", YAML_BYTES_MAX);
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        return err_at(e, ERR_INVALID, file, first_line, 1, "the text begins with a byte order mark; remove it");
    if (!str_is_utf8(text.p, text.n))
        return err_at(e, ERR_INVALID, file, first_line, 1, "the text is not UTF-8");
    for (i = 0; i < text.n; i++, column++) {
        char c = text.p[i];

        if (c == '\r')
            return err_at(e, ERR_INVALID, file, line, column, "the line ends with CR LF; write LF");
        if (c == '\t' && indenting)
            return err_at(e, ERR_INVALID, file, line, column, "a tab indents here; YAML wants spaces");
        if (c != ' ')
            indenting = false;
        if (c == '\n') {
            line++;
            column = 0;
            indenting = true;
        }
    }
    return 0;
}

static int next(struct reader *r, yaml_event_t *ev)
{
    yaml_mark_t m;

    if (yaml_parser_parse(&r->parser, ev))
        return 0;
    m = r->parser.problem_mark;
    return err_at(r->e, ERR_INVALID, r->file, (int)m.line + r->first_line, (int)m.column + 1, "%s%s%s",
                  r->parser.problem ? r->parser.problem : "bad YAML", r->parser.context ? " " : "",
                  r->parser.context ? r->parser.context : "");
}

static bool is_number_text(const char *s)
{
    const char *p = s + (*s == '-' || *s == '+');
    bool digits = false;

    if (p[0] == '0' && isdigit((unsigned char)p[1]))
        return false;
    for (; *p; p++) {
        if (isdigit((unsigned char)*p))
            digits = true;
        else if (!strchr(".eE+-", *p))
            return false;
    }
    return digits;
}

/* The core schema of YAML 1.2 for a plain scalar. */
static void resolve_plain(struct yaml *y)
{
    const char *s = y->text.p;
    char *end;

    if (y->text.n == 0 || str_is(y->text, "null") || str_is(y->text, "~")) {
        y->type = YAML_NULL;
    } else if (str_is(y->text, "true") || str_is(y->text, "false")) {
        y->type = YAML_BOOL;
        y->boolean = s[0] == 't';
    } else if (is_number_text(s)) {
        errno = 0;
        y->integer = strtoll(s, &end, 10);
        if (*end == '\0' && errno == 0) {
            y->type = YAML_INT;
            y->number = (double)y->integer;
            return;
        }
        y->number = strtod(s, &end);
        if (*end == '\0' && isfinite(y->number))
            y->type = YAML_FLOAT;
    }
}

static struct yaml *new_node(struct reader *r, yaml_mark_t m, enum yaml_type type)
{
    struct yaml *y;

    if (++r->nodes > YAML_NODES_MAX) {
        fail_at(r, m, "too many YAML nodes");
        return NULL;
    }
    y = xcalloc(1, sizeof(*y));
    y->type = type;
    y->line = (int)m.line + r->first_line;
    y->column = (int)m.column + 1;
    return y;
}

static struct yaml *read_node(struct reader *r, yaml_event_t *ev);

static struct yaml *read_scalar(struct reader *r, const yaml_event_t *ev)
{
    struct yaml *y;

    if (ev->data.scalar.tag && ev->data.scalar.tag[0]) {
        fail_at(r, ev->start_mark, "tags (!) are not used here");
        return NULL;
    }
    y = new_node(r, ev->start_mark, YAML_STRING);
    if (!y)
        return NULL;
    y->text = (struct str){xstrndup((const char *)ev->data.scalar.value, ev->data.scalar.length),
                           ev->data.scalar.length};
    if (memchr(y->text.p, '\0', y->text.n)) {
        fail_at(r, ev->start_mark, "a NUL character");
        yaml_free(y);
        return NULL;
    }
    if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        resolve_plain(y);
    return y;
}

static void append(struct yaml ***list, size_t n, struct yaml *y)
{
    if ((n & (n - 1)) == 0)
        *list = xrealloc(*list, (n ? 2 * n : 1) * sizeof(**list));
    (*list)[n] = y;
}

/* One entry of a collection, or NULL with *end set at its end, or NULL with an error. */
static struct yaml *read_entry(struct reader *r, yaml_event_type_t until, bool *end)
{
    yaml_event_t ev;
    struct yaml *y = NULL;

    *end = false;
    if (next(r, &ev) < 0)
        return NULL;
    if (ev.type == until)
        *end = true;
    else
        y = read_node(r, &ev);
    yaml_event_delete(&ev);
    return y;
}

static int check_key(struct reader *r, const struct yaml *map, const struct yaml *key)
{
    size_t i;

    if (key->type == YAML_LIST || key->type == YAML_MAP)
        return err_at(r->e, ERR_INVALID, r->file, key->line, key->column, "a key must be a plain word");
    if (str_is(key->text, "<<"))
        return err_at(r->e, ERR_INVALID, r->file, key->line, key->column, "merge keys (<<) are not used here");
    for (i = 0; i < map->n; i++) {
        if (str_eq(map->keys[i]->text, key->text))
            return err_at(r->e, ERR_INVALID, r->file, key->line, key->column,
                          "'%.*s' stands here a second time (first in line %d)", (int)key->text.n, key->text.p,
                          map->keys[i]->line);
    }
    return 0;
}

static int read_map(struct reader *r, struct yaml *map)
{
    struct yaml *key, *value;
    bool end;

    for (;;) {
        key = read_entry(r, YAML_MAPPING_END_EVENT, &end);
        if (end)
            return 0;
        if (!key)
            return r->e->code;
        if (check_key(r, map, key) < 0) {
            yaml_free(key);
            return r->e->code;
        }
        key->type = YAML_STRING;
        value = read_entry(r, YAML_MAPPING_END_EVENT, &end);
        if (!value) {
            yaml_free(key);
            return r->e->code;
        }
        append(&map->keys, map->n, key);
        append(&map->items, map->n, value);
        map->n++;
    }
}

static int read_list(struct reader *r, struct yaml *list)
{
    struct yaml *item;
    bool end;

    for (;;) {
        item = read_entry(r, YAML_SEQUENCE_END_EVENT, &end);
        if (end)
            return 0;
        if (!item)
            return r->e->code;
        append(&list->items, list->n, item);
        list->n++;
    }
}

static struct yaml *read_collection(struct reader *r, const yaml_event_t *ev)
{
    bool map = ev->type == YAML_MAPPING_START_EVENT;
    struct yaml *y;
    int rc;

    if (r->depth == YAML_DEPTH_MAX) {
        fail_at(r, ev->start_mark, "YAML is nested too deeply");
        return NULL;
    }
    y = new_node(r, ev->start_mark, map ? YAML_MAP : YAML_LIST);
    if (!y)
        return NULL;
    r->depth++;
    rc = map ? read_map(r, y) : read_list(r, y);
    r->depth--;
    if (rc < 0) {
        yaml_free(y);
        return NULL;
    }
    return y;
}

static struct yaml *read_node(struct reader *r, yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        if (ev->data.scalar.anchor)
            break;
        return read_scalar(r, ev);
    case YAML_SEQUENCE_START_EVENT:
        if (ev->data.sequence_start.anchor || ev->data.sequence_start.tag)
            break;
        return read_collection(r, ev);
    case YAML_MAPPING_START_EVENT:
        if (ev->data.mapping_start.anchor || ev->data.mapping_start.tag)
            break;
        return read_collection(r, ev);
    default:
        break;
    }
    fail_at(r, ev->start_mark, "aliases, anchors (&, *) and tags (!) are not used here");
    return NULL;
}

static int read_document(struct reader *r, struct yaml **out)
{
    yaml_event_t ev;
    bool more = true;

    *out = NULL;
    while (more) {
        if (next(r, &ev) < 0)
            goto fail;
        switch (ev.type) {
        case YAML_STREAM_END_EVENT:
            more = false;
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (*out) {
                fail_at(r, ev.start_mark, "a second document begins here");
                yaml_event_delete(&ev);
                goto fail;
            }
            break;
        default:
            *out = read_node(r, &ev);
            if (!*out) {
                yaml_event_delete(&ev);
                goto fail;
            }
        }
        yaml_event_delete(&ev);
    }
    if (!*out)
        return err_at(r->e, ERR_INVALID, r->file, r->first_line, 1, "the YAML is empty");
    return 0;
fail:
    yaml_free(*out);
    *out = NULL;
    return r->e->code;
}

int yaml_read(struct str text, const char *file, int first_line, struct yaml **out, struct err *e)
{
    struct err own = {0};
    struct reader r = {.file = file, .first_line = first_line, .e = e ? e : &own};
    int rc = check_text(text, file, first_line, r.e);

    if (rc < 0)
        return rc;
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    rc = read_document(&r, out);
    yaml_parser_delete(&r.parser);
    return rc;
}

void yaml_free(struct yaml *y)
{
    size_t i;

    if (!y)
        return;
    for (i = 0; i < y->n; i++) {
        yaml_free(y->items[i]);
        if (y->keys)
            yaml_free(y->keys[i]);
    }
    free(y->items);
    free(y->keys);
    free((char *)y->text.p);
    free(y);
}

struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    size_t i;

    for (i = 0; map && map->type == YAML_MAP && i < map->n; i++) {
        if (str_is(map->keys[i]->text, key))
            return map->items[i];
    }
    return NULL;
}

json_t *yaml_to_json(const struct yaml *y)
{
    json_t *out;
    size_t i;

    switch (y ? y->type : YAML_NULL) {
    case YAML_BOOL:
        return json_boolean(y->boolean);
    case YAML_INT:
        return json_integer(y->integer);
    case YAML_FLOAT:
        return json_real(y->number);
    case YAML_STRING:
        return json_stringn(y->text.p, y->text.n);
    case YAML_LIST:
        out = json_array();
        for (i = 0; i < y->n; i++)
            json_array_append_new(out, yaml_to_json(y->items[i]));
        return out;
    case YAML_MAP:
        out = json_object();
        for (i = 0; i < y->n; i++)
            json_object_set_new(out, y->keys[i]->text.p, yaml_to_json(y->items[i]));
        return out;
    default:
        return json_null();
    }
}

const char *yaml_type_name(enum yaml_type t)
{
    static const char *const names[] = {"nothing", "true or false", "an integer", "a number", "a text", "a list", "a map"};

    return names[t];
}

int yaml_err(struct err *e, const char *file, const struct yaml *y, const char *fmt, ...)
{
    char msg[sizeof(((struct err *)0)->msg)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    return err_at(e, ERR_INVALID, file, y ? y->line : 1, y ? y->column : 1, "%s", msg);
}

int yaml_only_keys(const struct yaml *map, const char *file, const char *const *known, size_t nknown, struct err *e)
{
    size_t i, k;

    for (i = 0; i < map->n; i++) {
        const struct yaml *key = map->keys[i];
        const char *near;

        for (k = 0; k < nknown; k++) {
            if (str_is(key->text, known[k]))
                break;
        }
        if (k < nknown)
            continue;
        near = str_nearest(key->text, known, nknown);
        yaml_err(e, file, key, "unknown key '%.*s'", (int)(key->text.n > 100 ? 100 : key->text.n), key->text.p);
        if (near)
            err_hint(e, "did you mean '%s'?", near);
        return ERR_INVALID;
    }
    return 0;
}
