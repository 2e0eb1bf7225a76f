/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a plugin process: describe, configure, then calls, answered by id. I/O
 * callbacks store what came; the turn reads lines, answers calls and ends what broke
 * the protocol. A process that let a call time out gets no new ones and is ended with
 * the last it has; the next call starts another. */
#include "plugin/process.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "plugin/declaration.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    HANDSHAKE_MS = 10 * 1000,
    CLOSED_MS = 500,                    /* between the end of its output and its own */
    UNREAD_MAX = 4 * 1024 * 1024,       /* bytes said between two turns */
    LINES_MAX = 256,                    /* read in one turn */
    GRUMBLE_MAX = 3 * 1024,             /* bytes of a line on stderr, more than is shown of it */
    ERRORS_MAX = 1024 * 1024,           /* bytes on stderr between two answers */
    LOGGED_MAX = 200,                   /* lines of stderr, then they are dropped */
    DESCRIBE = 1, CONFIGURE = 2,        /* the ids of the handshake; calls follow */
};

static struct host *host_of(const struct process *p)
{
    return p->body->registry->o.host;
}

/* What it said, as much as fits: without secrets first, because a cut one is not known any more. */
static const char *shown(struct str said, char *out, size_t size)
{
    struct buf clean = BUF_INIT(4 * KIB), printable = BUF_INIT(16 * KIB);

    log_redact(&clean, (struct str){said.p, said.n < 4 * KIB ? said.n : 4 * KIB});
    str_add_printable(&printable, buf_text(&clean), clean.len);
    snprintf(out, size, "%s", buf_text(&printable));
    buf_free(&clean);
    buf_free(&printable);
    return out;
}

