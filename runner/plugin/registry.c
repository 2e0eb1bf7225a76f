/* SPDX-License-Identifier: Apache-2.0 */
/* Instances and the bodies behind them. */
#include "plugin/secret.h"

#include "base/crypto.h"
#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define OFF_MS 10000            /* of a plugin whose state was killed: at most a fifth of the time goes to it */

int registry_new(const struct registry_options *o, struct registry **out, struct err *e)
{
    (void)e;
    *out = xcalloc(1, sizeof(**out));
    (*out)->o = *o;
    if (!o->plugin_dir && o->config)
        (*out)->o.plugin_dir = o->config->plugin_dir;
    return 0;
}

int registry_like(const struct registry *r, struct registry **out, struct err *e)
{
    return registry_new(&r->o, out, e);
}

static void free_body(struct body *b)
{
    if (b->ops)
        b->ops->free(b);
    face_free(b);
    json_decref(b->declared);
    sources_free(b);
    free(b->program);
    free(b->instance);
    free(b->plugin);
    free(b);
}

void registry_free(struct registry *r)
{
    struct body *b, *next;

    if (!r)
        return;
    for (b = r->bodies; b; b = next) {
        next = b->next;
        while (b->calls)
            body_cancel(r, b->calls);
        free_body(b);
    }
    secret_free_all(r);
    free(r);
}

void registry_pin(struct registry *r, const struct bundle *b)
{
    r->pinned = b;
}

/* Runs a function of the plugin's state to its end, with no primitive answered, before whatever else of the
 * plugin could go on. */
static int call_now(struct body *b, const char *function, struct str args, struct buf *out, struct err *e)
{
    struct vm_event ev;
    json_t *value = NULL;
    uint32_t branch;
    int rc = vm_start_call(b->vm, "plugin", function, args, &branch, e);

    if (rc == 0)
        vm_prefer(b->vm, branch);
    while (rc == 0 && (rc = vm_step(b->vm, &ev)) == 2)
        rc = 0;
    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_set(e, ERR_INTERNAL, "%s: %s did nothing", b->plugin, function);
    if (ev.outcome == VM_DONE) {
        buf_add(out, ev.json.p, ev.json.n);
        return 0;
    }
    if (ev.outcome == VM_PARKED) {
        vm_drop(b->vm, ev.request.branch);
        return err_set(e, ERR_DENIED, "plugin %s: %s may not use %.*s", b->plugin, function, (int)ev.request.op.n,
                       ev.request.op.p);
    }
    if (ev.outcome != VM_ERROR)
        luabody_killed(b);
    if (ev.outcome == VM_ERROR && json_read(ev.json, &value, &(struct err){0}) == 0 && json_get_string(value, "why", NULL))
        err_set(e, ERR_INVALID, "%s", json_get_string(value, "why", ""));
    else
        err_set(e, ERR_INVALID, "plugin %s: %s", b->plugin, ev.outcome == VM_ERROR ? ev.error : "it used too much");
    snprintf(b->setting, sizeof(b->setting), "%s", json_get_string(value, "setting", ""));
    json_decref(value);
    return ERR_INVALID;
}

int body_at_instance(const struct body *b, struct err *e)
{
    int line, column;

    if (b->config && b->config->line > 0) {
        config_place(b->config, b->setting, &line, &column);
        err_wrap(e, "%s:%d:%d: instance '%s'", b->registry->o.config->file, line, column, b->instance);
    }
    return e->code;
}

static int configure(struct body *b, struct err *e)
{
    struct config *config = b->registry->o.config;
    struct buf args = BUF_INIT(VALUE_BYTES_MAX), out = BUF_INIT(VALUE_BYTES_MAX);
    json_t *settings = b->config ? json_deep_copy(b->config->settings) : json_object(), *list;
    int rc;

    if (strcmp(b->plugin, "shell") == 0 && config)
        json_object_set(settings, "commands", config->commands);
    list = json_pack("[{s:b s:s s:b s:s s:o}]", "described", b->config == NULL, "dir", config ? config->dir : ".", "implicit",
                     b->config && b->config->implicit, "name", b->instance, "settings", settings);
    json_add_value(&args, list);
    json_decref(list);
    rc = call_now(b, "configure", (struct str){args.data, args.len}, &out, e);
    buf_free(&args);
    buf_free(&out);
    return rc < 0 ? body_at_instance(b, e) : 0;
}

static int describe(struct body *b, struct err *e)
{
    struct buf out = BUF_INIT(VALUE_BYTES_MAX);
    json_t *list = NULL;
    int rc = call_now(b, "describe", STR("[]"), &out, e);

    if (rc == 0)
        rc = json_read((struct str){out.data, out.len}, &list, e);
    if (rc == 0) {
        b->declared = json_incref(json_array_get(list, 0));
        if (!json_is_object(b->declared))
            rc = err_set(e, ERR_INVALID, "plugin %s declares nothing", b->plugin);
    }
    json_decref(list);
    buf_free(&out);
    return rc;
}

