/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario from a recorded run: what was seen in the order in which it was seen, what became of effects, what people
 * said, and what it came to. */
#include "check/check.h"

#include "base/json.h"
#include "base/limits.h"
#include "gate/answer_recorded.h"
#include "gate/policy.h"
#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>

struct writing {
    const struct record *rec;
    json_t *labels;             /* question -> the name it had in a group */
    json_t *given, *effects, *state, *people, *expected, *expect;
    json_t *trigger;
};

/* The name under which a scenario answers the read of row: see gate/answer_script.c. Owned. */
static char *key_of(struct writing *w, const struct record_row *row)
{
    const char *called = record_text(row->args, "called"), *dot = strrchr(row->path, '.');
    char hex[65];

    hash_hex(&row->args_hash, hex);
    if (dot && strcmp(dot + 1, called) == 0) {
        json_object_set_new(w->labels, hex, json_string(called));
        return xstrdup(called);
    }
    return xstrdup(json_get_string(w->labels, hex, record_text(row->args, "text")));
}

static void append(json_t *lists, const char *key, json_t *v)
{
    if (!json_object_get(lists, key))
        json_object_set_new(lists, key, json_array());
    json_array_append_new(json_object_get(lists, key), v);
}

static void add_read(struct writing *w, const struct record_row *row)
{
    const json_t *o = json_object_get(row->payload, "o");
    json_t *v = json_incref(json_object_get(o, json_object_get(o, "unknown") ? "unknown" : "value"));
    char *key = key_of(w, row);

    append(strcmp(row->name, "trigger.firing") == 0 ? w->trigger : w->given, key, v ? v : json_null());
    free(key);
}

/* Each attempt, and each look at what became of it, takes the next word. */
static void add_fate(struct writing *w, size_t i)
{
    const struct record *rec = w->rec;
    const struct record_row *intent = &rec->rows[i], *row;
    const char *word = "applied", *verdict;
    size_t n = 1;

    for (i++; i < rec->n && (rec->rows[i].kind != ROW_INTENT || strcmp(rec->rows[i].path, intent->path) != 0); i++) {
        row = &rec->rows[i];
        if (strcmp(row->path, intent->path) != 0)
            continue;
        verdict = record_text(row->payload, "verdict");
        if (row->kind == ROW_RESULT && n == 1)
            word = strcmp(record_text(row->payload, "outcome"), "failed") == 0 ? "refused" : record_text(row->payload, "outcome");
        else if (row->kind == ROW_UNKNOWN)
            word = "timeout", n = 2;
        else if ((row->kind == ROW_CHECK || row->kind == ROW_SETTLE) && n > 1 && verdict[0] && strcmp(verdict, "no_answer") != 0)
            word = strcmp(verdict, "applied") == 0 ? "cut" : verdict, n = strcmp(word, "cut") == 0 ? 2 : 3;
    }
    while (n-- > 0)
        append(w->effects, intent->name, json_string(word));
}

static void add_effect(struct writing *w, size_t i)
{
    const struct record_row *row = &w->rec->rows[i];
    const char *target = record_text(row->args, "target"), *colon = strchr(target, ':');
    char text[900];

    add_fate(w, i);
    if (json_get_int(row->payload, "attempt", 1) > 1)
        return;
    snprintf(text, sizeof(text), "%s%.200s %.600s", json_object_get(row->payload, "undo_of") ? "undo " : "", row->name,
             colon ? colon + 1 : target);
    json_array_append_new(w->expected, json_string(text));
}

/* What policy refused when it was to be sent. Its row does not name the effect; the plan of the target does. */
static void add_refusal(struct writing *w, size_t i)
{
    const struct record_row *row = &w->rec->rows[i], *plan;
    size_t n, k;
    const char *const *words = policy_at_send(&n);

    for (k = 0; k < n && strcmp(words[k], row->name) != 0; k++)
        continue;
    while (k < n && i-- > 0) {
        plan = &w->rec->rows[i];
        if (plan->kind == ROW_PLAN && strcmp(record_text(plan->payload, "target"), record_text(row->payload, "target")) == 0) {
            append(w->effects, plan->name, json_string(row->name));
            return;
        }
    }
}

