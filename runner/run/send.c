/* SPDX-License-Identifier: Apache-2.0 */
/* From the plan to the answer: a last look, the durable intent, the sending, the
 * state after it. */
#include "run/ask.h"
#include "run/life.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "gate/policy.h"

#include <stdio.h>
#include <stdlib.h>

const char *life_state_name(enum life_state s)
{
    static const char *const names[LIFE_STATES] = {
        [LIFE_NONE] = "nothing", [LIFE_NEW] = "planned", [LIFE_INTENDED] = "intended", [LIFE_UNKNOWN] = "unknown",
        [LIFE_CHECKED] = "checked", [LIFE_DONE] = "done",
    };

    return names[s];
}

void life_row(struct part *p, enum row_kind kind, const char *name, json_t *payload)
{
    struct buf b = BUF_INIT(PAYLOAD_BYTES_MAX);
    struct str args = STR("");

    add_json(&b, payload);
    json_decref(payload);
    run_row(p->call->run, p->call, p, kind, name ? str_of(name) : p->name, args, (struct str){b.data, b.len});
    buf_free(&b);
}

json_t *life_answer(struct str answer)
{
    struct err e = {0};
    json_t *a = NULL;

    if (json_read(answer, &a, &e) == 0 && json_is_object(a))
        return a;
    json_decref(a);
    return json_pack("{s:s s:s}", "unknown", "error", "why", e.msg[0] ? e.msg : "the answer is no object");
}

/* The arguments as the intent says them: it stays as it is while something is asked. */
static struct str args_text(const struct life *l)
{
    return json_slice((struct str){l->intent_args.data, l->intent_args.len}, "args");
}

void life_ask_state(struct part *p, void (*done)(void *part, struct str answer))
{
    struct life *l = p->life;

    l->busy = true;
    part_ask(p, ASK_STATE, args_text(l), STR(""), str_of(buf_text(&l->target)), l->timeout_ms, done);
}

void life_ask(struct part *p, enum question_kind kind, void (*done)(void *part, struct str answer))
{
    struct life *l = p->life;
    struct str args = args_text(l);
    struct json_object o;

    buf_reset(&p->text);
    buf_add(&p->text, args.p, args.n);
    buf_reset(&p->extra);
    json_open(&o, &p->extra);
    json_put_value(&o, "from", l->from);
    json_put_string(&o, "key", str_of(l->key));
    json_put_value(&o, "to", l->to);
    json_close(&o);
    l->busy = true;
    part_ask(p, kind, (struct str){p->text.data, p->text.len}, (struct str){p->extra.data, p->extra.len},
             str_of(buf_text(&l->target)), l->timeout_ms, done);
}

static void change_effect(struct run *r, const struct effect *x, int64_t result_seq)
{
    struct change *c = run_change(r, CHANGE_EFFECT_STATE);

    c->path = run_keep(r, str_of(x->path));
    c->effect_state = x->state;
    c->seq = result_seq;
}

static void refuse(struct part *p, const char *refusal, const char *why)
{
    struct run *r = p->call->run;
    struct effect *x = p->life->effect;     /* of an earlier attempt, which is known to be absent; the row ends the call */

    life_row(p, ROW_REFUSED, refusal, json_pack("{s:s s:s}", "target", buf_text(&p->life->target), "why", why));
    if (x)
        change_effect(r, x, 0);
}

struct wish life_wish(struct part *p)
{
    /* A yes is for one effect, however often that is sent. */
    return (struct wish){.run = p->call->run, .target = buf_text(&p->life->target), .part = p,
                         .remedy = json_get_int(p->request, "remedy", 1),
                         .approval = p->life->attempt <= 1 ? json_get_string(p->request, "approval", "") : ""};
}

/* Nothing is to be sent. The row ends the call, and what it would have undone is undone. */
static void skip(struct part *p, const char *outcome, const json_t *state, const char *why)
{
    struct run *r = p->call->run;
    struct effect *undone = p->life->undo_of;

    life_row(p, ROW_SKIP, NULL, json_pack("{s:s s:O* s:s* s:s}", "outcome", outcome, "state", state, "undo_of",
                                          undone ? undone->path : NULL, "why", why));
    if (undone)
        change_effect(r, undone, 0);
}

/* Because of what `why` says; what comes before r in the order is said first. */
static void refuse_by(struct part *p, enum refusal r, struct buf *why)
{
    struct wish w = life_wish(p);
    const char *refusal = refusal_first(&w, r, why);

    refuse(p, refusal, buf_text(why));
}

/* It is not as it was when this was planned. */
static void moved(struct part *p, json_t *state)
{
    const struct effect *beside = p->life->undo_of ? NULL : guard_beside(p, false, state);
    struct buf why = BUF_INIT(1024);

    if (beside) {
        guard_beside_words(p, beside, &why);
        refuse_by(p, REFUSAL_TARGET_BUSY, &why);
    } else {
        life_row(p, ROW_CHECK, NULL, json_pack("{s:O s:s s:s}", "state", state, "verdict", "moved", "why",
                                               "somebody else changed the target since the plan; nothing was sent"));
    }
    buf_free(&why);
}

