/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/owner.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir -p with mode 0700 for what is made. */
static int make_dir(const char *dir, struct err *e)
{
    char path[4096];
    char *p;

    if ((size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path))
        return err_set(e, ERR_INVALID, "the state directory's name is too long");
    for (p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return err_set(e, ERR_IO, "make directory %s: %s", path, strerror(errno));
        *p = '/';
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_set(e, ERR_IO, "make directory %s: %s", path, strerror(errno));
    return 0;
}

static int busy(const char *dir, int fd, struct err *e)
{
    char who[256] = "";
    ssize_t n = pread(fd, who, sizeof(who) - 1, 0);

    who[n > 0 ? n : 0] = '\0';
    who[strcspn(who, "\n")] = '\0';
    err_set(e, ERR_BUSY, "the journal in %s is in use by process %s", dir, who[0] ? who : "?");
    err_hint(e, "wait for it, or use another journal with --state DIR");
    return e->code;
}

int owner_lock(const char *dir, const char *what_for, int *out, struct err *e)
{
    char path[4200], who[256];
    int fd, rc = make_dir(dir, e);

    if (rc < 0)
        return rc;
    snprintf(path, sizeof(path), "%s/journal.lock", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, errno == EROFS || errno == EACCES || errno == ENOSPC ? ERR_DISK : ERR_IO, "open %s: %s", path,
                       strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        rc = errno == EWOULDBLOCK ? busy(dir, fd, e) : err_set(e, ERR_IO, "lock %s: %s", path, strerror(errno));
        close(fd);
        return rc;
    }
    snprintf(who, sizeof(who), "%ld (%s)\n", (long)getpid(), what_for);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, who, strlen(who), 0) < 0) {
        rc = err_set(e, ERR_DISK, "write %s: %s", path, strerror(errno));
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

void owner_unlock(int fd)
{
    if (fd >= 0)
        close(fd);
}
