/* SPDX-License-Identifier: Apache-2.0 */
/* The name of the log is on disk before the first commit counts, once per process and journal: by SQLite, or ahead by
 * `begin`. Counted where it is paid. */
#include "journal_test.h"

#include "journal/writer.h"

#include <errno.h>
#include <sys/syscall.h>

static int directories, files;      /* synced */
static bool refuses;                /* to sync a directory */

static int counted(int fd, long call)
{
    struct stat st;
    bool is_dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);

    directories += is_dir;
    files += !is_dir;
    if (is_dir && refuses) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

/* SQLite is linked from its archive: these are what it calls. */
int fdatasync(int fd) { return counted(fd, SYS_fdatasync); }
int fsync(int fd) { return counted(fd, SYS_fsync); }

/* A journal that there was before this process. */
static struct journal *open_again(const char *dir)
{
    struct journal *j = open_sqlite(dir, NULL);

    j->ops->free(j);
    j = open_sqlite(dir, NULL);
    directories = files = 0;
    return j;
}

static int commit_one(struct journal *j, int64_t run, struct err *e)
{
    struct row rows[2];
    struct change made;
    struct journal_item item = batch_item(run, 1, rows, &made);

    return j->ops->commit(j, &item, 1, e);
}

static void test_the_first_commit_names_the_log(void **state)
{
    char *dir = state_dir_new();
    struct journal *j = open_again(dir);
    struct err e = {0};

    (void)state;
    good(commit_one(j, 1, &e), &e);
    assert_int_equal(directories, 1);
    good(commit_one(j, 2, &e), &e);
    assert_int_equal(directories, 1);
    assert_int_equal(files, 2);
    j->ops->free(j);
    state_dir_free(dir);
}

static void test_begin_names_it_ahead(void **state)
{
    char *dir = state_dir_new(), *other_dir = state_dir_new();
    struct journal *j = open_again(dir), *other = open_again(other_dir);
    struct err e = {0};

    (void)state;
    good(j->ops->begin(j, &e), &e);
    assert_int_equal(directories, 1);
    assert_int_equal(files, 0);
    good(commit_one(j, 1, &e), &e);
    good(commit_one(j, 2, &e), &e);
    assert_int_equal(directories, 1);
    assert_int_equal(files, 2);
    good(commit_one(other, 1, &e), &e);     /* nobody did it for that one */
    assert_int_equal(directories, 2);
    other->ops->free(other);
    state_dir_free(other_dir);
    other_dir = state_dir_new();
    good(commit_one(j, 3, &e), &e);
    assert_int_equal(directories, 2);
    other = open_sqlite(other_dir, NULL);   /* nor for one that is made now */
    assert_true(directories > 2);
    j->ops->free(j);
    other->ops->free(other);
    state_dir_free(dir);
    state_dir_free(other_dir);
}

static void test_without_a_name_nothing_is_committed(void **state)
{
    char *dir = state_dir_new();
    struct journal *j = open_again(dir);
    struct err e = {0};

    (void)state;
    refuses = true;
    assert_int_equal(j->ops->begin(j, &e), ERR_DISK);
    refuses = false;
    assert_int_equal(commit_one(j, 1, &e), ERR_DISK);
    assert_int_equal(files, 0);
    j->ops->free(j);
    state_dir_free(dir);
}

static void on_done(void *ctx, const struct journal_item *item, const struct err *e)
{
    (void)item;
    *(int *)ctx = e ? e->code : 1;
}

static void test_the_thread_begins_once(void **state)
{
    char *dir = state_dir_new();
    struct row rows[2];
    struct change made;
    struct journal_item item = batch_item(1, 1, rows, &made);
    struct writer *w;
    struct err e = {0};
    int told = 0;

    (void)state;
    good(writer_new(open_again(dir), true, NULL, NULL, &w, &e), &e);
    writer_begin(w);
    writer_begin(w);
    good(writer_flush(w, &e), &e);
    assert_int_equal(directories, 1);
    assert_int_equal(writer_commits(w), 0);
    good(writer_submit(w, &item, on_done, &told, &e), &e);
    good(writer_flush(w, &e), &e);
    assert_int_equal(told, 1);
    assert_int_equal(directories, 1);
    writer_free(w);
    good(writer_new(open_again(dir), true, NULL, NULL, &w, &e), &e);
    refuses = true;
    writer_begin(w);
    item = batch_item(2, 1, rows, &made);
    good(writer_submit(w, &item, on_done, &told, &e), &e);
    assert_int_equal(writer_flush(w, &e), ERR_DISK);
    assert_int_equal(told, ERR_DISK);
    refuses = false;
    writer_free(w);
    state_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_commit_names_the_log),
        cmocka_unit_test(test_begin_names_it_ahead),
        cmocka_unit_test(test_without_a_name_nothing_is_committed),
        cmocka_unit_test(test_the_thread_begins_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
