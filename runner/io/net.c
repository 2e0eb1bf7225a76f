/* SPDX-License-Identifier: Apache-2.0 */
/* The loader of the module with curl in it. It is never unloaded: its libraries
 * keep handlers that run at the end of the process. */
#include "io/net.h"

#include "io/module_net.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

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

/* The directory of the program, with the file's name added; empty if it cannot be told. */
static void beside_program(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size);
    char *slash = NULL;

    if (n > 0 && (size_t)n < size) {
        out[n] = '\0';
        slash = strrchr(out, '/');
    }
    if (!slash || (size_t)(slash + 1 - out) + sizeof MIDWATCH_NET_FILE > size)
        out[0] = '\0';
    else
        memcpy(slash + 1, MIDWATCH_NET_FILE, sizeof MIDWATCH_NET_FILE);
}

static void *open_module(char *path, size_t size, struct err *e)
{
    void *lib = NULL;

    beside_program(path, size);
    if (path[0] && access(path, F_OK) == 0) {
        lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    } else {
#ifdef MIDWATCH_LIBDIR
        snprintf(path, size, "%s/%s", MIDWATCH_LIBDIR, MIDWATCH_NET_FILE);
        lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
#else
        err_set(e, ERR_INTERNAL, "load %s: not found beside the program", MIDWATCH_NET_FILE);
        return NULL;
#endif
    }
    if (!lib)
        err_set(e, ERR_INTERNAL, "load %s: %s", MIDWATCH_NET_FILE, dlerror());
    return lib;
}

static int load(struct net *n, struct err *e)
{
    char path[PATH_BYTES_MAX];
    void *lib = open_module(path, sizeof path, e);
    const struct net_module *m;
    int r;

    if (!lib)
        return ERR_INTERNAL;
    m = dlsym(lib, MIDWATCH_NET_SYMBOL);
    if (!m || m->abi != MIDWATCH_NET_ABI || m->request_size != sizeof(struct http_request)) {
        dlclose(lib);
        return err_set(e, ERR_INTERNAL, "load %s: it belongs to another release of the program", path);
    }
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
