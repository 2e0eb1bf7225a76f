/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of a journal file. Every statement is made for its question and
 * finalized with it: reads are rare, and a reader holds nothing open. */
#include "journal/sqlite.h"

#include <stdio.h>
#include <stdlib.h>

static sqlite3_stmt *ask(struct sqlite *s, const char *sql, struct err *e)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        sqlite_failed(s, "read", e);
    return st;
}

/* Ends a question: 0 if it was answered to its end or stopped by the caller. */
static int done(struct sqlite *s, sqlite3_stmt *st, int rc, struct err *e)
{
    int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : sqlite_failed(s, "read", e);

    sqlite3_finalize(st);
    return result;
}

static struct str column(sqlite3_stmt *st, int i)
{
    const char *p = (const char *)sqlite3_column_blob(st, i);
    int n = sqlite3_column_bytes(st, i);

    return (struct str){p ? p : "", (size_t)n};
}

static void copy(char *out, size_t size, sqlite3_stmt *st, int i)
{
    struct str s = column(st, i);

    snprintf(out, size, "%.*s", (int)s.n, s.p);
}

static void copy_hash(struct hash *h, sqlite3_stmt *st, int i)
{
    if (sqlite3_column_bytes(st, i) == HASH_BYTES)
        memcpy(h->bytes, sqlite3_column_blob(st, i), HASH_BYTES);
}

static int64_t next_run(struct journal *j)
{
    return ((struct sqlite *)j)->next_id++;
}

static int get_bundle(struct journal *j, const char *id, struct buf *meta, blob_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select meta from bundle where id = ?1", e);
    struct str m;
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        m = column(st, 0);
        buf_add(meta, m.p, m.n);
    }
    if (done(s, st, rc, e) < 0)
        return e->code;
    if (rc != SQLITE_ROW)
        return err_set(e, ERR_NOT_FOUND, "journal %s has no bundle %.12s", s->path, id);
    st = ask(s, "select f.path, b.data from bundle_file f join blob b on b.sha256 = f.sha256 where f.bundle = ?1"
                " order by f.path", e);
    if (!st)
        return e->code;
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (!fn(ctx, (const char *)sqlite3_column_text(st, 0), column(st, 1)))
            break;
    }
    return done(s, st, rc, e);
}

#define RUN_COLUMNS                                                                                                    \
    "select id, uuid, runbook, command, bundle, state, outcome, reason, wake_at, epoch, next_seq, created_at, ended_at," \
    " chain, params, trigger from run "

static void read_run(sqlite3_stmt *st, struct run_info *r)
{
    struct str s;

    *r = (struct run_info){.id = sqlite3_column_int64(st, 0), .state = (enum run_state)sqlite3_column_int(st, 5),
                           .wake_at = sqlite3_column_int64(st, 8), .epoch = sqlite3_column_int64(st, 9),
                           .next_seq = sqlite3_column_int64(st, 10), .created_at = sqlite3_column_int64(st, 11),
                           .ended_at = sqlite3_column_int64(st, 12)};
    copy(r->uuid, sizeof(r->uuid), st, 1);
    copy(r->runbook, sizeof(r->runbook), st, 2);
    copy(r->command, sizeof(r->command), st, 3);
    copy(r->bundle, sizeof(r->bundle), st, 4);
    copy(r->outcome, sizeof(r->outcome), st, 6);
    copy(r->reason, sizeof(r->reason), st, 7);
    copy_hash(&r->chain, st, 13);
    s = column(st, 14);
    r->params = xstrndup(s.p, s.n);
    s = column(st, 15);
    r->trigger = xstrndup(s.p, s.n);
}

static int get_run(struct journal *j, int64_t id, struct run_info *out, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, RUN_COLUMNS "where id = ?1", e);
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_int64(st, 1, id);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        read_run(st, out);
    if (done(s, st, rc, e) < 0)
        return e->code;
    return rc == SQLITE_ROW ? 0 : err_set(e, ERR_NOT_FOUND, "there is no run %lld in %s", (long long)id, s->path);
}