static void add_state(struct writing *w, const struct record_row *row)
{
    const char *target = record_text(row->payload, "target"), *colon = strchr(target, ':');
    json_t *from = json_object_get(row->payload, "from");

    if (json_is_object(from) && !json_object_get(w->state, colon ? colon + 1 : target))
        json_object_set(w->state, colon ? colon + 1 : target, from);
}

static void add_answers(struct writing *w, size_t i)
{
    const struct record_row *asked = &w->rec->rows[i], *row;
    char after[40];

    for (i++; i < w->rec->n; i++) {
        row = &w->rec->rows[i];
        if (row->kind != ROW_ANSWER || strcmp(row->path, asked->path) != 0)
            continue;
        if (record_text(row->payload, "answer")[0])
            append(w->people, asked->name,
                   json_pack("{s:s s:s s:s}", "after", str_duration((row->at - asked->at) / 1000 * 1000, after, sizeof(after)),
                             "by", record_text(row->payload, "by"), "say", record_text(row->payload, "answer")));
        else if (!json_object_get(w->people, asked->name))
            json_object_set_new(w->people, asked->name, json_string("nobody"));
    }
}

static void add_row(struct writing *w, size_t i)
{
    const struct record_row *row = &w->rec->rows[i];

    if (row->kind == ROW_OBS)
        add_read(w, row);
    else if (row->kind == ROW_PLAN)
        add_state(w, row);
    else if (row->kind == ROW_INTENT)
        add_effect(w, i);
    else if (row->kind == ROW_REFUSED)
        add_refusal(w, i);
    else if (row->kind == ROW_ASK)
        add_answers(w, i);
    else if (row->kind == ROW_CAUSE)
        json_object_set_new(w->expect, "cause", json_string(row->name));
    else if (row->kind == ROW_END)
        json_object_update_new(w->expect, json_pack("{s:s s:s}", "outcome", row->name, "reason",
                                                    record_text(row->args, "reason")));
}

/* [a, b, b] is { then: [a, b] }, [a, a] is a: the last one stays. */
static json_t *shortest(json_t *list)
{
    size_t n = json_array_size(list);

    while (n > 1 && json_equal(json_array_get(list, n - 1), json_array_get(list, n - 2)))
        json_array_remove(list, --n);
    return n == 1 ? json_incref(json_array_get(list, 0)) : json_pack("{s:O}", "then", list);
}

static json_t *shorten(json_t *lists)
{
    json_t *out = json_object(), *v;
    const char *key;

    json_object_foreach(lists, key, v) {
        json_object_set_new(out, key, json_is_array(v) ? shortest(v) : json_incref(v));
    }
    json_decref(lists);
    return out;
}

/* As somebody would type them: durations and times as texts. */
static json_t *typed_params(const struct runbook *book, const json_t *params)
{
    json_t *out = json_deep_copy(params);
    char text[64];
    size_t i;

    for (i = 0; i < book->nparams; i++) {
        const struct param *p = &book->params[i];
        const json_t *v = json_object_get(params, p->name);

        if (!json_is_number(v) || p->is_list || (p->type != PARAM_DURATION && p->type != PARAM_TIME))
            continue;
        if (p->type == PARAM_DURATION)
            str_duration((int64_t)(json_number_value(v) * 1000), text, sizeof(text));
        else
            str_time((int64_t)(json_number_value(v) * 1000), text, sizeof(text));
        json_object_set_new(out, p->name, json_string(text));
    }
    return out;
}

