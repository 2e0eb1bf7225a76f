/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: one append-only log of everything that passed the gate, and the
 * projections (run, effect, lock, ...) that follow from it. Writers hand in
 * batches of items; the items of one batch share one transaction and one fsync
 * and each has its own savepoint: it comes back committed, refused by a named
 * guard, or fenced by a newer epoch, without touching the others.
 *
 * Implementations: journal/sqlite (one connection writes and checkpoints, one
 * process owns the file) and journal/memory (the reference model; `midwatch test`).
 * Thread: one thread per struct journal; journal/writer gives it a thread of its own. */
#ifndef MIDWATCH_JOURNAL_JOURNAL_H
#define MIDWATCH_JOURNAL_JOURNAL_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a row records. The numbers are stored: a new kind goes to the end. */
enum row_kind {
    ROW_START,          /* the run's inputs: runbook, params, trigger, uses, abi, seed */
    ROW_OBS,            /* answer to a read */
    ROW_PLAN,           /* of one effect: from, to, target */
    ROW_INTENT,         /* durable before the effect is sent */
    ROW_RESULT,         /* the effect's answer, with the state read after it */
    ROW_UNKNOWN,        /* the effect's outcome is not known */
    ROW_CHECK,          /* what was read back: applied, absent, moved, no answer */
    ROW_SETTLE,         /* a person said what is true */
    ROW_SKIP,           /* nothing was sent: already so, or recovered */
    ROW_REFUSED,        /* policy said no; name = the refusal */
    ROW_VERIFY,         /* verdict on a remedy: holds, refuted, inconclusive */
    ROW_WAIT,           /* a durable wait begins */
    ROW_TIMER,          /* a pause inside a wait, or sleep, is over */
    ROW_VERDICT,        /* a hypothesis: supported, refuted, inconclusive */
    ROW_CAUSE,          /* what diagnose concluded */
    ROW_NOTE,           /* note, measure, follow_up */
    ROW_ESCALATION,     /* opened or closed */
    ROW_RESUME,         /* somebody took the run up again */
    ROW_END,            /* outcome and reason */
    ROW_SYSTEM,         /* run 0: halt, release, configuration */
    ROW_ASK,            /* people are asked: a question, an approval, something to do by hand */
    ROW_ANSWER,         /* a person's word, or none and why */
    ROW_NOTIFY,         /* a message to people, durable before it is sent */
    ROW_SENT,           /* it was sent, or why not */
    ROW_ENDING,         /* the host ends the run, and first puts back what was changed only for a while */
    ROW_QUARANTINE,     /* set aside: it ended the process again and again at this place, or its code contradicts its rows */
    ROW_KINDS
};
const char *row_kind_name(enum row_kind k);                 /* "OBS" */
int row_kind_of(struct str name, enum row_kind *out);       /* 0 or ERR_NOT_FOUND */

struct row {
    int64_t seq;            /* 1.. per run, without gaps */
    int64_t epoch;
    enum row_kind kind;
    struct str path;        /* identity of the gate call: "4", "4.p95", "4.b2.1" */
    struct str name;        /* "prometheus.quantile", or the refusal, or the outcome */
    struct hash args_hash;  /* over name, instance and args; zero where there are none */
    struct str args;        /* canonical JSON or "" */
    struct str payload;     /* canonical JSON or "" */
    int64_t at;             /* Unix milliseconds */
    struct hash chain;      /* set by the journal */
};

/* Conditions on shared rows, evaluated inside the transaction; a false one refuses its item. They see what was there before
 * the item; only a verdict and an approval that it brings count already. */
