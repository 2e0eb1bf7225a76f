/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the engine: one run, its gate calls in flight, and the rows that move
 * them. Every gate call is a small state machine whose transitions are journal
 * rows: live work produces a row, the row moves the call; a replay feeds the
 * recorded rows to the same functions. So a replay cannot do anything that live
 * did not do. Only files of run/ include this. */
#ifndef MIDWATCH_RUN_RUN_H
#define MIDWATCH_RUN_RUN_H

#include "gate/policy.h"
#include "run/engine.h"
#include "vm/vm.h"

struct call;
struct part;

/* One kind of gate call. */
struct op {
    const char *name;
    /* Checks the arguments; no contact with anything. 0, or an error that ends the run. */
    int (*begin)(struct call *c, struct err *e);
    /* Goes on from the state that the rows left. Only when live. */
    void (*live)(struct call *c);
    /* Takes one row that belongs to this call (its path is the call's or one of its parts'). A row that cannot
     * follow here is a divergence: say so. */
    int (*row)(struct call *c, struct part *p, const struct row *row, struct err *e);
    /* Lets go of timers and questions. May be NULL. */
    void (*drop)(struct call *c);
    /* When it goes on by itself (run time) if nobody does anything; NEVER_MS = it does not; -1 = something of it is on
     * its way. A run whose calls all only wait can be evicted. NULL = always on its way. */
    int64_t (*wakes)(const struct call *c);
};
#define NEVER_MS INT64_MAX

const struct op *op_find(struct str name);
/* What a row may not be here: says both, the call and the recorded row. */
int op_unexpected(struct call *c, const struct row *row, struct err *e);
/* 0 if the row is of this kind and of this very call. */
int op_same_call(struct call *c, const struct part *p, const struct row *row, enum row_kind kind, struct err *e);

/* One read, plan or effect of a call. */
struct part {
    struct call *call;
    size_t index;
    struct str label, name, instance, args;     /* borrowed from the vm's request */
    struct hash hash;                           /* over name, instance, args */
    char path[128];
    bool answered;
    struct buf answer;                          /* what Lua gets for this part */
    struct question question;
    void (*then)(void *part, struct str answer);    /* who gets the answer */
    bool asking;
    const json_t *declared;                     /* its effect's declaration, once it was asked for; borrowed */
    json_t *request;                            /* args parsed, where an op needs fields; owned */
    struct life *life;                          /* of an effect: run/effect.c; owned */
    struct buf text, extra;                     /* what the question borrows */
    json_t *from;                               /* plan: the state that was read; owned */
};

struct call {
    struct run *run;
    const struct op *op;
    uint32_t branch, generation;
    char path[80];
    int line;
    int64_t begun_at;               /* run time of the last row consumed before it */
    bool stalled;                   /* live work waits until no barrier is in flight */
    bool finishing;                 /* part of the run's end: no branch is resumed with its answer */
    struct part *parts;
    size_t nparts, nanswered;
    struct asked *asked;            /* of a question: run/ask.c; owned */
    struct host_op *timer;
    struct call *next;
};

#define EFFECT_BUCKETS 128

/* A change to the world as this run knows it; undo and verify find it by path. */
struct effect {
    struct effect *next;            /* of all, the newest first */
    struct effect *next_path, *next_target;     /* of those whose sum has the same remainder */
    uint32_t path_sum, target_sum;
    enum effect_state state;
    char path[128];
    char key[33];
    char *name, *instance, *target; /* target with its instance */
    json_t *args, *from, *to, *after;
    int64_t intent_seq;
    int line;                       /* of the call that intended it */
    int64_t until;                  /* Unix ms: put back then at the latest; 0 = made to stay */
    bool temporary;
    bool undo_tried;                /* and the code has heard what came of it, or nobody will try again */
    uint32_t undo_telling;          /* the branch that is to hear it next, 0 = none */
    bool is_undo;                   /* of another effect */
    const char *undo_refused;       /* the refusal that its last undo met; NULL = none */
};

struct recorded {                   /* rows of a replay, all text owned by `arena` */
    struct row *rows;
    size_t n, cap, cursor;
    struct arena *arena;
};

void recorded_add(struct recorded *rec, const struct row *row);    /* copies */
/* The rows have been handed out; how many there were is still known. */
void recorded_release(struct recorded *rec);

