/* SPDX-License-Identifier: Apache-2.0 */
/* One batch, one transaction: items in their order. An item is refused before its
 * first write; among others a guarded one stands behind a savepoint all the same.
 * Whatever fails leaves the file as it was and the journal dead. */
#include "journal/sqlite.h"

#include "base/limits.h"
#include "journal/change.h"

#include <stdio.h>

static void bind_text(sqlite3_stmt *st, int i, struct str s)
{
    sqlite3_bind_text(st, i, s.n ? s.p : "", (int)s.n, SQLITE_STATIC);
}

static void bind_hash(sqlite3_stmt *st, int i, const struct hash *h)
{
    sqlite3_bind_blob(st, i, h->bytes, HASH_BYTES, SQLITE_STATIC);
}

static int point(struct sqlite *s, const char *step, struct err *e)
{
    int rc = s->o.point ? s->o.point(s->o.ctx, step) : 0;

    return rc < 0 ? err_set(e, ERR_DISK, "journal: %s failed", step) : 0;
}

static int step(struct sqlite *s, sqlite3_stmt *st, struct err *e)
{
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;

    if (st)
        sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : sqlite_failed(s, "write", e);
}

static int simple(struct sqlite *s, int which, struct err *e)
{
    return step(s, sqlite_statement(s, which, e), e);
}

struct head {
    int64_t epoch, next_seq;
    struct hash chain;
    bool found;
};

