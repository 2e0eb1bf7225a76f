/* SPDX-License-Identifier: Apache-2.0 */
/* What plan.c knows of the world: looked up once, kept for all paths. */
#ifndef MIDWATCH_CHECK_PLAN_WORLD_H
#define MIDWATCH_CHECK_PLAN_WORLD_H

#include "check/explore.h"
#include "check/plan.h"

struct planner {
    const struct plan_request *q;
    int64_t now;                /* Unix ms: when the plan was begun */
    json_t *kept;               /* call -> answer */
    json_t *reads, *effects, *remedies;     /* of the plan */
    json_t *notes;              /* what was not asked: as explore.h */
    json_t *planned;            /* targets of earlier parts of one call: [{effect, instance, target}] */
    char verifying[256];        /* the remedy whose verify is looking */
    size_t waiting;             /* calls of bodies */
    struct err broken;          /* the loop ended */
};

struct world_call {
    struct planner *p;
    json_t *answer;             /* owned; NULL until world_wait, and behind it if the loop ended */
};
/* Asks the body that c names, what went wrong is answered as unknown "error"; w stays where it is until world_wait. */
void world_start(struct planner *p, struct world_call *w, enum body_kind kind, const struct explore_call *c, struct str args,
                 struct str extra);
/* Waits for all calls. */
void world_wait(struct planner *p);

/* Both for one call. Owned. */
json_t *world_ask(struct planner *p, enum body_kind kind, const struct explore_call *c, struct str args, struct str extra);
/* The declarations of the call's instance, or of its read or effect ("reads", "effects"); NULL with e set. Borrowed. */
const json_t *world_declared(struct planner *p, const struct explore_call *c, const char *kind, struct err *e);
/* False for a program that does not say that a plan may ask it: its answers are symbols, and the plan notes it. */
bool world_may_ask(struct planner *p, const struct explore_call *c);
/* Whether policy would refuse the effect of an apply call with these args: appends the refusal's name and why. Behind a
 * change or a wait only what does not pass by itself counts. */
bool world_refuses(struct planner *p, const struct explore_call *c, const json_t *args, struct buf *name, struct buf *why);

/* plan_read.c: 1 with the answer of a read in out, or 0: nobody knows it. plan_reads makes those of a group, which are asked for
 * next. */
int plan_read(struct planner *p, const struct explore_call *c, struct buf *out, struct err *e);
int plan_reads(struct planner *p, const struct explore_call *c, struct err *e);
/* plan.c: what is told of a remedy, by its title. Borrowed. */
json_t *plan_remedy(struct planner *p, const char *title);

/* plan_effect.c: 1 with the payload of a PLAN row in out, or 0. */
int plan_effect(struct planner *p, const struct explore_call *c, struct buf *out, struct err *e);
/* The effect in p->effects that an apply call is about, or NULL. Borrowed. */
json_t *plan_find_effect(struct planner *p, const struct explore_call *c, const json_t *args);

#endif
