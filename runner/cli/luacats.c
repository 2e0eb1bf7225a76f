/* SPDX-License-Identifier: Apache-2.0 */
/* Types for editors (LuaCATS): the language, and the faces of the operator's instances
 * as their plugins declare them. */
#include "cli/cli.h"

#include "base/embedded.h"
#include "base/limits.h"
#include "base/str.h"
#include "plugin/plugin.h"

#include <stdlib.h>

/* Of "integer >= 0", "string?": the type as LuaCATS says it. Returns true if it is optional. */
static bool add_type(struct buf *out, const char *schema)
{
    static const char *const types[][2] = {{"string", "string"}, {"number", "number"}, {"integer", "integer"},
                                           {"boolean", "boolean"}, {"duration", "number|string"},
                                           {"labels", "table<string, string|number>"}, {"list", "any[]"},
                                           {"lines", "string[]"}};
    size_t i, n = strspn(schema, "abcdefghijklmnopqrstuvwxyz");

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strlen(types[i][0]) == n && strncmp(types[i][0], schema, n) == 0)
            break;
    }
    buf_adds(out, i < sizeof(types) / sizeof(types[0]) ? types[i][1] : "any");
    return schema[n] == '?';
}

/* What a declaration says of its answer, in words: "number in s", "a list of { name, ready }". */
static void add_answer(struct buf *out, const json_t *spec)
{
    const json_t *returns = json_object_get(spec, "returns"), *list = json_object_get(returns, "list"), *value;
    const json_t *fields = list ? list : returns;
    const char *unit = json_string_value(json_object_get(spec, "unit")), *key;
    bool first = true;

    if (list)
        buf_adds(out, "a list of ");
    if (json_is_string(fields))
        buf_adds(out, json_string_value(fields));
    if (json_is_object(fields)) {
        json_object_foreach((json_t *)fields, key, value) {
            buf_addf(out, "%s%s: %s", first ? "{ " : ", ", key, json_is_string(value) ? json_string_value(value) : "any");
            first = false;
        }
        buf_adds(out, first ? "any" : " }");
    }
    if (!fields)
        buf_adds(out, "any");
    if (unit)
        buf_addf(out, " in %s", unit);
}

static void add_named(struct buf *out, const json_t *params)
{
    const json_t *schema;
    const char *key;
    size_t n = 0;

    if (json_object_size(params) == 0)
        return;
    buf_adds(out, "args: { ");
    json_object_foreach((json_t *)params, key, schema) {
        const char *text = json_string_value(schema) ? json_string_value(schema) : "any";

        buf_addf(out, "%s%s%s: ", n++ ? ", " : "", key, strchr(text, '?') ? "?" : "");
        add_type(out, text);
    }
    buf_adds(out, " }");
}

/* "self, replicas: integer" of a declaration; self: the type it is a method of, or NULL. */
static void add_params(struct buf *out, const json_t *spec, const char *self, bool is_read)
{
    const json_t *params = json_object_get(spec, "params"), *arg;
    size_t i, begin;

    if (self)
        buf_addf(out, "self: %s", self);
    begin = out->len;
    if (json_is_true(json_object_get(spec, "named"))) {
        if (self && json_object_size(params))
            buf_adds(out, ", ");
        add_named(out, params);
        return;
    }
    json_array_foreach(json_object_get(spec, "args"), i, arg) {
        const char *name = json_string_value(arg), *schema = json_string_value(json_object_get(params, name ? name : ""));

        buf_addf(out, "%s%s%s: ", self || out->len > begin ? ", " : "", name ? name : "?",
                 schema && strchr(schema, '?') ? "?" : "");
        add_type(out, schema ? schema : "any");
    }
    if (!is_read)
        return;
    buf_adds(out, self || out->len > begin ? ", " : "");
    buf_adds(out, json_is_string(json_object_get(spec, "rest")) ? "...: any" : "options?: midwatch.ReadOptions");
}

static void add_verb(struct buf *out, const char *name, const json_t *spec, const char *self, bool is_read)
{
    const char *class = json_string_value(json_object_get(spec, "class"));

    buf_addf(out, "---@field %s fun(", name);
    add_params(out, spec, self, is_read);
    buf_addf(out, "): %s ", is_read ? "midwatch.Read" : "midwatch.Effect");
    if (is_read)
        add_answer(out, spec);
    else
        buf_addf(out, "changes something%s%s%s", class ? " (" : "", class ? class : "", class ? ")" : "");
    buf_addc(out, '\n');
}

