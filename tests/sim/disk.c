/* SPDX-License-Identifier: Apache-2.0 */
/* A file system in memory for SQLite: it may be full, a sync may fail, and when the
 * power goes any part of what was not synced is gone. One process uses it at a time. */
#include "sim.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 4, SECTOR = 512, INDEX_PAGES = 64 };

struct content {
    char *data;
    sqlite3_int64 len, cap;
};

struct stored {
    char name[256];
    struct content now, synced;
    sqlite3_int64 dirty_from, dirty_to;
    bool exists;
};

struct handle {
    sqlite3_file base;
    struct stored *file;
    void *index[INDEX_PAGES];
};

static struct sim *disk_sim;
static struct stored files[FILES];

static void make_room(struct content *c, sqlite3_int64 len)
{
    if (len > c->cap) {
        c->cap = len > 2 * c->cap ? len : 2 * c->cap;
        c->data = xrealloc(c->data, (size_t)c->cap);
    }
    if (len > c->len) {
        memset(c->data + c->len, 0, (size_t)(len - c->len));
        c->len = len;
    }
}

static struct stored *find(const char *name)
{
    for (int i = 0; i < FILES; i++) {
        if (files[i].exists && strcmp(files[i].name, name) == 0)
            return &files[i];
    }
    return NULL;
}

static int disk_fault(const char *call, int how)
{
    int rc = sim_point(disk_sim, call);

    if (disk_sim->down)
        return SQLITE_IOERR;
    return rc == ERR_DISK ? SQLITE_FULL : rc < 0 ? how : SQLITE_OK;
}

static int file_close(sqlite3_file *f)
{
    struct handle *h = (struct handle *)f;

    for (int i = 0; i < INDEX_PAGES; i++)
        free(h->index[i]);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
    struct content *c = &((struct handle *)f)->file->now;
    sqlite3_int64 there = at < c->len ? c->len - at : 0;

    if (there > n)
        there = n;
    if (there)
        memcpy(out, c->data + at, (size_t)there);
    memset((char *)out + there, 0, (size_t)(n - there));
    return there == n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static void touched(struct stored *s, sqlite3_int64 from, sqlite3_int64 to)
{
    if (s->dirty_to == 0 || from < s->dirty_from)
        s->dirty_from = from;
    if (to > s->dirty_to)
        s->dirty_to = to;
}

static int file_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    struct stored *s = ((struct handle *)f)->file;
    int rc = disk_fault("disk write", SQLITE_IOERR_WRITE);

    if (rc != SQLITE_OK)
        return rc;
    make_room(&s->now, at + n);
    memcpy(s->now.data + at, data, (size_t)n);
    touched(s, at, at + n);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 len)
{
    struct stored *s = ((struct handle *)f)->file;

    if (disk_sim->down)
        return SQLITE_IOERR_TRUNCATE;
    if (len < s->now.len)
        s->now.len = len;
    return SQLITE_OK;
}

static void synced(struct stored *s)
{
    sqlite3_int64 to = s->dirty_to < s->now.len ? s->dirty_to : s->now.len;

    make_room(&s->synced, s->now.len);
    s->synced.len = s->now.len;
    if (to > s->dirty_from)
        memcpy(s->synced.data + s->dirty_from, s->now.data + s->dirty_from, (size_t)(to - s->dirty_from));
    s->dirty_from = s->dirty_to = 0;
}

