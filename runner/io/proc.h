/* SPDX-License-Identifier: Apache-2.0 */
/* Children: argv only, a process group of their own, bounded output, one
 * deadline. A child is over when its leader has ended; what is left of its
 * group dies with it, so a grandchild that keeps the output open cannot hold a
 * run. Only a process that leaves the group (setsid) outlives it, and where the
 * program is killed (SIGKILL) whatever the leader has started. */
#ifndef MIDWATCH_IO_PROC_H
#define MIDWATCH_IO_PROC_H

#include "io/host.h"
#include "io/op.h"

#include <uv.h>

/* Starts a child and lists it in *list. If it fails (ERR_INVALID, ERR_IO: "run NAME: not found") nothing ran. */
int proc_start(uv_loop_t *loop, struct host_op **list, const struct spawn_request *r, host_spawn_fn done, void *ctx,
               struct host_op **out, struct err *e);

/* What children that stay (child.c) begin with, too. A close-on-exec pipe whose ends are above stderr, since lower
 * numbers are overwritten on the way into the child: 0, or -1 with errno. */
int proc_pipe(int ends[2]);
/* argv, env and cwd of r; theirs: the child's ends of stdin (-1 = /dev/null), stdout and stderr, which stay open here.
 * 0 or an errno. The child leads a group, with default signals and no descriptor but its three. */
int proc_spawn(const struct spawn_request *r, const int theirs[3], pid_t *pid);
/* The end of a child that has ended, and of its *pidfd: exit_code -1 if a signal ended it. */
void proc_reap(int *pidfd, int *exit_code, int *signal);
/* The error for an errno of proc_spawn, in words. Returns its code. */
int proc_failed(const struct spawn_request *r, int errnum, struct err *e);

#endif
