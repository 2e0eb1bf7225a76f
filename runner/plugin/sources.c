/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of a plugin: one file NAME.lua; or a folder NAME/ with init.lua, which declares it, and the modules
 * that it takes by require; or NAME.json (also NAME/NAME.json), the declaration of a process. They come, all from one place, from the bundle of a resumed run, else from
 * the operator's directory, else from the program. */
#include "plugin/internal.h"

#include "base/embedded.h"
#include "base/limits.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum form { ONE_FILE, FOLDER, PROCESS, FORMS };

void sources_free(struct body *b)
{
    size_t i;

    for (i = 0; i < b->nsources; i++) {
        free(b->sources[i].path);
        free(b->sources[i].owned);
    }
    free(b->sources);
    b->sources = NULL;
    b->nsources = 0;
}

static struct plugin_source *add(struct body *b, const char *path, struct str text)
{
    struct plugin_source *s;

    b->sources = xrealloc(b->sources, (b->nsources + 1) * sizeof(*b->sources));
    s = &b->sources[b->nsources++];
    *s = (struct plugin_source){.path = xstrdup(path), .text = text};
    return s;
}

/* True if `path` is a module of the plugin's folder; the declaration itself is none. */
static bool is_module(const struct body *b, const char *path)
{
    size_t n = strlen(b->plugin), len = strlen(path);

    return strncmp(path, "plugins/", 8) == 0 && strncmp(path + 8, b->plugin, n) == 0 && path[8 + n] == '/' &&
           !strchr(path + 9 + n, '/') && len > 4 && strcmp(path + len - 4, ".lua") == 0 &&
           strcmp(path + 9 + n, "init.lua") != 0;
}

/* The declaration's path. */
static const char *declaration_path(const struct body *b, enum form form, char out[256])
{
    static const char *const ends[FORMS] = {[ONE_FILE] = ".lua", [FOLDER] = "/init.lua", [PROCESS] = ".json"};

    snprintf(out, 256, "plugins/%s%s", b->plugin, ends[form]);
    return out;
}

/* Copies: a module is compiled when it is first needed, and the bundle may be gone by then. */
static void add_copy(struct body *b, const char *path, struct str text)
{
    struct plugin_source *s = add(b, path, text);

    s->owned = xstrndup(text.p, text.n);
    s->text.p = s->owned;
}

static bool find_pinned(struct body *b, const struct bundle *from)
{
    char path[256];
    struct str text;
    size_t i;
    enum form form;

    for (form = 0; form < FORMS; form++) {
        text = bundle_get(from, declaration_path(b, form, path));
        if (text.n == 0)
            continue;
        add_copy(b, path, text);
        for (i = 0; form == FOLDER && i < from->nfiles; i++) {
            if (is_module(b, from->files[i].path))
                add_copy(b, from->files[i].path, from->files[i].text);
        }
        return true;
    }
    return false;
}

static bool find_shipped(struct body *b)
{
    const struct embedded *m;
    char path[256], in_program[256];
    size_t i, n;
    enum form form;

    for (form = 0; form < FORMS; form++) {
        declaration_path(b, form, path);
        if (form == PROCESS)
            snprintf(in_program, sizeof(in_program), "plugins/%s/%s.json", b->plugin, b->plugin);
        m = embedded_find(form == PROCESS ? in_program : path);
        if (!m)
            continue;
        add(b, path, m->text);
        m = embedded_all(&n);
        for (i = 0; form == FOLDER && i < n; i++) {
            if (is_module(b, m[i].path))
                add(b, m[i].path, m[i].text);
        }
        return true;
    }
    return false;
}

/* `path` as the bundle will have it; `file` where it is in dir. */
static int read_operators(struct body *b, const char *dir, const char *path, const char *file, struct err *e)
{
    struct buf text = BUF_INIT(MODULE_BYTES_MAX);
    struct host *h = b->registry->o.host;
    struct plugin_source *s;
    char full[4096];
    int rc;

    snprintf(full, sizeof(full), "%s/%s", dir, file);
    rc = h->ops->read_file(h, full, MODULE_BYTES_MAX, &text, e);
    if (rc == 0) {
        s = add(b, path, (struct str){"", text.len});
        s->owned = buf_take(&text, NULL);
        s->text.p = s->owned;
    }
    buf_free(&text);
    return rc;
}

