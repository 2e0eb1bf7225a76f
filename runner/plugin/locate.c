/* SPDX-License-Identifier: Apache-2.0 */
/* Where a plugin is. Its text comes from the bundle of a resumed run, else from the
 * operator's directory (NAME.lua, NAME.json or NAME/NAME.json), else from the program.
 * The program of a JSON declaration is NAME beside it, or midwatch-NAME beside ours. */
#include "plugin/internal.h"

#include "base/embedded.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096

static const char *operator_dir(const struct registry *r)
{
    if (r->o.plugin_dir)
        return r->o.plugin_dir;
    return r->o.config ? r->o.config->plugin_dir : NULL;
}

static void found_as(struct body *b, bool lua)
{
    b->ops = lua ? &luabody_ops : &process_ops;
    snprintf(b->path, sizeof(b->path), "plugins/%s.%s", b->plugin, lua ? "lua" : "json");
}

static int operator_text(struct body *b, const char *dir, struct err *e)
{
    struct buf text = BUF_INIT(MODULE_BYTES_MAX), path = BUF_INIT(PATH_MAX_BYTES);
    struct host *h = b->registry->o.host;
    size_t i;
    int rc = ERR_NOT_FOUND;

    for (i = 0; i < 3 && rc == ERR_NOT_FOUND; i++) {
        buf_reset(&path);
        buf_addf(&path, "%s/%s%s%s.%s", dir, i == 2 ? b->plugin : "", i == 2 ? "/" : "", b->plugin,
                 i == 0 ? "lua" : "json");
        rc = h->ops->read_file(h, buf_text(&path), MODULE_BYTES_MAX, &text, e);
        if (rc == 0) {
            found_as(b, i == 0);
            b->text.n = text.len;
            b->owned_text = buf_take(&text, NULL);
            b->text.p = b->owned_text;
        }
    }
    buf_free(&path);
    buf_free(&text);
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

static bool shipped_text(struct body *b)
{
    const struct embedded *m;
    char path[256];

    snprintf(path, sizeof(path), "plugins/%s.lua", b->plugin);
    m = embedded_find(path);
    found_as(b, m != NULL);
    if (!m) {
        snprintf(path, sizeof(path), "plugins/%s/%s.json", b->plugin, b->plugin);
        m = embedded_find(path);
    }
    if (m)
        b->text = m->text;
    return m != NULL;
}

static bool pinned_text(struct body *b)
{
    const struct registry_options *o = &b->registry->o;
    int lua;

    for (lua = 1; o->pinned && lua >= 0; lua--) {
        found_as(b, lua);
        b->text = o->pinned(o->ctx, b->path);
        if (b->text.n)
            return true;
    }
    return false;
}

/* 0 if path is a program that only its owner can replace; ERR_NOT_FOUND if there is nothing of the kind. */
static int usable(const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return ERR_NOT_FOUND;
    if (access(path, X_OK) != 0)
        return err_set(e, ERR_DENIED, "%s: not executable (chmod +x)", path);
    if (st.st_mode & S_IWOTH)
        return err_set(e, ERR_DENIED, "%s: anybody may write it (chmod o-w)", path);
    return 0;
}

/* There may be a program without a declaration. */
static int no_text(struct body *b, const char *dir, struct err *e)
{
    struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct err own = {0};

    buf_addf(&path, "%s/%s", dir ? dir : "", b->plugin);
    if (!dir || usable(buf_text(&path), &own) == ERR_NOT_FOUND) {
        no_plugin(b->plugin, e);
    } else {
        err_set(e, ERR_NOT_FOUND, "plugin %s has a program but no declaration", b->plugin);
        err_hint(e, "midwatch plugin describe %.90s > %.90s.json", buf_text(&path), buf_text(&path));
    }
    buf_free(&path);
    return e->code;
}

static int find_text(struct body *b, struct err *e)
{
    const char *dir = operator_dir(b->registry);
    struct err own = {0};
    int rc;

    if (b->plugin[0] == '\0' || strlen(b->plugin) > 60 ||
        strspn(b->plugin, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(b->plugin))
        return err_set(e, ERR_INVALID, "'%.60s' is no name of a plugin", b->plugin);
    if (pinned_text(b))
        return 0;
    if (dir && b->registry->o.host && (rc = operator_text(b, dir, &own)) != ERR_NOT_FOUND) {
        if (rc < 0)
            *e = own;
        return rc;
    }
    return shipped_text(b) ? 0 : no_text(b, dir, e);
}

/* The directory of our own program, "" if it cannot be told. */
static void own_dir(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    char *slash;

    out[n > 0 ? n : 0] = '\0';
    slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
}

static int find_program(struct body *b, struct err *e)
{
    const char *dir = operator_dir(b->registry);
    char own[PATH_MAX_BYTES], path[PATH_MAX_BYTES + 200], full[PATH_MAX_BYTES];
    size_t i;
    int rc = ERR_NOT_FOUND;

    own_dir(own, sizeof(own));
    for (i = 0; i < 3 && rc == ERR_NOT_FOUND; i++) {
        if (i < 2 && !dir)
            continue;
        if (i == 2)
            snprintf(path, sizeof(path), "%s/midwatch-%s", own, b->plugin);
        else
            snprintf(path, sizeof(path), "%s/%s%s%s", dir, b->plugin, i ? "/" : "", i ? b->plugin : "");
        rc = usable(path, e);
    }
    if (rc == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "its program is neither '%s' in the plugin directory nor %s/midwatch-%s", b->plugin,
                       own, b->plugin);
    if (rc == 0)
        b->program = xstrdup(realpath(path, full) ? full : path);
    return rc;
}

int body_locate(struct body *b, struct err *e)
{
    int rc = find_text(b, e);

    if (rc == 0 && b->ops == &process_ops && !b->registry->o.sealed && (rc = find_program(b, e)) < 0)
        err_wrap(e, "plugin %s", b->plugin);
    return rc;
}
