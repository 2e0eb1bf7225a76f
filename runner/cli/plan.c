/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch plan: what a run would do now. It works beside the journal's owner, whose locks it reads. */
#include "check/plan.h"

#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/origin.h"

#include <stdio.h>

struct planning {
    struct host *host;
    struct registry *registry;
    struct journal *journal;
    struct runbook *book;
    json_t *params, *trigger, *plan;
};

static int open_journal(struct cli *c, struct planning *x)
{
    struct journal_options o = {.read_only = true};
    struct err e = {0};

    if (journal_sqlite_open(c->state_dir, "plan", &o, &x->journal, &e) == 0)
        cli_open_runs(x->journal, c);
    else if (e.code != ERR_NOT_FOUND)           /* nothing has run yet */
        return cli_fail(&e);
    return 0;
}

static int make(struct cli *c, struct planning *x, struct err *e)
{
    struct registry_options ro = {.host = x->host, .config = c->config, .reads_only = true};
    struct plan_request q = {.book = x->book, .config = c->config, .host = x->host, .journal = x->journal,
                             .state_dir = c->state_dir, .requester = cli_who()};
    int rc = registry_new(&ro, &x->registry, e);

    if (rc == 0 && c->alert_file)
        rc = cli_alert(x->host, c->alert_file, &x->trigger, e);
    if (rc == 0)
        rc = params_resolve(x->book->params, x->book->nparams, c->params, c->nparams, x->trigger, &x->params, e);
    q.registry = x->registry;
    q.params = x->params;
    q.trigger = x->trigger;
    return rc ? rc : plan_make(&q, &x->plan, e);
}

static int put(const struct cli *c, const struct planning *x)
{
    struct buf out = BUF_INIT(64 * MIB);
    int rc = plan_exit_code(x->plan, c->strict);

    if (c->json) {
        json_add_value(&out, x->plan);
        buf_addc(&out, '\n');
    } else {
        plan_text(x->plan, x->book, &out);
    }
    if (out.failed) {
        fprintf(stderr, "midwatch: the plan is larger than can be written\n");
        rc = EXIT_USAGE;
    } else {
        fwrite(buf_text(&out), 1, out.len, stdout);
    }
    buf_free(&out);
    return rc;
}

static void close_all(struct planning *x)
{
    json_decref(x->plan);
    json_decref(x->params);
    json_decref(x->trigger);
    registry_free(x->registry);
    if (x->journal)
        x->journal->ops->free(x->journal);
    book_free(x->book);
    if (x->host)
        x->host->ops->free(x->host);
}

int verb_plan(struct cli *c)
{
    struct planning x = {0};
    struct origin_query query;
    struct err e = {0};
    int rc = cli_config(c);

    if (rc == 0)
        rc = host_real_new(&x.host, &e) < 0 ? cli_fail(&e) : 0;
    if (rc == 0)
        rc = cli_load(c, &x.book);
    if (rc == 0) {
        origin_ask(&query, x.host, x.book);
        rc = open_journal(c, &x);
        origin_take(&query, rc == 0);
    }
    if (rc == 0)
        rc = make(c, &x, &e) < 0 ? cli_fail(&e) : put(c, &x);
    close_all(&x);
    return rc;
}
