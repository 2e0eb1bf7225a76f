/* SPDX-License-Identifier: Apache-2.0 */
/* Scenario files: strict YAML in the format of DESIGN section 4. */
#include "check/check.h"

#include "base/limits.h"
#include "base/yaml.h"
#include "book/book.h"
#include "gate/policy.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const file_keys[] = {"given", "params", "people", "state", "trigger", "scenarios"};
static const char *const scenario_keys[] = {"name",  "params", "trigger", "given",  "after",
                                            "effects", "state",  "people",  "cancel", "expect"};
static const char *const expect_keys[] = {"cause", "effects", "outcome", "reason"};

/* TITLE | approve: nobody, { say, by, after }, or a list of those. */
static int check_people(const struct yaml *people, const char *file, struct err *e)
{
    static const char *const keys[] = {"after", "by", "say"};
    size_t i, k;

    if (people->type != YAML_MAP)
        return yaml_err(e, file, people, "people: a map of titles (or approve) and who says what is wanted");
    for (i = 0; i < people->n; i++) {
        const struct yaml *v = people->items[i];

        if (v->type == YAML_STRING && strcmp(v->text.p, "nobody") == 0)
            continue;
        for (k = 0; k < (v->type == YAML_LIST ? v->n : 1); k++) {
            const struct yaml *say = v->type == YAML_LIST ? v->items[k] : v;

            if (say->type != YAML_MAP || !yaml_get(say, "say"))
                return yaml_err(e, file, say, "people: { say: ..., by: ..., after: ... } or nobody is wanted");
            if (yaml_only_keys(say, file, keys, 3, e) < 0)
                return e->code;
        }
    }
    return 0;
}

/* What { then: [...] } and { at: {...} } hold, or NULL. */
static const struct yaml *answers_of(const struct yaml *v)
{
    const struct yaml *then = v->type == YAML_MAP && v->n == 1 ? yaml_get(v, "then") : NULL;
    const struct yaml *at = v->type == YAML_MAP && v->n == 1 ? yaml_get(v, "at") : NULL;

    if (then && then->type == YAML_LIST && then->n)
        return then;
    return at && at->type == YAML_MAP && at->n ? at : NULL;
}


static int check_word(const struct yaml *v, const char *file, const char *what, const char *const *words, size_t n, struct err *e)
{
    const char *near = v->type == YAML_STRING ? str_nearest(v->text, words, n) : NULL;
    size_t i;

    for (i = 0; v->type == YAML_STRING && i < n; i++) {
        if (strcmp(v->text.p, words[i]) == 0)
            return 0;
    }
    if (!near)
        return yaml_err(e, file, v, "%s", what);
    yaml_err(e, file, v, "there is no '%s'", v->text.p);
    return err_hint(e, "did you mean '%s'?", near);
}

/* applied, 409, halted, { then: [...] } */
static int check_fate(const struct yaml *v, const char *file, struct err *e)
{
    static const char what[] = "an effect is applied, refused, moved (or 409), cut, absent, timeout, what policy says of it (halted, "
                               "frozen, target_busy, ...), or { then: [...] }";
    const char *words[32] = {"applied", "refused", "moved", "409", "cut", "absent", "timeout"};
    const struct yaml *list = answers_of(v);
    size_t i, n;
    const char *const *refusals = policy_at_send(&n);

    for (i = 0; i < n; i++)
        words[7 + i] = refusals[i];
    if (!list)
        return v->type == YAML_INT && v->integer == 409 ? 0 : check_word(v, file, what, words, 7 + n, e);
    for (i = 0; i < list->n; i++) {
        if (check_fate(list->items[i], file, e) < 0)
            return e->code;
    }
    return 0;
}

static int check_effects(const struct yaml *effects, const char *file, struct err *e)
{
    size_t i;

    if (effects && effects->type != YAML_MAP)
        return yaml_err(e, file, effects, "effects: a map of effects and what becomes of them is wanted");
    for (i = 0; effects && i < effects->n; i++) {
        if (check_fate(effects->items[i], file, e) < 0)
            return e->code;
    }
    return 0;
}

/* true, false, or what is not known; or { at: {...} }, { then: [...] } of these. */
static int check_firing(const struct yaml *v, const char *file, struct err *e)
{
    static const char *const words[] = {"no_data", "error", "stale", "ambiguous"};
    const struct yaml *list = answers_of(v);
    size_t i;

    if (!list)
        return v->type == YAML_BOOL ? 0 : check_word(v, file, "firing: true, false, or { at: { 0s: true, 5m: false } }", words,
                                                     4, e);
    for (i = 0; i < list->n; i++) {
        if (check_firing(list->items[i], file, e) < 0)
            return e->code;
    }
    return 0;
}

static int check_labels(const struct yaml *labels, const char *file, const char *what, struct err *e)
{
    size_t i;

    if (labels->type != YAML_MAP)
        return yaml_err(e, file, labels, "%s: a map of texts is wanted", what);
    for (i = 0; i < labels->n; i++) {
        if (labels->items[i]->type != YAML_STRING)
            return yaml_err(e, file, labels->items[i], "%s are texts: put it in quotes", what);
    }
    return 0;
}

