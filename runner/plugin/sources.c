/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of a plugin: one file NAME.lua, or a folder NAME/ with init.lua, which declares it, and the
 * modules that it takes by require. They come, all from one place, from the bundle of a resumed run, else from
 * the operator's directory, else from the program. */
#include "plugin/internal.h"

#include "base/embedded.h"
#include "base/limits.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

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

/* The declaration's path, as one file or in a folder. */
static const char *declaration_path(const struct body *b, bool is_folder, char out[256])
{
    snprintf(out, 256, is_folder ? "plugins/%s/init.lua" : "plugins/%s.lua", b->plugin);
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
    int folder;

    for (folder = 0; folder < 2; folder++) {
        text = bundle_get(from, declaration_path(b, folder, path));
        if (text.n == 0)
            continue;
        add_copy(b, path, text);
        for (i = 0; folder && i < from->nfiles; i++) {
            if (is_module(b, from->files[i].path))
                add_copy(b, from->files[i].path, (struct str){from->files[i].data, from->files[i].len});
        }
        return true;
    }
    return false;
}

static bool find_shipped(struct body *b)
{
    const struct embedded *m;
    char path[256];
    size_t i, n;
    int folder;

    for (folder = 0; folder < 2; folder++) {
        m = embedded_find(declaration_path(b, folder, path));
        if (!m)
            continue;
        add(b, path, m->text);
        m = embedded_all(&n);
        for (i = 0; folder && i < n; i++) {
            if (is_module(b, m[i].path))
                add(b, m[i].path, m[i].text);
        }
        return true;
    }
    return false;
}

static int read_operators(struct body *b, const char *dir, const char *path, struct err *e)
{
    struct buf text = BUF_INIT(MODULE_BYTES_MAX);
    struct host *h = b->registry->o.host;
    struct plugin_source *s;
    char full[4096];
    int rc;

    snprintf(full, sizeof(full), "%s/%s", dir, path + 8);
    rc = h->ops->read_file(h, full, MODULE_BYTES_MAX, &text, e);
    if (rc == 0) {
        s = add(b, path, (struct str){"", text.len});
        s->owned = buf_take(&text, NULL);
        s->text.p = s->owned;
    }
    buf_free(&text);
    return rc;
}

static int find_operators(struct body *b, const char *dir, struct err *e)
{
    char path[256], folder[4096];
    int rc = read_operators(b, dir, declaration_path(b, false, path), e);
    struct dirent *entry;
    DIR *d;

    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = read_operators(b, dir, declaration_path(b, true, path), e);
    if (rc < 0)
        return rc;
    snprintf(folder, sizeof(folder), "%s/%s", dir, b->plugin);
    d = opendir(folder);
    while (rc == 0 && d && (entry = readdir(d))) {
        snprintf(path, sizeof(path), "plugins/%s/%.200s", b->plugin, entry->d_name);
        if (is_module(b, path))
            rc = read_operators(b, dir, path, e);
    }
    if (d)
        closedir(d);
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

int sources_find(struct body *b, struct err *e)
{
    struct registry *r = b->registry;
    int rc;

    if (r->pinned && find_pinned(b, r->pinned))
        return 0;
    if (r->o.plugin_dir) {
        rc = find_operators(b, r->o.plugin_dir, e);
        if (rc != ERR_NOT_FOUND)
            return rc;
    }
    return find_shipped(b) ? 0 : no_plugin(b->plugin, e);
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
