/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of DESIGN section 5 and every statement on them, by name. Keys are
 * integers and rows are appended: text keys and clustered rows cost four times as
 * much per effect. */
#include "journal/sqlite.h"

/* The log: what is only ever appended to. */
const char sqlite_log[] =
    "create table bundle(id text primary key, meta blob not null) strict, without rowid;"
    "create table blob(sha256 blob primary key, data blob not null) strict, without rowid;"
    "create table bundle_file(bundle text not null, path text not null, sha256 blob not null,"
    " primary key(bundle, path)) strict, without rowid;"
    "create table journal(id integer primary key, run integer not null, seq integer not null, epoch integer not null,"
    " kind integer not null, path text not null, name text not null, args_hash blob not null, args text not null,"
    " payload text not null, at integer not null, chain blob not null, unique(run, seq)) strict;"
    "create trigger journal_no_update before update on journal begin select raise(abort, 'the journal is append-only'); end;"
    "create trigger journal_no_delete before delete on journal begin select raise(abort, 'the journal is append-only'); end;"
    "create table change(id integer primary key, run integer not null, seq integer not null, at integer not null,"
    " what blob not null, chain blob not null) strict;"
    "create trigger change_no_update before update on change begin select raise(abort, 'the journal is append-only'); end;"
    "create trigger change_no_delete before delete on change begin select raise(abort, 'the journal is append-only'); end;";

/* What follows from the log, and is rebuilt from it: every table that a change writes to must stand here. */
const struct sqlite_projection sqlite_projections[] = {
    {"run", "id integer primary key, uuid text not null unique, bundle text not null, runbook text not null,"
     " command text not null, state integer not null, outcome text not null default '', reason text not null default '',"
     " params text not null, trigger text not null, dedup_key text unique, wake_at integer not null default 0,"
     " epoch integer not null, next_seq integer not null, chain blob not null, created_at integer not null,"
     " ended_at integer not null default 0", "'run ' || t.id"},
    {"effect", "id integer primary key, run integer not null, intent_seq integer not null, key text not null,"
     " path text not null, action text not null, target text not null, state integer not null,"
     " result_seq integer not null default 0, counts_at integer not null default 0, unique(run, path)",
     "'effect ' || t.path || ' of run ' || t.run"},
    {"lock", "id integer primary key, target text not null unique, fence integer not null, run integer not null,"
     " cool_until integer not null default 0, cool_run integer not null default 0", "'lock on ' || t.target"},
    {"escalation", "id integer primary key, run integer not null, text text not null, open integer not null,"
     " at integer not null", "'escalation ' || t.id || ' of run ' || t.run"},
    {"halt", "id integer primary key check(id = 1), at integer not null, why text not null", "'halt'"},
    {"revoked", "id integer primary key, pin text not null unique, at integer not null, why text not null",
     "'revoke of ' || t.pin"},
    {"breaker", "id integer primary key, runbook text not null unique, failures integer not null", "'breaker of ' || t.runbook"},
    {"approval", "id integer primary key, run integer not null, path text not null, left integer not null, unique(run, path)",
     "'approval ' || t.path || ' of run ' || t.run"},
    {"system", "id integer primary key check(id = 1), next_seq integer not null, chain blob not null", "'system'"},
    {NULL, NULL, NULL},
};
const struct sqlite_index sqlite_indexes[] = {
    {"run_agenda", "run(state, wake_at) where state != 4"},
    {"effect_counts", "effect(counts_at)"},
    {"lock_run", "lock(run)"},
    {"escalation_open", "escalation(run) where open"},
    {NULL, NULL},
};

void sqlite_projections_sql(const char *schema, struct buf *out)
{
    const struct sqlite_projection *t;
    const struct sqlite_index *i;

    for (t = sqlite_projections; t->table; t++)
        buf_addf(out, "create table %s.%s(%s) strict;", schema, t->table, t->columns);
    for (i = sqlite_indexes; i->name; i++)
        buf_addf(out, "create index %s.%s on %s;", schema, i->name, i->on);
    buf_addf(out, "insert into %s.system values(1, 1, zeroblob(32));", schema);
}

