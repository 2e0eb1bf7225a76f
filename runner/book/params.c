/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters: how they are declared, and how values from a command line or a
 * trigger become typed values. A value that fails its check is an error, never the
 * default; nothing that looks like a flag gets in where nothing was declared. */
#include "book/book.h"

#include "base/json.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const type_names[] = {
    [PARAM_STRING] = "string",     [PARAM_INTEGER] = "integer", [PARAM_NUMBER] = "number", [PARAM_BOOLEAN] = "boolean",
    [PARAM_DURATION] = "duration", [PARAM_SIZE] = "size",       [PARAM_TIME] = "time",
};
#define NTYPES (sizeof(type_names) / sizeof(type_names[0]))

static bool is_number(enum param_type t)
{
    return t != PARAM_STRING && t != PARAM_BOOLEAN;
}

/* Values */

__attribute__((format(printf, 3, 4))) static int bad(struct err *e, const char *where, const char *fmt, ...)
{
    char msg[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    return err_set(e, ERR_INVALID, "%s: %s", where, msg);
}

static int check_match(const struct param *p, const char *s, const char *where, struct err *e)
{
    char *whole = xmalloc(strlen(p->match) + 8);
    regex_t re;
    int rc;

    snprintf(whole, strlen(p->match) + 8, "^(%s)$", p->match);
    if (regcomp(&re, whole, REG_EXTENDED | REG_NOSUB) != 0) {
        free(whole);
        return bad(e, where, "match '%s' is no regular expression", p->match);
    }
    rc = regexec(&re, s, 0, NULL, 0);
    regfree(&re);
    free(whole);
    if (rc == 0)
        return 0;
    bad(e, where, "'%.100s' does not match", s);
    err_hint(e, "it must match %s", p->match);
    return ERR_INVALID;
}

static int check_one_of(const struct param *p, const char *s, const char *where, struct err *e)
{
    size_t i;
    char list[200] = "";

    for (i = 0; i < p->none_of; i++) {
        if (strcmp(p->one_of[i], s) == 0)
            return 0;
        if (strlen(list) + strlen(p->one_of[i]) + 4 < sizeof(list))
            snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", p->one_of[i]);
    }
    bad(e, where, "'%.100s' is none of those allowed", s);
    err_hint(e, "it must be one of %s", list);
    return ERR_INVALID;
}

/* Without match or one_of a text may not be what another program would read as more than a text. */
static int check_shape(const char *s, const char *where, struct err *e)
{
    static const char special[] = "*?[]{}<>|&;$`\\\"";
    size_t n = strcspn(s, special);

    if (s[0] == '-')
        bad(e, where, "'%.100s' looks like a flag", s);
    else if (s[n])
        bad(e, where, "'%.100s' holds a character that globs, queries or shells read", s);
    else
        return 0;
    err_hint(e, "declare match: or one_of: if that is meant");
    return ERR_INVALID;
}

static int check_string(const struct param *p, const json_t *v, const char *where, struct err *e)
{
    const char *s = json_string_value(v);
    size_t i, n = json_string_length(v);

    if (!s)
        return bad(e, where, "%s", "wants a text");
    if (strlen(s) != n || n > 4096)
        return bad(e, where, "%s", "is too long, or holds a NUL");
    if (p->none_of)
        return check_one_of(p, s, where, e);
    if (p->match)
        return check_match(p, s, where, e);
    for (i = 0; i < n; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return bad(e, where, "%s", "holds a control character");
    }
    return check_shape(s, where, e);
}

static int check_range(const struct param *p, double v, const char *where, struct err *e)
{
    char text[64];

    if (p->has_min && v < p->min) {
        snprintf(text, sizeof(text), "%.15g, the minimum is %.15g", v, p->min);
        return bad(e, where, "is %s", text);
    }
    if (p->has_max && v > p->max) {
        snprintf(text, sizeof(text), "%.15g, the maximum is %.15g", v, p->max);
        return bad(e, where, "is %s", text);
    }
    if (p->none_of) {
        snprintf(text, sizeof(text), "%.15g", v);
        return check_one_of(p, text, where, e);
    }
    return 0;
}

static int check_scalar(const struct param *p, const json_t *v, const char *where, struct err *e)
{
    if (p->type == PARAM_STRING)
        return check_string(p, v, where, e);
    if (p->type == PARAM_BOOLEAN)
        return json_is_boolean(v) ? 0 : bad(e, where, "%s", "wants true or false");
    if (!json_is_number(v) || (p->type == PARAM_INTEGER && !json_is_integer(v)))
        return bad(e, where, "wants %s", p->type == PARAM_INTEGER ? "an integer" : "a number");
    return check_range(p, json_number_value(v), where, e);
}

int param_check(const struct param *p, const json_t *v, const char *where, struct err *e)
{
    size_t i;
    json_t *item;

    if (!p->is_list)
        return check_scalar(p, v, where, e);
    if (!json_is_array(v))
        return bad(e, where, "%s", "wants a list");
    json_array_foreach(v, i, item) {
        if (check_scalar(p, item, where, e) < 0)
            return ERR_INVALID;
    }
    return 0;
}

static json_t *parse_number(enum param_type t, const char *text)
{
    char *end;
    int64_t n;
    double d;

    if (text[strspn(text, "+-.eE0123456789")] || !strchr("-.0123456789", text[0]))
        return NULL;
    errno = 0;
    n = strtoll(text, &end, 10);
    if (t == PARAM_INTEGER)
        return *end || errno ? NULL : json_integer(n);
    d = strtod(text, &end);
    return *end ? NULL : json_real(d);      /* NULL for an infinite one */
}

/* A text as somebody typed it -> the JSON value of the type, NULL if it is none. */
static json_t *parse_scalar(enum param_type t, struct str s)
{
    char text[128];
    int64_t n;

    if (t == PARAM_STRING)
        return json_stringn(s.p, s.n);
    if (t == PARAM_BOOLEAN)
        return str_is(s, "true") ? json_true() : str_is(s, "false") ? json_false() : NULL;
    if (s.n == 0 || s.n >= sizeof(text))
        return NULL;
    snprintf(text, sizeof(text), "%.*s", (int)s.n, s.p);
    if (t == PARAM_INTEGER || t == PARAM_NUMBER)
        return parse_number(t, text);
    if (t == PARAM_DURATION && str_duration_ms(s, &n) == 0)
        return n % 1000 ? json_real((double)n / 1000) : json_integer(n / 1000);
    if (t == PARAM_SIZE && str_size_bytes(s, &n) == 0)
        return json_integer(n);
    if (t == PARAM_TIME && str_parse_time(s, &n) == 0)
        return json_integer(n / 1000);
    return NULL;
}

static json_t *parse_list(enum param_type t, struct str s)
{
    json_t *list = json_array(), *item;
    size_t from = 0, i;

    for (i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != ',')
            continue;
        if (s.n == 0)
            break;
        item = parse_scalar(t, (struct str){s.p + from, i - from});
        if (!item) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, item);
        from = i + 1;
    }
    return list;
}

