/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one effect between its plan and its outcome, as a table of states and
 * rows. Its promise: nothing is sent before its INTENT is durable; what may have
 * arrived is UNKNOWN until it has been read back; an unknown effect is never sent
 * again, never called done, and keeps its lock until a check or a person settles it. */
#include "run/run.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "run/ask.h"
#include "run/life.h"

#include <stdio.h>
#include <stdlib.h>

/* Which row may follow in which state, and where it leads; 0 = none. */
static const enum life_state next_state[LIFE_STATES][ROW_KINDS] = {
    [LIFE_NEW] = {[ROW_INTENT] = LIFE_INTENDED, [ROW_SKIP] = LIFE_DONE, [ROW_REFUSED] = LIFE_DONE,
                  [ROW_CHECK] = LIFE_DONE},
    [LIFE_INTENDED] = {[ROW_RESULT] = LIFE_DONE, [ROW_UNKNOWN] = LIFE_UNKNOWN},
    [LIFE_UNKNOWN] = {[ROW_CHECK] = LIFE_CHECKED, [ROW_SETTLE] = LIFE_CHECKED},
    [LIFE_CHECKED] = {[ROW_RESULT] = LIFE_DONE, [ROW_INTENT] = LIFE_INTENDED, [ROW_SETTLE] = LIFE_CHECKED,
                      [ROW_CHECK] = LIFE_CHECKED, [ROW_REFUSED] = LIFE_DONE},
};

/* What lives on in state s when it is live; NULL = nothing to do. */
static void (*const act[LIFE_STATES])(struct part *p) = {
    [LIFE_NEW] = life_look,
    [LIFE_INTENDED] = life_lost,
    [LIFE_UNKNOWN] = life_probe,
    [LIFE_CHECKED] = life_take_up,
};

static uint32_t sum_of(const char *s)
{
    uint32_t sum = 0;

    while (*s)
        sum = 31 * sum + (unsigned char)*s++;
    return sum;
}

struct effect *effect_find(struct run *r, const char *path)
{
    uint32_t sum = path ? sum_of(path) : 0;
    struct effect *x;

    for (x = r->by_path[sum % EFFECT_BUCKETS]; x && path; x = x->next_path) {
        if (x->path_sum == sum && strcmp(x->path, path) == 0)
            return x;
    }
    return NULL;
}

struct effect *effect_on(const struct run *r, const char *target, const struct effect *x)
{
    uint32_t sum = sum_of(target);
    struct effect *y = x ? x->next_target : r->by_target[sum % EFFECT_BUCKETS];

    while (y && (y->target_sum != sum || strcmp(y->target, target) != 0))
        y = y->next_target;
    return y;
}

struct effect *effect_add(struct run *r, const char *path, const char *target)
{
    struct effect *x = xcalloc(1, sizeof(*x)), **at;

    str_copy(x->path, sizeof(x->path), str_of(path));
    x->target = xstrdup(target);
    x->path_sum = sum_of(x->path);
    x->target_sum = sum_of(target);
    x->next = r->effects;
    r->effects = x;
    at = &r->by_path[x->path_sum % EFFECT_BUCKETS];
    x->next_path = *at;
    *at = x;
    at = &r->by_target[x->target_sum % EFFECT_BUCKETS];
    x->next_target = *at;
    *at = x;
    r->neffects++;
    return x;
}

static void effect_free(struct effect *x)
{
    free(x->name);
    free(x->instance);
    free(x->target);
    json_decref(x->args);
    json_decref(x->from);
    json_decref(x->to);
    json_decref(x->after);
    free(x);
}

void effect_drop(struct run *r, struct effect *x)
{
    struct effect **at;

    for (at = &r->effects; *at != x; at = &(*at)->next)
        continue;
    *at = x->next;
    for (at = &r->by_path[x->path_sum % EFFECT_BUCKETS]; *at != x; at = &(*at)->next_path)
        continue;
    *at = x->next_path;
    for (at = &r->by_target[x->target_sum % EFFECT_BUCKETS]; *at != x; at = &(*at)->next_target)
        continue;
    *at = x->next_target;
    r->neffects--;
    effect_free(x);
}

/* What the code does not hear of any more, the end tries again. */
void effect_heard(struct run *r, uint32_t branch)
{
    struct effect *x;

    if (!r->undo_told)
        return;
    r->undo_told = false;
    for (x = r->effects; x; x = x->next) {
        r->undo_told = r->undo_told || (x->undo_telling && x->undo_telling != branch);
        if (x->undo_telling != branch)
            continue;
        x->undo_tried = true;
        x->undo_telling = 0;
    }
}

