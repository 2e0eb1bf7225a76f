/* SPDX-License-Identifier: Apache-2.0 */
/* plan: what a remedy's effects would do, before anything is sent. Per effect: may
 * it, what is there now (`state`), what will be there (`want`), in one PLAN row. */
#include "run/life.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "gate/policy.h"

#include <stdio.h>
#include <stdlib.h>

void add_json(struct buf *out, const json_t *v)
{
    if (!v || json_add_value(out, v) < 0)
        buf_adds(out, "null");
}

const char *state_verdict(const json_t *state, const json_t *from, const json_t *to)
{
    const char *key;
    json_t *v;
    bool applied = json_object_size(to) > 0, absent = json_object_size(from) > 0;

    json_object_foreach((json_t *)to, key, v) {
        applied = applied && json_equal(v, json_object_get(state, key));
    }
    if (applied)
        return "applied";
    json_object_foreach((json_t *)from, key, v) {
        absent = absent && json_equal(v, json_object_get(state, key));
    }
    return absent ? "absent" : "moved";
}

void state_follow(json_t *state, const json_t *before, const json_t *after, const json_t *but)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)after, key, v) {
        const json_t *now = json_object_get(state, key);

        if (now && !json_object_get(but, key) && json_equal(now, json_object_get(before, key)))
            json_object_set(state, key, v);
    }
}

const json_t *part_effect(struct part *p, struct err *e)
{
    struct run *r = p->call->run;
    char instance[256], verb[128];
    const json_t *declared;
    struct str v = gate_verb(p->name);

    if (p->declared)
        return p->declared;
    str_copy(instance, sizeof(instance), p->instance);
    str_copy(verb, sizeof(verb), v);
    if (registry_describe(r->registry, instance, NULL, &declared, e) < 0)
        return NULL;
    p->declared = json_object_get(json_object_get(declared, "effects"), verb);
    if (!p->declared)
        err_set(e, ERR_INVALID, "%s has no effect '%s'", instance, verb);
    return p->declared;
}

int part_target(struct part *p, const json_t *declared, const json_t *args, struct buf *out, struct err *e)
{
    const char *pattern = json_get_string(declared, "target", "");

    buf_add(out, p->instance.p, p->instance.n);
    buf_addc(out, ':');
    if (template_fill(str_of(pattern), args, true, out, e) < 0)
        return e->code;
    return out->len <= TARGET_BYTES_MAX ? 0 : err_set(e, ERR_LIMIT, "the target '%.40s...' has %zu bytes, at most %d",
                                                      buf_text(out), out->len, TARGET_BYTES_MAX);
}

struct history {
    struct str name;
    const char *target;
    struct buf *out;
    struct journal *journal;
    int64_t before;             /* only of runs below, 0 = of all */
    struct effect_info found;
    size_t n;
};

static bool history_row(void *ctx, const struct row *row)
{
    struct history *h = ctx;
    struct str from = json_slice(row->args, "from"), to = json_slice(row->args, "to");

    if (row->kind != ROW_INTENT)
        return false;
    buf_addf(h->out, "%s{\"from\":", h->n++ ? "," : "");
    buf_add(h->out, from.p, from.n);
    buf_addf(h->out, ",\"outcome\":\"%s\",\"to\":", effect_state_name(h->found.state));
    buf_add(h->out, to.p, to.n);
    buf_addc(h->out, '}');
    return false;
}

static bool history_effect(void *ctx, const struct effect_info *x)
{
    struct history *h = ctx;
    struct err e = {0};

    if (strcmp(x->target, h->target) != 0 || !str_is(gate_verb(h->name), x->action) || (h->before && x->run >= h->before))
        return true;
    h->found = *x;
    h->journal->ops->rows(h->journal, x->run, x->intent_seq, history_row, h, &e);
    return !h->out->failed;
}

int engine_effect_history(struct journal *j, struct str name, const char *target, struct buf *out, struct err *e)
{
    struct history h = {.name = name, .target = target, .out = out, .journal = j};
    int rc = 0;

    buf_addc(out, '[');
    if (j)
        rc = j->ops->effects(j, -1, history_effect, &h, e);
    buf_addc(out, ']');
    return rc;
}

void effect_history(struct run *r, struct str name, const char *target, struct buf *out)
{
    struct writer *w = engine_opts(r->engine)->writer;
    const struct engine_options *o = engine_opts(r->engine);
    struct err e = {0};
    struct history h = {.name = name, .target = target, .out = out, .journal = o->past, .before = o->past_run};

    buf_addc(out, '[');
    if (o->past)
        o->past->ops->effects(o->past, -1, history_effect, &h, &e);
    h.before = 0;
    if (writer_flush(w, &e) == 0) {
        h.journal = writer_journal(w);
        h.journal->ops->effects(h.journal, -1, history_effect, &h, &e);
    }
    buf_addc(out, ']');
}

