/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/fixture.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/yaml.h"
#include "plugin/schema.h"

#include <stdio.h>

static const char *const unknown_kinds[] = {"no_data", "error", "stale", "ambiguous"};
#define NKINDS (sizeof(unknown_kinds) / sizeof(unknown_kinds[0]))

bool fixture_is_unknown(const json_t *v)
{
    size_t i;

    for (i = 0; json_is_string(v) && i < NKINDS; i++) {
        if (strcmp(json_string_value(v), unknown_kinds[i]) == 0)
            return true;
    }
    return false;
}

/* One read, and where its answers stand. */
struct answers {
    const json_t *read;         /* its declaration */
    json_t *args;
    const char *key;
    struct fixture_fault *f;
};

static int one(const struct answers *a, const json_t *v, const char *path)
{
    char below[FAULT_MAX] = "";
    const char *near;

    if (fixture_is_unknown(v) || schema_answer(a->read, a->args, v, true, a->key, below, &a->f->e) == 0)
        return 0;
    near = json_is_string(v) ? str_nearest(str_of(json_string_value(v)), unknown_kinds, NKINDS) : NULL;
    if (near && a->f->e.hint[0] == '\0')
        err_hint(&a->f->e, "did you mean '%s'?", near);
    snprintf(a->f->path, sizeof(a->f->path), "%s%s", path, below);
    return a->f->e.code;
}

static int all(const struct answers *a, const json_t *v, const char *path)
{
    const json_t *then = json_object_get(v, "then"), *at = json_object_get(v, "at"), *answer;
    const char *key;
    char here[700];
    size_t i;

    if (json_object_size(v) != 1 || !(json_is_array(then) || json_is_object(at)))
        return one(a, v, path);
    json_array_foreach(then, i, answer) {
        snprintf(here, sizeof(here), "%.600s%cthen%c%zu", path, YAML_STEP, YAML_STEP, i);
        if (one(a, answer, here) < 0)
            return a->f->e.code;
    }
    json_object_foreach((json_t *)at, key, answer) {
        snprintf(here, sizeof(here), "%.600s%cat%c%.40s", path, YAML_STEP, YAML_STEP, key);
        if (one(a, answer, here) < 0)
            return a->f->e.code;
    }
    return 0;
}

static int each_section(const struct answers *a, const json_t *given, const json_t *after)
{
    const json_t *changes, *v = json_object_get(given, a->key);
    const char *effect;
    char path[600];

    json_object_foreach((json_t *)after, effect, changes) {
        const json_t *changed = json_object_get(changes, a->key);

        snprintf(path, sizeof(path), "%cafter%c%.200s%c%.300s", YAML_STEP, YAML_STEP, effect, YAML_STEP, a->key);
        if (changed && all(a, changed, path) < 0)
            return a->f->e.code;
    }
    snprintf(path, sizeof(path), "%cgiven%c%.300s", YAML_STEP, YAML_STEP, a->key);
    return v ? all(a, v, path) : 0;
}

static const json_t *declared_verb(struct registry *r, const struct question *q, const char *section)
{
    char instance[256], verb[128];
    struct str v = gate_verb(q->name);
    const json_t *declared;

    snprintf(instance, sizeof(instance), "%.*s", (int)q->instance.n, q->instance.p);
    snprintf(verb, sizeof(verb), "%.*s", (int)v.n, v.p);
    if (q->instance.n == 0 || registry_describe(r, instance, NULL, &declared, &(struct err){0}) < 0)
        return NULL;
    return json_object_get(json_object_get(declared, section), verb);
}

int fixture_check_answers(struct registry *r, const struct question *q, const char *key, const json_t *given,
                          const json_t *after, struct fixture_fault *f)
{
    struct answers a = {.read = declared_verb(r, q, "reads"), .key = key, .f = f};
    int rc = a.read ? json_read(q->args, &a.args, &f->e) : 0;

    if (rc == 0 && a.read)
        rc = each_section(&a, given, after);
    json_decref(a.args);
    return rc;
}

static int lacks(const struct question *q, const json_t *effect, const json_t *to, const json_t *state, const char *field,
                 struct err *e)
{
    const char *names[64], *name, *near;
    size_t n = 0;
    json_t *v;

    json_object_foreach((json_t *)state, name, v) {
        if (n < 64 && !json_object_get(to, name))
            names[n++] = name;
    }
    near = str_nearest(str_of(field), names, n);
    if (!near && strcmp(json_get_string(effect, "undo", ""), "not needed") == 0)
        return 0;
    err_set(e, ERR_INVALID, "%.*s sets '%.60s', which this state does not have", (int)q->name.n, q->name.p, field);
    return near ? err_hint(e, "is '%s' meant to be '%s'?", near, field) : err_hint(e, "add %s: ...", field);
}

static int fits_effect(const struct question *q, const json_t *effect, const json_t *to, const json_t *state,
                       struct fixture_fault *f)
{
    const char *name;
    json_t *v;

    json_object_foreach((json_t *)to, name, v) {
        const json_t *now = json_object_get(state, name), *schema = json_object_get(json_object_get(effect, "params"), name);
        size_t n = strlen(f->path);

        if (!now && lacks(q, effect, to, state, name, &f->e) < 0)
            return f->e.code;
        if (now && schema && schema_fits(schema, now, name, &f->e) < 0) {
            snprintf(f->path + n, sizeof(f->path) - n, "%c%.60s", YAML_STEP, name);
            return f->e.code;
        }
    }
    return 0;
}

int fixture_check_state(struct registry *r, const struct question *q, const char *target, const json_t *state,
                        struct fixture_fault *f)
{
    char instance[256], verb[128];
    struct buf text = BUF_INIT(VALUE_BYTES_MAX), out = BUF_INIT(VALUE_BYTES_MAX);
    struct str v = gate_verb(q->name);
    struct err ignored = {0};
    const json_t *effect = declared_verb(r, q, "effects");
    json_t *to = NULL;
    int rc = 0;

    snprintf(f->path, sizeof(f->path), "%cstate%c%.300s", YAML_STEP, YAML_STEP, target);
    if (!json_is_object(state))
        return err_set(&f->e, ERR_INVALID, "a state is a map of fields: { replicas: 3 }, or error");
    snprintf(instance, sizeof(instance), "%.*s", (int)q->instance.n, q->instance.p);
    snprintf(verb, sizeof(verb), "%.*s", (int)v.n, v.p);
    json_add_value(&text, state);
    /* An effect that refuses this state says so where it is planned. */
    if (plugin_want(r, instance, verb, q->args, (struct str){text.data, text.len}, (struct str){0}, &out, &ignored) == 0 &&
        json_read((struct str){out.data, out.len}, &to, &ignored) == 0)
        rc = fits_effect(q, effect, to, state, f);
    json_decref(to);
    buf_free(&text);
    buf_free(&out);
    return rc;
}
