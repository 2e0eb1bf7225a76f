/* SPDX-License-Identifier: Apache-2.0 */
/* Small files. A write goes to a name of its own beside the target, is flushed,
 * renamed over it, and the directory is flushed: a reader sees the old or the
 * new text, never a part. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

static int fail(struct err *e, const char *verb, const char *path, int errnum)
{
    int code = ERR_IO;

    if (errnum == ENOENT || errnum == ENOTDIR)
        code = ERR_NOT_FOUND;
    else if (errnum == ENOSPC || errnum == EROFS || errnum == EDQUOT)
        code = ERR_DISK;
    else if (errnum == EACCES || errnum == EPERM)
        code = ERR_DENIED;
    return err_set(e, code, "%s %s: %s", verb, path, strerror(errnum));
}

static int flush_directory(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *dir = !slash ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = 0;

    /* Some file systems cannot flush a directory and say EINVAL: their renames are as durable as they get. */
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        r = fail(e, "flush directory", dir, errno);
    if (fd >= 0)
        close(fd);
    free(dir);
    return r;
}

static int write_all(int fd, struct str data)
{
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data.p += n;
        data.n -= (size_t)n;
    }
    return 0;
}

int file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
    size_t before = out->len;
    size_t total = 0;
    char *chunk = NULL;
    struct stat st;
    int r = 0;
    /* O_NONBLOCK: opening a FIFO that nobody writes must not hang the loop. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return fail(e, "read", path, errno);
    if (fstat(fd, &st) != 0) {
        r = fail(e, "read", path, errno);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        r = err_set(e, ERR_INVALID, "read %s: not a regular file", path);
        goto out;
    }
    chunk = xmalloc(CHUNK);
    for (;;) {
        ssize_t n = read(fd, chunk, CHUNK);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = fail(e, "read", path, errno);
        if (n <= 0)
            break;
        total += (size_t)n;
        if (total > max || buf_add(out, chunk, (size_t)n) != 0) {
            r = err_set(e, ERR_LIMIT, "read %s: larger than %zu bytes", path, max);
            break;
        }
    }
    if (r != 0 && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
out:
    free(chunk);
    close(fd);
    return r;
}

int file_write(const char *path, struct str data, struct err *e)
{
    size_t n = strlen(path);
    char *temp = xmalloc(n + sizeof ".XXXXXX");
    int fd = -1;
    int r = 0;

    snprintf(temp, n + sizeof ".XXXXXX", "%s.XXXXXX", path);
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        r = fail(e, "write", path, errno);
        goto out;
    }
    if (write_all(fd, data) != 0 || fsync(fd) != 0)
        r = fail(e, "write", path, errno);
    if (close(fd) != 0 && r == 0)
        r = fail(e, "write", path, errno);
    if (r == 0 && rename(temp, path) != 0)
        r = fail(e, "write", path, errno);
    if (r != 0)
        unlink(temp);
    else
        r = flush_directory(path, e);
out:
    free(temp);
    return r;
}

bool file_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

int file_remove(const char *path, struct err *e)
{
    if (unlink(path) != 0)
        return fail(e, "remove", path, errno);
    return flush_directory(path, e);
}
