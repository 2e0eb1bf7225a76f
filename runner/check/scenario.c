/* SPDX-License-Identifier: Apache-2.0 */
/* One scenario: the real engine on a simulated host with a memory journal; the script
 * stands for the world, no plugin body is loaded, and time is virtual. */
#include "check/check.h"
#include "check/cover.h"
#include "check/faults.h"
#include "check/seen.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "io/host_sim.h"
#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>

#define STARTED_MS 1767225600000    /* 2026-01-01: any fixed moment, so that runs are equal */

void scenario_result_deinit(struct scenario_result *r)
{
    json_decref(r->seen);
    buf_free(&r->why);
}

static void differ(struct scenario_result *out, const char *what, const json_t *expected, const char *got)
{
    struct buf b = BUF_INIT(16 * KIB);

    json_add_value(&b, expected);
    buf_addf(&out->why, "  %s: expected %s, got %s\n", what, buf_text(&b), got);
    out->passed = false;
    buf_free(&b);
}

static void expect_text(struct scenario_result *out, const json_t *expect, const char *what, const char *got)
{
    const json_t *v = json_object_get(expect, what);

    if (v && (!json_is_string(v) || strcmp(json_string_value(v), got) != 0))
        differ(out, what, v, got[0] ? got : "nothing");
}

/* What the run wrote may have lines, and come from anywhere. */
static void say_lines(struct scenario_result *out, const char *lead, const char *text)
{
    struct buf shown = BUF_INIT(64 * KIB);

    str_add_lines(&shown, text, strlen(text));
    buf_addf(&out->why, "  %s", lead);
    str_add_indented(&out->why, buf_text(&shown), 4);
    buf_addc(&out->why, '\n');
    buf_free(&shown);
}

static void complain(struct scenario_result *out, const char *text)
{
    say_lines(out, "", text);
    out->passed = false;
}

static void judge(struct scenario_result *out, const json_t *expect, const struct run *r, const struct seen *s)
{
    const json_t *effects = json_object_get(expect, "effects");
    struct buf got = BUF_INIT(16 * KIB);
    bool ended = run_state_of(r) == RUN_ENDED;

    expect_text(out, expect, "outcome", ended ? run_outcome(r) : run_state_name(run_state_of(r)));
    expect_text(out, expect, "reason", run_reason(r));
    expect_text(out, expect, "cause", s->cause);
    json_add_value(&got, s->effects);
    if (effects && !json_equal(effects, s->effects))
        differ(out, "effects", effects, buf_text(&got));
    if (!out->passed && run_text(r)[0])
        say_lines(out, "the run said: ", run_text(r));
    buf_free(&got);
}

/* A value as the command line would have it: texts bare, lists with commas. */
static void add_param(struct buf *b, const json_t *v)
{
    size_t i;

    if (json_is_string(v))
        buf_adds(b, json_string_value(v));
    else if (!json_is_array(v))
        json_add_value(b, v);
    for (i = 0; i < json_array_size(v); i++) {
        buf_adds(b, i ? "," : "");
        add_param(b, json_array_get(v, i));
    }
}

static int resolve_params(const struct runbook *book, const json_t *given, const json_t *trigger, json_t **out, struct err *e)
{
    char *pairs[64];
    size_t n = 0, i;
    const char *key;
    json_t *v;
    int rc;

    json_object_foreach((json_t *)given, key, v) {
        struct buf b = BUF_INIT(8 * KIB);

        if (n == 64)
            break;
        buf_addf(&b, "%s=", key);
        add_param(&b, v);
        pairs[n++] = buf_take(&b, NULL);
    }
    rc = params_resolve(book->params, book->nparams, (const char *const *)pairs, n, trigger, out, e);
    for (i = 0; i < n; i++)
        free(pairs[i]);
    return rc;
}

/* One of the scenarios. */
struct scene {
    const struct scenarios *all;
    size_t i;
};

struct stage {
    struct host *host;
    struct writer *writer;
    struct registry *registry, *own;
    struct answerer *answerer, *faulty;
    struct people *people, *faulty_people;
    struct engine_options engine_options;
    struct engine *engine;
    struct seen seen;
    struct host_op *cancel_timer;
};