/* What an undo rests on may be recorded in part only (an effect that was read back, while its target could not be). The
 * whole state is what the target can refuse a request by that comes twice, or late. */
static void intend_from(struct part *p, const json_t *state)
{
    if (p->life->undo_of)
        undo_says(p, state);
    life_intend(p, 1);
}

static void looked(void *part, struct str answer)
{
    struct part *p = part;
    struct life *l = p->life;
    struct wish w = life_wish(p);
    json_t *a = life_answer(answer), *state = json_object_get(a, "value");
    const char *verdict = state ? state_verdict(state, l->from, l->to) : "unknown", *refusal;
    bool assumed = json_get_bool(a, "assumed", false);
    struct buf why = BUF_INIT(2048);

    l->busy = false;
    if (!state && !assumed) {
        buf_adds(&why, json_get_string(a, "why", "the state of the target cannot be read"));
        refuse_by(p, REFUSAL_NO_DATA, &why);
    } else if (l->held && (refusal = refusal_now(&w, &why))) {
        refuse(p, refusal, buf_text(&why));
    } else if (assumed) {
        life_intend(p, 1);
    } else if (strcmp(verdict, "applied") == 0) {
        skip(p, "already", state, "already so");
    } else if (strcmp(verdict, "moved") == 0) {
        moved(p, state);
    } else {
        intend_from(p, state);
    }
    json_decref(a);
    buf_free(&why);
}

/* Nothing more is begun: the run ends (and this is no part of its end), parks or is left. */
static bool is_closing(const struct call *c)
{
    const struct run *r = c->run;

    return r->phase != PHASE_LIVE || r->leaving || r->state == RUN_WAITING_PERSON ||
           ((r->ending || r->finish.wanted) && !c->finishing);
}

void life_look(struct part *p)
{
    struct life *l = p->life;
    bool has_state = json_get_bool(l->declared, "has_state", false);
    struct buf why = BUF_INIT(2048);
    const char *refusal;
    struct wish w;

    /* An undo is not what limits.time is for. */
    if (is_closing(p->call) || (!l->undo_of && run_out_of_time(p->call->run)))
        return;
    if (l->undo_of && strcmp(json_get_string(l->declared, "undo", ""), "not needed") == 0) {
        skip(p, "not_needed", NULL, "needs no undo");
        return;
    }
    w = life_wish(p);
    refusal = refusal_now(&w, &why);
    l->held = refusal && has_state && refusal_of(refusal) > REFUSAL_NO_DATA;
    if (refusal && !l->held)
        refuse(p, refusal, buf_text(&why));
    else if (has_state)
        life_ask_state(p, looked);
    else
        life_intend(p, 1);
    buf_free(&why);
}

void life_again(struct part *p)
{
    struct life *l = p->life;
    struct buf why = BUF_INIT(2048);
    const char *refusal;
    struct wish w;

    if (is_closing(p->call) || (!l->undo_of && run_out_of_time(p->call->run)))
        return;
    w = life_wish(p);
    refusal = refusal_now(&w, &why);
    if (refusal)
        refuse(p, refusal, buf_text(&why));
    else
        life_intend(p, l->attempt + 1);
    buf_free(&why);
}

void life_result(struct part *p, const char *outcome, const char *how, const json_t *state, const char *why)
{
    struct run *r = p->call->run;
    struct life *l = p->life;
    struct effect *x = l->effect, *undone = l->undo_of;
    bool at_once = strcmp(l->kind, "never_twice") == 0;
    int64_t seq = r->next_seq;
    struct buf b = BUF_INIT(PAYLOAD_BYTES_MAX);
    struct json_object o;

    json_open(&o, &b);
    json_put_string(&o, "how", str_of(how));
    json_put_int(&o, "line", p->call->line);
    json_put_string(&o, "outcome", str_of(outcome));
    if (l->refused)
        json_put_string(&o, "refused", str_of(l->refused));
    json_put_value(&o, "state", state);
    if (why)
        json_put_string(&o, "why", str_of(why));
    json_close(&o);
    /* The row ends the call, and with it p and l; the effects are the run's. */
    run_row(r, p->call, p, ROW_RESULT, p->name, STR(""), (struct str){b.data, b.len});
    buf_free(&b);
    change_effect(r, x, seq);
    if (undone && undone->state == EFFECT_UNDONE)
        change_effect(r, undone, 0);
    if (at_once)
        run_flush_now(r);
}

static void seen_after(void *part, struct str answer)
{
    struct part *p = part;
    struct life *l = p->life;
    json_t *a = life_answer(answer), *state = json_object_get(a, "value");

    l->busy = false;
    if (json_get_bool(a, "assumed", false)) {
        life_result(p, "applied", "answered", l->to, NULL);
    } else if (state && strcmp(state_verdict(state, NULL, l->to), "applied") == 0) {
        life_result(p, "applied", "answered", state, NULL);
    } else {
        life_unknown(p, state ? "it was accepted, but the target does not show it"
                              : "it was accepted, but the target cannot be read");
    }
    json_decref(a);
}

