/* SPDX-License-Identifier: Apache-2.0 */
/* A live engine over the operator's journal: opened, run until its run is settled,
 * reported, closed. `run` and `resume` differ only in how the run begins. */
#ifndef MIDWATCH_CLI_SESSION_H
#define MIDWATCH_CLI_SESSION_H

#include "cli/cli.h"
#include "cli/desk.h"
#include "run/engine.h"

struct session {
    struct cli *cli;
    struct host *host;
    struct writer *writer;
    struct registry *registry;
    struct answerer *answerer;
    struct engine *engine;
    struct run *run;
    struct progress *progress;
    struct desk *desk;              /* questions to people */
    struct socket *socket;          /* others ask us; NULL where it could not be opened */
    int interrupts;
    bool ended;
    bool executes;                  /* runs: the process is watched (cli/restart.h) */
    struct watchdog *watchdog;
    struct inside died;             /* where the last owner died */
    enum strike strike;             /* what that run got for it; `all`: engine_recover gives it */
    int troubled;                   /* exit code of the last run that was set aside or cannot be taken up; 0 = none */
    /* resume --all (cli/tend.h) */
    bool all;
    int64_t runs;                   /* that were settled */
    int worst;                      /* exit code among them */
};

/* Makes a host if s has none. Who `executes` gives the run in which the last owner died a strike. 0, or an exit code after printing why. `what` names the process in the journal's lock. */
int session_open(struct session *s, struct cli *c, const char *what);
/* Runs until the run is settled, prints how it ended and what to do next; the exit code. */
int session_run(struct session *s);
/* Prints and files the evidence for whoever takes the run over, from the committed rows. */
void session_evidence(struct session *s, struct journal *j, int64_t run);
/* A run cannot go on here: says so, with the evidence if it was set aside. */
void session_trouble(void *session, int64_t run, const struct err *e);
/* Says that another machine executed it last. */
void session_moved(void *session, int64_t run, struct str from);
void session_close(struct session *s);

#endif