static void broke(struct process *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void broke(struct process *p, const char *fmt, ...)
{
    va_list ap;

    if (p->broken[0])
        return;
    va_start(ap, fmt);
    vsnprintf(p->broken, sizeof(p->broken), fmt, ap);
    va_end(ap);
    host_of(p)->ops->wake(host_of(p));
}

static void on_handshake_late(void *ctx)
{
    struct process *p = ctx;

    p->timer = NULL;
    broke(p, "it did not %s within %d s", p->stage == DESCRIBING ? "describe itself" : "take its settings",
          HANDSHAKE_MS / 1000);
}

static void on_closed_late(void *ctx)
{
    struct process *p = ctx;

    p->timer = NULL;
    broke(p, "it closed its output");
}

static void stop_timer(struct process *p)
{
    if (p->timer)
        host_of(p)->ops->cancel(host_of(p), p->timer);
    p->timer = NULL;
}

static void on_said(void *ctx, struct str bytes)
{
    struct process *p = ctx;
    struct err e = {0};

    if (bytes.n == 0) {
        stop_timer(p);
        host_of(p)->ops->timer(host_of(p), CLOSED_MS, on_closed_late, p, &p->timer, &e);
        return;
    }
    if (!p->broken[0] && buf_add(&p->said, bytes.p, bytes.n) < 0)
        broke(p, "it floods its output");
}

/* A line on stderr goes to the log; the last one is remembered for the error of its end. */
static void log_line(struct process *p)
{
    char line[600];

    shown((struct str){buf_text(&p->grumble), p->grumble.len}, p->last_words, sizeof(p->last_words));
    if (p->logged++ < LOGGED_MAX)
        log_event(LOG_INFO, "plugin", "%s: %s", p->body->instance,
                  shown((struct str){buf_text(&p->grumble), p->grumble.len}, line, sizeof(line)));
    else if (p->logged == LOGGED_MAX + 1)
        log_event(LOG_WARN, "plugin", "%s: it says too much; the rest is dropped", p->body->instance);
    buf_reset(&p->grumble);
}

static void on_errors(void *ctx, struct str bytes)
{
    struct process *p = ctx;
    size_t i;

    p->errors += bytes.n;
    if (p->errors > ERRORS_MAX)
        broke(p, "it floods stderr");
    for (i = 0; i < bytes.n && !p->broken[0]; i++) {
        if (bytes.p[i] != '\n' && p->grumble.len < GRUMBLE_MAX)
            buf_addc(&p->grumble, bytes.p[i]);
        else if (bytes.p[i] == '\n')
            log_line(p);
    }
}

static void on_ended(void *ctx, int exit_code, int signal)
{
    struct process *p = ctx;

    p->op = NULL;
    if (p->grumble.len)
        log_line(p);
    if (signal)
        snprintf(p->ended, sizeof(p->ended), "it was ended by signal %d", signal);
    else
        snprintf(p->ended, sizeof(p->ended), "it ended with exit code %d", exit_code);
}

void process_free(struct process *p)
{
    struct process **at = &p->body->processes;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    stop_timer(p);
    secret_forget(p->body->registry, p);
    if (p->op)
        host_of(p)->ops->cancel(host_of(p), p->op);
    if (p->said.data)
        explicit_bzero(p->said.data, p->said.len);
    buf_free(&p->said);
    buf_free(&p->grumble);
    free(p);
}

static int say(struct process *p, struct str line, struct err *e)
{
    return host_of(p)->ops->say(host_of(p), p->op, line, e);
}

int process_begin(struct body *b, struct process **out, struct err *e)
{
    const char *const argv[] = {b->program, NULL};
    struct process *p = xcalloc(1, sizeof(*p));
    struct child_request r = {.argv = argv, .cwd = "/", .out = on_said, .errout = on_errors, .ended = on_ended, .ctx = p};
    int rc;

    p->body = b;
    p->next_id = CONFIGURE + 1;
    buf_init(&p->said, UNREAD_MAX);
    buf_init(&p->grumble, 4 * KIB);
    p->next = b->processes;
    b->processes = p;
    rc = host_of(p)->ops->child(host_of(p), &r, &p->op, e);
    if (rc == 0)
        rc = host_of(p)->ops->timer(host_of(p), HANDSHAKE_MS, on_handshake_late, p, &p->timer, e);
    if (rc == 0)
        rc = say(p, STR("{\"abi\":1,\"call\":\"describe\",\"id\":1}\n"), e);
    if (rc < 0) {
        process_free(p);
        return err_wrap(e, "plugin %s", b->plugin);
    }
    *out = p;
    return 0;
}

void process_send(struct process *p, struct body_call *c)
{
    struct err e = {0};

    c->may_have_sent = true;
    c->sent = true;
    if (say(p, (struct str){c->line.data, c->line.len}, &e) < 0)
        broke(p, "%s", e.msg);
    buf_free(&c->line);
}

/* The call with the smallest id that waits for the handshake, or NULL. */
static struct body_call *first_waiting(struct process *p)
{
    struct body_call *c, *first = NULL;

    for (c = p->body->calls; c; c = c->next) {
        if (c->process == p && !c->sent && (!first || c->id < first->id))
            first = c;
    }
    return first;
}

static void configured(struct process *p, const json_t *said)
{
    struct body_call *c;
    char why[400];

    if (json_get_string(said, "error", NULL)) {
        broke(p, "%s", shown(str_of(json_get_string(said, "error", "")), why, sizeof(why)));
        return;
    }
    stop_timer(p);
    p->stage = READY;
    while (p->op && !p->broken[0] && (c = first_waiting(p)) != NULL)
        process_send(p, c);
}

static void on_secret(void *ctx, const struct err *err)
{
    struct process *p = ctx;

    if (err)
        broke(p, "%s", err->msg);
    p->secrets_came = true;
    host_of(p)->ops->wake(host_of(p));
}

/* Sends the settings, once their secrets are there. Waiting for those is not the process's delay. */
static void configure(struct process *p)
{
    struct buf line = BUF_INIT(PROCESS_LINE_MAX);
    struct err e = {0};
    int rc = process_configure(p->body, CONFIGURE, on_secret, p, &line, &e);

    stop_timer(p);
    p->secrets_came = false;
    if (rc == 0) {
        p->stage = CONFIGURING;
        rc = host_of(p)->ops->timer(host_of(p), HANDSHAKE_MS, on_handshake_late, p, &p->timer, &e);
    }
    if (rc == 0)
        rc = say(p, (struct str){line.data, line.len}, &e);
    if (rc < 0)
        broke(p, "%s", e.msg);
    if (line.data)
        explicit_bzero(line.data, line.len);
    buf_free(&line);
}

static void described(struct process *p, const json_t *said)
{
    json_t *declared = NULL;
    struct err e = {0};

    if (json_read(p->body->sources[0].text, &declared, &e) < 0 || !json_equal(declared, json_object_get(said, "value")))
        broke(p, "it describes itself otherwise than its declaration does (midwatch plugin describe writes that)");
    else
        configure(p);
    json_decref(declared);
}

static bool was_forgotten(struct process *p, int64_t id)
{
    size_t i;

    for (i = 0; i < p->nforgotten; i++) {
        if (p->forgotten[i] == id) {
            p->forgotten[i] = p->forgotten[--p->nforgotten];
            return true;
        }
    }
    return false;
}

static void answered(struct process *p, struct body_call *c, const json_t *said)
{
    struct buf out = BUF_INIT(PROCESS_LINE_MAX);
    struct err e = {0};
    char why[900];

    p->ncalls--;
    p->errors = 0;
    c->process = NULL;
    if (process_answer(c, said, &out, &e) == 0) {
        body_finish(c, (struct str){out.data, out.len});
    } else {
        snprintf(why, sizeof(why), "plugin %s: its answer to %s breaks its word: %s", p->body->plugin, c->verb, e.msg);
        body_finish_broken(c, why);
    }
    buf_free(&out);
}

static void on_answer(struct process *p, const json_t *said)
{
    const json_t *id = json_object_get(said, "id");
    int64_t n = json_integer_value(id);
    struct body_call *c;

    if (!json_is_integer(id)) {
        broke(p, "it said something without an id");
        return;
    }
    if (n == DESCRIBE && p->stage == DESCRIBING) {
        described(p, said);
        return;
    }
    if (n == CONFIGURE && p->stage == CONFIGURING) {
        configured(p, said);
        return;
    }
    for (c = p->body->calls; c && (c->process != p || c->id != n || !c->sent); c = c->next)
        ;
    if (c)
        answered(p, c, said);
    else if (!was_forgotten(p, n))
        broke(p, n > 0 && n < p->next_id ? "it answered call %lld twice" : "it answered call %lld, which nobody made",
              (long long)n);
}

static void on_line(struct process *p, struct str line)
{
    struct err e = {0};
    json_t *said = NULL;
    char start[61];

    if (json_read(line, &said, &e) == 0 && json_is_object(said)) {
        on_answer(p, said);
    } else {
        broke(p, "it printed what is no answer: %s", shown(line, start, sizeof(start)));
    }
    json_decref(said);
}

/* Reads the lines that are whole. Returns true if there are more. */
static bool read_lines(struct process *p)
{
    size_t from = 0;
    const char *end = NULL;
    int i;

    for (i = 0; i < LINES_MAX && !p->broken[0]; i++) {
        end = p->said.len > from ? memchr(p->said.data + from, '\n', p->said.len - from) : NULL;
        if (!end)
            break;
        on_line(p, (struct str){p->said.data + from, (size_t)(end - p->said.data) - from});
        from = (size_t)(end - p->said.data) + 1;
    }
    if (from > 0) {
        memmove(p->said.data, p->said.data + from, p->said.len - from);
        p->said.len -= from;
    }
    if (!end && p->said.len > PROCESS_LINE_MAX)
        broke(p, "it printed a line of more than %d bytes", (int)PROCESS_LINE_MAX);
    return end && !p->broken[0];
}

/* Takes the process off and answers what it still owed. */
static void end_broken(struct process *p)
{
    struct body *b = p->body;
    struct body_call *c;
    char why[900];

    if (p->ncalls == 0)
        log_event(LOG_WARN, "plugin", "%s: while nothing was asked of it, %s", b->instance, p->broken);
    snprintf(why, sizeof(why), "plugin %s: %s%s%s", b->plugin, p->broken, p->last_words[0] ? "; it said: " : "",
             p->last_words);
    for (c = b->calls; c; c = c->next) {
        if (c->process == p) {
            c->process = NULL;
            c->lost = true;
        }
    }
    process_free(p);
    for (;;) {
        for (c = b->calls; c && !c->lost; c = c->next)
            ;
        if (!c)
            return;
        body_finish_broken(c, why);
    }
}

static bool turn_process(struct process *p)
{
    bool more = read_lines(p);

    if (more)
        return true;
    if (p->secrets_came && !p->broken[0] && !p->ended[0]) {
        configure(p);
        return true;
    }
    if (p->ended[0])
        broke(p, "%s", p->ended);
    if (p->broken[0])
        end_broken(p);
    else if (p->draining && p->ncalls == 0)
        process_free(p);
    else
        return false;
    return true;
}

bool process_turn(struct body *b)
{
    struct process *p;

    /* A turn that did something may have freed any of them: the next one goes on. */
    for (p = b->processes; p; p = p->next) {
        if (turn_process(p))
            return true;
    }
    return false;
}
