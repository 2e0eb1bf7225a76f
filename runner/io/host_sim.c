/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated host. Everything in flight is one queue ordered by (due time,
 * order of calling); the clock moves only when neither the queue nor the turn
 * has anything to do now. Two runs with the same seed and handlers are equal. */
#include "io/host_sim.h"

#include "base/limits.h"
#include "io/file.h"
#include "io/op.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 4096, HTTP_TIMEOUT_MS = 30 * 1000, SPAWN_TIMEOUT_MS = 60 * 1000 };

enum event_kind { EVENT_TIMER, EVENT_HTTP, EVENT_SPAWN };

struct event {
    struct host_op op;
    struct event *next;         /* later in the queue */
    int64_t due_ms;
    uint64_t seq;
    enum event_kind kind;
    union {
        host_timer_fn timer;
        host_http_fn http;
        host_spawn_fn spawn;
    } done;
    void *ctx;
    struct buf out, errout;     /* body; or stdout and stderr */
    int code;                   /* HTTP status; or exit code */
    enum http_sent sent;
    bool timed_out;
    bool truncated;
    struct err err;             /* code 0 = an answer */
};

struct file {
    struct file *next;
    char *path;
    char *data;
    size_t len;
};

struct sim {
    struct host host;
    struct host_sim_options o;
    int64_t mono_ms;
    uint64_t rng;
    uint64_t seq;
    struct event *queue;
    struct file *files;
    size_t nfiles;
    bool stopped;
    atomic_bool woken;
};

static int point(struct sim *s, const char *call, struct err *e)
{
    int r = s->o.point ? s->o.point(s->o.ctx, call) : 0;

    return r < 0 ? err_set(e, r, "%s: made to fail by the simulation", call) : 0;
}

static int64_t sim_wall_ms(struct host *h)
{
    struct sim *s = (struct sim *)h;

    return s->o.wall_ms + s->mono_ms;
}

static int64_t sim_mono_ms(struct host *h)
{
    return ((struct sim *)h)->mono_ms;
}

