/* SPDX-License-Identifier: Apache-2.0 */
/* The value of a secret from a file, the environment or systemd's credentials. A file
 * that others could read is no secret; one that others could write is not the operator's.
 * Links are followed (mounted secrets are links): what was opened is what is judged. */
#include "config/secrets.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *secret_where(const struct secret_source *s, char *out, size_t size)
{
    static const char *const names[] = {"file", "environment", "credential", "command"};

    snprintf(out, size, "%s %s", names[s->from], s->place);
    return out;
}

int secret_check(const char *name, struct buf *value, struct err *e)
{
    size_t n = value->len;

    while (n > 0 && strchr(" \t\r\n", value->data[n - 1]) && value->data[n - 1])
        n--;
    if (n < value->len)
        explicit_bzero(value->data + n, value->len - n);
    value->len = n;
    if (value->failed || n > SECRET_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "secret '%s' is longer than %d bytes", name, SECRET_BYTES_MAX);
    if (n < SECRET_BYTES_MIN)
        return err_set(e, ERR_INVALID, n ? "secret '%s' is shorter than %d bytes and could not be kept out of texts"
                                         : "secret '%s' is empty", name, SECRET_BYTES_MIN);
    if (memchr(value->data, '\0', n))
        return err_set(e, ERR_INVALID, "secret '%s' holds a NUL byte", name);
    return 0;
}

static int judge(const char *path, const struct stat *st, struct err *e)
{
    if (!S_ISREG(st->st_mode))
        return err_set(e, ERR_INVALID, "%s: not a regular file", path);
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return err_set(e, ERR_DENIED, "%s: belongs to somebody else (uid %u)", path, (unsigned)st->st_uid);
    if (st->st_mode & (S_IROTH | S_IWOTH | S_IWGRP))
        return err_set(e, ERR_DENIED, "%s: %s (chmod %s)", path,
                       st->st_mode & S_IROTH ? "anybody may read it" : "others may write it", "go-w,o-r");
    return 0;
}

static int read_private(const char *path, struct buf *out, struct secret_stamp *stamp, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
    struct stat st;
    ssize_t n = 1;

    if (fd < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    rc = fstat(fd, &st) < 0 ? err_set(e, ERR_IO, "%s: %s", path, strerror(errno)) : judge(path, &st, e);
    while (rc == 0 && n > 0) {
        char *to = buf_reserve(out, 4096);

        n = to ? read(fd, to, 4096) : 0;
        if (n < 0)
            rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
        else
            out->len += (size_t)n;
    }
    close(fd);
    *stamp = (struct secret_stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
    return rc;
}

/* The path of a file or credential; 0, or the error. */
static int path_of(const struct secret_source *s, char *out, size_t size, struct err *e)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");

    if (s->from == SECRET_CREDENTIAL && (!dir || !dir[0]))
        return err_set(e, ERR_NOT_FOUND, "$CREDENTIALS_DIRECTORY is not set (LoadCredential= of the systemd unit)");
    if (s->from == SECRET_CREDENTIAL)
        snprintf(out, size, "%s/%s", dir, s->place);
    else
        snprintf(out, size, "%s", s->place);
    return 0;
}

int secret_read(const struct secret_source *s, struct buf *out, struct secret_stamp *stamp, struct err *e)
{
    const char *value = s->from == SECRET_ENV ? getenv(s->place) : NULL;
    char path[4096];
    int rc = 0;

    *stamp = (struct secret_stamp){0};
    if (s->from == SECRET_ENV && !value)
        rc = err_set(e, ERR_NOT_FOUND, "$%s is not set", s->place);
    else if (s->from == SECRET_ENV)
        buf_adds(out, value);
    else if ((rc = path_of(s, path, sizeof(path), e)) == 0)
        rc = read_private(path, out, stamp, e);
    return rc < 0 ? err_wrap(e, "secret '%s'", s->name) : secret_check(s->name, out, e);
}

int secret_moved(const struct secret_source *s, const struct secret_stamp *stamp)
{
    char path[4096];
    struct stat st;

    if (s->from == SECRET_ENV || s->from == SECRET_COMMAND || path_of(s, path, sizeof(path), NULL) < 0 || stat(path, &st) < 0)
        return 0;
    return st.st_dev != stamp->dev || st.st_ino != stamp->ino || st.st_size != stamp->size ||
           st.st_mtim.tv_sec != stamp->changed.tv_sec || st.st_mtim.tv_nsec != stamp->changed.tv_nsec;
}
