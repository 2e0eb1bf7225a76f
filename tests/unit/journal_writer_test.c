/* SPDX-License-Identifier: Apache-2.0 */
/* The journal thread: items of several runs share a commit, each is answered once and
 * in the order of submission, what was handed in may be overwritten, and after a
 * failure everybody is told. */
#include "journal_test.h"

#include "journal/writer.h"

#include <pthread.h>

enum { MANY = 200 };

struct world {
    char *dir;
    struct journal_options options;
    struct writer *w;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool held, waiting;         /* the thread stops at "begin" while held; waiting: it has arrived there */
    int commits_left;           /* then "commit" fails; negative = never */
    int wakes;
    int order[MANY], n;         /* the callbacks */
    int results[MANY], codes[MANY];
    const char *refusals[MANY];
};

struct ticket {
    struct world *world;
    int number;
};
static struct ticket tickets[MANY];

static int at_point(void *ctx, const char *step)
{
    struct world *x = ctx;
    int rc = 0;

    pthread_mutex_lock(&x->mutex);
    while (x->held && strcmp(step, "begin") == 0) {
        x->waiting = true;
        pthread_cond_broadcast(&x->changed);
        pthread_cond_wait(&x->changed, &x->mutex);
    }
    if (strcmp(step, "commit") == 0 && x->commits_left >= 0)
        rc = x->commits_left-- == 0 ? -1 : 0;
    pthread_mutex_unlock(&x->mutex);
    return rc;
}

static void on_wake(void *ctx)
{
    struct world *x = ctx;

    pthread_mutex_lock(&x->mutex);
    x->wakes++;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->mutex);
}

static void on_done(void *ctx, const struct journal_item *item, const struct err *e)
{
    struct ticket *t = ctx;
    struct world *x = t->world;

    assert_true(x->n < MANY);
    x->order[x->n++] = t->number;
    x->results[t->number] = (int)item->result;
    x->refusals[t->number] = item->refusal;
    x->codes[t->number] = e ? e->code : 0;
}

static void start(struct world *x, bool threaded)
{
    struct err e = {0};

    *x = (struct world){.dir = state_dir_new(), .commits_left = -1};
    x->options = (struct journal_options){.point = at_point, .ctx = x};
    pthread_mutex_init(&x->mutex, NULL);
    pthread_cond_init(&x->changed, NULL);
    good(writer_new(open_sqlite(x->dir, &x->options), threaded, on_wake, x, &x->w, &e), &e);
}

static void stop(struct world *x)
{
    writer_free(x->w);
    pthread_mutex_destroy(&x->mutex);
    pthread_cond_destroy(&x->changed);
    state_dir_free(x->dir);
}

static void hold(struct world *x, bool held)
{
    pthread_mutex_lock(&x->mutex);
    x->held = held;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->mutex);
}

static void wait_until_held(struct world *x)
{
    writer_hand_over(x->w);
    pthread_mutex_lock(&x->mutex);
    while (!x->waiting)
        pthread_cond_wait(&x->changed, &x->mutex);
    pthread_mutex_unlock(&x->mutex);
}

/* An item as number `number`, in memory that is overwritten right after. */
static void submit(struct world *x, int number, struct journal_item item)
{
    tickets[number] = (struct ticket){x, number};
    good(writer_submit(x->w, &item, on_done, &tickets[number], NULL), NULL);
    if (item.nrows)
        memset((void *)item.rows, 0x55, item.nrows * sizeof(*item.rows));
    if (item.nchanges)
        memset((void *)item.changes, 0x55, item.nchanges * sizeof(*item.changes));
}

static void submit_new(struct world *x, int number, int64_t run)
{
    struct row rows[2];
    struct change made;

    submit(x, number, batch_item(run, 1, rows, &made));
}

static void submit_rows(struct world *x, int number, int64_t run, int64_t seq)
{
    struct row rows[2];

    submit(x, number, batch_item(run, seq, rows, NULL));
}

static void assert_in_order(const struct world *x, int n)
{
    int i;

    assert_int_equal(x->n, n);
    for (i = 0; i < n; i++)
        assert_int_equal(x->order[i], i);
}

static void assert_rows(struct journal *j, int64_t run, int64_t next)
{
    struct buf out = BUF_INIT(MIB);

    assert_int_equal(dump_rows(j, run, &out), next);
    assert_null(strstr(buf_text(&out), "BROKEN"));
    assert_non_null(strstr(buf_text(&out), "{\"text\":\"a note\"}"));
    buf_free(&out);
}

