/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor of ours that is looked at until it can be read: the terminal, the
 * owner's socket. The descriptor stays the caller's. */
#ifndef MIDWATCH_IO_WATCH_H
#define MIDWATCH_IO_WATCH_H

#include "io/host.h"
#include "io/op.h"

#include <uv.h>

int watch_start(uv_loop_t *loop, struct host_op **list, int fd, host_timer_fn ready, void *ctx, struct host_op **out,
                struct err *e);

#endif
