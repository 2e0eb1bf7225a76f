/* SPDX-License-Identifier: Apache-2.0 */
/* Children that stay: what is said arrives, in both directions, and no group outlives its call. */
#include "io/host.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct talk {
    struct host *h;
    struct host_op *op, *timer;
    struct buf out, errout;
    bool closed, over;
    int ends, code, signal;
    const char *until;      /* stop when this is in out */
};

static void on_out(void *ctx, struct str bytes)
{
    struct talk *t = ctx;

    assert_int_equal(t->ends, 0);
    t->closed |= bytes.n == 0;
    buf_add(&t->out, bytes.p, bytes.n);
    if (t->until && strstr(buf_text(&t->out), t->until))
        t->h->ops->stop(t->h);
}

static void on_err(void *ctx, struct str bytes)
{
    buf_add(&((struct talk *)ctx)->errout, bytes.p, bytes.n);
}

static void on_end(void *ctx, int code, int signo)
{
    struct talk *t = ctx;

    t->ends++;
    t->code = code;
    t->signal = signo;
    t->op = NULL;
    t->h->ops->stop(t->h);
}

static void on_time(void *ctx)
{
    struct talk *t = ctx;

    t->timer = NULL;
    t->over = true;
    t->h->ops->stop(t->h);
}

static struct talk start(void)
{
    struct talk t = {.out = BUF_INIT(1 << 22), .errout = BUF_INIT(1 << 22)};
    struct err e = {0};

    assert_int_equal(host_real_new(&t.h, &e), 0);
    return t;
}

static int begin(struct talk *t, const char *script, struct err *e)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct child_request r = {.argv = argv, .cwd = "/", .out = on_out, .errout = on_err, .ended = on_end, .ctx = t};

    return t->h->ops->child(t->h, &r, &t->op, e);
}

/* Runs until the child ends, says `until`, or ms are over. */
static void wait_for(struct talk *t, const char *until, int64_t ms)
{
    struct err e = {0};

    t->until = until;
    t->over = false;
    assert_int_equal(t->h->ops->timer(t->h, ms, on_time, t, &t->timer, &e), 0);
    t->h->ops->run(t->h, NULL, NULL, &e);
    if (t->timer)
        t->h->ops->cancel(t->h, t->timer);
}

static void finish(struct talk *t)
{
    t->h->ops->free(t->h);
    buf_free(&t->out);
    buf_free(&t->errout);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_talks(void **state)
{
    struct talk t = start();
    struct err e = {0};

    (void)state;
    assert_int_equal(begin(&t, "while read x; do echo got $x; echo err $x >&2; done; exit 4", &e), 0);
    assert_int_equal(t.h->ops->say(t.h, t.op, STR("one\n"), &e), 0);
    wait_for(&t, "got one\n", 5000);
    assert_int_equal(t.h->ops->say(t.h, t.op, STR("two\nthree\n"), &e), 0);
    wait_for(&t, "got three\n", 5000);
    assert_string_equal(buf_text(&t.out), "got one\ngot two\ngot three\n");
    assert_non_null(strstr(buf_text(&t.errout), "err one\n"));
    assert_int_equal(t.ends, 0);
    t.h->ops->cancel(t.h, t.op);
    wait_for(&t, NULL, 100);
    assert_int_equal(t.ends, 0);
    finish(&t);
}

static void test_says_how_it_ended(void **state)
{
    struct talk t = start();
    struct err e = {0};

    (void)state;
    assert_int_equal(begin(&t, "echo last words; exit 7", &e), 0);
    wait_for(&t, NULL, 5000);
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.code, 7);
    assert_string_equal(buf_text(&t.out), "last words\n");
    assert_true(t.closed);
    finish(&t);
    t = start();
    assert_int_equal(begin(&t, "kill -9 $$", &e), 0);
    wait_for(&t, NULL, 5000);
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.signal, SIGKILL);
    finish(&t);
}

