/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch run: a runbook, for real. */
#include "base/json.h"
#include "base/limits.h"
#include "check/plan.h"
#include "cli/origin.h"
#include "cli/session.h"
#include "cli/tend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_alert(struct host *h, const char *file, json_t **out, struct err *e)
{
    struct buf text = BUF_INIT(MIB);
    json_t *payload = NULL, *alert;
    int rc = h->ops->read_file(h, file, MIB, &text, e);

    if (rc == 0)
        rc = json_read((struct str){text.data ? text.data : "", text.len}, &payload, e);
    alert = json_array_get(json_object_get(payload, "alerts"), 0);
    if (rc == 0 && !json_is_object(json_object_get(alert, "labels")))
        rc = err_set(e, ERR_INVALID, "%s has no alert with labels (an Alertmanager webhook payload is wanted)", file);
    if (rc == 0)
        *out = json_pack("{s:O? s:s s:O s:O?}", "annotations", json_object_get(alert, "annotations"), "kind", "alert",
                         "labels", json_object_get(alert, "labels"), "startsAt", json_object_get(alert, "startsAt"));
    json_decref(payload);
    buf_free(&text);
    return rc < 0 ? err_wrap(e, "--alert") : 0;
}

static int read_plan(struct host *h, const char *file, const struct runbook *book, json_t **out, struct err *e)
{
    struct buf text = BUF_INIT(64 * MIB);
    int rc = h->ops->read_file(h, file, text.max, &text, e);

    if (rc == 0)
        rc = plan_expected((struct str){text.data ? text.data : "", text.len}, book, out, e);
    buf_free(&text);
    return rc < 0 ? err_wrap(e, "--plan") : 0;
}

/* Takes the book over. */
static int start(struct session *s, struct runbook *book, struct err *e)
{
    struct cli *c = s->cli;
    struct run_request q = {.command = "run", .requester = cli_who(), .book = book};
    json_t *trigger = NULL, *params = NULL, *plan = NULL;
    int rc = c->plan_file ? read_plan(s->host, c->plan_file, book, &plan, e) : 0;

    if (rc == 0 && c->alert_file)
        rc = cli_alert(s->host, c->alert_file, &trigger, e);
    if (rc == 0)
        rc = params_resolve(q.book->params, q.book->nparams, c->params, c->nparams, trigger, &params, e);
    q.params = params;
    q.trigger = trigger;
    q.plan = plan;
    if (rc == 0)
        rc = engine_start(s->engine, &q, &s->run, e);
    else
        book_free(q.book);
    json_decref(trigger);
    json_decref(params);
    json_decref(plan);
    return rc;
}

int cli_load(struct cli *c, struct runbook **out)
{
    struct source *source = NULL;
    struct err e = {0};
    int rc = cli_source(c, &source);

    if (rc == 0)
        rc = source_load(source, c->args[0], out, &e) < 0 ? cli_fail(&e) : 0;
    source_close(source);
    return rc;
}

int verb_run(struct cli *c)
{
    struct runbook *book = NULL;
    struct origin_query query;
    struct session s = {.executes = true};
    char what[300];
    struct err e = {0};
    int rc = cli_config(c);

    snprintf(what, sizeof(what), "midwatch run %.200s", c->args[0]);
    if (rc == 0)
        rc = host_real_new(&s.host, &e) < 0 ? cli_fail(&e) : 0;
    if (rc == 0)
        rc = cli_load(c, &book);
    if (rc)
        goto out;
    origin_ask(&query, s.host, book);           /* answered while the session opens */
    rc = session_open(&s, c, what);
    origin_take(&query, rc == 0);
    if (rc == 0) {
        rc = start(&s, book, &e) < 0 ? cli_fail(&e) : session_run(&s);
        book = NULL;
    }
out:
    book_free(book);
    session_close(&s);
    return rc;
}

static int resume_all(struct cli *c)
{
    struct session s = {.executes = true, .all = true};
    int rc = session_open(&s, c, "midwatch resume --all");

    if (rc == 0)
        rc = tend_run(&s);
    session_close(&s);
    return rc;
}

/* The run that a word names is the one in which the last owner died, and nothing of it was written yet. */
static bool died_unwritten(struct session *s, const char *word)
{
    struct run_info info = {0};
    struct err e = {0};
    char id[24];
    struct journal *j = writer_journal(s->writer);
    bool unwritten;

    snprintf(id, sizeof(id), "%lld", (long long)s->died.run);
    unwritten = strcmp(word, id) == 0 && j->ops->get_run(j, s->died.run, &info, &e) == ERR_NOT_FOUND;
    if (unwritten)
        fprintf(stderr, "midwatch: run %s ended the program before anything of it was written: nothing was changed\n", id);
    run_info_deinit(&info);
    return unwritten;
}

static int resume(struct session *s, const char *word)
{
    enum strike struck;
    struct err e = {0};
    int64_t id = 0;
    int rc;

    if (died_unwritten(s, word))
        return EXIT_INTERNAL;
    rc = cli_run_id(writer_journal(s->writer), word, &id);
    struck = id == s->died.run ? s->strike : STRIKE_NONE;
    if (rc || struck == STRIKE_SET_ASIDE)
        return rc ? rc : 5;
    if (engine_resume(s->engine, id, struck == STRIKE_GIVEN ? NULL : cli_who(), &s->run, &e) < 0)
        return cli_fail(&e);
    return session_run(s);
}

int verb_resume(struct cli *c)
{
    struct session s = {.executes = true};
    char what[300];
    int rc;

    if (c->all != (c->nargs == 0)) {
        fprintf(stderr, "midwatch: resume wants a run, or --all\n");
        return EXIT_USAGE;
    }
    if (c->all)
        return resume_all(c);
    snprintf(what, sizeof(what), "midwatch resume %.200s", c->args[0]);
    rc = session_open(&s, c, what);
    if (rc == 0)
        rc = resume(&s, c->args[0]);
    session_close(&s);
    return rc;
}
