/* SPDX-License-Identifier: Apache-2.0 */
/* A run that ends the process, or does not come to an end in C, is found by what the
 * process was at work for. The program then starts itself again, and whoever takes the
 * journal over reads where the last owner died (STATE/inside), and whether it saw that
 * itself: who does so again at one place is set aside. */
#include "cli/restart.h"

#include "base/limits.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STUCK_MS 10000

static struct watchdog *watching;
static char *words[10];                 /* what this process becomes */
static char number[24];                 /* of the run among them */

static void say(const char *text)
{
    ssize_t n = write(2, text, strlen(text));

    (void)n;
}

/* As decimal digits at the end of `number`. */
static char *put_number(int64_t n)
{
    char *d = number + sizeof(number) - 1;

    *d = '\0';
    do {
        *--d = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return d;
}

/* Only what a signal handler may do. The journal holds what was durable; nothing is unwound. */
static void start_again(const struct inside *where, const char *why)
{
    sigset_t none;
    char *run = put_number(where->run);
    size_t i;

    watchdog_seen(watching);
    for (i = 0; words[i]; i++)
        words[i] = words[i] == number ? run : words[i];
    say("\nmidwatch: run ");
    say(run);
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

/* What was started for one run goes on as `resume RUN`: its sources and parameters are in the journal. */
static void choose_words(const struct cli *c, bool all)
{
    char *chosen[] = {"midwatch", "resume", all ? "--all" : number, "--state", c->state_dir, c->json ? "-o" : NULL, "json"};
    size_t i, n = 0;

    for (i = 0; i < sizeof(chosen) / sizeof(chosen[0]) && chosen[i]; i++)
        words[n++] = chosen[i];
    if (c->config_file) {
        words[n++] = "--config";
        words[n++] = (char *)c->config_file;
    }
    words[n] = NULL;
}

int restart_open(const struct cli *c, bool all, struct watchdog **out, struct inside *died, struct err *e)
{
    const char *limit = getenv("MIDWATCH_TEST_STUCK_MS");

    choose_words(c, all);
    if (watchdog_open(c->state_dir, limit ? strtoll(limit, NULL, 10) : STUCK_MS, stuck, &watching, died, e) < 0)
        return e->code;
    *out = watching;
    catch_crashes();
    return 0;
}

void restart_at_work(void *ctx, int64_t run, const char *instance)
{
    (void)ctx;
    watchdog_enter(watching, run, 0, instance);
}
