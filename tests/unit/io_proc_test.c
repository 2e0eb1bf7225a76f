/* SPDX-License-Identifier: Apache-2.0 */
/* Children of the real host: how they end, what they say, and that none is left. */
#include "io_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 20 };

struct ended {
    struct host *h;
    int calls;
    struct spawn_answer a;
    char *out;
    char *errout;
};

static void forget(struct ended *x)
{
    free(x->out);
    free(x->errout);
    x->out = x->errout = NULL;
}

static void on_end(void *ctx, const struct spawn_answer *a)
{
    struct ended *x = ctx;

    forget(x);
    x->calls++;
    x->a = *a;
    x->out = xmemdup(a->out.p, a->out.n + 1);
    x->errout = xmemdup(a->errout.p, a->errout.n + 1);
    x->h->ops->stop(x->h);
}

/* Runs one child to its end. No child of ours may be left, reaped or not. */
static void run(struct ended *x, struct spawn_request r)
{
    struct host_op *op = NULL;
    struct err e = {0};
    int rc;

    x->calls = 0;
    rc = x->h->ops->spawn(x->h, &r, on_end, x, &op, &e);
    if (rc != 0)
        fail_msg("%s", e.msg);
    assert_int_equal(x->calls, 0);
    assert_int_equal(x->h->ops->run(x->h, NULL, NULL, &e), 0);
    assert_int_equal(x->calls, 1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void run_sh(struct ended *x, const char *script, struct spawn_request r)
{
    const char *argv[] = {"sh", "-c", script, NULL};

    r.argv = argv;
    run(x, r);
}

/* Waits for the end of a process that is not our child. */
static void wait_gone(pid_t pid)
{
    while (kill(pid, 0) == 0) {
        char path[64], state = 'Z';
        FILE *f;

        /* A zombie whose new parent is slow is gone as well. */
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        f = fopen(path, "r");
        if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
            state = 'Z';
        if (f)
            fclose(f);
        if (state == 'Z')
            return;
        usleep(1000);
    }
}

static int setup(void **state)
{
    struct ended *x = xcalloc(1, sizeof *x);
    struct err e = {0};

    if (host_real_new(&x->h, &e) != 0)
        return -1;
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct ended *x = *state;

    forget(x);
    x->h->ops->free(x->h);
    free(x);
    return 0;
}

static void test_exit_codes(void **state)
{
    struct ended *x = *state;

    run_sh(x, "exit 0", (struct spawn_request){0});
    assert_int_equal(x->a.exit_code, 0);
    assert_int_equal(x->a.signal, 0);
    assert_false(x->a.timed_out);
    run_sh(x, "exit 3", (struct spawn_request){0});
    assert_int_equal(x->a.exit_code, 3);
    run_sh(x, "exit 255", (struct spawn_request){0});
    assert_int_equal(x->a.exit_code, 255);
}

static void test_death_by_signal(void **state)
{
    struct ended *x = *state;

    run_sh(x, "kill -SEGV $$", (struct spawn_request){0});
    assert_int_equal(x->a.exit_code, -1);
    assert_int_equal(x->a.signal, SIGSEGV);
    assert_false(x->a.timed_out);
}

static void test_both_streams_are_kept_apart(void **state)
{
    struct ended *x = *state;

    run_sh(x, "echo out; echo err >&2", (struct spawn_request){0});
    assert_string_equal(x->out, "out\n");
    assert_string_equal(x->errout, "err\n");
    assert_false(x->a.truncated);
}

static void test_a_missing_program_does_not_start(void **state)
{
    static const char *const missing[] = {"no-such-program-here", NULL};
    static const char *const nowhere[] = {"/nowhere/tool", NULL};
    static const char *const directory[] = {"/", NULL};
    static const char *const empty[] = {NULL};
    static const char *const fine[] = {"true", NULL};
    struct ended *x = *state;
    struct host_op *op = NULL;
    struct err e = {0};
    int before;

    run_sh(x, ":", (struct spawn_request){0});
    before = open_fds();
    assert_int_equal(x->h->ops->spawn(x->h, &(struct spawn_request){.argv = missing}, on_end, x, &op, &e), ERR_IO);
    assert_string_equal(e.msg, "run no-such-program-here: not found");
    assert_int_equal(x->h->ops->spawn(x->h, &(struct spawn_request){.argv = nowhere}, on_end, x, &op, &e), ERR_IO);
    assert_string_equal(e.msg, "run /nowhere/tool: not found");
    assert_int_equal(x->h->ops->spawn(x->h, &(struct spawn_request){.argv = directory}, on_end, x, &op, &e), ERR_IO);
    assert_int_equal(x->h->ops->spawn(x->h, &(struct spawn_request){.argv = empty}, on_end, x, &op, &e),
                     ERR_INVALID);
    assert_int_equal(x->h->ops->spawn(x->h, &(struct spawn_request){.argv = fine, .cwd = "/nowhere"}, on_end, x, &op,
                                      &e), ERR_IO);
    assert_string_equal(e.msg, "run true: no directory /nowhere");
    assert_null(op);
    assert_int_equal(x->calls, 1);
    assert_int_equal(open_fds(), before);
}

static void test_input_is_echoed(void **state)
{
    static const char *const cat[] = {"cat", NULL};
    struct ended *x = *state;
    char *large = xmalloc(MEGABYTE);

    run(x, (struct spawn_request){.argv = cat, .input = STR("hello\n")});
    assert_string_equal(x->out, "hello\n");
    for (int i = 0; i < MEGABYTE; i++)
        large[i] = (char)(i * 7 + i / 4096);
    run(x, (struct spawn_request){.argv = cat, .input = {large, MEGABYTE}});
    assert_int_equal(x->a.out.n, MEGABYTE);
    assert_memory_equal(x->out, large, MEGABYTE);
    assert_false(x->a.truncated);
    free(large);
}

static void test_input_that_nobody_reads_is_no_error(void **state)
{
    struct ended *x = *state;
    char *large = xcalloc(1, MEGABYTE);

    run_sh(x, "exec 0<&-; echo done", (struct spawn_request){.input = {large, MEGABYTE}});
    assert_int_equal(x->a.exit_code, 0);
    assert_string_equal(x->out, "done\n");
    free(large);
}

static void test_without_input_stdin_is_at_its_end(void **state)
{
    struct ended *x = *state;

    run_sh(x, "cat; echo end", (struct spawn_request){0});
    assert_string_equal(x->out, "end\n");
}

static void test_output_is_capped_not_blocked(void **state)
{
    struct ended *x = *state;

    run_sh(x, "head -c 1048576 /dev/zero", (struct spawn_request){0});
    assert_int_equal(x->a.out.n, MEGABYTE);
    assert_false(x->a.truncated);
    run_sh(x, "head -c 3000000 /dev/zero; exit 5", (struct spawn_request){.max_output = 1000});
    assert_int_equal(x->a.exit_code, 5);
    assert_int_equal(x->a.out.n, 1000);
    assert_true(x->a.truncated);
    run_sh(x, "head -c 1000 /dev/zero >&2", (struct spawn_request){.max_output = 1000});
    assert_int_equal(x->a.errout.n, 1000);
    assert_false(x->a.truncated);
}

static void test_endless_output_ends_with_the_deadline(void **state)
{
    struct ended *x = *state;

    run_sh(x, "yes", (struct spawn_request){.max_output = 1000, .timeout_ms = 50});
    assert_true(x->a.timed_out);
    assert_true(x->a.truncated);
    assert_int_equal(x->a.signal, SIGTERM);
}

static void test_closed_streams_are_no_end(void **state)
{
    struct ended *x = *state;

    run_sh(x, "exec >&- 2>&-; sleep 0.05; exit 4", (struct spawn_request){0});
    assert_int_equal(x->a.exit_code, 4);
    assert_int_equal(x->a.out.n, 0);
}

static void test_deadline_asks_first(void **state)
{
    struct ended *x = *state;

    run_sh(x, "trap 'echo bye; exit 7' TERM; echo hi; while :; do sleep 0.01; done",
           (struct spawn_request){.timeout_ms = 200, .grace_ms = 60000});
    assert_true(x->a.timed_out);
    assert_int_equal(x->a.exit_code, 7);
    assert_string_equal(x->out, "hi\nbye\n");
}

/* The grandchild ignores TERM too, and was started by a shell that is gone (double fork, same group). */
static void test_deadline_kills_the_group_that_ignores_it(void **state)
{
    struct ended *x = *state;
    int pid = 0;

    run_sh(x, "trap '' TERM; (sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' &); while :; do sleep 1; done",
           (struct spawn_request){.timeout_ms = 200, .grace_ms = 50});
    assert_true(x->a.timed_out);
    assert_int_equal(x->a.exit_code, -1);
    assert_int_equal(x->a.signal, SIGKILL);
    assert_int_equal(sscanf(x->out, "%d", &pid), 1);
    wait_gone(pid);
}

static void test_a_grandchild_cannot_hold_the_answer(void **state)
{
    struct ended *x = *state;
    int pid = 0;

    run_sh(x, "sleep 600 & echo $!; exit 2", (struct spawn_request){0});
    assert_int_equal(x->a.exit_code, 2);
    assert_false(x->a.timed_out);
    assert_int_equal(sscanf(x->out, "%d", &pid), 1);
    wait_gone(pid);
}

/* It left the group, so it survives, but its hold on the pipe does not matter. */
static void test_a_daemon_cannot_hold_the_answer(void **state)
{
    struct ended *x = *state;
    int pid = 0;

    run_sh(x, "setsid sh -c 'echo $$; exec sleep 600' & sleep 0.3; exit 0", (struct spawn_request){0});
    assert_int_equal(x->a.exit_code, 0);
    assert_int_equal(sscanf(x->out, "%d", &pid), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    wait_gone(pid);
}

static void test_environment_and_directory(void **state)
{
    static const char *const env[] = {"env", NULL};
    static const char *const own[] = {"A=1", "B=two words", NULL};
    static const char *const more[] = {"A=other", "C=3", NULL};
    static const char *const where[] = {"pwd", NULL};
    struct ended *x = *state;

    setenv("IO_PROC_TEST_SECRET", "s3cret", 1);
    run(x, (struct spawn_request){.argv = env});
    assert_null(strstr(x->out, "IO_PROC_TEST_SECRET"));
    assert_non_null(strstr(x->out, "PATH="));
    assert_non_null(strstr(x->out, "HOME="));
    assert_non_null(strstr(x->out, "LANG=C\n"));
    run(x, (struct spawn_request){.argv = env, .env = own});
    assert_string_equal(x->out, "A=1\nB=two words\n");
    run(x, (struct spawn_request){.argv = env, .env = own, .more_env = more});
    assert_string_equal(x->out, "A=other\nB=two words\nC=3\n");
    run(x, (struct spawn_request){.argv = env, .more_env = more});
    assert_non_null(strstr(x->out, "PATH="));
    assert_non_null(strstr(x->out, "\nA=other\nC=3\n"));
    run(x, (struct spawn_request){.argv = where, .cwd = "/"});
    assert_string_equal(x->out, "/\n");
}

/* A child inherits three descriptors, no blocked signal, no ignored signal. */
static void test_the_child_starts_clean(void **state)
{
    struct ended *x = *state;
    unsigned long long blocked = 1, ignored = 1;
    int fds = 0;
    int extra = dup(0);
    sigset_t set, old;

    signal(SIGUSR1, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    assert_true(extra >= 3);
    run_sh(x, "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l", (struct spawn_request){0});
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGUSR1, SIG_DFL);
    close(extra);
    assert_int_equal(sscanf(x->out, "SigBlk: %llx SigIgn: %llx %d", &blocked, &ignored, &fds), 3);
    assert_int_equal(blocked, 0);
    /* 32 and 33 are the C library's own. */
    assert_int_equal(ignored & ~0x180000000ull, 0);
    /* The fourth is the directory that ls reads. */
    assert_int_equal(fds, 4);
}

static void on_never(void *ctx, const struct spawn_answer *a)
{
    (void)ctx;
    (void)a;
    fail_msg("a callback after cancel");
}

static void test_cancel_kills_without_an_answer(void **state)
{
    static const char *const sleeper[] = {"sleep", "600", NULL};
    struct ended *x = *state;
    struct host_op *op = NULL;
    struct err e = {0};
    int before;

    run_sh(x, ":", (struct spawn_request){0});
    before = open_fds();
    assert_int_equal(x->h->ops->spawn(x->h, &(struct spawn_request){.argv = sleeper}, on_never, NULL, &op, &e), 0);
    x->h->ops->cancel(x->h, op);
    /* Another child's end gives the first the turns it needs to be reaped. */
    while (waitpid(-1, NULL, WNOHANG | WNOWAIT) == 0 || open_fds() != before) {
        const char *argv[] = {"true", NULL};

        assert_int_equal(x->h->ops->spawn(x->h, &(struct spawn_request){.argv = argv}, on_end, x, &op, &e), 0);
        assert_int_equal(x->h->ops->run(x->h, NULL, NULL, &e), 0);
    }
}

static void test_free_kills_and_reaps(void **state)
{
    static const char *const stubborn[] = {"sh", "-c", "trap '' TERM; while :; do sleep 1; done", NULL};
    struct host_op *op = NULL;
    struct host *h = NULL;
    struct err e = {0};
    int before = open_fds();

    (void)state;
    assert_int_equal(host_real_new(&h, &e), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(h->ops->spawn(h, &(struct spawn_request){.argv = stubborn}, on_never, NULL, &op, &e), 0);
    h->ops->free(h);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(open_fds(), before);
}

static void test_no_descriptor_is_left(void **state)
{
    struct ended *x = *state;
    int before;

    run_sh(x, "cat", (struct spawn_request){.input = STR("x")});
    before = open_fds();
    for (int i = 0; i < 50; i++)
        run_sh(x, "cat; echo $$ >&2; sleep 60 &", (struct spawn_request){.input = STR("x")});
    assert_int_equal(open_fds(), before);
}

/* A program that was started with its standard streams closed gives them no wrong meaning. */
static void test_low_descriptors_are_not_mixed_up(void **state)
{
    struct ended *x = *state;
    int saved[3];

    for (int i = 0; i < 3; i++)
        assert_true((saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 20)) >= 0);
    for (int i = 0; i < 3; i++)
        close(i);
    run_sh(x, "cat; echo out; echo err >&2", (struct spawn_request){.input = STR("in\n")});
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    assert_string_equal(x->out, "in\nout\n");
    assert_string_equal(x->errout, "err\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exit_codes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_death_by_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_both_streams_are_kept_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_program_does_not_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input_is_echoed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input_that_nobody_reads_is_no_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_input_stdin_is_at_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_is_capped_not_blocked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_endless_output_ends_with_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_streams_are_no_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline_asks_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline_kills_the_group_that_ignores_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_grandchild_cannot_hold_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_daemon_cannot_hold_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_environment_and_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_child_starts_clean, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_kills_without_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_kills_and_reaps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptor_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_low_descriptors_are_not_mixed_up, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
