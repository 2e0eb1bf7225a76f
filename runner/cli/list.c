/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch list: the runs of a journal. */
#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/owner.h"
#include "report/planned.h"
#include "report/source.h"

#include <stdio.h>
#include <unistd.h>

struct listing {
    const struct cli *cli;
    struct journal *journal;
    int64_t owner;              /* what owner_run answered */
    bool asked;
    struct buf json;
    size_t n;
    bool as_json;
};

static void add_json(struct listing *l, const struct run_info *r)
{
    struct json_object o;

    if (l->n)
        buf_addc(&l->json, ',');
    json_open(&o, &l->json);
    json_put_int(&o, "created_at", r->created_at);
    json_put_int(&o, "ended_at", r->ended_at);
    json_put_int(&o, "id", r->id);
    json_put_string(&o, "outcome", str_of(r->outcome));
    json_put_string(&o, "reason", str_of(r->reason));
    json_put_int(&o, "rows", r->next_seq - 1);
    json_put_string(&o, "runbook", str_of(r->runbook));
    buf_adds(&l->json, ",\"source\":");
    report_source_json(l->journal, r->bundle, &l->json);
    o.last_key = "source";
    json_put_string(&o, "state", str_of(run_state_name(r->state)));
    json_put_string(&o, "uuid", str_of(r->uuid));
    json_close(&o);
}

/* Of what nobody executes, the journal only never came to say that it does not run any more. */
static const char *state_now(struct listing *l, const struct run_info *r)
{
    struct err e = {0};

    if (r->state == RUN_RUNNING && !l->asked) {
        l->owner = owner_run(l->cli, &e);
        l->asked = true;
    }
    return r->state == RUN_RUNNING && !owner_means(l->owner, r->id) ? "interrupted" : run_state_name(r->state);
}

static bool add(void *ctx, const struct run_info *r)
{
    struct listing *l = ctx;
    char at[40];

    if (l->as_json) {
        add_json(l, r);
    } else {
        if (l->n == 0)
            printf("%5s  %-24s  %-16s  %-10s  %s\n", "run", "runbook", "state", "outcome", "started");
        printf("%5lld  %-24.24s  %-16s  %-10s  %s%s%s\n", (long long)r->id, r->runbook, state_now(l, r),
               r->outcome[0] ? r->outcome : "-", str_time(r->created_at, at, sizeof(at)), r->reason[0] ? "  " : "", r->reason);
    }
    l->n++;
    return !l->json.failed;
}

static bool held(void *ctx, const struct lock_info *l)
{
    (void)ctx;
    if (l->run)
        printf("locked: %s by run %lld\n", l->target, (long long)l->run);
    return true;
}

/* The file halts, whatever the journal says; the journal may still have a halt whose file is gone. */
static int print_halt(const struct cli *c, struct journal *j, struct err *e)
{
    struct buf why = BUF_INIT(4 * KIB), text = BUF_INIT(8 * KIB);
    char path[4200];
    bool on = false;
    int rc = j->ops->halted(j, &on, &why, e);

    snprintf(path, sizeof(path), "%s/halt", c->state_dir);
    if (rc == 0 && (on || access(path, F_OK) == 0)) {
        str_add_printable(&text, buf_text(&why), why.len);
        printf("halted: no effect is sent until midwatch halt --release%s%s\n", text.len ? ": " : "", buf_text(&text));
    }
    buf_free(&why);
    buf_free(&text);
    return rc;
}

struct accuracy {
    struct journal *journal;
    json_t *books;              /* runbook -> { planned, as_planned } */
    struct err e;
};

static bool see_planned(void *ctx, const struct run_info *r)
{
    struct accuracy *a = ctx;
    json_t *book = json_object_get(a->books, r->runbook);
    struct planned p;
    bool failed = planned_read(a->journal, r, &p, &a->e) < 0;

    if (!failed && p.there && r->state == RUN_ENDED) {
        if (!book) {
            book = json_pack("{s:i s:i}", "as_planned", 0, "planned", 0);
            json_object_set_new(a->books, r->runbook, book);
        }
        json_object_set_new(book, "planned", json_integer(json_get_int(book, "planned", 0) + 1));
        json_object_set_new(book, "as_planned", json_integer(json_get_int(book, "as_planned", 0) + !p.differs));
    }
    planned_deinit(&p);
    return !failed;
}

static void print_accuracy(const struct accuracy *a)
{
    const char *name;
    json_t *book;

    if (json_object_size(a->books) == 0)
        puts("no ended run had a plan; midwatch run RUNBOOK --plan FILE gives it one");
    else
        printf("%-24s  %14s  %10s\n", "runbook", "runs by a plan", "as planned");
    json_object_foreach(a->books, name, book) {
        int64_t n = json_get_int(book, "planned", 0), good = json_get_int(book, "as_planned", 0);

        printf("%-24.24s  %14lld  %5lld %3lld%%\n", name, (long long)n, (long long)good, (long long)(100 * good / n));
    }
}

/* Of each runbook's runs by a plan: how many went as planned. */
static int list_accuracy(struct cli *c, struct journal *j)
{
    struct accuracy a = {.journal = j, .books = json_object()};
    struct buf out = BUF_INIT(MIB);
    struct err e = {0};
    int rc = j->ops->runs(j, false, see_planned, &a, &e);

    if (rc == 0 && a.e.code)
        e = a.e;
    if (e.code == 0 && c->json) {
        json_add_value(&out, a.books);
        puts(buf_text(&out));
    } else if (e.code == 0) {
        print_accuracy(&a);
    }
    json_decref(a.books);
    buf_free(&out);
    return e.code ? cli_fail(&e) : 0;
}

int verb_list(struct cli *c)
{
    struct listing l = {.cli = c, .json = BUF_INIT(64 * MIB), .as_json = c->json};
    struct journal *j;
    struct err e = {0};
    int rc = cli_read_journal(c, &j);

    if (rc)
        return rc;
    if (c->accuracy) {
        rc = list_accuracy(c, j);
        j->ops->free(j);
        return rc;
    }
    l.journal = j;
    buf_addc(&l.json, '[');
    if (j->ops->runs(j, false, add, &l, &e) < 0 ||
        (!c->json && (j->ops->locks(j, held, NULL, &e) < 0 || print_halt(c, j, &e) < 0)))
        rc = cli_fail(&e);
    buf_addc(&l.json, ']');
    if (rc == 0 && c->json)
        puts(buf_text(&l.json));
    else if (rc == 0 && l.n == 0)
        puts("no runs yet; midwatch run RUNBOOK begins one, midwatch new NAME writes a runbook");
    buf_free(&l.json);
    j->ops->free(j);
    return rc;
}
