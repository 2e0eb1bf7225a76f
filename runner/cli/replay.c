/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch replay: what the journal says of a run, or of all, once more through its
 * code. One run after the other, newest first, each read in one moment of the journal. */
#include "base/limits.h"
#include "check/check.h"
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
    (void)signo;
    interrupted = 1;
}

struct replays {
    struct cli *cli;
    size_t equal, open, different, foreign, rows;
    json_t *list;               /* those that are not equal */
};

/* What could not be read is no verdict on a run: it ends everything. */
static int tell(struct replays *r, int64_t id, int rc, const struct replay_result *result, const struct err *e)
{
    struct buf line = BUF_INIT(16 * KIB);
    char text[1400];

    if (rc == 0) {
        r->equal++;
        r->open += !result->ended;
        r->rows += result->rows;
        return 0;
    }
    if (rc != ERR_CORRUPT && rc != ERR_INVALID)
        return cli_fail(e);
    r->different += rc == ERR_CORRUPT;
    r->foreign += rc == ERR_INVALID;
    err_text(e, text, sizeof(text));
    str_add_printable(&line, text, strlen(text));
    if (r->cli->json)
        json_array_append_new(r->list, json_pack("{s:b s:I s:s}", "differs", rc == ERR_CORRUPT, "run", (json_int_t)id, "why",
                                                 buf_text(&line)));
    else
        printf("%s\n", buf_text(&line));
    buf_free(&line);
    return 0;
}

static int all(struct replays *r, struct journal *j)
{
    struct sigaction act = {.sa_handler = on_interrupt};
    struct replay_result result;
    struct check_mode mode = {0};
    int64_t id = 0;
    int rc = 0;

    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    while (rc == 0 && !interrupted) {
        struct err e = {0};

        rc = replay_next(j, id, &id, &e);
        if (rc == ERR_NOT_FOUND)
            return 0;
        rc = rc < 0 ? cli_fail(&e) : tell(r, id, replay_run(r->cli->config, j, id, &mode, &result, &e), &result, &e);
    }
    return rc;
}

static int replay_all(struct cli *c, struct journal *j)
{
    struct replays r = {.cli = c, .list = json_array()};
    int rc = all(&r, j);

    if (rc == 0)
        cli_tell(c, json_pack("{s:I s:I s:I s:O s:I s:I s:b}", "different", (json_int_t)r.different, "equal", (json_int_t)r.equal,
                              "not_replayed", (json_int_t)r.foreign, "runs", r.list, "open", (json_int_t)r.open, "rows",
                              (json_int_t)r.rows, "stopped", interrupted != 0),
                 "%s%zu run%s equal (%zu rows; %zu not ended), %zu different, %zu that this program cannot replay",
                 interrupted ? "stopped: " : "", r.equal, r.equal == 1 ? "" : "s", r.rows, r.open, r.different, r.foreign);
    json_decref(r.list);
    return rc ? rc : r.different ? EXIT_INTERNAL : r.foreign ? EXIT_USAGE : interrupted ? EXIT_LEFT : EXIT_OK;
}

static int replay_one(struct cli *c, struct journal *j)
{
    struct replay_result r;
    struct check_mode mode = {0};
    struct err e = {0};
    int64_t id;
    int rc = cli_run_id(j, c->args[0], &id);

    if (rc)
        return rc;
    if (replay_run(c->config, j, id, &mode, &r, &e) < 0)
        return cli_fail(&e);
    cli_tell(c, json_pack("{s:b s:I s:I}", "ended", r.ended, "rows", (json_int_t)r.rows, "run", (json_int_t)id),
             "run %lld: %zu rows, equal%s", (long long)id, r.rows, r.ended ? "" : " so far (it has not ended)");
    return 0;
}

int verb_replay(struct cli *c)
{
    struct journal *j;
    int rc;

    if (c->all == (c->nargs > 0)) {
        fprintf(stderr, "midwatch replay: one RUN, or --all\n");
        return EXIT_USAGE;
    }
    rc = cli_read_journal(c, &j);
    if (rc == 0) {
        rc = c->all ? replay_all(c, j) : replay_one(c, j);
        j->ops->free(j);
    }
    return rc;
}