/* splitmix64 */
static uint64_t next_random(struct sim *s)
{
    uint64_t z = s->rng += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int sim_random(struct host *h, void *out, size_t n, struct err *e)
{
    struct sim *s = (struct sim *)h;
    unsigned char *p = out;
    int r = point(s, "random", e);

    if (r != 0)
        return r;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(next_random(s) >> 56);
    return 0;
}

static void event_free(struct event *ev)
{
    buf_free(&ev->out);
    buf_free(&ev->errout);
    free(ev);
}

static struct event *event_new(enum event_kind kind, size_t max_bytes, void *ctx)
{
    struct event *ev = xcalloc(1, sizeof *ev);

    ev->kind = kind;
    ev->ctx = ctx;
    buf_init(&ev->out, max_bytes);
    buf_init(&ev->errout, max_bytes);
    return ev;
}

static void enqueue(struct sim *s, struct event *ev, int64_t delay_ms, struct host_op **out)
{
    struct event **at = &s->queue;

    ev->due_ms = s->mono_ms + (delay_ms > 0 ? delay_ms : 0);
    ev->seq = s->seq++;
    while (*at && (*at)->due_ms <= ev->due_ms)
        at = &(*at)->next;
    ev->next = *at;
    *at = ev;
    *out = &ev->op;
}

static int sim_timer(struct host *h, int64_t delay_ms, host_timer_fn done, void *ctx, struct host_op **out,
                     struct err *e)
{
    struct sim *s = (struct sim *)h;
    int r = point(s, "timer", e);
    struct event *ev;

    if (r != 0)
        return r;
    ev = event_new(EVENT_TIMER, 0, ctx);
    ev->done.timer = done;
    enqueue(s, ev, delay_ms, out);
    return 0;
}

static int sim_http(struct host *h, const struct http_request *r, host_http_fn done, void *ctx, struct host_op **out,
                    struct err *e)
{
    struct sim *s = (struct sim *)h;
    int64_t timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : HTTP_TIMEOUT_MS;
    int64_t delay_ms = 0;
    struct event *ev;
    int rc = point(s, "http", e);

    if (rc != 0)
        return rc;
    ev = event_new(EVENT_HTTP, r->max_body ? r->max_body : HTTP_BODY_MAX, ctx);
    ev->done.http = done;
    ev->code = s->o.http ? s->o.http(s->o.ctx, r, &ev->out, &delay_ms) : -1;
    ev->sent = ev->code < 0 ? HTTP_NOT_SENT : HTTP_MAYBE_SENT;
    if (ev->code < 0)
        err_set(&ev->err, ERR_IO, "%s: connection refused", r->url);
    else if (delay_ms > timeout_ms)
        err_set(&ev->err, ERR_TIMEOUT, "%s: no answer within %lld ms", r->url, (long long)timeout_ms);
    else if (ev->code == 0)
        err_set(&ev->err, ERR_IO, "%s: connection closed before the end of the answer", r->url);
    else if (ev->out.failed)
        err_set(&ev->err, ERR_LIMIT, "%s: answer larger than %zu bytes", r->url, ev->out.max);
    enqueue(s, ev, delay_ms < timeout_ms ? delay_ms : timeout_ms, out);
    return 0;
}

static int sim_spawn(struct host *h, const struct spawn_request *r, host_spawn_fn done, void *ctx,
                     struct host_op **out, struct err *e)
{
    struct sim *s = (struct sim *)h;
    int64_t timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : SPAWN_TIMEOUT_MS;
    int64_t delay_ms = 0;
    struct event *ev;
    int rc = point(s, "spawn", e);

    if (rc != 0)
        return rc;
    ev = event_new(EVENT_SPAWN, r->max_output ? r->max_output : PROC_OUTPUT_MAX, ctx);
    ev->done.spawn = done;
    ev->code = s->o.spawn ? s->o.spawn(s->o.ctx, r, &ev->out, &ev->errout, &delay_ms) : -1;
    if (ev->code < 0) {
        event_free(ev);
        return err_set(e, ERR_IO, "run %s: not found", r->argv[0]);
    }
    ev->timed_out = delay_ms > timeout_ms;
    ev->truncated = ev->out.failed || ev->errout.failed;
    enqueue(s, ev, ev->timed_out ? timeout_ms : delay_ms, out);
    return 0;
}

static int sim_watch(struct host *h, int fd, host_timer_fn ready, void *ctx, struct host_op **out, struct err *e)
{
    (void)h, (void)ready, (void)ctx, (void)out;
    return err_set(e, ERR_IO, "descriptor %d cannot be watched by a simulated host", fd);
}

static void sim_cancel(struct host *h, struct host_op *op)
{
    struct sim *s = (struct sim *)h;
    struct event **at = &s->queue;

    while (*at && &(*at)->op != op)
        at = &(*at)->next;
    if (*at) {
        struct event *ev = *at;

        *at = ev->next;
        event_free(ev);
    }
}

/* What an answer says it is, guessed from its first byte: handlers give no headers. */
static const char *content_type(struct str body)
{
    size_t i = 0;

    while (i < body.n && strchr(" \t\r\n", body.p[i]))
        i++;
    if (i < body.n && (body.p[i] == '{' || body.p[i] == '['))
        return "application/json";
    return i < body.n && body.p[i] == '<' ? "text/html" : "text/plain";
}

static void deliver(struct event *ev)
{
    struct str out = {buf_text(&ev->out), ev->out.len};
    struct http_header header = {.name = "content-type", .value = content_type(out)};

    switch (ev->kind) {
    case EVENT_TIMER:
        ev->done.timer(ev->ctx);
        break;
    case EVENT_HTTP:
        if (ev->err.code != 0)
            ev->done.http(ev->ctx, &(struct http_answer){.sent = ev->sent, .err = &ev->err});
        else
            ev->done.http(ev->ctx, &(struct http_answer){
                .status = ev->code, .body = out, .headers = &header, .nheaders = 1});
        break;
    case EVENT_SPAWN:
        ev->done.spawn(ev->ctx, &(struct spawn_answer){
            .exit_code = ev->timed_out ? -1 : ev->code,
            .signal = ev->timed_out ? 15 : 0,
            .timed_out = ev->timed_out,
            .truncated = ev->truncated,
            .out = out,
            .errout = {buf_text(&ev->errout), ev->errout.len}});
        break;
    }
}

/* Delivers what is due, except what its callbacks call for: that is the next turn's. */
static void deliver_due(struct sim *s)
{
    uint64_t limit = s->seq;

    while (s->queue && !s->stopped && s->queue->due_ms <= s->mono_ms && s->queue->seq < limit) {
        struct event *ev = s->queue;

        s->queue = ev->next;
        deliver(ev);
        event_free(ev);
    }
}

static int sim_run(struct host *h, host_turn_fn turn, void *ctx, struct err *e)
{
    struct sim *s = (struct sim *)h;

    (void)e;
    s->stopped = false;
    for (;;) {
        bool more;

        atomic_store(&s->woken, false);
        more = turn ? turn(ctx) : false;
        if (s->stopped)
            return 0;
        more = atomic_load(&s->woken) || more;
        if (!s->queue && !more)
            return 0;
        if (!more && s->queue->due_ms > s->mono_ms) {
            s->mono_ms = s->queue->due_ms;
            if (s->o.tick)
                s->o.tick(s->o.ctx, sim_wall_ms(h));
        }
        deliver_due(s);
        if (s->stopped)
            return 0;
    }
}

static void sim_stop(struct host *h)
{
    ((struct sim *)h)->stopped = true;
}

static void sim_wake(struct host *h)
{
    atomic_store(&((struct sim *)h)->woken, true);
}

static void sim_signals(struct host *h, host_signal_fn fn, void *ctx)
{
    (void)h;
    (void)fn;
    (void)ctx;
}

static struct file **find_file(struct sim *s, const char *path)
{
    struct file **at = &s->files;

    while (*at && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    return at;
}

static int sim_read_file(struct host *h, const char *path, size_t max, struct buf *out, struct err *e)
{
    struct sim *s = (struct sim *)h;
    struct file *f;
    int r = point(s, "read_file", e);

    if (r != 0)
        return r;
    if (s->o.real_files)
        return file_read(path, max, out, e);
    f = *find_file(s, path);
    if (!f)
        return err_set(e, ERR_NOT_FOUND, "read %s: no such file", path);
    if (f->len > max || f->len > out->max - out->len)
        return err_set(e, ERR_LIMIT, "read %s: larger than %zu bytes", path, max);
    return f->len ? buf_add(out, f->data, f->len) : 0;
}

static int sim_write_file(struct host *h, const char *path, struct str data, struct err *e)
{
    struct sim *s = (struct sim *)h;
    struct file **at;
    int r = point(s, "write_file", e);

    if (r != 0)
        return r;
    if (s->o.real_files)
        return file_write(path, data, e);
    at = find_file(s, path);
    if (!*at) {
        if (s->nfiles == FILES_MAX)
            return err_set(e, ERR_DISK, "write %s: no space left in the simulation", path);
        *at = xcalloc(1, sizeof **at);
        (*at)->path = xstrdup(path);
        s->nfiles++;
    }
    free((*at)->data);
    (*at)->data = data.n ? xmemdup(data.p, data.n) : NULL;
    (*at)->len = data.n;
    return 0;
}

static bool sim_exists(struct host *h, const char *path)
{
    struct sim *s = (struct sim *)h;

    return s->o.real_files ? file_exists(path) : *find_file(s, path) != NULL;
}

static void drop_file(struct sim *s, struct file **at)
{
    struct file *f = *at;

    *at = f->next;
    s->nfiles--;
    free(f->path);
    free(f->data);
    free(f);
}

static int sim_remove_file(struct host *h, const char *path, struct err *e)
{
    struct sim *s = (struct sim *)h;
    struct file **at;
    int r = point(s, "remove_file", e);

    if (r != 0)
        return r;
    if (s->o.real_files)
        return file_remove(path, e);
    at = find_file(s, path);
    if (!*at)
        return err_set(e, ERR_NOT_FOUND, "remove %s: no such file", path);
    drop_file(s, at);
    return 0;
}

static void sim_free(struct host *h)
{
    struct sim *s = (struct sim *)h;

    while (s->queue)
        sim_cancel(h, &s->queue->op);
    while (s->files)
        drop_file(s, &s->files);
    free(s);
}

/* What a child says cannot be told in advance, so there is none here. */
static int sim_child(struct host *h, const struct child_request *r, struct host_op **out, struct err *e)
{
    (void)h, (void)out;
    return err_set(e, ERR_IO, "run %s: not on a simulated host", r->argv[0]);
}

static int sim_say(struct host *h, struct host_op *child, struct str bytes, struct err *e)
{
    (void)h, (void)child, (void)bytes;
    return err_set(e, ERR_IO, "there are no children on a simulated host");
}

static const struct host_ops sim_ops = {
    .wall_ms = sim_wall_ms,
    .mono_ms = sim_mono_ms,
    .random = sim_random,
    .timer = sim_timer,
    .http = sim_http,
    .spawn = sim_spawn,
    .child = sim_child,
    .say = sim_say,
    .watch = sim_watch,
    .cancel = sim_cancel,
    .read_file = sim_read_file,
    .write_file = sim_write_file,
    .exists = sim_exists,
    .remove_file = sim_remove_file,
    .signals = sim_signals,
    .run = sim_run,
    .stop = sim_stop,
    .wake = sim_wake,
    .free = sim_free,
};

void host_sim_step_clock(struct host *h, int64_t ms)
{
    ((struct sim *)h)->o.wall_ms += ms;
}

int host_sim_new(const struct host_sim_options *o, struct host **out, struct err *e)
{
    struct sim *s = xcalloc(1, sizeof *s);

    (void)e;
    s->host.ops = &sim_ops;
    s->o = *o;
    s->rng = o->seed;
    *out = &s->host;
    return 0;
}
