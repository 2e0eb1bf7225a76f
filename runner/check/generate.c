/* SPDX-License-Identifier: Apache-2.0 */
#include "check/generate.h"

#include "base/json.h"
#include "base/limits.h"
#include "check/cover.h"
#include "check/explore.h"
#include "check/generate_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 2
#define NAME_BYTES 160
static const char *const shared_keys[] = {"given", "params", "people", "state", "trigger"};
#define NSHARED (sizeof(shared_keys) / sizeof(shared_keys[0]))

struct generation {
    const struct generate_request *q;
    struct runbook *book;
    struct cover *cover;
    struct scenarios *scenarios;    /* of the file, or NULL */
    json_t *shared;                 /* what stands at its top */
    json_t *params;                 /* resolved, that hold where a scenario says nothing else */
    json_t *own_params;             /* of each proposal, as typed: the file's top does not say them */
    json_t *runs;                   /* [{ outcome, reason, seen, hits }] of scenarios */
    json_t *reached;                /* numbers that one of them noted: "12" -> true */
    json_t *map, *out;
};

/* Where a run stands, in the words of `expect`. */
static const char *outcome_of(const json_t *witness)
{
    return strcmp(json_get_string(witness, "reason", ""), "unknown_effect") == 0 ? "waiting: person"
                                                                                   : json_get_string(witness, "outcome", "");
}

static json_t *expect_of(const json_t *witness)
{
    const char *outcome = outcome_of(witness);
    json_t *expect = json_pack("{s:s}", "outcome", outcome);

    if (strcmp(outcome, "waiting: person") != 0)
        json_object_set(expect, "reason", json_object_get(witness, "reason"));
    return expect;
}

/* The path in words: its conditions, the last ones where not all fit. */
static void path_text(const json_t *witness, size_t max, struct buf *out)
{
    const json_t *list = json_object_get(witness, "conditions");
    const char *text, *last = "";
    size_t i, n = json_array_size(list), from = n, bytes = 0;

    for (; from > 0; from--) {
        bytes += strlen(json_get_string(json_array_get(list, from - 1), "text", "")) + 2;
        if (bytes > max && from < n)
            break;
    }
    buf_adds(out, n == 0 ? "always" : from ? "... " : "");
    for (i = from; i < n; i++) {
        text = json_get_string(json_array_get(list, i), "text", "");
        if (strcmp(text, last) != 0)
            buf_addf(out, "%s%s", i > from ? ", " : "", text);
        last = text;
    }
}

static json_t *path_json(const json_t *witness)
{
    struct buf text = BUF_INIT(64 * KIB);
    json_t *path;

    path_text(witness, 1000, &text);
    buf_addf(&text, ": %s (%s), %s:%lld", json_get_string(witness, "outcome", ""), json_get_string(witness, "reason", ""),
             json_get_string(witness, "file", ""), (long long)json_get_int(witness, "line", 0));
    path = json_string(buf_text(&text));
    buf_free(&text);
    return path;
}

/* Whether all numbers of a are among those of b. */
static bool is_within(const json_t *a, const json_t *b)
{
    json_t *set = json_object(), *n;
    char key[24];
    bool within = true;
    size_t i;

    json_array_foreach((json_t *)b, i, n) {
        snprintf(key, sizeof(key), "%lld", (long long)json_integer_value(n));
        json_object_set_new(set, key, json_true());
    }
    json_array_foreach((json_t *)a, i, n) {
        snprintf(key, sizeof(key), "%lld", (long long)json_integer_value(n));
        within = within && json_object_get(set, key);
    }
    json_decref(set);
    return within;
}

static bool is_equal(const json_t *a, const json_t *b, const char *key)
{
    return json_equal(json_object_get(a, key), json_object_get(b, key));
}