static json_t *parse_value(const struct param *p, struct str s, const char *where, struct err *e)
{
    json_t *v;
    char text[128];

    if (!str_is_utf8(s.p, s.n)) {
        bad(e, where, "%s", "is not UTF-8");
        return NULL;
    }
    v = p->is_list ? parse_list(p->type, s) : parse_scalar(p->type, s);
    if (!v) {
        snprintf(text, sizeof(text), "'%.*s' is no %s", (int)(s.n > 60 ? 60 : s.n), s.p, type_names[p->type]);
        bad(e, where, "%s", text);
    } else if (param_check(p, v, where, e) < 0) {
        json_decref(v);
        v = NULL;
    }
    return v;
}

/* Resolution */

static const struct param *find(const struct param *params, size_t n, struct str name)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (str_is(name, params[i].name))
            return &params[i];
    }
    return NULL;
}

static int unknown(const struct param *params, size_t n, struct str name, struct err *e)
{
    const char *names[64], *near;
    size_t i, k = n < 64 ? n : 64;

    for (i = 0; i < k; i++)
        names[i] = params[i].name;
    near = str_nearest(name, names, k);
    err_set(e, ERR_INVALID, "there is no parameter '%.*s'", (int)(name.n > 100 ? 100 : name.n), name.p);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    return ERR_INVALID;
}

