/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a journal file. The owner holds the one connection that
 * writes and checkpoints; readers open read-only and never checkpoint (older
 * SQLite may lose commits when two connections do). */
#include "journal/sqlite.h"

#include "journal/owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

sqlite3_stmt *sqlite_statement(struct sqlite *s, int which, struct err *e)
{
    sqlite3_stmt **st = &s->statements[which];

    if (!*st && sqlite3_prepare_v3(s->db, sqlite_texts[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK) {
        sqlite_failed(s, "prepare", e);
        return NULL;
    }
    return *st;
}

int sqlite_failed(struct sqlite *s, const char *what, struct err *e)
{
    int rc = sqlite3_errcode(s->db) & 0xff;
    int code = rc == SQLITE_FULL || rc == SQLITE_IOERR || rc == SQLITE_READONLY || rc == SQLITE_CANTOPEN ? ERR_DISK
               : rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB                                            ? ERR_CORRUPT
                                                                                                         : ERR_IO;

    return err_set(e, code, "journal %s: %s: %s", s->path, what, sqlite3_errmsg(s->db));
}

static int run_sql(struct sqlite *s, const char *sql, struct err *e)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_failed(s, "open", e);
}

static int number(struct sqlite *s, const char *sql, int64_t *out, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

    if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    else
        rc = sqlite_failed(s, "open", e);
    sqlite3_finalize(st);
    return rc == SQLITE_OK ? 0 : e ? e->code : ERR_IO;
}

/* Ours, and of a version we know. A new file is empty: version 0 without tables. */
static int check_version(struct sqlite *s, bool *is_new, struct err *e)
{
    int64_t application = 0, version = 0, tables = 0;

    if (number(s, "pragma application_id", &application, e) < 0 || number(s, "pragma user_version", &version, e) < 0)
        return e->code;
    if (application == SQLITE_APPLICATION && version == SQLITE_SCHEMA_VERSION)
        return 0;
    if (application == SQLITE_APPLICATION)
        return err_set(e, ERR_CORRUPT, "journal %s: it has format %lld, this program knows format %d", s->path,
                       (long long)version, SQLITE_SCHEMA_VERSION);
    if (number(s, "select count(*) from sqlite_master", &tables, e) < 0)
        return e->code;
    if (tables > 0 || application != 0)
        return err_set(e, ERR_CORRUPT, "journal %s: this database is not a Midwatch journal", s->path);
    *is_new = true;
    return 0;
}

static int create(struct sqlite *s, struct err *e)
{
    char pragmas[128];

    snprintf(pragmas, sizeof(pragmas), "pragma application_id = %d; pragma user_version = %d;", SQLITE_APPLICATION,
             SQLITE_SCHEMA_VERSION);
    if (run_sql(s, "begin immediate", e) < 0 || run_sql(s, sqlite_schema, e) < 0 || run_sql(s, pragmas, e) < 0 ||
        run_sql(s, "commit", e) < 0)
        return e->code;
    return 0;
}

static int open_owned(struct sqlite *s, struct err *e)
{
    bool is_new = false;
    int64_t last = 0;
    int one = 1;

    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &one);
    sqlite3_busy_timeout(s->db, 2000);
    if (check_version(s, &is_new, e) < 0 ||
        run_sql(s, "pragma page_size = 1024; pragma journal_mode = wal; pragma synchronous = full;"
                   "pragma wal_autocheckpoint = 1000;", e) < 0)
        return e->code;
    if (is_new && create(s, e) < 0)
        return e->code;
    if (number(s, "select coalesce(max(id), 0) from run", &last, e) < 0)
        return e->code;
    s->next_id = last + 1;
    return 0;
}

static int open_read_only(struct sqlite *s, struct err *e)
{
    bool is_new = false;

    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(s->db, 2000);
    if (check_version(s, &is_new, e) < 0)
        return e->code;
    return is_new ? err_set(e, ERR_NOT_FOUND, "no journal in %s", s->path) : 0;
}

void sqlite_free(struct journal *j)
{
    struct sqlite *s = (struct sqlite *)j;
    size_t i;

    if (!s)
        return;
    for (i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    owner_unlock(s->lock_fd);
    free(s);
}

int journal_sqlite_open(const char *dir, const char *what_for, const struct journal_options *o, struct journal **out,
                        struct err *e)
{
    struct sqlite *s = xcalloc(1, sizeof(*s));
    struct stat st;
    struct err own = {0};
    mode_t mask;
    int rc = 0, flags;

    e = e ? e : &own;
    s->base.ops = &sqlite_ops;
    s->lock_fd = -1;
    if (o)
        s->o = *o;
    snprintf(s->path, sizeof(s->path), "%s/journal.db", dir);
    if (s->o.read_only && stat(s->path, &st) < 0)
        rc = err_set(e, ERR_NOT_FOUND, "no journal in %s", dir);
    else if (!s->o.read_only)
        rc = owner_lock(dir, what_for, &s->lock_fd, e);
    if (rc == 0) {
        flags = s->o.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
        mask = umask(077);
        if (sqlite3_open_v2(s->path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
            rc = sqlite_failed(s, "open", e);
        else
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
