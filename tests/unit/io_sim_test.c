/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated host: virtual time, ordered answers, the same again with the
 * same seed, failure at the Nth call. */
#include "io/host_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TRACE_MAX = 4096 };

static const int64_t START_MS = 1700000000000;

struct world {
    struct host *h;
    char trace[TRACE_MAX];
    size_t n;
    int points;
    int fail_at;            /* 1 = the first; 0 = never */
    int64_t delay_ms;
    int code;
    const char *text;
    int ticks;
    struct host_op *victim;
};

static void say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct world *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    w->n += (size_t)vsnprintf(w->trace + w->n, sizeof w->trace - w->n, fmt, ap);
    va_end(ap);
    assert_true(w->n < sizeof w->trace);
}

static int on_http_request(void *ctx, const struct http_request *r, struct buf *body, int64_t *delay_ms)
{
    struct world *w = ctx;

    say(w, "[%s]", r->url);
    *delay_ms = w->delay_ms;
    if (w->text)
        buf_adds(body, w->text);
    return w->code;
}

static int on_spawn_request(void *ctx, const struct spawn_request *r, struct buf *out, struct buf *errout,
                            int64_t *delay_ms)
{
    struct world *w = ctx;

    say(w, "[%s]", r->argv[0]);
    *delay_ms = w->delay_ms;
    if (w->text)
        buf_adds(out, w->text);
    buf_adds(errout, "warned");
    return w->code;
}

static int on_point(void *ctx, const char *call)
{
    struct world *w = ctx;

    (void)call;
    return ++w->points == w->fail_at ? ERR_IO : 0;
}

static void on_tick(void *ctx, int64_t wall_ms)
{
    struct world *w = ctx;

    w->ticks++;
    say(w, "<%lld>", (long long)(wall_ms - START_MS));
}

static void start(struct world *w, uint64_t seed)
{
    struct host_sim_options o = {
        .wall_ms = START_MS,
        .seed = seed,
        .http = on_http_request,
        .spawn = on_spawn_request,
        .point = on_point,
        .tick = on_tick,
        .ctx = w,
    };
    struct err e = {0};

    *w = (struct world){.code = 200};
    assert_int_equal(host_sim_new(&o, &w->h, &e), 0);
}

static void run(struct world *w)
{
    struct err e = {0};

    assert_int_equal(w->h->ops->run(w->h, NULL, NULL, &e), 0);
}

static void on_timer(void *ctx)
{
    say(ctx, "t");
}

static void on_answer(void *ctx, const struct http_answer *a)
{
    if (a->err)
        say(ctx, "%s:%s", a->sent == HTTP_NOT_SENT ? "not" : "maybe", err_code_name(a->err->code));
    else
        say(ctx, "%d:%.*s:%s", a->status, (int)a->body.n, a->body.p, a->headers[0].value);
}

static void on_end(void *ctx, const struct spawn_answer *a)
{
    say(ctx, "%d/%d%s%s:%.*s:%.*s", a->exit_code, a->signal, a->timed_out ? " late" : "", a->truncated ? " cut" : "",
        (int)a->out.n, a->out.p, (int)a->errout.n, a->errout.p);
}

static void timer(struct world *w, int64_t ms)
{
    struct err e = {0};

    assert_int_equal(w->h->ops->timer(w->h, ms, on_timer, w, &w->victim, &e), 0);
}

static void http(struct world *w, struct http_request r)
{
    struct err e = {0};

    r.url = "http://a/";
    assert_int_equal(w->h->ops->http(w->h, &r, on_answer, w, &w->victim, &e), 0);
}

static void spawn(struct world *w, struct spawn_request r)
{
    static const char *const argv[] = {"tool", NULL};
    struct err e = {0};

    r.argv = argv;
    assert_int_equal(w->h->ops->spawn(w->h, &r, on_end, w, &w->victim, &e), 0);
}

