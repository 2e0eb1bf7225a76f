/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch test: the scenarios of runbooks, and which branches they reach. */
#include "check/check.h"
#include "check/cover.h"
#include "cli/cli.h"
#include "cli/results.h"

#include "base/json.h"
#include "base/limits.h"
#include "io/host_sim.h"
#include "plugin/plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* So many scenarios of a file are replayed from their journals, too: a program that contradicts itself does so before. */
#define REPLAYED_MAX 100

struct tally {
    struct cli *cli;
    struct source *source;
    json_t *results;
    size_t passed, failed, branches, covered;
    struct check_mode mode;
    struct host *host;          /* of the registry that all runs share */
};

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static bool is_text(const struct cli *c)
{
    return !c->form || strcmp(c->form, "text") == 0;
}

static void tell(struct tally *t, const char *file, const struct scenario_result *r, double ms)
{
    t->passed += r->passed;
    t->failed += !r->passed;
    if (is_text(t->cli))
        printf("%s  %s\n%s", r->passed ? "ok  " : "FAIL", r->name, buf_text(&r->why));
    else
        json_array_append_new(t->results, json_pack("{s:s s:s s:f s:s s:s s:b s:s s:s}", "chain", r->chain, "file", file, "ms",
                                                    ms, "name", r->name, "outcome", r->outcome, "passed", r->passed, "reason",
                                                    r->reason, "why", buf_text(&r->why)));
}

/* Where the runbook itself is missing, that is what is said. */
static int no_scenarios(struct source *source, const char *file, struct err *e)
{
    struct runbook *book = NULL;
    struct err missing = {0};

    if (e->code == ERR_NOT_FOUND && source_load(source, file, &book, &missing) == ERR_NOT_FOUND)
        return cli_fail(&missing);
    book_free(book);
    if (e->code == ERR_NOT_FOUND)
        err_hint(e, "midwatch new NAME writes a runbook that has one");
    return cli_fail(e);
}

/* Coverage is a result like those of the scenarios. */
static void tell_cover(struct tally *t, const char *file, const struct runbook *book, const struct cover *c)
{
    struct scenario_result r = {.why = BUF_INIT(64 * KIB)};
    json_t *missed = cover_missed(c), *x;
    size_t i, covered, n = cover_count(c, &covered);

    r.passed = json_array_size(missed) == 0;
    snprintf(r.name, sizeof(r.name), "covered %zu of %zu branches", covered, n);
    json_array_foreach(missed, i, x) {
        buf_addf(&r.why, "  %s:%lld: %s\n", book->file, (long long)json_get_int(x, "line", 0), json_get_string(x, "why", ""));
    }
    tell(t, file, &r, 0);
    scenario_result_deinit(&r);
    json_decref(missed);
}

static int run_scenarios(struct tally *t, const char *file, const struct scenarios *scenarios)
{
    struct scenario_result result;
    struct err e = {0};
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < json_array_size(scenarios->list); i++) {
        double begun = now_ms();

        t->mode.no_replay = i >= REPLAYED_MAX;
        rc = scenario_run(t->source, file, t->cli->config, scenarios, i, &t->mode, &result, &e);
        if (rc == 0)
            tell(t, file, &result, now_ms() - begun);
        scenario_result_deinit(&result);
        if (rc < 0 || !t->cli->faults)
            continue;
        begun = now_ms();
        rc = scenario_faults(t->source, file, t->cli->config, scenarios, i, &t->mode, &result, &e);
        if (rc == 0)
            tell(t, file, &result, now_ms() - begun);
        scenario_result_deinit(&result);
    }
    return rc < 0 ? cli_fail(&e) : 0;
}

