/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: canonical JSON over sorted paths, so that equal sources have equal ids
 * on every machine. */
#include "book/bundle.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define MODULES_FOLDER "modules/"

struct bundle *bundle_new(void)
{
    struct bundle *b = xcalloc(1, sizeof(*b));

    b->abi = MIDWATCH_ABI;
    return b;
}

void bundle_free(struct bundle *b)
{
    size_t i;

    if (!b)
        return;
    for (i = 0; i < b->nfiles; i++) {
        free(b->files[i].path);
        free(b->files[i].module);
        free(b->files[i].owned);
    }
    free(b->files);
    free(b->repo);
    free(b->commit);
    free(b->tree);
    free(b);
}

static struct bundle_file *new_file(struct bundle *b, const char *path)
{
    struct bundle_file *f;

    b->files = xrealloc(b->files, (b->nfiles + 1) * sizeof(*b->files));
    f = &b->files[b->nfiles++];
    *f = (struct bundle_file){.path = xstrdup(path)};
    return f;
}

/* The file gets its text. One that this program has is not copied, and its hash is known. */
static void set_text(struct bundle_file *f, struct str text)
{
    const struct embedded *own = embedded_find(f->path);

    if (own && str_eq(own->text, text)) {
        f->text = own->text;
        f->sha256 = own->sha256;
        return;
    }
    f->owned = xstrndup(text.p, text.n);
    f->text = (struct str){f->owned, text.n};
    f->sha256 = hash_of(text);
}

int bundle_add(struct bundle *b, const char *path, struct str data, struct err *e)
{
    size_t n = strlen(path), max = n > 3 && strcmp(path + n - 3, ".md") == 0 ? RUNBOOK_BYTES_MAX : MODULE_BYTES_MAX;

    if (data.n > max)
        return err_set(e, ERR_LIMIT, "%s has %zu bytes, at most %zu", path, data.n, max);
    set_text(new_file(b, path), data);
    return 0;
}

int bundle_add_module(struct bundle *b, const char *name, const char *path, struct str data, struct err *e)
{
    struct buf full = BUF_INIT(8 * KIB);
    int rc;

    buf_addf(&full, MODULES_FOLDER "%s", path);
    rc = bundle_add(b, buf_text(&full), data, e);
    if (rc == 0)
        b->files[b->nfiles - 1].module = xstrdup(name);
    buf_free(&full);
    return rc;
}

const char *bundle_module_path(const struct bundle_file *f)
{
    return f->path + sizeof(MODULES_FOLDER) - 1;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct bundle_file *)a)->path, ((const struct bundle_file *)b)->path);
}

static void sort_files(struct bundle *b)
{
    if (b->nfiles)
        qsort(b->files, b->nfiles, sizeof(*b->files), by_path);
}

/* {"checks":"modules/lib/checks.lua"}; left out if there are none. */
static void put_modules(const struct bundle *b, struct json_object *o)
{
    json_t *modules = json_object();
    struct buf text = BUF_INIT(64 * KIB);
    size_t i;

    for (i = 0; i < b->nfiles; i++) {
        if (b->files[i].module)
            json_object_set_new(modules, b->files[i].module, json_string(b->files[i].path));
    }
    if (json_object_size(modules) > 0) {
        json_add_value(&text, modules);
        json_put_raw(o, "modules", (struct str){text.data, text.len});
    }
    json_decref(modules);
    buf_free(&text);
}

void bundle_manifest(const struct bundle *b, struct buf *out)
{
    struct json_object o, f;
    char hex[2 * HASH_BYTES + 1];
    size_t i;

    json_open(&o, out);
    json_put_int(&o, "abi", b->abi);
    if (b->commit)
        json_put_string(&o, "commit", str_of(b->commit));
    json_put_bool(&o, "dirty", b->dirty);
    buf_adds(out, ",\"files\":");
    o.last_key = "files";
    json_open(&f, out);
    for (i = 0; i < b->nfiles; i++)
        json_put_string(&f, b->files[i].path, str_of(hash_hex(&b->files[i].sha256, hex)));
    json_close(&f);
    json_put_string(&o, "lua", str_of(b->lua_release));
    put_modules(b, &o);
    if (b->repo)
        json_put_string(&o, "repo", str_of(b->repo));
    if (b->tree)
        json_put_string(&o, "tree", str_of(b->tree));
    json_close(&o);
}

