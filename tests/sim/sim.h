/* SPDX-License-Identifier: Apache-2.0 */
/* Deterministic simulation: from one seed a world of boxes, several runs of invented
 * runbooks at once in one engine, and everything that may go wrong around them: lost,
 * late and cut answers, other actors, clocks that jump, full disks, crashes at any
 * point and in the middle of recovery, halts, people who answer late, twice or never.
 * Afterwards checkers look at the journal and at what the world received. */
#ifndef MIDWATCH_TESTS_SIM_H
#define MIDWATCH_TESTS_SIM_H

#include "base/buf.h"
#include "base/err.h"
#include "gate/people.h"
#include "io/host_sim.h"
#include "journal/journal.h"
#include "run/engine.h"

enum {
    BOXES = 4, BOOKS = 3, RUNS_MAX = 5, KEYS_MAX = 1024, RECEIPTS_MAX = 4096, FLYING_MAX = 64,
    LIVES_MAX = 16,             /* processes of one seed */
    CALM_FROM = 10,             /* from this life on nothing fails any more: everything has to end */
    SIM_TIME_MAX_S = 2 * 3600,  /* virtual time that a run may take in all */
};

/* What a planted fault breaks, so that a checker must find it. */
enum plant {
    PLANT_NONE, PLANT_LOSE_COMMIT, PLANT_ACT_TWICE, PLANT_BLIND_LOOKS, PLANT_NO_GUARDS, PLANT_FALSE_ABSENT, PLANT_FALSE_APPLIED,
    PLANT_UNKNOWN_EVIDENCE, PLANT_TWO_ENDS, PLANT_NO_ESCALATION, PLANT_LOSE_RUN, PLANT_CHANGED_ROW, PLANT_NO_ANSWERS,
    PLANT_KEEP_LOCKS, PLANT_FREE_LOCKS, PLANT_DEAF_HALT, PLANT_SILENT_END, PLANT_REAL_RANDOM, PLANT_STUCK, PLANT_SLOW, PLANTS,
};

struct rng {
    uint64_t state;
};
uint32_t rng_below(struct rng *r, uint32_t n);
int64_t rng_between(struct rng *r, int64_t low, int64_t high);
bool rng_chance(struct rng *r, uint32_t percent);

struct box {
    char target[24];            /* "east:box/x" */
    int64_t value, generation, shots;
    int64_t foreign_at;         /* when somebody else last moved it; -1 = never */
};

/* An effect that the journal made durable, by its key. */
struct known {
    char key[33], path[64], target[32];
    int64_t run, first_at;
    int intents, applied;       /* durable INTENT rows; changes that the world made under this key */
};

/* A change that the world was asked for. */
struct receipt {
    char key[33], verb[8];
    int box, intents;           /* durable ones, when it was sent */
    int64_t at, run, holder;    /* holder: who had the target's lock then; 0 = nobody */
    bool applied, halted;
};

/* A request that arrives later than it was sent. */
struct flying {
    size_t receipt;
    int64_t at, value, generation;
};

struct sim_run {
    int64_t at, id;             /* when it starts; 0 = not yet */
    int book;
    bool durable, undoing;
};

/* Exactly one thing goes wrong: at point `at` of the first process it dies, the call fails, or the disk is full from there
 * on until the process ends. */
struct nth {
    enum { NTH_DIES, NTH_FAILS, NTH_FULL, NTH_KINDS } how;
    int64_t at;
};

struct store;

struct sim {
    uint64_t seed;
    enum plant plant;
    const struct nth *nth;      /* or NULL: whatever the seed says */
    int64_t reached;            /* points of the first process */
    bool on_disk;
    struct rng rng;             /* of the world and the schedule */
    struct buf log;             /* everything that happened, in order: two plays of a seed are compared by it */
    struct buf why;             /* "checker: what is wrong\n" */

    struct box boxes[BOXES];
    struct known known[KEYS_MAX];
    size_t nknown;
    struct receipt receipts[RECEIPTS_MAX];
    size_t nreceipts;
    struct flying flying[FLYING_MAX];
    size_t nflying;
    int faults;                 /* percent of requests that go wrong */
    bool halted;
    int64_t halted_at;

    char *texts[BOOKS];
    struct sim_run runs[RUNS_MAX];
    size_t nruns;
    struct durable {
        int64_t id, began_at, ended_at;     /* true time of the commit; 0 = not yet */
    } durable[64];
    size_t ndurable;

    struct host *host;          /* of the present life */
    struct engine *engine;
    struct journal *inner;      /* what survives a crash (memory), or is opened again (disk) */
    struct store *store;
    struct config *config;
    int64_t base, skew;         /* true time at the start of this life; what the wall clock shows beyond it */
    int64_t points, crash_at, fail_at, full_from, full_till, cancel_at;
    bool down, quiet;           /* the process is dead; calls of the simulation itself */
    int life;
    char dir[64];
};

int64_t sim_now(const struct sim *s);       /* true milliseconds */
void sim_log(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_wrong(struct sim *s, const char *checker, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A point at which the process may die, or the call fail. */
int sim_point(void *sim, const char *call);
/* Plays one seed from its world to the end of its runs. Fills log and why. */
void sim_play(struct sim *s, uint64_t seed, enum plant plant, const struct nth *nth, struct config *config, const char *dir);
/* What must hold of a seed that was played. Adds to log and why. */
void sim_check(struct sim *s);
void sim_deinit_journal(struct sim *s);
void sim_deinit(struct sim *s);
bool sim_is_calm(const struct sim *s);

/* world.c */
void world_init(struct sim *s);
int world_http(void *sim, const struct http_request *r, struct buf *body, int64_t *delay_ms);
int world_spawn(void *sim, const struct spawn_request *r, struct buf *out, struct buf *errout, int64_t *delay_ms);
void world_move(struct sim *s);             /* somebody else changes a box */
void world_arrive(struct sim *s);           /* what was under way and is due by now */
void world_settle(struct sim *s);           /* what is under way arrives now or never */
struct known *world_known(struct sim *s, const char *key);

/* invent.c: the text of a runbook. Owned. */
char *invent_book(struct rng *r, int number);

/* store.c: a journal that fails on demand and does not end with its owner */
int store_open(struct sim *s, struct journal **out, struct err *e);
void store_close(struct sim *s);            /* what the process did not write is gone */
/* For the checks: rows as a planted fault would have left them. */
void store_show_planted(struct sim *s, bool on);

/* disk.c: a file system for SQLite that may be full, fail, and forget what was not synced */
void disk_init(struct sim *s);
void disk_crash(bool power);                /* power: what was not synced is gone */
void disk_clear(void);

/* crowd.c */
struct people *crowd_new(struct sim *s);
void crowd_meanwhile(struct sim *s, struct writer *w);     /* people act while no process runs */

/* checkers.c */
void check_all(struct sim *s);

#endif