void effect_free_all(struct run *r)
{
    struct effect *x, *next;

    for (x = r->effects; x; x = next) {
        next = x->next;
        effect_free(x);
    }
    r->effects = NULL;
    memset(r->by_path, 0, sizeof(r->by_path));
    memset(r->by_target, 0, sizeof(r->by_target));
    r->neffects = 0;
    r->has_temporary = false;
}

/* True if `by` found what x left. What x wanted does not count: an effect on top of it may have changed that. */
static bool found_as_left(const struct effect *x, const struct effect *by)
{
    const json_t *found;
    const char *key;
    json_t *v;

    json_object_foreach(x->after, key, v) {
        found = json_object_get(by->from, key);
        if (found && !json_object_get(x->to, key) && !json_equal(found, v))
            return false;
    }
    return true;
}

void effect_follow(struct run *r, const struct effect *by)
{
    struct effect *x;
    const char *key;
    json_t *v, *after;

    for (x = effect_on(r, by->target, NULL); x; x = effect_on(r, by->target, x)) {
        if (x == by || !found_as_left(x, by))
            continue;
        after = json_copy(x->after);        /* the old one may be borrowed by an undo that has begun */
        json_object_foreach(by->after, key, v) {
            if (json_object_get(after, key) && !json_object_get(x->to, key))
                json_object_set(after, key, v);
        }
        json_decref(x->after);
        x->after = after;
    }
}

void life_free(struct part *p)
{
    struct life *l = p->life;
    struct host *h = engine_host(p->call->run->engine);

    if (!l)
        return;
    if (l->timer)
        h->ops->cancel(h, l->timer);
    json_decref(l->args);
    json_decref(l->from);
    json_decref(l->to);
    json_decref(l->state_after);
    buf_free(&l->target);
    buf_free(&l->intent_args);
    free(l);
    p->life = NULL;
}

/* The idempotency key: of run, path, action and arguments; no attempt in it. */
static void make_key(struct part *p, struct life *l)
{
    struct run *r = p->call->run;
    struct str parts[] = {str_of(r->uuid), str_of(p->path), p->name, p->instance, {l->intent_args.data, l->intent_args.len}};
    struct hash h = hash_parts(parts, 5);

    hash_key(&h, l->key);
}

static struct life *life_new(struct part *p, struct err *e)
{
    struct life *l = xcalloc(1, sizeof(*l));

    p->life = l;
    l->state = LIFE_NEW;
    buf_init(&l->target, 1024);
    buf_init(&l->intent_args, 3 * VALUE_BYTES_MAX);
    l->declared = part_effect(p, e);
    if (!l->declared)
        return NULL;
    l->kind = json_get_string(l->declared, "class", "never_twice");
    l->timeout_ms = 1000 * json_get_int(l->declared, "timeout", 30);
    return l;
}

/* The state to be found: the plan's, where effects of its own list on its target were planned together with it as those
 * left it, but for what this one changes itself. Owned; the plan's stays in the request: it is what was approved. */
static json_t *expected_state(const struct part *p)
{
    json_t *from = json_object_get(p->request, "from"), *path;
    const json_t *list = json_object_get(p->request, "follows");
    size_t i;

    if (json_array_size(list) == 0 || !json_is_object(from))
        return json_incref(from);
    from = json_copy(from);
    json_array_foreach((json_t *)list, i, path) {
        const struct effect *x = effect_find(p->call->run, json_string_value(path));

        if (x)
            state_follow(from, x->from, x->after, json_object_get(p->request, "to"));
    }
    return from;
}

/* What INTENT says: what was asked for, with the state to be found. */
static void intent_says(struct part *p, struct life *l)
{
    json_t *args;

    if (!json_object_get(p->request, "follows")) {
        buf_add(&l->intent_args, p->args.p, p->args.n);
        return;
    }
    args = json_copy(p->request);
    json_object_set(args, "from", l->from);
    add_json(&l->intent_args, args);
    json_decref(args);
}

int op_apply_begin(struct call *c, struct err *e)
{
    struct part *p = &c->parts[0];
    struct life *l = life_new(p, e);

    if (!l || json_read(p->args, &p->request, e) < 0)
        return e->code;
    l->args = json_incref(json_object_get(p->request, "args"));
    l->from = expected_state(p);
    l->to = json_incref(json_object_get(p->request, "to"));
    buf_adds(&l->target, json_get_string(p->request, "target", ""));
    intent_says(p, l);
    make_key(p, l);
    return 0;
}

