/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's lock. The kernel frees an flock when its holder dies, however it
 * dies, so a lock file that nobody holds means nothing and is never removed. */
#include "journal/owner.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { GONE_MS = 5000, GONE_LOOK_MS = 10 };     /* until the children of an owner that is gone must be gone, too */

/* A new directory that is not durable would take a durable journal with it. */
static void sync_parent(const char *path)
{
    char parent[4096];
    char *slash;
    int fd;

    snprintf(parent, sizeof(parent), "%s", path);
    slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static int system_error(const char *what, const char *path, struct err *e)
{
    bool disk = errno == EROFS || errno == EACCES || errno == EPERM || errno == ENOSPC || errno == EDQUOT ||
                errno == EFBIG || errno == EIO;

    err_set(e, disk ? ERR_DISK : ERR_IO, "%s %s: %s", what, path, strerror(errno));
    err_hint(e, "the state directory must be writable; --state DIR names another");
    return disk ? ERR_DISK : ERR_IO;
}

static int make_one(const char *path, struct err *e)
{
    if (mkdir(path, 0700) == 0)
        sync_parent(path);
    else if (errno != EEXIST)
        return system_error("make directory", path, e);
    return 0;
}

/* mkdir -p with mode 0700 for what is made. */
static int make_dir(const char *dir, struct err *e)
{
    struct stat st;
    char path[4096];
    int rc = 0;
    char *p;

    if (!dir[0] || (size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path))
        return err_set(e, ERR_INVALID, "the name of the state directory is %s", dir[0] ? "too long" : "empty");
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    for (p = path + 1; *p && rc == 0; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        rc = make_one(path, e);
        *p = '/';
    }
    return rc == 0 ? make_one(path, e) : rc;
}

static int busy(const char *dir, int fd, struct err *e)
{
    char who[512] = "";
    ssize_t n = pread(fd, who, sizeof(who) - 1, 0);
    char *what;

    who[n > 0 ? n : 0] = '\0';
    who[strcspn(who, "\n")] = '\0';
    what = strchr(who, ' ');
    if (what)
        *what++ = '\0';
    err_set(e, ERR_BUSY, "the journal in %s is in use by process %s (%s)", dir, who[0] ? who : "?",
            what && *what ? what : "starting");
    err_hint(e, "wait for it; midwatch watch shows what it does, midwatch list what it left");
    return ERR_BUSY;
}

/* "pid what_for\n". Not truncated before: the file system would give its block back and take another one. */
static int write_owner(int fd, const char *path, const char *what_for, struct err *e)
{
    char who[512];
    int n = snprintf(who, sizeof(who), "%ld %s", (long)getpid(), what_for ? what_for : "");
    size_t len = n < (int)sizeof(who) - 1 ? (size_t)n : sizeof(who) - 2;
    struct stat st;
    ssize_t wrote;

    who[strcspn(who, "\n")] = ' ';
    who[len++] = '\n';
    wrote = pwrite(fd, who, len, 0);
    if (wrote >= 0 && (size_t)wrote < len)
        errno = ENOSPC;
    if ((size_t)wrote != len || fstat(fd, &st) < 0 || ((size_t)st.st_size > len && ftruncate(fd, (off_t)len) < 0))
        return system_error("write", path, e);
    return 0;
}

static bool is_gone(int fd)
{
    char who[24] = "";
    long pid = pread(fd, who, sizeof(who) - 1, 0) > 0 ? strtol(who, NULL, 10) : 0;

    return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* A child between fork and exec has the lock, too: of an owner that was killed it goes on holding it until it is its turn to
 * die. 0 or an errno. */
static int take(int fd)
{
    const struct timespec pause = {.tv_nsec = GONE_LOOK_MS * 1000000L};

    for (int left = GONE_MS; flock(fd, LOCK_EX | LOCK_NB) < 0; left -= GONE_LOOK_MS) {
        int wrong = errno;

        if (wrong != EWOULDBLOCK || left <= 0 || !is_gone(fd))
            return wrong;
        nanosleep(&pause, NULL);
    }
    return 0;
}

int owner_lock(const char *dir, const char *what_for, int *out, struct err *e)
{
    char path[4200];
    int fd, rc = make_dir(dir, e);

    if (rc < 0)
        return rc;
    snprintf(path, sizeof(path), "%s/journal.lock", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return system_error("open", path, e);
    if ((errno = take(fd)) != 0)
        rc = errno == EWOULDBLOCK ? busy(dir, fd, e) : system_error("lock", path, e);
    else
        rc = write_owner(fd, path, what_for, e);
    if (rc < 0)
        close(fd);
    else
        *out = fd;
    return rc;
}

void owner_unlock(int fd)
{
    if (fd >= 0)
        close(fd);
}