enum guard_kind {
    GUARD_HALT,             /* no halt row is open: `halted` */
    GUARD_REVOKED,          /* no revoked commit begins `commit`, the one the run is pinned to: `revoked` */
    GUARD_LOCK,             /* target is free or held by this run: `target_busy` */
    GUARD_COOLDOWN,         /* cool_until of target is past, or set by this run, or it holds target: `cooling_down` */
    GUARD_RUN_BUDGET,       /* effects of this run with a distinct target or remedy < n: `over_budget` */
    GUARD_AT_MOST,          /* targets of this run's effects with `action`, those that `pattern` takes and target, are at most
                             * max: `not_allowed` */
    GUARD_EFFECTS,          /* effects that count since `since`, other than this one, are below max: `over_budget` */
    GUARD_TARGETS,          /* the distinct targets of those, and target, are at most max: `over_budget` */
    GUARD_EFFECTIVE,        /* fewer than max remedies in a row of `runbook` were not verified: `ineffective` */
    GUARD_APPROVAL,         /* the approval `path` of this run is good for one more intent: `needs_approval` */
    GUARD_KINDS
};
struct guard {
    enum guard_kind kind;
    struct str target;      /* LOCK, COOLDOWN, RUN_BUDGET, AT_MOST, TARGETS */
    int64_t now;            /* COOLDOWN: Unix ms */
    int64_t max;            /* RUN_BUDGET: highest allowed number of locks (targets) that this run may hold, counting target */
    int64_t since;          /* EFFECTS, TARGETS: Unix ms; what counts later than that counts */
    struct str commit;      /* REVOKED; "" = pinned to none */
    struct str path;        /* APPROVAL: of the ASK; EFFECTS: of the effect itself, which another attempt does not count again */
    struct str action;      /* AT_MOST */
    struct str pattern;     /* AT_MOST, EFFECTS, TARGETS: glob over instance:target, `*` within one part; "" = all */
    struct str runbook;     /* EFFECTIVE; EFFECTS, TARGETS: only runs of what these globs take (str_matches), "" = all */
};
const char *guard_refusal(enum guard_kind k);

enum run_state {
    RUN_RUNNING,            /* an owner executes it, or did when it died: interrupted */
    RUN_WAITING_TIME,       /* parked until wake_at */
    RUN_WAITING_PERSON,     /* parked on a named unknown effect (later: questions) */
    RUN_LEFT,               /* somebody left it; resume goes on */
    RUN_ENDED,
    RUN_QUARANTINED,        /* it ended the process too often at one place, or contradicts its rows; only a person resumes it */
    RUN_STATES
};
const char *run_state_name(enum run_state s);   /* "running", "waiting: time", "waiting: person", "left", "ended", "quarantined" */

enum effect_state {
    EFFECT_INTENDED, EFFECT_APPLIED, EFFECT_UNKNOWN, EFFECT_ABSENT, EFFECT_MOVED, EFFECT_FAILED,
    EFFECT_VERIFIED, EFFECT_UNVERIFIED, EFFECT_UNDONE,
};
const char *effect_state_name(enum effect_state s);
/* True if the change is known to be there, proven or not: it can be put back. */
bool effect_in_force(enum effect_state s);

/* Changes to projections that go with an item's rows. Each follows from a row's content alone, so that the projections
 * can be made again from the journal: an effect counts (counts_at) at its first INTENT unless its payload has undo_of;
 * an approval is what an ANSWER with good_for says and the first attempt (payload) of every INTENT with its path (args)
 * uses up; a breaker follows from VERIFY (verdict in args, `off_after` in its payload) and from END with
 * unverified = true in its payload, of the run's runbook; a revoked commit, and a runbook turned on again, from rows of
 * run 0 (SYSTEM: revoke, unrevoke {commit, by, why}, the text "by: why"; runbook_on {runbook}). */
enum change_kind {
    CHANGE_RUN_NEW,         /* first of its item; uuid, runbook, command, bundle, params, trigger, dedup: if a run
                             * has the same one, the item is refused: `duplicate` */
    CHANGE_RUN_STATE,       /* state, wake_at */
    CHANGE_RUN_END,         /* outcome, reason; state becomes ended */
    CHANGE_RUN_EPOCH,       /* epoch := n (taking a run over); n must be above the run's, else fenced; replaces the
                             * check of the item's own epoch */
    CHANGE_LOCK,            /* take target for this run, fence + 1 if newly taken */
    CHANGE_UNLOCK,          /* free target if this run holds it; cool_until never moves back */
    CHANGE_UNLOCK_ALL,      /* the same for every lock of this run */
    CHANGE_EFFECT_NEW,      /* path, intent_seq, key, action, target, n = counts_at; of a known path: another attempt */
    CHANGE_EFFECT_STATE,    /* path: state, result_seq */
    CHANGE_ESCALATION,      /* open (text) or close */
    CHANGE_HALT,            /* run 0: on = 1 or 0, text = why */
    CHANGE_REVOKE,          /* run 0: on = 1 or 0, key = the commit or its beginning, text = who and why */
    CHANGE_APPROVED,        /* path (of the ASK) is good for n intents more; -1 = for any number */
    CHANGE_APPROVAL_USED,   /* path: by one intent */
    CHANGE_VERDICT,         /* runbook: n = 1: a remedy was verified, which forgets the failures unless they are seq or more
                             * (it is off); 0: one more was not */
    CHANGE_RUNBOOK_ON,      /* run 0: runbook: its failures are forgotten */
    CHANGE_KINDS
};
struct change {
    enum change_kind kind;
    struct str target, key, path, action, text;     /* as the kind says */
    struct str uuid, runbook, command, bundle, params, trigger, dedup, outcome, reason;
    enum run_state run_state;
    enum effect_state effect_state;
    int64_t seq;            /* intent_seq or result_seq */
    int64_t n;              /* wake_at, cool_until, counts_at, epoch, on: Unix ms or number */
};