/* Whether a scenario was there before that did the same and decided all that this run did. */
static bool is_covered(const struct generation *g, const json_t *run)
{
    json_t *other;
    size_t i;

    json_array_foreach(g->runs, i, other) {
        const json_t *seen = json_object_get(run, "seen"), *before = json_object_get(other, "seen");

        if (is_equal(run, other, "outcome") && is_equal(run, other, "reason") && is_equal(seen, before, "cause") &&
            is_equal(seen, before, "effects") && is_equal(seen, before, "events") && is_equal(seen, before, "end") &&
            is_within(json_object_get(run, "hits"), json_object_get(other, "hits")))
            return true;
    }
    return false;
}

/* "kubernetes.scale deployment/prod/api" was to be "kubernetes.scale". */
static bool are_sent(const json_t *effects, const json_t *sent)
{
    json_t *v;
    size_t i;

    if (json_array_size(effects) != json_array_size(sent))
        return false;
    json_array_foreach((json_t *)effects, i, v) {
        const char *got = json_string_value(v), *wanted = json_string_value(json_array_get(sent, i));

        if (strncmp(got, wanted, strlen(wanted)) != 0 || got[strlen(wanted)] != ' ')
            return false;
    }
    return true;
}

/* The same for a path that nobody could run. One that something raised has not decided on its end. */
static bool may_be_covered(const struct generation *g, const json_t *witness)
{
    static const char *const raised[] = {"error", "no_data", "inconclusive_cause"};
    const char *reason = json_get_string(witness, "reason", ""), *cause = json_get_string(witness, "cause", "");
    json_t *run, *expect;
    bool found = false;
    size_t i;

    for (i = 0; i < 3; i++) {
        if (strcmp(reason, raised[i]) == 0)
            return false;
    }
    expect = expect_of(witness);
    json_array_foreach(g->runs, i, run) {
        found = found || (is_equal(run, expect, "outcome") &&
                          (!json_object_get(expect, "reason") || is_equal(run, expect, "reason")) &&
                          strcmp(json_get_string(json_object_get(run, "seen"), "cause", ""), cause) == 0 &&
                          is_within(json_object_get(witness, "hits"), json_object_get(run, "hits")));
    }
    json_decref(expect);
    return found;
}

static void add_run(struct generation *g, json_t *run)
{
    char key[24];
    json_t *n;
    size_t i;

    json_array_append(g->runs, run);
    json_array_foreach(json_object_get(run, "hits"), i, n) {
        snprintf(key, sizeof(key), "%lld", (long long)json_integer_value(n));
        json_object_set_new(g->reached, key, json_true());
    }
}

/* *run: what scenario i of `all` came to, owned; `why` says where it does not pass. */
static int play(const struct generation *g, const struct scenarios *all, size_t i, bool replay, json_t **run, struct buf *why,
                struct err *e)
{
    struct check_mode mode = {.no_replay = !replay, .registry = g->q->registry, .cover = g->cover, .wants_seen = true};
    struct scenario_result r = {0};
    int rc = scenario_run(g->q->source, g->q->name, g->q->config, all, i, &mode, &r, e);

    if (rc == 0)
        *run = json_pack("{s:b s:s s:s s:O s:o}", "passed", r.passed, "outcome", r.outcome, "reason", r.reason, "seen", r.seen,
                         "hits", json_deep_copy(cover_latest(g->cover)));
    buf_add(why, r.why.data, r.why.len);
    scenario_result_deinit(&r);
    return rc;
}

/* A file with what the file shares and this scenario alone. */
static int read_alone(const struct generation *g, const json_t *scenario, struct scenarios **out, struct err *e)
{
    struct buf text = BUF_INIT(YAML_BYTES_MAX);
    const char *key;
    json_t *v;
    int rc;

    json_object_foreach(g->shared, key, v) {
        buf_addf(&text, "%s: ", key);
        json_add_value(&text, v);
        buf_addc(&text, '\n');
    }
    buf_adds(&text, "scenarios:\n");
    scenario_write(g->book, scenario, INDENT, &text);
    rc = scenarios_read((struct str){buf_text(&text), text.len}, "the proposal", out, e);
    buf_free(&text);
    return rc;
}

