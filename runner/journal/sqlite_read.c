/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of a journal file. Every statement is made for its question and
 * finalized with it: reads are rare, and a reader holds nothing open. A number that
 * has no name here is damage, never an index. */
#include "journal/sqlite.h"

#include <stdio.h>
#include <stdlib.h>

static sqlite3_stmt *ask(struct sqlite *s, const char *sql, struct err *e)
{
    sqlite3_stmt *st = NULL;

    sqlite_alone(s);
    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        sqlite_failed(s, "read", e);
    return st;
}

/* The number in column i, which must be below n, into *out. */
static int small(struct sqlite *s, sqlite3_stmt *st, int i, int n, int *out, struct err *e)
{
    int64_t v = sqlite3_column_int64(st, i);

    if (v < 0 || v >= n)
        return err_set(e, ERR_CORRUPT, "journal %s: damaged: %s is %lld", s->path, sqlite3_column_name(st, i),
                       (long long)v);
    *out = (int)v;
    return 0;
}

/* Ends a question: 0 if it was answered to its end or stopped by the caller. */
static int done(struct sqlite *s, sqlite3_stmt *st, int rc, struct err *e)
{
    int result = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : sqlite_failed(s, "read", e);

    sqlite3_finalize(st);
    return result;
}

/* Ends a question at a row that cannot be understood. */
static int broken(sqlite3_stmt *st, struct err *e)
{
    sqlite3_finalize(st);
    return e->code;
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

/* Adds the first column of the only row that st has to out, and ends st. 1 = there was one, 0 = there is none. */
static int one_text(struct sqlite *s, sqlite3_stmt *st, struct buf *out, struct err *e)
{
    int rc = sqlite3_step(st);
    struct str text;

    if (rc == SQLITE_ROW) {
        text = column(st, 0);
        buf_add(out, text.p, text.n);
    }
    return done(s, st, rc, e) < 0 ? e->code : rc == SQLITE_ROW;
}

static int get_bundle(struct journal *j, const char *id, struct buf *meta, blob_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select meta from bundle where id = ?1", e);
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    rc = one_text(s, st, meta, e);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_set(e, ERR_NOT_FOUND, "journal %s has no bundle %.12s", s->path, id);
    if (!fn)
        return 0;
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

static int get_file(struct journal *j, const char *id, const char *path, struct buf *out, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select b.data from bundle_file f join blob b on b.sha256 = f.sha256 where f.bundle = ?1"
                              " and f.path = ?2", e);
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, path, -1, SQLITE_STATIC);
    rc = one_text(s, st, out, e);
    if (rc < 0)
        return rc;
    return rc ? 0 : err_set(e, ERR_NOT_FOUND, "journal %s has no %s of bundle %.12s", s->path, path, id);
}

#define RUN_COLUMNS                                                                                                    \
    "select id, uuid, runbook, command, bundle, state, outcome, reason, wake_at, epoch, next_seq, created_at, ended_at," \
    " chain, params, trigger from run "

static int read_run(struct sqlite *q, sqlite3_stmt *st, struct run_info *r, struct err *e)
{
    struct str s;
    int state = 0;

    if (small(q, st, 5, RUN_STATES, &state, e) < 0)
        return e->code;
    *r = (struct run_info){.id = sqlite3_column_int64(st, 0), .state = (enum run_state)state,
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
    return 0;
}

static int get_run(struct journal *j, int64_t id, struct run_info *out, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, RUN_COLUMNS "where id = ?1", e);
    bool bad;
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_int64(st, 1, id);
    rc = sqlite3_step(st);
    bad = rc == SQLITE_ROW && read_run(s, st, out, e) < 0;
    if (done(s, st, rc, e) < 0 || bad)
        return e->code;
    return rc == SQLITE_ROW ? 0 : err_set(e, ERR_NOT_FOUND, "there is no run %lld in %s", (long long)id, s->path);
}

static int find_run(struct journal *j, struct str prefix, int64_t *id, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select id from run where uuid >= ?1 and uuid < ?1 || '~' limit 2", e);
    int rc, n = 0;

    if (!st)
        return e->code;
    sqlite3_bind_text(st, 1, prefix.n ? prefix.p : "", (int)prefix.n, SQLITE_STATIC);
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
    /* Those that have not ended are in an index of their own: few among many. */
    sqlite3_stmt *st = ask(s, open_only ? RUN_COLUMNS "where id in (select id from run where state != 4) order by id desc"
                                        : RUN_COLUMNS "order by id desc", e);
    int rc;

    if (!st)
        return e->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct run_info r;
        bool more;

        if (read_run(s, st, &r, e) < 0)
            return broken(st, e);
        more = fn(ctx, &r);
        run_info_deinit(&r);
        if (!more)
            break;
    }
    return done(s, st, rc, e);
}

static int agenda(struct journal *j, enum run_state state, agenda_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select id, wake_at from run where state = ?1 and state != 4 order by wake_at, id", e);
    int rc;

    if (!st)
        return e->code;
    sqlite3_bind_int(st, 1, (int)state);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (!fn(ctx, sqlite3_column_int64(st, 0), state, sqlite3_column_int64(st, 1)))
            break;
    }
    return done(s, st, rc, e);
}

