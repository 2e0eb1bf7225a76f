/* SPDX-License-Identifier: Apache-2.0 */
/* The gate calls there are, in one table, and the simple ones: reads, waits,
 * pauses, records, endings. Plans and effects have files of their own. */
#include "run/ask.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdio.h>

/* " (line 12)" of the call that was recorded, or "" where the row does not say. */
static const char *recorded_line(const struct row *row, char out[32])
{
    int64_t line = json_slice_int(row->payload, "line", 0);

    out[0] = '\0';
    if (line > 0)
        snprintf(out, 32, " (line %lld)", (long long)line);
    return out;
}

int op_unexpected(struct call *c, const struct row *row, struct err *e)
{
    char line[32];

    return err_set(e, ERR_CORRUPT, "row %lld at %s%s is %s %.*s where the code asks for '%s' in line %d", (long long)row->seq,
                   c->path, recorded_line(row, line), row_kind_name(row->kind), (int)row->name.n, row->name.p, c->op->name,
                   c->line);
}

int op_same_call(struct call *c, const struct part *p, const struct row *row, enum row_kind kind, struct err *e)
{
    char line[32];

    if (row->kind != kind)
        return op_unexpected(c, row, e);
    if (hash_eq(&row->args_hash, &p->hash) && str_eq(row->name, p->name) && str_eq(row->args, p->args))
        return 0;
    return err_set(e, ERR_CORRUPT, "row %lld at %s%s is %.*s with %.*s, the code asks in line %d for %.*s with %.*s",
                   (long long)row->seq, c->path, recorded_line(row, line), (int)row->name.n, row->name.p,
                   (int)(row->args.n > 200 ? 200 : row->args.n), row->args.p, c->line, (int)p->name.n, p->name.p,
                   (int)(p->args.n > 200 ? 200 : p->args.n), p->args.p);
}

/* {"line":N} */
static struct str line_payload(const struct call *c, char out[32])
{
    int n = snprintf(out, 32, "{\"line\":%d}", c->line);

    return (struct str){out, (size_t)n};
}

/* read: one OBS row per read */

bool engine_is_stale(struct str request, struct str answer, int64_t now)
{
    int64_t at = json_slice_int(answer, "at", -1);
    struct str max_age = json_slice(request, "max_age");
    char digits[32];

    if (at < 0 || max_age.n == 0 || max_age.n >= sizeof(digits))
        return false;
    memcpy(digits, max_age.p, max_age.n);
    digits[max_age.n] = '\0';
    return (double)(now - at) > strtod(digits, NULL) * 1000.0;
}

static void read_answered(void *part, struct str answer)
{
    struct part *p = part;
    struct call *c = p->call;
    struct buf payload;

    buf_init(&payload, PAYLOAD_BYTES_MAX);
    buf_reserve(&payload, 120);
    buf_adds(&payload, "{\"line\":");
    json_add_int(&payload, c->line);
    buf_adds(&payload, ",\"o\":");
    if (json_slice(answer, "unknown").n == 0 && engine_is_stale(p->args, answer, run_now(c->run)))
        buf_adds(&payload, "{\"unknown\":\"stale\",\"why\":\"the sample is older than max_age allows\"}");
    else
        buf_add(&payload, answer.p, answer.n);
    buf_addc(&payload, '}');
    if (payload.failed) {
        buf_reset(&payload);
        buf_addf(&payload, "{\"line\":%d,\"o\":{\"unknown\":\"error\",\"why\":\"the answer is larger than %d bytes\"}}",
                 c->line, PAYLOAD_BYTES_MAX);
    }
    run_row(c->run, c, p, ROW_OBS, p->name, p->args, (struct str){payload.data, payload.len});
    buf_free(&payload);
}

static int read_begin(struct call *c, struct err *e)
{
    size_t i;

    for (i = 0; i < c->nparts; i++) {
        if (json_slice(c->parts[i].args, "args").n == 0)
            return err_set(e, ERR_INTERNAL, "a read without arguments at line %d", c->line);
    }
    return 0;
}