/* *run is NULL where it cannot be run: `why` says so. */
static void play_alone(const struct generation *g, const json_t *scenario, bool replay, json_t **run, struct buf *why)
{
    struct scenarios *all = NULL;
    struct err e = {0};

    *run = NULL;
    if (read_alone(g, scenario, &all, &e) < 0 || play(g, all, 0, replay, run, why, &e) < 0)
        buf_addf(why, "  %s\n", e.msg);
    scenarios_free(all);
}

static json_t *scenario_from(const struct generation *g, const json_t *witness, const json_t *variant)
{
    const json_t *w = json_object_get(witness, "scenario");
    struct buf name = BUF_INIT(4 * KIB);
    json_t *params = json_deep_copy(g->own_params), *s;

    path_text(witness, NAME_BYTES, &name);
    json_object_update(params, json_object_get(w, "params"));
    s = json_pack("{s:s s:o s:O s:O s:O s:O s:O s:{} s:o}", "name", buf_text(&name), "params", params, "given",
                  json_object_get(variant, "given"), "after", json_object_get(variant, "after"), "effects",
                  json_object_get(w, "effects"), "people", json_object_get(w, "people"), "trigger",
                  json_object_get(w, "trigger"), "state", "expect", expect_of(witness));
    buf_free(&name);
    return s;
}

/* Why the run is not the path, or NULL. */
static const char *differs(const json_t *witness, const json_t *run)
{
    const json_t *seen = json_object_get(run, "seen");

    if (!are_sent(json_object_get(seen, "effects"), json_object_get(json_object_get(witness, "scenario"), "sent")))
        return "the run sends other effects";
    if (strcmp(json_get_string(seen, "cause", ""), json_get_string(witness, "cause", "")) != 0)
        return "the run finds another cause";
    if (!is_within(json_object_get(witness, "hits"), json_object_get(run, "hits")))
        return "the run decides otherwise on its way";
    return NULL;
}

/* Which states the scenario asks for: its targets are planned with what is known of them first. */
static void find_states(const struct generation *g, const json_t *witness, json_t *scenario)
{
    const json_t *states = json_object_get(json_object_get(witness, "scenario"), "states");
    const struct given_states given = {.shared = g->shared, .list = g->scenarios ? g->scenarios->list : NULL};
    struct buf ignored = BUF_INIT(64 * KIB);
    json_t *run = NULL;

    if (states_are_as_given(&given, states))
        return;
    states_add(&given, scenario, states, NULL);
    play_alone(g, scenario, false, &run, &ignored);
    states_add(&given, scenario, states, json_object_get(json_object_get(run, "seen"), "plans"));
    json_decref(run);
    buf_free(&ignored);
}

/* Runs the path with one set of values: what it came to if that is the path, else NULL and why. */
static json_t *confirmed(const struct generation *g, const json_t *witness, json_t *scenario, struct buf *why)
{
    const char *other = NULL;
    json_t *run;

    find_states(g, witness, scenario);
    buf_reset(why);
    play_alone(g, scenario, false, &run, why);
    if (run && json_get_bool(run, "passed", false)) {
        other = differs(witness, run);
        if (!other)
            return run;
        buf_addf(why, "  %s\n", other);
    }
    json_decref(run);
    return NULL;
}

static void add_to(json_t *list, const json_t *witness, const char *why)
{
    size_t n = strlen(why), skip = strspn(why, " ");

    while (n > skip && why[n - 1] == '\n')
        n--;
    json_array_append_new(list, json_pack("{s:o s:s%}", "path", path_json(witness), "why", why + skip, n - skip));
}

static void count(struct generation *g, const char *key)
{
    json_object_set_new(g->out, key, json_integer(json_get_int(g->out, key, 0) + 1));
}

/* Two paths may have begun alike for longer than a name. */
static void name_once(const struct generation *g, json_t *scenario)
{
    const char *name = json_get_string(scenario, "name", "");
    json_t *before;
    char other[NAME_BYTES + 64];
    size_t i, same = 1;

    json_array_foreach(json_object_get(g->out, "proposed"), i, before) {
        same += strcmp(json_get_string(before, "base", ""), name) == 0;
    }
    json_object_set(scenario, "base", json_object_get(scenario, "name"));
    if (same == 1)
        return;
    snprintf(other, sizeof(other), "%.*s (%zu)", NAME_BYTES + 20, name, same);
    json_object_set_new(scenario, "name", json_string(other));
}

