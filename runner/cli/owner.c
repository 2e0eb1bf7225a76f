/* SPDX-License-Identifier: Apache-2.0 */
/* What other processes may hand to the one that owns the journal, and the verbs that
 * do: approve, deny, answer. Where nobody owns it they write it themselves. */
#include "cli/owner.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool executes(const struct session *s, int64_t run)
{
    return s->all ? engine_has(s->engine, run) : s->run && run == run_id(s->run);
}

/* Somebody spoke, or wants something of it: where every run is executed it is woken. */
static int go_on(struct session *s, int64_t run, struct err *e)
{
    int rc = s->all ? engine_wake(s->engine, run, e) : 0;

    s->host->ops->wake(s->host);
    return rc;
}

/* An answer for a run of this process, or for one that nobody executes. */
static int take_answer(struct session *s, const struct peer *who, const json_t *request, struct buf *text, struct err *e)
{
    struct reply w = {.answer = json_get_string(request, "answer", ""), .by = who->name, .groups = who->groups,
                      .via = "command"};
    int64_t run = json_get_int(request, "run", 0);
    const char *path = json_get_string(request, "path", NULL);
    bool more = false;
    int rc;

    if (executes(s, run)) {
        rc = desk_say(s->desk, run, path, &w, e);
        s->host->ops->wake(s->host);
    } else {
        rc = answer_question(s->writer, s->host, run, path, &w, &more, e);
    }
    if (rc == 0 && !more)
        rc = go_on(s, run, e);
    if (rc == 0)
        buf_addf(text, "run %lld: %s said %s%s", (long long)run, w.by, w.answer, more ? "; more people must agree" : "");
    return rc;
}

static bool is_set_aside(struct session *s, int64_t run)
{
    struct journal *j = writer_journal(s->writer);
    struct run_info info = {0};
    struct err ignored = {0};
    bool is = j->ops->get_run(j, run, &info, &ignored) == 0 && info.state == RUN_QUARANTINED;

    run_info_deinit(&info);
    return is;
}

static int take_settle(struct session *s, const struct peer *who, const json_t *request, struct buf *text, struct err *e)
{
    int64_t run = json_get_int(request, "run", 0);
    const char *verdict = json_get_string(request, "verdict", "");

    if (executes(s, run))
        return err_set(e, ERR_BUSY, "run %lld is being executed; it settles what it can by itself", (long long)run);
    if (settle_effect(s->writer, s->host, run, json_get_string(request, "path", NULL), verdict, who->name, e) < 0)
        return e->code;
    buf_addf(text, "run %lld: settled as %s by %s", (long long)run, verdict, who->name);
    return strcmp(verdict, "release") == 0 || is_set_aside(s, run) ? 0 : go_on(s, run, e);
}

static int take_leave(struct session *s, const struct peer *who, const json_t *request, struct buf *text, struct err *e)
{
    int64_t run = json_get_int(request, "run", 0);

    (void)who;
    if (!s->run || run != run_id(s->run))
        return err_set(e, ERR_NOT_FOUND, "run %lld is not being executed", (long long)run);
    engine_leave(s->engine, false);
    s->host->ops->wake(s->host);
    buf_addf(text, "run %lld is left at its next safe point", (long long)run);
    return 0;
}

static int take_cancel(struct session *s, const struct peer *who, const json_t *request, struct buf *text, struct err *e)
{
    int64_t run = json_get_int(request, "run", 0);

    if (s->all && go_on(s, run, e) < 0)
        return e->code;
    if (!executes(s, run))
        return err_set(e, ERR_BUSY, "run %lld is not the one that is being executed; wait for that",
                       (long long)run);
    engine_cancel_run(s->engine, run, who->name);
    s->host->ops->wake(s->host);
    buf_addf(text, "run %lld is being cancelled; what it changed is undone", (long long)run);
    return 0;
}

/* The run that is being executed, as a number; 0 = none yet. */
static int take_status(struct session *s, const struct peer *who, const json_t *request, struct buf *text, struct err *e)
{
    (void)who, (void)request, (void)e;
    buf_addf(text, "%lld", s->run ? (long long)run_id(s->run) : 0);
    return 0;
}

static const struct {
    const char *verb;
    int (*take)(struct session *s, const struct peer *who, const json_t *request, struct buf *text, struct err *e);
} taken[] = {{"answer", take_answer}, {"cancel", take_cancel}, {"decide", decide}, {"leave", take_leave}, {"settle", take_settle},
           {"status", take_status}};

static int take(void *ctx, const struct peer *who, const json_t *request, struct buf *text, struct err *e)
{
    const char *verb = json_get_string(request, "verb", "");
    size_t i;

    for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (strcmp(verb, taken[i].verb) == 0)
            return taken[i].take(ctx, who, request, text, e);
    }
    return err_set(e, ERR_INVALID, "'%s' is nothing that can be asked for here", verb);
}

void owner_open(struct session *s)
{
    struct err e = {0};

    if (socket_listen(s->host, s->cli->state_dir, take, s, &s->socket, &e) < 0)
        fprintf(stderr, "midwatch: other commands cannot reach this run: %s\n", e.msg);
}

