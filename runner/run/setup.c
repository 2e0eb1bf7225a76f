/* SPDX-License-Identifier: Apache-2.0 */
/* From a runbook and its inputs to a Lua state that is ready to run. Everything that
 * decides what the code will see stands in the START row and the bundle, so that a
 * resumed run is set up by the same function from the same texts. */
#include "run/run.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

/* The modules of the language. All are offered and loaded where they are first needed, but for the last
 * one, which publishes what a runbook sees. */
static const char *const modules[] = {
    "prelude", "options", "units", "face", "face_call", "face_make", "face_record", "face_things", "face_window", "observe",
    "ending", "diagnose", "wait", "record", "people", "branches", "effects", "approve", "remedy",
    "temporarily", "list", "text", "stats", "language",
};
#define NMODULES (sizeof(modules) / sizeof(modules[0]))

/* What the run that q stands for had behind an instance, or NULL. */
static const json_t *use_then(const struct run_request *q, const char *instance)
{
    const json_t *use;
    size_t i;

    json_array_foreach(json_object_get(q->as, "uses"), i, use) {
        if (strcmp(json_get_string(use, "instance", ""), instance) == 0)
            return use;
    }
    return NULL;
}

static double use_seconds(struct run *r, const json_t *then, const char *instance, const char *setting)
{
    return then ? json_number_value(json_object_get(then, setting)) : registry_seconds(r->registry, instance, setting);
}

/* One `uses:` entry with its instance filled in: {"alias","instance","interval","plugin","window"}. */
static json_t *use_entry(struct run *r, const struct run_request *q, const struct use *u, struct err *e)
{
    struct buf instance = BUF_INIT(256);
    const struct plugin_source *sources;
    const char *plugin;
    const json_t *declared;
    size_t n;
    int rc = template_fill(str_of(u->instance), q->params, true, &instance, e);
    const json_t *then = use_then(q, buf_text(&instance));
    json_t *entry = NULL;

    if (rc == 0 &&
        registry_describe(r->registry, buf_text(&instance), json_get_string(then, "plugin", u->alias), &declared, e) == 0 &&
        registry_sources(r->registry, buf_text(&instance), &plugin, &sources, &n, e) == 0)
        entry = json_pack("{s:s s:s s:f s:s s:f}", "alias", u->alias, "instance", buf_text(&instance), "interval",
                          use_seconds(r, then, buf_text(&instance), "interval"), "plugin", plugin, "window",
                          use_seconds(r, then, buf_text(&instance), "window"));
    else if (e->where[0] == '\0')
        snprintf(e->where, sizeof(e->where), "%s:%d:%d", q->book->file, u->line, u->column);
    buf_free(&instance);
    return entry;
}

static json_t *settings_of(struct run *r, const json_t *uses, struct err *e)
{
    json_t *out = json_object(), *use;
    char hash[65];
    size_t i;

    json_array_foreach(uses, i, use) {
        const char *instance = json_get_string(use, "instance", "");

        if (registry_settings_hash(r->registry, instance, hash, e) < 0) {
            json_decref(out);
            return NULL;
        }
        json_object_set_new(out, instance, json_string(hash));
    }
    return out;
}

json_t *setup_start(struct run *r, const struct run_request *q, struct err *e)
{
    json_t *uses = json_array(), *settings, *entry, *start;
    const struct runbook *b = q->book;
    size_t i;

    for (i = 0; i < b->nuses; i++) {
        entry = use_entry(r, q, &b->uses[i], e);
        if (!entry) {
            json_decref(uses);
            return NULL;
        }
        json_array_append_new(uses, entry);
    }
    settings = settings_of(r, uses, e);
    if (!settings) {
        json_decref(uses);
        return NULL;
    }
    start = json_pack("{s:i s:I s:{s:I s:I s:I} s:O s:s s:{s:I s:I s:s} s:I s:o s:O? s:o}", "abi", MIDWATCH_ABI,
                      "cooldown_ms", (json_int_t)b->cooldown_ms, "limits", "remedies", (json_int_t)b->remedies,
                      "targets", (json_int_t)b->targets, "time_ms", (json_int_t)b->time_ms, "params", q->params,
                      "requester", q->requester ? q->requester : "", "run", "id",
                      (json_int_t)json_get_int(json_object_get(q->as, "run"), "id", r->id), "started",
                      (json_int_t)r->started_at, "uuid", r->uuid, "seed", (json_int_t)(q->seed >> 1), "settings",
                      settings, "trigger", q->trigger, "uses", uses);
    if (q->plan)
        json_object_set(start, "plan", q->plan);
    return start;
}