static void key_text(struct buf *out, const char *key)
{
    if (key[0] >= 'a' && key[0] <= 'z' && strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_./-") == strlen(key))
        buf_adds(out, key);
    else
        json_add_string(out, key, strlen(key));
    buf_adds(out, ": ");
}

/* One section of the scenario, a line per entry. JSON is YAML. */
static void section(struct buf *out, const char *name, const json_t *entries, int indent)
{
    const char *key;
    json_t *v;

    if (json_object_size(entries) == 0)
        return;
    buf_addf(out, "%*s  %s:\n", indent, "", name);
    json_object_foreach((json_t *)entries, key, v) {
        buf_addf(out, "%*s    ", indent, "");
        key_text(out, key);
        json_add_value(out, v);
        buf_addc(out, '\n');
    }
}

void scenario_write(const struct runbook *book, const json_t *scenario, int indent, struct buf *out)
{
    static const char *const sections[] = {"trigger", "given", "after", "state", "effects", "people", "expect"};
    json_t *params = typed_params(book, json_object_get(scenario, "params"));
    const char *name = json_get_string(scenario, "name", "");
    size_t i;

    buf_addf(out, "%*s- name: ", indent, "");
    json_add_string(out, name, strlen(name));
    buf_addc(out, '\n');
    section(out, "params", params, indent);
    for (i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
        section(out, sections[i], json_object_get(scenario, sections[i]), indent);
    json_decref(params);
}

static void add_trigger(struct writing *w, json_t *out)
{
    const json_t *trigger = json_object_get(w->rec->start, "trigger"), *firing = json_object_get(w->trigger, "trigger.firing()");
    const char *const fields[] = {"annotations", "labels"};
    size_t i;

    if (strcmp(json_get_string(trigger, "kind", "command line"), "command line") == 0 && !firing)
        return;
    json_object_set_new(out, "kind", json_string(json_get_string(trigger, "kind", "alert")));
    for (i = 0; i < 2; i++) {
        if (json_object_size(json_object_get(trigger, fields[i])))
            json_object_set(out, fields[i], json_object_get(trigger, fields[i]));
    }
    if (firing)
        json_object_set_new(out, "firing", shortest((json_t *)firing));
}

static void write_all(struct writing *w, const struct run_info *info, const struct runbook *book, struct buf *out)
{
    json_t *trigger = json_object(), *scenario;
    char at[32], name[400];
    size_t i;

    for (i = 0; i < w->rec->n; i++)
        add_row(w, i);
    add_trigger(w, trigger);
    w->given = shorten(w->given);
    w->effects = shorten(w->effects);
    w->people = shorten(w->people);
    json_object_set(w->expect, "effects", w->expected);
    snprintf(name, sizeof(name), "run %lld of %.10s", (long long)info->id, str_time(info->created_at, at, sizeof(at)));
    scenario = json_pack("{s:s s:O* s:o s:O s:O s:O s:O s:O}", "name", name, "params", json_object_get(w->rec->start, "params"),
                         "trigger", trigger, "given", w->given, "state", w->state, "effects", w->effects, "people", w->people,
                         "expect", w->expect);
    buf_adds(out, "scenarios:\n");
    scenario_write(book, scenario, 2, out);
    json_decref(scenario);
}

int scenario_of_run(struct journal *j, int64_t id, struct buf *out, struct err *e)
{
    struct writing w = {.labels = json_object(), .given = json_object(), .effects = json_object(), .state = json_object(),
                        .people = json_object(), .expected = json_array(), .expect = json_object(), .trigger = json_object()};
    struct run_info info = {0};
    struct bundle *bundle = NULL;
    struct runbook *book = NULL;
    struct record *rec = NULL;
    char path[300];
    int rc = j->ops->get_run(j, id, &info, e);

    if (rc == 0 && (info.state != RUN_ENDED || strcmp(info.command, "run") != 0))
        rc = err_set(e, ERR_INVALID, "run %lld is no run of a runbook that has ended", (long long)id);
    if (rc == 0)
        rc = engine_recorded_bundle(j, info.bundle, &bundle, e);
    snprintf(path, sizeof(path), "%s.md", info.runbook);
    if (rc == 0)
        rc = book_read(bundle_get(bundle, path), path, &book, e);
    if (rc == 0)
        rc = record_load(j, id, &rec, e);
    w.rec = rec;
    if (rc == 0)
        write_all(&w, &info, book, out);
    json_decref(w.labels), json_decref(w.given), json_decref(w.effects), json_decref(w.state);
    json_decref(w.people), json_decref(w.expected), json_decref(w.expect), json_decref(w.trigger);
    record_free(rec);
    book_free(book);
    bundle_free(bundle);
    run_info_deinit(&info);
    return rc;
}