static int take_pairs(const struct param *params, size_t n, const char *const *pairs, size_t npairs, json_t *out,
                      struct err *e)
{
    char where[160];
    size_t i;

    for (i = 0; i < npairs; i++) {
        const char *eq = strchr(pairs[i], '=');
        struct str name = {pairs[i], eq ? (size_t)(eq - pairs[i]) : strlen(pairs[i])};
        const struct param *p;
        json_t *v;

        if (!eq)
            return err_set(e, ERR_INVALID, "'%.100s' is no parameter (write name=value)", pairs[i]);
        p = find(params, n, name);
        if (!p)
            return unknown(params, n, name, e);
        snprintf(where, sizeof(where), "parameter '%.100s'", p->name);
        if (json_object_get(out, p->name))
            return bad(e, where, "%s", "is given twice");
        v = parse_value(p, str_of(eq + 1), where, e);
        if (!v)
            return ERR_INVALID;
        json_object_set_new(out, p->name, v);
    }
    return 0;
}

/* "labels.service" looked up in {"labels":{..},"annotations":{..}}. */
static const json_t *from_trigger(const struct param *p, const json_t *trigger)
{
    const char *dot = p->from ? strchr(p->from, '.') : NULL;
    char section[32];

    if (!dot)
        return NULL;
    snprintf(section, sizeof(section), "%.*s", (int)(dot - p->from), p->from);
    return json_object_get(json_object_get(trigger, section), dot + 1);
}

static int take_default(const struct param *p, const json_t *trigger, json_t *out, struct err *e)
{
    const json_t *given = from_trigger(p, trigger);
    char where[160];
    json_t *v;

    snprintf(where, sizeof(where), "parameter '%.100s'", p->name);
    if (json_is_string(given)) {
        v = parse_value(p, (struct str){json_string_value(given), json_string_length(given)}, where, e);
        if (!v)
            return err_wrap(e, "%s", p->from);
        json_object_set_new(out, p->name, v);
    } else if (p->absent) {
        json_object_set(out, p->name, p->absent);
    } else if (!p->optional) {
        err_set(e, ERR_INVALID, "parameter '%s' is missing", p->name);
        return err_hint(e, "give it with -p %s=...", p->name);
    }
    return 0;
}

int params_resolve(const struct param *params, size_t n, const char *const *pairs, size_t npairs, const json_t *trigger,
                   json_t **out, struct err *e)
{
    json_t *values = json_object();
    size_t i;
    int rc = take_pairs(params, n, pairs, npairs, values, e);

    for (i = 0; rc == 0 && i < n; i++) {
        if (!json_object_get(values, params[i].name))
            rc = take_default(&params[i], trigger, values, e);
    }
    if (rc < 0)
        json_decref(values);
    else
        *out = values;
    return rc;
}

void params_free(struct param *p, size_t n)
{
    size_t i, k;

    for (i = 0; i < n; i++) {
        free(p[i].name);
        free(p[i].from);
        free(p[i].match);
        json_decref(p[i].absent);
        for (k = 0; k < p[i].none_of; k++)
            free(p[i].one_of[k]);
        free(p[i].one_of);
    }
    free(p);
}

/* Declarations */

