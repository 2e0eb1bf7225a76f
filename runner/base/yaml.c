/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events become our tree; everything outside the strict subset is refused
 * where it stands. Recursion is bounded by YAML_DEPTH_MAX, memory by the limits on
 * bytes and nodes; nothing is worse than n log n in the size of the text. What a tree
 * can be asked is in yaml_tree.c. */
#include "base/yaml.h"
#include "base/limits.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct str text;
    const char *file;
    int first_line;
    int depth;
    size_t nodes;
    /* The first line indented by a tab that no block scalar has claimed as its content
     * (line from 0, -1: none); the search goes on at `scanned`, the start of scan_line. */
    int tab_line;
    int tab_column;
    size_t scanned;
    int scan_line;
    struct err *e;
};

static int fail_at(struct reader *r, yaml_mark_t m, const char *what)
{
    return err_at(r->e, ERR_INVALID, r->file, (int)m.line + r->first_line, (int)m.column + 1, "%s", what);
}

/* At the byte `offset` of the text; columns count characters, as libyaml's do. */
static int fail_at_byte(struct reader *r, size_t offset, const char *what)
{
    int line = r->first_line, column = 1;
    size_t i;

    for (i = 0; i < offset && i < r->text.n; i++) {
        if (r->text.p[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)r->text.p[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return err_at(r->e, ERR_INVALID, r->file, line, column, "%s", what);
}

/* The longest prefix of whole lines that is UTF-8, then byte by byte: finds the bad one. */
static size_t first_bad_byte(struct str text)
{
    size_t good = 0, i, n;

    for (i = 0; i < text.n; i++) {
        if (text.p[i] != '\n')
            continue;
        if (!str_is_utf8(text.p + good, i + 1 - good))
            break;
        good = i + 1;
    }
    while (good < text.n) {
        for (n = 1; n <= 4 && good + n <= text.n; n++) {
            if (str_is_utf8(text.p + good, n))
                break;
        }
        if (n > 4 || good + n > text.n)
            break;
        good += n;
    }
    return good;
}

/* The text itself, before libyaml sees it: what editors and transfers leave behind. */
static int check_text(struct reader *r)
{
    const char *cr;

    if (r->text.n > YAML_BYTES_MAX)
        return err_at(r->e, ERR_LIMIT, r->file, r->first_line, 1, "the YAML is larger than %d bytes", YAML_BYTES_MAX);
    if (r->text.n >= 3 && memcmp(r->text.p, "\xef\xbb\xbf", 3) == 0)
        return fail_at_byte(r, 0, "the text begins with a byte order mark; remove it");
    if (!str_is_utf8(r->text.p, r->text.n))
        return fail_at_byte(r, first_bad_byte(r->text), "the text is not UTF-8 from here on");
    cr = r->text.n ? memchr(r->text.p, '\r', r->text.n) : NULL;
    if (cr)
        return fail_at_byte(r, (size_t)(cr - r->text.p), "the line ends with a carriage return (CR LF); write LF");
    return 0;
}

/* Finds the next line from `from` (counted from 0) on that a tab indents. */
static void find_tab(struct reader *r, int from)
{
    const char *p = r->text.p;

    r->tab_line = -1;
    while (r->scanned < r->text.n && r->tab_line < 0) {
        size_t i = r->scanned, tab = r->text.n;
        const char *end;

        for (; i < r->text.n && (p[i] == ' ' || p[i] == '\t'); i++) {
            if (p[i] == '\t' && tab == r->text.n)
                tab = i;
        }
        if (r->scan_line >= from && tab < r->text.n) {
            r->tab_line = r->scan_line;
            r->tab_column = (int)(tab - r->scanned);
        }
        end = memchr(p + i, '\n', r->text.n - i);
        r->scanned = end ? (size_t)(end - p) + 1 : r->text.n;
        r->scan_line++;
    }
}

static int fail_tab(struct reader *r)
{
    return err_at(r->e, ERR_INVALID, r->file, r->tab_line + r->first_line, r->tab_column + 1,
                  "a tab indents here; YAML wants spaces");
}

static int next(struct reader *r, yaml_event_t *ev)
{
    const yaml_parser_t *p = &r->parser;

    if (yaml_parser_parse(&r->parser, ev))
        return 0;
    if (p->error == YAML_READER_ERROR)
        return fail_at_byte(r, p->problem_offset, p->problem ? p->problem : "unreadable");
    /* libyaml's own words for a tab are riddles. */
    if (r->tab_line >= 0 && r->tab_line <= (int)p->problem_mark.line)
        return fail_tab(r);
    return err_at(r->e, ERR_INVALID, r->file, (int)p->problem_mark.line + r->first_line,
                  (int)p->problem_mark.column + 1, "%s%s%s", p->problem ? p->problem : "bad YAML",
                  p->context ? " " : "", p->context ? p->context : "");
}

static struct yaml *new_node(struct reader *r, yaml_mark_t m, enum yaml_type type)
{
    struct yaml *y;

    if (++r->nodes > YAML_NODES_MAX) {
        err_at(r->e, ERR_LIMIT, r->file, (int)m.line + r->first_line, (int)m.column + 1,
               "the YAML has more than %d values", YAML_NODES_MAX);
        return NULL;
    }
    y = xcalloc(1, sizeof(*y));
    y->type = type;
    y->line = (int)m.line + r->first_line;
    y->column = (int)m.column + 1;
    return y;
}

static bool is_one_of(struct str s, const char *const *words, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (str_is(s, words[i]))
            return true;
    }
    return false;
}

/* The core schema's form of a decimal integer or float; 012 is neither (an octal trap). */
static bool is_decimal(const char *s)
{
    const char *p = s + (*s == '-' || *s == '+'), *digits = p;

    if (p[0] == '0' && isdigit((unsigned char)p[1]))
        return false;
    for (; isdigit((unsigned char)*p); p++)
        ;
    if (*p == '.') {
        for (p++; isdigit((unsigned char)*p); p++)
            ;
    }
    if (p == digits || (p == digits + 1 && *digits == '.'))
        return false;
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '-' || p[1] == '+' ? 2 : 1;
        if (!isdigit((unsigned char)*p))
            return false;
        for (; isdigit((unsigned char)*p); p++)
            ;
    }
    return *p == '\0';
}

/* 0x1F or 0o17: the base, else 0. */
static int base_of(const char *s)
{
    int base = s[0] != '0' ? 0 : s[1] == 'x' ? 16 : s[1] == 'o' ? 8 : 0;
    size_t n = base ? strspn(s + 2, base == 16 ? "0123456789abcdefABCDEF" : "01234567") : 0;

    return n > 0 && s[2 + n] == '\0' ? base : 0;
}

static int fail_number(struct reader *r, const struct yaml *y, const char *what)
{
    err_at(r->e, ERR_INVALID, r->file, y->line, y->column, "%.40s %s", y->text.p, what);
    return err_hint(r->e, "put quotes around it if it is a text");
}

static int resolve_number(struct reader *r, struct yaml *y, int base)
{
    const char *s = y->text.p;

    errno = 0;
    if (base == 10 && strpbrk(s, ".eE")) {
        y->type = YAML_FLOAT;
        y->number = strtod(s, NULL);
        return isfinite(y->number) ? 0 : fail_number(r, y, "is too large for a number");
    }
    y->type = YAML_INT;
    y->integer = strtoll(base == 10 ? s : s + 2, NULL, base);
    y->number = (double)y->integer;
    return errno == 0 ? 0 : fail_number(r, y, "does not fit an integer of 64 bits");
}

/* A plain scalar by the core schema; what is nothing else is a string. */
static int resolve_plain(struct reader *r, struct yaml *y)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
    static const char *const infinite[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
    const char *s = y->text.p;
    struct str unsigned_part = y->text.n && (*s == '-' || *s == '+') ? (struct str){s + 1, y->text.n - 1} : y->text;
    int base = base_of(s);

    if (is_one_of(y->text, nulls, sizeof(nulls) / sizeof(nulls[0]))) {
        y->type = YAML_NULL;
    } else if (is_one_of(y->text, bools, sizeof(bools) / sizeof(bools[0]))) {
        y->type = YAML_BOOL;
        y->boolean = s[0] == 't' || s[0] == 'T';
    } else if (is_one_of(unsigned_part, infinite, sizeof(infinite) / sizeof(infinite[0]))) {
        return fail_number(r, y, "is no number that can be used here");
    } else if (base || is_decimal(s)) {
        return resolve_number(r, y, base ? base : 10);
    }
    return 0;
}

/* A block scalar may hold lines that begin with tabs behind its indentation. */
static void claim_tabs(struct reader *r, const yaml_event_t *ev)
{
    int first = (int)ev->start_mark.line, end = (int)ev->end_mark.line + (ev->end_mark.column > 0);

    if (r->tab_line > first && r->tab_line < end)
        find_tab(r, end);
}

static struct yaml *read_scalar(struct reader *r, const yaml_event_t *ev)
{
    yaml_scalar_style_t style = ev->data.scalar.style;
    struct yaml *y;

    y = new_node(r, ev->start_mark, YAML_STRING);
    if (!y)
        return NULL;
    y->text = (struct str){xstrndup((const char *)ev->data.scalar.value, ev->data.scalar.length),
                           ev->data.scalar.length};
    if (memchr(y->text.p, '\0', y->text.n)) {
        fail_at(r, ev->start_mark, "the text contains a NUL character");
        goto fail;
    }
    if (style == YAML_PLAIN_SCALAR_STYLE && resolve_plain(r, y) < 0)
        goto fail;
    if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE)
        claim_tabs(r, ev);
    return y;
fail:
    yaml_tree_free(y);
    return NULL;
}

