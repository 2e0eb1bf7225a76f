/* SPDX-License-Identifier: Apache-2.0 */
/* Guards: conditions on shared rows, asked inside of the transaction that they guard. */
#include "journal/sqlite.h"
#include "journal/tally.h"

static void bind_text(sqlite3_stmt *st, int i, struct str s)
{
    sqlite3_bind_text(st, i, s.n ? s.p : "", (int)s.n, SQLITE_STATIC);
}

static sqlite3_stmt *question(struct sqlite *s, int64_t run, const struct guard *g, struct err *e)
{
    static const int asks[GUARD_KINDS] = {
        [GUARD_HALT] = SQL_HALTED,        [GUARD_REVOKED] = SQL_REVOKED,      [GUARD_LOCK] = SQL_LOCK_GET,
        [GUARD_COOLDOWN] = SQL_LOCK_GET,  [GUARD_RUN_BUDGET] = SQL_LOCK_COUNT, [GUARD_AT_MOST] = SQL_TOUCHED,
        [GUARD_EFFECTS] = SQL_COUNTED,    [GUARD_TARGETS] = SQL_COUNTED,      [GUARD_EFFECTIVE] = SQL_FAILURES,
        [GUARD_APPROVAL] = SQL_APPROVAL_LEFT,
    };
    sqlite3_stmt *st = sqlite_statement(s, asks[g->kind], e);

    if (!st)
        return NULL;
    switch (asks[g->kind]) {
    case SQL_REVOKED:
        bind_text(st, 1, g->commit);
        break;
    case SQL_LOCK_GET:
        bind_text(st, 1, g->target);
        break;
    case SQL_COUNTED:
        sqlite3_bind_int64(st, 1, g->since);
        break;
    case SQL_FAILURES:
        bind_text(st, 1, g->runbook);
        break;
    case SQL_LOCK_COUNT:
    case SQL_TOUCHED:
    case SQL_APPROVAL_LEFT:
        sqlite3_bind_int64(st, 1, run);
        bind_text(st, 2, g->kind == GUARD_RUN_BUDGET ? g->target : g->kind == GUARD_AT_MOST ? g->action : g->path);
        break;
    default:
        break;
    }
    return st;
}

static struct str text(sqlite3_stmt *st, int i)
{
    const char *p = (const char *)sqlite3_column_text(st, i);

    return str_of(p ? p : "");
}

/* Counts the rows of st from the one it stands on. */
static bool counts(sqlite3_stmt *st, int64_t run, const struct guard *g, int *rc)
{
    struct tally t;

    tally_begin(&t, g, run);
    while (*rc == SQLITE_ROW &&
           tally_add(&t, sqlite3_column_int64(st, 0), text(st, 1), text(st, 2), text(st, 3)))
        *rc = sqlite3_step(st);
    return tally_end(&t);
}

static bool lock_permits(sqlite3_stmt *st, int64_t run, const struct guard *g)
{
    int64_t holder = sqlite3_column_int64(st, 0);

    if (holder == run || (g->kind == GUARD_LOCK && holder == 0))
        return true;
    return g->kind == GUARD_COOLDOWN &&
           (sqlite3_column_int64(st, 2) == run || sqlite3_column_int64(st, 1) <= g->now);
}

int sqlite_guard(struct journal *j, const struct journal_item *item, const struct guard *g, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    int64_t run = item->run;
    sqlite3_stmt *st = question(s, run, g, e);
    bool holds, row;
    int rc;

    if (!st)
        return e->code;
    rc = sqlite3_step(st);
    row = rc == SQLITE_ROW;
    switch (g->kind) {
    case GUARD_LOCK:
    case GUARD_COOLDOWN:
        holds = !row || lock_permits(st, run, g);
        break;
    case GUARD_RUN_BUDGET:
        holds = row && sqlite3_column_int64(st, 0) + 1 <= g->max;
        break;
    case GUARD_AT_MOST:
    case GUARD_EFFECTS:
    case GUARD_TARGETS:
        holds = counts(st, run, g, &rc);
        break;
    case GUARD_EFFECTIVE:
        holds = tally_failures(item, g, row ? sqlite3_column_int64(st, 0) : 0) < g->max;
        break;
    case GUARD_APPROVAL:
        holds = (row && sqlite3_column_int64(st, 0) != 0) || tally_approved(item, g);
        break;
    default:    /* a row is what it must not find */
        holds = !row;
        break;
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? holds : sqlite_failed(s, "read", e);
}