static int find_run(struct journal *j, struct str prefix, int64_t *id, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select id from run where substr(uuid, 1, length(?1)) = ?1 limit 2", e);
    int rc, n = 0;

    if (!st)
        return e->code;
    sqlite3_bind_text(st, 1, prefix.p, (int)prefix.n, SQLITE_STATIC);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        n++;
    }
    if (done(s, st, rc, e) < 0)
        return e->code;
    if (n == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no run '%.*s' in %s", (int)prefix.n, prefix.p, s->path);
    return n == 1 ? 0 : err_set(e, ERR_INVALID, "several runs begin with '%.*s'", (int)prefix.n, prefix.p);
}

static int runs(struct journal *j, bool open_only, run_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, open_only ? RUN_COLUMNS "where state != 4 order by id desc" : RUN_COLUMNS "order by id desc", e);
    int rc;

    if (!st)
        return e->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct run_info r;
        bool more;

        read_run(st, &r);
        more = fn(ctx, &r);
        run_info_deinit(&r);
        if (!more)
            break;
    }
    return done(s, st, rc, e);
}

static int rows(struct journal *j, int64_t run, int64_t from_seq, row_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select seq, epoch, kind, path, name, args_hash, args, payload, at, chain from journal"
                              " where run = ?1 and seq >= ?2 order by seq", e);
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_int64(st, 1, run);
    sqlite3_bind_int64(st, 2, from_seq);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct row r = {.seq = sqlite3_column_int64(st, 0), .epoch = sqlite3_column_int64(st, 1),
                        .kind = (enum row_kind)sqlite3_column_int(st, 2), .path = column(st, 3), .name = column(st, 4),
                        .args = column(st, 6), .payload = column(st, 7), .at = sqlite3_column_int64(st, 8)};

        copy_hash(&r.args_hash, st, 5);
        copy_hash(&r.chain, st, 9);
        if (!fn(ctx, &r))
            break;
    }
    return done(s, st, rc, e);
}

static int locks(struct journal *j, lock_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select target, run, fence, cool_until from lock order by target", e);
    int rc;

    if (!st)
        return e->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct lock_info l = {.run = sqlite3_column_int64(st, 1), .fence = sqlite3_column_int64(st, 2),
                              .cool_until = sqlite3_column_int64(st, 3)};

        copy(l.target, sizeof(l.target), st, 0);
        if (!fn(ctx, &l))
            break;
    }
    return done(s, st, rc, e);
}

static int effects(struct journal *j, int64_t run, effect_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select run, intent_seq, result_seq, key, path, action, target, state from effect"
                              " where ?1 = -1 or run = ?1 order by run, intent_seq", e);
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_int64(st, 1, run);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct effect_info x = {.run = sqlite3_column_int64(st, 0), .intent_seq = sqlite3_column_int64(st, 1),
                                .result_seq = sqlite3_column_int64(st, 2),
                                .state = (enum effect_state)sqlite3_column_int(st, 7)};

        copy(x.key, sizeof(x.key), st, 3);
        copy(x.path, sizeof(x.path), st, 4);
        copy(x.action, sizeof(x.action), st, 5);
        copy(x.target, sizeof(x.target), st, 6);
        if (!fn(ctx, &x))
            break;
    }
    return done(s, st, rc, e);
}

static int halted(struct journal *j, bool *on, struct buf *why, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select why from halt", e);
    struct str text;
    int rc;

    if (!st)
        return e->code;
    rc = sqlite3_step(st);
    *on = rc == SQLITE_ROW;
    if (*on && why) {
        text = column(st, 0);
        buf_add(why, text.p, text.n);
    }
    return done(s, st, rc, e);
}

const struct journal_ops sqlite_ops = {
    .commit = sqlite_commit, .next_run = next_run, .put_bundle = sqlite_put_bundle, .get_bundle = get_bundle,
    .get_run = get_run, .find_run = find_run, .runs = runs, .rows = rows, .locks = locks, .effects = effects,
    .halted = halted, .free = sqlite_free,
};
