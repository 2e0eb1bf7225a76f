/* SPDX-License-Identifier: Apache-2.0 */
/* The working tree as a source. Modules are opened folder by folder below the root,
 * so that no symbolic link leads out of it. */
#include "book/files.h"

#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot_open(const char *path, struct err *e)
{
    bool absent = errno == ENOENT || errno == ENOTDIR;

    return err_set(e, absent ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
                   errno == ELOOP ? "a symbolic link is not followed" : strerror(errno));
}

/* Reads and closes fd. */
static int read_regular(int fd, const char *path, size_t max, struct buf *out, struct err *e)
{
    struct stat st;
    ssize_t n = 1;
    int rc = 0;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_set(e, ERR_INVALID, "%s: not a regular file", path);
    else if ((size_t)st.st_size > max)
        rc = ERR_LIMIT;
    while (rc == 0 && n > 0) {
        char *to = buf_reserve(out, 16 * KIB);

        n = to ? read(fd, to, 16 * KIB) : 0;
        if (n < 0)
            rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
        else
            out->len += (size_t)n;
        if (!to || out->len > max)
            rc = ERR_LIMIT;
    }
    close(fd);
    return rc == ERR_LIMIT ? err_set(e, rc, "%s: larger than %zu bytes", path, max) : rc;
}

int tree_read_file(const char *path, size_t max, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    return fd < 0 ? cannot_open(path, e) : read_regular(fd, path, max, out, e);
}

/* The folder or file at `path` below the root; -1 with errno. */
static int open_below(int root, const char *path, int flags)
{
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);

    while (at >= 0 && *path) {
        size_t n = strcspn(path, "/");
        bool last = path[n] == '\0';
        char name[256];
        int next;

        if (n >= sizeof(name)) {
            errno = ENOENT;
            next = -1;
        } else {
            memcpy(name, path, n);
            name[n] = '\0';
            next = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? flags : O_DIRECTORY));
            /* O_DIRECTORY on a link says ENOTDIR, as on a file */
            if (next < 0 && errno == ENOTDIR && readlinkat(at, name, &(char){0}, 1) > 0)
                errno = ELOOP;
        }
        close(at);
        at = next;
        path += n + !last;
    }
    return at;
}

static int read_below(void *ctx, const char *path, size_t max, struct buf *out, struct err *e)
{
    const struct tree *t = ctx;
    int fd = open_below(t->fd, path, 0);

    return fd < 0 ? cannot_open(path, e) : read_regular(fd, path, max, out, e);
}

static void list_below(void *ctx, const char *folder, files_name_fn fn, void *fn_ctx)
{
    const struct tree *t = ctx;
    int fd = open_below(t->fd, folder, O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (d && (entry = readdir(d)) != NULL)
        fn(fn_ctx, entry->d_name);
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
}

struct files tree_files(struct tree *t)
{
    return (struct files){.read = read_below, .list = list_below, .ctx = t};
}

/* The length of dir's beginning that is the root of a git repository; 0 = none. */
static size_t git_root(const char *dir)
{
    struct buf b = BUF_INIT(8 * KIB);
    size_t n = strlen(dir);

    while (n > 0) {
        buf_reset(&b);
        buf_add(&b, dir, n);
        buf_adds(&b, "/.git");
        if (access(buf_text(&b), F_OK) == 0)
            break;
        while (n > 0 && dir[n - 1] != '/')
            n--;
        n -= n > 0;
    }
    buf_free(&b);
    return n;
}

int tree_open(const char *file, struct tree *t, struct err *e)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file, *rest;
    char *typed = slash ? xstrndup(file, slash == file ? 1 : (size_t)(slash - file)) : xstrdup(".");
    char *dir = realpath(typed, NULL);
    struct buf path = BUF_INIT(8 * KIB);
    size_t n, len;

    free(typed);
    if (!dir)
        return cannot_open(file, e);
    len = strlen(dir);
    n = git_root(dir);
    t->is_git = n > 0;
    if (n == 0)
        n = len > 9 && strcmp(dir + len - 9, "/runbooks") == 0 ? len - 9 : len;
    t->root = n ? xstrndup(dir, n) : xstrdup("/");
    rest = dir + n + (dir[n] == '/');
    buf_addf(&path, "%s%s%s", rest, *rest ? "/" : "", base);
    t->path = buf_take(&path, NULL);
    free(dir);
    t->fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fd >= 0)
        return 0;
    cannot_open(t->root, e);
    tree_close(t);
    return e ? e->code : ERR_IO;
}

void tree_close(struct tree *t)
{
    if (t->fd >= 0)
        close(t->fd);
    free(t->root);
    free(t->path);
    *t = (struct tree){.fd = -1};
}