static int read_head(struct sqlite *s, int64_t run, struct head *h, struct err *e)
{
    sqlite3_stmt *st = sqlite_statement(s, run ? SQL_RUN_HEAD : SQL_SYSTEM_HEAD, e);
    int rc;

    if (!st)
        return e->code;
    if (run)
        sqlite3_bind_int64(st, 1, run);
    rc = sqlite3_step(st);
    h->found = rc == SQLITE_ROW;
    if (h->found) {
        h->epoch = sqlite3_column_int64(st, 0);
        h->next_seq = sqlite3_column_int64(st, 1);
        if (sqlite3_column_bytes(st, 2) == HASH_BYTES)
            memcpy(h->chain.bytes, sqlite3_column_blob(st, 2), HASH_BYTES);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sqlite_failed(s, "read", e);
}

static int insert_rows(struct sqlite *s, const struct journal_item *item, struct head *h, struct err *e)
{
    sqlite3_stmt *st = sqlite_statement(s, SQL_ROW, e), *next;
    size_t i;

    if (!st)
        return e->code;
    if (item->nrows && item->rows[0].seq != h->next_seq)
        return err_set(e, ERR_CORRUPT, "run %lld: row %lld where %lld is next", (long long)item->run,
                       (long long)item->rows[0].seq, (long long)h->next_seq);
    for (i = 0; i < item->nrows; i++) {
        const struct row *r = &item->rows[i];

        h->chain = journal_chain(&h->chain, r);
        sqlite3_bind_int64(st, 1, item->run);
        sqlite3_bind_int64(st, 2, r->seq);
        sqlite3_bind_int64(st, 3, r->epoch);
        sqlite3_bind_int(st, 4, (int)r->kind);
        bind_text(st, 5, r->path);
        bind_text(st, 6, r->name);
        bind_hash(st, 7, &r->args_hash);
        bind_text(st, 8, r->args);
        bind_text(st, 9, r->payload);
        sqlite3_bind_int64(st, 10, r->at);
        bind_hash(st, 11, &h->chain);
        if (step(s, st, e) < 0)
            return e->code;
    }
    next = sqlite_statement(s, item->run ? SQL_RUN_NEXT : SQL_SYSTEM_NEXT, e);
    if (!next)
        return e->code;
    sqlite3_bind_int64(next, 1, item->run);
    sqlite3_bind_int64(next, 2, h->next_seq + (int64_t)item->nrows);
    bind_hash(next, 3, &h->chain);
    return step(s, next, e);
}

/* A run that another one with its dedup key keeps out is refused. */
static int run_new(struct sqlite *s, struct journal_item *item, struct err *e)
{
    const struct change *c = &item->changes[0];
    sqlite3_stmt *st = sqlite_statement(s, SQL_RUN_NEW, e);

    if (!st)
        return e->code;
    sqlite3_bind_int64(st, 1, item->run);
    bind_text(st, 2, c->uuid);
    bind_text(st, 3, c->bundle);
    bind_text(st, 4, journal_clip(c->runbook, sizeof(((struct run_info *)0)->runbook)));
    bind_text(st, 5, journal_clip(c->command, sizeof(((struct run_info *)0)->command)));
    bind_text(st, 6, c->params);
    bind_text(st, 7, c->trigger);
    if (c->dedup.n)
        bind_text(st, 8, c->dedup);
    else
        sqlite3_bind_null(st, 8);
    sqlite3_bind_int64(st, 9, item->epoch);
    sqlite3_bind_int64(st, 10, item->at);
    if (step(s, st, e) < 0)
        return e->code;
    if (sqlite3_changes(s->db) == 0) {
        item->result = ITEM_REFUSED;
        item->refusal = "duplicate";
    }
    return 0;
}

static const int statement_of[] = {
    [CHANGE_RUN_STATE] = SQL_RUN_STATE, [CHANGE_RUN_END] = SQL_RUN_END,
    [CHANGE_RUN_EPOCH] = SQL_RUN_EPOCH, [CHANGE_LOCK] = SQL_LOCK_PUT, [CHANGE_UNLOCK] = SQL_UNLOCK,
    [CHANGE_UNLOCK_ALL] = SQL_UNLOCK_ALL, [CHANGE_EFFECT_NEW] = SQL_EFFECT_NEW,
    [CHANGE_EFFECT_STATE] = SQL_EFFECT_STATE, [CHANGE_ESCALATION] = SQL_ESCALATION_OPEN, [CHANGE_HALT] = SQL_HALT_ON,
    [CHANGE_REVOKE] = SQL_REVOKE, [CHANGE_APPROVED] = SQL_APPROVED, [CHANGE_APPROVAL_USED] = SQL_APPROVAL_USED,
    [CHANGE_VERDICT] = SQL_HELD, [CHANGE_RUNBOOK_ON] = SQL_RUNBOOK_ON,
};
/* Where n is 0. */
static const int statement_off[CHANGE_KINDS] = {
    [CHANGE_ESCALATION] = SQL_ESCALATION_CLOSE, [CHANGE_HALT] = SQL_HALT_OFF, [CHANGE_REVOKE] = SQL_UNREVOKE,
    [CHANGE_VERDICT] = SQL_FAILED,
};

/* Of what policy remembers. */
static void bind_policy(sqlite3_stmt *st, const struct journal_item *item, const struct change *c)
{
    switch (c->kind) {
    case CHANGE_REVOKE:
        bind_text(st, 1, c->key);
        if (c->n) {
            sqlite3_bind_int64(st, 2, item->at);
            bind_text(st, 3, journal_clip(c->text, sizeof(((struct revoked_info *)0)->why)));
        }
        break;
    case CHANGE_APPROVED:
    case CHANGE_APPROVAL_USED:
        bind_text(st, 2, c->path);
        if (c->kind == CHANGE_APPROVED)
            sqlite3_bind_int64(st, 3, c->n);
        break;
    default:
        bind_text(st, 1, journal_clip(c->runbook, sizeof(((struct run_info *)0)->runbook)));
        if (c->kind == CHANGE_VERDICT && c->n)
            sqlite3_bind_int64(st, 2, c->seq);
        break;
    }
}


static void bind_change(sqlite3_stmt *st, const struct journal_item *item, const struct change *c)
{
    sqlite3_bind_int64(st, 1, item->run);
    switch (c->kind) {
    case CHANGE_RUN_STATE:
        sqlite3_bind_int(st, 2, (int)c->run_state);
        sqlite3_bind_int64(st, 3, c->n);
        break;
    case CHANGE_RUN_END:
        bind_text(st, 2, journal_clip(c->outcome, sizeof(((struct run_info *)0)->outcome)));
        bind_text(st, 3, journal_clip(c->reason, sizeof(((struct run_info *)0)->reason)));
        sqlite3_bind_int64(st, 4, item->at);
        break;
    case CHANGE_RUN_EPOCH:
    case CHANGE_UNLOCK_ALL:
        sqlite3_bind_int64(st, 2, c->n);
        break;
    case CHANGE_LOCK:
    case CHANGE_UNLOCK:
        bind_text(st, 1, c->target);
        sqlite3_bind_int64(st, 2, item->run);
        if (c->kind == CHANGE_UNLOCK)
            sqlite3_bind_int64(st, 3, c->n);
        break;
    case CHANGE_EFFECT_NEW:
        sqlite3_bind_int64(st, 2, c->seq);
        bind_text(st, 3, c->key);
        bind_text(st, 4, c->path);
        bind_text(st, 5, c->action);
        bind_text(st, 6, c->target);
        sqlite3_bind_int64(st, 7, c->n);
        break;
    case CHANGE_EFFECT_STATE:
        bind_text(st, 2, c->path);
        sqlite3_bind_int(st, 3, (int)c->effect_state);
        sqlite3_bind_int64(st, 4, c->seq);
        break;
    case CHANGE_ESCALATION:
        if (c->n) {
            bind_text(st, 2, journal_clip(c->text, sizeof(((struct escalation_info *)0)->text)));
            sqlite3_bind_int64(st, 3, item->at);
        }
        break;
    case CHANGE_HALT:
        if (c->n) {
            sqlite3_bind_int64(st, 1, item->at);
            bind_text(st, 2, journal_clip(c->text, KIB));
        }
        break;
    default:
        bind_policy(st, item, c);
        break;
    }
}

static int apply_change(struct sqlite *s, const struct journal_item *item, const struct change *c, struct err *e)
{
    int off = c->n ? 0 : statement_off[c->kind];
    sqlite3_stmt *st = sqlite_statement(s, off ? off : statement_of[c->kind], e);

    if (!st)
        return e->code;
    bind_change(st, item, c);
    return step(s, st, e);
}

static bool creates(const struct journal_item *item)
{
    return item->nchanges && item->changes[0].kind == CHANGE_RUN_NEW;
}

/* The epoch that the item's author holds the run by; a take-over must bring a newer one. */
static bool is_fenced(const struct journal_item *item, const struct head *h)
{
    size_t i;

    if (!h->found)
        return true;
    for (i = 0; i < item->nchanges; i++) {
        if (item->changes[i].kind == CHANGE_RUN_EPOCH)
            return item->changes[i].n <= h->epoch;
    }
    return item->run != 0 && h->epoch != item->epoch;
}

/* Everything that can turn an item away. */
static int decide(struct sqlite *s, struct journal_item *item, struct head *h, struct err *e)
{
    size_t i;
    int rc;

    item->result = ITEM_COMMITTED;
    item->refusal = NULL;
    if (creates(item)) {
        *h = (struct head){.epoch = item->epoch, .next_seq = 1, .found = true};
    } else if (read_head(s, item->run, h, e) < 0) {
        return e->code;
    } else if (is_fenced(item, h)) {
        item->result = ITEM_FENCED;
        return 0;
    }
    for (i = 0; i < item->nguards; i++) {
        rc = sqlite_guard(&s->base, item, &item->guards[i], e);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            item->result = ITEM_REFUSED;
            item->refusal = guard_refusal(item->guards[i].kind);
            return 0;
        }
    }
    return 0;
}

