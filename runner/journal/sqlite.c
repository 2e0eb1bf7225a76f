/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a journal file. The owner holds the one connection that
 * writes and checkpoints; readers open read-only and never checkpoint (older
 * SQLite may lose commits when two connections do). The log stays beside the file
 * when the owner leaves: a short command pays no checkpoint, and the next open
 * reads a log that is never long. */
#include "journal/sqlite.h"

#include "base/limits.h"
#include "journal/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHECKPOINT_PAGES = 4000,    /* of the log while the owner runs: fewer copies of pages that change often */
    LEAVE_PAGES = 64,           /* of the log that an owner leaves: opening reads it, 2 ms per 1000 pages */
    BUSY_MS = 5000,             /* somebody with the sqlite3 shell may hold the file for a moment */
};

void sqlite_enter(struct sqlite *s)
{
    s->inside = (uintptr_t)pthread_self();
}

void sqlite_leave(struct sqlite *s)
{
    s->inside = 0;
}

void sqlite_alone(const struct sqlite *s)
{
    uintptr_t inside = s->inside;

    if (inside && inside != (uintptr_t)pthread_self()) {
        fputs("midwatch: two threads in one connection to the journal: this is a bug\n", stderr);
        abort();
    }
}

sqlite3_stmt *sqlite_statement(struct sqlite *s, int which, struct err *e)
{
    sqlite3_stmt **st = &s->statements[which];

    sqlite_alone(s);
    if (!*st && sqlite3_prepare_v3(s->db, sqlite_texts[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK) {
        sqlite_failed(s, "prepare", e);
        return NULL;
    }
    return *st;
}

void sqlite_forget(struct sqlite *s)
{
    size_t i;

    for (i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
}

int sqlite_failed(struct sqlite *s, const char *what, struct err *e)
{
    static const struct {
        int sqlite, code;
    } codes[] = {
        {SQLITE_FULL, ERR_DISK},      {SQLITE_IOERR, ERR_DISK},       {SQLITE_READONLY, ERR_DISK},
        {SQLITE_CANTOPEN, ERR_DISK},  {SQLITE_PERM, ERR_DISK},        {SQLITE_CORRUPT, ERR_CORRUPT},
        {SQLITE_ERROR, ERR_CORRUPT},  {SQLITE_CONSTRAINT, ERR_CORRUPT}, {SQLITE_MISMATCH, ERR_CORRUPT},
        {SQLITE_BUSY, ERR_BUSY},
    };
    int rc = s->db ? sqlite3_errcode(s->db) & 0xff : SQLITE_NOMEM, code = ERR_IO, reason;
    size_t i;

    if (rc == SQLITE_NOTADB) {
        err_set(e, ERR_CORRUPT, "journal %s: this file is not a Midwatch journal", s->path);
        return err_hint(e, "move it away, or use another journal with --state DIR");
    }
    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].sqlite == rc)
            code = codes[i].code;
    }
    reason = code == ERR_DISK && rc != SQLITE_READONLY ? sqlite3_system_errno(s->db) : 0;
    if (rc == SQLITE_IOERR && reason == 0)
        reason = sqlite_log_errno();
    err_set(e, code, "journal %s: %s: %s%s%s", s->path, what, s->db ? sqlite3_errmsg(s->db) : "out of memory",
            reason ? ": " : "", reason ? strerror(reason) : "");
    if (rc == SQLITE_CORRUPT)
        err_hint(e, "restore it from a backup, or begin another with --state DIR");
    else if (code == ERR_DISK)
        err_hint(e, "make room or give access; --state DIR is another journal");
    return code;
}

static int run_sql(struct sqlite *s, const char *sql, struct err *e)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_failed(s, "open", e);
}

static int number(struct sqlite *s, const char *sql, int64_t *out, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    rc = rc == SQLITE_ROW ? 0 : sqlite_failed(s, "open", e);
    sqlite3_finalize(st);
    return rc;
}

static int foreign(struct sqlite *s, struct err *e)
{
    err_set(e, ERR_CORRUPT, "journal %s: this database is not a Midwatch journal", s->path);
    return err_hint(e, "move it away, or use another journal with --state DIR");
}

/* Ours, and of a version we know. A new file is empty: version 0 without tables. */
static int check_version(struct sqlite *s, bool *is_new, struct err *e)
{
    int64_t application = 0, version = 0, tables = 0;

    if (number(s, "pragma application_id", &application, e) < 0 || number(s, "pragma user_version", &version, e) < 0)
        return e->code;
    if (application == SQLITE_APPLICATION && version == SQLITE_SCHEMA_VERSION)
        return 0;
    if (application == SQLITE_APPLICATION) {
        err_set(e, ERR_CORRUPT, "journal %s: it has format %lld, this program knows format %d", s->path,
                (long long)version, SQLITE_SCHEMA_VERSION);
        return err_hint(e, "use the release that wrote it, or another journal with --state DIR");
    }
    if (number(s, "select count(*) from sqlite_master", &tables, e) < 0)
        return e->code;
    if (tables > 0 || application != 0 || version != 0)
        return foreign(s, e);
    *is_new = true;
    return 0;
}

