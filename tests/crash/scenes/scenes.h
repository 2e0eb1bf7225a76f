/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario that is killed: what its lives (life.c), its world (world.c) and whoever kills them (scenes.c) share. */
#ifndef MIDWATCH_TESTS_SCENES_H
#define MIDWATCH_TESTS_SCENES_H

#include "check/check.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"
#include "io/host_sim.h"
#include "run/engine.h"

#define STARTED_MS 1767225600000    /* 2026-01-01 */
#define RESTART_MS 500              /* until somebody takes a killed run up */

enum { LIVES_MAX = 8, POINTS_MAX = 64 * 1024, STEPS = 8 };

/* How a life ended; state "": it was killed. */
struct ending {
    char state[32], outcome[24], reason[40];
    char text[300];             /* "": it was killed when the run had ended */
    size_t unknown;
    char wrong[2048];
};

/* Shared with the child, at the same address. */
struct life {
    int64_t wall_ms, points, kill_at;
    char where[96];             /* the last point */
    uint64_t steps[POINTS_MAX]; /* [point]: hash of the last STEPS points' names */
    struct question q;          /* its texts are in `text` */
    size_t used;
    char text[4 * MIB];
    size_t nanswer;
    char answer[4 * MIB];
    struct ending end;
};
extern struct life *life;

/* What is the same for all lives of all attempts at a scenario. */
struct scene {
    const char *runbook, *dir;
    struct config *config;
    struct registry *registry;
    const json_t *scenario;
    struct ending end;          /* of the run that nobody killed */
    json_t *effects;            /* and its effects, sorted */
    size_t chosen, kills, parked, failures;
};

struct world {
    struct host *host;
    struct answerer *script;
    json_t *answers;            /* {question: [answer, ..]} of the reads, in their order */
    json_t *known;              /* {question: how many of them the run has} */
    json_t *sent;               /* {key of an effect: [in which life it came, what the world said, its answer if it refused]} */
    json_t *effects;            /* "verb target" of those that were not refused, sorted */
    struct registry *registry;
    struct buf wrong;
    int lives;
    int given_up;               /* effects of which the world never heard, and never will */
    int unsure;                 /* times that it could not say what became of one */
};

/* life.c: starts the run or takes it up, in a process of its own, whose end of the pair `line` is. life->end says how it
 * ended, unless it was killed. */
int life_live(const struct scene *x, int line, struct err *e);

/* world.c */
void world_init(struct world *w, const struct scene *x);
void world_deinit(struct world *w);
/* Answers what a life asks: '?' life->q, '!' the answer to life->q is in the journal. */
void world_serve(struct world *w, char what);

#endif
