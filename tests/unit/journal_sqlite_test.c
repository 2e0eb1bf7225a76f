/* SPDX-License-Identifier: Apache-2.0 */
/* The journal file: one owner, readers beside it, files that are not ours, disks that
 * refuse, commits that fail, the chain over its rows, and processes killed at work. */
#include "journal_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { RUNS = 3 };

/* A batch with one item of each of three runs, two rows each. batch 0 makes the runs. */
static int commit_batch(struct journal *j, int64_t batch, struct err *e)
{
    struct journal_item items[RUNS];
    struct row rows[RUNS][2];
    struct change made[RUNS];
    int64_t i;

    for (i = 0; i < RUNS; i++)
        items[i] = batch_item(i + 1, 2 * batch + 1, rows[i], batch ? NULL : &made[i]);
    return j->ops->commit(j, items, RUNS, e);
}

/* Whole batches only: every run has as many rows as the first, two per batch. Returns the number of batches. */
static int64_t whole_batches(struct journal *j)
{
    struct buf out = BUF_INIT(32 * MIB);
    struct run_info info;
    int64_t i, n[RUNS] = {0};

    for (i = 0; i < RUNS; i++) {
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

static void assert_refused(const char *dir, const struct journal_options *o, int code, const char *reason)
{
    struct journal *j = NULL;
    struct err e = {0};
    char text[1400];
    int rc = journal_sqlite_open(dir, "second", o, &j, &e);

    if (rc != code || j || !strstr(err_text(&e, text, sizeof(text)), reason))
        fail_msg("%d instead of %d (%s): %s", rc, code, reason, text);
    assert_int_equal(journal_sqlite_open(dir, "second", o, &j, NULL), code);
}

static char *file_in(const char *dir, const char *name)
{
    struct buf b = BUF_INIT(4 * KIB);

    buf_addf(&b, "%s/%s", dir, name);
    return buf_take(&b, NULL);
}

static void sql(const char *dir, const char *statements)
{
    char *path = file_in(dir, "journal.db"), *why = NULL;
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, statements, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", statements, why);
    sqlite3_close(db);
    free(path);
}

static struct buf contents(const char *dir)
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
static int ending(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_one_owner(void **state)
{
    char *dir = state_dir_new(), pid[64];
    struct journal *j = open_sqlite(dir, NULL);

    (void)state;
    snprintf(pid, sizeof(pid), "in use by process %d (unit test)", (int)getpid());
    assert_refused(dir, NULL, ERR_BUSY, pid);
    assert_refused(dir, NULL, ERR_BUSY, "--state DIR");
    assert_int_equal(commit_batch(j, 0, NULL), 0);
    j->ops->free(j);
    j = open_sqlite(dir, NULL);
    assert_int_equal(whole_batches(j), 1);
    assert_int_equal(j->ops->next_run(j), RUNS + 1);
    assert_int_equal(j->ops->next_run(j), RUNS + 2);
    j->ops->free(j);
    state_dir_free(dir);
}

static void test_a_dead_owner_holds_nothing(void **state)
{
    char *dir = state_dir_new(), name[64], byte;
    struct journal_options read_only = {.read_only = true};
    struct journal *j;
    int ready[2];
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        j = open_sqlite(dir, NULL);
        commit_batch(j, 0, NULL);
        commit_batch(j, 1, NULL);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    snprintf(name, sizeof(name), "in use by process %d (unit test)", (int)pid);
    assert_refused(dir, NULL, ERR_BUSY, name);
    j = open_sqlite(dir, &read_only);
    assert_int_equal(whole_batches(j), 2);
    j->ops->free(j);
    kill(pid, SIGKILL);
    assert_int_equal(ending(pid), -SIGKILL);
    j = open_sqlite(dir, &read_only);
    assert_int_equal(whole_batches(j), 2);
    j->ops->free(j);
    j = open_sqlite(dir, NULL);
    assert_int_equal(whole_batches(j), 2);
    j->ops->free(j);
    close(ready[0]);
    close(ready[1]);
    state_dir_free(dir);
}

static void test_readers_beside_the_owner(void **state)
{
    char *dir = state_dir_new();
    struct journal_options read_only = {.read_only = true};
    struct journal *owner, *a, *b;
    struct err e = {0};
    int64_t i;

    (void)state;
    assert_refused(dir, &read_only, ERR_NOT_FOUND, "no journal in");
    owner = open_sqlite(dir, NULL);
    a = open_sqlite(dir, &read_only);
    assert_int_equal(whole_batches(a), 0);
    for (i = 0; i < 4; i++) {
        good(commit_batch(owner, i, &e), &e);
        b = open_sqlite(dir, &read_only);
        assert_int_equal(whole_batches(a), i + 1);
        assert_int_equal(whole_batches(b), i + 1);
        b->ops->free(b);
    }
    assert_int_equal(commit_batch(a, 4, &e), ERR_DENIED);
    assert_int_equal(a->ops->put_bundle(a, "aa", STR("{}"), NULL, 0, &e), ERR_DENIED);
    good(commit_batch(owner, 4, &e), &e);
    a->ops->free(a);
    owner->ops->free(owner);
    state_dir_free(dir);
}

/* Files that are not ours, or from a newer program, are named and left as they are. */
static void test_foreign_files(void **state)
{
    static const struct {
        const char *sql, *reason;
    } cases[] = {
        {"create table t(x)", "not a Midwatch journal"},
        {"create table t(x); pragma application_id = 252006675", "not a Midwatch journal"},
        {"pragma user_version = 7; create table t(x)", "not a Midwatch journal"},
        {"pragma application_id = 1835623543; pragma user_version = 2; create table t(x)", "format 2, this program knows format 1"},
    };
    struct journal_options read_only = {.read_only = true};
    size_t i;

    (void)state;
    assert_int_equal(0x6d696477, 1835623543);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *dir = state_dir_new();
        struct buf before, after;

        sql(dir, cases[i].sql);
        before = contents(dir);
        assert_refused(dir, NULL, ERR_CORRUPT, cases[i].reason);
        assert_refused(dir, &read_only, ERR_CORRUPT, cases[i].reason);
        after = contents(dir);
        assert_int_equal(before.len, after.len);
        assert_memory_equal(before.data, after.data, before.len);
        buf_free(&before);
        buf_free(&after);
        state_dir_free(dir);
    }
}

static void write_file(const char *dir, const char *name, const char *text, size_t n)
{
    char *path = file_in(dir, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
    free(path);
}

static void test_no_database(void **state)
{
    struct journal_options read_only = {.read_only = true};
    char *dir = state_dir_new(), page[8192];
    struct journal *j;
    struct buf b;

    (void)state;
    memset(page, 'x', sizeof(page));
    write_file(dir, "journal.db", page, sizeof(page));
    assert_refused(dir, NULL, ERR_CORRUPT, "not a Midwatch journal");
    assert_refused(dir, &read_only, ERR_CORRUPT, "not a Midwatch journal");
    b = contents(dir);
    assert_memory_equal(b.data, page, sizeof(page));
    buf_free(&b);
    /* An empty file is nobody's yet: SQLite makes it before its first write. */
    write_file(dir, "journal.db", "", 0);
    assert_refused(dir, &read_only, ERR_NOT_FOUND, "no journal in");
    j = open_sqlite(dir, NULL);
    assert_int_equal(commit_batch(j, 0, NULL), 0);
    j->ops->free(j);
    state_dir_free(dir);
}

/* Runs fn as somebody whom permission bits stop; it returns 0 if all was as it must be. */
static void as_nobody(int (*fn)(const char *dir), const char *dir)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0) ? 99 : fn(dir));
    assert_int_equal(ending(pid), 0);
}

