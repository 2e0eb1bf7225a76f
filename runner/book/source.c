/* SPDX-License-Identifier: Apache-2.0 */
/* The working tree as a source: a name becomes a file, a file becomes text. Only
 * regular files; what is not there is answered with what is. */
#include "book/book.h"

#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_regular(const char *path, struct buf *text, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    ssize_t n = 1;
    int rc = 0;

    if (fd < 0) {
        rc = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
        return err_set(e, rc, "%s: %s", path, errno == ELOOP ? "a symbolic link is not followed" : strerror(errno));
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_set(e, ERR_INVALID, "%s: not a regular file", path);
    while (rc == 0 && n > 0) {
        char *to = buf_reserve(text, 16 * KIB);

        if (!to) {
            rc = err_set(e, ERR_LIMIT, "%s: larger than %d bytes", path, RUNBOOK_BYTES_MAX);
            break;
        }
        n = read(fd, to, 16 * KIB);
        if (n < 0)
            rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
        else
            text->len += (size_t)n;
    }
    close(fd);
    return rc;
}

/* Names of ./runbooks without ".md", at most n. */
static size_t known_books(char names[][256], size_t n)
{
    DIR *d = opendir("runbooks");
    struct dirent *entry;
    size_t k = 0;

    while (d && k < n && (entry = readdir(d)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (len > 3 && len < 256 && strcmp(entry->d_name + len - 3, ".md") == 0)
            snprintf(names[k++], 256, "%.*s", (int)(len - 3), entry->d_name);
    }
    if (d)
        closedir(d);
    return k;
}

static int not_found(const char *name, const char *path, struct err *e)
{
    char (*names)[256] = xcalloc(128, sizeof(*names));
    const char *list[128], *near;
    size_t i, n = known_books(names, 128);

    for (i = 0; i < n; i++)
        list[i] = names[i];
    near = str_nearest(str_of(name), list, n);
    err_set(e, ERR_NOT_FOUND, "there is no runbook '%s' (looked for %s)", name, path);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else if (n)
        err_hint(e, "./runbooks has %s%s", list[0], n > 1 ? " and others" : "");
    free(names);
    return ERR_NOT_FOUND;
}

int source_find(const char *name, struct buf *file, struct buf *text, struct err *e)
{
    size_t n = strlen(name);
    int rc;

    if (n > 3 && strcmp(name + n - 3, ".md") == 0)
        buf_adds(file, name);
    else if (n == 0 || strchr(name, '/') || name[0] == '.' || name[0] == '-')
        return err_set(e, ERR_INVALID, "'%s' is no runbook: give its name, or a path that ends in .md", name);
    else
        buf_addf(file, "runbooks/%s.md", name);
    rc = read_regular(buf_text(file), text, e);
    return rc == ERR_NOT_FOUND ? not_found(name, buf_text(file), e) : rc;
}
