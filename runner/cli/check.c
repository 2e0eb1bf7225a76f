/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch lint and midwatch test: what can be known without touching anything. */
#include "check/check.h"

#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

int verb_lint(struct cli *c)
{
    struct buf out = BUF_INIT(16 * MIB);
    json_t *findings = json_array();
    struct source *source = NULL;
    size_t i, k, n = 0;
    int rc = cli_source(c, &source);

    for (i = 0; rc == 0 && i < c->nargs; i++) {
        lint_runbook(source, c->args[i], c->config, findings, &out);
        for (k = n, n = json_array_size(findings); k < n; k++)
            lint_text(json_array_get(findings, k), &out);
    }
    if (rc == 0 && c->json) {
        buf_reset(&out);
        json_add_value(&out, findings);
        puts(buf_text(&out));
    } else if (rc == 0) {
        fputs(buf_text(&out), stdout);
        if (n == 0)
            printf("%zu runbook%s: nothing to complain about\n", c->nargs, c->nargs == 1 ? "" : "s");
    }
    source_close(source);
    json_decref(findings);
    buf_free(&out);
    return rc ? rc : n ? EXIT_USAGE : EXIT_OK;
}

struct tally {
    struct cli *cli;
    struct buf json;
    size_t passed, failed;
    struct check_mode mode;
};

static void tell(struct tally *t, const char *file, const struct scenario_result *r)
{
    struct json_object o;

    t->passed += r->passed;
    t->failed += !r->passed;
    if (t->cli->json) {
        if (t->passed + t->failed > 1)
            buf_addc(&t->json, ',');
        json_open(&o, &t->json);
        json_put_string(&o, "chain", str_of(r->chain));
        json_put_string(&o, "file", str_of(file));
        json_put_string(&o, "name", str_of(r->name));
        json_put_string(&o, "outcome", str_of(r->outcome));
        json_put_bool(&o, "passed", r->passed);
        json_put_string(&o, "reason", str_of(r->reason));
        json_put_string(&o, "why", str_of(buf_text(&r->why)));
        json_close(&o);
    } else {
        printf("%s  %s\n%s", r->passed ? "ok  " : "FAIL", r->name, buf_text(&r->why));
    }
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

static int test_file(struct tally *t, struct source *source, const char *file)
{
    struct scenario_result result;
    struct scenarios *scenarios;
    struct err e = {0};
    size_t i;

    if (scenarios_load(source, file, &scenarios, &e) < 0)
        return no_scenarios(source, file, &e);
    for (i = 0; i < json_array_size(scenarios->list); i++) {
        if (scenario_run(source, file, t->cli->config, scenarios, i, &t->mode, &result, &e) < 0) {
            scenario_result_deinit(&result);
            scenarios_free(scenarios);
            return cli_fail(&e);
        }
        tell(t, file, &result);
        scenario_result_deinit(&result);
    }
    scenarios_free(scenarios);
    return 0;
}

int verb_test(struct cli *c)
{
    struct tally t = {.cli = c, .json = BUF_INIT(64 * MIB)};
    struct source *source = NULL;
    size_t i;
    int rc = cli_source(c, &source);

    for (i = 0; rc == 0 && i < c->nargs; i++)
        rc = test_file(&t, source, c->args[i]);
    if (rc == 0 && c->json)
        printf("[%s]\n", buf_text(&t.json));
    else if (rc == 0)
        printf("%zu passed, %zu failed\n", t.passed, t.failed);
    source_close(source);
    buf_free(&t.json);
    return rc ? rc : t.failed ? EXIT_USAGE : EXIT_OK;
}
