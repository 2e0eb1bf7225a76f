/* SPDX-License-Identifier: Apache-2.0 */
/* The real host: timers, cancel, wake, signals, files; nothing stays open. */
#include "io_test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    struct host *h;
    char order[16];
    size_t n;
    size_t stop_at;
    struct host_op *victim;
    int64_t due_ms;
    int turns;
};

struct mark {
    struct world *w;
    char name;
};

static void start(struct world *w)
{
    struct err e = {0};

    *w = (struct world){.stop_at = 1};
    assert_int_equal(host_real_new(&w->h, &e), 0);
}

static void note(struct world *w, char name)
{
    assert_true(w->n < sizeof w->order - 1);
    w->order[w->n++] = name;
    if (w->n == w->stop_at)
        w->h->ops->stop(w->h);
}

static void on_timer(void *ctx)
{
    struct mark *m = ctx;

    assert_true(m->w->h->ops->mono_ms(m->w->h) >= m->w->due_ms);
    note(m->w, m->name);
}

static struct host_op *timer(struct world *w, int64_t ms, struct mark *m)
{
    struct host_op *op = NULL;
    struct err e = {0};

    assert_int_equal(w->h->ops->timer(w->h, ms, on_timer, m, &op, &e), 0);
    assert_non_null(op);
    return op;
}

static void test_timers_fire_in_order_of_their_delay(void **state)
{
    struct world w;
    struct mark a = {&w, 'a'}, b = {&w, 'b'}, c = {&w, 'c'}, d = {&w, 'd'};
    struct err e = {0};

    (void)state;
    start(&w);
    w.stop_at = 4;
    timer(&w, 30, &c);
    timer(&w, 0, &a);
    timer(&w, 10, &b);
    timer(&w, 30, &d);
    assert_int_equal(w.n, 0);
    assert_int_equal(w.h->ops->run(w.h, NULL, NULL, &e), 0);
    assert_string_equal(w.order, "abcd");
    w.h->ops->free(w.h);
}

static void test_a_timer_is_never_early(void **state)
{
    struct world w;
    struct mark a = {&w, 'a'};
    struct err e = {0};

    (void)state;
    start(&w);
    for (int i = 0; i < 20; i++) {
        w.n = 0;
        w.due_ms = w.h->ops->mono_ms(w.h) + 3;
        timer(&w, 3, &a);
        assert_int_equal(w.h->ops->run(w.h, NULL, NULL, &e), 0);
    }
    w.h->ops->free(w.h);
}

static void on_timer_cancelling(void *ctx)
{
    struct mark *m = ctx;

    m->w->h->ops->cancel(m->w->h, m->w->victim);
    note(m->w, m->name);
}

static void test_no_callback_after_cancel(void **state)
{
    struct world w;
    struct mark a = {&w, 'a'}, x = {&w, 'x'}, z = {&w, 'z'};
    struct host_op *op = NULL;
    struct err e = {0};

    (void)state;
    start(&w);
    w.stop_at = 2;
    w.h->ops->cancel(w.h, timer(&w, 0, &x));
    /* Both are due in the same turn: the first takes the second away. */
    assert_int_equal(w.h->ops->timer(w.h, 0, on_timer_cancelling, &a, &op, &e), 0);
    w.victim = timer(&w, 0, &x);
    timer(&w, 5, &z);
    assert_int_equal(w.h->ops->run(w.h, NULL, NULL, &e), 0);
    assert_string_equal(w.order, "az");
    w.h->ops->free(w.h);
}

static void test_free_ends_what_is_in_flight(void **state)
{
    struct world w;
    struct mark x = {&w, 'x'};
    int before = open_fds();

    (void)state;
    for (int i = 0; i < 3; i++) {
        start(&w);
        timer(&w, 0, &x);
        timer(&w, 1000000, &x);
        w.h->ops->free(w.h);
        assert_int_equal(w.n, 0);
    }
    /* libuv keeps one signal pipe for the process, made by the first loop. */
    assert_in_range(open_fds(), before, before + 2);
    before = open_fds();
    start(&w);
    w.h->ops->free(w.h);
    assert_int_equal(open_fds(), before);
}

static void *wake_from_elsewhere(void *ctx)
{
    struct world *w = ctx;

    w->h->ops->wake(w->h);
    return NULL;
}

