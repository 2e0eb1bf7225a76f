/* SPDX-License-Identifier: Apache-2.0 */
/* The engine executes runs: it steps their Lua, carries their gate calls through
 * journal and answerers, and ends or parks them. One engine serves `run` and
 * `resume` (live), `test` (script, virtual time) and `replay` (journal only).
 *
 * Loop thread only; engine_turn is the host's turn function. */
#ifndef MIDWATCH_RUN_ENGINE_H
#define MIDWATCH_RUN_ENGINE_H

#include "book/book.h"
#include "book/bundle.h"
#include "gate/gate.h"
#include "gate/people.h"
#include "io/host.h"
#include "journal/writer.h"
#include "run/watchdog.h"

struct engine;
struct run;

/* What a watcher sees. Called on the loop thread; everything borrowed. */
struct engine_watch {
    /* A row was appended (live) or consumed (replayed = true). */
    void (*row)(void *ctx, const struct run *r, const struct row *row, bool replayed);
    /* The run is settled: ended, parked on a person, or left. */
    void (*settled)(void *ctx, const struct run *r);
    /* A run of the journal cannot be taken up here, and why: engine_recover, or its rows contradict its code and it was
     * set aside. NULL: such a contradiction stops the engine. */
    void (*trouble)(void *ctx, int64_t run, const struct err *e);
    /* A run is taken up that another machine executed last; that may not know. */
    void (*moved)(void *ctx, int64_t run, struct str from);
    void *ctx;
};

struct engine_options {
    struct host *host;              /* borrowed, like everything here */
    struct writer *writer;
    struct registry *registry;
    struct config *config;
    struct answerer *answerer;      /* live or script; NULL = journal only (replay) */
    struct people *people;          /* who can be asked; NULL = nobody */
    struct str counted;             /* runs instead of the runbook's code and counts its branches (check/cover); empty = none */
    struct journal *past;           /* whose earlier effects a plugin hears of, those of runs before past_run; or NULL */
    int64_t past_run;
    const char *state_dir;          /* of the halt file; NULL = none (test, replay) */
    struct engine_watch watch;
    struct watchdog *watchdog;      /* is told which run the thread is at work for; NULL = nobody */
    int slice_us;                   /* of Lua, before others have their turn, the one that used least first; 0 = runs go in
                                     * their order, each as far as it comes (tests over virtual time) */
    bool stop_when_settled;         /* stop the host once every run is settled */
    bool chains;                    /* run_chain is wanted of what goes on live; the journal computes it in any case */
    int gc_mode;                    /* of run states: determinism tests */
    bool evict_always;              /* a run is rebuilt from its journal whenever nothing of it is on its way: the same */
};
int engine_new(const struct engine_options *o, struct engine **out, struct err *e);
void engine_free(struct engine *n);
bool engine_turn(void *engine);     /* host_turn_fn */
/* The first fatal error (journal dead, internal), or NULL. */
const struct err *engine_failure(const struct engine *n);

struct run_request {
    struct runbook *book;           /* taken over */
    const char *command;            /* "run", "test" */
    const char *requester;          /* who started it */
    json_t *params;                 /* resolved; borrowed */
    json_t *trigger;                /* {"kind","labels",...}; borrowed; NULL = command line */
    json_t *plan;                   /* what is expected of it (check/plan.h), for its report; borrowed; NULL = nothing */
    uint64_t seed;                  /* 0 = from the host's random */
    const json_t *as;               /* the START payload of the run that it stands for (backtest), or NULL; borrowed */
};
/* Starts a run. ERR_INVALID with place: the runbook's code or what it uses is wrong; nothing was journaled. */
int engine_start(struct engine *n, struct run_request *q, struct run **out, struct err *e);
/* The last owner died at work for a run (watchdog_open): a strike, or, if that was too often at one place (run/strike.c), it
 * is set aside, and *e says so. Nothing if no row of it was written, or it has ended or is set aside already. */
enum strike { STRIKE_NONE, STRIKE_GIVEN, STRIKE_SET_ASIDE };
int engine_strike(struct engine *n, const struct inside *died, const char *who, enum strike *out, struct err *e);
/* Takes a run up again from the journal. ERR_NOT_FOUND, ERR_INVALID (ended, other abi, journal contradicts
 * the sources: says where). `who` is recorded; NULL: a strike has done that. */
int engine_resume(struct engine *n, int64_t id, const char *who, struct run **out, struct err *e);
/* Starts a run that puts back what the ended run `id` changed, the latest first. ERR_INVALID: it has not ended, or an
 * earlier undo of it; ERR_NOT_FOUND: there is nothing to undo; ERR_DENIED: its instances are not what they were. */
int engine_undo(struct engine *n, int64_t id, const char *who, struct run **out, struct err *e);
/* What engine_undo would put back, the latest first; the same errors. *list is owned:
 *   [{ effect: "kubernetes.scale", action, instance, target, args, state, left: as the run left it, back: what is put back }] */
