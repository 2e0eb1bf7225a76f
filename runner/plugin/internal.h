/* SPDX-License-Identifier: Apache-2.0 */
/* Inside plugin/: one loaded instance (a body) and its calls in flight. */
#ifndef MIDWATCH_PLUGIN_INTERNAL_H
#define MIDWATCH_PLUGIN_INTERNAL_H

#include "plugin/plugin.h"
#include "vm/vm.h"

struct process;
struct body;

/* What a body is made of: Lua (registry.c, body.c) or a process (process.c). */
struct body_ops {
    /* From b->text to b->declared; configures. */
    int (*load)(struct body *b, struct err *e);
    int (*want)(struct body *b, const char *verb, struct str args, struct str state, struct str history, struct buf *out,
                struct err *e);
    int (*start)(struct body_call *c, const struct body_request *q, struct err *e);
    void (*drop)(struct body_call *c);      /* lets go of what the call holds; c->timed_out says why */
    bool (*turn)(struct body *b);
    void (*free)(struct body *b);
};
extern const struct body_ops luabody_ops, process_ops;

struct body_call {
    struct body_call *next;
    struct body *body;
    enum body_kind kind;
    int64_t run;
    body_fn done;
    void *ctx;
    struct host_op *deadline;
    /* of a process */
    struct process *process;
    int64_t id;
    bool sent, lost;                /* lost: its process is gone */
    char *verb;
    struct buf line;                /* the request, until the process is ready for it */
    /* of Lua */
    uint32_t branch;
    struct host_op *op;             /* the host call its primitive waits for */
    uint32_t generation;            /* of that primitive's request */
    size_t primitive;               /* which it is */
    json_t *args;                   /* and what it was given */
    const json_t *spec;             /* of a read: its declaration */
    json_t *asked;                  /* and its arguments, where they name the fields of the answer */
    char secret[64];                /* whose name its request carries, or "" */
    bool renewed;                   /* it was sent again with a newer secret */
    bool may_have_sent;             /* a request that changes something may have left */
    bool timed_out;
    struct buf answer;              /* of the primitive, until the turn gives it to Lua */
    bool answered;
};

struct body {
    struct body *next;
    struct registry *registry;
    const struct body_ops *ops;
    char *instance, *plugin;
    struct plugin_source *sources;  /* the declaration first, then its modules */
    size_t nsources;
    char *program;                  /* of a process; NULL where no body may act */
    struct process *processes;
    struct vm *vm;
    json_t *declared;
    struct vm_record face[FACE_SECTIONS];   /* of declared; made when it is first wanted */
    const struct instance *config;  /* NULL when it only describes */
    struct body_call *calls;
    bool looks_for_answers, looks_for_late;     /* since the last turn a call was answered, or its time was over */
    char setting[64];               /* of the instance, that was wrong; or "" */
    bool dead;                      /* its state was killed: every call fails */
    int64_t off_until;              /* mono ms; then the next call gets a new one */
};

struct registry {
    struct registry_options o;
    const struct bundle *pinned;    /* of a run that was taken up again, or NULL */
    struct body *bodies;
    char **secrets;                 /* texts of bodies: handle N = secrets[N - 1] */
    size_t nsecrets;
    struct secret *configured_secrets;  /* as many as the configuration has; NULL until one is needed */
    bool learnt;
};

/* The loaded body of an instance; loads it. */
int body_find(struct registry *r, const char *instance, const char *plugin, struct body **out, struct err *e);
/* Ends the call with its answer, or with what a broken body comes to ("unknown" for an apply that may have been sent);
 * c is gone afterwards. */
void body_finish(struct body_call *c, struct str answer);
void body_finish_broken(struct body_call *c, const char *why);

/* Puts the place of the instance in front, or of b->setting in it. Returns e->code. */
int body_at_instance(const struct body *b, struct err *e);

void face_free(struct body *b);

int luabody_load(struct body *b, struct err *e);
/* Its state used too much memory or time: it is off for a while, because it may do so again. */
void luabody_killed(struct body *b);
/* A new state for it, with the same texts and declarations. ERR_LIMIT: it is off. */
int luabody_again(struct body *b, struct err *e);
int luabody_want(struct body *b, const char *verb, struct str args, struct str state, struct str history, struct buf *out,
             struct err *e);

/* The program of a process plugin, into b->program. */
int program_find(struct body *b, struct err *e);
/* True, with the error, if the operator has a program of that name that nobody wrote a declaration for. */
bool program_without_text(struct body *b, struct err *e);

/* The texts of b->plugin into b->sources, and from there into its Lua state. */
int sources_find(struct body *b, struct err *e);
int sources_load(struct body *b, struct err *e);
void sources_free(struct body *b);
/* A request of the body's Lua: starts the primitive; its answer comes to primitive_answer. */
void primitive_begin(struct body_call *c, const struct vm_request *q);
/* Starts it once more: what it waited for is there, or err. */
void primitive_again(void *ctx, const struct err *err);
/* The answer, for the turn to hand over. Takes `take`. */
void primitive_answer(struct body_call *c, json_t *take);
void primitive_error(struct body_call *c, const char *why);
/* Bytes of somebody else as a JSON string, without secrets unless `raw`; what is not UTF-8 becomes U+FFFD. cut: they
 * were cut off at their end. */
json_t *primitive_text(struct str s, bool raw, bool cut);
double primitive_number(const json_t *args, const char *key, double absent);
/* The primitive http. */
int http_begin(struct body_call *c, const json_t *args, struct err *e);

#endif
