/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of bodies. A call is a branch of the body's Lua state; while it waits for a
 * primitive, what came from the host is kept here and given to Lua in the turn. A
 * call always has an answer: its own, or what a deadline, a broken body or a denied
 * primitive makes of it. For an apply, "may have been sent" is the careful guess. */
#include "plugin/schema.h"
#include "plugin/secret.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/slice.h"

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

    if (c->deadline)
        h->ops->cancel(h, c->deadline);
    c->body->ops->drop(c);
    unlink_call(c);
    free(c);
}

void body_cancel(struct registry *r, struct body_call *c)
{
    drop(r, c);
}

/* Ends the call with an answer; c is gone afterwards. */
void body_finish(struct body_call *c, struct str answer)
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
void body_finish_broken(struct body_call *c, const char *why)
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
    body_finish(c, (struct str){b.data, b.len});
    buf_free(&b);
}

static void deadline(void *ctx)
{
    struct body_call *c = ctx;

    c->deadline = NULL;
    c->timed_out = true;
    c->body->looks_for_late = true;
    c->body->registry->o.host->ops->wake(c->body->registry->o.host);
}

/* "read", verb, args, extra as the argument list of plugin.call; who reads or looks at a state is told nothing extra. */
static void call_args(const struct body_request *q, struct buf *out)
{
    buf_addc(out, '[');
    json_add_string(out, kind_names[q->kind], strlen(kind_names[q->kind]));
    buf_addc(out, ',');
    json_add_string(out, q->verb, strlen(q->verb));
    buf_addc(out, ',');
    buf_add(out, q->args.n ? q->args.p : "{}", q->args.n ? q->args.n : 2);
    if (q->kind != BODY_READ && q->kind != BODY_STATE) {
        buf_addc(out, ',');
        buf_add(out, q->extra.n ? q->extra.p : "{}", q->extra.n ? q->extra.n : 2);
    }
    buf_addc(out, ']');
}

/* A read's declaration; with its arguments where they name the fields of the answer. */
static void expect_answer(struct body_call *c, const struct body_request *q)
{
    if (q->kind != BODY_READ)
        return;
    c->spec = json_object_get(json_object_get(c->body->declared, "reads"), q->verb);
    if (schema_names_fields(c->spec))
        json_read(q->args, &c->asked, &(struct err){0});
}

static int luabody_start(struct body_call *c, const struct body_request *q, struct err *e)
{
    struct buf args = BUF_INIT(4 * VALUE_BYTES_MAX);
    struct body *b = c->body;
    int rc;

    if (b->dead && luabody_again(b, e) < 0)
        return e->code;
    buf_init(&c->answer, HTTP_BODY_MAX + MIB);
    expect_answer(c, q);
    call_args(q, &args);
    rc = vm_start_call(b->vm, "plugin", "call", (struct str){args.data, args.len}, &c->branch, e);
    buf_free(&args);
    if (rc < 0)
        json_decref(c->asked);
    return rc;
}

static void luabody_drop(struct body_call *c)
{
    struct host *h = c->body->registry->o.host;

    if (c->op)
        h->ops->cancel(h, c->op);
    vm_drop(c->body->vm, c->branch);
    secret_forget(c->body->registry, c);
    json_decref(c->args);
    json_decref(c->asked);
    buf_free(&c->answer);
}

/* What the caller gives it, else what a read declares for itself (seconds), else the usual. */
static int64_t time_for(const struct body *b, const struct body_request *q)
{
    const json_t *read = q->kind == BODY_READ ? json_object_get(json_object_get(b->declared, "reads"), q->verb) : NULL;

    if (q->timeout_ms > 0)
        return q->timeout_ms;
    return json_get_int(read, "timeout", CALL_TIMEOUT_MS / 1000) * 1000;
}

int body_start(struct registry *r, const struct body_request *q, body_fn done, void *ctx, struct body_call **out,
               struct err *e)
{
    struct host *h = r->o.host;
    struct body_call *c;
    struct body *b;
    int rc;

