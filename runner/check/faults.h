/* SPDX-License-Identifier: Apache-2.0 */
/* One fault at one question to the world or to people, or while the run waits: in front of the answerer and the people of a
 * scenario. */
#ifndef MIDWATCH_CHECK_FAULTS_H
#define MIDWATCH_CHECK_FAULTS_H

#include "gate/gate.h"
#include "gate/people.h"

/* Beside the kinds of gate.h, in one numbering with them. */
enum fault_place { AT_PERSON = ASK_NOTIFY + 1, AT_WAIT, FAULT_PLACES };

enum fault {
    FAULT_NO_DATA,              /* a wait: no read answers until its end */
    FAULT_ERROR,                /* a person: nobody can be asked */
    FAULT_STALE,
    FAULT_TIMEOUT,              /* a look: no answer in its time. An effect: nor can it be read back. A person: nobody answers */
    FAULT_MOVED,                /* a state: somebody else changed the target. An effect: its own precondition found it */
    FAULT_ABSENT,               /* the answer was lost, and the effect had not arrived */
    FAULT_CUT,                  /* the answer was lost, and the effect had arrived */
    FAULT_409,
    FAULT_REFUSED,              /* a person: says the last of the choices: no, could not */
    FAULT_CRASH,                /* the process ends; an effect has arrived; a person is still to answer; it waits */
    FAULTS
};
const char *fault_name(enum fault f);
/* Whether it can happen to such a question (enum question_kind) or there (enum fault_place). */
bool fault_fits(enum fault f, int kind);

struct fault_plan {
    size_t at;                  /* the question it happens to, from 1; 0 = none: only count */
    enum fault fault;
    /* out */
    size_t calls;
    bool crashed;               /* the host was stopped; the engine must not be run any more */
    int *kinds;                 /* of the questions so far, as for fault_fits; owned: fault_plan_deinit */
    char **names;               /* "p95", "kubernetes.rollback prod-eu:..." */
};
void fault_plan_deinit(struct fault_plan *p);

/* Borrows all of them; free() frees itself alone. */
struct answerer *answer_faulty_new(struct answerer *inner, struct host *host, struct fault_plan *plan);
/* The run begins to wait: a question of the plan, too. */
void answer_faulty_waits(struct answerer *faulty, struct str title, int64_t within_ms);
/* The same as answer_faulty_new for people. */
struct people *people_faulty_new(struct people *inner, struct host *host, struct fault_plan *plan);
/* For these two: notes a question. True if the fault happens to it. */
bool fault_plan_next(struct fault_plan *p, int kind, const char *name);

#endif