static int create(struct sqlite *s, struct err *e)
{
    struct err ignored = {0};
    struct buf sql = BUF_INIT(16 * KIB);
    int rc;

    buf_addf(&sql, "begin immediate; %s", sqlite_log);
    sqlite_projections_sql("main", &sql);
    buf_addf(&sql, "pragma application_id = %d; pragma user_version = %d; commit", SQLITE_APPLICATION, SQLITE_SCHEMA_VERSION);
    rc = run_sql(s, buf_text(&sql), e);
    buf_free(&sql);
    if (!sqlite3_get_autocommit(s->db))
        run_sql(s, "rollback", &ignored);
    return rc;
}

/* Where SQLite is told that a directory cannot be opened, it leaves it alone. */
static _Thread_local bool directory_is_synced;
static int (*open_directory)(const char *path, int *fd);

static int open_directory_once(const char *path, int *fd)
{
    return directory_is_synced ? SQLITE_CANTOPEN : open_directory(path, fd);
}

static void watch_directories(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    pthread_mutex_lock(&mutex);
    if (!open_directory && vfs && vfs->iVersion >= 3 && vfs->xGetSystemCall && vfs->xSetSystemCall) {
        open_directory = (int (*)(const char *, int *))vfs->xGetSystemCall(vfs, "openDirectory");
        if (open_directory)
            vfs->xSetSystemCall(vfs, "openDirectory", (sqlite3_syscall_ptr)open_directory_once);
    }
    pthread_mutex_unlock(&mutex);
}

void sqlite_committing(bool named)
{
    directory_is_synced = named;
}

int sqlite_name_log(struct sqlite *s, struct err *e)
{
    const char *file = sqlite3_db_filename(s->db, "main");  /* behind symbolic links */
    char dir[sizeof(s->path)];
    int fd, why = 0;

    snprintf(dir, sizeof(dir), "%s", file);
    *strrchr(dir, '/') = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        why = errno;
    if (fd >= 0)
        close(fd);
    s->named = why == 0;
    /* Not every directory can be opened or synced; SQLite then goes without. */
    if (why == 0 || why == EACCES || why == EPERM || why == EINVAL || why == EBADF)
        return 0;
    return err_set(e, ERR_DISK, "journal %s: its directory: %s", s->path, strerror(why));
}

static int log_grew(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct sqlite *s = ctx;

    (void)db;
    (void)name;
    if (pages < s->wal_pages)
        s->checkpoint_at = CHECKPOINT_PAGES;
    s->wal_pages = pages;
    return SQLITE_OK;
}

void sqlite_checkpoint(struct sqlite *s)
{
    int rc;

    if (s->wal_pages < s->checkpoint_at)
        return;
    rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    /* A reader in the way, or a full disk, loses nothing: the log grows until a later attempt. */
    s->checkpoint_at = s->wal_pages + CHECKPOINT_PAGES / 4;
    s->dead = rc != SQLITE_OK && rc != SQLITE_BUSY && rc != SQLITE_FULL;
}

/* WAL or nothing: file systems without shared memory stay in another mode without an error. */
static int use_log(struct sqlite *s, struct err *e)
{
    sqlite3_stmt *st = NULL;
    bool ok;
    int rc = sqlite3_prepare_v2(s->db, "pragma journal_mode = wal", -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    ok = rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(st, 0), "wal") == 0;
    if (rc != SQLITE_ROW)
        sqlite_failed(s, "open", e);
    else if (!ok)
        err_set(e, ERR_DISK, "journal %s: this file system cannot hold a journal (no shared memory)", s->path);
    sqlite3_finalize(st);
    return ok ? 0 : e->code;
}

/* What holds for owners and readers. The file may come from anywhere: its schema is not trusted. */
static void configure(struct sqlite *s)
{
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_busy_timeout(s->db, BUSY_MS);
}

static int open_file(struct sqlite *s, const char *name, int flags, const char *vfs, struct err *e)
{
    if (sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX, vfs) != SQLITE_OK)
        return sqlite_failed(s, "open", e);
    configure(s);
    return 0;
}

