/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/schema.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const types[] = {"string", "number", "integer", "boolean", "duration", "list", "any", "labels", "map"};

size_t schema_types(const char *const **out)
{
    *out = types;
    return sizeof(types) / sizeof(types[0]);
}

bool schema_is_enum(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-|");
    const char *end = text + n;

    return n > 0 && strchr(text, '|') && text[0] != '|' && end[-1] != '|' && !strstr(text, "||") &&
           strcmp(end, *end ? "?" : "") == 0;
}

bool schema_parse(const char *text, char word[16], bool *optional)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    const char *p = text + n;
    char *end;

    if (n == 0 || n > 15)
        return false;
    memcpy(word, text, n);
    word[n] = '\0';
    *optional = *p == '?';
    p += *optional;
    p += strspn(p, " ");
    if (*p == '\0')
        return true;
    if (*p != '<' && *p != '>')
        return false;
    p += p[1] == '=' ? 2 : 1;
    strtod(p, &end);
    return end > p && *end == '\0';
}

static bool is_type(const char *word, const json_t *v)
{
    if (strcmp(word, "any") == 0)
        return !json_is_null(v);
    if (strcmp(word, "integer") == 0)
        return json_is_integer(v);
    if (strcmp(word, "number") == 0 || strcmp(word, "duration") == 0)
        return json_is_number(v);
    if (strcmp(word, "boolean") == 0)
        return json_is_boolean(v);
    if (strcmp(word, "string") == 0)
        return json_is_string(v);
    if (strcmp(word, "list") == 0)
        return json_is_array(v);
    return json_is_object(v);
}

static bool within(const char *schema, const json_t *v)
{
    const char *op = strpbrk(schema, "<>");
    bool equal = op && op[1] == '=';
    double bound = op ? strtod(op + 1 + equal, NULL) : 0, x = json_number_value(v);

    if (!op || !json_is_number(v))
        return true;
    return (equal && x == bound) || (*op == '<' ? x < bound : x > bound);
}

/* Where a walk through a value is; the path is spelt only where something is wrong. */
struct step {
    const struct step *up;      /* NULL: the value itself */
    const char *name;           /* NULL: element i of a list */
    size_t i;
};

struct walk {
    const char *where;
    char *path;              /* FAULT_MAX bytes, or NULL */
    const json_t *known;        /* fields that a record may lack; it then has a `why` */
    bool partial;               /* a record need not be whole */
    struct err *e;
};

static void spell(const struct walk *w, const struct step *s, struct buf *text, struct buf *path)
{
    if (!s->up) {
        buf_adds(text, w->where);
        return;
    }
    spell(w, s->up, text, path);
    if (s->name) {
        buf_addf(text, ".%.60s", s->name);
        buf_addf(path, "%c%s", YAML_STEP, s->name);
    } else {
        buf_addf(text, "[%zu]", s->i + 1);
        buf_addf(path, "%c%zu", YAML_STEP, s->i);
    }
}

static int wrong(const struct walk *w, const struct step *s, const char *why)
{
    struct buf text = BUF_INIT(200), path = BUF_INIT(FAULT_MAX);

    spell(w, s, &text, &path);
    err_set(w->e, ERR_INVALID, "%s %s", buf_text(&text), why);
    if (w->path)
        snprintf(w->path, FAULT_MAX, "%s", buf_text(&path));
    buf_free(&text);
    buf_free(&path);
    return ERR_INVALID;
}

static void hint_names(const struct walk *w, const char *name, const char *const *names, size_t n)
{
    const char *near = str_nearest(str_of(name), names, n);
    struct buf all = BUF_INIT(200);
    size_t i;

    if (near) {
        err_hint(w->e, "did you mean '%s'?", near);
        return;
    }
    for (i = 0; i < n; i++)
        buf_addf(&all, "%s%s", i ? ", " : "", names[i]);
    err_hint(w->e, "there is: %s", buf_text(&all));
    buf_free(&all);
}

static bool is_known(const struct walk *w, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(w->known, i, v) {
        if (strcmp(json_string_value(v), name) == 0)
            return true;
    }
    return false;
}

static int no_field(const struct walk *w, const struct step *s, const json_t *fields, const char *name)
{
    const char *names[64], *key;
    struct step here = {s, name, 0};
    size_t n = 0;
    json_t *v;

    json_object_foreach((json_t *)fields, key, v) {
        if (n < 64)
            names[n++] = key;
    }
    wrong(w, &here, "is no declared field");
    hint_names(w, name, names, n);
    return ERR_INVALID;
}

static int fits(const struct walk *w, const struct step *s, const json_t *schema, const json_t *value);

