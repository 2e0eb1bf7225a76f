/* SPDX-License-Identifier: Apache-2.0 */
#include "io/watch.h"

#include <stdlib.h>

struct watch {
    struct host_op op;
    uv_poll_t uv;
    host_timer_fn ready;
    void *ctx;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void cancel_watch(struct host_op *op)
{
    struct watch *w = (struct watch *)op;

    op_remove(op);
    uv_close((uv_handle_t *)&w->uv, on_closed);
}

/* An error of the descriptor, too, is found by reading it. */
static void on_ready(uv_poll_t *uv, int status, int events)
{
    struct watch *w = uv->data;

    (void)status, (void)events;
    w->ready(w->ctx);
}

int watch_start(uv_loop_t *loop, struct host_op **list, int fd, host_timer_fn ready, void *ctx, struct host_op **out,
                struct err *e)
{
    struct watch *w = xcalloc(1, sizeof *w);
    int rc = uv_poll_init(loop, &w->uv, fd);

    if (rc != 0) {
        free(w);
        return err_set(e, ERR_IO, "descriptor %d cannot be watched: %s", fd, uv_strerror(rc));
    }
    w->op.cancel = cancel_watch;
    w->ready = ready;
    w->ctx = ctx;
    w->uv.data = w;
    uv_poll_start(&w->uv, UV_READABLE | UV_DISCONNECT, on_ready);
    op_add(list, &w->op);
    *out = &w->op;
    return 0;
}