/* Text that lives as long as a batch of rows. */
struct arena;
struct arena *arena_new(void);
struct str arena_copy(struct arena *a, struct str s);
void arena_free(struct arena *a);

/* The call that was hashed last: its name, instance and args one behind another. */
struct hashed {
    struct buf texts;
    size_t name, instance;          /* bytes */
    struct hash hash;
};
#define HASHED_INIT {.texts = BUF_INIT(16 * KIB)}

struct batch {                      /* rows and changes that wait for a commit */
    struct arena *arena;
    struct row *rows;
    size_t nrows, cap_rows;
    struct change *changes;
    size_t nchanges, cap_changes;
    int64_t since;                  /* mono ms of the first row */
};

struct barrier {                    /* a guarded or awaited commit; one at a time per run */
    bool active;
    struct batch batch;
    /* refusal NULL = durable. On a refusal the batch's last row has not happened. */
    void (*done)(struct run *r, void *ctx, const struct row *last, const char *refusal);
    void *ctx;
    size_t conditional_changes;     /* the last so many changes belong to the last row, and fall with it */
};

/* What the engine's files share. */
struct engine {
    struct engine_options o;
    struct run *runs;
    struct err failure;
    struct registries *more;        /* for runs whose plugins' texts are not those of o.registry (rebuild.c) */
    struct run *moved;              /* the last one whose barrier's commit was delivered */
    struct tend *tend;              /* it executes every run of the journal (tend.c); NULL = only those it was given */
};

enum run_phase { PHASE_REPLAY, PHASE_LIVE, PHASE_SETTLED };

/* A branch's place among all: where its calls' paths begin, and how many it made. */
struct track {
    uint32_t branch;
    uint64_t calls;
    char prefix[40];
    struct track *next;
};

/* An ending by the host, until its END row; text NULL = none. */
struct finish {
    char outcome[24], reason[40];
    char *text;
    int line;
    bool wanted;                    /* from outside; it begins when no branch can run and no barrier is in flight */
    bool announced;                 /* an ENDING row says so: something has to be put back first, or it came from outside */
    bool everything;                /* put back all that the run changed, not only what was for a while */
};

struct run {
    struct engine *engine;
    struct run *next;
    bool held;                      /* somebody outside has the pointer: it stays where it is until the engine goes */
    int flushes;                    /* commits in flight that nobody waits for */
    int line;                       /* of its latest gate call */
    int64_t spent_us;               /* of the loop thread's time */
    bool preempted;                 /* its Lua was at work when its slice was over */
    int64_t id, epoch, next_seq, last_at, started_at, base_mono, base_at;
    char uuid[40];
    struct runbook *book;           /* may be others', too */
    char *file;                     /* what its messages call it, wherever it lay: a resume has the bundle alone */
    struct bundle *bundle;
    struct vm *vm;
    struct vm_record *faces;        /* what its plugins declare; the vm has them */
    struct registry *registry;      /* borrowed */
    json_t *start;                  /* payload of the START row */
    json_t *params, *trigger;       /* borrowed from start */
    enum run_phase phase;
    enum run_state state;
    bool replay_only, leaving, ended, parked;
    int64_t undoes;                 /* the run whose changes this one puts back; 0 = none */
    char *cancelled_by;             /* a person cancelled it; NULL = nobody */
    bool ending;                    /* it is decided that the run ends: no Lua runs any more */
    struct finish finish;           /* and the host decided it */
    struct recorded recorded;
    struct hashed hashed;
    struct arena *asked;            /* what the host's own calls ask for; NULL = there was none */
    struct batch pending, spare;    /* spare: empty; the memory for the next one */
    struct barrier barrier;
    struct call *calls;
    struct effect *effects, *by_path[EFFECT_BUCKETS], *by_target[EFFECT_BUCKETS];
    size_t neffects;
    bool has_temporary;             /* there was one for a while */
    struct track *tracks;           /* of the branches */
    uint32_t main_branch;
    bool undo_told;                 /* of some effect a branch has still to hear what came of its undo */
    bool unproven;                  /* a remedy was intended, and there is no verdict on it yet */
    int64_t waited_ms, waiting_since;   /* for people: not counted by limits.time */
    int questions;                  /* open ones */
    struct approval *approvals;
    struct host_op *temporary_timer;
    size_t rows_total;
    struct hash chain;
    char outcome[24], reason[40];
    char *text;
    char *elsewhere;                /* why this run may not go on here, or NULL */
    char difference[1024];
    bool escalation_open;
    struct host_op *escalate_timer, *flush_timer;
};

