/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch backtest: recorded runs against a changed runbook, as text, JSON, or a table for a pull request. */
#include "check/backtest.h"
#include "cli/cli.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define RUNS_MAX 1000
#define EXIT_DIFFERENT 3
#define EXIT_UNKNOWN 5

/* Which runs, newest first. */
struct wanted {
    int64_t ids[RUNS_MAX];
    size_t n, max;
    const char *runbook;        /* the name in the journal */
    size_t open, scripted, undone;  /* of this runbook, and not to be played */
    int64_t an_open;
    char others[300];           /* runbooks that have runs to be played */
};

struct output {
    struct buf text;
    size_t counts[BACKTEST_VERDICTS], n;
};

static void see_other(struct wanted *w, const struct run_info *r)
{
    bool ours = strcmp(r->runbook, w->runbook) == 0, live = strcmp(r->command, "run") == 0;
    size_t n = strlen(w->others), room = sizeof(w->others) - n;

    if (ours && r->state != RUN_ENDED) {
        w->open++;
        w->an_open = r->id;
    } else if (ours) {
        w->scripted += strcmp(r->command, "undo") != 0;
        w->undone += strcmp(r->command, "undo") == 0;
    } else if (live && r->state == RUN_ENDED && !strstr(w->others, r->runbook) && strlen(r->runbook) + 3 < room) {
        snprintf(w->others + n, room, "%s%s", n ? ", " : "", r->runbook);
    }
}

static bool add_run(void *ctx, const struct run_info *r)
{
    struct wanted *w = ctx;

    if (r->state == RUN_ENDED && strcmp(r->command, "run") == 0 && strcmp(r->runbook, w->runbook) == 0)
        w->ids[w->n++] = r->id;
    else
        see_other(w, r);
    return w->n < w->max;
}

/* What there is in the place of what was looked for, and what to do. */
static void no_run(const struct wanted *w, struct err *e)
{
    char kinds[200] = "";
    size_t n = 0;

    if (w->open)
        n += (size_t)snprintf(kinds + n, sizeof(kinds) - n, "; %zu open", w->open);
    if (w->scripted)
        n += (size_t)snprintf(kinds + n, sizeof(kinds) - n, "; %zu of scenarios (test)", w->scripted);
    if (w->undone)
        snprintf(kinds + n, sizeof(kinds) - n, "; %zu that undo one", w->undone);
    err_set(e, ERR_NOT_FOUND, "there is no live run of %s that has ended%s%s", w->runbook, kinds[0] ? "; the journal has" : "",
            kinds[0] ? kinds + 1 : "");
    if (w->open)
        err_hint(e, "end it first: midwatch resume %lld, or cancel %lld", (long long)w->an_open, (long long)w->an_open);
    else if (w->scripted)
        err_hint(e, "a scenario is tried by midwatch test %s; only what midwatch run saw is played here", w->runbook);
    else if (w->others[0])
        err_hint(e, "there are live runs of %s", w->others);
    else
        err_hint(e, "midwatch run %s makes one; --state DIR is another journal; without any: midwatch test %s", w->runbook,
                 w->runbook);
}

/* Runs are numbers or uuids; a runbook begins with something else. */
static int split_words(struct cli *c, struct journal *j, struct wanted *w, const char **name)
{
    size_t i;
    int rc = 0;

    *name = NULL;
    for (i = 0; rc == 0 && i < c->nargs; i++) {
        if (c->args[i][0] >= '0' && c->args[i][0] <= '9') {
            rc = cli_run_id(j, c->args[i], &w->ids[w->n]);
            w->n += rc == 0;
        } else if (*name) {
            fprintf(stderr, "midwatch backtest: one runbook at a time, not '%.60s' and '%.60s'\n", *name, c->args[i]);
            rc = EXIT_USAGE;
        } else {
            *name = c->args[i];
        }
    }
    if (rc == 0 && w->n && c->last) {
        fputs("midwatch backtest: either RUN or --last\n", stderr);
        rc = EXIT_USAGE;
    }
    if (rc == 0 && w->n == 0 && !*name) {
        fputs("midwatch backtest: which runs? A number of midwatch list, or a RUNBOOK for its last ones\n", stderr);
        rc = EXIT_USAGE;
    }
    return rc;
}