json_t *state_fields(const json_t *state, const json_t *named)
{
    json_t *out = json_object(), *v;
    const char *key;

    json_object_foreach((json_t *)named, key, v) {
        if (json_object_get(state, key))
            json_object_set(out, key, json_object_get(state, key));
    }
    return out;
}

void undo_says(struct part *p, const json_t *from)
{
    struct life *l = p->life;
    json_t *args = json_pack("{s:O s:[] s:O? s:i s:s s:s s:O s:s}", "args", l->args, "evidence", "from", (json_t *)from,
                             "remedy", 0, "target", l->undo_of->target, "title", json_get_string(p->request, "title", ""),
                             "to", l->to, "undo_of", l->undo_of->path);

    buf_reset(&l->intent_args);
    add_json(&l->intent_args, args);
    json_decref(args);
}

int op_undo_begin(struct call *c, struct err *e)
{
    struct part *p = &c->parts[0];
    struct life *l = life_new(p, e);
    struct effect *x;

    if (!l || json_read(p->args, &p->request, e) < 0)
        return e->code;
    x = effect_find(c->run, json_get_string(p->request, "effect", ""));
    if (!x)
        return err_set(e, ERR_INTERNAL, "line %d: nothing to undo at '%s'", c->line,
                       json_get_string(p->request, "effect", ""));
    l->undo_of = x;
    l->args = json_incref(x->args);
    l->from = json_incref(x->after);
    l->to = state_fields(x->from, x->to);
    buf_adds(&l->target, x->target);
    undo_says(p, l->from);
    make_key(p, l);         /* whatever the last look will find */
    return 0;
}

void op_apply_live(struct call *c)
{
    struct part *p = &c->parts[0];
    struct life *l = p->life;

    if (l->busy)
        return;
    if (act[l->state])
        act[l->state](p);
}

void op_apply_drop(struct call *c)
{
    life_free(&c->parts[0]);
}

static void remember_intent(struct part *p, const struct row *row)
{
    struct run *r = p->call->run;
    struct life *l = p->life;
    struct effect *x = effect_find(r, p->path);

    if (!x) {
        x = effect_add(r, p->path, buf_text(&l->target));
        x->name = xstrndup(p->name.p, p->name.n);
        x->instance = xstrndup(p->instance.p, p->instance.n);
        x->args = json_incref(l->args);
        x->from = l->undo_of ? state_fields(l->from, l->undo_of->after) : json_incref(l->from);
        x->to = json_incref(l->to);
        x->is_undo = l->undo_of != NULL;
        x->temporary = !l->undo_of && json_object_get(p->request, "within");
        r->has_temporary = r->has_temporary || x->temporary;
        x->until = row->at + (int64_t)(json_number_value(json_object_get(p->request, "within")) * 1000);
        run_arm_temporary(r);
    }
    r->unproven = r->unproven || (!x->is_undo && !x->temporary);
    approval_use(r, json_get_string(p->request, "approval", ""), buf_text(&l->target), json_object_get(p->request, "from"),
                 l->to);
    str_copy(x->key, sizeof(x->key), str_of(l->key));
    x->state = EFFECT_INTENDED;
    x->intent_seq = row->seq;
    x->line = p->call->line;
    l->effect = x;
    l->attempt = (int)json_slice_int(row->payload, "attempt", 1);
    l->deadline = json_slice_int(row->payload, "deadline", row->at);
}

static const struct {
    const char *outcome;
    enum effect_state state;
} outcomes[] = {
    {"applied", EFFECT_APPLIED}, {"absent", EFFECT_ABSENT}, {"moved", EFFECT_MOVED}, {"failed", EFFECT_FAILED},
};

static void remember_result(struct part *p, const json_t *payload)
{
    struct life *l = p->life;
    struct effect *x = l->effect;
    const char *outcome = json_get_string(payload, "outcome", "");
    size_t i;

    for (i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        if (strcmp(outcome, outcomes[i].outcome) == 0)
            x->state = outcomes[i].state;
    }
    json_decref(x->after);
    x->after = json_incref(json_object_get(payload, "state"));
    if (x->state == EFFECT_APPLIED)
        effect_follow(p->call->run, x);
    if (l->undo_of && x->state == EFFECT_APPLIED) {
        x->state = EFFECT_VERIFIED;
        l->undo_of->state = EFFECT_UNDONE;
    }
}

/* What kept an undo from being sent. The name is policy's own: the row goes. */
static void remember_refusal(struct life *l, const struct row *row, const json_t *payload)
{
    char name[32];
    enum refusal r;

    str_copy(name, sizeof(name), row->kind == ROW_REFUSED ? row->name : str_of(json_get_string(payload, "refused", "")));
    r = refusal_of(name);
    l->undo_of->undo_refused = r < REFUSALS ? refusal_name(r) : NULL;
}

