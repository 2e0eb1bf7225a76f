/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/schema.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const types[] = {"string", "number", "integer", "boolean", "duration", "list", "any", "labels", "map"};

size_t schema_types(const char *const **out)
{
    *out = types;
    return sizeof(types) / sizeof(types[0]);
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

static int fits_record(const json_t *fields, const json_t *value, const char *where, struct err *e)
{
    const char *name;
    char here[200];
    json_t *v;

    if (!json_is_object(value))
        return err_set(e, ERR_INVALID, "%s must be an object", where);
    json_object_foreach((json_t *)value, name, v) {
        if (!json_object_get(fields, name))
            return err_set(e, ERR_INVALID, "%s has the field '%.60s', which is not declared", where, name);
    }
    json_object_foreach((json_t *)fields, name, v) {
        snprintf(here, sizeof(here), "%.120s.%.60s", where, name);
        if (schema_fits(v, json_object_get(value, name), here, e) < 0)
            return e->code;
    }
    return 0;
}

static int fits_word(const char *schema, const json_t *value, const char *where, struct err *e)
{
    char word[16] = "any";
    bool optional = false;

    schema_parse(schema, word, &optional);
    if (!value || json_is_null(value))
        return optional ? 0 : err_set(e, ERR_INVALID, "%s is missing (%.60s)", where, schema);
    return is_type(word, value) && within(schema, value) ? 0 : err_set(e, ERR_INVALID, "%s must be %.60s", where, schema);
}

int schema_fits(const json_t *schema, const json_t *value, const char *where, struct err *e)
{
    const json_t *list = json_object_get(schema, "list");
    char here[200];
    json_t *v;
    size_t i;

    if (json_is_string(schema))
        return fits_word(json_string_value(schema), value, where, e);
    if (!list)
        return fits_record(schema, value, where, e);
    if (!json_is_array(value))
        return err_set(e, ERR_INVALID, "%s must be a list", where);
    json_array_foreach(value, i, v) {
        snprintf(here, sizeof(here), "%.170s[%zu]", where, i + 1);
        if (schema_fits(list, v, here, e) < 0)
            return e->code;
    }
    return 0;
}