static void test_waiting_items_share_a_commit(void **state)
{
    struct world x;
    struct err e = {0};
    int i;

    (void)state;
    start(&x, true);
    hold(&x, true);
    submit_new(&x, 0, 1);
    wait_until_held(&x);
    for (i = 1; i < 9; i++)
        submit_new(&x, i, i + 1);
    for (i = 9; i < 45; i++)
        submit_rows(&x, i, 1 + i % 9, 2 * (i / 9) + 1);
    assert_int_equal(writer_poll(x.w), 0);
    hold(&x, false);
    assert_int_equal(writer_flush(x.w, &e), 0);
    assert_in_order(&x, 45);
    assert_int_equal(writer_commits(x.w), 2);
    assert_int_equal(x.wakes, 2);
    for (i = 1; i <= 9; i++)
        assert_rows(writer_journal(x.w), i, 11);
    stop(&x);
}

/* While somebody gathers the journal thread has none of them, and they need one commit; the sixteenth does not wait, and
 * what nobody gathers does not either. */
static void test_a_few_are_held_until_they_are_handed_over(void **state)
{
    struct world x;
    struct err e = {0};
    int i;

    (void)state;
    start(&x, true);
    writer_gather(x.w);
    hold(&x, true);
    submit_new(&x, 0, 1);
    for (i = 1; i < 3; i++)
        submit_rows(&x, i, 1, 2 * i + 1);
    assert_false(x.waiting);
    wait_until_held(&x);
    hold(&x, false);
    assert_int_equal(writer_flush(x.w, &e), 0);
    assert_int_equal(writer_commits(x.w), 1);
    writer_gather(x.w);
    for (; i < 19; i++)
        submit_rows(&x, i, 1, 2 * i + 1);
    pthread_mutex_lock(&x.mutex);
    while (x.wakes < 2)
        pthread_cond_wait(&x.changed, &x.mutex);
    pthread_mutex_unlock(&x.mutex);
    assert_int_equal(writer_poll(x.w), 16);
    assert_in_order(&x, 19);
    assert_int_equal(writer_commits(x.w), 2);
    writer_hand_over(x.w);
    submit_rows(&x, 19, 1, 39);
    pthread_mutex_lock(&x.mutex);
    while (x.wakes < 3)
        pthread_cond_wait(&x.changed, &x.mutex);
    pthread_mutex_unlock(&x.mutex);
    assert_int_equal(writer_poll(x.w), 1);
    assert_rows(writer_journal(x.w), 1, 41);
    stop(&x);
}

/* Each of many: refused, fenced and committed items of one commit do not touch each other. */
static void test_each_item_has_its_result(void **state)
{
    static const struct guard busy = {.kind = GUARD_LOCK, .target = {"sh:a", 4}};
    struct world x;
    struct row rows[2];
    struct change take = {.kind = CHANGE_LOCK, .target = STR("sh:a")};
    struct journal_item item;

    (void)state;
    start(&x, false);
    submit_new(&x, 0, 1);
    submit_new(&x, 1, 2);
    item = (struct journal_item){.run = 1, .epoch = 1, .changes = &take, .nchanges = 1};
    submit(&x, 2, item);
    item = batch_item(2, 3, rows, NULL);
    item.guards = &busy;
    item.nguards = 1;
    submit(&x, 3, item);
    item = batch_item(1, 3, rows, NULL);
    item.epoch = 7;
    submit(&x, 4, item);
    submit_rows(&x, 5, 2, 3);
    assert_int_equal(writer_poll(x.w), 6);
    assert_in_order(&x, 6);
    assert_int_equal(writer_commits(x.w), 1);
    assert_int_equal(x.results[3], ITEM_REFUSED);
    assert_string_equal(x.refusals[3], "target_busy");
    assert_int_equal(x.results[4], ITEM_FENCED);
    assert_int_equal(x.results[5], ITEM_COMMITTED);
    assert_rows(writer_journal(x.w), 1, 3);
    assert_rows(writer_journal(x.w), 2, 5);
    stop(&x);
}

static void test_more_than_one_commit_holds(void **state)
{
    struct world x;
    struct err e = {0};
    int i;

    (void)state;
    start(&x, true);
    hold(&x, true);
    submit_new(&x, 0, 1);
    wait_until_held(&x);
    for (i = 1; i < MANY; i++)
        submit_rows(&x, i, 1, 2 * i + 1);
    hold(&x, false);
    assert_int_equal(writer_flush(x.w, &e), 0);
    assert_in_order(&x, MANY);
    assert_true(writer_commits(x.w) >= 3 && writer_commits(x.w) <= 6);
    assert_rows(writer_journal(x.w), 1, 2 * MANY + 1);
    stop(&x);
}

static bool keep_file(void *ctx, const char *path, struct str data)
{
    buf_addf(ctx, "%s=%.*s;", path, (int)data.n, data.p);
    return true;
}