void bundle_seal(struct bundle *b, const char *lua_release)
{
    struct buf manifest = BUF_INIT(MIB);
    struct hash id;

    snprintf(b->lua_release, sizeof(b->lua_release), "%s", lua_release);
    sort_files(b);
    bundle_manifest(b, &manifest);
    id = hash_of((struct str){manifest.data, manifest.len});
    hash_hex(&id, b->id);
    buf_free(&manifest);
}

struct str bundle_get(const struct bundle *b, const char *path)
{
    size_t i;

    for (i = 0; i < b->nfiles; i++) {
        if (strcmp(b->files[i].path, path) == 0)
            return b->files[i].text.p ? b->files[i].text : STR("");
    }
    return STR("");
}

static int open_files(struct bundle *b, const json_t *files, struct err *e)
{
    const char *path;
    json_t *hex;

    json_object_foreach((json_t *)files, path, hex) {
        struct bundle_file *f = new_file(b, path);
        const struct embedded *own;

        if (hash_from_hex(str_of(json_string_value(hex)), &f->sha256) < 0)
            return err_set(e, ERR_CORRUPT, "the manifest's hash of %s is no hash", path);
        own = embedded_find(path);
        if (own && hash_eq(&own->sha256, &f->sha256))
            f->text = own->text;
    }
    sort_files(b);
    return 0;
}

static int open_modules(struct bundle *b, const json_t *modules, struct err *e)
{
    const char *name;
    json_t *path;
    size_t i;

    json_object_foreach((json_t *)(uintptr_t)modules, name, path) {
        for (i = 0; i < b->nfiles && strcmp(b->files[i].path, json_string_value(path) ? json_string_value(path) : "") != 0;)
            i++;
        if (i == b->nfiles || b->files[i].module)
            return err_set(e, ERR_CORRUPT, "the manifest has no file for the module %s", name);
        b->files[i].module = xstrdup(name);
    }
    return 0;
}

static char *copy_field(const json_t *m, const char *key)
{
    const char *s = json_get_string(m, key, NULL);

    return s ? xstrdup(s) : NULL;
}

int bundle_open(struct str manifest, struct bundle **out, struct err *e)
{
    struct bundle *b = bundle_new();
    struct hash id = hash_of(manifest);
    json_t *m = NULL;
    int rc = json_read(manifest, &m, e);

    hash_hex(&id, b->id);
    if (rc == 0) {
        b->abi = (int)json_get_int(m, "abi", 0);
        b->dirty = json_get_bool(m, "dirty", false);
        b->commit = copy_field(m, "commit");
        b->repo = copy_field(m, "repo");
        b->tree = copy_field(m, "tree");
        snprintf(b->lua_release, sizeof(b->lua_release), "%s", json_get_string(m, "lua", ""));
        rc = open_files(b, json_object_get(m, "files"), e);
    }
    if (rc == 0)
        rc = open_modules(b, json_object_get(m, "modules"), e);
    if (rc == 0 && (b->abi > MIDWATCH_ABI || b->abi < MIDWATCH_ABI - 1 || b->abi < 1))
        rc = err_set(e, ERR_INVALID, "the run has abi %d, this program runs abi %d%s", b->abi, MIDWATCH_ABI,
                     MIDWATCH_ABI > 1 ? " and the one before" : "");
    json_decref(m);
    if (rc < 0)
        bundle_free(b);
    else
        *out = b;
    return rc;
}

int bundle_restore_file(struct bundle *b, const char *path, struct str data, struct err *e)
{
    size_t i;

    for (i = 0; i < b->nfiles; i++) {
        struct bundle_file *f = &b->files[i], read = {.path = f->path, .module = f->module};

        if (strcmp(f->path, path) != 0)
            continue;
        set_text(&read, data);
        if (!hash_eq(&read.sha256, &f->sha256)) {
            free(read.owned);
            return err_set(e, ERR_CORRUPT, "%s in the journal is not what its hash says", path);
        }
        free(f->owned);
        *f = read;
        return 0;
    }
    return err_set(e, ERR_CORRUPT, "%s is not in the manifest", path);
}
