/* SPDX-License-Identifier: Apache-2.0 */
/* What a runbook can look at and change through an instance or a plugin: its declarations, for people. */
#include "cli/cli.h"

#include "base/json.h"
#include "base/limits.h"
#include "plugin/plugin.h"

#include <stdlib.h>

/* "(namespace, name)", "{ queue, limit }": how it is called; options are a table behind it. */
static void add_call(struct buf *out, const json_t *spec, bool always)
{
    const json_t *args = json_object_get(spec, "args"), *fields = json_object_get(spec, "options"), *arg;
    const char *key;
    size_t i, n = 0;

    if (json_is_true(json_object_get(spec, "named")))
        fields = json_object_get(spec, "params");
    else if (always || json_array_size(args) || json_object_size(fields) == 0)
        buf_addc(out, '(');
    json_array_foreach(args, i, arg)
        buf_addf(out, "%s%s", i ? ", " : "", json_string_value(arg));
    if (json_is_string(json_object_get(spec, "rest")))
        buf_adds(out, ", ...");
    if (json_object_size(fields)) {
        buf_adds(out, json_array_size(args) ? ", { " : out->data[out->len - 1] == '(' ? "{ " : " { ");
        json_object_foreach((json_t *)fields, key, arg)
            buf_addf(out, "%s%s", n++ ? ", " : "", key);
        buf_adds(out, " }");
    }
    if (!json_is_true(json_object_get(spec, "named")) && (always || json_array_size(args) || json_object_size(fields) == 0))
        buf_addc(out, ')');
}

/* "name          type            what it is" */
static void add_field(struct buf *out, const json_t *declared, const char *verb, const char *name, const json_t *schema)
{
    const char *means = cli_means(declared, verb, name);

    const char *of = json_string_value(json_object_get(schema, "list")), *type = json_string_value(schema);

    buf_addf(out, "        %-20s %s%-*s %s\n", name, of ? "list of " : "", of ? 10 : 18, of ? of : type ? type : "any",
             means ? means : "");
    while (out->len > 1 && out->data[out->len - 2] == ' ') {
        out->data[out->len - 2] = '\n';
        out->len--;
    }
}

/* The fields of each element or of the record; and the arguments, where something is said of them. */
static void add_fields(struct buf *out, const json_t *declared, const char *verb, const json_t *spec)
{
    static const char *const given[] = {"params", "options"};
    const json_t *returns = json_object_get(spec, "returns"), *list = json_object_get(returns, "list"), *schema;
    const char *name;
    size_t i;

    for (i = 0; i < 2; i++) {
        json_object_foreach(json_object_get(spec, given[i]), name, schema) {
            if (cli_means(declared, verb, name))
                add_field(out, declared, verb, name, schema);
        }
    }
    if (!json_is_object(list ? list : returns))
        return;
    buf_adds(out, list ? "      a list of\n" : "      a record of\n");
    json_object_foreach((json_t *)(list ? list : returns), name, schema)
        add_field(out, declared, verb, name, schema);
}

static void add_change(struct buf *out, const char *thing, const json_t *declared, const char *name, const json_t *spec)
{
    const char *target = json_get_string(spec, "target", "?"), *rest = strncmp(target, "{{kind}}", 8) == 0 ? target + 8 : NULL;
    bool gone = json_is_true(json_object_get(spec, "irreversible"));
    bool fleeting = strcmp(json_get_string(spec, "undo", ""), "not needed") == 0;
    const json_t *schema;
    const char *field;

    buf_addf(out, "      changes %s%s%s%s\n", rest && thing ? thing : "", rest && thing ? rest : target,
             gone ? "; cannot be undone" : "", fleeting ? "; needs no undo" : "");
    add_fields(out, declared, name, spec);
    if (json_object_size(json_object_get(spec, "finds")))
        buf_adds(out, "      finds\n");
    json_object_foreach(json_object_get(spec, "finds"), field, schema)
        add_field(out, declared, name, field, schema);
}

static void add_verb(struct buf *out, const char *prefix, const char *name, const char *thing, const json_t *declared,
                     const json_t *spec, bool is_read)
{
    const json_t *returns = json_object_get(spec, "returns");
    const char *says = cli_says(declared, name);

    buf_addf(out, "  %s%s%s", is_read ? "" : "! ", prefix, json_get_string(spec, "called", name));
    add_call(out, spec, false);
    buf_addc(out, '\n');
    if (says)
        buf_addf(out, "      %s\n", says);
    if (!is_read) {
        add_change(out, thing, declared, name, spec);
        return;
    }
    if (!json_is_object(returns) || json_is_string(json_object_get(returns, "list"))) {
        buf_adds(out, "      ");
        cli_add_answer(out, spec);
        buf_addc(out, '\n');
    }
    add_fields(out, declared, name, spec);
}

/* Where the verbs of one thing go. */
struct listed {
    struct buf *out;
    const json_t *declared;
    const char *prefix, *thing;
};

static void add_one(void *ctx, const char *name, const json_t *spec, bool is_read)
{
    const struct listed *l = ctx;

    add_verb(l->out, l->prefix, name, l->thing, l->declared, spec, is_read);
}

static void add_text(struct buf *out, const char *alias, const json_t *declared)
{
    const json_t *thing;
    const char *name;
    char prefix[100];

    json_object_foreach(json_object_get(declared, "things"), name, thing) {
        buf_addf(out, "%s.%s", alias, name);
        add_call(out, thing, true);
        if (cli_says(declared, name))
            buf_addf(out, ": %s", cli_says(declared, name));
        buf_addc(out, '\n');
        cli_each_verb(declared, json_get_string(thing, "is", name), name, add_one, &(struct listed){out, declared, ":", name});
        buf_addc(out, '\n');
    }
    snprintf(prefix, sizeof(prefix), "%.90s.", alias);
    cli_each_verb(declared, NULL, NULL, add_one, &(struct listed){out, declared, prefix, NULL});
    if (out->len == 0)
        buf_adds(out, "it has what midwatch.yaml declares: commands: { NAME: { argv: [...], read: ... } } of shell and ssh, "
                      "requests: of http\n");
    else
        buf_adds(out, "\nA read also takes { absent = VALUE, max_age = \"1m\" }, behind its arguments. ! changes something: "
                      "write it in `may`.\n");
}

/* An instance of the configuration, or a plugin. */
static int describe(struct cli *c, const char *name, struct buf *out, struct err *e)
{
    struct registry_options o = {.sealed = true, .config = c->config};
    const json_t *declared = NULL;
    struct registry *r = NULL;
    const char *plugin = name;
    char *text;
    size_t i;
    int rc = host_real_new(&o.host, e);

    for (i = 0; i < c->config->ninstances; i++) {
        if (strcmp(c->config->instances[i].name, name) == 0)
            plugin = c->config->instances[i].plugin;
    }
    o.plugin_dir = c->config->plugin_dir;
    if (rc == 0)
        rc = registry_new(&o, &r, e);
    if (rc == 0)
        rc = registry_describe(r, name, plugin == name ? name : NULL, &declared, e);
    if (rc == 0 && c->json) {
        text = json_dumps(declared, JSON_INDENT(2));
        buf_addf(out, "%s\n", text);
        free(text);
    } else if (rc == 0) {
        add_text(out, plugin, declared);
    }
    registry_free(r);
    if (o.host)
        o.host->ops->free(o.host);
    return rc;
}

int cli_describe(struct cli *c, const char *name, struct buf *out, struct err *e)
{
    int rc = config_load(c->config_file, &c->config, e);

    return rc == 0 ? describe(c, name, out, e) : rc;
}