static void applied(void *part, struct str answer)
{
    struct part *p = part;
    struct life *l = p->life;
    json_t *a = life_answer(answer);
    const char *outcome = json_get_string(a, "outcome", "unknown"), *why = json_get_string(a, "why", "no answer");

    l->busy = false;
    if (strcmp(outcome, "sent") == 0 && json_get_bool(l->declared, "has_state", false)) {
        life_ask_state(p, seen_after);
    } else if (strcmp(outcome, "sent") == 0) {
        life_result(p, "applied", "answered", l->to, NULL);
    } else if (strcmp(outcome, "refused") == 0) {
        life_result(p, "failed", "answered", NULL, why);
    } else if (strcmp(outcome, "moved") == 0) {
        life_result(p, "moved", "answered", NULL, why);
    } else {
        life_unknown(p, why);
    }
    json_decref(a);
}

/* The intent is durable, or a guard refused it. */
static void intended(struct run *r, void *ctx, const struct row *row, const char *refusal)
{
    struct part *p = ctx;
    struct wish w = life_wish(p);
    struct buf why = BUF_INIT(1024);

    p->life->busy = false;
    if (refusal) {
        guard_words(&w, refusal, &why);
        refuse(p, refusal, buf_text(&why));
    } else if (run_consume(r, p->call, p, row, false) == 0) {
        /* The halt file may have appeared while the disk was slow: the last moment to look. */
        if (policy_halted(engine_host(r->engine), engine_opts(r->engine)->state_dir)) {
            p->life->refused = "halted";
            life_result(p, "failed", "answered", NULL, "halted before it was sent");
        } else {
            life_ask(p, ASK_APPLY, applied);
        }
    }
    buf_free(&why);
}

/* Refuses it if this run has something else in hand on the target: another branch may have come first since the look. */
static bool is_busy(struct part *p)
{
    const struct effect *beside = p->life->undo_of ? NULL : guard_beside(p, true, NULL), *x;
    const char *target = buf_text(&p->life->target);
    const struct run *r = p->call->run;
    struct buf why = BUF_INIT(1024);
    bool busy;

    for (x = effect_on(r, target, NULL); x && !why.len && !beside; x = effect_on(r, target, x)) {
        if (x->state == EFFECT_INTENDED || x->state == EFFECT_UNKNOWN)
            buf_adds(&why, "the outcome of another effect of this run on it is not known yet");
    }
    if (beside)
        guard_beside_words(p, beside, &why);
    busy = why.len > 0;
    if (busy)
        refuse_by(p, REFUSAL_TARGET_BUSY, &why);
    buf_free(&why);
    return busy;
}

void life_intend(struct part *p, int attempt)
{
    struct run *r = p->call->run;
    struct life *l = p->life;
    struct guard guards[GUARDS_MAX];
    struct wish w;
    struct row *row;
    struct change *c;
    struct json_object o;
    struct buf b = BUF_INIT(PAYLOAD_BYTES_MAX);
    size_t n;

    if (is_closing(p->call))
        return;
    if (r->barrier.active) {
        p->call->stalled = true;
        return;
    }
    if (attempt == 1 && is_busy(p))
        return;
    l->attempt = attempt;
    w = life_wish(p);
    json_open(&o, &b);
    json_put_int(&o, "attempt", attempt);
    json_put_int(&o, "deadline", run_now(r) + l->timeout_ms);
    json_put_string(&o, "key", str_of(l->key));
    json_put_int(&o, "line", p->call->line);
    if (l->undo_of)
        json_put_string(&o, "undo_of", str_of(l->undo_of->path));
    json_close(&o);
    run_row_conditional(r, p, ROW_INTENT, p->name, (struct str){l->intent_args.data, l->intent_args.len},
                        (struct str){b.data, b.len}, &row);
    c = run_change(r, CHANGE_LOCK);
    c->target = run_keep(r, str_of(buf_text(&l->target)));
    c = run_change(r, CHANGE_EFFECT_NEW);
    c->seq = row->seq;
    c->key = run_keep(r, str_of(l->key));
    c->path = run_keep(r, str_of(p->path));
    c->action = run_keep(r, gate_verb(p->name));
    c->target = run_keep(r, str_of(buf_text(&l->target)));
    c->n = l->undo_of ? 0 : row->at;
    if (w.approval[0])
        run_change(r, CHANGE_APPROVAL_USED)->path = run_keep(r, str_of(w.approval));
    n = intent_guards(&w, guards);
    l->busy = true;
    run_commit(r, guards, n, w.approval[0] ? 3 : 2, intended, p);
    buf_free(&b);
}

bool life_is_open(const struct part *p)
{
    return p->life && p->life->state > LIFE_NEW && p->life->state < LIFE_DONE;
}

bool life_is_sending(const struct part *p)
{
    return p->life && p->life->state == LIFE_INTENDED && p->life->busy;
}