static int add_plugins(struct registry *registry, const json_t *uses, struct bundle *b, struct err *e)
{
    json_t *use;
    size_t i, k, n;

    json_array_foreach(uses, i, use) {
        const struct plugin_source *s;
        const char *plugin;

        if (registry_sources(registry, json_get_string(use, "instance", ""), &plugin, &s, &n, e) < 0)
            return e->code;
        for (k = 0; k < n; k++) {
            if (bundle_get(b, s[k].path).n == 0 && bundle_add(b, s[k].path, s[k].text, e) < 0)
                return e->code;
        }
    }
    return 0;
}

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

struct bundle *engine_bundle(struct registry *registry, const struct runbook *book, const json_t *uses, struct err *e)
{
    struct bundle *b = bundle_new();
    char path[300];
    size_t i;

    snprintf(path, sizeof(path), "%s.md", book->name);
    if (bundle_add(b, path, (struct str){book->text, book->text_len}, e) < 0)
        goto fail;
    for (i = 0; i < book->nmodules; i++) {
        const struct book_module *m = &book->modules[i];

        if (bundle_add_module(b, m->name, m->path, (struct str){m->text, m->len}, e) < 0)
            goto fail;
    }
    for (i = 0; i < NMODULES; i++) {
        const struct embedded *m;

        snprintf(path, sizeof(path), "lua/%s.lua", modules[i]);
        m = embedded_find(path);
        if (!m) {
            err_set(e, ERR_INTERNAL, "%s is not in this program", path);
            goto fail;
        }
        if (bundle_add(b, path, m->text, e) < 0)
            goto fail;
    }
    if (add_plugins(registry, uses, b, e) < 0)
        goto fail;
    b->repo = copy(book->origin.repo);
    b->commit = copy(book->origin.commit);
    b->tree = copy(book->origin.tree);
    b->dirty = book->origin.dirty;
    bundle_seal(b, vm_release());
    return b;
fail:
    bundle_free(b);
    return NULL;
}

struct bundle *setup_bundle(struct run *r, const struct run_request *q, struct err *e)
{
    return engine_bundle(r->registry, q->book, json_object_get(r->start, "uses"), e);
}

/* The uses as the language wants them: with the declarations of their plugins, which stand in `records`. */
static int add_uses(struct run *r, struct vm_record *records, struct buf *out, struct err *e)
{
    static const char *const durations[] = {"interval", "window"};
    json_t *use;
    size_t i, k;

    buf_addc(out, '[');
    json_array_foreach(json_object_get(r->start, "uses"), i, use) {
        const char *instance = json_get_string(use, "instance", "");
        struct buf text = BUF_INIT(8 * KIB);
        const struct vm_record *face;
        json_t *entry;

        if (registry_face(r->registry, instance, json_get_string(use, "plugin", NULL), &face, e) < 0)
            return e->code;
        entry = json_copy(use);
        memcpy(&records[i * FACE_SECTIONS], face, FACE_SECTIONS * sizeof(*face));
        for (k = 0; k < 2; k++) {
            if (json_number_value(json_object_get(use, durations[k])) == 0)
                json_object_del(entry, durations[k]);
        }
        k = i * FACE_SECTIONS;
        json_add_value(&text, entry);
        buf_addf(out, "%s{\"declared\":{\"effects\":@%zu,\"reads\":@%zu,\"things\":@%zu},%s", i ? "," : "", k, k + 1, k + 2,
                 buf_text(&text) + 1);
        buf_free(&text);
        json_decref(entry);
    }
    buf_addc(out, ']');
    return 0;
}

static int setup_json(struct run *r, struct vm_record *records, struct buf *out, struct err *e)
{
    json_t *names = json_array(), *setup;
    const json_t *run = json_object_get(r->start, "run");
    struct buf text = BUF_INIT(4 * VALUE_BYTES_MAX);
    size_t i;

    for (i = 0; i < r->book->nparams; i++)
        json_array_append_new(names, json_string(r->book->params[i].name));
    setup = json_pack("{s:O s:o s:{s:I s:s s:f} s:O}", "params", r->params, "param_names", names, "run", "id",
                      (json_int_t)json_get_int(run, "id", r->id), "requester", json_get_string(r->start, "requester", ""),
                      "started",
                      (double)json_get_int(run, "started", 0) / 1000.0, "trigger", r->trigger);
    json_add_value(&text, setup);
    json_decref(setup);
    buf_adds(out, "{\"uses\":");
    if (add_uses(r, records, out, e) == 0)
        buf_addf(out, ",%s", buf_text(&text) + 1);
    out->failed |= text.failed;
    buf_free(&text);
    if (e->code == 0 && out->failed)
        err_set(e, ERR_LIMIT, "the inputs of the run are larger than %zu bytes", out->max);
    return e->code;
}