/* With all that it is to expect, once more, and with its replay. */
static void propose(struct generation *g, const json_t *witness, json_t *scenario, json_t *run)
{
    json_t *expect = json_object_get(scenario, "expect"), *seen = json_object_get(run, "seen"), *again = NULL;
    struct buf yaml = BUF_INIT(YAML_BYTES_MAX), why = BUF_INIT(64 * KIB);

    json_object_set(expect, "effects", json_object_get(seen, "effects"));
    if (json_get_string(seen, "cause", "")[0])
        json_object_set(expect, "cause", json_object_get(seen, "cause"));
    name_once(g, scenario);
    play_alone(g, scenario, true, &again, &why);
    if (!again || !json_get_bool(again, "passed", false)) {
        add_to(json_object_get(g->out, "unconfirmed"), witness, buf_text(&why));
    } else {
        scenario_write(g->book, scenario, (int)json_get_int(g->out, "indent", INDENT), &yaml);
        json_array_append_new(json_object_get(g->out, "proposed"),
                              json_pack("{s:O s:O s:s s:o}", "name", json_object_get(scenario, "name"), "base",
                                        json_object_get(scenario, "base"), "yaml", buf_text(&yaml), "path", path_json(witness)));
        add_run(g, again);
    }
    json_decref(again);
    buf_free(&why);
    buf_free(&yaml);
}

static void try_path(struct generation *g, const json_t *witness)
{
    const json_t *variants = json_object_get(json_object_get(witness, "scenario"), "variants");
    struct buf why = BUF_INIT(64 * KIB), first = BUF_INIT(64 * KIB);
    json_t *variant, *scenario = NULL, *run = NULL;
    size_t i;

    json_array_foreach((json_t *)variants, i, variant) {
        json_decref(scenario);
        scenario = scenario_from(g, witness, variant);
        run = confirmed(g, witness, scenario, &why);
        if (run)
            break;
        if (i == 0)
            buf_add(&first, why.data, why.len);
    }
    if (run && is_covered(g, run))
        count(g, "covered");
    else if (run)
        propose(g, witness, scenario, run);
    else if (may_be_covered(g, witness))
        count(g, "covered");
    else if (json_array_size(variants))
        add_to(json_object_get(g->out, "unconfirmed"), witness, buf_text(&first));
    else
        add_to(json_object_get(g->out, "without"), witness, json_get_string(witness, "why", "no values were found"));
    json_decref(run);
    json_decref(scenario);
    buf_free(&why);
    buf_free(&first);
}

/* True if the path reaches a branch that no scenario does. */
static bool is_news(const struct generation *g, const json_t *witness)
{
    char key[24];
    json_t *n;
    size_t i;

    json_array_foreach(json_object_get(witness, "hits"), i, n) {
        snprintf(key, sizeof(key), "%lld", (long long)json_integer_value(n));
        if (cover_is_branch(g->cover, json_integer_value(n)) && !json_object_get(g->reached, key))
            return true;
    }
    return false;
}

static void try_all(struct generation *g)
{
    const json_t *witnesses = json_object_get(g->map, "witnesses"), *proposed = json_object_get(g->out, "proposed");
    bool *tried = xcalloc(json_array_size(witnesses) + 1, sizeof(bool));
    json_t *w;
    size_t i, pass;

    for (pass = 0; pass < 2; pass++) {
        json_array_foreach((json_t *)witnesses, i, w) {
            if (tried[i] || (pass == 0 && !is_news(g, w)))
                continue;
            if (json_array_size(proposed) >= g->q->at_most) {
                if (pass == 1)
                    count(g, "untried");
                continue;
            }
            tried[i] = true;
            try_path(g, w);
        }
    }
    free(tried);
}

/* What the file has */

