/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: the first interrupt on a terminal asks; SIGTERM, SIGHUP and an interrupt
 * without a terminal leave. Leaving waits for an effect that is on its way; a second
 * interrupt does not. What was left can be resumed. */
#include "cli/session.h"

#include "base/limits.h"
#include "cli/owner.h"
#include "cli/progress.h"
#include "cli/restart.h"
#include "cli/tend.h"
#include "report/report.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_WITHIN_MS 10000
#define SLICE_US 100

static void wake(void *ctx)
{
    struct host *h = ctx;

    h->ops->wake(h);
}

/* What the person at the terminal wants: 'k' go on, 'c' cancel, else (also without an answer) 'l' leave. */
static char asked_to_stop(struct session *s)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    char answer[16] = "";

    progress_clear(s->progress);
    fprintf(stderr, "\nLeave the run (it can be resumed), keep going, or cancel it and undo what it changed? [L/k/c] ");
    if (poll(&p, 1, ANSWER_WITHIN_MS) == 1 && read(0, answer, sizeof(answer) - 1) > 0)
        return strchr("kK", answer[0]) ? 'k' : strchr("cC", answer[0]) ? 'c' : 'l';
    return 'l';
}

static void on_signal(void *ctx, int signo)
{
    struct session *s = ctx;

    if (signo == SIGINT && s->interrupts == 0 && !s->all && isatty(0) && isatty(2)) {
        char wish = asked_to_stop(s);

        if (wish != 'l') {
            fprintf(stderr, wish == 'k' ? "going on\n" : "cancelling: what is on its way is waited for, then undone\n");
            if (wish == 'c')
                engine_cancel(s->engine, cli_who());
            s->host->ops->wake(s->host);
            return;
        }
    }
    s->interrupts++;
    if (s->interrupts == 1)
        fprintf(stderr, s->all ? "midwatch: leaving the runs at their next safe point; what waits goes on waiting\n"
                               : "midwatch: leaving the run at its next safe point\n");
    engine_leave(s->engine, s->interrupts > 1);
    s->host->ops->wake(s->host);
}

static void row_passed(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    progress_row(((struct session *)ctx)->progress, r, row, replayed);
}

/* The run in which the last owner died. */
static int strike(struct session *s)
{
    struct err e = {0};

    if (engine_strike(s->engine, &s->died, cli_who(), &s->strike, &e) < 0)
        return cli_fail(&e);
    if (s->strike == STRIKE_SET_ASIDE)
        session_trouble(s, s->died.run, &e);
    s->troubled = 0;                /* it need not be the run that this session is for */
    return 0;
}

int session_open(struct session *s, struct cli *c, const char *what)
{
    struct registry_options ro;
    struct engine_options eo;
    struct journal *journal;
    struct err e = {0};
    int rc = cli_config(c);

    s->cli = c;
    if (rc)
        return rc;
    if ((!s->host && host_real_new(&s->host, &e) < 0) || journal_sqlite_open(c->state_dir, what, NULL, &journal, &e) < 0)
        return cli_fail(&e);
    if (!s->all)
        cli_open_runs(journal, NULL);
    if (writer_new(journal, true, wake, s->host, &s->writer, &e) < 0)
        return cli_fail(&e);
    ro = (struct registry_options){.host = s->host, .config = c->config, .at_work = s->executes ? restart_at_work : NULL};
    if (registry_new(&ro, &s->registry, &e) < 0)
        return cli_fail(&e);
    s->answerer = answer_live_new(s->registry);
    s->progress = progress_new(c->json);
    s->desk = desk_new(s->host, s->all ? NULL : s->progress);
    if (s->executes && restart_open(c, s->all, &s->watchdog, &s->died, &e) < 0)
        return cli_fail(&e);
    eo = (struct engine_options){.host = s->host, .writer = s->writer, .registry = s->registry, .config = c->config,
                                 .answerer = s->answerer, .people = desk_people(s->desk), .state_dir = c->state_dir,
                                 .stop_when_settled = true, .watchdog = s->watchdog,
                                 .watch = {.row = row_passed, .trouble = session_trouble, .moved = session_moved, .ctx = s}};
    if (s->all) {
        eo.watch = (struct engine_watch){.row = tend_row, .settled = tend_settled, .trouble = tend_trouble,
                                        .moved = session_moved, .ctx = s};
        eo.slice_us = SLICE_US;
    }
    if (engine_new(&eo, &s->engine, &e) < 0)
        return cli_fail(&e);
    s->host->ops->signals(s->host, on_signal, s);
    owner_open(s);
    return s->all ? 0 : strike(s);
}