/* The bytecode this build made, if the bundle has the same text; else the text. */
static struct str module_code(const char *path, struct str text)
{
    const struct embedded *m = embedded_find(path);

    return m && str_eq(m->text, text) ? m->code : text;
}

static struct str module_name(const char *path, char out[64])
{
    size_t n = strlen(path);

    if (strncmp(path, "lua/", 4) != 0 || n < 9 || n >= 60 || strcmp(path + n - 4, ".lua") != 0)
        return STR("");
    memcpy(out, path + 4, n - 8);
    out[n - 8] = '\0';
    return (struct str){out, n - 8};
}

/* The language as the run's bundle has it, whatever modules it was made of then. */
static int load_language(struct run *r, struct str setup, struct err *e)
{
    static const char last[] = "lua/language.lua";
    const struct bundle *b = r->bundle;
    char name[64];
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < b->nfiles; i++) {
        const char *path = b->files[i].path;

        if (strcmp(path, last) != 0 && module_name(path, name).n)
            rc = vm_offer_trusted(r->vm, name, module_code(path, bundle_get(b, path)), e);
    }
    if (rc == 0)
        rc = vm_load_trusted(r->vm, "language", module_code(last, bundle_get(b, last)), setup, e);
    return rc;
}

/* The runbook's chunk, or the form of it that counts its branches. */
static int start_code(struct run *r, struct err *e)
{
    struct str counted = engine_opts(r->engine)->counted;
    int rc;

    if (counted.n == 0)
        return vm_start_chunk(r->vm, r->file, (struct str){r->book->chunk, r->book->chunk_len}, &r->main_branch, e);
    rc = vm_load_trusted(r->vm, "cover_hits", embedded_find("lua/cover_hits.lua")->code, STR(""), e);
    return rc ? rc : vm_start_checked(r->vm, r->file, counted, "cover_hits", &r->main_branch, e);
}

/* Its modules and globals, from the inputs. */
static int setup_language(struct run *r, struct err *e)
{
    struct buf setup = BUF_INIT(4 * VALUE_BYTES_MAX);
    struct err wrong = {0};
    int rc = setup_json(r, r->faces, &setup, &wrong);

    if (rc < 0)
        *e = wrong;
    vm_argument_records(r->vm, r->faces, FACE_SECTIONS * json_array_size(json_object_get(r->start, "uses")));
    if (rc == 0)
        rc = load_language(r, (struct str){setup.data, setup.len}, e);
    if (rc == 0)
        rc = vm_publish(r->vm, "language", e);
    buf_free(&setup);
    return rc;
}

int setup_vm(struct run *r, struct err *e)
{
    struct vm_options o = {.seed = (uint64_t)json_get_int(r->start, "seed", 1),
                           .slice_us = engine_opts(r->engine)->slice_us,
                           .gc_mode = engine_opts(r->engine)->gc_mode};
    size_t i;
    int rc;

    r->faces = xcalloc(FACE_SECTIONS * json_array_size(json_object_get(r->start, "uses")) + 1, sizeof(*r->faces));
    rc = vm_new(&o, &r->vm, e);
    if (rc == 0)
        rc = setup_language(r, e);
    for (i = 0; rc == 0 && i < r->book->nmodules; i++) {
        const struct book_module *m = &r->book->modules[i];

        rc = vm_offer_required(r->vm, m->name, m->path, (struct str){m->text, m->len}, e);
    }
    if (rc == 0 && !r->undoes)
        rc = start_code(r, e);
    return rc;
}

int run_counted(struct run *r, struct buf *out, struct err *e)
{
    struct vm_event ev = {0};
    uint32_t branch;
    int rc = r->vm ? vm_start_call(r->vm, "cover_hits", "list", STR("[]"), &branch, e) : ERR_NOT_FOUND;

    if (rc == 0)
        vm_prefer(r->vm, branch);
    while (rc == 0 && (rc = vm_step(r->vm, &ev)) == 2)
        rc = 0;
    if (rc != 1 || ev.outcome != VM_DONE || ev.branch != branch)
        return ERR_NOT_FOUND;
    buf_add(out, ev.json.p, ev.json.n);
    return 0;
}

int run_same_settings(struct run *r, struct err *e)
{
    return setup_same_settings(r, e);
}

int setup_same_settings(struct run *r, struct err *e)
{
    const char *instance;
    json_t *recorded;
    char hash[65];

    json_object_foreach(json_object_get(r->start, "settings"), instance, recorded) {
        if (registry_settings_hash(r->registry, instance, hash, e) < 0)
            return e->code;
        if (strcmp(hash, json_string_value(recorded)) != 0)
            return err_set(e, ERR_DENIED, "the settings of instance '%s' are not those that the run started with", instance);
    }
    return 0;
}
