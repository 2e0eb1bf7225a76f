/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP out. The work is done in a module with curl in it, which costs more to
 * link than the rest of the program takes to start: it is loaded at the first
 * request, from the program's own directory or the library directory. */
#ifndef MIDWATCH_IO_NET_H
#define MIDWATCH_IO_NET_H

#include "io/host.h"
#include "io/op.h"

#include <uv.h>

struct net;

/* Touches nothing yet. `list` gets the calls in flight. Owned by the caller, freed by net_free. */
struct net *net_new(uv_loop_t *loop, struct host_op **list);
/* If it fails nothing was sent: ERR_INVALID for a bad request, ERR_INTERNAL without the module. */
int net_http(struct net *n, const struct http_request *r, host_http_fn done, void *ctx, struct host_op **out,
             struct err *e);
/* After every call was cancelled. The loop must run once more to close what is open. */
void net_free(struct net *n);

#endif