int64_t owner_run(const struct cli *c, struct err *e)
{
    json_t *request = json_pack("{s:s}", "verb", "status");
    struct buf text = BUF_INIT(KIB);
    int rc = socket_ask(c->state_dir, request, 1, &text, e);
    int64_t run = rc == 0 ? strtoll(buf_text(&text), NULL, 10) : rc;

    json_decref(request);
    buf_free(&text);
    return run;
}

bool owner_means(int64_t answer, int64_t run)
{
    return answer != ERR_NOT_FOUND && (answer <= 0 || answer == run);
}

bool owner_executes(const struct cli *c, int64_t run)
{
    struct err e = {0};

    return owner_means(owner_run(c, &e), run);
}

int owner_ask(struct cli *c, json_t *request, struct err *e)
{
    struct buf text = BUF_INIT(64 * KIB);
    int rc;

    if (getuid() == 0 && getenv("SUDO_UID"))
        json_object_set_new(request, "sudo_uid", json_string(getenv("SUDO_UID")));
    rc = socket_ask(c->state_dir, request, 10, &text, e);
    if (rc == 0)
        cli_tell(c, json_pack("{s:O* s:O}", "answer", json_object_get(request, "answer"), "run", json_object_get(request, "run")),
                 "%s", buf_text(&text));
    json_decref(request);
    buf_free(&text);
    return rc;
}

int owner_fail(struct err *e)
{
    if (e->code == ERR_NOT_FOUND && !e->hint[0])
        err_hint(e, "midwatch list shows the runs there are");
    return cli_fail(e);
}

/* Nobody is there: the answer is written, and the run goes on when it is resumed. */
static int answer_left_run(struct cli *c, int64_t run, const char *path, const char *answer)
{
    const char *groups[GROUPS_MAX + 1];
    struct buf text = BUF_INIT(64 * KIB);
    struct reply w = {.answer = answer, .by = cli_who(), .groups = groups, .via = "command"};
    struct session s = {0};
    struct err e = {0};
    bool more = false;
    int rc = session_open(&s, c, "midwatch answer");

    socket_groups(cli_person(), &text, groups);
    if (rc == 0 && answer_question(s.writer, s.host, run, path, &w, &more, &e) < 0)
        rc = owner_fail(&e);
    if (rc == 0)
        cli_tell(c, json_pack("{s:s s:I}", "answer", answer, "run", (json_int_t)run), "run %lld: %s said %s; %s %lld",
                 (long long)run, w.by, answer, more ? "more people must agree: midwatch show" : "go on with: midwatch resume",
                 (long long)run);
    session_close(&s);
    buf_free(&text);
    return rc;
}

/* Whoever may only reach the socket cannot read the journal: a number needs no look into it. */
int owner_find_run(struct cli *c, int64_t *run)
{
    struct journal *j;
    char *end;
    int rc = cli_config(c);

    *run = strtoll(c->args[0], &end, 10);
    if (rc || (*end == '\0' && *run > 0))
        return rc;
    rc = cli_read_journal(c, &j);
    if (rc)
        return rc;
    rc = cli_run_id(j, c->args[0], run);
    j->ops->free(j);
    return rc;
}

static int answer(struct cli *c, const char *path, const char *word)
{
    struct err e = {0};
    int64_t run;
    int rc = owner_find_run(c, &run);

    if (rc)
        return rc;
    if (owner_ask(c, json_pack("{s:s s:I s:s* s:s}", "answer", word, "run", (json_int_t)run, "path", path, "verb", "answer"),
                  &e) == 0)
        return 0;
    return e.code == ERR_NOT_FOUND ? answer_left_run(c, run, path, word) : cli_fail(&e);
}

/* A run that nobody executes is taken up to be undone. */
static int cancel_left_run(struct cli *c, int64_t run)
{
    struct session s = {.executes = true};
    struct err e = {0};
    int rc = session_open(&s, c, "midwatch cancel");

    if (rc == 0 && engine_resume(s.engine, run, cli_who(), &s.run, &e) < 0)
        rc = owner_fail(&e);
    else if (rc == 0) {
        engine_cancel(s.engine, cli_who());
        rc = session_run(&s);
    }
    session_close(&s);
    return rc;
}

int verb_cancel(struct cli *c)
{
    struct err e = {0};
    int64_t run;
    int rc = owner_find_run(c, &run);

    if (rc)
        return rc;
    if (owner_ask(c, json_pack("{s:I s:s}", "run", (json_int_t)run, "verb", "cancel"), &e) == 0)
        return 0;
    return e.code == ERR_NOT_FOUND ? cancel_left_run(c, run) : cli_fail(&e);
}

int verb_approve(struct cli *c)
{
    return answer(c, c->nargs > 1 ? c->args[1] : NULL, "yes");
}

int verb_deny(struct cli *c)
{
    return answer(c, c->nargs > 1 ? c->args[1] : NULL, "no");
}

int verb_answer(struct cli *c)
{
    return answer(c, c->nargs > 2 ? c->args[1] : NULL, c->args[c->nargs - 1]);
}