static bool on_one_target(const struct part *p, const struct part *q)
{
    return p->text.len > 0 && p->text.len == q->text.len && memcmp(p->text.data, q->text.data, p->text.len) == 0;
}

/* The effects of a list on one target are planned one behind the other: the next one after p, NULL = none. */
static struct part *next_on_target(struct part *p)
{
    struct call *c = p->call;
    size_t i;

    for (i = p->index + 1; i < c->nparts; i++) {
        if (on_one_target(p, &c->parts[i]))
            return &c->parts[i];
    }
    return NULL;
}

/* True if an earlier one on its target is not planned yet. */
static bool must_wait(const struct part *p)
{
    size_t i;

    for (i = 0; i < p->index; i++) {
        if (!p->call->parts[i].answered && on_one_target(p, &p->call->parts[i]))
            return true;
    }
    return false;
}

static void plan_part(struct part *p);

/* Appends the PLAN row; frees the payload. The row may end the call, and with it p. */
static void plan_row(struct part *p, struct buf *payload)
{
    struct run *r = p->call->run;
    struct part *next = next_on_target(p);

    run_row(r, p->call, p, ROW_PLAN, p->name, p->args, (struct str){payload->data, payload->len});
    buf_free(payload);
    if (next && r->phase == PHASE_LIVE)
        plan_part(next);
}

/* A plan that ends in a refusal or in an unknown state. */
static void plan_stops(struct part *p, const char *key, const char *value, const char *why)
{
    json_t *payload = json_pack("{s:i s:s s:s s:s}", "line", p->call->line, key, value, "target", buf_text(&p->text), "why",
                                why);
    struct buf b = BUF_INIT(PAYLOAD_BYTES_MAX);

    add_json(&b, payload);
    json_decref(payload);
    plan_row(p, &b);
}

/* Refused by r, which for no_data is a state that is `unknown`, or by what comes before r in the order of policy. */
static void plan_refused(struct part *p, enum refusal r, const char *unknown, struct buf *why)
{
    struct wish w = {.run = p->call->run, .target = buf_text(&p->text), .approval = ""};
    const char *refusal = refusal_first(&w, r, why);

    if (refusal_of(refusal) == REFUSAL_NO_DATA)
        plan_stops(p, "unknown", unknown, buf_text(why));
    else
        plan_stops(p, "refused", refusal, buf_text(why));
}

struct policy_effect part_policy(const struct part *p, const json_t *args, const json_t *declared, const char *target)
{
    const struct engine_options *o = engine_opts(p->call->run->engine);
    const char *colon = strchr(target, ':');

    return (struct policy_effect){.name = p->name, .instance = p->instance, .args = args, .declared = declared,
                                  .target = str_of(colon ? colon + 1 : ""), .config = o->state_dir ? o->config : NULL};
}

static const char *undo_word(const json_t *declared)
{
    if (json_get_bool(declared, "irreversible", false))
        return "irreversible";
    return json_get_string(declared, "undo", "derived");
}

static void plan_done(struct part *p, const json_t *declared, const json_t *from, const json_t *to)
{
    bool already = from && strcmp(state_verdict(from, NULL, to), "applied") == 0;
    struct policy_effect x = part_policy(p, json_object_get(p->request, "args"), declared, buf_text(&p->text));
    const char *needs_approval = policy_needs_approval(&x);
    struct buf b = BUF_INIT(PAYLOAD_BYTES_MAX);
    struct json_object o;

    json_open(&o, &b);
    json_put_bool(&o, "already", already);
    json_put_string(&o, "class", str_of(json_get_string(declared, "class", "never_twice")));
    json_put_value(&o, "from", from);
    json_put_int(&o, "line", p->call->line);
    if (needs_approval)
        json_put_string(&o, "needs_approval", str_of(needs_approval));
    json_put_string(&o, "target", (struct str){p->text.data, p->text.len});
    json_put_value(&o, "to", to);
    json_put_string(&o, "undo", str_of(undo_word(declared)));
    json_close(&o);
    plan_row(p, &b);
}

static const char *kind_of(const json_t *v)
{
    static const char *const kinds[] = {[JSON_OBJECT] = "a record", [JSON_ARRAY] = "a list", [JSON_STRING] = "a string",
                                        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "a boolean",
                                        [JSON_FALSE] = "a boolean", [JSON_NULL] = "null"};

    return kinds[json_typeof(v)];
}

