/* SPDX-License-Identifier: Apache-2.0 */
/* Queries that the operator declared. Their parameters are typed and bound, never part
 * of the text:
 *
 *   queries:
 *     waiting: { sql: "SELECT count(*) FROM orders WHERE state = $1", params: [text], returns: value } */
#include "postgres.h"

#include "base/json.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 16

static const struct {
    const char *name;
    Oid oid;
} types[] = {{"text", 25}, {"integer", 20}, {"number", 701}, {"boolean", 16}, {"interval", 1186}, {"timestamptz", 1184}};
#define NTYPES (sizeof(types) / sizeof(types[0]))

static int type_of(const json_t *v)
{
    size_t i;

    for (i = 0; json_is_string(v) && i < NTYPES; i++) {
        if (strcmp(json_string_value(v), types[i].name) == 0)
            return (int)i;
    }
    return -1;
}

static bool check_query(const char *name, const json_t *query, struct trouble *t)
{
    static const char *const keys[] = {"sql", "params", "returns"};
    const char *returns = json_get_string(query, "returns", "rows"), *key, *near;
    json_t *v;
    size_t i;

    if (!json_is_object(query) || !json_is_string(json_object_get(query, "sql")))
        return trouble(t, "error", "queries: %.60s must be { sql: \"SELECT ...\", params: [text], returns: value|row|rows }",
                       name);
    json_object_foreach((json_t *)query, key, v) {
        for (i = 0; i < 3 && strcmp(key, keys[i]) != 0; i++)
            ;
        near = str_nearest(str_of(key), keys, 3);
        if (i == 3)
            return trouble(t, "error", "queries: %.60s: unknown key '%.60s'%s%s%s", name, key, near ? " (did you mean '" : "",
                           near ? near : "", near ? "'?)" : "");
    }
    if (strcmp(returns, "value") != 0 && strcmp(returns, "row") != 0 && strcmp(returns, "rows") != 0)
        return trouble(t, "error", "queries: %.60s: returns is value, row or rows", name);
    if (json_array_size(json_object_get(query, "params")) > PARAMS_MAX)
        return trouble(t, "error", "queries: %.60s: at most %d params", name, PARAMS_MAX);
    json_array_foreach(json_object_get(query, "params"), i, v) {
        if (type_of(v) < 0)
            return trouble(t, "error", "queries: %.60s: a parameter is text, integer, number, boolean, interval or timestamptz",
                           name);
    }
    return true;
}

bool pg_check_queries(const json_t *queries, struct trouble *t)
{
    const char *name;
    json_t *v;

    json_object_foreach((json_t *)queries, name, v) {
        if (!check_query(name, v, t))
            return false;
    }
    return true;
}

static bool fits(int type, const json_t *v)
{
    switch (type) {
    case 1:
        return json_is_integer(v);
    case 2:
        return json_is_number(v);
    case 3:
        return json_is_boolean(v);
    default:
        return json_is_string(v);
    }
}

/* The values as texts of their types; intervals are also seconds. */
static bool bind(const json_t *params, const json_t *values, const char **out, char numbers[][40], Oid *oids, struct trouble *t)
{
    size_t i, n = json_array_size(params);

    if (json_array_size(values) != n)
        return trouble(t, "error", "the query takes %zu values, not %zu", n, json_array_size(values));
    for (i = 0; i < n; i++) {
        const json_t *v = json_array_get(values, i);
        int type = type_of(json_array_get(params, i));

        oids[i] = types[type].oid;
        out[i] = numbers[i];
        if (strcmp(types[type].name, "interval") == 0 && json_is_number(v)) {
            snprintf(numbers[i], 40, "%.6f seconds", json_number_value(v));
            continue;
        }
        if (!fits(type, v))
            return trouble(t, "error", "value %zu must be %s", i + 1, types[type].name);
        if (json_is_string(v) && strlen(json_string_value(v)) != json_string_length(v))
            return trouble(t, "error", "value %zu holds a NUL", i + 1);
        if (json_is_string(v))
            out[i] = json_string_value(v);
        else if (json_is_boolean(v))
            out[i] = json_is_true(v) ? "true" : "false";
        else if (json_is_integer(v))
            snprintf(numbers[i], 40, "%lld", (long long)json_integer_value(v));
        else
            snprintf(numbers[i], 40, "%.17g", json_real_value(v));
    }
    return true;
}

/* One value of one row; none and several are no value. */
static json_t *only_value(const PGresult *r, struct trouble *t)
{
    json_t *v;

    if (PQntuples(r) > 1 || PQnfields(r) != 1) {
        trouble(t, "ambiguous", "the query answered %d rows of %d columns, not one value", PQntuples(r), PQnfields(r));
        return NULL;
    }
    v = PQntuples(r) ? db_value(r, 0, 0) : NULL;
    if (!v)
        trouble(t, "no_data", "the query answered nothing");
    return v;
}

static json_t *only_row(const PGresult *r, struct trouble *t)
{
    json_t *rows, *row;

    if (PQntuples(r) != 1) {
        trouble(t, PQntuples(r) ? "ambiguous" : "no_data", "the query answered %d rows, not one", PQntuples(r));
        return NULL;
    }
    rows = db_rows(r, t);
    row = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    return row;
}

json_t *pg_declared_query(struct database *db, const json_t *args, struct trouble *t)
{
    const char *name = json_get_string(args, "name", ""), *values[PARAMS_MAX], *returns;
    const json_t *query = json_object_get(json_object_get(db->settings, "queries"), name), *params;
    char numbers[PARAMS_MAX][40];
    Oid oids[PARAMS_MAX];
    json_t *out;
    PGresult *r;

    if (!query) {
        trouble(t, "error", "the instance declares no query '%.60s'", name);
        return NULL;
    }
    params = json_object_get(query, "params");
    if (!bind(params, json_object_get(args, "values"), values, numbers, oids, t) ||
        !db_read(db, json_get_string(query, "sql", ""), (int)json_array_size(params), values, oids, &r, t))
        return NULL;
    returns = json_get_string(query, "returns", "rows");
    if (strcmp(returns, "value") == 0)
        out = only_value(r, t);
    else
        out = strcmp(returns, "row") == 0 ? only_row(r, t) : db_rows(r, t);
    PQclear(r);
    return out;
}