static int open_owned(struct sqlite *s, struct err *e)
{
    bool is_new = false;
    int64_t last = 0;
    int one = 1;

    if (open_file(s, s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, sqlite_vfs(), e) < 0)
        return e->code;
    watch_directories();
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &one);
    s->checkpoint_at = CHECKPOINT_PAGES;
    if (check_version(s, &is_new, e) < 0)
        return e->code;
    if (sqlite3_db_readonly(s->db, "main") == 1) {
        err_set(e, ERR_DISK, "journal %s: the file is read-only", s->path);
        return err_hint(e, "give write access, or use another journal with --state DIR");
    }
    /* Small pages (of a new file; others keep theirs): a commit writes about ten, each whole. */
    if (run_sql(s, "pragma page_size = 1024", e) < 0 || use_log(s, e) < 0 ||
        run_sql(s, "pragma synchronous = full; pragma temp_store = memory", e) < 0)
        return e->code;
    sqlite3_wal_hook(s->db, log_grew, s);
    if (is_new && create(s, e) < 0)
        return e->code;
    if (number(s, "select coalesce(max(id), 0) from run", &last, e) < 0)
        return e->code;
    s->next_id = last + 1;
    return 0;
}

/* "file:PATH?immutable=1" */
static void immutable_name(const char *path, struct buf *out)
{
    const char *p;

    buf_adds(out, "file:");
    for (p = path; *p; p++) {
        if (strchr("%?#", *p))
            buf_addf(out, "%%%02x", (unsigned)*p);
        else
            buf_addc(out, *p);
    }
    buf_adds(out, "?immutable=1");
}

/* Where nothing can be written (a backup, a read-only mount) SQLite cannot make the files that readers and
 * writers share. An owner would have made them, so there is none: without a log the file alone is all there
 * is; with one, this connection keeps its own index of the log in its memory. */
static int open_alone(struct sqlite *s, bool *is_new, struct err *e)
{
    struct buf name = BUF_INIT(4 * sizeof(s->path));
    struct stat st;
    int rc;

    sqlite3_close(s->db);
    s->db = NULL;
    buf_addf(&name, "%s-wal", s->path);
    if (stat(buf_text(&name), &st) == 0 && st.st_size > 0) {
        rc = open_file(s, s->path, SQLITE_OPEN_READONLY, "unix-none", e);
        if (rc == 0)
            rc = run_sql(s, "pragma locking_mode = exclusive", e);
    } else {
        buf_reset(&name);
        immutable_name(s->path, &name);
        rc = open_file(s, buf_text(&name), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL, e);
    }
    buf_free(&name);
    return rc == 0 ? check_version(s, is_new, e) : rc;
}

static int open_read_only(struct sqlite *s, struct err *e)
{
    struct stat st;
    bool is_new = false;
    int rc, why = SQLITE_OK;

    if (stat(s->path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(e, ERR_NOT_FOUND, "no journal in %s", s->path);
    rc = open_file(s, s->path, SQLITE_OPEN_READONLY, NULL, e);
    if (rc == 0)
        rc = check_version(s, &is_new, e);
    if (rc < 0 && s->db)
        why = sqlite3_errcode(s->db) & 0xff;
    if (why == SQLITE_CANTOPEN || why == SQLITE_READONLY)
        rc = open_alone(s, &is_new, e);
    if (rc < 0)
        return rc;
    return is_new ? err_set(e, ERR_NOT_FOUND, "no journal in %s", s->path) : 0;
}

void sqlite_free(struct journal *j)
{
    struct sqlite *s = (struct sqlite *)j;

    if (!s)
        return;
    sqlite_forget(s);
    if (s->db && !s->dead && s->wal_pages > LEAVE_PAGES) {
        sqlite3_busy_timeout(s->db, 0);
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    sqlite3_close(s->db);
    owner_unlock(s->lock_fd);
    free(s);
}

int journal_sqlite_open(const char *dir, const char *what_for, const struct journal_options *o, struct journal **out,
                        struct err *e)
{
    struct sqlite *s = xcalloc(1, sizeof(*s));
    struct err own = {0};
    mode_t mask;
    int rc = 0;

    e = e ? e : &own;
    s->base.ops = &sqlite_ops;
    s->lock_fd = -1;
    if (o)
        s->o = *o;
    if ((size_t)snprintf(s->path, sizeof(s->path), "%s/journal.db", dir) >= sizeof(s->path))
        rc = err_set(e, ERR_INVALID, "the name of the state directory is too long");
    else if (!s->o.read_only)
        rc = owner_lock(dir, what_for, &s->lock_fd, e);
    if (rc == 0) {
        mask = umask(077);
        rc = s->o.read_only ? open_read_only(s, e) : open_owned(s, e);
        umask(mask);
    }
    if (rc < 0) {
        sqlite_free(&s->base);
        return rc;
    }
    *out = &s->base;
    return 0;
}
