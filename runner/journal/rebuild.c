/* SPDX-License-Identifier: Apache-2.0 */
/* All projections once more, from the log of changes: into tables of the connection's
 * own schema, which unqualified names see before those of the file, so that the very
 * statements of a commit write them. Then both are compared, column by column. */
#include "journal/audit.h"

#include "base/limits.h"
#include "journal/change.h"
#include "journal/sqlite.h"

#include <stdio.h>
#include <stdlib.h>

struct rebuild {
    struct sqlite *s;
    audit_fn fn;
    void *ctx;
    bool stopped, differs;
};

static int run_sql(struct sqlite *s, const char *sql, struct err *e)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_failed(s, "rebuild", e);
}

static sqlite3_stmt *ask(struct sqlite *s, const struct buf *sql, struct err *e)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(s->db, buf_text(sql), -1, &st, NULL) != SQLITE_OK)
        sqlite_failed(s, "rebuild", e);
    return st;
}

static int follow_one(struct sqlite *s, sqlite3_stmt *st, struct changes_room *room, struct err *e)
{
    struct journal_item item = {.run = sqlite3_column_int64(st, 1), .at = sqlite3_column_int64(st, 2)};
    const char *what = sqlite3_column_blob(st, 3);
    long long id = sqlite3_column_int64(st, 0);

    if (changes_decode((struct str){what ? what : "", (size_t)sqlite3_column_bytes(st, 3)}, room, &item, e) < 0 ||
        sqlite_apply(s, &item, e) < 0) {
        err_wrap(e, "change %lld cannot be followed", id);
        return e->code;
    }
    if (item.result != ITEM_COMMITTED)
        return err_set(e, ERR_CORRUPT, "change %lld makes a run that is there already", id);
    return 0;
}

