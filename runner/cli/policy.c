/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch policy explain: what policy would say now, in its order. midwatch policy on: a runbook that did not help, again. */
#include "base/json.h"
#include "base/limits.h"
#include "check/explain.h"
#include "cli/origin.h"
#include "cli/owner.h"

#include <stdio.h>

enum { EXIT_REFUSED = 4 };

static int print_all(const struct cli *c, const json_t *list)
{
    struct buf b = BUF_INIT(MIB), safe = BUF_INIT(MIB);
    const json_t *x;
    size_t i;
    int rc = 0;

    json_array_foreach((json_t *)list, i, x) {
        if (strcmp(json_get_string(x, "verdict", ""), "refuses") == 0)
            rc = EXIT_REFUSED;
        buf_reset(&safe);
        str_add_printable(&safe, json_get_string(x, "why", ""), strlen(json_get_string(x, "why", "")));
        buf_addf(&b, "%-8s %-15s %s\n", json_get_string(x, "verdict", ""), json_get_string(x, "check", ""), buf_text(&safe));
    }
    if (c->json) {
        buf_reset(&b);
        json_add_value(&b, list);
        buf_addc(&b, '\n');
    }
    fputs(buf_text(&b), stdout);
    buf_free(&b);
    buf_free(&safe);
    return rc;
}

static int explain_book(struct cli *c, struct runbook *book, struct explain_query *q)
{
    struct origin_query origin;
    struct err e = {0};
    json_t *params = NULL, *list = NULL;
    int rc = host_real_new(&q->host, &e);

    if (rc == 0) {
        origin_ask(&origin, q->host, book);
        origin_take(&origin, true);
    }
    if (rc == 0)
        rc = params_resolve(q->book->params, q->book->nparams, c->params, c->nparams, NULL, &params, &e);
    q->params = params;
    if (rc == 0 && journal_sqlite_open(c->state_dir, "", &(struct journal_options){.read_only = true}, &q->journal, &e) < 0) {
        rc = e.code == ERR_NOT_FOUND ? 0 : e.code;
        if (rc == 0)
            e = (struct err){0};
    }
    if (rc == 0)
        rc = explain_policy(q, &list, &e);
    rc = rc < 0 ? cli_fail(&e) : print_all(c, list);
    json_decref(list);
    json_decref(params);
    if (q->journal)
        q->journal->ops->free(q->journal);
    if (q->host)
        q->host->ops->free(q->host);
    return rc;
}

static int explain(struct cli *c)
{
    struct explain_query q = {.effect = c->nargs > 2 ? c->args[2] : NULL, .target = c->nargs > 3 ? c->args[3] : NULL};
    struct source *source = NULL;
    struct runbook *book = NULL;
    struct err e = {0};
    int rc = cli_config(c);

    if (rc == 0 && q.effect && !q.target) {
        fprintf(stderr, "midwatch policy explain: EFFECT wants a TARGET: kubernetes.scale deployment/prod/api\n");
        return EXIT_USAGE;
    }
    c->args[0] = c->args[1];        /* the runbook, for whoever finds sources */
    if (rc == 0)
        rc = cli_source(c, &source);
    if (rc == 0 && source_load(source, c->args[0], &book, &e) < 0)
        rc = cli_fail(&e);
    source_close(source);
    q.book = book;
    q.config = c->config;
    q.state_dir = c->state_dir;
    if (rc == 0)
        rc = explain_book(c, book, &q);
    book_free(book);
    return rc;
}

int verb_policy(struct cli *c)
{
    if (strcmp(c->args[0], "explain") == 0)
        return explain(c);
    if (strcmp(c->args[0], "on") == 0 && c->nargs == 2)
        return cli_decide(c, json_pack("{s:s}", "runbook", c->args[1]));
    fprintf(stderr, "midwatch policy: explain RUNBOOK [EFFECT TARGET], or on RUNBOOK\n");
    return EXIT_USAGE;
}