/* A second connection in the owner's own process; like every reader it never checkpoints. */
static int reader(struct journal *j, struct journal **out, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    char dir[sizeof(s->path)];

    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(s->path, '/') - s->path), s->path);
    return journal_sqlite_open(dir, NULL, &(struct journal_options){.read_only = true}, out, e);
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
                        .path = column(st, 3), .name = column(st, 4), .args = column(st, 6), .payload = column(st, 7),
                        .at = sqlite3_column_int64(st, 8)};
        int kind = 0;

        if (small(s, st, 2, ROW_KINDS, &kind, e) < 0)
            return broken(st, e);
        r.kind = (enum row_kind)kind;
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
    sqlite3_stmt *st = ask(s, "select target, run, fence, cool_until, cool_run from lock order by target", e);
    int rc;

    if (!st)
        return e->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct lock_info l = {.run = sqlite3_column_int64(st, 1), .fence = sqlite3_column_int64(st, 2),
                              .cool_until = sqlite3_column_int64(st, 3), .cool_run = sqlite3_column_int64(st, 4)};

        copy(l.target, sizeof(l.target), st, 0);
        if (!fn(ctx, &l))
            break;
    }
    return done(s, st, rc, e);
}

#define EFFECT_COLUMNS "select run, intent_seq, result_seq, key, path, action, target, state, counts_at from effect "

static int effects(struct journal *j, int64_t run, effect_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, run == -1 ? EFFECT_COLUMNS "order by run, intent_seq"
                                        : EFFECT_COLUMNS "where run = ?1 order by intent_seq", e);
    int rc, state = 0;

    if (!st)
        return e->code;
    if (run != -1)
        sqlite3_bind_int64(st, 1, run);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct effect_info x = {.run = sqlite3_column_int64(st, 0), .intent_seq = sqlite3_column_int64(st, 1),
                                .result_seq = sqlite3_column_int64(st, 2), .counts_at = sqlite3_column_int64(st, 8)};

        if (small(s, st, 7, EFFECT_UNDONE + 1, &state, e) < 0)
            return broken(st, e);
        x.state = (enum effect_state)state;
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

static int escalations(struct journal *j, bool open_only, escalation_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, open_only ? "select id, run, at, open, text from escalation where open order by id"
                                        : "select id, run, at, open, text from escalation order by id", e);
    int rc;

    if (!st)
        return e->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct escalation_info x = {.id = sqlite3_column_int64(st, 0), .run = sqlite3_column_int64(st, 1),
                                    .at = sqlite3_column_int64(st, 2), .open = sqlite3_column_int(st, 3) != 0};

        copy(x.text, sizeof(x.text), st, 4);
        if (!fn(ctx, &x))
            break;
    }
    return done(s, st, rc, e);
}

static int revoked(struct journal *j, revoked_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select pin, at, why from revoked order by pin", e);
    int rc;

    if (!st)
        return e->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct revoked_info x = {.at = sqlite3_column_int64(st, 1)};

        copy(x.commit, sizeof(x.commit), st, 0);
        copy(x.why, sizeof(x.why), st, 2);
        if (!fn(ctx, &x))
            break;
    }
    return done(s, st, rc, e);
}

static int breakers(struct journal *j, breaker_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select runbook, failures from breaker order by runbook", e);
    int rc;

    if (!st)
        return e->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct breaker_info x = {.failures = sqlite3_column_int64(st, 1)};

        copy(x.runbook, sizeof(x.runbook), st, 0);
        if (!fn(ctx, &x))
            break;
    }
    return done(s, st, rc, e);
}

static int approvals(struct journal *j, approval_fn fn, void *ctx, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    sqlite3_stmt *st = ask(s, "select run, left, path from approval order by run, path", e);
    int rc;

    if (!st)
        return e->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct approval_info x = {.run = sqlite3_column_int64(st, 0), .left = sqlite3_column_int64(st, 1)};

        copy(x.path, sizeof(x.path), st, 2);
        if (!fn(ctx, &x))
            break;
    }
    return done(s, st, rc, e);
}

const struct journal_ops sqlite_ops = {
    .begin = sqlite_begin, .commit = sqlite_commit, .guard = sqlite_guard, .next_run = next_run, .put_bundle = sqlite_put_bundle,
    .get_bundle = get_bundle, .get_file = get_file, .get_run = get_run, .find_run = find_run, .runs = runs, .agenda = agenda,
    .reader = reader, .rows = rows, .locks = locks, .effects = effects, .halted = halted, .escalations = escalations,
    .revoked = revoked, .breakers = breakers, .approvals = approvals, .free = sqlite_free,
};

void journal_moment(struct journal *j, bool begin)
{
    struct sqlite *s = (struct sqlite *)j;

    if (j->ops == &sqlite_ops && s->o.read_only)
        sqlite3_exec(s->db, begin ? "begin" : "commit", NULL, NULL, NULL);
}