/* rows.c: appending and committing */
/* Appends a row now (live): it is stamped, watched, and handed to `c`'s op (c NULL: the run's own row). */
int run_row(struct run *r, struct call *c, struct part *p, enum row_kind kind, struct str name, struct str args,
            struct str payload);
/* Appends a row that only happens if the commit does; the op sees it after. */
int run_row_conditional(struct run *r, struct part *p, enum row_kind kind, struct str name, struct str args,
                        struct str payload, struct row **out);
struct change *run_change(struct run *r, enum change_kind kind);
struct str run_keep(struct run *r, struct str s);       /* text for a change: lives as long as the batch */
/* Commits everything pending as one item. With guards, the last row and the last conditional_changes happen
 * only if all hold; `done` must then append exactly one row for a refusal. False if another barrier is in flight: try again later (op->live). */
bool run_commit(struct run *r, const struct guard *guards, size_t nguards, size_t conditional_changes,
                void (*done)(struct run *, void *, const struct row *, const char *), void *ctx);
/* Rows do not wait long for a barrier: others want to see them. */
void run_flush_if_due(struct run *r);
/* At once: a row that must not be lost to a power cut that comes soon. Behind a barrier that is in flight it waits. */
void run_flush_now(struct run *r);
/* Submits what is pending as an item that no row waits for; `done` gets ctx. */
void run_submit(struct run *r, writer_done_fn done, void *ctx);
/* Hands one row to whoever it belongs to, live or recorded, and keeps time and chain. */
int run_consume(struct run *r, struct call *c, struct part *p, const struct row *row, bool replayed);
int64_t run_now(struct run *r);                          /* Unix ms; never steps back within a run */
void batch_reset(struct batch *b);

/* call.c: calls in flight */
int call_begin(struct run *r, const struct vm_request *q, struct err *e);
/* A call that no branch made, at a path of its own. Copies the texts. */
int call_host(struct run *r, struct str op, const char *path, struct str name, struct str instance, struct str args,
              struct err *e);
struct call *call_find(struct run *r, struct str path, struct part **part);
/* What stands in p->answer is the part's answer. When all parts have one, Lua gets their list. */
void part_answered(struct part *p);
void call_answer(struct call *c, struct str json);
void call_free_all(struct run *r);
/* Asks the world for a part; the answer comes to `done`. */
void part_ask(struct part *p, enum question_kind kind, struct str args, struct str extra, struct str target,
              int64_t timeout_ms, void (*done)(void *part, struct str answer));
/* OBS and others store {"line":N,"o":answer}: the answer inside. */
struct str payload_inner(struct str payload);

