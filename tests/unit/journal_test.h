/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the journal share: a state directory in memory, and everything a
 * journal answers as text, so that two of them are compared by strcmp. */
#ifndef MIDWATCH_TESTS_JOURNAL_TEST_H
#define MIDWATCH_TESTS_JOURNAL_TEST_H

#include "journal/journal.h"

#include "base/limits.h"

#include <ftw.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* In memory where the system has it: an fsync then costs nothing. */
static inline char *state_dir_new(void)
{
    struct buf b = BUF_INIT(KIB);
    const char *tmp = getenv("TMPDIR");

    buf_addf(&b, "%s/midwatch-journal-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(b.data));
    return buf_take(&b, NULL);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* Removes the directory with all that is in it, and frees its name. */
static inline void state_dir_free(char *dir)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(dir);
}

static inline void good(int rc, const struct err *e)
{
    char text[1400];

    if (rc < 0)
        fail_msg("%d: %s", rc, err_text(e, text, sizeof(text)));
}

static inline struct journal *open_sqlite(const char *dir, const struct journal_options *o)
{
    struct journal *j = NULL;
    struct err e = {0};

    good(journal_sqlite_open(dir, "unit test", o, &j, &e), &e);
    return j;
}

/* A new run with that uuid, or two more rows of it: one item of a batch. `rows` has room for two and lives with it. */
static inline struct journal_item batch_item(int64_t run, int64_t seq, struct row *rows, struct change *made)
{
    struct journal_item item = {.run = run, .epoch = 1, .rows = rows, .nrows = 2, .at = 1764000000000};
    int i;

    for (i = 0; i < 2; i++)
        rows[i] = (struct row){.seq = seq + i, .epoch = 1, .kind = ROW_NOTE, .path = STR("1"), .name = STR("note"),
                               .payload = STR("{\"text\":\"a note\"}"), .at = item.at};
    if (made) {
        static const char *const uuids[] = {"a0", "b0", "c0", "d0", "e0", "f0", "g0", "h0", "i0"};

        *made = (struct change){.kind = CHANGE_RUN_NEW, .uuid = str_of(uuids[run % 9]), .runbook = STR("t"),
                                .command = STR("run"), .bundle = STR("b"), .params = STR("{}"), .trigger = STR("{}")};
        item.changes = made;
        item.nchanges = 1;
    }
    return item;
}

struct dump {
    struct buf *out;
    struct hash chain;      /* of the rows so far */
    int64_t seq;            /* the row that must come next */
};

static inline void dump_hash(struct buf *out, const struct hash *h)
{
    char hex[2 * HASH_BYTES + 1];

    buf_addf(out, " %.12s", hash_hex(h, hex));
}

/* Every row must be the next one and carry the chain that its content gives. */
static inline bool dump_row(void *ctx, const struct row *r)
{
    struct dump *d = ctx;

    d->chain = journal_chain(&d->chain, r);
    if (r->seq != d->seq++ || !hash_eq(&d->chain, &r->chain))
        buf_addf(d->out, "BROKEN CHAIN ");
    buf_addf(d->out, "  row %lld epoch %lld %s [%.*s] [%.*s] [%.*s] [%.*s] %lld", (long long)r->seq, (long long)r->epoch,
             row_kind_name(r->kind), (int)r->path.n, r->path.p, (int)r->name.n, r->name.p, (int)r->args.n, r->args.p,
             (int)r->payload.n, r->payload.p, (long long)r->at);
    dump_hash(d->out, &r->args_hash);
    dump_hash(d->out, &r->chain);
    buf_addc(d->out, '\n');
    return true;
}

static inline bool dump_run(void *ctx, const struct run_info *r)
{
    struct buf *out = ctx;

    buf_addf(out, "run %lld %s [%s] [%s] [%s] %s [%s] [%s] wake %lld epoch %lld next %lld at %lld..%lld [%s] [%s]",
             (long long)r->id, r->uuid, r->runbook, r->command, r->bundle, run_state_name(r->state), r->outcome, r->reason,
             (long long)r->wake_at, (long long)r->epoch, (long long)r->next_seq, (long long)r->created_at,
             (long long)r->ended_at, r->params, r->trigger);
    dump_hash(out, &r->chain);
    buf_addc(out, '\n');
    return true;
}

static inline bool dump_id(void *ctx, const struct run_info *r)
{
    buf_addf(ctx, " %lld", (long long)r->id);
    return true;
}

static inline bool dump_lock(void *ctx, const struct lock_info *l)
{
    buf_addf(ctx, "lock [%s] run %lld fence %lld cool %lld by %lld\n", l->target, (long long)l->run, (long long)l->fence,
             (long long)l->cool_until, (long long)l->cool_run);
    return true;
}

static inline bool dump_effect(void *ctx, const struct effect_info *x)
{
    buf_addf(ctx, "effect %lld.%s %lld..%lld counts %lld [%s] [%s] [%s] %s\n", (long long)x->run, x->path,
             (long long)x->intent_seq, (long long)x->result_seq, (long long)x->counts_at, x->key, x->action, x->target,
             effect_state_name(x->state));
    return true;
}

static inline bool dump_escalation(void *ctx, const struct escalation_info *x)
{
    buf_addf(ctx, "escalation %lld run %lld at %lld %s [%s]\n", (long long)x->id, (long long)x->run, (long long)x->at,
             x->open ? "open" : "closed", x->text);
    return true;
}

static inline bool dump_escalation_id(void *ctx, const struct escalation_info *x)
{
    buf_addf(ctx, " %lld", (long long)x->id);
    return true;
}

static inline bool dump_revoked(void *ctx, const struct revoked_info *x)
{
    buf_addf(ctx, "revoked %s at %lld [%s]\n", x->commit, (long long)x->at, x->why);
    return true;
}

static inline bool dump_breaker(void *ctx, const struct breaker_info *x)
{
    buf_addf(ctx, "breaker [%s] %lld\n", x->runbook, (long long)x->failures);
    return true;
}

static inline bool dump_approval(void *ctx, const struct approval_info *x)
{
    buf_addf(ctx, "approval %lld.%s left %lld\n", (long long)x->run, x->path, (long long)x->left);
    return true;
}

static inline bool dump_agenda(void *ctx, int64_t run, enum run_state state, int64_t wake_at)
{
    buf_addf(ctx, " %s %lld at %lld\n", run_state_name(state), (long long)run, (long long)wake_at);
    return true;
}

/* All projections: what every question but that for rows answers. */
static inline void dump_state(struct journal *j, struct buf *out)
{
    enum run_state state;
    struct err e = {0};
    bool on = false;

    for (state = 0; state < RUN_STATES; state++)
        good(j->ops->agenda(j, state, dump_agenda, out, &e), &e);
    good(j->ops->runs(j, false, dump_run, out, &e), &e);
    buf_adds(out, "open:");
    good(j->ops->runs(j, true, dump_id, out, &e), &e);
    buf_addc(out, '\n');
    good(j->ops->locks(j, dump_lock, out, &e), &e);
    good(j->ops->effects(j, -1, dump_effect, out, &e), &e);
    good(j->ops->escalations(j, false, dump_escalation, out, &e), &e);
    good(j->ops->revoked(j, dump_revoked, out, &e), &e);
    good(j->ops->breakers(j, dump_breaker, out, &e), &e);
    good(j->ops->approvals(j, dump_approval, out, &e), &e);
    buf_adds(out, "open escalations:");
    good(j->ops->escalations(j, true, dump_escalation_id, out, &e), &e);
    buf_adds(out, "\nhalt [");
    good(j->ops->halted(j, &on, out, &e), &e);
    buf_addf(out, "] %d\n", on);
    assert_false(out->failed);
}

/* The rows of one run; its head must be where they lead. Returns the seq that comes next. */
static inline int64_t dump_rows(struct journal *j, int64_t run, struct buf *out)
{
    struct dump d = {.out = out, .seq = 1};
    struct run_info info;
    struct err e = {0};

    good(j->ops->rows(j, run, 1, dump_row, &d, &e), &e);
    if (run) {
        good(j->ops->get_run(j, run, &info, &e), &e);
        if (info.next_seq != d.seq || !hash_eq(&info.chain, &d.chain))
            buf_adds(out, "BROKEN HEAD\n");
        run_info_deinit(&info);
    }
    assert_false(out->failed);
    return d.seq;
}

enum { BATCH_RUNS = 3 };

/* A batch with one item of each of three runs, two rows each. batch 0 makes the runs. */
static inline int commit_batch(struct journal *j, int64_t batch, struct err *e)
{
    struct journal_item items[BATCH_RUNS];
    struct row rows[BATCH_RUNS][2];
    struct change made[BATCH_RUNS];
    int64_t i;

    for (i = 0; i < BATCH_RUNS; i++)
        items[i] = batch_item(i + 1, 2 * batch + 1, rows[i], batch ? NULL : &made[i]);
    return j->ops->commit(j, items, BATCH_RUNS, e);
}

/* Whole batches only: every run has as many rows as the first, two per batch. Returns the number of batches. */
static inline int64_t whole_batches(struct journal *j)
{
    struct buf out = BUF_INIT(32 * MIB);
    struct run_info info;
    int64_t i, n[BATCH_RUNS] = {0};

    for (i = 0; i < BATCH_RUNS; i++) {
        if (j->ops->get_run(j, i + 1, &info, NULL) < 0)
            continue;
        run_info_deinit(&info);
        n[i] = dump_rows(j, i + 1, &out) - 1;
    }
    assert_null(strstr(buf_text(&out), "BROKEN"));
    assert_int_equal(n[0] % 2, 0);
    assert_int_equal(n[1], n[0]);
    assert_int_equal(n[2], n[0]);
    buf_free(&out);
    return n[0] / 2;
}

static inline char *file_in(const char *dir, const char *name)
{
    struct buf b = BUF_INIT(4 * KIB);

    buf_addf(&b, "%s/%s", dir, name);
    return buf_take(&b, NULL);
}

static inline void sql(const char *dir, const char *statements)
{
    char *path = file_in(dir, "journal.db"), *why = NULL;
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, statements, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", statements, why);
    sqlite3_close(db);
    free(path);
}

static inline struct buf contents(const char *dir)
{
    struct buf b = BUF_INIT(MIB);
    char *path = file_in(dir, "journal.db"), chunk[4096];
    FILE *f = fopen(path, "r");
    size_t n;

    assert_non_null(f);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&b, chunk, n);
    fclose(f);
    free(path);
    return b;
}

/* The child's exit code, or minus the signal that ended it. */
static inline int ending(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