enum item_result { ITEM_COMMITTED, ITEM_REFUSED, ITEM_FENCED };

struct journal_item {
    int64_t run;            /* 0 = the system's own journal */
    int64_t epoch;          /* must equal the run's, else fenced */
    const struct row *rows; /* in ascending seq, the first = the run's next_seq (else ERR_CORRUPT: our bug) */
    size_t nrows;
    const struct guard *guards;
    size_t nguards;
    const struct change *changes;
    size_t nchanges;
    int64_t at;             /* Unix ms, for created_at, ended_at */
    bool soft;              /* nothing outside depends on it: a power cut may take it, the process's death may not. A
                             * batch of such items alone costs no fsync; the next that is not soft makes it durable */
    /* out */
    enum item_result result;
    const char *refusal;    /* if refused */
};

struct run_info {
    int64_t id;
    char uuid[40];
    char runbook[256];
    char command[32];
    char bundle[65];
    enum run_state state;
    char outcome[24], reason[40];   /* "" until ended */
    int64_t wake_at, epoch, next_seq, created_at, ended_at;
    struct hash chain;
    char *params, *trigger;         /* canonical JSON; owned: run_info_deinit */
};
void run_info_deinit(struct run_info *r);

struct lock_info {
    char target[512];
    int64_t run;            /* 0 = free */
    int64_t fence, cool_until;
    int64_t cool_run;       /* who set cool_until; 0 = nobody */
};
struct escalation_info {
    int64_t id, run, at;
    char text[1024];
    bool open;
};
struct effect_info {
    int64_t run, intent_seq, result_seq;
    int64_t counts_at;      /* Unix ms of its first intent, for budgets; 0 = it does not count (an undo) */
    char key[33];
    char path[64], action[128], target[512];
    enum effect_state state;
};
struct revoked_info {
    char commit[65];        /* hex digits, the beginning of a commit's id */
    int64_t at;
    char why[512];          /* "anna@host: it deletes the wrong pods" */
};
struct breaker_info {
    char runbook[256];
    int64_t failures;       /* remedies in a row that were not verified */
};
struct approval_info {
    int64_t run, left;      /* left: -1 = any number */
    char path[96];
};
struct blob_ref {
    const char *path;       /* "runbook.md", "lua/remedy.lua", "plugins/shell.lua" */
    struct str data;
    bool stays;             /* data is part of the program: it need not be copied */
};

/* Return false to stop. Everything passed is borrowed for the call. */
typedef bool (*row_fn)(void *ctx, const struct row *r);
typedef bool (*run_fn)(void *ctx, const struct run_info *r);
typedef bool (*agenda_fn)(void *ctx, int64_t run, enum run_state state, int64_t wake_at);
typedef bool (*lock_fn)(void *ctx, const struct lock_info *l);
typedef bool (*effect_fn)(void *ctx, const struct effect_info *x);
typedef bool (*escalation_fn)(void *ctx, const struct escalation_info *x);
typedef bool (*revoked_fn)(void *ctx, const struct revoked_info *x);
typedef bool (*breaker_fn)(void *ctx, const struct breaker_info *x);
typedef bool (*approval_fn)(void *ctx, const struct approval_info *x);
typedef bool (*blob_fn)(void *ctx, const char *path, struct str data);

