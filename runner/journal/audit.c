/* SPDX-License-Identifier: Apache-2.0 */
/* The rows, changes and sources of a journal file against their hashes. */
#include "journal/audit.h"

#include "journal/change.h"
#include "journal/sqlite.h"

#include <stdarg.h>
#include <stdio.h>

struct audit {
    struct sqlite *s;
    struct audit_counts *counts;
    audit_fn fn;
    void *ctx;
    bool log_only, stopped;
};

static sqlite3_stmt *ask(struct sqlite *s, const char *sql, struct err *e)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        sqlite_failed(s, "read", e);
    return st;
}

static int done(struct sqlite *s, sqlite3_stmt *st, int rc, struct err *e)
{
    int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : sqlite_failed(s, "read", e);

    sqlite3_finalize(st);
    return result;
}

static struct str column(sqlite3_stmt *st, int i)
{
    const char *p = (const char *)sqlite3_column_blob(st, i);

    return (struct str){p ? p : "", (size_t)sqlite3_column_bytes(st, i)};
}

/* A hash of another length than a hash has is none. */
static bool column_hash(sqlite3_stmt *st, int i, struct hash *out)
{
    struct str s = column(st, i);

    *out = (struct hash){{0}};
    if (s.n == HASH_BYTES)
        memcpy(out->bytes, s.p, HASH_BYTES);
    return s.n == HASH_BYTES;
}