int engine_undo_list(struct engine *n, int64_t id, json_t **list, struct err *e);
/* Replays a run from rows of `from`, never acting. The result is run_replay_result once settled. */
int engine_replay(struct engine *n, struct journal *from, int64_t id, struct run **out, struct err *e);
/* From now on the engine executes every run of its journal: those that an owner executed when it died, and those that
 * were left, are taken up; what waits is a row, and is rebuilt when it goes on. It is settled when all are. `died`: where
 * the last owner died (watchdog_open), or NULL: that run gets a strike, as by engine_strike. */
int engine_recover(struct engine *n, const char *who, const struct inside *died, struct err *e);
/* A waiting run goes on now: somebody answered it, or wants to end it. Also where the engine has it already. */
int engine_wake(struct engine *n, int64_t id, struct err *e);
/* True if the run is in memory. */
bool engine_has(const struct engine *n, int64_t id);
/* Leaves every run at its next safe point (an effect in flight is awaited up to its deadline unless `now`). */
void engine_leave(struct engine *n, bool now);
/* Ends every run as cancelled, as soon as nothing of it is on its way, and puts back what it changed. */
void engine_cancel(struct engine *n, const char *who);
/* The same for one run that is in memory. */
void engine_cancel_run(struct engine *n, int64_t id, const char *who);

/* Facts about a run, for watchers and verbs. Borrowed. */
int64_t run_id(const struct run *r);
const char *run_uuid(const struct run *r);
const struct runbook *run_book(const struct run *r);
const char *run_file(const struct run *r);      /* its runbook in its messages: "NAME.md" */
enum run_state run_state_of(const struct run *r);
const char *run_outcome(const struct run *r);       /* "" until ended */
const char *run_reason(const struct run *r);
const char *run_text(const struct run *r);
int run_line(const struct run *r);                  /* of the gate call it is in, 0 = none */
/* Number of effects whose outcome is not known. */
size_t run_unknown_effects(const struct run *r);
/* "" if the replay was equal, else the first difference in words. */
const char *run_replay_difference(const struct run *r);
/* ERR_DENIED if the settings of an instance are not those that the run started with. */
int run_same_settings(struct run *r, struct err *e);
size_t run_rows(const struct run *r);
struct hash run_chain(const struct run *r);         /* over the rows so far (live, with `chains`: of what was appended) */
/* The numbers of the branches that counted code has reached, a JSON list in a list. ERR_NOT_FOUND: its state is gone. */
int run_counted(struct run *r, struct buf *out, struct err *e);
size_t run_vm_bytes(const struct run *r);
bool run_holds_rows(const struct run *r);           /* those of a replay that goes on */

/* For whoever plans without a run. Applied, absent or moved: equality over the fields of `to`, then of `from`. */
const char *state_verdict(const json_t *state, const json_t *from, const json_t *to);
/* Appends earlier effects of this name on this target by any run, as a JSON list; j NULL: none. */
int engine_effect_history(struct journal *j, struct str name, const char *target, struct buf *out, struct err *e);
/* An observation (answer, now in Unix ms) that is older than the read (request) allows is unknown, whatever it says. */
bool engine_is_stale(struct str request, struct str answer, int64_t now);
/* The sources that a run of `book` is pinned to; uses: [{"instance"}]. Owned. */
struct bundle *engine_bundle(struct registry *registry, const struct runbook *book, const json_t *uses, struct err *e);
/* The sources of a run of `from`, by their id. *out is owned. ERR_INVALID: of an abi that this program does not know. */
int engine_recorded_bundle(struct journal *from, const char *id, struct bundle **out, struct err *e);

/* Exit code for an outcome (DESIGN section 8): 0, 2, 3, 4, 5, 6, 7. */
int outcome_exit_code(enum run_state state, const char *outcome, const char *reason, size_t unknown_effects);

/* A person says what is true of an unknown effect. verdict: "applied", "absent" or "release" (ends the run as
 * escalated and frees its locks; one that has ended is only freed). effect_path NULL = the only unknown one. The journal
 * must be owned by the caller. */
int settle_effect(struct writer *w, struct host *host, int64_t run, const char *effect_path, const char *verdict,
                  const char *who, struct err *e);

/* A person answers a question of a run that nobody executes now. path NULL = the only open one. Nothing else
 * happens until the run is resumed. more: other people must agree, too. */
int answer_question(struct writer *w, struct host *host, int64_t run, const char *path, const struct reply *word,
                    bool *more, struct err *e);
/* The error of a word that the question `args` refuses because of `wrong`; if it is no choice, with what the choices are and
 * how to say one. path: as the person named the question, or NULL. */
int answer_refused(const json_t *args, int64_t run, const char *path, const struct reply *word, const char *wrong, struct err *e);

#endif
