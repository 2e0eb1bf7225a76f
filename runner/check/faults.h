/* SPDX-License-Identifier: Apache-2.0 */
/* One fault at one question to the world, in front of the answerer of a scenario. */
#ifndef MIDWATCH_CHECK_FAULTS_H
#define MIDWATCH_CHECK_FAULTS_H

#include "gate/gate.h"

enum fault {
    FAULT_NO_DATA, FAULT_ERROR, FAULT_STALE,
    FAULT_TIMEOUT,              /* a look: no answer in its time. An effect: nor can it be read back */
    FAULT_MOVED,                /* a state: somebody else changed the target. An effect: its own precondition found it */
    FAULT_ABSENT,               /* the answer was lost, and the effect had not arrived */
    FAULT_CUT,                  /* the answer was lost, and the effect had arrived */
    FAULT_409, FAULT_REFUSED,
    FAULT_CRASH,                /* the process ends; an effect has arrived */
    FAULTS
};
const char *fault_name(enum fault f);
/* Whether it can happen to such a question. */
bool fault_fits(enum fault f, enum question_kind kind);

struct fault_plan {
    size_t at;                  /* the question it happens to, from 1; 0 = none: only count */
    enum fault fault;
    /* out */
    size_t calls;
    bool crashed;               /* the host was stopped; the engine must not be run any more */
    enum question_kind *kinds;  /* of the questions so far; owned: fault_plan_deinit */
    char **names;               /* "p95", "kubernetes.rollback prod-eu:..." */
};
void fault_plan_deinit(struct fault_plan *p);

/* Borrows all of them; free() frees itself alone. */
struct answerer *answer_faulty_new(struct answerer *inner, struct host *host, struct fault_plan *plan);

#endif