static void wrong(struct audit *a, int64_t run, int64_t seq, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static void wrong(struct audit *a, int64_t run, int64_t seq, const char *where, const char *fmt, ...)
{
    char what[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    a->stopped = a->stopped || !a->fn(a->ctx, run, seq, where, what);
}

static void wrong_row(struct audit *a, int64_t run, int64_t seq, const char *what)
{
    char where[80];

    snprintf(where, sizeof(where), "run %lld, row %lld", (long long)run, (long long)seq);
    wrong(a, run, seq, where, "%s", what);
}

struct walk {               /* along the rows, run by run */
    int64_t run, seq;       /* of the last row that was right */
    struct hash chain;
    bool begun, bad;
};

/* Where the rows of a run end must be what its head says. */
static int check_head(struct audit *a, const struct walk *w, struct err *e)
{
    sqlite3_stmt *st = ask(a->s, w->run ? "select next_seq, chain from run where id = ?1"
                                        : "select next_seq, chain from system where ?1 = 0", e);
    struct hash chain;
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_int64(st, 1, w->run);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        wrong_row(a, w->run, w->seq, "there is no such run: its rows belong to nobody");
    else if (rc == SQLITE_ROW && (sqlite3_column_int64(st, 0) != w->seq + 1 || !column_hash(st, 1, &chain) ||
                                  !hash_eq(&chain, &w->chain)))
        wrong_row(a, w->run, w->seq, "the rows that follow are missing, or the head of the run was changed");
    return done(a->s, st, rc, e);
}

static int end_run(struct audit *a, struct walk *w, struct err *e)
{
    if (!w->begun)
        return 0;
    a->counts->runs += w->run > 0;
    return w->bad || a->stopped || a->log_only ? 0 : check_head(a, w, e);
}

static bool read_row(sqlite3_stmt *st, struct row *r)
{
    int64_t kind = sqlite3_column_int64(st, 3);
    struct hash chain;

    *r = (struct row){.seq = sqlite3_column_int64(st, 1), .epoch = sqlite3_column_int64(st, 2), .path = column(st, 4),
                      .name = column(st, 5), .args = column(st, 7), .payload = column(st, 8), .at = sqlite3_column_int64(st, 9)};
    if (kind < 0 || kind >= ROW_KINDS || !column_hash(st, 6, &r->args_hash) || !column_hash(st, 10, &chain))
        return false;
    r->kind = (enum row_kind)kind;
    r->chain = chain;
    return true;
}

static void walk_row(struct audit *a, struct walk *w, sqlite3_stmt *st)
{
    struct row r;
    bool readable = read_row(st, &r);

    a->counts->rows++;
    if (w->bad)
        return;
    w->bad = true;
    if (r.seq != w->seq + 1) {
        wrong_row(a, w->run, w->seq + 1, "it is missing");
        return;
    }
    if (readable)
        w->chain = journal_chain(&w->chain, &r);
    if (!readable || !hash_eq(&w->chain, &r.chain)) {
        wrong_row(a, w->run, r.seq, "it is not as it was written (its hash chain breaks there)");
        return;
    }
    w->seq = r.seq;
    w->bad = false;
}

static int verify_rows(struct audit *a, int64_t run, struct err *e)
{
    sqlite3_stmt *st = ask(a->s, run < 0 ? "select run, seq, epoch, kind, path, name, args_hash, args, payload, at, chain"
                                           " from journal order by run, seq"
                                         : "select run, seq, epoch, kind, path, name, args_hash, args, payload, at, chain"
                                           " from journal where run = ?1 order by seq", e);
    struct walk w = {0};
    int rc = SQLITE_DONE;

    if (!st)
        return e->code;
    if (run >= 0)
        sqlite3_bind_int64(st, 1, run);
    while (!a->stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (!w.begun || w.run != sqlite3_column_int64(st, 0)) {
            if (end_run(a, &w, e) < 0)
                break;
            w = (struct walk){.run = sqlite3_column_int64(st, 0), .begun = true};
        }
        walk_row(a, &w, st);
    }
    if (!w.begun && run >= 0)
        w = (struct walk){.run = run, .begun = true};
    if (done(a->s, st, rc, e) < 0 || (e->code == 0 && end_run(a, &w, e) < 0))
        return e->code;
    return e->code;
}

/* Runs that claim rows and have none. */
static int verify_rowless(struct audit *a, struct err *e)
{
    sqlite3_stmt *st = ask(a->s, "select id from run r where next_seq != 1 and not exists"
                                 " (select 1 from journal where run = r.id) order by id", e);
    int rc = SQLITE_DONE;

    if (!st)
        return e->code;
    while (!a->stopped && (rc = sqlite3_step(st)) == SQLITE_ROW)
        wrong_row(a, sqlite3_column_int64(st, 0), 1, "all its rows are missing");
    return done(a->s, st, rc, e);
}

/* The chain of the row before `seq` of a run; that of nothing before the first. */
static int head_before(struct audit *a, int64_t run, int64_t seq, struct hash *out, struct err *e)
{
    *out = (struct hash){{0}};
    if (seq <= 1)
        return 0;
    return journal_head_at(&a->s->base, run, seq - 1, out, e);
}

static int verify_changes(struct audit *a, struct err *e)
{
    sqlite3_stmt *st = ask(a->s, "select id, run, seq, at, what, chain from change order by id", e);
    struct hash chain = {{0}}, head, written;
    struct err missing = {0};
    char where[40];
    int rc = SQLITE_DONE;

    if (!st)
        return e->code;
    while (!a->stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct change_record r = {.run = sqlite3_column_int64(st, 1), .seq = sqlite3_column_int64(st, 2),
                                  .at = sqlite3_column_int64(st, 3), .what = column(st, 4)};

        a->counts->changes++;
        snprintf(where, sizeof(where), "change %lld", (long long)sqlite3_column_int64(st, 0));
        if (head_before(a, r.run, r.seq, &head, &missing) < 0) {
            wrong(a, r.run, r.seq, where, "the row of run %lld that it stands behind (%lld) is missing", (long long)r.run,
                  (long long)r.seq - 1);
            break;
        }
        chain = changes_chain(&chain, &r, &head);
        if (!column_hash(st, 5, &written) || !hash_eq(&chain, &written)) {
            wrong(a, r.run, r.seq, where, "it, or one before it, is not as it was written (the chain of changes breaks there)");
            break;
        }
    }
    return done(a->s, st, rc, e);
}

/* A text without its key is found by its key alone; a file that refers to no text, by the file. */
static int verify_blobs(struct audit *a, struct err *e)
{
    sqlite3_stmt *st = ask(a->s, "select sha256, data from blob", e);
    struct hash h, key;
    char hex[2 * HASH_BYTES + 1];
    int rc = SQLITE_DONE;

    if (!st)
        return e->code;
    while (!a->stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        a->counts->blobs++;
        h = hash_of(column(st, 1));
        if (!column_hash(st, 0, &key) || !hash_eq(&h, &key))
            wrong(a, -1, 0, "the sources", "text %.12s is not what its hash says", hash_hex(&key, hex));
    }
    if (done(a->s, st, rc, e) < 0)
        return e->code;
    st = ask(a->s, "select bundle, path from bundle_file f where not exists (select 1 from blob b where b.sha256 = f.sha256)"
                   " or not exists (select 1 from bundle u where u.id = f.bundle)", e);
    if (!st)
        return e->code;
    while (!a->stopped && (rc = sqlite3_step(st)) == SQLITE_ROW)
        wrong(a, -1, 0, "the sources", "%s of bundle %.12s is missing", (const char *)sqlite3_column_text(st, 1),
              (const char *)sqlite3_column_text(st, 0));
    return done(a->s, st, rc, e);
}

/* Pages and indexes, as SQLite sees them. */
static int verify_pages(struct audit *a, struct err *e)
{
    sqlite3_stmt *st = ask(a->s, "pragma integrity_check(1)", e);
    const char *said;
    int rc;

    if (!st)
        return e->code;
    rc = sqlite3_step(st);
    said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    if (said && strcmp(said, "ok") != 0)
        wrong(a, -1, 0, "the file", "damaged: %.200s", said);
    return done(a->s, st, rc, e);
}

int journal_verify(struct journal *j, int64_t run, struct audit_counts *counts, audit_fn fn, void *ctx, struct err *e)
{
    struct audit a = {.s = (struct sqlite *)j, .counts = counts, .fn = fn, .ctx = ctx, .log_only = run == AUDIT_LOG};
    struct err own = {0};
    bool whole = run < 0;
    int rc;

    e = e ? e : &own;
    *counts = (struct audit_counts){0};
    rc = sqlite3_exec(a.s->db, "begin", NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_failed(a.s, "read", e);
    if (rc == 0 && whole)
        rc = verify_pages(&a, e);
    if (rc == 0 && !a.stopped)
        rc = verify_rows(&a, run, e);
    if (rc == 0 && run == AUDIT_ALL && !a.stopped)
        rc = verify_rowless(&a, e);
    if (rc == 0 && whole && !a.stopped)
        rc = verify_changes(&a, e);
    if (rc == 0 && whole && !a.stopped)
        rc = verify_blobs(&a, e);
    sqlite3_exec(a.s->db, "commit", NULL, NULL, NULL);
    return rc;
}

int journal_head_at(struct journal *j, int64_t run, int64_t seq, struct hash *out, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, run < 0 ? "select chain from change where id = ?2 and ?1 = ?1"
                                      : "select chain from journal where run = ?1 and seq = ?2", e);
    bool found;
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_int64(st, 1, run);
    sqlite3_bind_int64(st, 2, seq);
    rc = sqlite3_step(st);
    found = rc == SQLITE_ROW && column_hash(st, 0, out);
    if (done(s, st, rc, e) < 0)
        return e->code;
    return found ? 0 : err_set(e, ERR_NOT_FOUND, "run %lld has no row %lld", (long long)run, (long long)seq);
}

int journal_last_change(struct journal *j, head_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select 0, next_seq - 1, chain from system"
                              " union all select * from (select -1, id, chain from change order by id desc limit 1)", e);
    struct hash chain;
    bool more = true;
    int rc = SQLITE_DONE;

    if (!st)
        return e->code;
    while (more && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        column_hash(st, 2, &chain);
        more = fn(ctx, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1), &chain);
    }
    return done(s, st, rc, e);
}
