/* SPDX-License-Identifier: Apache-2.0 */
/* The desk of a live run: questions that wait for people. The person at the terminal
 * answers the oldest; others answer any of them by a command (cli/socket.h). */
#ifndef MIDWATCH_CLI_DESK_H
#define MIDWATCH_CLI_DESK_H

#include "cli/progress.h"
#include "gate/people.h"

struct desk;

/* Nobody can be asked unless there is a terminal to ask on. Without `p` nothing is shown, and every question waits for
 * a command of somebody. */
struct desk *desk_new(struct host *h, struct progress *p);
void desk_free(struct desk *d);
struct people *desk_people(struct desk *d);
/* A word for the question at `path` (NULL: the only one that is open). 0, or e says why not. */
int desk_say(struct desk *d, int64_t run, const char *path, const struct reply *w, struct err *e);

#endif