static int test_file(struct tally *t, const char *file)
{
    struct scenarios *scenarios;
    struct err e = {0};
    int rc = 0;

    if (scenarios_load(t->source, file, &scenarios, &e) < 0)
        return no_scenarios(t->source, file, &e);
    if (source_load(t->source, file, &t->mode.book, &e) < 0 ||
        (t->cli->cover && cover_new(t->mode.book, false, &t->mode.cover, &e) < 0))
        rc = cli_fail(&e);
    if (rc == 0)
        rc = run_scenarios(t, file, scenarios);
    if (rc == 0 && t->mode.cover)
        tell_cover(t, file, t->mode.book, t->mode.cover);
    cover_free(t->mode.cover);
    t->mode.cover = NULL;
    book_free(t->mode.book);
    t->mode.book = NULL;
    scenarios_free(scenarios);
    return rc;
}

static void print_results(const struct tally *t)
{
    struct buf out = BUF_INIT(64 * MIB);

    if (t->cli->json)
        json_add_value(&out, t->results);
    else if (strcmp(t->cli->form, "tap") == 0)
        results_tap(t->results, &out);
    else
        results_junit(t->results, &out);
    fputs(buf_text(&out), stdout);
    if (t->cli->json)
        putchar('\n');
    buf_free(&out);
}

/* Plugins are only described, so that one of each does for all scenarios. */
static int open_registry(struct tally *t)
{
    struct host_sim_options ho = {.seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true, .config = t->cli->config};
    struct err e = {0};

    if (host_sim_new(&ho, &t->host, &e) < 0)
        return cli_fail(&e);
    ro.host = t->host;
    return registry_new(&ro, &t->mode.registry, &e) < 0 ? cli_fail(&e) : 0;
}

/* To stdout, or into a file that there is not yet. */
static int print_scenario(struct cli *c, const struct buf *text)
{
    FILE *f = c->out_file ? fopen(c->out_file, "wx") : stdout;

    if (!f) {
        fprintf(stderr, "midwatch test: %.300s cannot be written (%s)\n", c->out_file,
                errno == EEXIST ? "it exists; print the scenario without --out and put it into its list" : strerror(errno));
        return EXIT_USAGE;
    }
    fputs(buf_text(text), f);
    if (f == stdout || fclose(f) == 0)
        return EXIT_OK;
    fprintf(stderr, "midwatch test: %.300s cannot be written\n", c->out_file);
    return EXIT_INTERNAL;
}

static int record_scenario(struct cli *c)
{
    struct buf text = BUF_INIT(16 * MIB);
    struct err e = {0};
    struct journal *j;
    int64_t id;
    int rc = cli_read_journal(c, &j);

    if (rc)
        return rc;
    rc = cli_run_id(j, c->record, &id);
    if (rc == 0 && scenario_of_run(j, id, &text, &e) < 0)
        rc = cli_fail(&e);
    if (rc == 0)
        rc = print_scenario(c, &text);
    buf_free(&text);
    j->ops->free(j);
    return rc;
}

int verb_test(struct cli *c)
{
    struct tally t = {.cli = c, .results = json_array()};
    size_t i;
    int rc = 0;

    if (c->record) {
        json_decref(t.results);
        return record_scenario(c);
    }
    if (c->nargs == 0) {
        fputs("midwatch test: which RUNBOOK? Or --record RUN\n", stderr);
        rc = EXIT_USAGE;
    }
    if (rc == 0)
        rc = cli_source(c, &t.source);

    if (rc == 0)
        rc = open_registry(&t);

    if (rc == 0 && c->generate)
        rc = cli_generate(c, t.source, t.mode.registry);
    for (i = 0; rc == 0 && !c->generate && i < c->nargs; i++)
        rc = test_file(&t, c->args[i]);
    if (rc == 0 && c->generate)
        ;
    else if (rc == 0 && is_text(c))
        printf("%zu passed, %zu failed\n", t.passed, t.failed);
    else if (rc == 0)
        print_results(&t);
    registry_free(t.mode.registry);
    if (t.host)
        t.host->ops->free(t.host);
    source_close(t.source);
    json_decref(t.results);
    return rc ? rc : t.failed ? EXIT_USAGE : EXIT_OK;
}