static int owning_fails(const char *dir, const char *reason)
{
    struct journal *j = NULL;
    struct err e = {0};
    char text[1400];
    int rc = journal_sqlite_open(dir, "unit test", NULL, &j, &e);

    if (rc == ERR_DISK && strstr(err_text(&e, text, sizeof(text)), reason) && strstr(text, "--state DIR"))
        return 0;
    fprintf(stderr, "%d: %s, not '%s'\n", rc, err_text(&e, text, sizeof(text)), reason);
    return 1;
}

static int cannot_own(const char *dir)
{
    return owning_fails(dir, "Permission denied");
}

static int sees_a_read_only_file(const char *dir)
{
    return owning_fails(dir, "journal.db: the file is read-only");
}

static int reads_two_batches(const char *dir)
{
    struct journal_options read_only = {.read_only = true};
    struct journal *j = NULL;
    struct run_info info = {0};
    struct err e = {0};
    char text[1400];

    if (journal_sqlite_open(dir, "unit test", &read_only, &j, &e) < 0 || j->ops->get_run(j, 3, &info, &e) < 0) {
        fprintf(stderr, "%s\n", err_text(&e, text, sizeof(text)));
        return 1;
    }
    run_info_deinit(&info);
    j->ops->free(j);
    return info.next_seq == 5 ? 0 : 2;
}

