/* SPDX-License-Identifier: Apache-2.0 */
/* Scenario files: strict YAML in the format of DESIGN section 4. */
#include "check/check.h"

#include "base/limits.h"
#include "base/yaml.h"
#include "book/book.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const file_keys[] = {"given", "params", "people", "state", "scenarios"};
static const char *const scenario_keys[] = {"name", "params", "given", "after", "effects", "state", "people", "cancel", "expect"};
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

static int check_scenario(const struct yaml *y, const char *file, struct err *e)
{
    const struct yaml *expect = yaml_get(y, "expect"), *name = yaml_get(y, "name");

    if (y->type != YAML_MAP)
        return yaml_err(e, file, y, "a scenario must be a map with a name and what to expect");
    if (yaml_only_keys(y, file, scenario_keys, 9, e) < 0)
        return e->code;
    if (!name || name->type != YAML_STRING)
        return yaml_err(e, file, y, "the scenario has no name");
    if (!expect || expect->type != YAML_MAP || expect->n == 0)
        return yaml_err(e, file, y, "scenario '%s' expects nothing; a test that cannot fail is none", name->text.p);
    if (yaml_get(y, "people") && check_people(yaml_get(y, "people"), file, e) < 0)
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
    json_t *s = yaml_to_json(scenario);

    json_object_set_new(s, "given", merge(file, scenario, "given"));
    json_object_set_new(s, "params", merge(file, scenario, "params"));
    json_object_set_new(s, "state", merge(file, scenario, "state"));
    json_object_set_new(s, "people", merge(file, scenario, "people"));
    return s;
}

static int build_all(const struct yaml *y, const char *file, json_t **out, struct err *e)
{
    const struct yaml *list;
    json_t *all = json_array();
    size_t i;
    int rc = y->type == YAML_MAP ? yaml_only_keys(y, file, file_keys, 5, e)
                                 : yaml_err(e, file, y, "a scenario file is a map with scenarios:");

    list = yaml_get(y, "scenarios");
    if (rc == 0 && (!list || list->type != YAML_LIST || list->n == 0))
        rc = yaml_err(e, file, y, "there are no scenarios");
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

int scenarios_load(struct source *source, const char *runbook, json_t **out, struct err *e)
{
    struct buf text = BUF_INIT(YAML_BYTES_MAX + 16 * KIB), file = BUF_INIT(4 * KIB);
    struct yaml *y = NULL;
    int rc = source_scenarios(source, runbook, &file, &text, e);

    if (rc == 0)
        rc = yaml_read((struct str){buf_text(&text), text.len}, buf_text(&file), 1, &y, e);
    if (rc == 0)
        rc = build_all(y, buf_text(&file), out, e);
    yaml_tree_free(y);
    buf_free(&file);
    buf_free(&text);
    return rc;
}