int sqlite_apply(struct sqlite *s, struct journal_item *item, struct err *e)
{
    size_t i;

    if (creates(item) && run_new(s, item, e) < 0)
        return e->code;
    for (i = creates(item); item->result == ITEM_COMMITTED && i < item->nchanges; i++) {
        if (apply_change(s, item, &item->changes[i], e) < 0)
            return e->code;
    }
    return 0;
}

static int read_change_chain(struct sqlite *s, struct err *e)
{
    sqlite3_stmt *st = sqlite_statement(s, SQL_CHANGE_HEAD, e);
    int rc;

    if (!st)
        return e->code;
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && sqlite3_column_bytes(st, 0) == HASH_BYTES)
        memcpy(s->change_chain.bytes, sqlite3_column_blob(st, 0), HASH_BYTES);
    sqlite3_reset(st);
    s->knows_change_chain = rc == SQLITE_ROW || rc == SQLITE_DONE;
    return s->knows_change_chain ? 0 : sqlite_failed(s, "read", e);
}

/* What an item does to the projections is part of the log: they are rebuilt from it. */
static int log_changes(struct sqlite *s, const struct journal_item *item, const struct head *h, struct err *e)
{
    struct buf what = BUF_INIT(64 * MIB);
    struct change_record record = {.run = item->run, .seq = h->next_seq + (int64_t)item->nrows, .at = item->at};
    sqlite3_stmt *st = sqlite_statement(s, SQL_CHANGE, e);
    int rc;

    if (!st || (!s->knows_change_chain && read_change_chain(s, e) < 0))
        return e->code;
    changes_encode(item, &what);
    record.what = (struct str){buf_text(&what), what.len};
    s->change_chain = changes_chain(&s->change_chain, &record, &h->chain);
    sqlite3_bind_int64(st, 1, record.run);
    sqlite3_bind_int64(st, 2, record.seq);
    sqlite3_bind_int64(st, 3, record.at);
    sqlite3_bind_blob(st, 4, record.what.p, (int)record.what.n, SQLITE_STATIC);
    bind_hash(st, 5, &s->change_chain);
    rc = what.failed ? err_set(e, ERR_LIMIT, "run %lld: its changes are too large", (long long)item->run) : step(s, st, e);
    buf_free(&what);
    return rc;
}

