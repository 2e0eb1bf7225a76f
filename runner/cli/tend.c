/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch resume --all: every open run of the journal, until all are settled. A run that
 * ends the process is found by what the process was at work for; the program then starts
 * itself again, and the second time at one place the run is set aside. */
#include "cli/tend.h"

#include "base/limits.h"
#include "report/sentence.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STUCK_MS 10000

static struct watchdog *watching;
static char *words[70];                 /* what this process was started with */

static void say(const char *text)
{
    ssize_t n = write(2, text, strlen(text));

    (void)n;
}

static void say_number(int64_t n)
{
    char digits[24], *d = digits + sizeof(digits) - 1;

    *d = '\0';
    do {
        *--d = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    say(d);
}

/* Only what a signal handler may do. The journal holds what was durable; nothing is unwound. */
static void start_again(const struct inside *where, const char *why)
{
    sigset_t none;

    say("\nmidwatch: run ");
    say_number(where->run);
    say(why);
    say(where->place);
    say("; starting again\n");
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", words);
    _exit(EXIT_INTERNAL);
}

static void stuck(const struct inside *where)
{
    if (where->run)
        start_again(where, " does not come to an end ");
    say("\nmidwatch: the program does not come to an end of its own work\n");
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void crashed(int signo)
{
    struct inside where;

    if (watchdog_inside(watching, &where))
        start_again(&where, " ended the process ");
    signal(signo, SIG_DFL);
    raise(signo);
}

static void catch_crashes(void)
{
    static char stack[64 * KIB];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction act = {.sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_RESETHAND};
    size_t i;

    sigaltstack(&alternate, NULL);
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &act, NULL);
}

static void learn_words(void)
{
    static char text[64 * KIB];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    size_t at = 0, i = 0;

    if (fd >= 0)
        close(fd);
    for (; n > 0 && at < (size_t)n && i + 1 < sizeof(words) / sizeof(words[0]); at += strlen(text + at) + 1)
        words[i++] = text + at;
}

int tend_open(struct session *s, struct inside *died, struct err *e)
{
    const char *limit = getenv("MIDWATCH_TEST_STUCK_MS");

    learn_words();
    if (watchdog_open(s->cli->state_dir, limit ? strtoll(limit, NULL, 10) : STUCK_MS, stuck, &watching, died, e) < 0)
        return e->code;
    s->watchdog = watching;
    catch_crashes();
    return 0;
}

void tend_at_work(void *ctx, int64_t run, const char *instance)
{
    (void)ctx;
    watchdog_enter(watching, run, 0, instance);
}

void tend_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct session *s = ctx;
    struct buf b = BUF_INIT(4 * KIB);

    if (!replayed && !s->cli->json && row->kind != ROW_OBS && row->kind != ROW_TIMER && sentence_of(row, &b)) {
        printf("run %lld  %s\n", (long long)run_id(r), buf_text(&b));
        fflush(stdout);
    }
    buf_free(&b);
}

/* The most serious first. */
static int rank(int code)
{
    static const int order[] = {1, 6, 4, 3, 7, 5, 2, 0};
    int i;

    for (i = 0; order[i] && order[i] != code; i++)
        continue;
    return i;
}

static void count(struct session *s, int code)
{
    s->runs++;
    if (rank(code) < rank(s->worst))
        s->worst = code;
}

void tend_settled(void *ctx, const struct run *r)
{
    struct session *s = ctx;
    bool ended = run_state_of(r) == RUN_ENDED;
    struct journal *j;
    struct err e = {0};

    count(s, outcome_exit_code(run_state_of(r), run_outcome(r), run_reason(r), run_unknown_effects(r)));
    cli_tell(s->cli, json_pack("{s:s s:s s:I s:s}", "outcome", run_outcome(r), "reason", run_reason(r), "run",
                               (json_int_t)run_id(r), "state", run_state_name(run_state_of(r))),
             "run %lld  %s%s%s", (long long)run_id(r), ended ? run_outcome(r) : run_state_name(run_state_of(r)),
             run_reason(r)[0] ? ": " : "", run_reason(r));
    fflush(stdout);
    if (run_state_of(r) == RUN_WAITING_PERSON || strcmp(run_outcome(r), "escalated") == 0) {
        j = writer_reader(s->writer, &e);
        if (j)
            session_evidence(s, j, run_id(r));
    }
}

void tend_trouble(void *ctx, int64_t run, const struct err *e)
{
    struct session *s = ctx;
    char text[1400];

    count(s, e->code == ERR_DENIED ? 5 : EXIT_INTERNAL);
    fprintf(stderr, "midwatch: run %lld: %s\n", (long long)run, err_text(e, text, sizeof(text)));
}

int tend_run(struct session *s)
{
    struct err e = {0};

    if (engine_recover(s->engine, cli_who(), &s->died, &e) < 0 ||
        s->host->ops->run(s->host, engine_turn, s->engine, &e) < 0)
        return cli_fail(&e);
    if (engine_failure(s->engine)) {
        cli_fail(engine_failure(s->engine));
        fprintf(stderr, "midwatch: nothing more is sent; what was journaled is what is true. To go on: midwatch resume --all\n");
        return EXIT_INTERNAL;
    }
    if (s->runs == 0 && !s->interrupts)
        cli_tell(s->cli, json_pack("{s:i}", "runs", 0), "no run is open");
    return s->interrupts && rank(s->worst) > rank(5) ? 5 : s->worst;
}
