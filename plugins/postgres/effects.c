/* SPDX-License-Identifier: Apache-2.0 */
/* cancel and terminate. A session is its backend's start and pid, a statement also its
 * start, so what the effect was planned on is what it hits, or nothing. */
#include "postgres.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOKS = 100, LOOK_US = 50 * 1000 };

/* $1 = pid, $2 = second of its start, $3 = microsecond of the statement's start (null: of any). */
#define WHO \
    " FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND trunc(extract(epoch FROM backend_start))::bigint = $2 " \
    "AND ($3::bigint IS NULL OR (state = 'active' AND (extract(epoch FROM query_start) * 1000000)::bigint = $3))"

struct who {
    char pid[32], start[32], statement[32];
    const char *params[3];
};

/* "6565c2a1.3f2" of a session, "6565c2a1.3f2.60b1..." of a statement. */
static bool parse(const char *verb, const json_t *args, struct who *w, struct trouble *t)
{
    bool cancel = strcmp(verb, "cancel") == 0;
    const char *id = json_get_string(args, cancel ? "statement" : "session", "");
    unsigned long long start, pid, statement = 0;
    int end = 0;

    if (cancel)
        sscanf(id, "%llx.%llx.%llx%n", &start, &pid, &statement, &end);
    else
        sscanf(id, "%llx.%llx%n", &start, &pid, &end);
    if (end == 0 || id[end] != '\0') {
        t->refused = true;
        return trouble(t, "error", "'%.60s' is no %s (they come from activity, long_running, locks, ...)", id,
                       cancel ? "statement" : "session");
    }
    snprintf(w->pid, sizeof(w->pid), "%llu", pid);
    snprintf(w->start, sizeof(w->start), "%llu", start);
    snprintf(w->statement, sizeof(w->statement), "%llu", statement);
    w->params[0] = w->pid;
    w->params[1] = w->start;
    w->params[2] = cancel ? w->statement : NULL;
    return true;
}

static bool look(struct database *db, const struct who *w, bool *there, struct trouble *t)
{
    static const Oid types[] = {23, 20, 20};
    PGresult *r;
    bool client = true;

    if (!db_read(db, "SELECT backend_type" WHO, 3, w->params, types, &r, t))
        return false;
    *there = PQntuples(r) > 0;
    if (*there && strcmp(PQgetvalue(r, 0, 0), "client backend") != 0) {
        t->refused = true;
        client = trouble(t, "error", "it is no client's session but a %.60s", PQgetvalue(r, 0, 0));
    }
    PQclear(r);
    return client;
}

json_t *pg_state(struct database *db, const char *verb, const json_t *args, struct trouble *t)
{
    struct who w;
    bool there;

    if (!parse(verb, args, &w, t) || !pg_sees_all(db, t) || !look(db, &w, &there, t))
        return NULL;
    return json_pack("{s:b}", strcmp(verb, "cancel") == 0 ? "running" : "connected", there);
}

bool pg_apply(struct database *db, const char *verb, const json_t *args, struct trouble *t)
{
    static const Oid types[] = {23, 20, 20};
    bool cancel = strcmp(verb, "cancel") == 0, there = true;
    struct who w;
    PGresult *r;
    int i;

    if (!parse(verb, args, &w, t))
        return false;
    if (!db_read(db, cancel ? "SELECT pg_cancel_backend(pid)" WHO " AND backend_type = 'client backend'"
                            : "SELECT pg_terminate_backend(pid)" WHO " AND backend_type = 'client backend'",
                 3, w.params, types, &r, t))
        return false;
    PQclear(r);
    for (i = 0; i < LOOKS && there; i++) {
        if (i > 0)
            usleep(LOOK_US);
        if (!look(db, &w, &there, &(struct trouble){0}))
            break;
    }
    return true;
}