static void test_a_bundle_goes_with_its_run(void **state)
{
    char path[] = "runbook.md", text[] = "# T";
    struct blob_ref file = {.path = path, .data = STR("")};
    struct world x;
    struct buf meta = BUF_INIT(KIB), files = BUF_INIT(KIB);
    struct err e = {0};

    (void)state;
    file.data = (struct str){text, 3};
    start(&x, true);
    hold(&x, true);
    good(writer_put_bundle(x.w, "cafe", STR("{\"abi\":1}"), &file, 1, &e), &e);
    submit_new(&x, 0, 1);
    memset(path, 'x', 7);
    memset(text, 'x', 3);
    hold(&x, false);
    assert_int_equal(writer_flush(x.w, &e), 0);
    assert_true(writer_commits(x.w) >= 1);
    good(writer_journal(x.w)->ops->get_bundle(writer_journal(x.w), "cafe", &meta, keep_file, &files, &e), &e);
    assert_string_equal(buf_text(&meta), "{\"abi\":1}");
    assert_string_equal(buf_text(&files), "runbook.md=# T;");
    assert_rows(writer_journal(x.w), 1, 3);
    buf_free(&meta);
    buf_free(&files);
    stop(&x);
}

/* The failed commit's items and all later ones get the error, and none of them is on disk. */
static void test_after_a_failure_everybody_is_told(void **state)
{
    struct world x;
    struct journal *j;
    struct err e = {0};
    int i;

    (void)state;
    start(&x, true);
    submit_new(&x, 0, 1);
    assert_int_equal(writer_flush(x.w, &e), 0);
    assert_int_equal(x.codes[0], 0);
    pthread_mutex_lock(&x.mutex);
    x.commits_left = 0;
    pthread_mutex_unlock(&x.mutex);
    for (i = 1; i < 4; i++)
        submit_rows(&x, i, 1, 2 * i + 1);
    assert_int_equal(writer_flush(x.w, &e), ERR_DISK);
    submit_rows(&x, 4, 1, 3);
    assert_int_equal(writer_flush(x.w, &e), ERR_DISK);
    assert_in_order(&x, 5);
    for (i = 1; i < 5; i++)
        assert_int_equal(x.codes[i], ERR_DISK);
    assert_int_equal(writer_commits(x.w), 1);
    writer_free(x.w);
    j = open_sqlite(x.dir, NULL);
    assert_rows(j, 1, 3);
    x.commits_left = -1;
    good(writer_new(j, false, NULL, NULL, &x.w, &e), &e);
    stop(&x);
}

/* One run's impossible item is its own trouble, not that of all runs. */
static void test_an_item_that_cannot_be_is_not_taken(void **state)
{
    static char long_name[2000];
    struct world x;
    struct row rows[2];
    struct journal_item item;
    struct err e = {0};

    (void)state;
    memset(long_name, 'n', sizeof(long_name));
    start(&x, true);
    submit_new(&x, 0, 1);
    item = batch_item(1, 3, rows, NULL);
    rows[0].name = (struct str){long_name, sizeof(long_name)};
    assert_int_equal(writer_submit(x.w, &item, on_done, NULL, &e), ERR_LIMIT);
    assert_non_null(strstr(e.msg, "a row's name has 2000 bytes"));
    submit_rows(&x, 1, 1, 3);
    good(writer_flush(x.w, &e), &e);
    assert_in_order(&x, 2);
    assert_rows(writer_journal(x.w), 1, 5);
    stop(&x);
}

/* What waits when the program leaves is written, not dropped. */
static void test_leaving_writes_what_waits(void **state)
{
    struct world x;
    struct journal *j;
    struct err e = {0};
    int i;

    (void)state;
    start(&x, true);
    submit_new(&x, 0, 1);
    for (i = 1; i < 50; i++)
        submit_rows(&x, i, 1, 2 * i + 1);
    writer_free(x.w);
    assert_int_equal(x.n, 0);
    j = open_sqlite(x.dir, NULL);
    assert_rows(j, 1, 101);
    good(writer_new(j, false, NULL, NULL, &x.w, &e), &e);
    stop(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_items_share_a_commit), cmocka_unit_test(test_each_item_has_its_result),
        cmocka_unit_test(test_more_than_one_commit_holds),   cmocka_unit_test(test_a_bundle_goes_with_its_run),
        cmocka_unit_test(test_after_a_failure_everybody_is_told),
        cmocka_unit_test(test_an_item_that_cannot_be_is_not_taken),
        cmocka_unit_test(test_a_few_are_held_until_they_are_handed_over),
        cmocka_unit_test(test_leaving_writes_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
