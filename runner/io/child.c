/* SPDX-License-Identifier: Apache-2.0 */
/* Children that stay. As in proc.c the end is seen on a pidfd and the group is
 * killed before the leader is reaped; there is no deadline, which is the owner's
 * to keep. */
#include "io/child.h"

#include "base/limits.h"
#include "io/proc.h"
#include "io/stream.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    DRAIN_READS = 64,               /* after the end: more than a pipe can hold */
    UNSENT_MAX = 8 * 1024 * 1024,   /* bytes the child has not taken yet */
};

struct child {
    struct host_op op;
    struct child_request r;     /* its callbacks and ctx; argv is not kept */
    bool over;                  /* ended or cancelled: no callback any more */
    pid_t pid;
    int pidfd;
    uv_poll_t ended;
    struct stream out[2];       /* stdout, stderr */
    struct stream in;
    struct buf unsent;
    size_t sent;                /* of unsent */
    int handles;                /* open uv handles; the object goes with the last */
};

static void on_closed(uv_handle_t *handle)
{
    struct child *c = handle->data;

    if (--c->handles > 0)
        return;
    buf_free(&c->unsent);
    free(c);
}

static void close_streams(struct child *c)
{
    stream_close(&c->out[0]);
    stream_close(&c->out[1]);
    stream_close(&c->in);
}

/* Returns true while there may be more to read at once. */
static bool read_some(struct child *c, int i)
{
    struct str bytes;
    int n = stream_read(&c->out[i], &bytes);

    if (n >= 0 && !c->over)
        (i == 0 ? c->r.out : c->r.errout)(c->r.ctx, bytes);
    return n > 0;
}

static void on_output(uv_poll_t *poll, int status, int events)
{
    struct child *c = poll->data;

    (void)status;       /* an error shows in read */
    (void)events;
    read_some(c, poll == &c->out[0].poll ? 0 : 1);
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
    struct child *c = poll->data;
    int exit_code, signal;

    (void)status;
    (void)events;
    kill(-c->pid, SIGKILL);
    for (int i = 0; i < 2; i++)
        for (int reads = 0; c->out[i].fd >= 0 && reads < DRAIN_READS && read_some(c, i); reads++)
            ;
    handle_close((uv_handle_t *)&c->ended, on_closed);
    proc_reap(&c->pidfd, &exit_code, &signal);
    close_streams(c);
    if (c->over)
        return;
    c->over = true;
    op_remove(&c->op);
    c->r.ended(c->r.ctx, exit_code, signal);
}

static void send_unsent(struct child *c)
{
    while (c->in.fd >= 0 && c->sent < c->unsent.len) {
        ssize_t n = write(c->in.fd, c->unsent.data + c->sent, c->unsent.len - c->sent);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            stream_close(&c->in);   /* it does not listen any more; child_say tells */
            return;
        }
        c->sent += (size_t)n;
    }
    buf_reset(&c->unsent);
    c->sent = 0;
    if (c->in.fd >= 0)
        uv_poll_stop(&c->in.poll);
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    send_unsent(poll->data);
}

int child_say(struct host_op *op, struct str bytes, struct err *e)
{
    struct child *c = (struct child *)op;

    if (c->in.fd < 0)
        return err_set(e, ERR_IO, "it closed its input");
    if (c->unsent.len - c->sent + bytes.n > UNSENT_MAX)
        return err_set(e, ERR_LIMIT, "it does not read its input");
    if (c->sent > 0) {
        memmove(c->unsent.data, c->unsent.data + c->sent, c->unsent.len - c->sent);
        c->unsent.len -= c->sent;
        c->sent = 0;
    }
    buf_add(&c->unsent, bytes.p, bytes.n);
    send_unsent(c);
    if (c->in.fd < 0)
        return err_set(e, ERR_IO, "it closed its input");
    if (c->unsent.len > 0)
        uv_poll_start(&c->in.poll, UV_WRITABLE, on_input);
    return 0;
}

static void cancel(struct host_op *op)
{
    struct child *c = (struct child *)op;

    op_remove(op);
    c->over = true;
    kill(-c->pid, SIGKILL);
    close_streams(c);
}

static int open_stream(struct child *c, struct stream *s, bool to_child, uv_loop_t *loop, int *theirs)
{
    int rc = stream_open(s, to_child, loop, c, on_closed, theirs);

    c->handles += rc == 0;
    return rc;
}

/* Watches the child that runs now; one that cannot be watched is ended and reaped. */
static int watch(struct child *c, uv_loop_t *loop)
{
    const struct rlimit none = {0, 0};

    c->ended.data = c;
    c->pidfd = pidfd_open(c->pid, 0);
    if (c->pidfd < 0 || uv_poll_init(loop, &c->ended, c->pidfd) != 0) {
        int rc = c->pidfd < 0 ? errno : ENOMEM;

        kill(-c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        if (c->pidfd >= 0)
            close(c->pidfd);
        return rc;
    }
    prlimit(c->pid, RLIMIT_CORE, &none, NULL);      /* its memory may hold secrets */
    c->handles++;
    uv_poll_start(&c->ended, UV_READABLE, on_ended);
    uv_poll_start(&c->out[0].poll, UV_READABLE, on_output);
    uv_poll_start(&c->out[1].poll, UV_READABLE, on_output);
    return 0;
}

int child_start(uv_loop_t *loop, struct host_op **list, const struct child_request *r, struct host_op **out,
                struct err *e)
{
    const struct spawn_request q = {.argv = r->argv, .cwd = r->cwd};
    struct child *c = xcalloc(1, sizeof *c);
    int theirs[3] = {-1, -1, -1}, rc = 0;

    c->r = *r;
    c->in.fd = c->out[0].fd = c->out[1].fd = c->pidfd = -1;
    buf_init(&c->unsent, UNSENT_MAX);
    if (open_stream(c, &c->in, true, loop, &theirs[0]) != 0 || open_stream(c, &c->out[0], false, loop, &theirs[1]) != 0 ||
        open_stream(c, &c->out[1], false, loop, &theirs[2]) != 0)
        rc = errno;
    else
        rc = proc_spawn(&q, theirs, &c->pid);
    for (int i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    if (rc == 0)
        rc = watch(c, loop);
    if (rc != 0) {
        proc_failed(&q, rc, e);
        if (c->handles == 0) {
            buf_free(&c->unsent);
            free(c);
        } else {
            close_streams(c);
        }
        return e->code;
    }
    c->op.cancel = cancel;
    op_add(list, &c->op);
    *out = &c->op;
    return 0;
}