/* finish.c */
/* Ends the run as soon as nothing of it is on its way. The first ending wins. */
void run_finish(struct run *r, const char *outcome, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The END row has been consumed. */
void run_end_consumed(struct run *r, const struct row *row);
bool run_out_of_time(struct run *r);
int64_t run_time_left(struct run *r);                   /* ms of limits.time; negative = it is over */
/* Live: what goes with an END row: state, locks kept or freed, escalation. */
void run_end_changes(struct run *r, struct str outcome, struct str reason, struct str text);
/* The payload of that END row: its line, and whether a remedy that nobody stopped proved nothing. */
void run_end_payload(struct run *r, int line, struct str outcome, struct str reason, struct buf *out);
/* The verdict on a remedy: so many in a row that do not help turn the runbook off. */
void run_verdict(struct run *r, bool holds, int64_t off_after);
/* Parks the run until a person settles the effect of p. */
void run_park(struct run *r, struct part *p, const char *why);
/* True while an effect is on its way: leaving waits for its answer. */
bool run_sending(const struct run *r);
/* True while the outcome of an effect in flight is not known: an end waits for it. */
bool run_unsettled(const struct run *r);
/* Wants the run ended as cancelled and everything put back. Live only. */
void run_cancel(struct run *r);
/* The timer of the next change for a while that has to be put back. */
void run_arm_temporary(struct run *r);
/* What waits for the end of a barrier, and the steps of stopping. True if there was something. */
bool run_after_barrier(struct run *r);
/* Begins to put back x, because the run ends. */
int finish_undo(struct run *r, struct effect *x, struct err *e);
/* No branch can run: begins the ending that was wanted from outside, if one was. So a replay, which runs the branches
 * as far as they come before it takes the next row, finds them where they were. True if it did. */
bool finish_interrupted(struct run *r);
/* The code ends the run; what was wanted from outside comes too late. */
void finish_by_code(struct run *r);
/* The code ends the run with these words (JSON) while something is in force that has to be put back: then the host
 * does that and ends it. False if there is nothing. */
bool finish_takes_over(struct run *r, struct str outcome, struct str reason, struct str text);
/* Takes up an ending that an ENDING row announced. */
void finish_announced(struct run *r, const struct row *row);
/* The args of the END row as the code makes them now: reason and text, with what could not be undone. recorded: the END that
 * is replayed, NULL = live: an older one may say nothing of a target that somebody else moved, nor name a refusal. */
void finish_end_args(struct run *r, const struct row *recorded, struct buf *out);
/* Live again after a replay, or for the first time: the timer of escalate.after. */
void run_arm_escalation(struct run *r);

/* run.c */
/* Ends the run because of a row or commit that must not be: an internal or journal error. */
void run_fail(struct run *r, const struct err *e);
void run_diverged(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void run_settle_phase(struct run *r);
int64_t clock_us(void);             /* of the machine: what work costs, never what a run sees */
bool run_pump(struct run *r);       /* true if there is more to do at once */
/* The path of the branch's next call. */
void run_next_path(struct run *r, uint32_t branch, char *out, size_t size);
void run_tracks_free(struct run *r);

/* episodes.c: what the operator calls flapping. trigger gets "episodes": how often its alert began of late, with this time,
 * as far as runs were started for it; nothing where nobody asks. */
int episodes_count(struct run *r, json_t *trigger, struct err *e);

/* setup.c: from sources and inputs to a state that is ready to run */
/* The START payload of a new run; also checks that everything it uses exists. Owned. */
json_t *setup_start(struct run *r, const struct run_request *q, struct err *e);
/* The sources of a new run: runbook, language, plugins. Owned. */
struct bundle *setup_bundle(struct run *r, const struct run_request *q, struct err *e);
/* The Lua state from r->bundle and r->start, with the runbook's chunk as its first branch. */
int setup_vm(struct run *r, struct err *e);
/* ERR_DENIED if the settings of an instance are not those that START recorded. */
int setup_same_settings(struct run *r, struct err *e);

/* rebuild.c: a run from its journal */
/* Its bundle and runbook; then, with its START, the plugins as the bundle has them. */
int rebuild_sources(struct run *r, struct journal *from, const char *bundle, struct err *e);
int rebuild_registry(struct run *r, struct err *e);
void run_takes_book(struct run *r, struct runbook *book);      /* owned from here on */
/* An empty run; rebuild_run fills it, run_deinit empties it again but for its place in the engine. */
struct run *run_empty(struct engine *n);
/* The machine that executed the run last: "" if it is that of `who` ("user@machine"), or nobody knows. Borrowed. */
struct str rebuild_moved(const struct run *r, const char *who);
int rebuild_run(struct run *r, struct journal *from, int64_t id, bool replay_only, struct err *e);
void rebuild_free(struct engine *n);
bool rebuild_turn(struct engine *n);        /* of the plugins behind o.registry and the others */

/* undo.c: a run that puts back what run `undoes` changed */
/* Takes the effects of an ended run as r's own, as the undos of it before run `before` have left them. ERR_INVALID: one of
 * those has not ended. */
int undo_seed(struct run *r, struct journal *from, int64_t id, int64_t before, struct err *e);
bool undo_has_work(const struct run *r);
/* The START payload of r, out of that of the run that it undoes. Owned. */
json_t *undo_start(struct run *r, const json_t *start, const char *who);
/* What that run and earlier undos of it left locked is r's to lock: a person broke it. */
int undo_release(struct run *r, const struct run_info *info, struct err *e);
/* r has nothing else to do than to end and to put everything back. */
void undo_begin(struct run *r);

/* effect.c */
struct effect *effect_find(struct run *r, const char *path);
struct effect *effect_add(struct run *r, const char *path, const char *target);
void effect_drop(struct run *r, struct effect *x);
/* The next one on this target behind x, an older one; x NULL = the newest. */
struct effect *effect_on(const struct run *r, const char *target, const struct effect *x);
/* `by`, an effect or an undo, has been applied: what else the run changed of its target is looked for, when it is undone,
 * as `by` left it. Only where `by` found it as it was left: what somebody else did in between is still seen. */
void effect_follow(struct run *r, const struct effect *by);
/* The branch goes on: it has heard what it was told. */
void effect_heard(struct run *r, uint32_t branch);
void effect_free_all(struct run *r);
void life_free(struct part *p);
int op_apply_begin(struct call *c, struct err *e);
void op_apply_live(struct call *c);
int op_apply_row(struct call *c, struct part *p, const struct row *row, struct err *e);
void op_apply_drop(struct call *c);
int op_undo_begin(struct call *c, struct err *e);
/* The fields of `state` that `named` has, too. Owned. */
json_t *state_fields(const json_t *state, const json_t *named);

/* Answers the apply or undo call: outcome and what Lua is told. */

/* plan.c */
/* The declaration of the effect that a part names, or NULL with e set. Borrowed. */
const json_t *part_effect(struct part *p, struct err *e);
/* "instance:target" of the effect, from its declaration's template. */
int part_target(struct part *p, const json_t *declared, const json_t *args, struct buf *out, struct err *e);
/* The targets, without the instance, that effects of p's name and instance have been intended on in this run; planned:
 * and those of the call's parts before p. None are given where no at_most could be exceeded. The list is the caller's,
 * its texts are borrowed. */
size_t part_touched(const struct part *p, bool planned, struct str **out);
/* Canonical text of v (NULL: "null") added to out. */
void add_json(struct buf *out, const json_t *v);
/* The fields of `state` that are as in `before` become as in `after`; those that `but` has (it may be NULL) stay. */
void state_follow(json_t *state, const json_t *before, const json_t *after, const json_t *but);
/* Earlier effects of this action on this target by any run, as a JSON list. */
void effect_history(struct run *r, struct str name, const char *target, struct buf *out);
int op_plan_begin(struct call *c, struct err *e);
void op_plan_live(struct call *c);
int op_plan_row(struct call *c, struct part *p, const struct row *row, struct err *e);

/* evict.c: a run that only waits is a row, and is rebuilt from its journal when it goes on */
/* Nothing of it is on its way. *wake: when it goes on by itself, run time, or NEVER_MS. */
bool evict_possible(struct run *r, int64_t *wake);
/* True if rows came since it was rebuilt, and nothing of it is on its way: o.evict_always wants it rebuilt now. */
bool evict_wanted(struct run *r);
/* Rebuilds it where it is. */
void evict_in_place(struct run *r);

/* tend.c: the engine executes every run of the journal */
/* Evicts what waits, wakes what is due, takes up what is left to take up, lets go of what is settled. True if something
 * moved. */
bool tend_turn(struct engine *n);
bool tend_is_over(const struct engine *n);
void tend_leave(struct engine *n);
/* The run cannot go on in this engine: it is told, and not woken again. */
void tend_refuse(struct engine *n, int64_t id, const struct err *e);
void tend_free(struct engine *n);

/* engine.c */
/* The run is ours from here on: a new epoch fences whoever had it. */
int run_take_over(struct run *r, const char *who, struct err *e);
/* The process died at work for a run: a strike, or, if it did so too often at that place, it is set aside, and *e says so. */
int run_strike(struct engine *n, const struct inside *died, const char *who, bool *set_aside, struct err *e);
/* A run in its replay, whose rows its code contradicts: it ends nowhere, keeps its locks, and a person is told. */
void run_set_aside(struct run *r, const struct err *why);
void run_deinit(struct run *r);
void run_free(struct run *r);
struct host *engine_host(const struct engine *n);
const struct engine_options *engine_opts(const struct engine *n);
/* The effect of a part on "instance:target" as policy sees it; the operator's `allow` counts where something acts (not in
 * test and replay). Borrows everything. */
struct policy_effect part_policy(const struct part *p, const json_t *args, const json_t *declared, const char *target);
void engine_fatal(struct engine *n, const struct err *e);

#endif