/* Everything of an item; the result is set, an error is ours or the disk's. */
static int do_item(struct sqlite *s, struct journal_item *item, struct err *e)
{
    struct head h = {0};

    if (decide(s, item, &h, e) < 0)
        return e->code;
    if (item->result == ITEM_COMMITTED && sqlite_apply(s, item, e) < 0)
        return e->code;
    if (item->result != ITEM_COMMITTED)
        return 0;
    if (item->nrows && insert_rows(s, item, &h, e) < 0)
        return e->code;
    return item->nchanges ? log_changes(s, item, &h, e) : 0;
}

static int do_items(struct sqlite *s, struct journal_item *items, size_t n, struct err *e)
{
    size_t i;

    for (i = 0; i < n; i++) {
        bool guarded = items[i].nguards > 0 && n > 1;

        if (guarded && simple(s, SQL_SAVE, e) < 0)
            return e->code;
        if (do_item(s, &items[i], e) < 0)
            return e->code;
        if (guarded && items[i].result != ITEM_COMMITTED && simple(s, SQL_BACK, e) < 0)
            return e->code;
        if (guarded && simple(s, SQL_RELEASE, e) < 0)
            return e->code;
    }
    return 0;
}

/* After a write that failed nothing more is written: what the file holds is known again at the next open. */
static int die(struct sqlite *s, int rc)
{
    struct err ignored = {0};

    s->dead = true;
    if (!sqlite3_get_autocommit(s->db))
        simple(s, SQL_ROLLBACK, &ignored);
    return rc;
}

static int is_alive(struct sqlite *s, struct err *e)
{
    if (s->o.read_only)
        return err_set(e, ERR_DENIED, "journal %s: it is open for reading only", s->path);
    if (s->dead)
        return err_set(e, ERR_DISK, "journal %s: an earlier write failed; nothing more is written", s->path);
    return 0;
}

int sqlite_begin(struct journal *j, struct err *e)
{
    static const int wanted[] = {SQL_BEGIN, SQL_BUNDLE, SQL_RUN_NEW, SQL_ROW, SQL_RUN_NEXT, SQL_CHANGE, SQL_COMMIT, SQL_RUN_HEAD,
                                 SQL_RUN_END, SQL_UNLOCK_ALL};
    struct sqlite *s = (struct sqlite *)j;
    size_t i;
    int rc = is_alive(s, e);

    for (i = 0; rc == 0 && i < sizeof(wanted) / sizeof(wanted[0]); i++)
        rc = sqlite_statement(s, wanted[i], e) ? 0 : e->code;
    if (rc == 0)
        rc = read_change_chain(s, e);
    if (rc == 0)
        rc = sqlite_name_log(s, e);
    return rc < 0 ? die(s, rc) : 0;
}

