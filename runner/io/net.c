/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP calls as the host lists them; the module with curl in it does the work. */
#include "io/net.h"

#include "base/module.h"
#include "io/module_net.h"

#include <stdlib.h>

struct net {
    uv_loop_t *loop;
    struct host_op **list;
    const struct net_module *module;    /* NULL before the first request */
    struct net_client *client;
};

struct call {
    struct host_op op;
    struct net *net;
    struct net_transfer *transfer;
    host_http_fn done;
    void *ctx;
};

static int load(struct net *n, struct err *e)
{
    const struct net_module *m = module_load(MIDWATCH_NET_FILE, MIDWATCH_NET_SYMBOL, MIDWATCH_NET_ABI, e);
    int r;

    if (!m)
        return ERR_INTERNAL;
    if (m->request_size != sizeof(struct http_request))
        return err_set(e, ERR_INTERNAL, "load %s: it belongs to another release of the program", MIDWATCH_NET_FILE);
    r = m->open(n->loop, &n->client, e);
    if (r == 0)
        n->module = m;
    return r;
}

static void on_answer(void *ctx, const struct http_answer *a)
{
    struct call *c = ctx;

    op_remove(&c->op);
    c->done(c->ctx, a);
    free(c);
}

static void cancel(struct host_op *op)
{
    struct call *c = (struct call *)op;

    op_remove(op);
    c->net->module->cancel(c->transfer);
    free(c);
}

struct net *net_new(uv_loop_t *loop, struct host_op **list)
{
    struct net *n = xcalloc(1, sizeof *n);

    n->loop = loop;
    n->list = list;
    return n;
}

int net_http(struct net *n, const struct http_request *r, host_http_fn done, void *ctx, struct host_op **out,
             struct err *e)
{
    struct call *c;
    int rc = n->module ? 0 : load(n, e);

    if (rc != 0)
        return rc;
    c = xcalloc(1, sizeof *c);
    rc = n->module->start(n->client, r, on_answer, c, &c->transfer, e);
    if (rc != 0) {
        free(c);
        return rc;
    }
    c->op.cancel = cancel;
    c->net = n;
    c->done = done;
    c->ctx = ctx;
    op_add(n->list, &c->op);
    *out = &c->op;
    return 0;
}

void net_free(struct net *n)
{
    if (n && n->module)
        n->module->close(n->client);
    free(n);
}
