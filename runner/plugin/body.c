/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of bodies. A call is a branch of the body's Lua state; while it waits for a
 * primitive, what came from the host is kept here and given to Lua in the turn. A
 * call always has an answer: its own, or what a deadline, a broken body or a denied
 * primitive makes of it. For an apply, "may have been sent" is the careful guess. */
#include "plugin/secret.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define CALL_TIMEOUT_MS 30000

static const char *const kind_names[] = {
    [BODY_READ] = "read", [BODY_STATE] = "state", [BODY_CHECK] = "check", [BODY_APPLY] = "apply",
    [BODY_PROBE] = "probe", [BODY_PERMITTED] = "permitted", [BODY_PREFLIGHT] = "preflight",
};

static void unlink_call(struct body_call *c)
{
    struct body_call **at = &c->body->calls;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

static void drop(struct registry *r, struct body_call *c)
{
    struct host *h = r->o.host;

    if (c->op)
        h->ops->cancel(h, c->op);
    if (c->deadline)
        h->ops->cancel(h, c->deadline);
    vm_drop(c->body->vm, c->branch);
    secret_forget(r, c);
    json_decref(c->args);
    unlink_call(c);
    buf_free(&c->answer);
    free(c);
}

void body_cancel(struct registry *r, struct body_call *c)
{
    drop(r, c);
}

/* Ends the call with an answer; c is gone afterwards. */
static void finish(struct body_call *c, struct str answer)
{
    struct registry *r = c->body->registry;
    struct buf clean = BUF_INIT(4 * VALUE_BYTES_MAX);
    body_fn done = c->done;
    void *ctx = c->ctx;

    if (log_has_secrets())
        log_redact(&clean, answer);
    else
        buf_add(&clean, answer.p, answer.n);
    drop(r, c);
    done(ctx, (struct str){clean.data ? clean.data : "", clean.len});
    buf_free(&clean);
}

/* A call that could not answer for itself. */
static void finish_broken(struct body_call *c, const char *why)
{
    struct buf b = BUF_INIT(8 * KIB);
    struct json_object o;

    json_open(&o, &b);
    if (c->kind == BODY_APPLY)
        json_put_string(&o, "outcome", c->may_have_sent ? STR("unknown") : STR("refused"));
    else
        json_put_string(&o, "unknown", STR("error"));
    json_put_string(&o, "why", str_of(why));
    json_close(&o);
    finish(c, (struct str){b.data, b.len});
    buf_free(&b);
}

static void deadline(void *ctx)
{
    struct body_call *c = ctx;

    c->deadline = NULL;
    c->timed_out = true;
    c->body->registry->o.host->ops->wake(c->body->registry->o.host);
}

/* "read", verb, args, extra as the argument list of plugin.call. */
static void call_args(const struct body_request *q, struct buf *out)
{
    buf_addf(out, "[\"%s\",", kind_names[q->kind]);
    json_add_string(out, q->verb, strlen(q->verb));
    buf_addc(out, ',');
    buf_add(out, q->args.n ? q->args.p : "{}", q->args.n ? q->args.n : 2);
    buf_addc(out, ',');
    buf_add(out, q->extra.n ? q->extra.p : "{}", q->extra.n ? q->extra.n : 2);
    buf_addc(out, ']');
}

int body_start(struct registry *r, const struct body_request *q, body_fn done, void *ctx, struct body_call **out,
               struct err *e)
{
    struct buf args = BUF_INIT(4 * VALUE_BYTES_MAX);
    struct host *h = r->o.host;
    struct body_call *c;
    struct body *b;
    int rc;

    if (r->o.sealed || (r->o.reads_only && q->kind == BODY_APPLY))
        return err_set(e, ERR_DENIED, "nothing may act here");
    if (body_find(r, q->instance, NULL, &b, e) < 0)
        return e->code;
    if (b->dead)
        return err_set(e, ERR_LIMIT, "plugin %s used too much memory or time and is off", b->plugin);
    c = xcalloc(1, sizeof(*c));
    c->body = b;
    c->kind = q->kind;
    c->done = done;
    c->ctx = ctx;
    buf_init(&c->answer, HTTP_BODY_MAX + MIB);
    call_args(q, &args);
    rc = vm_start_call(b->vm, "plugin", "call", (struct str){args.data, args.len}, &c->branch, e);
    buf_free(&args);
    if (rc == 0)
        rc = h->ops->timer(h, q->timeout_ms > 0 ? q->timeout_ms : CALL_TIMEOUT_MS, deadline, c, &c->deadline, e);
    if (rc < 0) {
        free(c);
        return rc;
    }
    c->next = b->calls;
    b->calls = c;
    *out = c;
    return 0;
}

static struct body_call *find_branch(struct body *b, uint32_t branch)
{
    struct body_call *c;

    for (c = b->calls; c && c->branch != branch; c = c->next)
        ;
    return c;
}

/* The first element of the list of results. */
static void on_done(struct body_call *c, struct str results)
{
    json_t *list = NULL, *first;
    struct err e = {0};
    struct buf b = BUF_INIT(4 * VALUE_BYTES_MAX);

    /* "[x]" without a comma at the top is by far the commonest: take the text between the brackets. */
    if (results.n > 2 && results.p[1] == '{' && results.p[results.n - 2] == '}') {
        finish(c, (struct str){results.p + 1, results.n - 2});
        return;
    }
    if (json_read(results, &list, &e) < 0 || !json_is_object(first = json_array_get(list, 0))) {
        finish_broken(c, "the plugin answered nothing");
    } else {
        json_add_value(&b, first);
        finish(c, (struct str){b.data, b.len});
    }
    json_decref(list);
    buf_free(&b);
}

static void on_event(struct body *b, const struct vm_event *ev)
{
    struct body_call *c = find_branch(b, ev->outcome == VM_PARKED ? ev->request.branch : ev->branch);
    char why[1100];

    if (!c)
        return;
    switch (ev->outcome) {
    case VM_PARKED:
        primitive_begin(c, &ev->request);
        break;
    case VM_DONE:
        on_done(c, ev->json);
        break;
    case VM_ERROR:
        snprintf(why, sizeof(why), "plugin %s: %s", b->plugin, ev->error);
        finish_broken(c, why);
        break;
    default:
        b->dead = true;
        while (b->calls)
            finish_broken(b->calls, "the plugin used too much memory or time");
        break;
    }
}

/* What the host brought, and deadlines that are over. */
static bool deliver(struct body *b)
{
    struct body_call *c, *next;
    bool any = false;
    struct err e = {0};

    for (c = b->calls; c; c = next) {
        next = c->next;
        if (c->timed_out) {
            finish_broken(c, "no answer within the time for it");
            return true;
        }
        if (!c->answered)
            continue;
        c->answered = false;
        any = true;
        if (vm_answer(b->vm, c->branch, c->generation, (struct str){c->answer.data, c->answer.len}, &e) < 0) {
            finish_broken(c, e.msg);
            return true;
        }
    }
    return any;
}

bool registry_turn(struct registry *r)
{
    struct vm_event ev;
    struct body *b;
    bool more = false;
    int steps, rc;

    for (b = r->bodies; b; b = b->next) {
        if (!b->calls)
            continue;
        more |= deliver(b);
        for (steps = 0; steps < 64 && !b->dead && (rc = vm_step(b->vm, &ev)) != 0; steps++) {
            more = true;
            if (rc == 1)
                on_event(b, &ev);
        }
    }
    return more;
}
