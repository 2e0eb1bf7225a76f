/* SPDX-License-Identifier: Apache-2.0 */
/* What the loop thread is at work for, kept where it survives the process: a mapped
 * file in the state directory. Whoever takes the journal over reads there in which run
 * the last owner died. A thread watches that no work goes on for too long: Lua has its
 * own limits, but one C function of it, or a bug of ours, knows none. */
#ifndef MIDWATCH_RUN_WATCHDOG_H
#define MIDWATCH_RUN_WATCHDOG_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct watchdog;

struct inside {
    int64_t run;                /* 0 = none */
    char place[128];            /* "behind line 41", "in the plugin of instance sh" */
    bool seen;                  /* the process itself saw that it came to an end: a crash, or stuck */
};

/* DIR/inside; to be called on the thread that will work. *died: what the last owner left there. `stuck` is called on the
 * watching thread when one piece of work took more than limit_ms of processor time (a process that was stopped, or starved by
 * its neighbours, is not stuck), or has waited for six times as long; it ends the process. ERR_DISK: the file cannot be made. */
int watchdog_open(const char *dir, int64_t limit_ms, void (*stuck)(const struct inside *where), struct watchdog **out,
                  struct inside *died, struct err *e);
/* Nothing more is watched: the thread ends. watchdog_free then finds it over. */
void watchdog_stop(struct watchdog *w);
void watchdog_free(struct watchdog *w);
/* Work begins for run (0 = for none) at this line of its code, or in this instance's plugin. w may be NULL. */
void watchdog_enter(struct watchdog *w, int64_t run, int line, const char *instance);
void watchdog_leave(struct watchdog *w);
/* The process ends because of what it is at work for, and whoever opens the file next is told so. For a signal handler, too. */
void watchdog_seen(struct watchdog *w);
/* What the thread is at work for now; for a signal handler, too. False = for no run. */
bool watchdog_inside(const struct watchdog *w, struct inside *out);

#endif
