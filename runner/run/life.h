/* SPDX-License-Identifier: Apache-2.0 */
/* The states of an effect's life and what is done in each when live. The rows that
 * move it are in effect.c, the deeds in send.c (up to the answer) and check.c (from
 * an unknown outcome to a known one). Only files of run/ include this. */
#ifndef MIDWATCH_RUN_LIFE_H
#define MIDWATCH_RUN_LIFE_H

#include "run/run.h"

enum life_state {
    LIFE_NONE,
    LIFE_NEW,           /* planned; nothing durable */
    LIFE_INTENDED,      /* INTENT is durable; sent, or not */
    LIFE_UNKNOWN,       /* it may have arrived */
    LIFE_CHECKED,       /* read back, or a person spoke: l->verdict */
    LIFE_DONE,
    LIFE_STATES
};
const char *life_state_name(enum life_state s);

struct life {
    enum life_state state;
    const json_t *declared;         /* borrowed from the registry */
    const char *kind;               /* ensure | keyed | never_twice */
    struct effect *effect;          /* once intended */
    struct effect *undo_of;         /* an undo, of this */
    json_t *args, *from, *to;
    json_t *state_after;
    struct buf target;              /* instance:target */
    struct buf intent_args;         /* args of the INTENT row */
    char key[33];
    int attempt, lost;              /* sent so often; so many of them cut off by a crash of ours */
    int64_t timeout_ms, deadline;   /* deadline: Unix ms of the run's clock */
    int64_t probing_since;          /* run time of the first probe of this process, 0 = none */
    int probes;
    bool held;                      /* policy refuses it, but what cannot be looked at comes first
                                     * in the order */
    bool busy;                      /* a question, timer or commit is in flight */
    struct host_op *timer;
    char verdict[16], settled_by[128];
    const struct may *permit;       /* the entry that permits it, from the look right before the intent */
    const char *refused;            /* a RESULT that policy forced carries the refusal's name */
};

/* LIFE_NEW: policy, a last look at the target, then the intent. */
void life_look(struct part *p);
/* LIFE_INTENDED, and not sent by this process: the answer is lost. */
void life_lost(struct part *p);
/* An UNKNOWN row, then the first look. */
void life_unknown(struct part *p, const char *why);
/* LIFE_UNKNOWN: read back until the outcome is known or the time for it is over. */
void life_probe(struct part *p);
/* LIFE_CHECKED: adopt, send again, give up, or park. */
void life_conclude(struct part *p);
/* LIFE_CHECKED in a run that was taken up again: where nothing could be read back, look once more first. */
void life_take_up(struct part *p);

/* Appends a row of this effect with a payload (takes its reference). */
void life_row(struct part *p, enum row_kind kind, const char *name, json_t *payload);
/* Commits an intent for this life, then sends it. */
void life_intend(struct part *p, int attempt);
/* Sends again what is known to be absent, if policy permits it now and the run's time is not over. */
void life_again(struct part *p);
/* The INTENT of an undo, where the target was found in state `from`. */
void undo_says(struct part *p, const json_t *from);
/* A RESULT row with the projection's change. why may be NULL. */
void life_result(struct part *p, const char *outcome, const char *how, const json_t *state, const char *why);
/* Asks for the target's state now; `done` gets the answer parsed by life_answer. */
void life_ask_state(struct part *p, void (*done)(void *part, struct str answer));
/* Asks for the effect itself (ASK_APPLY) or for what became of it (ASK_CHECK). */
void life_ask(struct part *p, enum question_kind kind, void (*done)(void *part, struct str answer));
/* The answer as JSON, or an object with unknown = "error". Owned. */
json_t *life_answer(struct str answer);
void life_wait(struct part *p, int64_t ms, void (*fn)(void *part));

/* An effect that is to be sent. */
struct wish {
    struct run *run;
    const char *target;             /* instance:target */
    struct part *part;              /* its life; NULL = people are to be asked first */
    int64_t remedy;                 /* its number in the run */
    const char *approval;           /* "" or the path of the ASK that it uses up */
};
struct wish life_wish(struct part *p);

/* refusal.c: what policy says of it now: the first refusal in its order, or NULL. What the journal knows is asked only
 * where something else refuses already, or before people are asked: otherwise the intent's guards say it. */
const char *refusal_now(const struct wish *w, struct buf *why);
/* It is refused by r, because of why: what comes before r in the order, if that refuses, too, with its own why, or r. */
const char *refusal_first(const struct wish *w, enum refusal r, struct buf *why);

/* guards.c: what must hold inside of the transaction of its intent. Texts live as long as the run's pending batch. */
#define GUARDS_MAX (10 + BUDGETS_MAX)
size_t intent_guards(const struct wish *w, struct guard *g);
/* Why such a guard does not hold, and who can do what. */
void guard_words(const struct wish *w, const char *refusal, struct buf *why);

/* An effect on p's target of a branch that runs beside p's. open: that is not proven yet, or may still be put back; else one
 * that left the target in this state. NULL = none. */
const struct effect *guard_beside(const struct part *p, bool open, const json_t *state);
void guard_beside_words(const struct part *p, const struct effect *x, struct buf *why);

/* True if a request of this effect may be on its way. */
bool life_is_sending(const struct part *p);
/* True from the intent until the outcome is known. */
bool life_is_open(const struct part *p);

#endif