static void on_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct stage *s = ctx;
    struct str within = json_slice(row->args, "within");

    seen_row(&s->seen, r, row, replayed);
    if (s->faulty && !replayed && row->kind == ROW_WAIT && within.n)
        answer_faulty_waits(s->faulty, row->name, (int64_t)(strtod(within.p, NULL) * 1000));
}

static int open_journal(const struct check_mode *mode, struct journal **out, struct err *e)
{
    return mode->state_dir ? journal_sqlite_open(mode->state_dir, "scenario", NULL, out, e) : journal_memory_open(NULL, out, e);
}

static int stage_open(struct stage *s, struct config *config, const json_t *scenario, const struct check_mode *mode,
                      struct err *e)
{
    struct host_sim_options ho = {.wall_ms = STARTED_MS, .seed = mode->seed ? mode->seed : 1, .real_files = true};
    struct registry_options ro = {.sealed = true, .config = config};
    struct engine_options eo = {.stop_when_settled = true, .chains = true, .gc_mode = mode->gc_mode,
                                .evict_always = mode->evict_always, .watch = {.row = on_row, .ctx = s}};
    struct journal *journal;

    seen_init(&s->seen, mode->cover, mode->wants_seen);
    if (mode->cover)
        eo.counted = cover_code(mode->cover);
    if (host_sim_new(&ho, &s->host, e) < 0 || open_journal(mode, &journal, e) < 0 ||
        writer_new(journal, false, NULL, NULL, &s->writer, e) < 0)
        return e->code;
    ro.host = s->host;
    if (!mode->registry && registry_new(&ro, &s->own, e) < 0)
        return e->code;
    s->registry = mode->registry ? mode->registry : s->own;
    s->answerer = answer_script_new(scenario, s->host, s->registry);
    s->people = people_script_new(scenario, s->host);
    eo.people = s->people;
    eo.host = s->host;
    eo.writer = s->writer;
    eo.registry = s->registry;
    eo.config = config;
    if (mode->fault) {
        s->faulty = answer_faulty_new(s->answerer, s->host, mode->fault);
        eo.people = s->faulty_people = people_faulty_new(s->people, s->host, mode->fault);
    }
    eo.answerer = s->faulty ? s->faulty : s->answerer;
    s->engine_options = eo;
    return engine_new(&eo, &s->engine, e);
}

static void stage_close(struct stage *s)
{
    engine_free(s->engine);
    if (s->faulty)
        s->faulty->ops->free(s->faulty);
    if (s->faulty_people)
        s->faulty_people->ops->free(s->faulty_people);
    if (s->answerer)
        s->answerer->ops->free(s->answerer);
    if (s->people)
        s->people->ops->free(s->people);
    if (s->registry)
        registry_pin(s->registry, NULL);    /* a resumed run's bundle ends with its engine */
    registry_free(s->own);
    writer_free(s->writer);
    if (s->host)
        s->host->ops->free(s->host);
    seen_deinit(&s->seen);
}

static void cancel(void *ctx)
{
    struct stage *s = ctx;

    s->cancel_timer = NULL;
    engine_cancel(s->engine, "somebody");
}

/* cancel: 5m */
static int arm_cancel(struct stage *s, const json_t *scenario, struct err *e)
{
    const char *after = json_get_string(scenario, "cancel", NULL);
    int64_t ms;

    if (!after)
        return 0;
    if (str_duration_ms(str_of(after), &ms) < 0)
        return err_set(e, ERR_INVALID, "cancel: '%s' is no duration (5m)", after);
    return s->host->ops->timer(s->host, ms, cancel, s, &s->cancel_timer, e);
}

/* As a run has it; NULL where the scenario says nothing. */
static json_t *trigger_of(const json_t *scenario)
{
    const json_t *given = json_object_get(scenario, "trigger");
    const json_t *labels = json_object_get(given, "labels"), *annotations = json_object_get(given, "annotations");

    if (!given)
        return NULL;
    return json_pack("{s:o s:s s:o}", "annotations", annotations ? json_deep_copy(annotations) : json_object(), "kind",
                     json_get_string(given, "kind", "alert"), "labels", labels ? json_deep_copy(labels) : json_object());
}

