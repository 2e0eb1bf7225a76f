/* SPDX-License-Identifier: Apache-2.0 */
/* Where the program of a process plugin is: NAME in the operator's directory, in a
 * folder of that name, or midwatch-NAME beside our own. */
#include "plugin/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096

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

bool program_without_text(struct body *b, struct err *e)
{
    const char *dir = b->registry->o.plugin_dir;
    struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct err own = {0};
    bool there;

    buf_addf(&path, "%s/%s", dir ? dir : "", b->plugin);
    there = dir && usable(buf_text(&path), &own) != ERR_NOT_FOUND;
    if (there) {
        err_set(e, ERR_NOT_FOUND, "plugin %s has a program but no declaration", b->plugin);
        err_hint(e, "midwatch plugin describe %.90s > %.90s.json", buf_text(&path), buf_text(&path));
    }
    buf_free(&path);
    return there;
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

int program_find(struct body *b, struct err *e)
{
    const char *dir = b->registry->o.plugin_dir;
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
