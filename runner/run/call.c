/* SPDX-License-Identifier: Apache-2.0 */
/* Gate calls in flight. A call has a path (its place in the order of the run's
 * calls: the identity that a replay checks) and one or more parts; when every part
 * is answered, Lua gets the list and the call is gone. */
#include "run/run.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

static void part_deinit(struct part *p)
{
    const struct engine_options *o = engine_opts(p->call->run->engine);

    if (p->asking && o->answerer)
        o->answerer->ops->cancel(o->answerer, &p->question);
    life_free(p);
    json_decref(p->request);
    json_decref(p->from);
    buf_free(&p->answer);
    buf_free(&p->text);
    buf_free(&p->extra);
}

static void call_free(struct call *c)
{
    struct host *h = engine_host(c->run->engine);
    size_t i;

    if (c->op && c->op->drop)
        c->op->drop(c);
    if (c->timer)
        h->ops->cancel(h, c->timer);
    for (i = 0; i < c->nparts; i++)
        part_deinit(&c->parts[i]);
    free(c);
}

void call_free_all(struct run *r)
{
    struct call *c, *next;

    for (c = r->calls; c; c = next) {
        next = c->next;
        call_free(c);
    }
    r->calls = NULL;
}

static void unlink_call(struct call *c)
{
    struct call **at = &c->run->calls;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

static bool is_last(const struct hashed *last, const struct vm_call *v)
{
    const char *name = buf_text(&last->texts), *instance = name + last->name, *args = instance + last->instance;
    size_t n = last->texts.len - last->name - last->instance;

    return last->texts.len > 0 && str_eq((struct str){args, n}, v->args) &&
           str_eq((struct str){name, last->name}, v->name) && str_eq((struct str){instance, last->instance}, v->instance);
}

/* A run that waits makes one call again and again: to compare it with the one before costs less than its hash. */
static struct hash hash_call(struct hashed *last, const struct vm_call *v)
{
    struct str parts[] = {v->name, v->instance, v->args};
    size_t i;

    if (is_last(last, v))
        return last->hash;
    last->hash = hash_parts(parts, 3);
    buf_reset(&last->texts);
    for (i = 0; i < 3; i++)
        buf_add(&last->texts, parts[i].p, parts[i].n);
    last->name = v->name.n;
    last->instance = v->instance.n;
    if (last->texts.failed) {       /* too long to be kept */
        buf_reset(&last->texts);
        last->name = last->instance = 0;
    }
    return last->hash;
}

static void part_init(struct part *p, struct call *c, size_t i, const struct vm_call *v)
{
    p->call = c;
    p->index = i;
    p->label = v->label;
    p->name = v->name;
    p->instance = v->instance;
    p->args = v->args;
    p->hash = hash_call(&c->run->hashed, v);
    buf_init(&p->answer, VALUE_BYTES_MAX + 256);
    buf_init(&p->text, VALUE_BYTES_MAX);
    buf_init(&p->extra, 3 * VALUE_BYTES_MAX);
    if (v->label.n)
        snprintf(p->path, sizeof(p->path), "%s.%.*s", c->path, (int)v->label.n, v->label.p);
    else if (c->nparts > 1)
        snprintf(p->path, sizeof(p->path), "%.60s.%u", c->path, (unsigned)i + 1);
    else
        str_copy(p->path, sizeof(p->path), str_of(c->path));
}

/* A label is part of the path, a name (or title) the name of a row: neither is ever cut, two cut ones could be equal. */
static int check_names(const struct run *r, const struct vm_request *q, struct err *e)
{
    size_t i;

    for (i = 0; i < q->ncalls; i++) {
        struct str label = q->calls[i].label, name = q->calls[i].name;

        if (label.n > LABEL_BYTES_MAX)
            return err_set(e, ERR_LIMIT, "%s:%d: the name '%.40s...' has %zu bytes, at most %d", r->file, q->line,
                           label.p, label.n, LABEL_BYTES_MAX);
        if (name.n > TITLE_BYTES_MAX)
            return err_set(e, ERR_LIMIT, "%s:%d: the title '%.40s...' has %zu bytes, at most %d", r->file, q->line,
                           name.p, name.n, TITLE_BYTES_MAX);
    }
    return 0;
}

static int take_up(struct call *c, const struct vm_call *calls, struct err *e)
{
    struct run *r = c->run;
    size_t i;

    for (i = 0; i < c->nparts; i++)
        part_init(&c->parts[i], c, i, &calls[i]);
    c->next = r->calls;
    r->calls = c;
    if (c->op->begin && c->op->begin(c, e) < 0)
        return e->code;
    if (r->phase == PHASE_LIVE)
        c->op->live(c);
    return 0;
}

/* Its parts lie behind it. */
static struct call *call_new(struct run *r, const struct op *op, size_t nparts, int64_t begun_at)
{
    struct call *c = xcalloc(1, sizeof(*c) + nparts * sizeof(*c->parts));

    c->run = r;
    c->op = op;
    c->parts = (struct part *)(c + 1);
    c->nparts = nparts;
    c->begun_at = begun_at;
    return c;
}

int call_begin(struct run *r, const struct vm_request *q, struct err *e)
{
    const struct op *op = op_find(q->op);
    struct call *c;

    if (!op)
        return err_set(e, ERR_INTERNAL, "no gate call is named '%.*s'", (int)q->op.n, q->op.p);
    if (q->ncalls == 0 || q->ncalls > GATE_READS_MAX)
        return err_set(e, ERR_LIMIT, "line %d: %zu reads or effects at once, at most %d", q->line, q->ncalls,
                       GATE_READS_MAX);
    if (check_names(r, q, e) < 0)
        return e->code;
    c = call_new(r, op, q->ncalls, q->now_ms);
    c->branch = q->branch;
    c->generation = q->generation;
    c->line = q->line;
    run_next_path(r, q->branch, c->path, sizeof(c->path));
    r->line = q->line;
    watchdog_enter(engine_opts(r->engine)->watchdog, r->id, r->line, NULL);
    return take_up(c, q->calls, e);
}

int call_host(struct run *r, struct str op, const char *path, struct str name, struct str instance, struct str args,
              struct err *e)
{
    struct call *c = call_new(r, op_find(op), 1, r->last_at);
    struct vm_call v;

    if (!r->asked)
        r->asked = arena_new();
    v = (struct vm_call){.name = arena_copy(r->asked, name), .instance = arena_copy(r->asked, instance),
                         .args = arena_copy(r->asked, args)};
    c->finishing = true;
    snprintf(c->path, sizeof(c->path), "%s", path);
    return take_up(c, &v, e);
}

struct call *call_find(struct run *r, struct str path, struct part **part)
{
    struct call *c;
    size_t i;

    *part = NULL;
    for (c = r->calls; c; c = c->next) {
        for (i = 0; i < c->nparts; i++) {
            if (str_is(path, c->parts[i].path)) {
                *part = &c->parts[i];
                return c;
            }
        }
    }
    return NULL;
}

void call_answer(struct call *c, struct str json)
{
    struct run *r = c->run;
    struct err e;

    err_clear(&e);
    unlink_call(c);
    if (!c->finishing && !r->ending && vm_answer(r->vm, c->branch, c->generation, json, &e) < 0)
        run_fail(r, &e);
    call_free(c);
}

/* The list of the parts' answers. */
static void answer_list(struct call *c)
{
    struct buf list;
    size_t i, n = c->nparts + 1;

    for (i = 0; i < c->nparts; i++)
        n += c->parts[i].answer.len;
    buf_init(&list, (size_t)c->nparts * (VALUE_BYTES_MAX + 256));
    buf_reserve(&list, n);
    buf_addc(&list, '[');
    for (i = 0; i < c->nparts; i++) {
        if (i)
            buf_addc(&list, ',');
        buf_add(&list, c->parts[i].answer.data, c->parts[i].answer.len);
    }
    buf_addc(&list, ']');
    call_answer(c, (struct str){list.data, list.len});
    buf_free(&list);
}

void part_answered(struct part *p)
{
    struct call *c = p->call;

    p->answered = true;
    if (++c->nanswered == c->nparts)
        answer_list(c);
}

static void answered(void *ctx, struct str answer)
{
    struct part *p = ctx;

    p->asking = false;
    p->question.in_flight = NULL;
    p->then(p, answer);
}

/* An answer that could not even be asked for, delivered as one. */
static void not_asked(struct part *p, enum question_kind kind, const struct err *e)
{
    struct buf b = BUF_INIT(4096);
    struct json_object o;
    char why[1400];

    json_open(&o, &b);
    if (kind == ASK_APPLY)
        json_put_string(&o, "outcome", STR("refused"));
    else if (kind != ASK_NOTIFY)
        json_put_string(&o, "unknown", STR("error"));
    json_put_string(&o, "why", str_of(err_text(e, why, sizeof(why))));
    json_close(&o);
    answered(p, (struct str){b.data, b.len});
    buf_free(&b);
}

void part_ask(struct part *p, enum question_kind kind, struct str args, struct str extra, struct str target,
              int64_t timeout_ms, void (*done)(void *part, struct str answer))
{
    struct answerer *a = engine_opts(p->call->run->engine)->answerer;
    struct err e = {0};

    if (p->call->run->phase == PHASE_SETTLED)       /* something broke on the way here: nothing is asked or sent any more */
        return;
    p->question = (struct question){
        .kind = kind, .registry = p->call->run->registry, .run = p->call->run->id,
        .label = p->label, .name = p->name, .instance = p->instance, .args = args, .text = str_of(""),
        .args_hash = p->hash, .target = target, .extra = extra, .timeout_ms = timeout_ms, .done = answered,
        .ctx = p,
    };
    p->then = done;
    if (p->text.len)
        p->question.text = (struct str){p->text.data, p->text.len};
    p->asking = true;
    if (a->ops->ask(a, &p->question, &e) < 0)
        not_asked(p, kind, &e);
}

struct str payload_inner(struct str payload)
{
    const char *at = memmem(payload.p, payload.n, ",\"o\":", 5);

    if (!at || payload.n < 2)
        return STR("null");
    at += 5;
    return (struct str){at, (size_t)(payload.p + payload.n - 1 - at)};
}