static int read_modules(struct body *b, const char *dir, struct err *e)
{
    char path[256], folder[4096];
    struct dirent *entry;
    DIR *d;
    int rc = 0;

    snprintf(folder, sizeof(folder), "%s/%s", dir, b->plugin);
    d = opendir(folder);
    while (rc == 0 && d && (entry = readdir(d))) {
        snprintf(path, sizeof(path), "plugins/%s/%.180s", b->plugin, entry->d_name);
        if (is_module(b, path))
            rc = read_operators(b, dir, path, path + 8, e);
    }
    if (d)
        closedir(d);
    return rc;
}

static int find_operators(struct body *b, const char *dir, struct err *e)
{
    char path[256], file[256];
    enum form form;
    int rc = ERR_NOT_FOUND;

    for (form = 0; form < FORMS && rc == ERR_NOT_FOUND; form++) {
        declaration_path(b, form, path);
        rc = read_operators(b, dir, path, path + 8, e);
        if (rc == 0 && form == FOLDER)
            rc = read_modules(b, dir, e);
    }
    if (rc == ERR_NOT_FOUND) {
        snprintf(file, sizeof(file), "%s/%s.json", b->plugin, b->plugin);
        rc = read_operators(b, dir, declaration_path(b, PROCESS, path), file, e);
    }
    return rc;
}

static int no_plugin(const char *plugin, struct err *e)
{
    const char *names[64], *near;
    char known[64][64];
    size_t n, i, k = 0;
    const struct embedded *all = embedded_all(&n);

    for (i = 0; i < n && k < 64; i++) {
        if (strncmp(all[i].path, "plugins/", 8) != 0)
            continue;
        snprintf(known[k], sizeof(known[k]), "%.*s", (int)strcspn(all[i].path + 8, "./"), all[i].path + 8);
        names[k] = known[k];
        k++;
    }
    near = str_nearest(str_of(plugin), names, k);
    err_set(e, ERR_NOT_FOUND, "there is no plugin '%s'", plugin);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    return ERR_NOT_FOUND;
}

static int find(struct body *b, struct err *e)
{
    struct registry *r = b->registry;
    struct err own = {0};
    int rc;

    if (b->plugin[0] == '\0' || strlen(b->plugin) > 60 ||
        strspn(b->plugin, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(b->plugin))
        return err_set(e, ERR_INVALID, "'%.60s' is no name of a plugin", b->plugin);
    if (r->pinned && find_pinned(b, r->pinned))
        return 0;
    if (r->o.plugin_dir && r->o.host && (rc = find_operators(b, r->o.plugin_dir, &own)) != ERR_NOT_FOUND) {
        if (rc < 0)
            *e = own;
        return rc;
    }
    if (find_shipped(b))
        return 0;
    return program_without_text(b, e) ? e->code : no_plugin(b->plugin, e);
}

int sources_find(struct body *b, struct err *e)
{
    const char *end;
    int rc = find(b, e);

    if (rc < 0)
        return rc;
    end = strrchr(b->sources[0].path, '.');
    b->ops = strcmp(end, ".json") == 0 ? &process_ops : &luabody_ops;
    if (b->ops == &process_ops && !b->registry->o.sealed && (rc = program_find(b, e)) < 0)
        err_wrap(e, "plugin %s", b->plugin);
    return rc;
}

/* The bytecode this build made, if the text is the same; else the text. */
static struct str code_of(const struct plugin_source *s)
{
    const struct embedded *own = embedded_find(s->path);

    return own && str_eq(own->text, s->text) ? own->code : s->text;
}

int sources_load(struct body *b, struct err *e)
{
    char name[256];
    size_t i, n;
    int rc = 0;

    for (i = 1; rc == 0 && i < b->nsources; i++) {
        n = strlen(b->sources[i].path) - 12;
        snprintf(name, sizeof(name), "%.*s", (int)n, b->sources[i].path + 8);
        rc = vm_offer_trusted(b->vm, name, code_of(&b->sources[i]), e);
    }
    return rc < 0 ? rc : vm_load_trusted(b->vm, "declaration", code_of(&b->sources[0]), STR(""), e);
}