/* What the plugin says the read may take, in ms; 0 = what is usual. */
static int64_t read_timeout(struct part *p)
{
    char instance[256], verb[128];
    struct str v = gate_verb(p->name);
    const json_t *declared;
    struct err e = {0};

    str_copy(instance, sizeof(instance), p->instance);
    str_copy(verb, sizeof(verb), v);
    if (p->instance.n == 0 || registry_describe(p->call->run->registry, instance, NULL, &declared, &e) < 0)
        return 0;
    return 1000 * json_get_int(json_object_get(json_object_get(declared, "reads"), verb), "timeout", 0);
}

static void read_live(struct call *c)
{
    size_t i, todo = 0;

    for (i = 0; i < c->nparts; i++)
        todo += !c->parts[i].answered && !c->parts[i].asking;
    /* The answer to the last one may end the call, so `c` is not looked at behind it. */
    for (i = 0; todo > 0; i++) {
        struct part *p = &c->parts[i];
        struct str text;

        if (p->answered || p->asking)
            continue;
        todo--;
        text = json_slice(p->args, "text");
        buf_reset(&p->text);
        buf_add(&p->text, text.p, text.n);
        part_ask(p, ASK_READ, json_slice(p->args, "args"), STR(""), STR(""), read_timeout(p), read_answered);
    }
}

static int read_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    struct str o = payload_inner(row->payload);

    if (p->answered)
        return op_unexpected(c, row, e);
    if (op_same_call(c, p, row, ROW_OBS, e) < 0)
        return e->code;
    buf_reserve(&p->answer, o.n + 64);
    buf_adds(&p->answer, "{\"o\":");
    buf_add(&p->answer, o.p, o.n);
    buf_adds(&p->answer, ",\"row\":");
    json_add_int(&p->answer, row->seq);
    buf_addc(&p->answer, '}');
    part_answered(p);
    return 0;
}

/* Calls that are one row with their arguments, answered with its time */

static int timed_row(struct call *c, struct part *p, const struct row *row, enum row_kind kind, struct err *e)
{
    char answer[64];
    int n;

    if (op_same_call(c, p, row, kind, e) < 0)
        return e->code;
    n = snprintf(answer, sizeof(answer), "{\"at\":%lld}", (long long)row->at);
    call_answer(c, (struct str){answer, (size_t)n});
    return 0;
}

static void one_row(struct call *c, enum row_kind kind)
{
    char line[32];
    struct part *p = &c->parts[0];

    run_row(c->run, c, p, kind, p->name, p->args, line_payload(c, line));
}

/* wait: a durable row, one commit */
static void wait_live(struct call *c)
{
    one_row(c, ROW_WAIT);
}

static void nothing_more(struct run *r, void *ctx, const struct row *row, const char *refusal)
{
    (void)r, (void)ctx, (void)row, (void)refusal;
}

static int wait_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    struct run *r = c->run;
    int rc = timed_row(c, p, row, ROW_WAIT, e);

    if (rc == 0 && r->phase == PHASE_LIVE)
        run_commit(r, NULL, 0, 0, nothing_more, NULL);
    return rc;
}

/* timer: due is counted from the row before it, so that a resumed pause does not start anew */
static int64_t timer_due(const struct call *c)
{
    return c->begun_at + json_slice_int(c->parts[0].args, "ms", 0);
}

static void timer_live(struct call *c);

static void timer_fired(void *ctx)
{
    struct call *c = ctx;

    c->timer = NULL;
    if (run_out_of_time(c->run))
        return;
    if (run_now(c->run) < timer_due(c))
        timer_live(c);
    else
        one_row(c, ROW_TIMER);
}