static const char *outcome_told(const struct part *p, const struct row *row, const json_t *payload)
{
    if (row->kind == ROW_REFUSED)
        return "refused";
    if (row->kind == ROW_CHECK)
        return "moved";
    if (row->kind == ROW_SKIP)
        return p->life->undo_of ? json_get_string(payload, "outcome", "already") : "already";
    return json_get_string(payload, "outcome", "");
}

static void answer_lua(struct part *p, const struct row *row, const json_t *payload)
{
    const json_t *refused = json_object_get(payload, "refused"), *state = json_object_get(payload, "state");
    const json_t *why = json_object_get(payload, "why");
    struct buf b = BUF_INIT(VALUE_BYTES_MAX);
    struct json_object o;

    json_open(&o, &b);
    json_put_int(&o, "at", row->at);
    json_put_string(&o, "outcome", str_of(outcome_told(p, row, payload)));
    json_put_string(&o, "path", str_of(p->path));
    if (refused)
        json_put_value(&o, "refused", refused);
    else if (row->kind == ROW_REFUSED)
        json_put_string(&o, "refused", row->name);
    json_put_int(&o, "row", row->seq);
    if (state)
        json_put_value(&o, "state", state);
    if (why)
        json_put_value(&o, "why", why);
    json_close(&o);
    call_answer(p->call, (struct str){b.data, b.len});
    buf_free(&b);
}

/* What a verdict or a person's word means for the rest of the life. */
static void remember_check(struct life *l, const struct row *row, const json_t *payload)
{
    snprintf(l->verdict, sizeof(l->verdict), "%s", json_get_string(payload, "verdict", "no_answer"));
    snprintf(l->settled_by, sizeof(l->settled_by), "%s",
             row->kind == ROW_SETTLE ? json_get_string(payload, "by", "a person") : "");
}

/* True if INTENT says what the code does. An undo takes over what it found: all that is recorded, and maybe more. */
static bool is_intended(struct part *p, const struct row *row)
{
    struct life *l = p->life;
    json_t *args = NULL, *found;
    struct err e = {0};

    if (l->undo_of && !l->effect && json_read(row->args, &args, &e) == 0) {
        found = json_object_get(args, "from");
        if (strcmp(state_verdict(found, l->from, NULL), "absent") == 0) {
            json_decref(l->from);
            l->from = json_incref(found);
            undo_says(p, found);
        }
        json_decref(args);
    }
    return str_eq(row->args, (struct str){l->intent_args.data, l->intent_args.len});
}

int op_apply_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    struct life *l = p->life;
    enum life_state next = next_state[l->state][row->kind];
    json_t *payload = NULL;

    if (next == 0)
        return err_set(e, ERR_CORRUPT, "at %s (line %d) the journal has %s where the effect %.*s is %s", p->path, c->line,
                       row_kind_name(row->kind), (int)p->name.n, p->name.p, life_state_name(l->state));
    if (row->kind == ROW_INTENT && !is_intended(p, row))
        return err_set(e, ERR_CORRUPT, "at %s (line %d) the journal intends %.*s, the code %.*s", p->path, c->line,
                       (int)row->args.n, row->args.p, (int)l->intent_args.len, buf_text(&l->intent_args));
    if (row->kind != ROW_INTENT && row->payload.n && json_read(row->payload, &payload, e) < 0)
        return e->code;
    l->state = next;
    switch (row->kind) {
    case ROW_INTENT:
        remember_intent(p, row);
        break;
    case ROW_UNKNOWN:
        l->lost += json_get_bool(payload, "lost", false);
        l->effect->state = EFFECT_UNKNOWN;
        break;
    case ROW_CHECK:
    case ROW_SETTLE:
        remember_check(l, row, payload);
        break;
    case ROW_RESULT:
        remember_result(p, payload);
        break;
    case ROW_REFUSED:
        if (l->effect)
            l->effect->state = EFFECT_ABSENT;
        break;
    default:
        if (row->kind == ROW_SKIP && l->undo_of)
            l->undo_of->state = EFFECT_UNDONE;
        break;
    }
    if (next == LIFE_DONE && l->undo_of) {
        remember_refusal(l, row, payload);
        l->undo_of->undo_telling = c->branch;
        c->run->undo_told = true;
    }
    if (next == LIFE_DONE)
        answer_lua(p, row, payload);
    json_decref(payload);
    return 0;
}