/* Without a sync at its commit: in WAL mode the file stays whole, and the next full commit syncs what is before it. */
static int sync_less(struct sqlite *s, bool less, struct err *e)
{
    const char *sql = less ? "pragma synchronous = normal" : "pragma synchronous = full";

    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_failed(s, "write", e);
}

static int commit(struct sqlite *s, struct journal_item *items, size_t n, struct err *e)
{
    struct err own = {0};
    bool soft = sqlite3_get_autocommit(s->db);
    size_t i;
    int rc;

    e = e ? e : &own;
    rc = is_alive(s, e);
    for (i = 0; rc == 0 && i < n; i++) {
        rc = journal_check(&items[i], e);
        soft = soft && items[i].soft;
    }
    if (rc < 0)
        return rc;
    rc = point(s, "begin", e);
    if (rc == 0 && soft)
        rc = sync_less(s, true, e);
    if (rc == 0 && sqlite3_get_autocommit(s->db))
        rc = simple(s, SQL_BEGIN, e);
    if (rc == 0)
        rc = do_items(s, items, n, e);
    if (rc == 0)
        rc = point(s, "commit", e);
    sqlite_committing(s->named);
    if (rc == 0)
        rc = simple(s, SQL_COMMIT, e);
    sqlite_committing(false);
    if (rc == 0 && soft)
        rc = sync_less(s, false, e);
    if (rc == 0)
        rc = point(s, "committed", e);
    if (rc < 0)
        return die(s, rc);
    sqlite_checkpoint(s);
    return 0;
}

int sqlite_commit(struct journal *j, struct journal_item *items, size_t n, struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    int rc;

    sqlite_enter(s);
    rc = commit(s, items, n, e);
    sqlite_leave(s);
    return rc;
}

static int put_file(struct sqlite *s, const char *id, const struct blob_ref *f, struct err *e)
{
    struct hash h = hash_of(f->data);
    sqlite3_stmt *blob = sqlite_statement(s, SQL_BLOB, e), *file;

    if (!blob)
        return e->code;
    bind_hash(blob, 1, &h);
    sqlite3_bind_blob(blob, 2, f->data.n ? f->data.p : "", (int)f->data.n, SQLITE_STATIC);
    if (step(s, blob, e) < 0)
        return e->code;
    file = sqlite_statement(s, SQL_BUNDLE_FILE, e);
    if (!file)
        return e->code;
    bind_text(file, 1, str_of(id));
    bind_text(file, 2, str_of(f->path));
    bind_hash(file, 3, &h);
    return step(s, file, e);
}

static int put_all(struct sqlite *s, const char *id, struct str meta, const struct blob_ref *files, size_t n,
                   struct err *e)
{
    sqlite3_stmt *st;
    size_t i;

    if (sqlite3_get_autocommit(s->db) && simple(s, SQL_BEGIN, e) < 0)
        return e->code;
    st = sqlite_statement(s, SQL_BUNDLE, e);
    if (!st)
        return e->code;
    bind_text(st, 1, str_of(id));
    sqlite3_bind_blob(st, 2, meta.n ? meta.p : "", (int)meta.n, SQLITE_STATIC);
    if (step(s, st, e) < 0)
        return e->code;
    if (sqlite3_changes(s->db) == 0)
        return 0;       /* content-addressed: the same id is the same bundle */
    for (i = 0; i < n; i++) {
        if (put_file(s, id, &files[i], e) < 0)
            return e->code;
    }
    return 0;
}

/* Opens the transaction that the next commit closes: a bundle and the run that needs it are one. */
int sqlite_put_bundle(struct journal *j, const char *id, struct str meta, const struct blob_ref *files, size_t n,
                      struct err *e)
{
    struct sqlite *s = (struct sqlite *)j;
    struct err own = {0};
    int rc;

    e = e ? e : &own;
    rc = is_alive(s, e);
    if (rc < 0)
        return rc;
    rc = put_all(s, id, meta, files, n, e);
    return rc < 0 ? die(s, rc) : 0;
}