/* A state with the plugin's code, configured. */
static int load(struct body *b, struct err *e)
{
    struct vm_options o = {.seed = 1};
    static const char *const shared[] = {"prelude", "web", "declared", "command"};
    struct buf name = BUF_INIT(KIB);
    char path[256];
    size_t i;
    int rc;

    json_add_string(&name, b->plugin, strlen(b->plugin));
    rc = vm_new(&o, &b->vm, e);
    for (i = 0; rc == 0 && i < sizeof(shared) / sizeof(shared[0]); i++) {
        snprintf(path, sizeof(path), "lua/%s.lua", shared[i]);
        rc = vm_offer_trusted(b->vm, shared[i], embedded_find(path)->code, e);
    }
    if (rc == 0)
        rc = vm_load_trusted(b->vm, "plugin", embedded_find("lua/plugin.lua")->code, (struct str){name.data, name.len}, e);
    if (rc == 0)
        rc = sources_load(b, e);
    if (rc == 0)
        rc = configure(b, e);
    buf_free(&name);
    return rc;
}

int luabody_load(struct body *b, struct err *e)
{
    int rc = load(b, e);

    if (rc == 0)
        rc = describe(b, e);
    if (rc == 0 && secret_check_settings(b, e) < 0)
        rc = body_at_instance(b, e);
    return rc;
}

void luabody_killed(struct body *b)
{
    struct host *h = b->registry->o.host;

    b->dead = true;
    b->off_until = h->ops->mono_ms(h) + OFF_MS;
}

int luabody_again(struct body *b, struct err *e)
{
    struct host *h = b->registry->o.host;

    if (h->ops->mono_ms(h) < b->off_until)
        return err_set(e, ERR_LIMIT, "plugin %s used too much memory or time and is off for a while", b->plugin);
    vm_free(b->vm);
    b->vm = NULL;
    b->dead = false;
    if (load(b, e) < 0)
        luabody_killed(b);
    return b->dead ? e->code : 0;
}

static const struct instance *configured(struct registry *r, const char *instance)
{
    return r->o.config ? config_instance(r->o.config, instance) : NULL;
}

static bool is_shipped(const char *plugin)
{
    char path[200];

    snprintf(path, sizeof(path), "plugins/%.100s.lua", plugin);
    if (embedded_find(path))
        return true;
    snprintf(path, sizeof(path), "plugins/%.100s/init.lua", plugin);
    return embedded_find(path) != NULL;
}

static int no_instance(struct registry *r, const char *instance, struct err *e)
{
    const char *names[64], *near;
    size_t i, n = 0;

    for (i = 0; r->o.config && i < r->o.config->ninstances && n < 64; i++)
        names[n++] = r->o.config->instances[i].name;
    near = str_nearest(str_of(instance), names, n);
    err_set(e, ERR_NOT_FOUND, "there is no instance '%s' in %s", instance,
            r->o.config && r->o.config->file ? r->o.config->file : "the configuration (no midwatch.yaml was found)");
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else
        err_hint(e, "%s instances: { %s: { plugin: %s } }; midwatch plugin describe %s says what it can do",
                 r->o.config && r->o.config->file ? "it wants there:" : "write one with:", instance,
                 is_shipped(instance) ? instance : "NAME", is_shipped(instance) ? instance : "NAME");
    return ERR_NOT_FOUND;
}

/* Without a configuration an alias can only be a plugin's name. */
static int no_plugin_of_that_name(const struct registry *r, const char *instance, struct err *e)
{
    if (r->o.config && r->o.config->file)
        return e->code;
    err_set(e, ERR_NOT_FOUND, "there is no configuration that declares the instance '%s', and no plugin has this name", instance);
    return err_hint(e, "--config FILE, or instances: { %s: ... } in midwatch.yaml; for the shipped runbooks: --config "
                       "runbooks/midwatch.example.yaml", instance);
}

int body_find(struct registry *r, const char *instance, const char *plugin, struct body **out, struct err *e)
{
    struct body *b;
    const struct instance *config;
    int rc;

    for (b = r->bodies; b; b = b->next) {
        if (strcmp(b->instance, instance) == 0) {
            *out = b;
            return 0;
        }
    }
    config = configured(r, instance);
    if (!config && (!r->o.sealed || !plugin))
        return no_instance(r, instance, e);
    b = xcalloc(1, sizeof(*b));
    b->registry = r;
    b->config = config;
    b->instance = xstrdup(instance);
    b->plugin = xstrdup(config ? config->plugin : plugin);
    b->next = r->bodies;
    r->bodies = b;
    rc = sources_find(b, e);
    if (rc == ERR_NOT_FOUND && !config)
        rc = no_plugin_of_that_name(r, instance, e);
    else if (rc == ERR_NOT_FOUND)
        rc = body_at_instance(b, e);
    if (rc == 0 && (rc = b->ops->load(b, e)) < 0)
        err_wrap(e, "plugin %s", b->plugin);
    if (rc < 0) {
        r->bodies = b->next;
        free_body(b);
        return rc;
    }
    *out = b;
    return 0;
}

