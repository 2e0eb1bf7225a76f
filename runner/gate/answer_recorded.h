/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded run answers a changed runbook (backtest). Questions are known by what
 * they ask (instance, name, arguments), not by where in the code they are asked. The
 * record is evidence as far as the changed run has done what the recorded one did:
 * what was seen between two effects answers only between the same two. Where it has
 * no answer the run stops, and says so.
 *
 * Loop thread only. */
#ifndef MIDWATCH_GATE_ANSWER_RECORDED_H
#define MIDWATCH_GATE_ANSWER_RECORDED_H

#include "gate/gate.h"
#include "gate/people.h"
#include "journal/journal.h"

/* How far from an observation its value still counts. The pause between two looks is by default at most 30 s, so within a
 * recorded wait every moment is near to one; a read whose `max_age` is shorter counts no longer than that. */
#define RECORD_NEAR_MS 30000

struct record_row {
    enum row_kind kind;
    int64_t seq, at, asked_at;      /* Unix ms; asked_at: of an observation, when it was asked for, about */
    size_t segment;                 /* so many effects were begun before this row */
    int line;                       /* of the recorded runbook, 0 = not known */
    char *path, *name;
    json_t *args, *payload;         /* or NULL */
    struct hash question;           /* of OBS: over instance, verb, arguments */
    struct hash args_hash;
    bool used;
};

enum record_stop_kind {
    RECORD_GOES_ON,
    RECORD_BEYOND,                  /* asks what the record does not have */
    RECORD_OTHER_EFFECT,            /* wants to change what the recorded run did not */
    RECORD_REFUSED,                 /* wants what the recorded run wanted, and policy refused then */
};

struct record {
    json_t *start;                  /* START's payload */
    struct record_row *rows;
    size_t n, cap;
    /* How far the changed run has come, and where it stopped. */
    size_t segment;
    int64_t shift;                  /* the changed run's clock minus the record's */
    enum record_stop_kind stop;
    char why[700];
};

/* All rows of a run. *out is owned. ERR_CORRUPT: they cannot be read. */
int record_load(struct journal *j, int64_t run, struct record **out, struct err *e);
void record_free(struct record *rec);
/* Sets why the changed run can go no further, the first time, and stops the host. */
void record_stop(struct record *rec, struct host *h, enum record_stop_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Text of a row's args or payload. */
const char *record_text(const json_t *o, const char *key);

/* Both borrow the record, which they move on, and the host. */
struct answerer *answer_recorded_new(struct record *rec, struct host *host);
struct people *people_recorded_new(struct record *rec, struct host *host);

#endif
