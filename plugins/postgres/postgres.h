/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL as a process plugin (../PROTOCOL.md), on libpq. One connection, one call
 * at a time, every read in a read-only transaction with a time limit of the server. */
#ifndef MIDWATCH_PLUGINS_POSTGRES_H
#define MIDWATCH_PLUGINS_POSTGRES_H

#include "base/err.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

#define ROWS_MAX 1000

/* A call that cannot be answered with a value: `unknown` ("error", "no_data", "ambiguous") or `refused`, and why. */
struct trouble {
    const char *unknown;
    bool refused;
    bool lost;              /* the connection went while a statement was under way */
    char why[500];
};
bool trouble(struct trouble *t, const char *unknown, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

struct database {
    json_t *settings;
    char *dir;              /* where relative paths start */
    PGconn *conn;           /* NULL while there is none */
    long statement_ms;
};

/* connection.c. false = *t says why. */
bool db_connect(struct database *db, struct trouble *t);
void db_close(struct database *db);
/* One statement in a read-only transaction of its own; params are texts (NULL = null), types their OIDs or NULL. *out
 * is owned: PQclear. A connection that was lost is made once more. */
bool db_read(struct database *db, const char *sql, int n, const char *const *params, const Oid *types, PGresult **out,
             struct trouble *t);
/* Rows as records of their columns; null columns are left out. More than ROWS_MAX are an error. Owned. */
json_t *db_rows(const PGresult *r, struct trouble *t);
/* One value; NULL for null and for what is no finite number. Owned. */
json_t *db_value(const PGresult *r, int row, int column);

/* reads.c. NULL = *t says why. Owned. */
json_t *pg_read(struct database *db, const char *verb, const json_t *args, struct trouble *t);
/* Who is there, in words. */
json_t *pg_probe(struct database *db, struct trouble *t);
/* False, with what to grant, if the user cannot see what other sessions do: then nothing can be said of them. */
bool pg_sees_all(struct database *db, struct trouble *t);
/* declared.c: `query`. NULL = *t says why. */
json_t *pg_declared_query(struct database *db, const json_t *args, struct trouble *t);
/* Checks the operator's `queries:`. false = *t says why. */
bool pg_check_queries(const json_t *queries, struct trouble *t);

/* effects.c: sessions and statements by their id. */
json_t *pg_state(struct database *db, const char *verb, const json_t *args, struct trouble *t);
/* Signals, and waits a moment for what it does. */
bool pg_apply(struct database *db, const char *verb, const json_t *args, struct trouble *t);

#endif
