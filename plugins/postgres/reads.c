/* SPDX-License-Identifier: Apache-2.0 */
/* The reads: each one statement on the server's own views. Times are seconds. A user
 * who may not see other sessions gets an error instead of a shorter list. */
#include "postgres.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The server's own name of a session (%c of log_line_prefix), and of a statement in it. */
#define SESSION(a) "to_hex(trunc(extract(epoch FROM " a ".backend_start))::bigint) || '.' || to_hex(" a ".pid)"
#define STATEMENT(a) SESSION(a) " || '.' || to_hex((extract(epoch FROM " a ".query_start) * 1000000)::bigint)"
/* Texts of statements are bounded; one that names a password is not shown. */
#define QUERY(a) "CASE WHEN " a ".query ~* 'password' THEN '(not shown: it names a password)' ELSE left(" a ".query, 500) END"
#define SINCE(t) "extract(epoch FROM clock_timestamp() - " t ")::float8"

#define ACTIVITY \
    "SELECT " SESSION("a") " AS session, " STATEMENT("a") " AS statement, a.pid, coalesce(a.usename, '') AS \"user\", " \
    "coalesce(a.datname, '') AS database, coalesce(a.application_name, '') AS application, " \
    "coalesce(host(a.client_addr), 'local') AS client, coalesce(a.state, 'unknown') AS state, " \
    "a.wait_event_type || ':' || a.wait_event AS waiting_on, " \
    "CASE WHEN a.state = 'active' THEN " SINCE("a.query_start") " END AS running_for, " \
    SINCE("a.xact_start") " AS in_transaction_for, " SINCE("a.state_change") " AS state_for, " \
    "array_to_json(pg_blocking_pids(a.pid)) AS blocked_by, " QUERY("a") " AS query " \
    "FROM pg_catalog.pg_stat_activity a WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() "

static const char activity[] = ACTIVITY "AND a.state <> 'idle' ORDER BY a.query_start LIMIT 1001";
static const char long_running[] = ACTIVITY "AND a.state = 'active' AND " SINCE("a.query_start") " >= $1 "
                                            "ORDER BY a.query_start LIMIT 1001";
static const char idle_in_transaction[] = ACTIVITY "AND a.state LIKE 'idle in transaction%' AND " SINCE("a.state_change") " >= $1 "
                                                   "ORDER BY a.state_change LIMIT 1001";
static const char blocked[] = ACTIVITY "AND cardinality(pg_blocking_pids(a.pid)) > 0 ORDER BY a.query_start LIMIT 1001";

static const char locks[] =
    "SELECT " SESSION("w") " AS blocked_session, w.pid AS blocked_pid, " QUERY("w") " AS blocked_query, "
    SINCE("w.query_start") " AS waiting_for, l.mode, l.object, " SESSION("b") " AS blocking_session, "
    STATEMENT("b") " AS blocking_statement, b.pid AS blocking_pid, coalesce(b.usename, '') AS blocking_user, "
    "coalesce(b.state, b.backend_type) AS blocking_state, " QUERY("b") " AS blocking_query "
    "FROM pg_catalog.pg_stat_activity w CROSS JOIN LATERAL (SELECT DISTINCT unnest(pg_blocking_pids(w.pid)) AS pid) x "
    "JOIN pg_catalog.pg_stat_activity b ON b.pid = x.pid "
    "LEFT JOIN LATERAL (SELECT k.mode, CASE WHEN k.relation IS NULL THEN k.locktype WHEN k.database = "
    "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) THEN k.relation::regclass::text "
    "ELSE 'relation ' || k.relation END AS object FROM pg_catalog.pg_locks k WHERE k.pid = w.pid AND NOT k.granted LIMIT 1) l ON true "
    "ORDER BY w.query_start LIMIT 1001";

static const char connections[] =
    "SELECT used, max, reserved, used::float8 / greatest(max - reserved, 1) AS ratio, active, idle, idle_in_transaction, blocked "
    "FROM (SELECT count(*)::int AS used, current_setting('max_connections')::int AS max, "
    "current_setting('superuser_reserved_connections')::int AS reserved, "
    "count(*) FILTER (WHERE state = 'active')::int AS active, count(*) FILTER (WHERE state = 'idle')::int AS idle, "
    "count(*) FILTER (WHERE state LIKE 'idle in transaction%')::int AS idle_in_transaction, "
    "count(*) FILTER (WHERE wait_event_type = 'Lock')::int AS blocked "
    "FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend') c";

static const char standby[] = "SELECT pg_is_in_recovery()";

