/* SPDX-License-Identifier: Apache-2.0 */
/* Inside plugin/: one loaded instance (a body) and its calls in flight. */
#ifndef MIDWATCH_PLUGIN_INTERNAL_H
#define MIDWATCH_PLUGIN_INTERNAL_H

#include "plugin/plugin.h"
#include "vm/vm.h"

struct body_call {
    struct body_call *next;
    struct body *body;
    enum body_kind kind;
    uint32_t branch;
    body_fn done;
    void *ctx;
    struct host_op *deadline;
    struct host_op *op;             /* the host call its primitive waits for */
    uint32_t generation;            /* of that primitive's request */
    bool may_have_sent;             /* a request that changes something may have left */
    bool timed_out;
    struct buf answer;              /* of the primitive, until the turn gives it to Lua */
    bool answered;
};

struct body {
    struct body *next;
    struct registry *registry;
    char *instance, *plugin;
    struct str text;                /* borrowed: embedded, pinned, or owned_text */
    char *owned_text;
    struct vm *vm;
    json_t *declared;
    const struct instance *config;  /* NULL when it only describes */
    struct body_call *calls;
    bool dead;                      /* its state was killed: every call fails */
};

struct registry {
    struct registry_options o;
    struct body *bodies;
    char **secrets;                 /* handle N = secrets[N - 1] */
    size_t nsecrets;
};

/* The loaded body of an instance; loads it. */
int body_find(struct registry *r, const char *instance, const char *plugin, struct body **out, struct err *e);
/* A request of the body's Lua: starts the primitive; its answer comes to primitive_answer. */
void primitive_begin(struct body_call *c, const struct vm_request *q);

#endif
