/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite writes each page of a transaction to its log on its own, after a frame header of 24 bytes: two calls of the
 * kernel a page, which are half of what a commit costs. This VFS is the default one, but that such writes are held
 * until the frame that ends their transaction is complete, and go to the file in one.
 *
 * Nobody sees the difference: other connections look at a transaction's frames only once the index of the log says
 * that it is over, which SQLite writes after its last frame; and what this connection reads, measures, cuts or syncs
 * is written first. Frame header: big-endian, bytes 4 to 7 are 0 but in the last frame of a transaction
 * (https://www.sqlite.org/fileformat2.html, "WAL File Format"). */
#include "journal/sqlite.h"

#include "base/limits.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { HEADER_BYTES = 24, HELD_BYTES = 64 * KIB };

struct log {
    sqlite3_file base;
    sqlite3_file *file;             /* of the default VFS, behind this one */
    char *held;
    int nheld;
    sqlite3_int64 at;               /* where held[0] belongs: behind the last write */
    bool ends;                      /* the frame being written is the last of its transaction */
};

static sqlite3_vfs *plain;          /* the default VFS */
static _Thread_local int last_why;  /* of this thread's last write to a log; SQLite does not keep it for a commit */

int sqlite_log_errno(void)
{
    return last_why;
}

static int write_through(struct log *l, const void *data, int n, sqlite3_int64 at)
{
    int rc = l->file->pMethods->xWrite(l->file, data, n, at);

    last_why = rc == SQLITE_OK ? 0 : errno;
    return rc;
}

static struct log *log_of(sqlite3_file *f)
{
    return (struct log *)f;
}

static int put(struct log *l)
{
    int n = l->nheld;
    sqlite3_int64 at = l->at;

    l->at += n;
    l->nheld = 0;
    return n ? write_through(l, l->held, n, at) : SQLITE_OK;
}

/* What does not follow the last write goes to the file at once: a log that begins again, a frame that is written again
 * (its checksum, after the last frame of the transaction). */
static int log_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    struct log *l = log_of(f);
    const unsigned char *p = data;
    bool follows = at == l->at + l->nheld;
    int rc = SQLITE_OK;

    if (n == HEADER_BYTES)
        l->ends = p[4] || p[5] || p[6] || p[7];
    if (!follows || n > HELD_BYTES - l->nheld)
        rc = put(l);
    if (rc != SQLITE_OK)
        return rc;
    if (!follows || n > HELD_BYTES) {
        l->at = at + n;
        return write_through(l, data, n, at);
    }
    memcpy(l->held + l->nheld, data, (size_t)n);
    l->nheld += n;
    return l->ends && n != HEADER_BYTES ? put(l) : SQLITE_OK;
}

static int log_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
    int rc = put(log_of(f));

    return rc == SQLITE_OK ? log_of(f)->file->pMethods->xRead(log_of(f)->file, data, n, at) : rc;
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = put(log_of(f));

    return rc == SQLITE_OK ? log_of(f)->file->pMethods->xTruncate(log_of(f)->file, size) : rc;
}

static int log_sync(sqlite3_file *f, int flags)
{
    int rc = put(log_of(f));

    return rc == SQLITE_OK ? log_of(f)->file->pMethods->xSync(log_of(f)->file, flags) : rc;
}

static int log_size(sqlite3_file *f, sqlite3_int64 *size)
{
    int rc = put(log_of(f));

    return rc == SQLITE_OK ? log_of(f)->file->pMethods->xFileSize(log_of(f)->file, size) : rc;
}

static int log_lock(sqlite3_file *f, int kind)
{
    return log_of(f)->file->pMethods->xLock(log_of(f)->file, kind);
}

static int log_unlock(sqlite3_file *f, int kind)
{
    return log_of(f)->file->pMethods->xUnlock(log_of(f)->file, kind);
}

static int log_is_reserved(sqlite3_file *f, int *is)
{
    return log_of(f)->file->pMethods->xCheckReservedLock(log_of(f)->file, is);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
    return log_of(f)->file->pMethods->xFileControl(log_of(f)->file, op, arg);
}

static int log_sector(sqlite3_file *f)
{
    return log_of(f)->file->pMethods->xSectorSize(log_of(f)->file);
}

static int log_characteristics(sqlite3_file *f)
{
    return log_of(f)->file->pMethods->xDeviceCharacteristics(log_of(f)->file);
}

/* What is still held belongs to a transaction that never was. */
static int log_close(sqlite3_file *f)
{
    free(log_of(f)->held);
    return log_of(f)->file->pMethods->xClose(log_of(f)->file);
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_is_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_characteristics,
};

static int open_any(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct log *l = log_of(f);
    int rc;

    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL))
        return plain->xOpen(plain, name, f, flags, out_flags);
    *l = (struct log){.file = (sqlite3_file *)(l + 1)};
    rc = plain->xOpen(plain, name, l->file, flags, out_flags);
    if (rc != SQLITE_OK)
        return rc;
    l->held = xmalloc(HELD_BYTES);
    l->base.pMethods = &log_methods;
    return SQLITE_OK;
}

const char *sqlite_vfs(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static sqlite3_vfs ours;

    pthread_mutex_lock(&mutex);
    if (!plain && (plain = sqlite3_vfs_find(NULL)) != NULL) {
        ours = *plain;
        ours.zName = "midwatch";
        ours.szOsFile = plain->szOsFile + (int)sizeof(struct log);
        ours.xOpen = open_any;
        sqlite3_vfs_register(&ours, 0);
    }
    pthread_mutex_unlock(&mutex);
    return plain ? ours.zName : NULL;
}