static void set_mode(const char *dir, const char *name, mode_t mode)
{
    char *path = file_in(dir, name);

    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static void remove_in(const char *dir, const char *name)
{
    char *path = file_in(dir, name);

    remove(path);
    free(path);
}

static void test_a_directory_that_is_read_only(void **state)
{
    char *dir = state_dir_new();
    struct journal *j;

    (void)state;
    assert_int_equal(chmod(dir, 0555), 0);
    as_nobody(cannot_own, dir);
    assert_int_equal(chmod(dir, 0755), 0);
    j = open_sqlite(dir, NULL);
    assert_int_equal(commit_batch(j, 0, NULL), 0);
    assert_int_equal(commit_batch(j, 1, NULL), 0);
    j->ops->free(j);
    set_mode(dir, "journal.db", 0444);
    set_mode(dir, "journal.db-wal", 0444);
    set_mode(dir, "journal.db-shm", 0444);
    assert_int_equal(chmod(dir, 0555), 0);
    as_nobody(cannot_own, dir);
    as_nobody(reads_two_batches, dir);      /* with its log */
    assert_int_equal(chmod(dir, 0755), 0);
    remove_in(dir, "journal.db-shm");
    assert_int_equal(chmod(dir, 0555), 0);
    as_nobody(reads_two_batches, dir);      /* with the log alone: a backup */
    assert_int_equal(chmod(dir, 0755), 0);
    set_mode(dir, "journal.db", 0644);
    set_mode(dir, "journal.db-wal", 0644);
    sql(dir, "pragma wal_checkpoint(truncate)");
    remove_in(dir, "journal.db-wal");
    remove_in(dir, "journal.db-shm");
    set_mode(dir, "journal.db", 0444);
    assert_int_equal(chmod(dir, 0555), 0);
    as_nobody(reads_two_batches, dir);      /* and without */
    assert_int_equal(chmod(dir, 0777), 0);
    set_mode(dir, "journal.lock", 0666);
    as_nobody(sees_a_read_only_file, dir);
    state_dir_free(dir);
}

static void test_a_full_disk(void **state)
{
    char *dir = state_dir_new();
    struct journal *j = open_sqlite(dir, NULL);
    struct rlimit all, few;
    struct err e = {0};
    int64_t n = 0;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    few = (struct rlimit){.rlim_cur = 400000, .rlim_max = all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    while (n < 10000 && commit_batch(j, n, &e) == 0)
        n++;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
    assert_int_equal(e.code, ERR_DISK);
    assert_true(n > 3 && n < 10000);
    assert_non_null(strstr(e.msg, dir));
    /* There is room again, but what the file holds is not known before the next open. */
    assert_int_equal(commit_batch(j, n, NULL), ERR_DISK);
    assert_int_equal(j->ops->put_bundle(j, "aa", STR("{}"), NULL, 0, NULL), ERR_DISK);
    j->ops->free(j);
    j = open_sqlite(dir, NULL);
    assert_int_equal(whole_batches(j), n);
    good(commit_batch(j, n, &e), &e);
    j->ops->free(j);
    state_dir_free(dir);
}

struct fault {
    const char *step;
    int countdown;          /* fails (or dies) when it reaches 0 */
};

static int fail_at(void *ctx, const char *step)
{
    struct fault *f = ctx;

    return (!f->step || strcmp(f->step, step) == 0) && f->countdown-- == 0 ? -1 : 0;
}

static void test_a_failed_commit_is_the_last(void **state)
{
    static const struct {
        const char *step;
        int64_t batches;    /* that the next open finds, of two */
    } cases[] = {{"begin", 1}, {"commit", 1}, {"committed", 2}};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        char *dir = state_dir_new();
        struct fault f = {.step = cases[i].step, .countdown = 1};
        struct journal_options o = {.point = fail_at, .ctx = &f};
        struct journal *j = open_sqlite(dir, &o), *m = NULL;

        assert_int_equal(commit_batch(j, 0, NULL), 0);
        assert_int_equal(commit_batch(j, 1, NULL), ERR_DISK);
        assert_int_equal(commit_batch(j, 1, NULL), ERR_DISK);
        assert_int_equal(commit_batch(j, 2, NULL), ERR_DISK);
        j->ops->free(j);
        j = open_sqlite(dir, NULL);
        assert_int_equal(whole_batches(j), cases[i].batches);
        j->ops->free(j);
        state_dir_free(dir);
        f.countdown = 1;
        journal_memory_open(&o, &m, NULL);
        assert_int_equal(commit_batch(m, 0, NULL), 0);
        assert_int_equal(commit_batch(m, 1, NULL), ERR_DISK);
        assert_int_equal(commit_batch(m, 2, NULL), ERR_DISK);
        m->ops->free(m);
    }
}

/* An item that names the wrong next row is our bug: the batch leaves nothing behind, and nothing follows. */
static void test_a_wrong_row_takes_its_batch_along(void **state)
{
    char *dir = state_dir_new();
    struct journal *j = open_sqlite(dir, NULL);
    struct journal_item items[2];
    struct row rows[2][2];
    struct err e = {0};

    (void)state;
    good(commit_batch(j, 0, &e), &e);
    items[0] = batch_item(1, 3, rows[0], NULL);
    items[1] = batch_item(2, 9, rows[1], NULL);
    assert_int_equal(j->ops->commit(j, items, 2, &e), ERR_CORRUPT);
    assert_string_equal(e.msg, "run 2: row 9 where 3 is next");
    assert_int_equal(commit_batch(j, 1, NULL), ERR_DISK);
    j->ops->free(j);
    j = open_sqlite(dir, NULL);
    assert_int_equal(whole_batches(j), 1);
    /* An item that contradicts itself is refused before anything is touched. */
    items[0] = batch_item(1, 3, rows[0], NULL);
    rows[0][1].seq = 3;
    assert_int_equal(j->ops->commit(j, items, 1, &e), ERR_CORRUPT);
    good(commit_batch(j, 1, &e), &e);
    j->ops->free(j);
    state_dir_free(dir);
}

static bool chains_hold(const char *dir)
{
    struct journal_options read_only = {.read_only = true};
    struct journal *j = open_sqlite(dir, &read_only);
    struct buf out = BUF_INIT(MIB);
    int64_t run;
    bool good_ones;

    for (run = 1; run <= RUNS; run++)
        dump_rows(j, run, &out);
    good_ones = !strstr(buf_text(&out), "BROKEN");
    buf_free(&out);
    j->ops->free(j);
    return good_ones;
}

static char *four_batches(void)
{
    char *dir = state_dir_new();
    struct journal *j = open_sqlite(dir, NULL);
    int64_t i;

    for (i = 0; i < 4; i++)
        assert_int_equal(commit_batch(j, i, NULL), 0);
    j->ops->free(j);
    sql(dir, "pragma wal_checkpoint(truncate)");
    return dir;
}

static void test_the_chain_finds_what_was_changed(void **state)
{
    static const char *const changes[] = {
        "update journal set payload = replace(payload, 'note', 'nota') where id = 8",
        "update journal set path = '2' where id = 8",
        "update journal set name = 'x' where id = 8",
        "update journal set kind = 1 where id = 8",
        "update journal set at = at + 1 where id = 8",
        "update journal set args_hash = randomblob(32) where id = 8",
        "update journal set chain = zeroblob(32) where id = 8",
        "delete from journal where id = 8",
        "delete from journal where id = 24",
        "update run set chain = zeroblob(32) where id = 2",
        "update run set next_seq = 8 where id = 2",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char *dir = four_batches();

        assert_true(chains_hold(dir));
        sql(dir, "drop trigger journal_no_update; drop trigger journal_no_delete");
        sql(dir, changes[i]);
        if (chains_hold(dir))
            fail_msg("not found: %s", changes[i]);
        state_dir_free(dir);
    }
}

static void test_one_flipped_byte(void **state)
{
    char *dir = four_batches(), *path = file_in(dir, "journal.db");
    struct buf b = contents(dir);
    char *at = memmem(b.data, b.len, "a note", 6);
    FILE *f;

    (void)state;
    assert_non_null(at);
    f = fopen(path, "r+");
    assert_int_equal(fseek(f, at - b.data, SEEK_SET), 0);
    assert_int_equal(fputc('A', f), 'A');
    fclose(f);
    assert_false(chains_hold(dir));
    buf_free(&b);
    free(path);
    state_dir_free(dir);
}

static void test_rows_are_never_changed(void **state)
{
    static const char *const statements[] = {"update journal set at = 1", "delete from journal"};
    char *dir = four_batches(), *path = file_in(dir, "journal.db"), *why = NULL;
    sqlite3 *db;
    size_t i;

    (void)state;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (i = 0; i < 2; i++) {
        assert_int_equal(sqlite3_exec(db, statements[i], NULL, NULL, &why), SQLITE_CONSTRAINT);
        assert_string_equal(why, "the journal is append-only");
        sqlite3_free(why);
    }
    sqlite3_close(db);
    assert_true(chains_hold(dir));
    free(path);
    state_dir_free(dir);
}

static int die_at(void *ctx, const char *step)
{
    if (fail_at(ctx, step) < 0)
        raise(SIGKILL);
    return 0;
}

/* Killed at each step of each commit: what was "committed" is there, the rest is not. */
static void test_killed_at_every_step(void **state)
{
    int k;

    (void)state;
    for (k = 1; k <= 15; k++) {
        struct fault f = {.countdown = k - 1};
        struct journal_options o = {.point = die_at, .ctx = &f};
        char *dir = state_dir_new();
        struct journal *j;
        int64_t i;
        pid_t pid = fork();

        if (pid == 0) {
            j = open_sqlite(dir, &o);
            for (i = 0; i < 10; i++)
                commit_batch(j, i, NULL);
            _exit(0);
        }
        assert_int_equal(ending(pid), -SIGKILL);
        j = open_sqlite(dir, NULL);
        assert_int_equal(whole_batches(j), k / 3);
        j->ops->free(j);
        state_dir_free(dir);
    }
}

/* Killed wherever it is: at least what it had reported is there, whole; and the next owner goes on. */
static void test_killed_at_any_time(void **state)
{
    int k;

    (void)state;
    for (k = 0; k < 12; k++) {
        char *dir = state_dir_new(), byte;
        struct journal *j;
        int64_t i, batches;
        int done[2], told = 0;
        pid_t pid;

        assert_int_equal(pipe(done), 0);
        pid = fork();
        if (pid == 0) {
            j = open_sqlite(dir, NULL);
            for (i = 0; commit_batch(j, i, NULL) == 0 && write(done[1], "", 1) == 1; i++)
                ;
            _exit(1);
        }
        close(done[1]);
        while (told < 3 * k + 1 && read(done[0], &byte, 1) == 1)
            told++;
        usleep((useconds_t)(137 * k));
        kill(pid, SIGKILL);
        assert_int_equal(ending(pid), -SIGKILL);
        while (read(done[0], &byte, 1) == 1)
            told++;
        close(done[0]);
        j = open_sqlite(dir, NULL);
        batches = whole_batches(j);
        assert_true(batches == told || batches == told + 1);
        assert_int_equal(commit_batch(j, batches, NULL), 0);
        assert_int_equal(whole_batches(j), batches + 1);
        j->ops->free(j);
        state_dir_free(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_owner),
        cmocka_unit_test(test_a_dead_owner_holds_nothing),
        cmocka_unit_test(test_readers_beside_the_owner),
        cmocka_unit_test(test_foreign_files),
        cmocka_unit_test(test_no_database),
        cmocka_unit_test(test_a_directory_that_is_read_only),
        cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_a_failed_commit_is_the_last),
        cmocka_unit_test(test_a_wrong_row_takes_its_batch_along),
        cmocka_unit_test(test_the_chain_finds_what_was_changed),
        cmocka_unit_test(test_one_flipped_byte),
        cmocka_unit_test(test_rows_are_never_changed),
        cmocka_unit_test(test_killed_at_every_step),
        cmocka_unit_test(test_killed_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