static void test_the_clock_jumps_to_the_next_timer(void **state)
{
    struct world w;
    int64_t mono;

    (void)state;
    start(&w, 1);
    mono = w.h->ops->mono_ms(w.h);
    timer(&w, 3600 * 1000);
    timer(&w, 1000);
    timer(&w, 1000);
    run(&w);
    assert_string_equal(w.trace, "<1000>tt<3600000>t");
    assert_true(w.h->ops->wall_ms(w.h) == START_MS + 3600 * 1000);
    assert_int_equal(w.h->ops->mono_ms(w.h) - mono, 3600 * 1000);
    w.h->ops->free(w.h);
}

static void test_an_idle_host_returns(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1);
    run(&w);
    assert_int_equal(w.ticks, 0);
    w.h->ops->free(w.h);
}

static void test_answers_come_in_the_order_of_their_delays(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1);
    w.text = "{}";
    w.delay_ms = 20;
    http(&w, (struct http_request){0});
    w.delay_ms = 0;
    w.text = "<p>";
    http(&w, (struct http_request){0});
    w.code = 3;
    spawn(&w, (struct spawn_request){0});
    assert_string_equal(w.trace, "[http://a/][http://a/][tool]");
    run(&w);
    assert_string_equal(w.trace, "[http://a/][http://a/][tool]"
                                 "200:<p>:text/html3/0:<p>:warned<20>200:{}:application/json");
    w.h->ops->free(w.h);
}

static void test_bad_answers_are_told_apart(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1);
    w.code = 0;
    http(&w, (struct http_request){0});
    w.code = -1;
    http(&w, (struct http_request){0});
    w.code = 200;
    w.text = "too long";
    http(&w, (struct http_request){.max_body = 3});
    w.delay_ms = 501;
    http(&w, (struct http_request){.timeout_ms = 500});
    w.n = 0;
    run(&w);
    assert_string_equal(w.trace, "maybe:ionot:iomaybe:limit<500>maybe:timeout");
    w.h->ops->free(w.h);
}

static void test_children(void **state)
{
    static const char *const argv[] = {"gone", NULL};
    struct world w;
    struct host_op *op = NULL;
    struct err e = {0};

    (void)state;
    start(&w, 1);
    w.text = "12345";
    w.code = 0;
    spawn(&w, (struct spawn_request){.max_output = 4});
    w.delay_ms = 1001;
    spawn(&w, (struct spawn_request){.timeout_ms = 1000});
    w.n = 0;
    run(&w);
    assert_string_equal(w.trace, "0/0 cut::<1000>-1/15 late:12345:warned");
    w.code = -1;
    assert_int_equal(w.h->ops->spawn(w.h, &(struct spawn_request){.argv = argv}, on_end, &w, &op, &e), ERR_IO);
    assert_string_equal(e.msg, "run gone: not found");
    w.h->ops->free(w.h);
}

static void test_no_callback_after_cancel_or_free(void **state)
{
    struct world w;

    (void)state;
    start(&w, 1);
    timer(&w, 5);
    w.h->ops->cancel(w.h, w.victim);
    run(&w);
    assert_string_equal(w.trace, "");
    timer(&w, 5);
    http(&w, (struct http_request){0});
    w.n = 0;
    w.trace[0] = '\0';
    w.h->ops->free(w.h);
    assert_string_equal(w.trace, "");
}

static void test_random_bytes_follow_the_seed(void **state)
{
    unsigned char a[32], b[32], c[32];
    struct world w;
    struct err e = {0};

    (void)state;
    start(&w, 7);
    assert_int_equal(w.h->ops->random(w.h, a, sizeof a, &e), 0);
    w.h->ops->free(w.h);
    start(&w, 7);
    assert_int_equal(w.h->ops->random(w.h, b, sizeof b, &e), 0);
    w.h->ops->free(w.h);
    start(&w, 8);
    assert_int_equal(w.h->ops->random(w.h, c, sizeof c, &e), 0);
    w.h->ops->free(w.h);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
}