/* It fires at the end of the run's time as well, which moves while people are waited for, until the run ends. */
static void timer_live(struct call *c)
{
    struct run *r = c->run;
    struct host *h = engine_host(r->engine);
    struct err e = {0};
    int64_t left = timer_due(c) - run_now(r), end = run_time_left(r) + 1;

    if (r->questions && end < 1000)
        end = 1000;
    if (!r->ending && end < left)
        left = end;
    if (h->ops->timer(h, left > 0 ? left : 0, timer_fired, c, &c->timer, &e) < 0)
        run_fail(r, &e);
}

static int64_t timer_wakes(const struct call *c)
{
    struct run *r = c->run;
    int64_t due = timer_due(c), end = run_now(r) + run_time_left(r) + 1;

    return !c->timer ? -1 : !r->questions && end < due ? end : due;
}

static int timer_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    return timed_row(c, p, row, ROW_TIMER, e);
}

/* record, verdict, cause, skip */
static void note_live(struct call *c) { one_row(c, ROW_NOTE); }
static void verdict_live(struct call *c) { one_row(c, ROW_VERDICT); }
static void cause_live(struct call *c) { one_row(c, ROW_CAUSE); }
static void skip_live(struct call *c) { one_row(c, ROW_SKIP); }

static int note_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    return timed_row(c, p, row, ROW_NOTE, e);
}

static int verdict_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    return timed_row(c, p, row, ROW_VERDICT, e);
}

static int cause_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    return timed_row(c, p, row, ROW_CAUSE, e);
}

static int skip_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    return timed_row(c, p, row, ROW_SKIP, e);
}

/* verify: the verdict on a remedy settles its effects' states */
static void verify_live(struct call *c)
{
    const struct engine_options *o = engine_opts(c->run->engine);
    struct part *p = &c->parts[0];
    char payload[80];

    if (!c->run->unproven) {        /* of a change for a while: nothing is proven by it */
        one_row(c, ROW_VERIFY);
        return;
    }
    snprintf(payload, sizeof(payload), "{\"line\":%d,\"off_after\":%lld}", c->line,
             (long long)(o->config && o->state_dir ? o->config->off_after : OFF_AFTER));
    run_row(c->run, c, p, ROW_VERIFY, p->name, p->args, str_of(payload));
}

static int verify_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    struct run *r = c->run;
    json_t *args = NULL, *path;
    int64_t off_after;
    size_t i;
    bool holds;

    if (json_read(row->args, &args, e) < 0)
        return e->code;
    holds = strcmp(json_get_string(args, "verdict", ""), "holds") == 0;
    off_after = json_slice_int(row->payload, "off_after", 0);
    if (off_after && r->phase == PHASE_LIVE)
        run_verdict(r, holds, off_after);
    r->unproven = false;
    json_array_foreach(json_object_get(args, "effects"), i, path) {
        struct effect *x = effect_find(r, json_string_value(path));
        struct change *change;

        if (!x)
            continue;
        x->state = holds ? EFFECT_VERIFIED : EFFECT_UNVERIFIED;
        if (r->phase != PHASE_LIVE)
            continue;
        change = run_change(r, CHANGE_EFFECT_STATE);
        change->path = run_keep(r, str_of(x->path));
        change->effect_state = x->state;
    }
    json_decref(args);
    return timed_row(c, p, row, ROW_VERIFY, e);
}

/* end: never resumed; the row and what it frees are one commit */
static int end_begin(struct call *c, struct err *e)
{
    (void)e;
    c->finishing = true;
    finish_by_code(c->run);
    return 0;
}

/* What another branch has sent is waited for, and put back if it was for a while. */
static void end_live(struct call *c)
{
    struct run *r = c->run;
    struct part *p = &c->parts[0];
    struct str reason = json_slice(p->args, "reason"), text = json_slice(p->args, "text");
    struct buf payload = BUF_INIT(KIB);

    if (r->finish.text)
        return;
    if (r->barrier.active || run_unsettled(r)) {
        c->stalled = true;
        return;
    }
    if (finish_takes_over(r, p->name, reason, text))
        return;
    run_end_changes(r, p->name, reason, text);
    run_end_payload(r, c->line, p->name, reason, &payload);
    run_row(r, c, p, ROW_END, p->name, p->args, (struct str){payload.data, payload.len});
    buf_free(&payload);
}