int scenario_params(const struct runbook *book, const json_t *scenario, json_t **out, struct err *e)
{
    json_t *trigger = trigger_of(scenario);
    int rc = resolve_params(book, json_object_get(scenario, "params"), trigger, out, e);

    json_decref(trigger);
    return rc;
}

/* Where the section speaks of an effect that there is not. */
static int no_effect(const struct scene *at, const char *section, const char *name, const json_t *declared, struct err *e)
{
    const char *names[256], *key, *verb = strchr(name, '.') ? strchr(name, '.') + 1 : name, *near;
    char path[600];
    size_t n = 0;
    json_t *v;

    json_object_foreach(json_object_get(declared, "effects"), key, v) {
        if (n < 256)
            names[n++] = key;
    }
    err_set(e, ERR_INVALID, "%s: there is no effect '%.200s'", section, name);
    near = str_nearest(str_of(verb), names, n);
    if (declared && n == 0)
        err_hint(e, DECLARES_NOTHING);
    else if (near)
        err_hint(e, "did you mean '%.*s%s'?", (int)(verb - name), name, near);
    snprintf(path, sizeof(path), "%c%s%c%.500s", YAML_STEP, section, YAML_STEP, name);
    scenarios_place(at->all, at->i, path, e);
    return e->code;
}

static int check_effect(const struct stage *s, const struct runbook *book, const json_t *params, const struct scene *at,
                        const char *section, const char *name, struct err *e)
{
    struct buf instance = BUF_INIT(256);
    const char *dot = strchr(name, '.');
    const json_t *declared = NULL;
    int rc = 0;
    size_t i;

    for (i = 0; dot && i < book->nuses; i++) {
        const struct use *u = &book->uses[i];

        if (strlen(u->alias) == (size_t)(dot - name) && strncmp(u->alias, name, (size_t)(dot - name)) == 0) {
            /* What cannot be described, the start of the run says. */
            rc = template_fill(str_of(u->instance), params, true, &instance, e);
            if (rc == 0)
                rc = registry_describe(s->registry, buf_text(&instance), u->alias, &declared, e);
            break;
        }
    }
    buf_free(&instance);
    if (rc < 0) {
        err_clear(e);
        return 0;
    }
    return dot && json_object_get(json_object_get(declared, "effects"), dot + 1) ? 0 : no_effect(at, section, name, declared, e);
}

/* The effects that `after` and `effects` speak of exist. */
static int check_effects(const struct stage *s, const struct runbook *book, const json_t *params, const struct scene *at,
                         const json_t *scenario, struct err *e)
{
    static const char *const sections[] = {"after", "effects"};
    const char *name;
    json_t *v;
    size_t i;

    for (i = 0; i < 2; i++) {
        json_object_foreach(json_object_get(scenario, sections[i]), name, v) {
            if (check_effect(s, book, params, at, sections[i], name, e) < 0)
                return e->code;
        }
    }
    return 0;
}

/* The process ended there, and another one takes the run up. What was durable is what is true. */
static int crash_and_resume(struct stage *s, struct run **r, struct err *e)
{
    int64_t id = run_id(*r);
    int rc = writer_flush(s->writer, e);

    if (rc < 0)
        return rc;
    while (writer_poll(s->writer) > 0)
        continue;
    engine_free(s->engine);
    s->engine = NULL;
    *r = NULL;
    rc = engine_new(&s->engine_options, &s->engine, e);
    if (rc == 0)
        rc = engine_resume(s->engine, id, "test", r, e);
    if (rc == ERR_NOT_FOUND) {              /* nothing of it was durable: it never was */
        err_clear(e);
        return 0;
    }
    return rc ? rc : s->host->ops->run(s->host, engine_turn, s->engine, e);
}

int scenario_request(struct source *source, const char *runbook, const json_t *scenario, struct run_request *q, struct err *e)
{
    int rc = q->book ? 0 : source_load(source, runbook, &q->book, e);

    q->trigger = trigger_of(scenario);
    if (rc == 0 && resolve_params(q->book, json_object_get(scenario, "params"), q->trigger, &q->params, e) < 0) {
        book_free(q->book);
        rc = e->code;
    }
    return rc;
}