static void test_files_are_in_memory(void **state)
{
    const char *path = "/io_sim_test/x";
    struct world w;
    struct buf out;
    struct err e = {0};

    (void)state;
    start(&w, 1);
    buf_init(&out, 100);
    assert_false(w.h->ops->exists(w.h, path));
    assert_int_equal(w.h->ops->read_file(w.h, path, 9, &out, &e), ERR_NOT_FOUND);
    assert_int_equal(w.h->ops->write_file(w.h, path, STR("a\0b"), &e), 0);
    assert_int_equal(w.h->ops->write_file(w.h, path, STR("c\0de"), &e), 0);
    assert_true(w.h->ops->exists(w.h, path));
    assert_int_equal(w.h->ops->read_file(w.h, path, 3, &out, &e), ERR_LIMIT);
    assert_int_equal(w.h->ops->read_file(w.h, path, 4, &out, &e), 0);
    assert_int_equal(out.len, 4);
    assert_memory_equal(buf_text(&out), "c\0de", 4);
    assert_int_equal(w.h->ops->remove_file(w.h, path, &e), 0);
    assert_int_equal(w.h->ops->remove_file(w.h, path, &e), ERR_NOT_FOUND);
    assert_int_equal(w.h->ops->write_file(w.h, path, STR("left behind"), &e), 0);
    buf_free(&out);
    w.h->ops->free(w.h);
}

/* One call of each kind; the number of calls that worked before the first failure. */
static int flow(struct world *w)
{
    static const char *const argv[] = {"tool", NULL};
    struct host_op *op = NULL;
    struct err e = {0};
    unsigned char byte;
    struct buf out;
    int done = 0;

    buf_init(&out, 10);
    if (w->h->ops->random(w->h, &byte, 1, &e) == 0 && ++done &&
        w->h->ops->timer(w->h, 1, on_timer, w, &op, &e) == 0 && ++done &&
        w->h->ops->http(w->h, &(struct http_request){.url = "http://a/"}, on_answer, w, &op, &e) == 0 && ++done &&
        w->h->ops->spawn(w->h, &(struct spawn_request){.argv = argv}, on_end, w, &op, &e) == 0 && ++done &&
        w->h->ops->write_file(w->h, "a", STR("b"), &e) == 0 && ++done &&
        w->h->ops->read_file(w->h, "a", 10, &out, &e) == 0 && ++done &&
        w->h->ops->remove_file(w->h, "a", &e) == 0)
        ++done;
    else
        assert_int_equal(e.code, ERR_IO);
    buf_free(&out);
    return done;
}

static void test_each_call_can_be_made_to_fail(void **state)
{
    enum { CALLS = 7 };
    struct world w;

    (void)state;
    for (int n = 1; n <= CALLS + 1; n++) {
        start(&w, 1);
        w.fail_at = n;
        assert_int_equal(flow(&w), n - 1);
        assert_int_equal(w.points, n <= CALLS ? n : CALLS);
        run(&w);
        w.h->ops->free(w.h);
    }
}

static bool chain(void *ctx)
{
    struct world *w = ctx;

    say(w, ".");
    if (w->points < 3)
        timer(w, 10);
    return false;
}

static void test_turns_go_before_the_clock(void **state)
{
    struct world w;
    struct err e = {0};

    (void)state;
    start(&w, 1);
    assert_int_equal(w.h->ops->run(w.h, chain, &w, &e), 0);
    assert_string_equal(w.trace, ".<10>t.<20>t.<30>t.");
    w.h->ops->free(w.h);
}

static bool wake_twice(void *ctx)
{
    struct world *w = ctx;

    say(w, ".");
    if (w->n < 3)
        w->h->ops->wake(w->h);
    return false;
}

static void test_a_wake_is_a_turn(void **state)
{
    struct world w;
    struct err e = {0};

    (void)state;
    start(&w, 1);
    assert_int_equal(w.h->ops->run(w.h, wake_twice, &w, &e), 0);
    assert_string_equal(w.trace, "...");
    w.h->ops->free(w.h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_clock_jumps_to_the_next_timer),
        cmocka_unit_test(test_an_idle_host_returns),
        cmocka_unit_test(test_answers_come_in_the_order_of_their_delays),
        cmocka_unit_test(test_bad_answers_are_told_apart),
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_no_callback_after_cancel_or_free),
        cmocka_unit_test(test_random_bytes_follow_the_seed),
        cmocka_unit_test(test_files_are_in_memory),
        cmocka_unit_test(test_each_call_can_be_made_to_fail),
        cmocka_unit_test(test_turns_go_before_the_clock),
        cmocka_unit_test(test_a_wake_is_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