struct journal;
struct journal_ops {
    /* All items in one transaction. 0 = the batch is durable, look at each result. An item that journal_check
     * refuses gives its error, and nothing happened. Every other error (ERR_DISK; ERR_CORRUPT) leaves the
     * journal dead: each later commit is ERR_DISK, because a failed fsync is never retried: stop acting. Whether
     * a commit that failed in its fsync is there, whole, or not at all, the next open tells. */
    int (*commit)(struct journal *j, struct journal_item *items, size_t n, struct err *e);
    /* Whether a guard of this item would hold if it were committed now, with the changes that it brings: 1, 0, or < 0 = an
     * error. Nothing is bound by that. */
    int (*guard)(struct journal *j, const struct journal_item *item, const struct guard *g, struct err *e);
    /* What the first commit would have to do besides, done ahead by the thread that commits. An error leaves the journal
     * dead. NULL = nothing. */
    int (*begin)(struct journal *j, struct err *e);
    /* The id the next new run gets (ids are handed out in memory; the owner is alone). */
    int64_t (*next_run)(struct journal *j);
    /* Stores a bundle content-addressed if it is new; part of the next commit. `id`: 64 hex digits of the manifest.
     * An error leaves the journal dead, as that of a commit does. get_bundle gives the files by path; without fn only the
     * manifest. get_file appends one of them. Both: ERR_NOT_FOUND. */
    int (*put_bundle)(struct journal *j, const char *id, struct str meta, const struct blob_ref *files, size_t n,
                      struct err *e);
    int (*get_bundle)(struct journal *j, const char *id, struct buf *meta, blob_fn fn, void *ctx, struct err *e);
    int (*get_file)(struct journal *j, const char *id, const char *path, struct buf *out, struct err *e);
    int (*get_run)(struct journal *j, int64_t id, struct run_info *out, struct err *e);      /* ERR_NOT_FOUND */
    /* ERR_NOT_FOUND, ERR_INVALID = several */
    int (*find_run)(struct journal *j, struct str uuid_prefix, int64_t *id, struct err *e);
    int (*runs)(struct journal *j, bool open_only, run_fn fn, void *ctx, struct err *e);     /* newest first */
    /* What there is to do for whoever executes the journal's runs: those in state `state`, by wake_at, then id. However
     * many there are, it costs what is taken of it. */
    int (*agenda)(struct journal *j, enum run_state state, agenda_fn fn, void *ctx, struct err *e);
    int (*rows)(struct journal *j, int64_t run, int64_t from_seq, row_fn fn, void *ctx, struct err *e);
    int (*locks)(struct journal *j, lock_fn fn, void *ctx, struct err *e);                   /* by target */
    int (*effects)(struct journal *j, int64_t run, effect_fn fn, void *ctx, struct err *e);  /* by intent_seq; run -1 = all */
    int (*halted)(struct journal *j, bool *on, struct buf *why, struct err *e);
    int (*escalations)(struct journal *j, bool open_only, escalation_fn fn, void *ctx, struct err *e);   /* oldest first */
    int (*revoked)(struct journal *j, revoked_fn fn, void *ctx, struct err *e);              /* by commit */
    int (*breakers)(struct journal *j, breaker_fn fn, void *ctx, struct err *e);             /* by runbook */
    int (*approvals)(struct journal *j, approval_fn fn, void *ctx, struct err *e);           /* by run, path */
    /* The same journal for reads by another thread than the one that commits. Owned; read-only. The memory model has
     * none: ERR_INVALID. */
    int (*reader)(struct journal *j, struct journal **out, struct err *e);
    void (*free)(struct journal *j);
};
struct journal {
    const struct journal_ops *ops;
};

struct journal_options {
    bool read_only;         /* any number of readers at any time; never checkpoints, never writes */
    /* Called before and after each durable step ("begin", "commit", "committed"): crash and fault tests
     * kill here or return a negative code to fail it (at "committed" the batch is durable). NULL = nobody. */
    int (*point)(void *ctx, const char *step);
    void *ctx;
};

/* `dir` is the state directory (made with mode 0700 if missing); the file is dir/journal.db, its lock
 * dir/journal.lock, flocked for the owner's life. ERR_BUSY names the owner's pid and what it runs
 * (the lock file holds "pid what_for\n"). ERR_CORRUPT: not ours, from a newer version, or damaged, by name.
 * ERR_DISK: not writable, or full. read_only: ERR_NOT_FOUND if there is no journal; works beside an owner, after
 * a crashed one, and where nothing can be written. */
int journal_sqlite_open(const char *dir, const char *what_for, const struct journal_options *o, struct journal **out,
                        struct err *e);
int journal_memory_open(const struct journal_options *o, struct journal **out, struct err *e);

/* Between begin and end a reader of a file sees one moment of it, whatever its owner writes. Nothing where j is not a file,
 * or is written by this process. */
void journal_moment(struct journal *j, bool begin);

/* What every implementation and the writer refuse before they touch anything: ERR_LIMIT for a name or text beyond
 * its maximum, ERR_CORRUPT for an item that contradicts itself (our bug). */
int journal_check(const struct journal_item *item, struct err *e);
/* For text that is shown, not compared: as much of s as fits into size with a NUL, cut between characters. */
struct str journal_clip(struct str s, size_t size);

/* chain = H(previous, kind, path, name, args_hash, at, seq, epoch, H(args), H(payload)). */
struct hash journal_chain(const struct hash *previous, const struct row *r);
/* The same in two steps: rows one behind another often have the same args. */
struct hash journal_args_hash(const struct row *r);
struct hash journal_chain_with(const struct hash *previous, const struct row *r, const struct hash *args);

#endif