/* The evidence for whoever takes over: short on the terminal, whole in a file. */
void session_evidence(struct session *s, struct journal *j, int64_t run)
{
    struct buf md = BUF_INIT(64 * MIB), brief = BUF_INIT(MIB), path = BUF_INIT(4 * KIB);
    struct err e = {0};

    buf_addf(&path, "%s/escalations", s->cli->state_dir);
    mkdir(buf_text(&path), 0700);
    buf_addf(&path, "/%lld.md", (long long)run);
    if (report_evidence(j, run, &md, &e) < 0 || report_brief(j, run, &brief, &e) < 0 ||
        s->host->ops->write_file(s->host, buf_text(&path), (struct str){md.data, md.len}, &e) < 0)
        fprintf(stderr, "midwatch: the evidence could not be written: %s\n", e.msg);
    else if (!s->cli->json)
        fprintf(stderr, "\n%s\nevidence: %s\n", buf_text(&brief), buf_text(&path));
    buf_free(&md);
    buf_free(&brief);
    buf_free(&path);
}

void session_trouble(void *session, int64_t run, const struct err *e)
{
    struct session *s = session;
    struct err lost = {0}, told = *e;
    struct run_info info = {0};
    struct journal *j;

    progress_clear(s->progress);
    err_wrap(&told, "run %lld", (long long)run);
    cli_fail(&told);
    s->troubled = e->code == ERR_DENIED ? 5 : EXIT_INTERNAL;
    j = writer_reader(s->writer, &lost);
    if (j && j->ops->get_run(j, run, &info, &lost) == 0 && info.state == RUN_QUARANTINED)
        session_evidence(s, j, run);
    run_info_deinit(&info);
}

void session_moved(void *session, int64_t run, struct str from)
{
    (void)session;
    fprintf(stderr, "midwatch: run %lld was executed on %.*s until now; make sure that nobody executes a copy of this journal "
            "there: neither would know what the other changes\n", (long long)run, (int)from.n, from.p);
}

static int conclude(struct session *s)
{
    struct standing end = {.id = run_id(s->run), .state = run_state_of(s->run), .runbook = run_book(s->run)->name,
                           .outcome = run_outcome(s->run), .reason = run_reason(s->run), .text = run_text(s->run),
                           .unknown = run_unknown_effects(s->run)};
    struct err e = {0};

    progress_clear(s->progress);
    fflush(stdout);
    if ((end.state == RUN_WAITING_PERSON || strcmp(end.outcome, "escalated") == 0) && writer_flush(s->writer, &e) == 0)
        session_evidence(s, writer_journal(s->writer), end.id);
    return cli_conclude(&end, s->cli->json);
}

/* True if nothing of the run ever was on the disk: there is nothing to go on with. */
static bool is_unwritten(struct session *s, int64_t run)
{
    struct journal_options o = {.read_only = true};
    struct run_info info = {0};
    struct journal *j = NULL;
    struct err e = {0};
    bool is = journal_sqlite_open(s->cli->state_dir, "", &o, &j, &e) == 0 &&
              j->ops->get_run(j, run, &info, &e) == ERR_NOT_FOUND;

    run_info_deinit(&info);
    if (j)
        j->ops->free(j);
    return is;
}

int session_run(struct session *s)
{
    struct err e = {0};

    if (s->host->ops->run(s->host, engine_turn, s->engine, &e) < 0)
        return cli_fail(&e);
    if (engine_failure(s->engine)) {
        progress_clear(s->progress);
        cli_fail(engine_failure(s->engine));
        if (is_unwritten(s, run_id(s->run)))
            fprintf(stderr, "midwatch: nothing of this run was written, and nothing was sent; there is no run to resume\n");
        else
            fprintf(stderr, "midwatch: nothing more is sent; what was journaled is what is true. To go on: "
                            "midwatch resume %lld\n", (long long)run_id(s->run));
        return EXIT_INTERNAL;
    }
    return s->troubled ? s->troubled : conclude(s);
}

void session_close(struct session *s)
{
    watchdog_stop(s->watchdog);     /* the threads end while the rest is closed */
    writer_stop(s->writer);
    socket_free(s->socket);
    engine_free(s->engine);
    desk_free(s->desk);
    if (s->answerer)
        s->answerer->ops->free(s->answerer);
    registry_free(s->registry);
    writer_free(s->writer);
    progress_free(s->progress);
    watchdog_free(s->watchdog);
    if (s->host)
        s->host->ops->free(s->host);
}
