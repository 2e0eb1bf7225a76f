/* SPDX-License-Identifier: Apache-2.0 */
/* Commits to the journal file: disks that are full, commits that fail, the chain over
 * its rows, and processes killed at work. */
#include "journal_test.h"

#include <signal.h>
#include <sys/resource.h>

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

    for (run = 1; run <= BATCH_RUNS; run++)
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
        "update journal set args = '{\"n\":2}' where id = 8",
        "update journal set path = '2' where id = 8",
        "update journal set name = 'x' where id = 8",
        "update journal set kind = 1 where id = 8",
        "update journal set at = at + 1 where id = 8",
        "update journal set epoch = 2 where id = 8",
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