static int last_runs(struct cli *c, struct journal *j, struct source *source, const char *name, struct wanted *w)
{
    struct runbook *book = NULL;
    struct err e = {0};
    char *end = NULL;
    long n = c->last ? strtol(c->last, &end, 10) : 20;

    if (n < 1 || n > RUNS_MAX || (end && *end)) {
        fprintf(stderr, "midwatch backtest: --last wants a number from 1 to %d\n", RUNS_MAX);
        return EXIT_USAGE;
    }
    w->max = (size_t)n;
    if (source_load(source, name, &book, &e) < 0)
        return cli_fail(&e);
    w->runbook = book->name;
    if (j->ops->runs(j, false, add_run, w, &e) == 0 && w->n == 0)
        no_run(w, &e);
    book_free(book);
    return e.code ? cli_fail(&e) : 0;
}

static const char *at_text(int64_t at, char out[32])
{
    char exact[32];

    str_time(at, exact, sizeof(exact));
    snprintf(out, 32, "%.10s %.5s", exact, exact + 11);
    return out;
}

static const struct decision *at_first(const struct decisions *d, size_t first)
{
    return first < d->n ? &d->list[first] : NULL;
}

static void text_decision(struct buf *out, const char *who, const struct decision *d)
{
    char after[40];

    buf_addf(out, "    %-9s ", who);
    if (!d) {
        buf_adds(out, "nothing more\n");
        return;
    }
    str_add_printable(out, d->text, strlen(d->text));
    buf_addf(out, "  after %s\n", str_duration((d->after_ms + 500) / 1000 * 1000, after, sizeof(after)));
    if (d->source[0])
        buf_addf(out, "              %s\n", d->source);
}

static void verdict_words(struct buf *out, const struct backtest *b)
{
    char by[40];

    buf_adds(out, backtest_verdict_name(b->verdict));
    if (b->verdict == BACKTEST_EARLIER || b->verdict == BACKTEST_LATER)
        buf_addf(out, " by %s", str_duration((b->by_ms + 500) / 1000 * 1000, by, sizeof(by)));
}

static bool shows_decisions(const struct backtest *b)
{
    return b->verdict == BACKTEST_DIFFERENT || b->verdict == BACKTEST_EARLIER || b->verdict == BACKTEST_LATER;
}

static void text_run(struct output *o, const struct backtest *b)
{
    char at[32];

    buf_addf(&o->text, "run %lld  %s  %s  ", (long long)b->run, at_text(b->at, at), b->runbook);
    verdict_words(&o->text, b);
    buf_addc(&o->text, '\n');
    if (shows_decisions(b)) {
        text_decision(&o->text, "recorded", at_first(&b->recorded, b->first));
        text_decision(&o->text, "now", at_first(&b->changed, b->first));
    }
    if (b->why[0]) {
        buf_adds(&o->text, "    ");
        str_add_printable(&o->text, b->why, strlen(b->why));
        buf_addc(&o->text, '\n');
    }
    if (b->verdict == BACKTEST_UNKNOWN && b->where && b->where[0])
        buf_addf(&o->text, "    asked at  %s\n", b->where);
}

/* One cell of a table: no bars, no line ends, no markup. */
static void cell(struct buf *out, const char *text)
{
    struct buf plain = BUF_INIT(64 * KIB);
    size_t i;

    str_add_printable(&plain, text, strlen(text));
    for (i = 0; i < plain.len; i++) {
        if (strchr("|\\`*_<>[]#&~@!", plain.data[i]))
            buf_addc(out, '\\');
        buf_addc(out, plain.data[i]);
    }
    buf_free(&plain);
}

static void cell_decision(struct buf *out, const struct decision *d)
{
    cell(out, d ? d->text : "nothing more");
    if (d && d->source[0]) {
        buf_adds(out, "<br>");
        cell(out, d->source);
    }
}

static void markdown_run(struct output *o, const struct backtest *b)
{
    char at[32];

    buf_addf(&o->text, "| %lld | %s | %s", (long long)b->run, at_text(b->at, at), b->verdict == BACKTEST_SAME ? "" : "**");
    verdict_words(&o->text, b);
    buf_adds(&o->text, b->verdict == BACKTEST_SAME ? " | " : "** | ");
    if (shows_decisions(b)) {
        buf_adds(&o->text, "recorded: ");
        cell_decision(&o->text, at_first(&b->recorded, b->first));
        buf_adds(&o->text, "<br>now: ");
        cell_decision(&o->text, at_first(&b->changed, b->first));
    }
    if (b->why[0]) {
        buf_adds(&o->text, shows_decisions(b) ? "<br>" : "");
        cell(&o->text, b->why);
    }
    if (b->verdict == BACKTEST_UNKNOWN && b->where && b->where[0]) {
        buf_adds(&o->text, "<br>asked at ");
        cell(&o->text, b->where);
    }
    buf_adds(&o->text, " |\n");
}