static int play(struct stage *s, struct source *source, const char *name, const struct scene *at, const struct check_mode *mode,
                struct run **r, struct err *e)
{
    const json_t *scenario = json_array_get(at->all->list, at->i);
    struct run_request q = {.command = "test", .requester = "test", .seed = 1};
    struct fault_plan *fault = mode->fault;
    int rc;

    if (mode->book)
        q.book = book_hold(mode->book);
    rc = scenario_request(source, name, scenario, &q, e);

    if (rc == 0 && check_effects(s, q.book, q.params, at, scenario, e) < 0) {
        book_free(q.book);
        rc = e->code;
    }
    if (rc == 0)
        rc = engine_start(s->engine, &q, r, e);
    if (rc == 0)
        rc = arm_cancel(s, scenario, e);
    if (rc == 0)
        rc = s->host->ops->run(s->host, engine_turn, s->engine, e);
    if (rc == 0 && fault && fault->crashed) {
        fault->crashed = false;
        rc = crash_and_resume(s, r, e);
    }
    if (rc == 0 && engine_failure(s->engine)) {
        *e = *engine_failure(s->engine);
        rc = e->code;
    }
    json_decref(q.params);
    json_decref(q.trigger);
    return rc;
}

/* Every scenario is also a test of the program: its journal gives the same run again. */
static void replayed(struct stage *s, struct config *config, const struct run *r, const struct check_mode *mode,
                     struct scenario_result *out)
{
    struct replay_result result;
    struct err e = {0};

    if (writer_flush(s->writer, &e) == 0 &&
        replay_run(config, writer_journal(s->writer), run_id(r), mode, &result, &e) == 0)
        return;
    buf_addf(&out->why, "  its replay differs: %s\n", e.msg);
    out->passed = false;
}

static void invariant(struct stage *s, const struct run *r, struct scenario_result *out)
{
    struct buf why = BUF_INIT(64 * KIB);
    struct err e = {0};

    if (invariants_check(writer_journal(s->writer), run_id(r), run_state_of(r) == RUN_ENDED, &why, &e) < 0)
        buf_addf(&why, "  its rows cannot be read: %s\n", e.msg);
    buf_add(&out->why, why.data, why.len);
    out->passed = out->passed && why.len == 0;
    buf_free(&why);
}

static bool not_sound(void *ctx, int64_t run, int64_t seq, const char *where, const char *what)
{
    struct scenario_result *out = ctx;

    (void)run, (void)seq;
    buf_addf(&out->why, "  the journal, %s: %s\n", where, what);
    out->passed = false;
    return true;
}

/* The file's chains hold, and its projections follow from its log. */
static void audited(struct stage *s, struct scenario_result *out)
{
    struct journal *j = writer_journal(s->writer);
    struct audit_counts counts;
    struct err e = {0};

    if (journal_verify(j, -1, &counts, not_sound, out, &e) < 0 || audit_sources(j, not_sound, out, &e) < 0 ||
        journal_rebuild(j, false, not_sound, out, &e) < 0)
        not_sound(out, -1, 0, "its audit", e.msg);
}

/* What the scenario itself has wrong comes first: the rest follows from it. */
static void complaints(const struct stage *s, const struct scenarios *all, size_t i, struct scenario_result *out)
{
    const char *path, *people = people_script_complaint(s->people);
    const struct err *fault = answer_script_complaint(s->answerer, &path);
    struct err e = fault ? *fault : (struct err){0};
    char text[1300];

    if (fault) {
        scenarios_place(all, i, path, &e);
        complain(out, err_text(&e, text, sizeof(text)));
    } else if (people[0]) {
        complain(out, people);
    }
}

/* An error of the runbook's code says its place; one of a target does not. */
static bool is_broken_code(const struct run *r)
{
    const char *file = run_file(r);

    return strcmp(run_reason(r), "fell_off_end") == 0 ||
           (strcmp(run_reason(r), "error") == 0 && strncmp(run_text(r), file, strlen(file)) == 0);
}