/* A state that tells what the effect sets as something else could never show that it is there: read back, it would be the
 * state of before. What is not there yet, or null, may come. */
static bool can_show(const json_t *from, const json_t *to, struct buf *why)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)to, key, v) {
        const json_t *is = json_object_get(from, key);

        if (!is || json_is_null(is) || json_is_null(v) || strcmp(kind_of(is), kind_of(v)) == 0)
            continue;
        buf_addf(why, "its state has %s as '%.100s', and the effect sets that to %s", kind_of(is), key, kind_of(v));
        return false;
    }
    return true;
}

/* What the effect wants, given the state. `from` NULL = nobody looked. */
static void plan_want(struct part *p, const json_t *declared, const json_t *from)
{
    struct run *r = p->call->run;
    struct buf state = BUF_INIT(VALUE_BYTES_MAX), past = BUF_INIT(VALUE_BYTES_MAX), want = BUF_INIT(VALUE_BYTES_MAX);
    struct buf why = BUF_INIT(KIB);
    struct err e = {0};
    char instance[256], verb[128];
    struct str v = gate_verb(p->name);
    json_t *to = NULL;

    str_copy(instance, sizeof(instance), p->instance);
    str_copy(verb, sizeof(verb), v);
    if (from)
        add_json(&state, from);
    if (json_get_bool(declared, "history", false) && from)
        effect_history(r, p->name, buf_text(&p->text), &past);
    if (plugin_want(r->registry, instance, verb, json_slice(p->args, "args"), (struct str){state.data, state.len},
                    (struct str){past.data, past.len}, &want, &e) == 0 &&
        json_read((struct str){want.data, want.len}, &to, &e) == 0) {
        if (from && !can_show(from, to, &why))
            plan_refused(p, REFUSAL_NO_DATA, "error", &why);
        else
            plan_done(p, declared, from, to);
    } else if (!from) {
        /* Nobody looked, so what it would come to cannot be said; the arguments still can. */
        plan_done(p, declared, NULL, json_object_get(p->request, "args"));
    } else {
        plan_stops(p, "refused", "error", e.msg);
    }
    json_decref(to);
    buf_free(&state);
    buf_free(&past);
    buf_free(&want);
    buf_free(&why);
}

/* True if q and p mean the same by the fields of `to`: the same effect may be about several, told by its arguments. */
static bool about_the_same(const struct part *q, const struct part *p, const json_t *to)
{
    const json_t *args = json_object_get(p->request, "args");
    const char *key;
    json_t *v;

    json_object_foreach(json_object_get(q->request, "args"), key, v) {
        if (str_eq(q->name, p->name) && !json_object_get(to, key) && !json_equal(v, json_object_get(args, key)))
            return false;
    }
    return true;
}

/* The state that p will find: what was read, with the plans before it on its target laid over it. Owned. */
static json_t *state_ahead(const struct part *p, const json_t *read)
{
    json_t *state, *plan, *to;
    struct err e = {0};
    size_t i;

    if (p->index == 0)
        return json_incref((json_t *)read);
    state = json_copy((json_t *)read);
    for (i = 0; i < p->index; i++) {
        const struct part *q = &p->call->parts[i];

        if (!on_one_target(p, q) || json_read((struct str){q->answer.data, q->answer.len}, &plan, &e) < 0)
            continue;
        to = json_object_get(plan, "to");
        if (about_the_same(q, p, to))
            state_follow(state, json_object_get(plan, "from"), to, NULL);
        json_decref(plan);
    }
    return state;
}

static void plan_state(void *part, struct str answer)
{
    struct part *p = part;
    struct buf why = BUF_INIT(VALUE_BYTES_MAX);
    struct err e = {0};
    json_t *a = NULL, *state = NULL;
    const json_t *declared = part_effect(p, &e);

    if (!declared || json_read(answer, &a, &e) < 0) {
        plan_stops(p, "refused", "error", e.msg);
    } else if (json_object_get(a, "refused")) {
        plan_stops(p, "refused", json_get_string(a, "refused", "error"), json_get_string(a, "why", ""));
    } else if (json_object_get(a, "unknown")) {
        buf_adds(&why, json_get_string(a, "why", ""));
        plan_refused(p, REFUSAL_NO_DATA, json_get_string(a, "unknown", "error"), &why);
    } else if (json_get_bool(a, "assumed", false)) {
        plan_want(p, declared, NULL);
    } else {
        plan_want(p, declared, state = state_ahead(p, json_object_get(a, "value")));
    }
    json_decref(state);
    json_decref(a);
    buf_free(&why);
}