    if (r->o.sealed || (r->o.reads_only && q->kind == BODY_APPLY))
        return err_set(e, ERR_DENIED, "nothing may act here");
    if (body_find(r, q->instance, NULL, &b, e) < 0)
        return e->code;
    c = xcalloc(1, sizeof(*c));
    c->body = b;
    c->kind = q->kind;
    c->run = q->run;
    c->done = done;
    c->ctx = ctx;
    rc = h->ops->timer(h, time_for(b, q), deadline, c, &c->deadline, e);
    if (rc == 0 && (rc = b->ops->start(c, q, e)) < 0)
        h->ops->cancel(h, c->deadline);
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

/* What a read answered, against what its plugin says that it returns. */
static bool is_as_declared(struct body_call *c, struct str answer, struct err *e)
{
    struct str text = c->spec ? json_slice(answer, "value") : (struct str){0};
    json_t *value = NULL;
    int rc;

    if (text.n == 0 || schema_scalar(c->spec, text))
        return true;
    rc = json_read(text, &value, e);
    if (rc == 0)
        rc = schema_answer(c->spec, c->asked, value, false, "the answer", NULL, e);
    json_decref(value);
    return rc == 0;
}

static void finish_checked(struct body_call *c, struct str answer)
{
    struct err e = {0};
    char why[1200];

    if (is_as_declared(c, answer, &e)) {
        body_finish(c, answer);
        return;
    }
    snprintf(why, sizeof(why), "plugin %s breaks its declaration: %s", c->body->plugin, e.msg);
    body_finish_broken(c, why);
}

/* The first element of the list of results. */
static void on_done(struct body_call *c, struct str results)
{
    json_t *list = NULL, *first;
    struct err e = {0};
    struct buf b = BUF_INIT(4 * VALUE_BYTES_MAX);

    /* "[x]" without a comma at the top is by far the commonest: take the text between the brackets. */
    if (results.n > 2 && results.p[1] == '{' && results.p[results.n - 2] == '}') {
        finish_checked(c, (struct str){results.p + 1, results.n - 2});
        return;
    }
    if (json_read(results, &list, &e) < 0 || !json_is_object(first = json_array_get(list, 0))) {
        body_finish_broken(c, "the plugin answered nothing");
    } else {
        json_add_value(&b, first);
        finish_checked(c, (struct str){b.data, b.len});
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
        body_finish_broken(c, why);
        break;
    case VM_FORKED:
        body_finish_broken(c, "a plugin has no branches");
        break;
    default:
        luabody_killed(b);
        while (b->calls)
            body_finish_broken(b->calls, "the plugin used too much memory or time");
        break;
    }
}

/* Gives Lua what the host brought. */
static bool deliver(struct body *b)
{
    struct body_call *c, *next;
    bool any = false;
    struct err e = {0};

    if (!b->looks_for_answers)
        return false;
    b->looks_for_answers = false;
    for (c = b->calls; c; c = next) {
        next = c->next;
        if (!c->answered)
            continue;
        c->answered = false;
        any = true;
        if (vm_answer(b->vm, c->branch, c->generation, (struct str){c->answer.data, c->answer.len}, &e) < 0) {
            b->looks_for_answers = true;        /* there may be more */
            body_finish_broken(c, e.msg);
            return true;
        }
    }
    return any;
}

static void tell(struct body *b)
{
    const struct registry_options *o = &b->registry->o;
    const struct body_call *c = o->at_work ? find_branch(b, vm_next(b->vm)) : NULL;

    if (c)
        o->at_work(o->ctx, c->run, b->instance);
}

static bool luabody_turn(struct body *b)
{
    struct vm_event ev;
    bool more;
    int steps, rc;

    if (!b->calls)
        return false;
    more = deliver(b);
    for (steps = 0; steps < 64 && !b->dead; steps++) {
        tell(b);
        rc = vm_step(b->vm, &ev);
        if (rc == 0)
            break;
        more = true;
        if (rc == 1)
            on_event(b, &ev);
    }
    return more;
}

static void luabody_free(struct body *b)
{
    vm_free(b->vm);
}

const struct body_ops luabody_ops = {.load = luabody_load, .want = luabody_want, .start = luabody_start, .drop = luabody_drop,
                                 .turn = luabody_turn, .free = luabody_free};

/* Ends the first call whose time is over. */
static bool expire(struct body *b)
{
    struct body_call *c;

    if (!b->looks_for_late)
        return false;
    for (c = b->calls; c && !c->timed_out; c = c->next)
        ;
    b->looks_for_late = c != NULL;
    if (c)
        body_finish_broken(c, "no answer within the time for it");
    return c != NULL;
}

bool registry_turn(struct registry *r)
{
    struct body *b;
    bool more = false;

    for (b = r->bodies; b; b = b->next) {
        more |= expire(b);
        more |= b->ops->turn(b);
    }
    return more;
}