/* Whatever fails: the run ends, or waits for a person, and all that must always hold does. */
static void judge_fault(struct stage *s, struct config *config, const struct run *r, const struct check_mode *mode,
                        struct scenario_result *out)
{
    if (!r)
        return;
    if (run_state_of(r) != RUN_ENDED && run_state_of(r) != RUN_WAITING_PERSON)
        complain(out, "the run neither ends nor waits for a person");
    if (is_broken_code(r))
        complain(out, run_text(r));
    replayed(s, config, r, mode, out);
    invariant(s, r, out);
}

int scenario_run(struct source *source, const char *runbook, struct config *config, const struct scenarios *all, size_t i,
                 const struct check_mode *mode, struct scenario_result *out, struct err *e)
{
    const json_t *scenario = json_array_get(all->list, i);
    struct stage s = {0};
    struct run *r = NULL;
    struct hash chain;
    int rc = stage_open(&s, config, scenario, mode, e);

    *out = (struct scenario_result){.passed = true, .why = BUF_INIT(64 * KIB)};
    snprintf(out->name, sizeof(out->name), "%s", json_get_string(scenario, "name", "?"));
    if (rc == 0)
        rc = play(&s, source, runbook, &(struct scene){all, i}, mode, &r, e);
    if (rc == 0 && mode->fault) {
        judge_fault(&s, config, r, mode, out);
    } else if (rc == 0) {
        complaints(&s, all, i, out);
        judge(out, json_object_get(scenario, "expect"), r, &s.seen);
        snprintf(out->outcome, sizeof(out->outcome), "%s", run_outcome(r));
        snprintf(out->reason, sizeof(out->reason), "%s", run_reason(r));
        chain = run_chain(r);
        hash_hex(&chain, out->chain);
        if (mode->cover)
            cover_take(mode->cover, r);
        if (!mode->no_replay)
            replayed(&s, config, r, mode, out);
        invariant(&s, r, out);
        if (mode->state_dir)
            audited(&s, out);
        out->seen = seen_take(&s.seen, r);
    }
    stage_close(&s);
    return rc;
}

/* So often the same question may fail: what follows are polls that differ in nothing. */
#define SAME_MAX 3

static bool is_poll(const struct fault_plan *base, size_t k)
{
    size_t i, same = 0;

    for (i = 0; i + 1 < k; i++)
        same += base->kinds[i] == base->kinds[k - 1] && strcmp(base->names[i], base->names[k - 1]) == 0;
    return same >= SAME_MAX;
}

static void tell_fault(struct scenario_result *out, const struct fault_plan *base, size_t k, enum fault f,
                       const struct scenario_result *got, const struct err *e)
{
    buf_addf(&out->why, "  %s at question %zu, %s:%s", fault_name(f), k, base->names[k - 1], e->code ? " " : "\n");
    if (e->code)
        buf_addf(&out->why, "%s\n", e->msg);
    else
        buf_addf(&out->why, "%s", buf_text(&got->why));
    out->passed = false;
}

int scenario_faults(struct source *source, const char *runbook, struct config *config, const struct scenarios *all, size_t i,
                    const struct check_mode *mode, struct scenario_result *out, struct err *e)
{
    struct fault_plan base = {0};
    struct check_mode with = *mode;
    struct scenario_result got;
    size_t k, tried = 0;
    enum fault f;
    int rc;

    with.cover = NULL;
    with.fault = &base;
    rc = scenario_run(source, runbook, config, all, i, &with, &got, e);
    *out = (struct scenario_result){.passed = true, .why = BUF_INIT(256 * KIB)};
    scenario_result_deinit(&got);
    for (k = 1; rc == 0 && k <= base.calls; k++) {
        for (f = 0; f < FAULTS; f++) {
            struct fault_plan plan = {.at = k, .fault = f};
            struct err wrong = {0};

            if (!fault_fits(f, base.kinds[k - 1]) || is_poll(&base, k))
                continue;
            with.fault = &plan;
            tried++;
            if (scenario_run(source, runbook, config, all, i, &with, &got, &wrong) < 0 || !got.passed)
                tell_fault(out, &base, k, f, &got, &wrong);
            scenario_result_deinit(&got);
            fault_plan_deinit(&plan);
        }
    }
    snprintf(out->name, sizeof(out->name), "%.200s: %zu faults", json_get_string(json_array_get(all->list, i), "name", "?"),
             tried);
    fault_plan_deinit(&base);
    return rc;
}