static int end_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    struct run *r = c->run;

    if (op_same_call(c, p, row, ROW_END, e) < 0)
        return e->code;
    run_end_consumed(r, row);
    call_answer(c, STR("null"));
    return 0;
}

/* never: a branch that came to an end while another one ends the run */
static void never_live(struct call *c)
{
    (void)c;
}

static int64_t never_wakes(const struct call *c)
{
    (void)c;
    return NEVER_MS;
}

static int never_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    (void)p;
    return op_unexpected(c, row, e);
}

/* notify: durable, then sent, then known to be sent; a crash in between sends it again under the same key */
static void notified(void *part, struct str answer)
{
    struct part *p = part;

    run_row(p->call->run, p->call, p, ROW_SENT, p->name, STR(""), answer);
}

static void notify_now(struct run *r, void *ctx, const struct row *row, const char *refusal)
{
    struct call *c = ctx;
    struct part *p = &c->parts[0];
    struct hash h = hash_parts((struct str[]){str_of(r->uuid), str_of(c->path)}, 2);
    char key[33];

    (void)row, (void)refusal;
    hash_key(&h, key);
    buf_reset(&p->extra);
    buf_addf(&p->extra, "{\"key\":\"%s\"}", key);
    part_ask(p, ASK_NOTIFY, p->args, (struct str){p->extra.data, p->extra.len}, STR(""), 0, notified);
}

static void notify_live(struct call *c)
{
    if (c->run->barrier.active) {
        c->stalled = true;
        return;
    }
    if (c->nanswered == 0)
        one_row(c, ROW_NOTIFY);
    run_commit(c->run, NULL, 0, 0, notify_now, c);
}

static int notify_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    if (c->nanswered == 1 && row->kind == ROW_SENT) {
        call_answer(c, STR("null"));
        return 0;
    }
    if (c->nanswered == 1 || op_same_call(c, p, row, ROW_NOTIFY, e) < 0)
        return c->nanswered ? op_unexpected(c, row, e) : e->code;
    c->nanswered = 1;
    return 0;
}

static const struct op ops[] = {
    {.name = "read", .begin = read_begin, .live = read_live, .row = read_row},
    {.name = "plan", .begin = op_plan_begin, .live = op_plan_live, .row = op_plan_row},
    {.name = "apply", .begin = op_apply_begin, .live = op_apply_live, .row = op_apply_row},
    {.name = "undo", .begin = op_undo_begin, .live = op_apply_live, .row = op_apply_row},
    {.name = "verify", .live = verify_live, .row = verify_row},
    {.name = "skip", .live = skip_live, .row = skip_row},
    {.name = "wait", .live = wait_live, .row = wait_row},
    {.name = "timer", .live = timer_live, .row = timer_row, .wakes = timer_wakes},
    {.name = "record", .live = note_live, .row = note_row},
    {.name = "verdict", .live = verdict_live, .row = verdict_row},
    {.name = "cause", .live = cause_live, .row = cause_row},
    {.name = "ask", .begin = ask_begin, .live = ask_live, .row = ask_row, .drop = ask_drop, .wakes = ask_wakes},
    {.name = "notify", .live = notify_live, .row = notify_row},
    {.name = "never", .live = never_live, .row = never_row, .wakes = never_wakes},
    {.name = "end", .begin = end_begin, .live = end_live, .row = end_row},
};

const struct op *op_find(struct str name)
{
    size_t i;

    for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (str_is(name, ops[i].name))
            return &ops[i];
    }
    return NULL;
}