/* Whether `n` targets are more than some entry of `may` takes. */
static bool may_be_too_many(const struct runbook *b, size_t n)
{
    size_t i;

    for (i = 0; i < b->nmay; i++) {
        if (b->may[i].at_most > 0 && (int64_t)n > b->may[i].at_most)
            return true;
    }
    return false;
}

size_t part_touched(const struct part *p, bool planned, struct str **out)
{
    const struct call *c = p->call;
    const struct effect *x;
    size_t i, n = c->nparts + c->run->neffects;

    *out = NULL;
    if (!may_be_too_many(c->run->book, n))
        return 0;
    *out = xcalloc(n, sizeof(**out));
    n = 0;
    for (x = c->run->effects; x; x = x->next) {
        if (!str_is(p->name, x->name) || !str_is(p->instance, x->instance))
            continue;
        (*out)[n++] = str_of(x->target + strlen(x->instance) + 1);
    }
    for (i = 0; planned && i < p->index; i++) {
        const struct part *q = &c->parts[i];

        if (str_eq(q->name, p->name) && str_eq(q->instance, p->instance) && q->text.len > q->instance.n)
            (*out)[n++] = str_of(q->text.data + q->instance.n + 1);
    }
    return n;
}

/* p's target into its text. */
static int name_target(struct part *p, struct err *e)
{
    const json_t *declared = part_effect(p, e);
    struct buf target = BUF_INIT(1024);
    int rc = declared ? part_target(p, declared, json_object_get(p->request, "args"), &target, e) : e->code;

    buf_reset(&p->text);
    if (rc == 0)
        buf_add(&p->text, target.data, target.len);
    buf_free(&target);
    return rc;
}

static void plan_part(struct part *p)
{
    struct run *r = p->call->run;
    struct err e = {0};
    const json_t *declared = part_effect(p, &e), *args = json_object_get(p->request, "args");
    struct buf why = BUF_INIT(2048);
    struct str *touched = NULL;
    struct policy_effect x;
    const char *refusal;

    if (!declared || (p->text.len == 0 && name_target(p, &e) < 0)) {
        plan_stops(p, "refused", "error", e.msg);
        return;
    }
    x = part_policy(p, args, declared, buf_text(&p->text));
    x.ntouched = part_touched(p, true, &touched);
    x.touched = touched;
    refusal = policy_refuses(r->book, r->params, &x, &why);
    if (refusal) {
        plan_refused(p, refusal_of(refusal), NULL, &why);
    } else if (!json_get_bool(declared, "has_state", false)) {
        plan_want(p, declared, NULL);
    } else {
        part_ask(p, ASK_STATE, json_slice(p->args, "args"), STR(""), (struct str){p->text.data, p->text.len}, 0, plan_state);
    }
    free(touched);
    buf_free(&why);
}

int op_plan_begin(struct call *c, struct err *e)
{
    size_t i;

    for (i = 0; i < c->nparts; i++) {
        if (json_read(c->parts[i].args, &c->parts[i].request, e) < 0)
            return e->code;
    }
    return 0;
}

static bool can_begin(const struct part *p)
{
    return !p->answered && !p->asking && !must_wait(p);
}

void op_plan_live(struct call *c)
{
    struct run *r = c->run;
    struct err e = {0};
    size_t i, todo = 0;

    for (i = 0; i < c->nparts; i++) {
        if (c->parts[i].text.len == 0)
            name_target(&c->parts[i], &e);      /* what cannot be named is refused at its turn */
    }
    for (i = 0; i < c->nparts; i++)
        todo += can_begin(&c->parts[i]);
    for (i = 0; todo > 0 && r->phase == PHASE_LIVE; i++) {
        struct part *p = &c->parts[i];

        if (!can_begin(p))
            continue;
        todo--;
        plan_part(p);
    }
}

int op_plan_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    if (p->answered)
        return op_unexpected(c, row, e);
    if (row->kind != ROW_PLAN || !hash_eq(&row->args_hash, &p->hash))
        return err_set(e, ERR_CORRUPT, "at %s (line %d) the journal has %s %.*s with %.*s, the code plans %.*s with %.*s",
                       p->path, c->line, row_kind_name(row->kind), (int)row->name.n, row->name.p, (int)row->args.n,
                       row->args.p, (int)p->name.n, p->name.p, (int)p->args.n, p->args.p);
    buf_add(&p->answer, row->payload.p, row->payload.n);
    part_answered(p);
    return 0;
}