/* 0 while everything received is replayed: a quiet primary is no lag. Null on a primary. */
static const char replication_lag[] =
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0::float8 "
    "ELSE " SINCE("pg_last_xact_replay_timestamp()") " END";

static const char replicas[] =
    "SELECT coalesce(application_name, '') AS name, coalesce(host(client_addr), 'local') AS client, "
    "coalesce(state, 'unknown') AS state, coalesce(sync_state, 'unknown') AS sync, "
    "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - replay_lsn)::bigint AS lag_bytes, "
    "extract(epoch FROM replay_lag)::float8 AS replay_lag FROM pg_catalog.pg_stat_replication ORDER BY 1, 2 LIMIT 1001";

static const char setting[] =
    "SELECT coalesce(setting, '') AS value, unit, source, pending_restart FROM pg_catalog.pg_settings WHERE name = lower($1)";

static const char database_size[] =
    "SELECT pg_database_size(oid) FROM pg_catalog.pg_database WHERE datname = coalesce($1, current_database())";

static const char tables[] =
    "SELECT schemaname AS schema, relname AS name, pg_total_relation_size(relid) AS total_bytes, "
    "pg_table_size(relid) AS table_bytes, pg_indexes_size(relid) AS index_bytes, coalesce(n_live_tup, 0) AS live_rows, "
    "coalesce(n_dead_tup, 0) AS dead_rows, coalesce(seq_scan, 0) AS sequential_scans, "
    "to_json(greatest(last_vacuum, last_autovacuum)) #>> '{}' AS last_vacuum, "
    "to_json(greatest(last_analyze, last_autoanalyze)) #>> '{}' AS last_analyze "
    "FROM pg_catalog.pg_stat_user_tables ORDER BY 3 DESC LIMIT $1";

enum shape { ROWS, ROW, VALUE };

static const struct {
    const char *verb, *sql, *arg;       /* arg: the argument that is $1, or NULL */
    const char *type, *absent;          /* of arg: "int8", "float8", "text"; its default, NULL = null */
    enum shape shape;
    bool sees_all;                      /* needs to see other sessions */
    const char *nothing;                /* why there may be no row, or a null */
} reads[] = {
    {"activity", activity, NULL, NULL, NULL, ROWS, true, NULL},
    {"long_running", long_running, "over", "float8", NULL, ROWS, true, NULL},
    {"idle_in_transaction", idle_in_transaction, "over", "float8", NULL, ROWS, true, NULL},
    {"blocked", blocked, NULL, NULL, NULL, ROWS, true, NULL},
    {"locks", locks, NULL, NULL, NULL, ROWS, true, NULL},
    {"connections", connections, NULL, NULL, NULL, ROW, true, NULL},
    {"standby", standby, NULL, NULL, NULL, VALUE, false, NULL},
    {"replication_lag", replication_lag, NULL, NULL, NULL, VALUE, false, "this is a primary, or nothing was replayed yet"},
    {"replicas", replicas, NULL, NULL, NULL, ROWS, true, NULL},
    {"setting", setting, "name", "text", NULL, ROW, false, "there is no such setting"},
    {"database_size", database_size, "database", "text", NULL, VALUE, false, "there is no such database"},
    {"tables", tables, "limit", "int8", "20", ROWS, false, NULL},
};

static Oid oid_of(const char *type)
{
    return strcmp(type, "int8") == 0 ? 20 : strcmp(type, "float8") == 0 ? 701 : 25;
}

