/* SPDX-License-Identifier: Apache-2.0 */
/* Types for editors (LuaCATS): the language, and the faces of the operator's instances
 * as their plugins declare them. */
#include "cli/cli.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "plugin/plugin.h"
#include "plugin/schema.h"

#include <stdlib.h>

/* Of "integer >= 0", "string?": the type as LuaCATS says it. */
static void add_type(struct buf *out, const char *schema)
{
    static const char *const types[][2] = {{"string", "string"}, {"number", "number"}, {"integer", "integer"},
                                           {"boolean", "boolean"}, {"duration", "number|string"},
                                           {"labels", "table<string, string|number>"}, {"list", "any[]"},
                                           {"lines", "string[]"}};
    size_t i, n = strspn(schema, "abcdefghijklmnopqrstuvwxyz");

    if (schema_is_enum(schema)) {
        for (buf_addc(out, '"'); *schema && *schema != '?'; schema++)
            *schema == '|' ? buf_adds(out, "\"|\"") : buf_addc(out, *schema);
        buf_addc(out, '"');
        return;
    }
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strlen(types[i][0]) == n && strncmp(types[i][0], schema, n) == 0)
            break;
    }
    buf_adds(out, i < sizeof(types) / sizeof(types[0]) ? types[i][1] : "any");
}

/* What a declaration says of its answer, in words: "number in s", "a list of { name, ready }". */
const char *cli_says(const json_t *declared, const char *name)
{
    return json_string_value(json_object_get(json_object_get(declared, "says"), name));
}

const char *cli_means(const json_t *declared, const char *verb, const char *name)
{
    const json_t *means = json_object_get(declared, "means");
    char own[200];
    const char *text;

    snprintf(own, sizeof(own), "%.90s.%.90s", verb, name);
    text = json_string_value(json_object_get(means, own));
    return text ? text : json_string_value(json_object_get(means, name));
}

void cli_add_answer(struct buf *out, const json_t *spec)
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

/* "{ name: type, other?: type }" */
static void add_record(struct buf *out, const json_t *fields)
{
    const json_t *schema;
    const char *key;
    size_t n = 0;

    json_object_foreach((json_t *)fields, key, schema) {
        const char *text = json_is_string(schema) ? json_string_value(schema) : "any";

        buf_addf(out, "%s%s%s: ", n++ ? ", " : "{ ", key, strchr(text, '?') ? "?" : "");
        add_type(out, text);
    }
    buf_adds(out, n ? " }" : "{}");
}

/* The next parameter, after a comma where there is one before. */
static void add_next(struct buf *out, size_t begin, const char *name, bool optional)
{
    buf_addf(out, "%s%s%s: ", out->len > begin ? ", " : "", name, optional ? "?" : "");
}

/* The table that may come last: what every read takes, and what this one declares. */
static void add_options(struct buf *out, const json_t *spec, bool is_read, size_t begin)
{
    const json_t *options = json_object_get(spec, "options");

    if (is_read && json_is_string(json_object_get(spec, "rest"))) {
        add_next(out, begin, "...", false);
        buf_adds(out, "any");
    } else if (is_read || json_object_size(options)) {
        add_next(out, begin, "options", true);
        buf_adds(out, is_read ? "midwatch.ReadOptions" : "");
        buf_adds(out, is_read && json_object_size(options) ? "|" : "");
        if (json_object_size(options))
            add_record(out, options);
    }
}

/* "self: kubernetes.deployment, replicas: integer" of a declaration; self: the thing it is a method of, or NULL. */
static void add_params(struct buf *out, const json_t *spec, const char *self)
{
    const json_t *params = json_object_get(spec, "params"), *arg;
    size_t i, begin = out->len;

    if (self) {
        add_next(out, begin, "self", false);
        buf_adds(out, self);
    }
    if (json_is_true(json_object_get(spec, "named"))) {
        if (json_object_size(params)) {
            add_next(out, begin, "args", false);
            add_record(out, params);
        }
        return;
    }
    json_array_foreach(json_object_get(spec, "args"), i, arg) {
        const char *name = json_is_string(arg) ? json_string_value(arg) : "?";
        const char *schema = json_get_string(params, name, "any");

        add_next(out, begin, name, strchr(schema, '?') != NULL);
        add_type(out, schema);
    }
}

