/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of the rows of any run that was not tampered with, whatever its runbook
 * says: nothing without an intent, nothing twice, nothing behind an end, nothing in
 * silence. */
#include "check/check.h"

#include "base/json.h"
#include "base/slice.h"

#include <stdio.h>

struct look {
    json_t *effects;            /* path -> { target, undoes, state, for_a_while } */
    json_t *approved;           /* path of a question -> true */
    json_t *end;                /* { outcome, text } of END */
    bool ending;
    struct buf *why;
};

static void wrong(struct look *l, const struct row *row, const char *what)
{
    buf_addf(l->why, "  row %lld, %s at %.*s: %s\n", (long long)row->seq, row_kind_name(row->kind), (int)row->path.n,
             row->path.p, what);
}

static json_t *effect_at(struct look *l, const char *path)
{
    return json_object_get(l->effects, path);
}

static void set_state(json_t *x, const char *state)
{
    json_object_set_new(x, "state", json_string(state));
}

static bool is(const json_t *x, const char *state)
{
    return strcmp(json_get_string(x, "state", ""), state) == 0;
}

static void see_intent(struct look *l, const struct row *row, const char *path, const json_t *payload)
{
    json_t *x = effect_at(l, path), *args = NULL;
    const char *undoes = json_get_string(payload, "undo_of", NULL);

    if (l->ending && !undoes)
        wrong(l, row, "something new was begun while the run ended");
    if (x && !is(x, "absent"))
        wrong(l, row, "it was sent again before it was known to be absent");
    if (undoes && !is(effect_at(l, undoes), "applied") && !is(effect_at(l, undoes), "verified"))
        wrong(l, row, "what it undoes was not in force");
    if (x || json_read(row->args, &args, NULL) < 0)
        goto out;
    if (json_get_string(args, "approval", NULL) &&
        !json_object_get(l->approved, json_get_string(args, "approval", "")))
        wrong(l, row, "it was sent on an approval that nobody gave");
    x = json_pack("{s:s s:s* s:b}", "target", json_get_string(args, "target", "?"), "undoes", undoes, "for_a_while",
                  json_object_get(args, "within") != NULL);
    json_object_set_new(l->effects, path, x);
out:
    set_state(x, "open");
    json_decref(args);
}

static void see_result(struct look *l, const struct row *row, json_t *x, const json_t *payload)
{
    const char *outcome = json_get_string(payload, "outcome", ""), *undoes = json_get_string(x, "undoes", NULL);

    if (!x || is(x, "over"))
        wrong(l, row, "there was no intent");
    if (!x)
        return;
    if (strcmp(outcome, "applied") == 0 && !is(x, "open") && !is(x, "applied?"))
        wrong(l, row, "it is called applied, and nobody saw it");
    set_state(x, strcmp(outcome, "applied") != 0 ? "over" : undoes ? "undone" : "applied");
    if (undoes && strcmp(outcome, "applied") == 0)
        set_state(effect_at(l, undoes), "undone");
}

/* What a look or a person says of an unknown effect. */
static void see_verdict(json_t *x, const json_t *payload)
{
    const char *verdict = json_get_string(payload, "verdict", "");

    if (x)
        set_state(x, strcmp(verdict, "applied") == 0 ? "applied?" : strcmp(verdict, "absent") == 0 ? "absent" : "unknown");
}

static void see_verify(struct look *l, const struct row *row)
{
    json_t *args = NULL, *path;
    size_t i;

    if (json_read(row->args, &args, NULL) < 0)
        return;
    json_array_foreach(json_object_get(args, "effects"), i, path) {
        json_t *x = effect_at(l, json_string_value(path));

        if (!is(x, "applied"))
            wrong(l, row, "it verifies what was not applied");
        else if (strcmp(json_get_string(args, "verdict", ""), "holds") == 0)
            set_state(x, "verified");
    }
    json_decref(args);
}

static bool see(void *ctx, const struct row *row)
{
    struct look *l = ctx;
    json_t *payload = NULL;
    char path[128];

    snprintf(path, sizeof(path), "%.*s", (int)row->path.n, row->path.p);
    if (row->payload.n && json_read(row->payload, &payload, NULL) < 0)
        wrong(l, row, "its payload is no JSON");
    if (l->end)
        wrong(l, row, "it is behind the end");
    if (row->kind == ROW_INTENT)
        see_intent(l, row, path, payload);
    else if (row->kind == ROW_RESULT)
        see_result(l, row, effect_at(l, path), payload);
    else if (row->kind == ROW_UNKNOWN && effect_at(l, path))
        set_state(effect_at(l, path), "unknown");
    else if (row->kind == ROW_CHECK || row->kind == ROW_SETTLE)
        see_verdict(effect_at(l, path), payload);
    else if (row->kind == ROW_SKIP && json_get_string(payload, "undo_of", NULL))
        set_state(effect_at(l, json_get_string(payload, "undo_of", "")), "undone");
    else if (row->kind == ROW_REFUSED && effect_at(l, path))
        set_state(effect_at(l, path), "over");
    else if (row->kind == ROW_VERIFY)
        see_verify(l, row);
    else if (row->kind == ROW_ANSWER && strcmp(json_get_string(payload, "answer", ""), "yes") == 0 &&
             !json_get_bool(payload, "more", false))
        json_object_set_new(l->approved, path, json_true());
    else if (row->kind == ROW_ENDING)
        l->ending = true;
    else if (row->kind == ROW_END && json_read(row->args, &l->end, NULL) == 0)
        json_object_set_new(l->end, "outcome", json_stringn(row->name.p, row->name.n));
    json_decref(payload);
    return true;
}

/* Every effect of a run that has ended is proven, undone, or somebody was told. */
static void judge_effects(struct look *l)
{
    const char *outcome = json_get_string(l->end, "outcome", ""), *text = json_get_string(l->end, "text", ""), *path;
    bool told = strcmp(outcome, "escalated") == 0;
    bool released = told && strcmp(json_get_string(l->end, "reason", ""), "unknown_effect") == 0;   /* by a person, who knew */
    json_t *x;

    json_object_foreach(l->effects, path, x) {
        bool in_force = is(x, "applied") || is(x, "verified"), for_a_while = json_get_bool(x, "for_a_while", false);

        if (!released && (is(x, "open") || is(x, "unknown") || is(x, "applied?")))
            buf_addf(l->why, "  the run ended %s while nobody knows what became of %s\n", outcome, path);
        else if (!told && in_force && (strcmp(outcome, "resolved") != 0 || !is(x, "verified") || for_a_while))
            buf_addf(l->why, "  the run ended %s with %s in force\n", outcome, path);
        else if (in_force && for_a_while && !strstr(text, "could NOT be undone"))
            buf_addf(l->why, "  %s was for a while, is still in force, and the end does not say so: %s\n", path, text);
    }
}

int invariants_check(struct journal *j, int64_t run, bool ended, struct buf *why, struct err *e)
{
    struct look l = {.effects = json_object(), .approved = json_object(), .why = why};
    int rc = j->ops->rows(j, run, 1, see, &l, e);

    if (rc == 0 && ended && !l.end)
        buf_addf(why, "  the run ended without an END\n");
    if (rc == 0 && l.end)
        judge_effects(&l);
    json_decref(l.effects);
    json_decref(l.approved);
    json_decref(l.end);
    return rc;
}