static json_t *json_decisions(const struct decisions *d)
{
    static const char *const kinds[] = {[DECISION_CAUSE] = "cause", [DECISION_EFFECT] = "effect", [DECISION_END] = "end"};
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < d->n; i++)
        json_array_append_new(list, json_pack("{s:I s:s s:i s:s s:s}", "after_ms", (json_int_t)d->list[i].after_ms, "kind",
                                              kinds[d->list[i].kind], "line", d->list[i].line, "source",
                                              d->list[i].source ? d->list[i].source : "", "text", d->list[i].text));
    return list;
}

static void json_run(struct output *o, const struct backtest *b)
{
    json_t *v = json_pack("{s:I s:I s:o s:I s:o s:I s:s s:s s:s* s:s}", "at", (json_int_t)b->at, "by_ms", (json_int_t)b->by_ms,
                          "changed", json_decisions(&b->changed), "first", (json_int_t)b->first, "recorded",
                          json_decisions(&b->recorded), "run", (json_int_t)b->run, "runbook", b->runbook, "verdict",
                          backtest_verdict_name(b->verdict), "where", b->where, "why", b->why);

    buf_adds(&o->text, o->n > 1 ? "," : "");
    json_add_value(&o->text, v);
    json_decref(v);
}

static void summary(struct output *o)
{
    size_t i, said = 0;

    buf_addf(&o->text, "%zu run%s: ", o->n, o->n == 1 ? "" : "s");
    for (i = 0; i < BACKTEST_VERDICTS; i++) {
        if (o->counts[i])
            buf_addf(&o->text, "%s%zu %s", said++ ? ", " : "", o->counts[i], backtest_verdict_name((enum backtest_verdict)i));
    }
    buf_addc(&o->text, '\n');
}

static int run_all(struct cli *c, struct journal *j, struct source *source, const char *name, const struct wanted *w,
                   struct output *o)
{
    bool markdown = c->form && strcmp(c->form, "markdown") == 0;
    size_t i;
    int rc = 0;

    buf_adds(&o->text, c->json ? "[" : markdown ? "| run | started | verdict | first difference |\n|---|---|---|---|\n" : "");
    for (i = 0; rc == 0 && i < w->n; i++) {
        struct backtest b = {0};
        struct err e = {0};

        if (backtest_run(j, w->ids[i], source, name, c->config, &b, &e) < 0) {
            rc = cli_fail(&e);
        } else {
            o->counts[b.verdict]++;
            o->n++;
            (c->json ? json_run : markdown ? markdown_run : text_run)(o, &b);
        }
        backtest_deinit(&b);
    }
    if (c->json)
        buf_adds(&o->text, "]\n");
    else if (markdown)
        buf_addc(&o->text, '\n');
    if (!c->json)
        summary(o);
    return rc;
}

static int exit_code(const struct output *o)
{
    if (o->counts[BACKTEST_EARLIER] || o->counts[BACKTEST_LATER] || o->counts[BACKTEST_DIFFERENT])
        return EXIT_DIFFERENT;
    return o->counts[BACKTEST_UNKNOWN] || o->counts[BACKTEST_SKIPPED] ? EXIT_UNKNOWN : EXIT_OK;
}

/* The runbook that a run was of, for finding the repository. */
static int name_of_run(struct journal *j, int64_t id, char out[256])
{
    struct run_info info = {0};
    struct err e = {0};
    int rc = j->ops->get_run(j, id, &info, &e);

    snprintf(out, 256, "%s", info.runbook);
    run_info_deinit(&info);
    return rc < 0 ? cli_fail(&e) : 0;
}

int verb_backtest(struct cli *c)
{
    struct output o = {.text = BUF_INIT(64 * MIB)};
    struct wanted w = {0};
    struct source *source = NULL;
    struct journal *j;
    const char *name;
    char own[256];
    int rc = cli_read_journal(c, &j);

    if (rc)
        return rc;
    rc = split_words(c, j, &w, &name);
    if (rc == 0 && !name)
        rc = name_of_run(j, w.ids[0], own);
    c->args[0] = name ? name : own;
    if (rc == 0)
        rc = cli_source(c, &source);
    if (rc == 0 && w.n == 0)
        rc = last_runs(c, j, source, name, &w);
    if (rc == 0)
        rc = run_all(c, j, source, name, &w, &o);
    if (rc == 0)
        fputs(buf_text(&o.text), stdout);
    source_close(source);
    buf_free(&o.text);
    j->ops->free(j);
    return rc ? rc : exit_code(&o);
}