static struct yaml *read_node(struct reader *r, yaml_event_t *ev);

/* The next node of a collection; NULL with *end at its end, NULL without it on failure. */
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

static void append(struct yaml ***list, size_t n, struct yaml *y)
{
    if ((n & (n - 1)) == 0)
        *list = xrealloc(*list, (n ? 2 * n : 1) * sizeof(**list));
    (*list)[n] = y;
}

static int check_key(struct reader *r, const struct yaml *key)
{
    if (key->type == YAML_NULL)
        return err_at(r->e, ERR_INVALID, r->file, key->line, key->column, "a key is missing here");
    if (key->type == YAML_LIST || key->type == YAML_MAP)
        return err_at(r->e, ERR_INVALID, r->file, key->line, key->column, "a key must be a text, not %s",
                      yaml_type_name(key->type));
    if (str_is(key->text, "<<"))
        return err_at(r->e, ERR_INVALID, r->file, key->line, key->column, "merge keys (<<) are not used here");
    if (key->type == YAML_STRING)
        return 0;
    err_at(r->e, ERR_INVALID, r->file, key->line, key->column, "a key must be a text, not %s",
           yaml_type_name(key->type));
    return err_hint(r->e, "put quotes around it");
}

static bool is_before(const struct yaml *a, const struct yaml *b)
{
    return a->line < b->line || (a->line == b->line && a->column < b->column);
}

