/* SPDX-License-Identifier: Apache-2.0 */
/* A body that is a process: lines of JSON over its stdin and stdout
 * (plugins/PROTOCOL.md). It is started at the first call and never trusted: what
 * breaks the protocol ends it, and its calls end as a broken body's do. */
#ifndef MIDWATCH_PLUGIN_PROCESS_H
#define MIDWATCH_PLUGIN_PROCESS_H

#include "base/limits.h"
#include "plugin/secret.h"

enum { PROCESS_LINE_MAX = VALUE_BYTES_MAX + 64 * KIB, FORGOTTEN_MAX = 64 };

enum stage { DESCRIBING, CONFIGURING, READY };

struct process {
    struct process *next;
    struct body *body;
    struct host_op *op;                 /* NULL once it ended */
    struct host_op *timer;              /* of the handshake, or after the end of its output */
    enum stage stage;
    bool secrets_came;                  /* that configure waited for */
    bool draining;                      /* let a call time out */
    size_t ncalls;
    int64_t next_id;
    int64_t forgotten[FORGOTTEN_MAX];   /* calls that nobody waits for any more */
    size_t nforgotten;
    struct buf said;                    /* and not read yet */
    struct buf grumble;                 /* the beginning of a line on stderr */
    char last_words[200];
    size_t errors, logged;
    char ended[80];                     /* how, "" while it runs */
    char broken[500];                   /* why it cannot be trusted, "" while it can */
};

/* process.c. A process that has been asked to describe itself; the turn goes on from there. */
int process_begin(struct body *b, struct process **out, struct err *e);
/* The call's line, to a process that is READY. */
void process_send(struct process *p, struct body_call *c);
bool process_turn(struct body *b);
/* Ends it with its group; nobody may wait for it any more. */
void process_free(struct process *p);

/* process_lines.c. The request of a call as one line. ERR_LIMIT if it is larger than a line may be. */
int process_request(const struct body_call *c, const struct body_request *q, int64_t id, struct buf *out, struct err *e);
/* An answer in the form of body_fn, from what the process said. Takes no reference; ERR_INVALID: the answer is none
 * that this call can have. */
int process_answer(const struct body_call *c, const json_t *said, struct buf *out, struct err *e);
/* The line of `configure`: the instance's settings, with the values of their secrets, which must be bound to the plugin as
 * a program. 0, SECRET_LATER (then `again` comes), or an error. */
int process_configure(struct body *b, int64_t id, secret_fn again, void *ctx, struct buf *out, struct err *e);

#endif
