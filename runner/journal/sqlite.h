/* SPDX-License-Identifier: Apache-2.0 */
/* Inside journal/sqlite: the connection, its statements, and the schema. */
#ifndef MIDWATCH_JOURNAL_SQLITE_H
#define MIDWATCH_JOURNAL_SQLITE_H

#include "journal/journal.h"

#include <sqlite3.h>

enum {
    SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK, SQL_SAVE, SQL_RELEASE, SQL_BACK,
    SQL_RUN_HEAD, SQL_RUN_NEXT, SQL_ROW, SQL_RUN_NEW, SQL_RUN_STATE, SQL_RUN_END, SQL_RUN_EPOCH,
    SQL_LOCK_GET, SQL_LOCK_PUT, SQL_LOCK_COUNT, SQL_UNLOCK, SQL_UNLOCK_ALL, SQL_EFFECT_NEW, SQL_EFFECT_STATE,
    SQL_ESCALATION_OPEN, SQL_ESCALATION_CLOSE, SQL_HALT_ON, SQL_HALT_OFF, SQL_HALTED, SQL_SYSTEM_HEAD, SQL_SYSTEM_NEXT,
    SQL_REVOKED, SQL_REVOKE, SQL_UNREVOKE, SQL_COUNTED, SQL_TOUCHED, SQL_FAILURES, SQL_HELD, SQL_FAILED, SQL_RUNBOOK_ON,
    SQL_APPROVAL_LEFT, SQL_APPROVED, SQL_APPROVAL_USED,
    SQL_BUNDLE, SQL_BLOB, SQL_BUNDLE_FILE, SQL_CHANGE, SQL_CHANGE_HEAD, SQL_COUNT
};

struct sqlite {
    struct journal base;
    struct journal_options o;
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    int lock_fd;
    int64_t next_id;
    struct hash change_chain;       /* of the last change; read with the first that is written */
    bool dead, knows_change_chain;
    _Atomic(uintptr_t) inside;      /* the thread that writes now, or 0 */
    bool named;                     /* that the log is in its directory is on disk */
    int wal_pages, checkpoint_at;   /* length of the log after the last commit, and when to copy it back */
    char path[4096];
};

/* A table that is written by changes alone. `label` names a row t of it for people, as SQL. */
struct sqlite_projection {
    const char *table, *columns, *label;
};
struct sqlite_index {
    const char *name, *on;
};
extern const char sqlite_log[];
extern const struct sqlite_projection sqlite_projections[];    /* a NULL ends it */
extern const struct sqlite_index sqlite_indexes[];
/* The statements that make all projections, empty, in a schema ("main", "temp"). */
void sqlite_projections_sql(const char *schema, struct buf *out);
extern const char *const sqlite_texts[SQL_COUNT];
#define SQLITE_APPLICATION 0x6d696477      /* "midw" */
#define SQLITE_SCHEMA_VERSION 2

/* The prepared statement, reset. NULL with e set if it cannot be prepared. */
sqlite3_stmt *sqlite_statement(struct sqlite *s, int which, struct err *e);
/* Between the two no other thread may use this connection, which has no lock of its own: who does ends the process, before it
 * can damage the file. */
void sqlite_enter(struct sqlite *s);
void sqlite_leave(struct sqlite *s);
void sqlite_alone(const struct sqlite *s);
/* The VFS of the owner's connection, by name: it writes a transaction to the log at once. Any thread. */
const char *sqlite_vfs(void);
/* Of this thread's last write to a log of that VFS; 0 = it went well. */
int sqlite_log_errno(void);
/* Finalizes them all. */
void sqlite_forget(struct sqlite *s);
/* Makes the name of the log durable, which SQLite would do with the first sync of every process. */
int sqlite_name_log(struct sqlite *s, struct err *e);
/* Around a commit of this thread: whether the directory of what it syncs need not be. */
void sqlite_committing(bool named);
/* Copies the log into the file when it has grown long; a write error leaves the journal dead. */
void sqlite_checkpoint(struct sqlite *s);
/* ERR_DISK for full, read-only and I/O errors, ERR_CORRUPT for damage, else ERR_IO. */
int sqlite_failed(struct sqlite *s, const char *what, struct err *e);
/* Writes the changes of one item to the projections: those of the schema that the statements see first. A new run whose
 * dedup key another one has makes the item refused. */
int sqlite_apply(struct sqlite *s, struct journal_item *item, struct err *e);
extern const struct journal_ops sqlite_ops;
void sqlite_free(struct journal *j);
/* 1 = the guard of the item holds, 0 = it does not, < 0 = error. */
int sqlite_guard(struct journal *j, const struct journal_item *item, const struct guard *g, struct err *e);
int sqlite_begin(struct journal *j, struct err *e);
int sqlite_commit(struct journal *j, struct journal_item *items, size_t n, struct err *e);
int sqlite_put_bundle(struct journal *j, const char *id, struct str meta, const struct blob_ref *files, size_t n,
                      struct err *e);

#endif
