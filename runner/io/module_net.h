/* SPDX-License-Identifier: Apache-2.0 */
/* What the module with curl in it gives the program: one table. Program and
 * module are built from the same tree and share the header of the host, so the
 * table carries its number and the size of a request, and any difference is refused. */
#ifndef MIDWATCH_IO_MODULE_NET_H
#define MIDWATCH_IO_MODULE_NET_H

#include "io/host.h"

#include <uv.h>

#define MIDWATCH_NET_FILE "midwatch_net.so"
#define MIDWATCH_NET_SYMBOL "midwatch_net_module"

enum { MIDWATCH_NET_ABI = 1 };

struct net_client;      /* connections kept open, on one loop */
struct net_transfer;    /* one request in flight; dead after its callback or its cancel */

struct net_module {
    unsigned abi;
    size_t request_size;
    int (*open)(uv_loop_t *loop, struct net_client **out, struct err *e);
    /* As host.h says of http. */
    int (*start)(struct net_client *c, const struct http_request *r, host_http_fn done, void *ctx,
                 struct net_transfer **out, struct err *e);
    void (*cancel)(struct net_transfer *t);
    /* After all transfers ended. What is open closes in the next turns of the loop. */
    void (*close)(struct net_client *c);
};

#endif