static int by_text_and_place(const void *pa, const void *pb)
{
    const struct yaml *a = *(struct yaml *const *)pa, *b = *(struct yaml *const *)pb;
    size_t n = a->text.n < b->text.n ? a->text.n : b->text.n;
    int order = n ? memcmp(a->text.p, b->text.p, n) : 0;

    if (order == 0 && a->text.n != b->text.n)
        order = a->text.n < b->text.n ? -1 : 1;
    return order ? order : is_before(a, b) ? -1 : is_before(b, a);
}

/* By sorting: comparing each key with all before it would be quadratic. */
static int check_duplicates(struct reader *r, const struct yaml *map)
{
    const struct yaml *second = NULL, *first = NULL;
    struct yaml **sorted;
    size_t i;

    if (map->n < 2)
        return 0;
    sorted = xmemdup(map->keys, map->n * sizeof(*sorted));
    qsort(sorted, map->n, sizeof(*sorted), by_text_and_place);
    for (i = 1; i < map->n; i++) {
        if (!str_eq(sorted[i - 1]->text, sorted[i]->text) || (second && is_before(second, sorted[i])))
            continue;
        first = sorted[i - 1];
        second = sorted[i];
    }
    free(sorted);
    if (!second)
        return 0;
    return err_at(r->e, ERR_INVALID, r->file, second->line, second->column,
                  "'%.100s' stands here a second time (first in line %d)", second->text.p, first->line);
}

