/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch watch: the live progress of a run that another process executes, from the
 * journal alone. While nothing happens it looks at one row five times a second. */
#include "base/json.h"
#include "base/limits.h"
#include "cli/owner.h"
#include "cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_EVERY_MS 200
#define ASK_AFTER 10            /* quiet looks before the owner is asked whether it is there */

struct watch {
    struct cli *cli;
    struct journal *journal;
    struct progress *progress;
    struct runbook *book;       /* NULL if its sources cannot be read */
    struct run_info info;
    int64_t seq;                /* the next row to show */
    char *text;                 /* of the ending */
    unsigned quiet;
};

static volatile sig_atomic_t stopped;

static void on_signal(int signo)
{
    (void)signo;
    stopped = 1;
}

static bool find_book(void *ctx, const char *path, struct str data)
{
    struct watch *w = ctx;
    struct err ignored = {0};
    size_t n = strlen(path);

    if (n < 3 || strcmp(path + n - 3, ".md") != 0)
        return true;
    if (book_read(data, path, &w->book, &ignored) < 0)
        w->book = NULL;
    return w->book == NULL;
}

static bool show(void *ctx, const struct row *row)
{
    struct watch *w = ctx;
    json_t *args = NULL;

    progress_show(w->progress, w->book, row);
    w->seq = row->seq + 1;
    if (row->kind == ROW_END && json_read(row->args, &args, NULL) == 0) {
        free(w->text);
        w->text = xstrdup(json_get_string(args, "text", ""));
    }
    json_decref(args);
    return !stopped;
}

/* The rows since the last look. */
static int look(struct watch *w, struct err *e)
{
    int64_t id = w->info.id;
    int rc;

    run_info_deinit(&w->info);
    w->info = (struct run_info){0};
    rc = w->journal->ops->get_run(w->journal, id, &w->info, e);
    if (rc < 0)
        return rc;
    w->quiet = w->info.next_seq > w->seq ? 0 : w->quiet + 1;
    return w->quiet ? 0 : w->journal->ops->rows(w->journal, id, w->seq, show, w, e);
}

static int read_book(struct watch *w, struct err *e)
{
    struct buf meta = BUF_INIT(MIB);
    struct err ignored = {0};
    int rc = w->journal->ops->get_run(w->journal, w->info.id, &w->info, e);

    if (rc == 0)
        w->journal->ops->get_bundle(w->journal, w->info.bundle, &meta, find_book, w, &ignored);
    buf_free(&meta);
    return rc;
}

static int follow(struct watch *w, struct err *e)
{
    static const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
    int rc = read_book(w, e);

    while (rc == 0 && !stopped) {
        rc = look(w, e);
        if (rc < 0 || w->info.state == RUN_ENDED)
            break;
        if (w->quiet >= ASK_AFTER) {
            w->quiet = 0;
            /* What it wrote last may have come in between. */
            if (!owner_executes(w->cli, w->info.id))
                return look(w, e);
        }
        nanosleep(&pause, NULL);
    }
    return rc;
}

static int conclude(struct watch *w)
{
    struct standing s = {.id = w->info.id, .state = w->info.state, .runbook = w->info.runbook, .outcome = w->info.outcome,
                         .reason = w->info.reason, .text = w->text ? w->text : "",
                         .unknown = cli_unknown_effects(w->journal, w->info.id)};

    progress_clear(w->progress);
    if (!stopped)
        return cli_conclude(&s, w->cli->json);
    fflush(stdout);
    fprintf(stderr, "\nthe run goes on; to see it again: midwatch watch %lld\n", (long long)s.id);
    return outcome_exit_code(s.state, s.outcome, s.reason, s.unknown);
}

static bool take_first(void *ctx, const struct run_info *r)
{
    *(int64_t *)ctx = r->id;
    return false;
}

/* The run that was named; else the one that is being executed; else the newest open one. */
static int find_run(struct watch *w)
{
    struct err e = {0};

    if (w->cli->nargs)
        return cli_run_id(w->journal, w->cli->args[0], &w->info.id);
    w->info.id = owner_run(w->cli, &e);
    if (w->info.id > 0)
        return 0;
    w->info.id = 0;
    e = (struct err){0};
    if (w->journal->ops->runs(w->journal, true, take_first, &w->info.id, &e) < 0)
        return cli_fail(&e);
    if (w->info.id > 0)
        return 0;
    fprintf(stderr, "midwatch: no run is open; midwatch list shows those that have ended\n");
    return EXIT_USAGE;
}

int verb_watch(struct cli *c)
{
    struct watch w = {.cli = c, .seq = 1};
    struct sigaction act = {.sa_handler = on_signal};
    struct err e = {0};
    int rc = cli_read_journal(c, &w.journal);

    if (rc)
        return rc;
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    rc = find_run(&w);
    w.progress = progress_new(c->json);
    progress_hint(w.progress, "Ctrl-C ends watching, not the run");
    if (rc == 0)
        rc = follow(&w, &e) < 0 ? cli_fail(&e) : conclude(&w);
    progress_free(w.progress);
    run_info_deinit(&w.info);
    book_free(w.book);
    free(w.text);
    w.journal->ops->free(w.journal);
    return rc;
}