static void add_meanings(struct buf *out, const json_t *declared, const char *verb, const json_t *fields)
{
    const char *name, *means;
    json_t *v;

    json_object_foreach((json_t *)fields, name, v) {
        means = cli_means(declared, verb, name);
        if (means)
            buf_addf(out, "--- - `%s`: %s\n", name, means);
    }
}

/* The lines above a field are its description, as Markdown. */
static void add_words(struct buf *out, const json_t *declared, const char *name, const json_t *spec)
{
    const json_t *returns = json_object_get(spec, "returns"), *list = json_object_get(returns, "list");
    const char *says = cli_says(declared, name);

    if (says)
        buf_addf(out, "--- %s\n", says);
    add_meanings(out, declared, name, json_object_get(spec, "params"));
    add_meanings(out, declared, name, json_object_get(spec, "options"));
    add_meanings(out, declared, name, list ? list : returns);
}

static void add_verb(struct buf *out, const json_t *declared, const char *name, const json_t *spec, const char *self,
                     bool is_read)
{
    size_t begin;

    add_words(out, declared, name, spec);
    buf_addf(out, "---@field %s fun(", json_get_string(spec, "called", name));
    begin = out->len;
    add_params(out, spec, self);
    if (!json_is_true(json_object_get(spec, "named")))
        add_options(out, spec, is_read, begin);
    buf_addf(out, "): %s ", is_read ? "midwatch.Read" : "midwatch.Effect");
    if (is_read)
        cli_add_answer(out, spec);
    else
        buf_addf(out, "changes something (%s)", json_get_string(spec, "class", "never_twice"));
    buf_addc(out, '\n');
}

/* `on` is a kind of things, one thing, or a list of those. */
/* `on` of a declaration (a kind of things, one thing, or a list of those) means this thing. */
static bool is_on(const json_t *on, const char *kind, const char *thing)
{
    const json_t *one;
    size_t i;

    if (json_is_string(on))
        return strcmp(json_string_value(on), kind) == 0 || strcmp(json_string_value(on), thing) == 0;
    json_array_foreach((json_t *)on, i, one) {
        if (is_on(one, kind, thing))
            return true;
    }
    return false;
}

void cli_each_verb(const json_t *declared, const char *kind, const char *thing, cli_verb_fn fn, void *ctx)
{
    static const char *const groups[] = {"reads", "effects"};
    const json_t *spec, *on;
    const char *name;
    size_t i;

    for (i = 0; i < 2; i++) {
        json_object_foreach(json_object_get(declared, groups[i]), name, spec) {
            on = json_object_get(spec, "on");
            if (thing ? on && is_on(on, kind, thing) : !on)
                fn(ctx, name, spec, i == 0);
        }
    }
}

/* Where the fields of one class go. */
struct class_of {
    struct buf *out;
    const json_t *declared;
    const char *self;
};

static void add_one(void *ctx, const char *name, const json_t *spec, bool is_read)
{
    const struct class_of *c = ctx;

    add_verb(c->out, c->declared, name, spec, c->self, is_read);
}

static void add_things(struct buf *out, const char *global, const json_t *declared)
{
    const json_t *thing;
    const char *name;
    char self[200];

    json_object_foreach(json_object_get(declared, "things"), name, thing) {
        snprintf(self, sizeof(self), "%.90s.%.90s", global, name);
        if (cli_says(declared, name))
            buf_addf(out, "--- %s\n", cli_says(declared, name));
        buf_addf(out, "---@class %s\n", self);
        cli_each_verb(declared, json_get_string(thing, "is", name), name, add_one, &(struct class_of){out, declared, self});
        buf_addc(out, '\n');
    }
}

static void add_face(struct buf *out, const char *plugin, const char *instances, const json_t *declared)
{
    const json_t *thing;
    const char *name;

    add_things(out, plugin, declared);
    buf_addf(out, "---Plugin %s%s%s\n---@class %s\n", plugin, instances[0] ? "; instances here: " : "", instances, plugin);
    json_object_foreach(json_object_get(declared, "things"), name, thing) {
        buf_addf(out, "---@field %s fun(", name);
        add_params(out, thing, NULL);
        buf_addf(out, "): %s.%s\n", plugin, name);
    }
    cli_each_verb(declared, NULL, NULL, add_one, &(struct class_of){out, declared, NULL});
    buf_addf(out, "%s = {}\n\n", plugin);
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
        add_face(out, plugin, buf_text(&instances), declared);
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