static int read_map(struct reader *r, struct yaml *map)
{
    struct yaml *key, *value;
    bool end;

    for (;;) {
        key = read_entry(r, YAML_MAPPING_END_EVENT, &end);
        if (end)
            return check_duplicates(r, map);
        if (!key)
            return r->e->code;
        value = check_key(r, key) < 0 ? NULL : read_entry(r, YAML_MAPPING_END_EVENT, &end);
        if (!value) {
            yaml_tree_free(key);
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
        err_at(r->e, ERR_LIMIT, r->file, (int)ev->start_mark.line + r->first_line, (int)ev->start_mark.column + 1,
               "the YAML is nested deeper than %d", YAML_DEPTH_MAX);
        return NULL;
    }
    y = new_node(r, ev->start_mark, map ? YAML_MAP : YAML_LIST);
    if (!y)
        return NULL;
    r->depth++;
    rc = map ? read_map(r, y) : read_list(r, y);
    r->depth--;
    if (rc < 0) {
        yaml_tree_free(y);
        return NULL;
    }
    return y;
}

/* One node from its first event. Anchors and tags have no place in the subset, so an
 * alias has nothing to multiply. */
static struct yaml *read_node(struct reader *r, yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        if (ev->data.scalar.anchor || ev->data.scalar.tag)
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
    fail_at(r, ev->start_mark, "anchors (&), aliases (*) and tags (!) are not used here");
    err_hint(r->e, "write the value out; quote a text that begins with one of these");
    return NULL;
}

/* One event between documents. */
static int read_event(struct reader *r, yaml_event_t *ev, struct yaml **out)
{
    switch (ev->type) {
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        return *out ? fail_at(r, ev->start_mark, "a second document begins here") : 0;
    default:
        *out = read_node(r, ev);
        return *out ? 0 : r->e->code;
    }
}

static int read_document(struct reader *r, struct yaml **out)
{
    bool more = true;
    yaml_event_t ev;
    int rc;

    while (more) {
        rc = next(r, &ev);
        if (rc < 0)
            return rc;
        more = ev.type != YAML_STREAM_END_EVENT;
        rc = read_event(r, &ev, out);
        yaml_event_delete(&ev);
        if (rc < 0)
            return rc;
    }
    if (r->tab_line >= 0)
        return fail_tab(r);
    if (!*out)
        return err_at(r->e, ERR_INVALID, r->file, r->first_line, 1, "the YAML is empty");
    return 0;
}

int yaml_read(struct str text, const char *file, int first_line, struct yaml **out, struct err *e)
{
    struct err own = {0};
    struct reader r = {.text = text, .file = file, .first_line = first_line, .e = e ? e : &own};
    struct yaml *y = NULL;
    int rc = check_text(&r);

    if (rc < 0)
        return rc;
    find_tab(&r, 0);
    if (!yaml_parser_initialize(&r.parser))
        out_of_memory();
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    rc = read_document(&r, &y);
    yaml_parser_delete(&r.parser);
    if (rc < 0) {
        yaml_tree_free(y);
        return rc;
    }
    *out = y;
    return 0;
}
