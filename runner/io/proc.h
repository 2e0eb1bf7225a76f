/* SPDX-License-Identifier: Apache-2.0 */
/* Children: argv only, a process group of their own, bounded output, one
 * deadline. A child is over when its leader has ended; what is left of its
 * group dies with it, so a grandchild that keeps the output open cannot hold a
 * run. Only a process that leaves the group (setsid) outlives it. */
#ifndef MIDWATCH_IO_PROC_H
#define MIDWATCH_IO_PROC_H

#include "io/host.h"
#include "io/op.h"

#include <uv.h>

/* Starts a child and lists it in *list. If it fails (ERR_INVALID, ERR_IO: "run NAME: not found") nothing ran. */
int proc_start(uv_loop_t *loop, struct host_op **list, const struct spawn_request *r, host_spawn_fn done, void *ctx,
               struct host_op **out, struct err *e);

#endif
