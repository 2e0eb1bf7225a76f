/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction reaches the log in one write, and nobody can tell the difference: another connection, a rollback, a
 * cache that is too small for the transaction, a disk that is full. Counted where it is paid. */
#include "journal_test.h"

#include "base/limits.h"
#include "journal/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

static int writes, fails_at;        /* to the log; the Nth has no room, 0: none */

static bool is_log(int fd)
{
    char link[64], name[4096];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, name, sizeof(name) - 1);
    name[n > 0 ? n : 0] = '\0';
    return n > 4 && strcmp(name + n - 4, "-wal") == 0;
}

/* SQLite is linked from its archive: this is what it calls. */
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    if (is_log(fd) && ++writes == fails_at) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, n, at);
}

static sqlite3 *open_db(const char *dir, const char *name, const char *vfs)
{
    char path[4096];
    sqlite3 *db;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
    return db;
}

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void must(sqlite3 *db, const char *sql)
{
    if (run(db, sql) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    int64_t n;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static void test_a_commit_is_one_write(void **state)
{
    char *dir = state_dir_new();
    struct journal *j = open_sqlite(dir, NULL);
    struct row rows[2];
    struct change made;
    struct journal_item item = batch_item(1, 1, rows, &made);
    struct err e = {0};
    int i;

    (void)state;
    good(j->ops->commit(j, &item, 1, &e), &e);
    writes = 0;
    for (i = 1; i <= 10; i++) {
        item = batch_item(1, 2 * i + 1, rows, NULL);
        item.soft = i > 5;
        good(j->ops->commit(j, &item, 1, &e), &e);
        assert_int_equal(writes, i);
    }
    j->ops->free(j);
    state_dir_free(dir);
}

static const char sum[] = "select coalesce(sum(id * length(v) + unicode(substr(u, 3, 1))), 0) from t";

/* Two databases do the same, one of them with writes that are held. */
struct pair {
    char *dir;
    sqlite3 *ours, *theirs, *reader;
    unsigned seed;
};

static unsigned draw(struct pair *p, unsigned below)
{
    p->seed = p->seed * 1103515245 + 12345;
    return (p->seed >> 16) % below;
}

static void both(struct pair *p, const char *sql)
{
    must(p->ours, sql);
    must(p->theirs, sql);
}

static void open_pair(struct pair *p)
{
    static const char begin[] = "pragma page_size = 1024; pragma journal_mode = wal; pragma synchronous = full;"
                                "pragma cache_size = 10; create table t(id integer primary key, v blob, u text unique)";

    p->dir = state_dir_new();
    p->ours = open_db(p->dir, "ours.db", sqlite_vfs());
    p->theirs = open_db(p->dir, "theirs.db", NULL);
    both(p, begin);
    p->reader = open_db(p->dir, "ours.db", NULL);
}

static void close_pair(struct pair *p)
{
    sqlite3_close(p->reader);
    sqlite3_close(p->ours);
    sqlite3_close(p->theirs);
    state_dir_free(p->dir);
}

static void copy(const char *dir, const char *from, const char *to)
{
    char *source = file_in(dir, from), *target = file_in(dir, to), bytes[64 * KIB];
    FILE *in = fopen(source, "rb"), *out = fopen(target, "wb");
    size_t n;

    assert_true(in && out);
    while ((n = fread(bytes, 1, sizeof(bytes), in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
    free(source);
    free(target);
}

/* What somebody finds who has the files alone, as they are now. */
static int64_t after_a_kill(struct pair *p)
{
    sqlite3 *db;
    int64_t found;

    copy(p->dir, "ours.db", "left.db");
    copy(p->dir, "ours.db-wal", "left.db-wal");
    db = open_db(p->dir, "left.db", NULL);
    found = number(db, sum);
    sqlite3_close(db);
    return found;
}

/* What it changes is more than the cache holds, so that some of it is in the log before the end. */
static void change_something(struct pair *p)
{
    char sql[200];
    unsigned n = 1 + draw(p, 60), i;

    for (i = 0; i < n; i++) {
        snprintf(sql, sizeof(sql), "insert or replace into t values(%u, zeroblob(%u), 'u-%u')", draw(p, 400), draw(p, 3000),
                 draw(p, 300));
        both(p, sql);
        if (draw(p, 20) == 0) {
            snprintf(sql, sizeof(sql), "delete from t where id %% 7 = %u", draw(p, 7));
            both(p, sql);
        }
    }
    assert_true(number(p->ours, sum) == number(p->theirs, sum));
}

static void test_nobody_can_tell(void **state)
{
    struct pair p = {.seed = 1};
    int i;

    (void)state;
    open_pair(&p);
    for (i = 0; i < 150; i++) {
        int64_t before = number(p.reader, sum);

        both(&p, draw(&p, 4) ? "pragma synchronous = full" : "pragma synchronous = normal");
        both(&p, "begin immediate");
        change_something(&p);
        if (draw(&p, 2)) {
            both(&p, "savepoint item");
            change_something(&p);
            both(&p, draw(&p, 2) ? "rollback to item" : "release item");
            change_something(&p);
        }
        assert_true(number(p.reader, sum) == before);
        both(&p, draw(&p, 4) ? "commit" : "rollback");
        assert_true(number(p.reader, sum) == number(p.theirs, sum));
        assert_true(after_a_kill(&p) == number(p.theirs, sum));
        if (draw(&p, 20) == 0)
            both(&p, draw(&p, 2) ? "pragma wal_checkpoint(truncate)" : "pragma wal_checkpoint(restart)");
    }
    assert_true(number(p.reader, "select count(*) from pragma_integrity_check where integrity_check = 'ok'") == 1);
    close_pair(&p);
}

/* A write that is held fails when it is made, and its transaction with it. */
static void test_a_full_disk_fails_its_transaction(void **state)
{
    static const char many[] = "begin immediate; with recursive s(n) as (select 2 union all select n + 1 from s where n < 300)"
                               " insert into t select n, zeroblob(900), 'u-' || n from s; commit";
    struct pair p = {.seed = 7};
    int64_t before;
    int n;

    (void)state;
    open_pair(&p);
    both(&p, "insert into t values(1, 'one', 'u-1')");
    before = number(p.reader, sum);
    for (n = 1; n < 1000; n++) {
        writes = 0;
        fails_at = n;
        if (run(p.ours, many) == SQLITE_OK)
            break;
        fails_at = 0;
        assert_int_equal(sqlite3_errcode(p.ours) & 0xff, SQLITE_FULL);
        run(p.ours, "rollback");
        assert_true(number(p.reader, sum) == before);
        assert_true(number(p.ours, "select count(*) from pragma_integrity_check where integrity_check = 'ok'") == 1);
    }
    fails_at = 0;
    assert_true(n > 2 && n < 1000);
    assert_true(number(p.reader, "select count(*) from t") == 300);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_commit_is_one_write),
        cmocka_unit_test(test_nobody_can_tell),
        cmocka_unit_test(test_a_full_disk_fails_its_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