static int read_type(struct param *p, const struct yaml *y, const char *file, struct err *e)
{
    const char *near;
    size_t i;

    if (y && y->type == YAML_LIST && y->n == 1) {
        p->is_list = true;
        y = y->items[0];
    }
    for (i = 0; y && y->type == YAML_STRING && i < NTYPES; i++) {
        if (str_is(y->text, type_names[i])) {
            p->type = (enum param_type)i;
            return 0;
        }
    }
    yaml_err(e, file, y, "type: '%.*s' is no type", y ? (int)y->text.n : 0, y ? y->text.p : "");
    near = y && y->text.n ? str_nearest(y->text, type_names, NTYPES) : NULL;
    if (near)
        return err_hint(e, "did you mean '%s'?", near);
    return err_hint(e, "string, integer, number, boolean, duration, size, time, or a list of one");
}

static int read_bound(const struct param *p, const struct yaml *y, const char *file, bool *has, double *out, struct err *e)
{
    json_t *v;

    if (!y)
        return 0;
    if (y->type == YAML_INT || y->type == YAML_FLOAT) {
        *out = y->number;
    } else {
        v = y->type == YAML_STRING && is_number(p->type) ? parse_scalar(p->type, y->text) : NULL;
        if (!v)
            return yaml_err(e, file, y, "min and max must be of type %s", type_names[p->type]);
        *out = json_number_value(v);
        json_decref(v);
    }
    *has = true;
    return 0;
}

static int read_one_of(struct param *p, const struct yaml *y, const char *file, struct err *e)
{
    size_t i;

    if (!y)
        return 0;
    if (y->type != YAML_LIST || y->n == 0)
        return yaml_err(e, file, y, "one_of must be a list of values");
    p->one_of = xcalloc(y->n, sizeof(*p->one_of));
    for (i = 0; i < y->n; i++) {
        if (y->items[i]->type == YAML_LIST || y->items[i]->type == YAML_MAP)
            return yaml_err(e, file, y->items[i], "one_of: a plain value is wanted");
        p->one_of[p->none_of++] = xstrndup(y->items[i]->text.p, y->items[i]->text.n);
    }
    return 0;
}

static int read_default(struct param *p, const struct yaml *y, const char *file, struct err *e)
{
    char where[160];

    if (!y)
        return 0;
    snprintf(where, sizeof(where), "default of '%.100s'", p->name);
    if (p->is_list)
        p->absent = yaml_to_json(y);
    else if (y->type == YAML_STRING && p->type != PARAM_STRING)
        p->absent = parse_scalar(p->type, y->text);
    else if (p->type == PARAM_STRING && y->type != YAML_LIST && y->type != YAML_MAP && y->type != YAML_NULL)
        p->absent = json_stringn(y->text.p, y->text.n);
    else if (y->type == YAML_INT && p->type == PARAM_NUMBER)
        p->absent = json_real(y->number);
    else
        p->absent = yaml_to_json(y);
    if (!p->absent)
        return yaml_err(e, file, y, "the default '%.*s' is no %s", (int)y->text.n, y->text.p, type_names[p->type]);
    if (param_check(p, p->absent, where, e) < 0)
        snprintf(e->where, sizeof(e->where), "%s:%d:%d", file, y->line, y->column);
    return e->code;
}

static int read_text(char **out, const struct yaml *y, const char *file, const char *key, struct err *e)
{
    if (!y)
        return 0;
    if (y->type != YAML_STRING || y->text.n == 0)
        return yaml_err(e, file, y, "%s must be a text, not %s", key, yaml_type_name(y->type));
    *out = xstrndup(y->text.p, y->text.n);
    return 0;
}

static int check_pattern(const struct param *p, const struct yaml *y, const char *file, struct err *e)
{
    regex_t re;
    char why[128];
    int rc = p->match ? regcomp(&re, p->match, REG_EXTENDED | REG_NOSUB) : 0;

    if (p->match && rc == 0)
        regfree(&re);
    if (rc == 0)
        return 0;
    regerror(rc, NULL, why, sizeof(why));
    return yaml_err(e, file, y, "match '%s' is no regular expression: %s", p->match, why);
}

