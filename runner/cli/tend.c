/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch resume --all: every open run of the journal, until all are settled. */
#include "cli/tend.h"

#include "base/limits.h"
#include "report/sentence.h"

#include <stdio.h>
#include <string.h>

void tend_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct session *s = ctx;
    struct buf b = BUF_INIT(4 * KIB), lines = BUF_INIT(64 * KIB);

    if (!replayed && !s->cli->json && row->kind != ROW_OBS && row->kind != ROW_TIMER && sentence_of(row, &b)) {
        str_add_indented(&lines, buf_text(&b), 8);
        printf("run %lld  %s\n", (long long)run_id(r), buf_text(&lines));
        fflush(stdout);
    }
    buf_free(&b);
    buf_free(&lines);
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

    session_trouble(s, run, e);
    count(s, s->troubled);
}

struct parked {
    struct session *session;
    struct journal *journal;
    int64_t n;
};

static bool see_parked(void *ctx, const struct run_info *r)
{
    struct parked *p = ctx;
    int code = outcome_exit_code(r->state, r->outcome, r->reason, cli_unknown_effects(p->journal, r->id));

    p->n++;
    if (rank(code) < rank(p->session->worst))
        p->session->worst = code;
    return true;
}

/* Nothing goes on any more. What is open all the same was parked, set aside or left alone, by this session or before it. */
static int tell_parked(struct session *s, struct err *e)
{
    struct parked p = {.session = s, .journal = writer_journal(s->writer)};

    if (writer_flush(s->writer, e) < 0 || p.journal->ops->runs(p.journal, true, see_parked, &p, e) < 0)
        return e->code;
    if (s->runs == 0 && p.n == 0)
        cli_tell(s->cli, json_pack("{s:i}", "runs", 0), "no run is open");
    else if (s->runs == 0)
        cli_tell(s->cli, json_pack("{s:I s:i}", "open", (json_int_t)p.n, "runs", 0),
                 "no run goes on by itself: %lld wait%s for a person", (long long)p.n, p.n == 1 ? "s" : "");
    fflush(stdout);
    cli_open_runs(p.journal, NULL);
    return 0;
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
    if (!s->interrupts && tell_parked(s, &e) < 0)
        return cli_fail(&e);
    return s->interrupts && rank(s->worst) > rank(5) ? 5 : s->worst;
}
