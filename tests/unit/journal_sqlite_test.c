/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a journal: one owner, readers beside it, files that are not ours,
 * directories that cannot be written. */
#include "journal_test.h"

#include <signal.h>

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

static void test_one_owner(void **state)
{
    char *dir = state_dir_new(), pid[64];
    struct journal *j = open_sqlite(dir, NULL);

    (void)state;
    snprintf(pid, sizeof(pid), "in use by process %d (unit test)", (int)getpid());
    assert_refused(dir, NULL, ERR_BUSY, pid);
    assert_refused(dir, NULL, ERR_BUSY, "midwatch watch");
    assert_int_equal(commit_batch(j, 0, NULL), 0);
    j->ops->free(j);
    j = open_sqlite(dir, NULL);
    assert_int_equal(whole_batches(j), 1);
    assert_int_equal(j->ops->next_run(j), BATCH_RUNS + 1);
    assert_int_equal(j->ops->next_run(j), BATCH_RUNS + 2);
    j->ops->free(j);
    state_dir_free(dir);
}

/* As a program that is being started: it has the owner's lock, and outlives it for a moment. */
static void leave_child(void)
{
    pid_t parent = getpid();

    if (fork() != 0)
        return;
    while (getppid() == parent)
        usleep(1000);
    usleep(200 * 1000);
    _exit(0);
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
        leave_child();
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
        {"pragma application_id = 1835623543; pragma user_version = 3; create table t(x)",
         "format 3, this program knows format 2"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_owner),
        cmocka_unit_test(test_a_dead_owner_holds_nothing),
        cmocka_unit_test(test_readers_beside_the_owner),
        cmocka_unit_test(test_foreign_files),
        cmocka_unit_test(test_no_database),
        cmocka_unit_test(test_a_directory_that_is_read_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
