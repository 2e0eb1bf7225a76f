/* SPDX-License-Identifier: Apache-2.0 */
#include "postgres.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Types whose text is a JSON value of another kind. */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_OID = 26, OID_JSON = 114, OID_FLOAT4 = 700,
       OID_FLOAT8 = 701, OID_NUMERIC = 1700, OID_JSONB = 3802 };

bool trouble(struct trouble *t, const char *unknown, const char *fmt, ...)
{
    va_list ap;

    t->unknown = unknown;
    va_start(ap, fmt);
    vsnprintf(t->why, sizeof(t->why), fmt, ap);
    va_end(ap);
    return false;
}

/* The first line of what libpq says. */
static bool pg_trouble(struct trouble *t, const char *said)
{
    return trouble(t, "error", "%.*s", (int)strcspn(said, "\n"), said);
}

static long milliseconds(const json_t *settings, const char *key, long absent)
{
    const char *text = json_get_string(settings, key, NULL);
    int64_t ms;

    return text && str_duration_ms(str_of(text), &ms) == 0 ? (long)ms : absent;
}

struct parameters {
    const char *keys[20], *values[20];
    char port[24], timeout[24], files[4][4096];
    int n, nfiles;
};

static void add(struct parameters *p, const char *key, const char *value)
{
    if (!value)
        return;
    p->keys[p->n] = key;
    p->values[p->n++] = value;
}

static void add_file(struct database *db, struct parameters *p, const char *key)
{
    const char *file = json_get_string(db->settings, key, NULL);

    if (!file)
        return;
    snprintf(p->files[p->nfiles], sizeof(p->files[0]), "%s%s%s", file[0] == '/' ? "" : db->dir, file[0] == '/' ? "" : "/", file);
    add(p, key, p->files[p->nfiles++]);
}

bool db_connect(struct database *db, struct trouble *t)
{
    static const char *const texts[] = {"host", "dbname", "user", "password", "sslmode"};
    struct parameters p = {.n = 0};
    size_t i;

    if (db->conn && PQstatus(db->conn) == CONNECTION_OK)
        return true;
    db_close(db);
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        add(&p, texts[i], json_get_string(db->settings, texts[i], NULL));
    add_file(db, &p, "passfile");
    add_file(db, &p, "sslrootcert");
    add_file(db, &p, "sslcert");
    add_file(db, &p, "sslkey");
    snprintf(p.port, sizeof(p.port), "%lld", (long long)json_get_int(db->settings, "port", 5432));
    add(&p, "port", p.port);
    snprintf(p.timeout, sizeof(p.timeout), "%ld", (milliseconds(db->settings, "connect_timeout", 5000) + 999) / 1000);
    add(&p, "connect_timeout", p.timeout);
    add(&p, "application_name", "midwatch");
    add(&p, "client_encoding", "UTF8");
    db->statement_ms = milliseconds(db->settings, "statement_timeout", 5000);
    db->conn = PQconnectdbParams(p.keys, p.values, 0);
    if (PQstatus(db->conn) == CONNECTION_OK)
        return true;
    pg_trouble(t, PQerrorMessage(db->conn));
    db_close(db);
    return false;
}

void db_close(struct database *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
}

/* A statement without an answer of its own. */
static bool command(struct database *db, const char *sql, struct trouble *t)
{
    PGresult *r = PQexec(db->conn, sql);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;

    if (!ok)
        pg_trouble(t, PQerrorMessage(db->conn));
    PQclear(r);
    return ok;
}

static bool begin(struct database *db, struct trouble *t)
{
    char limit[100];

    snprintf(limit, sizeof(limit), "SET LOCAL statement_timeout = %ld", db->statement_ms);
    return command(db, "BEGIN TRANSACTION READ ONLY", t) && command(db, limit, t) &&
           command(db, "SET LOCAL lock_timeout = 1000", t);
}

static bool run(struct database *db, const char *sql, int n, const char *const *params, const Oid *types, PGresult **out,
                struct trouble *t)
{
    PGresult *r;
    bool ok;

    if (!begin(db, t))
        return false;
    r = PQexecParams(db->conn, sql, n, types, params, NULL, NULL, 0);
    ok = PQresultStatus(r) == PGRES_TUPLES_OK;
    if (!ok) {
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

        t->refused = state && strcmp(state, "42501") == 0;
        pg_trouble(t, said ? said : PQerrorMessage(db->conn));
    }
    if (PQstatus(db->conn) == CONNECTION_OK)
        command(db, ok ? "COMMIT" : "ROLLBACK", ok ? t : &(struct trouble){0});
    if (ok)
        *out = r;
    else
        PQclear(r);
    return ok;
}

bool db_read(struct database *db, const char *sql, int n, const char *const *params, const Oid *types, PGresult **out,
             struct trouble *t)
{
    bool fresh = !db->conn;

    if (!db_connect(db, t))
        return false;
    if (run(db, sql, n, params, types, out, t))
        return true;
    if (PQstatus(db->conn) == CONNECTION_OK)
        return false;
    t->lost = true;
    db_close(db);
    /* A connection that was idle may have been dead for long. */
    if (fresh || !db_connect(db, t))
        return false;
    return run(db, sql, n, params, types, out, t);
}

/* A whole number stays one, beyond 64 bits as text; what is not finite is no value. */
static json_t *number(const char *text)
{
    char *end;
    double x;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (*end == '\0')
        return errno ? json_string(text) : json_integer(n);
    x = strtod(text, &end);
    return *end == '\0' && x - x == 0 ? json_real(x) : NULL;
}

json_t *db_value(const PGresult *r, int row, int column)
{
    const char *text = PQgetvalue(r, row, column);
    size_t n = (size_t)PQgetlength(r, row, column);
    double x;
    if (PQgetisnull(r, row, column))
        return NULL;
    switch (PQftype(r, column)) {
    case OID_BOOL:
        return json_boolean(text[0] == 't');
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
        return json_integer(strtoll(text, NULL, 10));
    case OID_NUMERIC:
        return number(text);
    case OID_FLOAT4:
    case OID_FLOAT8:
        x = strtod(text, NULL);
        return x - x == 0 ? json_real(x) : NULL;
    case OID_JSON:
    case OID_JSONB:
        return json_loadb(text, n, JSON_DECODE_ANY, NULL);
    default:
        return json_stringn(text, n);
    }
}

json_t *db_rows(const PGresult *r, struct trouble *t)
{
    json_t *list, *record, *v;
    int row, column;

    if (PQntuples(r) > ROWS_MAX) {
        trouble(t, "error", "more than %d rows; ask for fewer", ROWS_MAX);
        return NULL;
    }
    list = json_array();
    for (row = 0; row < PQntuples(r); row++) {
        record = json_object();
        for (column = 0; column < PQnfields(r); column++) {
            v = db_value(r, row, column);
            if (v)
                json_object_set_new(record, PQfname(r, column), v);
        }
        json_array_append_new(list, record);
    }
    return list;
}
