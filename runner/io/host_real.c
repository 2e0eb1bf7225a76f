/* SPDX-License-Identifier: Apache-2.0 */
/* The machine itself, on one libuv loop. Creating it starts no thread and loads
 * no module. uv handles are embedded in heap objects that go in their close
 * callback, so everything that ends here ends on a later turn of the loop. */
#include "io/child.h"
#include "io/file.h"
#include "io/host.h"
#include "io/net.h"
#include "io/proc.h"
#include "io/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { SIGNALS = 3, FREE_WAIT_MS = 1000 };

static const int watched_signals[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

struct real {
    struct host host;
    uv_loop_t loop;
    uv_async_t wake;
    uv_signal_t signals[SIGNALS];
    bool watching;              /* the signal handles are open */
    host_signal_fn on_signal;
    void *signal_ctx;
    struct host_op *ops;        /* in flight */
    struct net *net;            /* NULL before the first request */
    bool stopped;
};

struct timer {
    struct host_op op;
    uv_timer_t uv;
    int64_t due_ms;             /* on the host's clock: the loop's may lag behind it */
    host_timer_fn done;
    void *ctx;
};

static int64_t real_wall_ms(struct host *h)
{
    struct timespec ts;

    (void)h;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t real_mono_ms(struct host *h)
{
    (void)h;
    return (int64_t)(uv_hrtime() / 1000000);
}

static int real_random(struct host *h, void *out, size_t n, struct err *e)
{
    unsigned char *p = out;

    (void)h;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(e, ERR_IO, "random bytes: %s", strerror(errno));
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_timer(uv_timer_t *uv)
{
    struct timer *t = uv->data;
    int64_t left = t->due_ms - real_mono_ms(NULL);

    if (left > 0) {
        uv_timer_start(uv, on_timer, (uint64_t)left, 0);
        return;
    }
    op_remove(&t->op);
    uv_close((uv_handle_t *)uv, on_timer_closed);
    t->done(t->ctx);
}

static void cancel_timer(struct host_op *op)
{
    struct timer *t = (struct timer *)op;

    op_remove(op);
    uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}

static int real_timer(struct host *h, int64_t delay_ms, host_timer_fn done, void *ctx, struct host_op **out,
                      struct err *e)
{
    struct real *m = (struct real *)h;
    struct timer *t = xcalloc(1, sizeof *t);

    (void)e;
    if (delay_ms < 0)
        delay_ms = 0;
    t->op.cancel = cancel_timer;
    t->done = done;
    t->ctx = ctx;
    t->due_ms = real_mono_ms(h) + delay_ms;
    uv_timer_init(&m->loop, &t->uv);
    t->uv.data = t;
    uv_update_time(&m->loop);
    uv_timer_start(&t->uv, on_timer, (uint64_t)delay_ms, 0);
    op_add(&m->ops, &t->op);
    *out = &t->op;
    return 0;
}

static int real_http(struct host *h, const struct http_request *r, host_http_fn done, void *ctx,
                     struct host_op **out, struct err *e)
{
    struct real *m = (struct real *)h;

    if (!m->net)
        m->net = net_new(&m->loop, &m->ops);
    return net_http(m->net, r, done, ctx, out, e);
}

static int real_spawn(struct host *h, const struct spawn_request *r, host_spawn_fn done, void *ctx,
                      struct host_op **out, struct err *e)
{
    struct real *m = (struct real *)h;

    return proc_start(&m->loop, &m->ops, r, done, ctx, out, e);
}

static int real_child(struct host *h, const struct child_request *r, struct host_op **out, struct err *e)
{
    struct real *m = (struct real *)h;

    return child_start(&m->loop, &m->ops, r, out, e);
}

static int real_say(struct host *h, struct host_op *child, struct str bytes, struct err *e)
{
    (void)h;
    return child_say(child, bytes, e);
}

static int real_watch(struct host *h, int fd, host_timer_fn ready, void *ctx, struct host_op **out, struct err *e)
{
    struct real *m = (struct real *)h;

    return watch_start(&m->loop, &m->ops, fd, ready, ctx, out, e);
}

static void real_cancel(struct host *h, struct host_op *op)
{
    (void)h;
    op->cancel(op);
}

static int real_read_file(struct host *h, const char *path, size_t max, struct buf *out, struct err *e)
{
    (void)h;
    return file_read(path, max, out, e);
}

static int real_write_file(struct host *h, const char *path, struct str data, struct err *e)
{
    (void)h;
    return file_write(path, data, e);
}

static bool real_exists(struct host *h, const char *path)
{
    (void)h;
    return file_exists(path);
}

static int real_remove_file(struct host *h, const char *path, struct err *e)
{
    (void)h;
    return file_remove(path, e);
}

static void on_signal(uv_signal_t *uv, int signo)
{
    struct real *m = uv->data;

    if (m->on_signal)
        m->on_signal(m->signal_ctx, signo);
}

static void real_signals(struct host *h, host_signal_fn fn, void *ctx)
{
    struct real *m = (struct real *)h;

    m->on_signal = fn;
    m->signal_ctx = ctx;
    for (int i = 0; i < SIGNALS; i++) {
        if (!m->watching)
            uv_signal_init(&m->loop, &m->signals[i]);
        m->signals[i].data = m;
        if (fn)
            uv_signal_start(&m->signals[i], on_signal, watched_signals[i]);
        else
            uv_signal_stop(&m->signals[i]);
    }
    m->watching = true;
}

static int real_run(struct host *h, host_turn_fn turn, void *ctx, struct err *e)
{
    struct real *m = (struct real *)h;

    (void)e;
    m->stopped = false;
    for (;;) {
        bool more = turn ? turn(ctx) : false;

        if (m->stopped)
            return 0;
        uv_run(&m->loop, more ? UV_RUN_NOWAIT : UV_RUN_ONCE);
        if (m->stopped)
            return 0;
    }
}

static void real_stop(struct host *h)
{
    ((struct real *)h)->stopped = true;
}

static void real_wake(struct host *h)
{
    uv_async_send(&((struct real *)h)->wake);
}

static void on_wake(uv_async_t *async)
{
    (void)async;        /* the turn at the top of the loop is the work */
}

static void on_expired(uv_timer_t *timer)
{
    timer->data = NULL;
}

/* Runs the loop until everything closed, but no longer than FREE_WAIT_MS: a name lookup in the pool, or a
 * killed child stuck in the kernel, cannot be hurried. Returns true if all is closed. */
static bool close_loop(struct real *m)
{
    uv_timer_t guard;

    uv_timer_init(&m->loop, &guard);
    guard.data = m;
    uv_update_time(&m->loop);
    uv_timer_start(&guard, on_expired, FREE_WAIT_MS, 0);
    uv_unref((uv_handle_t *)&guard);
    while (guard.data && uv_loop_alive(&m->loop))
        uv_run(&m->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&guard, NULL);
    uv_run(&m->loop, UV_RUN_NOWAIT);
    return uv_loop_close(&m->loop) == 0;
}

static void real_free(struct host *h)
{
    struct real *m = (struct real *)h;

    while (m->ops)
        m->ops->cancel(m->ops);
    if (m->net)
        net_free(m->net);
    for (int i = 0; m->watching && i < SIGNALS; i++)
        uv_close((uv_handle_t *)&m->signals[i], NULL);
    uv_close((uv_handle_t *)&m->wake, NULL);
    /* What is still open points into *m, which then stays until the process ends. */
    if (close_loop(m))
        free(m);
}

static const struct host_ops real_ops = {
    .wall_ms = real_wall_ms,
    .mono_ms = real_mono_ms,
    .random = real_random,
    .timer = real_timer,
    .http = real_http,
    .spawn = real_spawn,
    .child = real_child,
    .say = real_say,
    .watch = real_watch,
    .cancel = real_cancel,
    .read_file = real_read_file,
    .write_file = real_write_file,
    .exists = real_exists,
    .remove_file = real_remove_file,
    .signals = real_signals,
    .run = real_run,
    .stop = real_stop,
    .wake = real_wake,
    .free = real_free,
};

/* libuv aborts where it cannot open the pipe of its signals, beside the loop's own descriptor. */
static int try_descriptors(void)
{
    int fds[2], one, rc = 0;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return uv_translate_sys_error(errno);
    one = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    if (one < 0)
        rc = uv_translate_sys_error(errno);
    else
        close(one);
    close(fds[0]);
    close(fds[1]);
    return rc;
}

int host_real_new(struct host **out, struct err *e)
{
    struct real *m = xcalloc(1, sizeof *m);
    int rc = try_descriptors();

    if (rc == 0)
        rc = uv_loop_init(&m->loop);
    if (rc == 0) {
        rc = uv_async_init(&m->loop, &m->wake, on_wake);
        if (rc != 0)
            uv_loop_close(&m->loop);
    }
    if (rc != 0) {
        free(m);
        return err_set(e, ERR_IO, "event loop: %s", uv_strerror(rc));
    }
    /* A peer that closed its end is an error of that write, not the end of the program. */
    signal(SIGPIPE, SIG_IGN);
    m->host.ops = &real_ops;
    *out = &m->host;
    return 0;
}
