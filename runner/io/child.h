/* SPDX-License-Identifier: Apache-2.0 */
/* A child that stays and is talked to over its stdin and stdout: a plugin that is a
 * process. Its group ends with it or with the cancel of its call. */
#ifndef MIDWATCH_IO_CHILD_H
#define MIDWATCH_IO_CHILD_H

#include "io/host.h"
#include "io/op.h"

#include <uv.h>

/* As host_ops.child and host_ops.say (io/host.h). */
int child_start(uv_loop_t *loop, struct host_op **list, const struct child_request *r, struct host_op **out,
                struct err *e);
int child_say(struct host_op *op, struct str bytes, struct err *e);

#endif