/* The grandchild keeps the output open and must not outlive the leader. */
static void test_group_dies_with_leader(void **state)
{
    struct talk t = start();
    struct err e = {0};
    long pid;

    (void)state;
    assert_int_equal(begin(&t, "sleep 60 & echo $!", &e), 0);
    wait_for(&t, NULL, 5000);
    assert_int_equal(t.ends, 1);
    pid = strtol(buf_text(&t.out), NULL, 10);
    assert_true(pid > 1);
    for (int i = 0; i < 50 && kill((pid_t)pid, 0) == 0; i++) {
        char path[64], line[256] = "";
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
        f = fopen(path, "re");
        if (!f || !fgets(line, sizeof(line), f) || strstr(line, ") Z")) {
            if (f)
                fclose(f);
            break;      /* gone, or a zombie that init has not taken yet */
        }
        fclose(f);
        usleep(20000);
        assert_true(i < 49);
    }
    finish(&t);
}

static void test_closed_input(void **state)
{
    struct talk t = start();
    struct err e = {0};
    int rc = 0;

    (void)state;
    assert_int_equal(begin(&t, "exec 0<&-; echo closed; sleep 60", &e), 0);
    wait_for(&t, "closed\n", 5000);
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = t.h->ops->say(t.h, t.op, STR("hello\n"), &e);
    assert_int_equal(rc, ERR_IO);
    assert_string_equal(e.msg, "it closed its input");
    t.h->ops->cancel(t.h, t.op);
    finish(&t);
}

static void test_input_that_is_not_read(void **state)
{
    struct talk t = start();
    struct err e = {0};
    struct buf much = BUF_INIT(1 << 20);
    int rc = 0, i;

    (void)state;
    while (much.len < (1 << 20) - 100)
        buf_adds(&much, "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\n");
    assert_int_equal(begin(&t, "sleep 60", &e), 0);
    for (i = 0; i < 100 && rc == 0; i++)
        rc = t.h->ops->say(t.h, t.op, (struct str){much.data, much.len}, &e);
    assert_int_equal(rc, ERR_LIMIT);
    assert_true(i < 12);
    t.h->ops->cancel(t.h, t.op);
    buf_free(&much);
    finish(&t);
}

/* More than a pipe holds goes through, in order. */
static void test_large_input(void **state)
{
    struct talk t = start();
    struct buf much = BUF_INIT(1 << 21);
    struct err e = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        buf_addf(&much, "%d\n", i);
    assert_int_equal(begin(&t, "cat", &e), 0);
    assert_int_equal(t.h->ops->say(t.h, t.op, (struct str){much.data, much.len}, &e), 0);
    wait_for(&t, "\n99999\n", 20000);
    assert_int_equal(t.out.len, much.len);
    assert_memory_equal(t.out.data, much.data, much.len);
    t.h->ops->cancel(t.h, t.op);
    buf_free(&much);
    finish(&t);
}

static void test_not_a_program(void **state)
{
    const char *const argv[] = {"/nowhere/at/all", NULL};
    struct talk t = start();
    struct child_request r = {.argv = argv, .cwd = "/", .out = on_out, .errout = on_err, .ended = on_end, .ctx = &t};
    struct err e = {0};

    (void)state;
    assert_int_equal(t.h->ops->child(t.h, &r, &t.op, &e), ERR_IO);
    assert_string_equal(e.msg, "run /nowhere/at/all: not found");
    wait_for(&t, NULL, 50);
    assert_int_equal(t.ends, 0);
    finish(&t);
}

/* Nothing of ours goes in: no descriptor above the three, no environment but the minimal one. */
static void test_inherits_nothing(void **state)
{
    struct talk t = start();
    struct err e = {0};

    (void)state;
    setenv("MIDWATCH_TEST_SECRET", "canary", 1);
    assert_int_equal(begin(&t, "ls /proc/self/fd | tr '\\n' ' '; env | cut -d= -f1 | sort | tr '\\n' ' '", &e), 0);
    wait_for(&t, NULL, 5000);
    assert_null(strstr(buf_text(&t.out), "MIDWATCH_TEST_SECRET"));
    assert_non_null(strstr(buf_text(&t.out), "0 1 2 3 HOME LANG"));     /* 3 is the directory that ls reads */
    finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talks), cmocka_unit_test(test_says_how_it_ended),
        cmocka_unit_test(test_group_dies_with_leader), cmocka_unit_test(test_closed_input),
        cmocka_unit_test(test_input_that_is_not_read), cmocka_unit_test(test_large_input),
        cmocka_unit_test(test_not_a_program), cmocka_unit_test(test_inherits_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