static int check_trigger(const struct yaml *trigger, const char *file, struct err *e)
{
    static const char *const keys[] = {"annotations", "firing", "kind", "labels"};
    static const char *const kinds[] = {"alert", "chat", "schedule", "watch", "command line", "api"};
    const struct yaml *kind, *firing;
    size_t i;

    if (!trigger)
        return 0;
    if (trigger->type != YAML_MAP)
        return yaml_err(e, file, trigger, "trigger: { kind: alert, labels: {...}, firing: true } is wanted");
    if (yaml_only_keys(trigger, file, keys, 4, e) < 0)
        return e->code;
    kind = yaml_get(trigger, "kind");
    if (kind && check_word(kind, file, "kind: alert, chat, schedule, watch, command line or api", kinds, 6, e) < 0)
        return e->code;
    for (i = 0; i < 4; i += 3) {
        const struct yaml *texts = yaml_get(trigger, keys[i]);

        if (texts && check_labels(texts, file, keys[i], e) < 0)
            return e->code;
    }
    firing = yaml_get(trigger, "firing");
    return firing ? check_firing(firing, file, e) : 0;
}

static int check_scenario(const struct yaml *y, const char *file, struct err *e)
{
    const struct yaml *expect = yaml_get(y, "expect"), *name = yaml_get(y, "name");

    if (y->type != YAML_MAP)
        return yaml_err(e, file, y, "a scenario must be a map with a name and what to expect");
    if (yaml_only_keys(y, file, scenario_keys, 10, e) < 0)
        return e->code;
    if (!name || name->type != YAML_STRING)
        return yaml_err(e, file, y, "the scenario has no name");
    if (!expect || expect->type != YAML_MAP || expect->n == 0)
        return yaml_err(e, file, y, "scenario '%s' expects nothing; a test that cannot fail is none", name->text.p);
    if (yaml_get(y, "people") && check_people(yaml_get(y, "people"), file, e) < 0)
        return e->code;
    if (check_trigger(yaml_get(y, "trigger"), file, e) < 0 || check_effects(yaml_get(y, "effects"), file, e) < 0)
        return e->code;
    return yaml_only_keys(expect, file, expect_keys, 4, e);
}

/* The file's defaults under the scenario's own values. */
static json_t *merge(const struct yaml *file, const struct yaml *scenario, const char *key)
{
    json_t *out = json_object(), *own = yaml_to_json(yaml_get(scenario, key)), *all = yaml_to_json(yaml_get(file, key));

    if (json_is_object(all))
        json_object_update(out, all);
    if (json_is_object(own))
        json_object_update(out, own);
    json_decref(own);
    json_decref(all);
    return out;
}

static json_t *build(const struct yaml *file, const struct yaml *scenario)
{
    json_t *s = yaml_to_json(scenario), *firing;

    json_object_set_new(s, "given", merge(file, scenario, "given"));
    json_object_set_new(s, "params", merge(file, scenario, "params"));
    json_object_set_new(s, "state", merge(file, scenario, "state"));
    json_object_set_new(s, "people", merge(file, scenario, "people"));
    if (yaml_get(file, "trigger") || yaml_get(scenario, "trigger")) {
        json_object_set_new(s, "trigger", merge(file, scenario, "trigger"));
        firing = json_object_get(json_object_get(s, "trigger"), "firing");
        json_object_set(json_object_get(s, "given"), "trigger.firing()", firing ? firing : json_true());
    }
    return s;
}

static int build_all(const struct yaml *y, const char *file, json_t **out, struct err *e)
{
    const struct yaml *list;
    json_t *all = json_array();
    size_t i;
    int rc = y->type == YAML_MAP ? yaml_only_keys(y, file, file_keys, 6, e)
                                 : yaml_err(e, file, y, "a scenario file is a map with scenarios:");

    list = yaml_get(y, "scenarios");
    if (rc == 0 && (!list || list->type != YAML_LIST || list->n == 0))
        rc = yaml_err(e, file, y, "there are no scenarios");
    if (rc == 0)
        rc = check_trigger(yaml_get(y, "trigger"), file, e);
    for (i = 0; rc == 0 && i < list->n; i++) {
        rc = check_scenario(list->items[i], file, e);
        if (rc == 0)
            json_array_append_new(all, build(y, list->items[i]));
    }
    if (rc < 0)
        json_decref(all);
    else
        *out = all;
    return rc;
}

void scenarios_free(struct scenarios *s)
{
    if (!s)
        return;
    json_decref(s->list);
    yaml_tree_free(s->tree);
    free(s->file);
    free(s);
}

/* A scenario's own key hides the file's. */
void scenarios_place(const struct scenarios *s, size_t i, const char *path, struct err *e)
{
    const struct yaml *scenario = yaml_get(s->tree, "scenarios")->items[i];
    size_t own_depth, shared_depth;
    const struct yaml *own = yaml_at(scenario, path, &own_depth), *shared = yaml_at(s->tree, path, &shared_depth);
    const struct yaml *at = shared_depth > own_depth ? shared : own;

    snprintf(e->where, sizeof(e->where), "%s:%d:%d", s->file, at->line, at->column);
}

int scenarios_read(struct str text, const char *file, struct scenarios **out, struct err *e)
{
    struct scenarios *s = xcalloc(1, sizeof(*s));
    int rc;

    s->file = xstrdup(file);
    rc = yaml_read(text, s->file, 1, &s->tree, e);
    if (rc == 0)
        rc = build_all(s->tree, s->file, &s->list, e);
    if (rc < 0)
        scenarios_free(s);
    else
        *out = s;
    return rc;
}

int scenarios_load(struct source *source, const char *runbook, struct scenarios **out, struct err *e)
{
    struct buf text = BUF_INIT(YAML_BYTES_MAX + 16 * KIB), file = BUF_INIT(4 * KIB);
    int rc = source_scenarios(source, runbook, &file, &text, e);

    if (rc == 0)
        rc = scenarios_read((struct str){buf_text(&text), text.len}, buf_text(&file), out, e);
    buf_free(&file);
    buf_free(&text);
    return rc;
}