const char *const sqlite_texts[SQL_COUNT] = {
    [SQL_BEGIN] = "begin immediate",
    [SQL_COMMIT] = "commit",
    [SQL_ROLLBACK] = "rollback",
    [SQL_SAVE] = "savepoint item",
    [SQL_RELEASE] = "release item",
    [SQL_BACK] = "rollback to item",
    [SQL_RUN_HEAD] = "select epoch, next_seq, chain from run where id = ?1",
    [SQL_RUN_NEXT] = "update run set next_seq = ?2, chain = ?3 where id = ?1",
    [SQL_ROW] = "insert into journal(run, seq, epoch, kind, path, name, args_hash, args, payload, at, chain)"
                " values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [SQL_CHANGE] = "insert into change(run, seq, at, what, chain) values(?1, ?2, ?3, ?4, ?5)",
    [SQL_CHANGE_HEAD] = "select chain from change order by id desc limit 1",
    [SQL_RUN_NEW] = "insert into run(id, uuid, bundle, runbook, command, state, params, trigger, dedup_key, epoch, next_seq,"
                    " chain, created_at) values(?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, 1, zeroblob(32), ?10)"
                    " on conflict(dedup_key) do nothing",
    [SQL_RUN_STATE] = "update run set state = ?2, wake_at = ?3 where id = ?1",
    [SQL_RUN_END] = "update run set state = 4, outcome = ?2, reason = ?3, ended_at = ?4 where id = ?1",
    [SQL_RUN_EPOCH] = "update run set epoch = ?2 where id = ?1",
    [SQL_LOCK_GET] = "select run, cool_until, cool_run from lock where target = ?1",
    [SQL_LOCK_PUT] = "insert into lock(target, fence, run) values(?1, 1, ?2) on conflict(target) do update set"
                     " fence = fence + (run != excluded.run), run = excluded.run",
    [SQL_LOCK_COUNT] = "select (select count(*) from lock where run = ?1)"
                       " - (select count(*) from lock where target = ?2 and run = ?1)",
    [SQL_UNLOCK] = "update lock set run = 0, cool_run = case when ?3 > cool_until then ?2 else cool_run end,"
                   " cool_until = max(cool_until, ?3) where target = ?1 and run = ?2",
    [SQL_UNLOCK_ALL] = "update lock set run = 0, cool_run = case when ?2 > cool_until then ?1 else cool_run end,"
                       " cool_until = max(cool_until, ?2) where run = ?1",
    [SQL_EFFECT_NEW] = "insert into effect(run, intent_seq, key, path, action, target, counts_at, state)"
                       " values(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)"
                       " on conflict(run, path) do update set intent_seq = excluded.intent_seq, state = 0",
    [SQL_EFFECT_STATE] = "update effect set state = ?3, result_seq = case when ?4 > 0 then ?4 else result_seq end"
                         " where run = ?1 and path = ?2",
    [SQL_ESCALATION_OPEN] = "insert into escalation(run, text, open, at) values(?1, ?2, 1, ?3)",
    [SQL_ESCALATION_CLOSE] = "update escalation set open = 0 where run = ?1 and open",
    [SQL_HALT_ON] = "insert or replace into halt(id, at, why) values(1, ?1, ?2)",
    [SQL_HALT_OFF] = "delete from halt",
    [SQL_HALTED] = "select why from halt",
    [SQL_REVOKED] = "select 1 from revoked where substr(?1, 1, length(pin)) = pin limit 1",
    [SQL_REVOKE] = "insert into revoked(pin, at, why) values(?1, ?2, ?3) on conflict(pin) do update set at = excluded.at,"
                   " why = excluded.why",
    [SQL_UNREVOKE] = "delete from revoked where pin = ?1",
    [SQL_COUNTED] = "select e.run, e.path, r.runbook, e.target from effect e join run r on r.id = e.run"
                    " where e.counts_at > ?1",
    [SQL_TOUCHED] = "select run, path, '', target from effect where run = ?1 and action = ?2",
    [SQL_FAILURES] = "select failures from breaker where runbook = ?1",
    [SQL_HELD] = "update breaker set failures = 0 where runbook = ?1 and failures < ?2",
    [SQL_FAILED] = "insert into breaker(runbook, failures) values(?1, 1) on conflict(runbook) do update set"
                   " failures = failures + 1",
    [SQL_RUNBOOK_ON] = "update breaker set failures = 0 where runbook = ?1",
    [SQL_APPROVAL_LEFT] = "select left from approval where run = ?1 and path = ?2",
    [SQL_APPROVED] = "insert into approval(run, path, left) values(?1, ?2, ?3) on conflict(run, path) do update set"
                     " left = excluded.left",
    [SQL_APPROVAL_USED] = "update approval set left = left - 1 where run = ?1 and path = ?2 and left > 0",
    [SQL_SYSTEM_HEAD] = "select 0, next_seq, chain from system",
    [SQL_SYSTEM_NEXT] = "update system set next_seq = ?2, chain = ?3 where ?1 = 0",
    [SQL_BUNDLE] = "insert or ignore into bundle(id, meta) values(?1, ?2)",
    [SQL_BLOB] = "insert or ignore into blob(sha256, data) values(?1, ?2)",
    [SQL_BUNDLE_FILE] = "insert or ignore into bundle_file(bundle, path, sha256) values(?1, ?2, ?3)",
};
