/* SPDX-License-Identifier: Apache-2.0 */
/* People behind the gate: an approval, a question or something to do by hand is
 * shown to whoever can answer, on a terminal or by a command of somebody else, and
 * their words come back one by one. What a word counts for is run/ask.c's.
 *
 * Loop thread only. */
#ifndef MIDWATCH_GATE_PEOPLE_H
#define MIDWATCH_GATE_PEOPLE_H

#include "base/err.h"
#include "io/host.h"

#include <jansson.h>

/* One word of one person. Borrowed for the call. */
struct reply {
    const char *answer;         /* one of the choices */
    const char *by;             /* who */
    const char *const *groups;  /* that person's, NULL-ended, or NULL */
    const char *via;            /* "terminal", "command", "test" */
};

/* Everything is borrowed and stays until withdrawn. */
struct enquiry {
    int64_t run;
    const char *path;           /* of the gate call */
    const char *title;
    const json_t *args;         /* kind, choices, within, text, to, by, of, effects, why, changed */
    int64_t asked_at, deadline; /* Unix ms */
    size_t votes;               /* words that were taken so far, of this enquiry, by a run that asks again */
    bool requester_may;         /* the one who started the run may answer */
    /* Returns NULL if the word was taken, else why not. May withdraw the enquiry. */
    const char *(*answer)(void *ctx, const struct reply *w);
    void *ctx;
    void *in_flight;            /* the people's own */
};

struct people;
struct people_ops {
    /* ERR_NOT_FOUND: there is nobody who could be asked. Never answers before it has returned. */
    int (*ask)(struct people *p, struct enquiry *q, struct err *e);
    void (*withdraw)(struct people *p, struct enquiry *q);
    void (*free)(struct people *p);
};
struct people {
    const struct people_ops *ops;
};

/* A scenario's people: { TITLE | approve: { say, by, after } }. Copies the scenario. */
struct people *people_script_new(const json_t *scenario, struct host *host);
/* The line that the scenario lacks, or "". Borrowed. */
const char *people_script_complaint(const struct people *p);

#endif