static int fits_record(const struct walk *w, const struct step *s, const json_t *fields, const json_t *value)
{
    const char *name;
    json_t *v;

    if (!json_is_object(value))
        return wrong(w, s, "must be an object");
    json_object_foreach((json_t *)value, name, v) {
        if (!json_object_get(fields, name) && !(w->known && strcmp(name, "why") == 0))
            return no_field(w, s, fields, name);
    }
    json_object_foreach((json_t *)fields, name, v) {
        const json_t *field = json_object_get(value, name);
        struct step here = {s, name, 0};

        if ((!field || json_is_null(field)) && (w->partial || is_known(w, name)))
            continue;
        if (fits(w, &here, v, field) < 0)
            return w->e->code;
    }
    return 0;
}

/* "up|down|unknown?" */
static int fits_enum(const struct walk *w, const struct step *s, const char *schema, const json_t *value)
{
    char words[256], why[120], *save = NULL, *word;
    const char *names[32];
    size_t n = 0;

    snprintf(words, sizeof(words), "%s", schema);
    for (word = strtok_r(words, "|?", &save); word && n < 32; word = strtok_r(NULL, "|?", &save)) {
        names[n++] = word;
        if (json_is_string(value) && strcmp(json_string_value(value), word) == 0)
            return 0;
    }
    snprintf(why, sizeof(why), "must be one of %.80s", schema);
    wrong(w, s, why);
    if (json_is_string(value) && str_nearest(str_of(json_string_value(value)), names, n))
        hint_names(w, json_string_value(value), names, n);
    return ERR_INVALID;
}

static int fits_word(const struct walk *w, const struct step *s, const char *schema, const json_t *value)
{
    char word[16] = "any";
    bool optional = strchr(schema, '?') != NULL;
    char why[120];

    if (!value || json_is_null(value)) {
        snprintf(why, sizeof(why), "is missing (%.60s)", schema);
        return optional ? 0 : wrong(w, s, why);
    }
    if (schema_is_enum(schema))
        return fits_enum(w, s, schema, value);
    schema_parse(schema, word, &optional);
    if (is_type(word, value) && within(schema, value))
        return 0;
    snprintf(why, sizeof(why), "must be %.60s", schema);
    return wrong(w, s, why);
}

static int fits(const struct walk *w, const struct step *s, const json_t *schema, const json_t *value)
{
    const json_t *list = json_object_get(schema, "list");
    json_t *v;
    size_t i;

    if (json_is_string(schema))
        return fits_word(w, s, json_string_value(schema), value);
    if (!list)
        return fits_record(w, s, schema, value);
    if (!json_is_array(value))
        return wrong(w, s, "must be a list");
    json_array_foreach(value, i, v) {
        struct step here = {s, NULL, i};

        if (fits(w, &here, list, v) < 0)
            return w->e->code;
    }
    return 0;
}

int schema_fits(const json_t *schema, const json_t *value, const char *where, struct err *e)
{
    struct walk w = {.where = where, .e = e};

    return fits(&w, &(struct step){0}, schema, value);
}

/* Where an argument names the fields, their values may be anything. */
static json_t *named_fields(const json_t *returns, const json_t *args)
{
    json_t *fields = json_object(), *v;
    const char *name;

    json_object_foreach(json_object_get(args, "fields"), name, v)
        json_object_set_new(fields, name, json_string("any?"));
    return json_is_object(returns) ? json_pack("{s:o}", "list", fields) : fields;
}

bool schema_names_fields(const json_t *read)
{
    const json_t *returns = json_object_get(read, "returns"), *list = json_object_get(returns, "list");
    const char *what = json_string_value(list ? list : returns);

    return what && strcmp(what, "fields") == 0;
}

int schema_answer(const json_t *read, const json_t *args, const json_t *value, bool partial, const char *where, char *path,
                  struct err *e)
{
    const json_t *returns = json_object_get(read, "returns"), *known = json_object_get(read, "known");
    struct walk w = {.where = where, .path = path, .known = known, .partial = partial, .e = e};
    json_t *own = schema_names_fields(read) ? named_fields(returns, args) : NULL;
    int rc = returns ? fits(&w, &(struct step){0}, own ? own : returns, value) : 0;

    json_decref(own);
    return rc;
}

bool schema_scalar(const json_t *read, struct str value)
{
    const char *schema = json_get_string(read, "returns", "");
    char first = value.n ? value.p[0] : 0;
    bool is_number = first == '-' || (first >= '0' && first <= '9');

    if (strcmp(schema, "number") == 0)
        return is_number;
    if (strcmp(schema, "integer") == 0)
        return is_number && !memchr(value.p, '.', value.n) && !memchr(value.p, 'e', value.n);
    if (strcmp(schema, "string") == 0)
        return first == '"';
    if (strcmp(schema, "boolean") == 0)
        return first == 't' || first == 'f';
    return strcmp(schema, "any") == 0 && first && first != 'n';
}