static int file_sync(sqlite3_file *f, int flags)
{
    int rc = disk_fault("disk sync", SQLITE_IOERR_FSYNC);

    (void)flags;
    if (rc == SQLITE_OK)
        synced(((struct handle *)f)->file);
    return rc;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *out)
{
    *out = ((struct handle *)f)->file->now.len;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *f, int level)
{
    (void)f, (void)level;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *f, int *out)
{
    (void)f;
    *out = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    (void)f, (void)op, (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *f)
{
    (void)f;
    return SECTOR;
}

static int file_traits(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* The shared index of the log is the process's own and dies with it. */
static int shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    struct handle *h = (struct handle *)f;

    *out = NULL;
    if (page >= INDEX_PAGES)
        return SQLITE_NOMEM;
    if (!h->index[page] && extend)
        h->index[page] = xcalloc(1, (size_t)size);
    *out = h->index[page];
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    (void)f, (void)offset, (void)n, (void)flags;
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *f)
{
    (void)f;
}

static int shm_unmap(sqlite3_file *f, int delete_it)
{
    (void)f, (void)delete_it;
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, .xClose = file_close, .xRead = file_read, .xWrite = file_write, .xTruncate = file_truncate,
    .xSync = file_sync, .xFileSize = file_size, .xLock = file_lock, .xUnlock = file_lock, .xCheckReservedLock = file_reserved,
    .xFileControl = file_control, .xSectorSize = file_sector, .xDeviceCharacteristics = file_traits, .xShmMap = shm_map,
    .xShmLock = shm_lock, .xShmBarrier = shm_barrier, .xShmUnmap = shm_unmap,
};

static int disk_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct handle *h = (struct handle *)f;
    struct stored *s = name ? find(name) : NULL;

    (void)v;
    memset(h, 0, sizeof(*h));
    if (!name || (!s && !(flags & SQLITE_OPEN_CREATE)) || disk_sim->down)
        return SQLITE_CANTOPEN;
    for (int i = 0; i < FILES && !s; i++) {
        if (!files[i].exists) {
            s = &files[i];
            s->exists = true;
            strncat(memset(s->name, 0, sizeof(s->name)), name, sizeof(s->name) - 1);
        }
    }
    if (!s)
        return SQLITE_CANTOPEN;
    h->file = s;
    h->base.pMethods = &methods;
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static void drop(struct stored *s)
{
    free(s->now.data);
    free(s->synced.data);
    memset(s, 0, sizeof(*s));
}

static int disk_delete(sqlite3_vfs *v, const char *name, int sync)
{
    struct stored *s = find(name);

    (void)v, (void)sync;
    if (disk_sim->down)
        return SQLITE_IOERR_DELETE;
    if (s)
        drop(s);
    return SQLITE_OK;
}

static int disk_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
    (void)v, (void)flags;
    *out = find(name) != NULL;
    return SQLITE_OK;
}

static int disk_name(sqlite3_vfs *v, const char *name, int n, char *out)
{
    (void)v;
    sqlite3_snprintf(n, out, "%s", name);
    return SQLITE_OK;
}

static int disk_random(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    memset(out, 7, (size_t)n);
    return n;
}

void disk_init(struct sim *s)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *real;

    disk_clear();
    disk_sim = s;
    if (vfs.zName)
        return;
    real = sqlite3_vfs_find(NULL);
    vfs = (sqlite3_vfs){.iVersion = 2, .szOsFile = sizeof(struct handle), .mxPathname = 255, .zName = "simulated",
                        .xOpen = disk_open, .xDelete = disk_delete, .xAccess = disk_access, .xFullPathname = disk_name,
                        .xRandomness = disk_random, .xSleep = real->xSleep, .xCurrentTime = real->xCurrentTime,
                        .xGetLastError = real->xGetLastError, .xCurrentTimeInt64 = real->xCurrentTimeInt64};
    sqlite3_vfs_register(&vfs, 1);
}

/* Of each sector that was written since the last sync, the old or the new text. */
static void lose_power(struct stored *s)
{
    sqlite3_int64 from = s->dirty_from, to = s->dirty_to < s->now.len ? s->dirty_to : s->now.len, old_len = s->synced.len, at, n;

    if (rng_chance(&disk_sim->rng, 50) || s->now.len < old_len) {
        make_room(&s->now, old_len);
        s->now.len = old_len;
        to = to < old_len ? to : old_len;
        if (to > from)
            memcpy(s->now.data + from, s->synced.data + from, (size_t)(to - from));
    } else {
        for (at = from; at < to; at += n) {
            n = SECTOR - at % SECTOR < to - at ? SECTOR - at % SECTOR : to - at;
            if (rng_chance(&disk_sim->rng, 50))
                continue;
            memset(s->now.data + at, 0, (size_t)n);
            if (at < old_len)
                memcpy(s->now.data + at, s->synced.data + at, (size_t)(n < old_len - at ? n : old_len - at));
        }
    }
    synced(s);
}

void disk_crash(bool power)
{
    for (int i = 0; i < FILES; i++) {
        if (files[i].exists && power)
            lose_power(&files[i]);
    }
}

void disk_clear(void)
{
    for (int i = 0; i < FILES; i++)
        drop(&files[i]);
}