static void read_shared(struct generation *g)
{
    size_t i;

    for (i = 0; g->scenarios && i < NSHARED; i++) {
        const struct yaml *y = yaml_get(g->scenarios->tree, shared_keys[i]);

        if (y)
            json_object_set_new(g->shared, shared_keys[i], yaml_to_json(y));
    }
}

/* Parameters: those at the top of the file, or those of its first scenario that has all. */
static int find_params(struct generation *g, struct err *e)
{
    struct err first = {0};
    json_t *s;
    size_t i;
    int rc = scenario_params(g->book, g->shared, &g->params, &first);

    for (i = 0; rc < 0 && g->scenarios && i < json_array_size(g->scenarios->list); i++) {
        s = json_array_get(g->scenarios->list, i);
        err_clear(e);
        rc = scenario_params(g->book, s, &g->params, e);
        if (rc == 0)
            json_object_update(g->own_params, json_object_get(s, "params"));
    }
    if (rc == 0)
        return 0;
    *e = first;
    return err_hint(e, "say it once: params: { ... } at the top of the scenarios");
}

static int play_file(struct generation *g, struct err *e)
{
    struct buf why = BUF_INIT(64 * KIB);
    json_t *run = NULL;
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && g->scenarios && i < json_array_size(g->scenarios->list); i++) {
        rc = play(g, g->scenarios, i, false, &run, &why, e);
        if (rc == 0 && json_get_bool(run, "passed", false))
            add_run(g, run);
        else if (rc == 0)
            count(g, "failing");
        if (rc == 0)
            json_decref(run);
    }
    buf_free(&why);
    return rc;
}

static int load(struct generation *g, struct err *e)
{
    const struct generate_request *q = g->q;
    const struct yaml *list;
    int rc = source_load(q->source, q->name, &g->book, e);

    if (rc == 0)
        rc = scenarios_load(q->source, q->name, &g->scenarios, e);
    if (rc == ERR_NOT_FOUND && g->book) {
        err_clear(e);
        rc = 0;
    }
    if (rc == 0)
        rc = cover_new(g->book, true, &g->cover, e);
    list = g->scenarios ? yaml_get(g->scenarios->tree, "scenarios") : NULL;
    json_object_set_new(g->out, "file", json_string(g->scenarios ? g->scenarios->file : ""));
    json_object_set_new(g->out, "indent", json_integer(list && list->items[0]->column > 2 ? list->items[0]->column - 3 : INDENT));
    if (rc == 0)
        read_shared(g);
    return rc ? rc : find_params(g, e);
}

static int explore_all(struct generation *g, struct err *e)
{
    json_t *given = json_object_get(g->shared, "given"), *none = json_object();
    json_t *witness = json_pack("{s:O s:O}", "given", given ? given : none, "params", g->params);
    struct explore_options o = {.book = g->book, .registry = g->q->registry, .params = g->params, .given = none,
                                .program = cover_program(g->cover), .witness = witness};
    int rc = explore(&o, &g->map, e);

    if (rc == 0)
        json_object_set(g->out, "ended", json_object_get(g->map, "ended"));
    json_decref(witness);
    json_decref(none);
    return rc;
}

int generate(const struct generate_request *q, json_t **out, struct err *e)
{
    struct generation g = {.q = q, .shared = json_object(), .own_params = json_object(), .runs = json_array(),
                           .reached = json_object(),
                           .out = json_pack("{s:[] s:[] s:[] s:i s:i s:i}", "proposed", "unconfirmed", "without", "covered", 0,
                                            "untried", 0, "failing", 0)};
    int rc = load(&g, e);

    if (rc == 0)
        rc = play_file(&g, e);
    if (rc == 0)
        rc = explore_all(&g, e);
    if (rc == 0)
        try_all(&g);
    cover_free(g.cover);
    scenarios_free(g.scenarios);
    book_free(g.book);
    json_decref(g.shared), json_decref(g.params), json_decref(g.own_params), json_decref(g.runs);
    json_decref(g.reached), json_decref(g.map);
    if (rc < 0)
        json_decref(g.out);
    else
        *out = g.out;
    return rc;
}