/* Reads and effects on things of a kind; kind NULL: those on nothing. */
static void add_verbs(struct buf *out, const json_t *declared, const char *kind, const char *self)
{
    static const char *const groups[] = {"reads", "effects"};
    const json_t *spec;
    const char *name, *on;
    size_t i;

    for (i = 0; i < 2; i++) {
        json_object_foreach(json_object_get(declared, groups[i]), name, spec) {
            on = json_string_value(json_object_get(spec, "on"));
            if (kind ? on && strcmp(on, kind) == 0 : !on)
                add_verb(out, name, spec, self, i == 0);
        }
    }
}

/* The kinds of things, each once. */
static void add_kinds(struct buf *out, const char *global, const json_t *declared)
{
    json_t *seen = json_object();
    const json_t *thing;
    const char *name;
    char self[200];

    json_object_foreach(json_object_get(declared, "things"), name, thing) {
        const char *kind = json_string_value(json_object_get(thing, "is"));

        if (!kind || json_object_get(seen, kind))
            continue;
        json_object_set_new(seen, kind, json_true());
        snprintf(self, sizeof(self), "%.90s.%.90s", global, kind);
        buf_addf(out, "---@class %s\n", self);
        add_verbs(out, declared, kind, self);
        buf_addc(out, '\n');
    }
    json_decref(seen);
}

static void add_face(struct buf *out, const char *global, const char *plugin, const char *instances, const json_t *declared)
{
    const json_t *thing;
    const char *name;

    add_kinds(out, global, declared);
    buf_addf(out, "--- Plugin %s%s%s\n---@class %s.face\n", plugin, instances[0] ? "; instances here: " : "", instances, global);
    json_object_foreach(json_object_get(declared, "things"), name, thing) {
        const char *kind = json_string_value(json_object_get(thing, "is"));

        buf_addf(out, "---@field %s fun(", name);
        add_params(out, thing, NULL, false);
        buf_addf(out, "): %s.%s\n", global, kind ? kind : "?");
    }
    add_verbs(out, declared, NULL, NULL);
    buf_addf(out, "%s = {}\n\n", global);
}

/* One global per plugin, under its name, which is what `uses` calls it most often. */
static int add_plugin(struct cli *c, struct registry *r, const char *plugin, struct buf *out, struct err *e)
{
    struct buf instances = BUF_INIT(64 * KIB);
    const char *instance = plugin;
    const json_t *declared;
    size_t i;
    int rc;

    for (i = 0; i < c->config->ninstances; i++) {
        const struct instance *x = &c->config->instances[i];

        if (strcmp(x->plugin, plugin) != 0 || x->implicit)
            continue;
        instance = instances.len ? instance : x->name;
        buf_addf(&instances, "%s%s", instances.len ? ", " : "", x->name);
    }
    rc = registry_describe(r, instance, instances.len ? NULL : plugin, &declared, e);
    if (rc == 0)
        add_face(out, plugin, plugin, buf_text(&instances), declared);
    buf_free(&instances);
    return rc;
}

struct plugins {
    char names[64][64];
    size_t n;
};

static void add_name(struct plugins *p, const char *name, size_t n)
{
    size_t i;

    for (i = 0; i < p->n; i++) {
        if (strlen(p->names[i]) == n && strncmp(p->names[i], name, n) == 0)
            return;
    }
    if (p->n < 64 && n < sizeof(p->names[0]))
        snprintf(p->names[p->n++], sizeof(p->names[0]), "%.*s", (int)n, name);
}

/* Those of the operator's instances and commands; where there are none, the shipped ones. */
static void collect(const struct config *c, struct plugins *p)
{
    size_t i, n;
    const struct embedded *all = embedded_all(&n);

    for (i = 0; i < c->ninstances; i++) {
        if (!c->instances[i].implicit)
            add_name(p, c->instances[i].plugin, strlen(c->instances[i].plugin));
    }
    if (json_object_size(c->commands))
        add_name(p, "shell", 5);
    if (p->n)
        return;
    for (i = 0; i < n; i++) {
        if (strncmp(all[i].path, "plugins/", 8) == 0)
            add_name(p, all[i].path + 8, strcspn(all[i].path + 8, "./"));
    }
}

int cli_luacats(struct cli *c, struct buf *out, struct err *e)
{
    struct registry_options o = {.sealed = true};
    const struct embedded *language = embedded_find("lua/types/language.d.lua");
    struct registry *r = NULL;
    struct plugins p = {.n = 0};
    struct host *host = NULL;
    size_t i;
    int rc = config_load(c->config_file, &c->config, e);

    if (rc == 0)
        rc = host_real_new(&host, e);
    o.host = host;
    o.config = c->config;
    if (rc == 0)
        rc = registry_new(&o, &r, e);
    buf_add(out, language->text.p, language->text.n);
    if (rc == 0)
        collect(c->config, &p);
    for (i = 0; rc == 0 && i < p.n; i++)
        rc = add_plugin(c, r, p.names[i], out, e);
    registry_free(r);
    if (host)
        host->ops->free(host);
    return rc;
}