static bool stop_at_second_turn(void *ctx)
{
    struct world *w = ctx;
    pthread_t t;

    if (++w->turns == 2) {
        w->h->ops->stop(w->h);
        return false;
    }
    assert_int_equal(pthread_create(&t, NULL, wake_from_elsewhere, w), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    return false;
}

static void test_wake_from_another_thread_runs_a_turn(void **state)
{
    struct world w;
    struct err e = {0};

    (void)state;
    start(&w);
    assert_int_equal(w.h->ops->run(w.h, stop_at_second_turn, &w, &e), 0);
    assert_int_equal(w.turns, 2);
    w.h->ops->free(w.h);
}

static bool busy(void *ctx)
{
    struct world *w = ctx;

    w->turns++;
    return true;
}

static void test_a_busy_turn_does_not_starve_timers(void **state)
{
    struct world w;
    struct mark a = {&w, 'a'};
    struct err e = {0};

    (void)state;
    start(&w);
    timer(&w, 2, &a);
    assert_int_equal(w.h->ops->run(w.h, busy, &w, &e), 0);
    assert_true(w.turns > 1);
    w.h->ops->free(w.h);
}

static void on_signal(void *ctx, int signo)
{
    note(ctx, signo == SIGTERM ? 't' : signo == SIGINT ? 'i' : 'h');
}

static bool raise_next(void *ctx)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct world *w = ctx;

    if (w->turns < 3 && (size_t)w->turns == w->n)
        raise(signals[w->turns++]);
    return true;
}

static void test_signals_reach_the_watcher(void **state)
{
    struct world w;
    struct err e = {0};

    (void)state;
    start(&w);
    w.stop_at = 3;
    w.h->ops->signals(w.h, on_signal, &w);
    assert_int_equal(w.h->ops->run(w.h, raise_next, &w, &e), 0);
    assert_string_equal(w.order, "tih");
    w.h->ops->free(w.h);
}

static void test_random_bytes_differ(void **state)
{
    unsigned char a[300] = {0}, b[300] = {0};
    struct world w;
    struct err e = {0};

    (void)state;
    start(&w);
    assert_int_equal(w.h->ops->random(w.h, a, sizeof a, &e), 0);
    assert_int_equal(w.h->ops->random(w.h, b, sizeof b, &e), 0);
    assert_memory_not_equal(a, b, sizeof a);
    w.h->ops->free(w.h);
}

static void test_files(void **state)
{
    char dir[] = "/tmp/io_host_test.XXXXXX";
    char path[64], gone[64];
    struct buf out;
    struct stat st;
    struct world w;
    struct err e = {0};
    int before;

    (void)state;
    start(&w);
    before = open_fds();
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(gone, sizeof gone, "%s/none/a", dir);
    buf_init(&out, 100);

    assert_false(w.h->ops->exists(w.h, path));
    assert_int_equal(w.h->ops->read_file(w.h, path, 10, &out, &e), ERR_NOT_FOUND);
    assert_int_equal(w.h->ops->remove_file(w.h, path, &e), ERR_NOT_FOUND);
    assert_int_equal(w.h->ops->write_file(w.h, path, STR("one"), &e), 0);
    assert_int_equal(w.h->ops->write_file(w.h, path, STR("two two"), &e), 0);
    assert_true(w.h->ops->exists(w.h, path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    assert_int_equal(w.h->ops->read_file(w.h, path, 7, &out, &e), 0);
    assert_string_equal(buf_text(&out), "two two");
    assert_int_equal(w.h->ops->read_file(w.h, path, 6, &out, &e), ERR_LIMIT);
    assert_string_equal(buf_text(&out), "two two");
    assert_int_equal(w.h->ops->read_file(w.h, dir, 10, &out, &e), ERR_INVALID);
    assert_int_equal(w.h->ops->read_file(w.h, "/dev/zero", 10, &out, &e), ERR_INVALID);
    assert_int_equal(w.h->ops->write_file(w.h, gone, STR("x"), &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, gone));

    assert_int_equal(w.h->ops->remove_file(w.h, path, &e), 0);
    assert_false(w.h->ops->exists(w.h, path));
    /* Nothing is left beside it. */
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(open_fds(), before);
    buf_free(&out);
    w.h->ops->free(w.h);
}

static void test_a_write_that_fails_leaves_the_old_file(void **state)
{
    char dir[] = "/tmp/io_host_test.XXXXXX";
    char path[64];
    static char large[64 * 1024];
    struct rlimit old, small;
    struct buf out;
    struct world w;
    struct err e = {0};

    (void)state;
    start(&w);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a", dir);
    buf_init(&out, 100);
    assert_int_equal(w.h->ops->write_file(w.h, path, STR("old"), &e), 0);

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 4096, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(w.h->ops->write_file(w.h, path, (struct str){large, sizeof large}, &e), ERR_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

    assert_int_equal(w.h->ops->read_file(w.h, path, 10, &out, &e), 0);
    assert_string_equal(buf_text(&out), "old");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    buf_free(&out);
    w.h->ops->free(w.h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_fire_in_order_of_their_delay),
        cmocka_unit_test(test_a_timer_is_never_early),
        cmocka_unit_test(test_no_callback_after_cancel),
        cmocka_unit_test(test_free_ends_what_is_in_flight),
        cmocka_unit_test(test_wake_from_another_thread_runs_a_turn),
        cmocka_unit_test(test_a_busy_turn_does_not_starve_timers),
        cmocka_unit_test(test_signals_reach_the_watcher),
        cmocka_unit_test(test_random_bytes_differ),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_a_write_that_fails_leaves_the_old_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