/* An argument as the text of a parameter; NULL = null. */
static const char *text_of(const json_t *v, const char *absent, char *out, size_t size)
{
    if (json_is_string(v))
        return json_string_value(v);
    if (json_is_integer(v))
        snprintf(out, size, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(out, size, "%.17g", json_real_value(v));
    else
        return absent;
    return out;
}

static json_t *shaped(const PGresult *r, enum shape shape, const char *nothing, struct trouble *t)
{
    json_t *rows, *v;

    if (shape == VALUE) {
        v = PQntuples(r) ? db_value(r, 0, 0) : NULL;
        if (!v)
            trouble(t, "no_data", "%s", nothing ? nothing : "the server answered nothing");
        return v;
    }
    rows = db_rows(r, t);
    if (!rows || shape == ROWS)
        return rows;
    v = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    if (!v)
        trouble(t, "no_data", "%s", nothing ? nothing : "the server answered nothing");
    return v;
}

bool pg_sees_all(struct database *db, struct trouble *t)
{
    PGresult *r;
    bool yes;

    if (!db_read(db, "SELECT pg_has_role('pg_read_all_stats', 'USAGE'), current_user", 0, NULL, NULL, &r, t))
        return false;
    yes = PQgetvalue(r, 0, 0)[0] == 't';
    if (!yes)
        trouble(t, "error", "%.60s may not see what other sessions do (GRANT pg_monitor TO %.60s)", PQgetvalue(r, 0, 1),
                PQgetvalue(r, 0, 1));
    PQclear(r);
    return yes;
}

/* Where pg_stat_statements is in this database, and whether its times are named as since 1.8. */
static bool find_statements(struct database *db, char *schema, size_t size, bool *exec_time, struct trouble *t)
{
    static const char sql[] =
        "SELECT quote_ident(n.nspname), string_to_array(e.extversion, '.')::int[] >= '{1,8}' FROM pg_catalog.pg_extension e "
        "JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";
    PGresult *r;
    bool found;

    if (!db_read(db, sql, 0, NULL, NULL, &r, t))
        return false;
    found = PQntuples(r) == 1;
    if (found) {
        snprintf(schema, size, "%s", PQgetvalue(r, 0, 0));
        *exec_time = PQgetvalue(r, 0, 1)[0] == 't';
    } else {
        trouble(t, "error", "pg_stat_statements is not in this database (CREATE EXTENSION pg_stat_statements)");
    }
    PQclear(r);
    return found;
}

static json_t *slow_queries(struct database *db, const json_t *args, struct trouble *t)
{
    char schema[160], sql[1600], number[32];
    const char *limit = text_of(json_object_get(args, "limit"), "10", number, sizeof(number)), *x;
    json_t *rows;
    PGresult *r;
    bool exec_time;

    if (!pg_sees_all(db, t) || !find_statements(db, schema, sizeof(schema), &exec_time, t))
        return NULL;
    x = exec_time ? "exec_" : "";
    snprintf(sql, sizeof(sql),
             "SELECT coalesce(s.queryid::text, '') AS query_id, " QUERY("s") " AS query, coalesce(u.rolname, '') AS \"user\", "
             "coalesce(d.datname, '') AS database, s.calls, s.mean_%stime / 1000 AS mean_time, s.max_%stime / 1000 AS max_time, "
             "s.total_%stime / 1000 AS total_time, s.rows FROM %s.pg_stat_statements s "
             "LEFT JOIN pg_catalog.pg_roles u ON u.oid = s.userid LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid "
             "ORDER BY s.mean_%stime DESC LIMIT $1", x, x, x, schema, x);
    if (!db_read(db, sql, 1, &limit, &(Oid){20}, &r, t))
        return NULL;
    rows = db_rows(r, t);
    PQclear(r);
    return rows;
}

json_t *pg_read(struct database *db, const char *verb, const json_t *args, struct trouble *t)
{
    const char *param = NULL;
    char number[40];
    json_t *out;
    PGresult *r;
    Oid type;
    size_t i;

    if (strcmp(verb, "slow_queries") == 0)
        return slow_queries(db, args, t);
    if (strcmp(verb, "query") == 0)
        return pg_declared_query(db, args, t);
    for (i = 0; i < sizeof(reads) / sizeof(reads[0]) && strcmp(reads[i].verb, verb) != 0; i++)
        ;
    if (i == sizeof(reads) / sizeof(reads[0])) {
        trouble(t, "error", "there is no read '%.60s'", verb);
        return NULL;
    }
    if (reads[i].sees_all && !pg_sees_all(db, t))
        return NULL;
    if (reads[i].arg)
        param = text_of(json_object_get(args, reads[i].arg), reads[i].absent, number, sizeof(number));
    type = oid_of(reads[i].type ? reads[i].type : "text");
    if (!db_read(db, reads[i].sql, reads[i].arg != NULL, &param, &type, &r, t))
        return NULL;
    out = shaped(r, reads[i].shape, reads[i].nothing, t);
    PQclear(r);
    return out;
}

json_t *pg_probe(struct database *db, struct trouble *t)
{
    static const char sql[] =
        "SELECT 'PostgreSQL ' || current_setting('server_version') || ', ' || CASE WHEN pg_is_in_recovery() THEN 'standby' "
        "ELSE 'primary' END || ', database ' || current_database() || ' as ' || current_user";
    json_t *v;
    PGresult *r;

    if (!pg_sees_all(db, t) || !db_read(db, sql, 0, NULL, NULL, &r, t))
        return NULL;
    v = db_value(r, 0, 0);
    PQclear(r);
    return v;
}