/* A check that its type never makes would be a promise nobody keeps. */
static int check_sense(const struct param *p, const struct yaml *y, const char *file, struct err *e)
{
    const struct yaml *min = yaml_get(y, "min"), *max = yaml_get(y, "max");

    if ((min || max) && !is_number(p->type))
        return yaml_err(e, file, min ? min : max, "a %s has no min or max", type_names[p->type]);
    if (p->match && p->type != PARAM_STRING)
        return yaml_err(e, file, yaml_get(y, "match"), "match is for texts, '%s' is of type %s", p->name, type_names[p->type]);
    if (p->none_of && p->type == PARAM_BOOLEAN)
        return yaml_err(e, file, yaml_get(y, "one_of"), "a boolean has no one_of");
    if (p->has_min && p->has_max && p->min > p->max)
        return yaml_err(e, file, min, "min is above max");
    return 0;
}

static int read_param(struct param *p, const struct yaml *y, const char *file, struct err *e)
{
    static const char *const keys[] = {"type", "from", "default", "match", "one_of", "min", "max", "optional"};
    const struct yaml *optional;

    if (y->type != YAML_MAP)
        return yaml_err(e, file, y, "parameter '%s' must be a map like { type: string }", p->name);
    if (yaml_only_keys(y, file, keys, 8, e) < 0)
        return e->code;
    if (!yaml_get(y, "type"))
        return yaml_err(e, file, y, "parameter '%s' has no type", p->name);
    if (read_type(p, yaml_get(y, "type"), file, e) < 0 || read_text(&p->from, yaml_get(y, "from"), file, "from", e) < 0 ||
        read_text(&p->match, yaml_get(y, "match"), file, "match", e) < 0 ||
        check_pattern(p, yaml_get(y, "match"), file, e) < 0 || read_one_of(p, yaml_get(y, "one_of"), file, e) < 0 ||
        read_bound(p, yaml_get(y, "min"), file, &p->has_min, &p->min, e) < 0 ||
        read_bound(p, yaml_get(y, "max"), file, &p->has_max, &p->max, e) < 0 || check_sense(p, y, file, e) < 0)
        return e->code;
    if (p->from && strncmp(p->from, "labels.", 7) != 0 && strncmp(p->from, "annotations.", 12) != 0)
        return yaml_err(e, file, yaml_get(y, "from"), "from: '%s' must begin with labels. or annotations.", p->from);
    optional = yaml_get(y, "optional");
    if (optional && optional->type != YAML_BOOL)
        return yaml_err(e, file, optional, "optional must be true or false");
    p->optional = optional && optional->boolean;
    return read_default(p, yaml_get(y, "default"), file, e);
}

int params_read(const struct yaml *map, const char *file, struct param **out, size_t *n, struct err *e)
{
    struct err own = {0};
    struct param *list;
    size_t i;

    e = e ? e : &own;
    if (map->type != YAML_MAP)
        return yaml_err(e, file, map, "params must be a map of names, not %s", yaml_type_name(map->type));
    list = xcalloc(map->n, sizeof(*list));
    for (i = 0; i < map->n; i++) {
        const struct yaml *key = map->keys[i];

        list[i].name = xstrndup(key->text.p, key->text.n);
        list[i].line = key->line;
        list[i].column = key->column;
        if (strspn(list[i].name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != key->text.n ||
            (key->text.p[0] >= '0' && key->text.p[0] <= '9')) {
            yaml_err(e, file, key, "'%s' is no name for a parameter (letters, digits and _)", list[i].name);
            break;
        }
        if (read_param(&list[i], map->items[i], file, e) < 0)
            break;
    }
    if (e->code) {
        params_free(list, map->n);
        return e->code;
    }
    *out = list;
    *n = map->n;
    return 0;
}