static int follow(struct sqlite *s, struct err *e)
{
    struct buf sql = BUF_INIT(KIB);
    struct changes_room room = {0};
    sqlite3_stmt *st;
    int rc = SQLITE_DONE, result = 0;

    buf_adds(&sql, "select id, run, at, what from main.change order by id");
    st = ask(s, &sql, e);
    while (st && result == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
        result = follow_one(s, st, &room, e);
    if (!st)
        result = e->code;
    else if (result == 0 && rc != SQLITE_DONE)
        result = sqlite_failed(s, "rebuild", e);
    sqlite3_finalize(st);
    free(room.list);
    buf_free(&sql);
    return result;
}

/* Where the rows of a run end. */
static const char heads[] =
    "update temp.run set next_seq = 1 + coalesce((select max(seq) from main.journal where run = temp.run.id), 0),"
    " chain = coalesce((select chain from main.journal where run = temp.run.id order by seq desc limit 1), zeroblob(32));"
    "update temp.system set next_seq = 1 + coalesce((select max(seq) from main.journal where run = 0), 0),"
    " chain = coalesce((select chain from main.journal where run = 0 order by seq desc limit 1), zeroblob(32));";

static void differ(struct rebuild *r, const char *where, const char *what)
{
    r->differs = true;
    r->stopped = r->stopped || !r->fn(r->ctx, -1, 0, where, what);
}

static bool same(sqlite3_stmt *st, int a, int b)
{
    int n = sqlite3_column_bytes(st, a);

    if (sqlite3_column_type(st, a) != sqlite3_column_type(st, b) || sqlite3_column_bytes(st, b) != n)
        return false;
    return n == 0 || memcmp(sqlite3_column_blob(st, a), sqlite3_column_blob(st, b), (size_t)n) == 0;
}

static void add_value(struct buf *out, sqlite3_stmt *st, int i)
{
    const unsigned char *p = sqlite3_column_blob(st, i);
    int n = sqlite3_column_bytes(st, i), k;

    switch (sqlite3_column_type(st, i)) {
    case SQLITE_BLOB:
        for (k = 0; k < n && k < 6; k++)
            buf_addf(out, "%02x", p[k]);
        break;
    case SQLITE_TEXT:
        buf_addf(out, "'%.*s'", n > 100 ? 100 : n, (const char *)p);
        break;
    case SQLITE_NULL:
        buf_adds(out, "nothing");
        break;
    default:
        buf_addf(out, "%lld", sqlite3_column_int64(st, i));
    }
}

static void compare_row(struct rebuild *r, sqlite3_stmt *st, int columns)
{
    const char *where = (const char *)sqlite3_column_text(st, 2 * columns);
    struct buf what = BUF_INIT(4 * KIB);
    int i;

    if (sqlite3_column_type(st, columns) == SQLITE_NULL) {
        differ(r, where, "is there, and the log says nothing of it");
        return;
    }
    for (i = 0; i < columns && !r->stopped; i++) {
        if (same(st, i, i + columns))
            continue;
        buf_reset(&what);
        buf_addf(&what, "%s is ", sqlite3_column_name(st, i));
        add_value(&what, st, i);
        buf_adds(&what, ", the log says ");
        add_value(&what, st, i + columns);
        differ(r, where, buf_text(&what));
    }
    buf_free(&what);
}

static int compare(struct rebuild *r, const struct sqlite_projection *t, struct err *e)
{
    struct buf sql = BUF_INIT(4 * KIB);
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    buf_addf(&sql, "select t.*, n.*, %s from main.%s t left join temp.%s n on n.id = t.id order by t.id", t->label, t->table,
             t->table);
    st = ask(r->s, &sql, e);
    while (st && !r->stopped && (rc = sqlite3_step(st)) == SQLITE_ROW)
        compare_row(r, st, (sqlite3_column_count(st) - 1) / 2);
    rc = !st ? e->code : r->stopped || rc == SQLITE_DONE ? 0 : sqlite_failed(r->s, "rebuild", e);
    sqlite3_finalize(st);
    buf_reset(&sql);
    buf_addf(&sql, "select %s from temp.%s t where not exists (select 1 from main.%s m where m.id = t.id) order by t.id",
             t->label, t->table, t->table);
    st = rc == 0 && !r->stopped ? ask(r->s, &sql, e) : NULL;
    while (st && !r->stopped && (rc = sqlite3_step(st)) == SQLITE_ROW)
        differ(r, (const char *)sqlite3_column_text(st, 0), "is missing, and the log says that it is there");
    rc = st && !r->stopped && rc != SQLITE_DONE ? sqlite_failed(r->s, "rebuild", e) : e->code;
    sqlite3_finalize(st);
    buf_free(&sql);
    return rc;
}

/* The file's projections become ours, and ours go. */
static int replace(struct sqlite *s, struct err *e)
{
    const struct sqlite_projection *t;
    struct buf sql = BUF_INIT(4 * KIB);
    int rc;

    for (t = sqlite_projections; t->table; t++)
        buf_addf(&sql, "delete from main.%s; insert into main.%s select * from temp.%s; drop table temp.%s;", t->table,
                 t->table, t->table, t->table);
    buf_adds(&sql, "commit");
    rc = run_sql(s, buf_text(&sql), e);
    buf_free(&sql);
    return rc;
}

static int rebuild(struct rebuild *r, struct err *e)
{
    const struct sqlite_projection *t;
    struct buf sql = BUF_INIT(16 * KIB);
    int rc;

    sqlite_projections_sql("temp", &sql);
    rc = run_sql(r->s, buf_text(&sql), e);
    buf_free(&sql);
    if (rc == 0)
        rc = follow(r->s, e);
    if (rc == 0)
        rc = run_sql(r->s, heads, e);
    for (t = sqlite_projections; rc == 0 && t->table && !r->stopped; t++)
        rc = compare(r, t, e);
    return rc;
}

int journal_rebuild(struct journal *j, bool write, audit_fn fn, void *ctx, struct err *e)
{
    struct rebuild r = {.s = (struct sqlite *)j, .fn = fn, .ctx = ctx};
    struct err own = {0}, ignored = {0};
    int rc;

    e = e ? e : &own;
    if (write && r.s->o.read_only)
        return err_set(e, ERR_DENIED, "journal %s: it is open for reading only", r.s->path);
    /* What was prepared for the file's own tables would go on to write there. */
    sqlite_forget(r.s);
    rc = run_sql(r.s, "pragma temp_store = file", e);
    if (rc == 0)
        rc = run_sql(r.s, write ? "begin immediate" : "begin", e);
    if (rc == 0)
        rc = rebuild(&r, e);
    sqlite_forget(r.s);
    if (rc == 0 && write && r.differs && !r.stopped)
        rc = replace(r.s, e);
    if (!sqlite3_get_autocommit(r.s->db))
        run_sql(r.s, "rollback", &ignored);
    return rc;
}