int registry_describe(struct registry *r, const char *instance, const char *plugin, const json_t **declared,
                      struct err *e)
{
    struct body *b;
    int rc = body_find(r, instance, plugin, &b, e);

    if (rc == 0)
        *declared = b->declared;
    return rc;
}

int registry_sources(struct registry *r, const char *instance, const char **plugin, const struct plugin_source **sources,
                     size_t *n, struct err *e)
{
    struct body *b;
    int rc = body_find(r, instance, NULL, &b, e);

    if (rc == 0) {
        *plugin = b->plugin;
        *sources = b->sources;
        *n = b->nsources;
    }
    return rc;
}

/* Declared verbs without `says` of theirs and of their parameters: people read it, and no call is another for it. Only in its
 * place: a parameter or a field of a body may have that name. */
static json_t *without_words(const json_t *verbs)
{
    json_t *plain = json_deep_copy(verbs), *verb, *param;
    const char *name, *of;

    json_object_foreach(plain, name, verb) {
        json_object_del(verb, "says");
        json_object_foreach(json_object_get(verb, "params"), of, param)
            json_object_del(param, "says");
    }
    return plain;
}

/* The settings as what is called depends on them. */
static json_t *settings_called(const struct body *b)
{
    static const char *const verbs[][2] = {{"http", "requests"}, {"ssh", "commands"}};
    json_t *out = json_copy(b->config->settings), *of;
    size_t i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(b->plugin, verbs[i][0]) == 0 && (of = json_object_get(out, verbs[i][1])))
            json_object_set_new(out, verbs[i][1], without_words(of));
    }
    return out;
}

static void add_owned(struct buf *out, json_t *v)
{
    json_add_value(out, v);
    json_decref(v);
}

int registry_settings_hash(struct registry *r, const char *instance, char out[65], struct err *e)
{
    struct buf text = BUF_INIT(VALUE_BYTES_MAX);
    struct body *b;
    struct hash h;
    int rc = body_find(r, instance, NULL, &b, e);

    if (rc < 0)
        return rc;
    if (b->config)
        add_owned(&text, settings_called(b));
    if (b->config && strcmp(b->plugin, "shell") == 0)
        add_owned(&text, without_words(r->o.config->commands));
    h = hash_of((struct str){text.data, text.len});
    hash_hex(&h, out);
    buf_free(&text);
    return 0;
}

const struct config *registry_config(const struct registry *r)
{
    return r->o.config;
}

struct host *registry_host(const struct registry *r)
{
    return r->o.host;
}

double registry_seconds(struct registry *r, const char *instance, const char *setting)
{
    const struct instance *config = configured(r, instance);
    const json_t *v = config ? json_object_get(config->settings, setting) : NULL;
    int64_t ms;

    if (json_is_number(v))
        return json_number_value(v);
    return json_is_string(v) && str_duration_ms(str_of(json_string_value(v)), &ms) == 0 ? (double)ms / 1000 : 0;
}

int luabody_want(struct body *b, const char *verb, struct str args, struct str state, struct str history, struct buf *out,
             struct err *e)
{
    struct buf list = BUF_INIT(4 * VALUE_BYTES_MAX), answer = BUF_INIT(VALUE_BYTES_MAX);
    int rc;

    buf_addc(&list, '[');
    json_add_string(&list, verb, strlen(verb));
    buf_addc(&list, ',');
    buf_add(&list, args.p, args.n);
    buf_addc(&list, ',');
    buf_add(&list, state.n ? state.p : "null", state.n ? state.n : 4);
    buf_addc(&list, ',');
    buf_add(&list, history.n ? history.p : "[]", history.n ? history.n : 2);
    buf_addc(&list, ']');
    rc = call_now(b, "want", (struct str){list.data, list.len}, &answer, e);
    if (rc == 0 && (answer.len < 2 || answer.data[1] != '{'))      /* a list of the one result */
        rc = err_set(e, ERR_INVALID, "plugin %s: want of %s gave no state", b->plugin, verb);
    if (rc == 0)
        rc = buf_add(out, answer.data + 1, answer.len - 2);
    buf_free(&list);
    buf_free(&answer);
    return rc;
}

int plugin_want(struct registry *r, const char *instance, const char *verb, struct str args, struct str state,
                struct str history, struct buf *out, struct err *e)
{
    struct body *b;
    int rc = body_find(r, instance, NULL, &b, e);

    return rc < 0 ? rc : b->ops->want(b, verb, args, state, history, out, e);
}
