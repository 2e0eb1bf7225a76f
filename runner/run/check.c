/* SPDX-License-Identifier: Apache-2.0 */
/* From an unknown outcome to a known one. A look that shows the wanted state settles
 * it at once; that nothing happened is believed only after the deadline and a
 * grace, because a request may still arrive; what cannot be settled waits for a
 * person, with the target locked. */
#include "run/life.h"

#include "base/json.h"

#include <stdio.h>

#define GRACE_MS 5000           /* after the deadline: clocks and queues of the other side */
#define PROBE_MS 1000           /* first pause between looks; doubles up to 15 s */
#define PROBE_FOR_MS 120000     /* without any answer: then a person */
#define ATTEMPTS_MAX 2          /* that came back without an answer, and were absent */
#define SENT_MAX 6              /* with those that a crash of ours cut off */

void life_wait(struct part *p, int64_t ms, void (*fn)(void *part))
{
    struct host *h = engine_host(p->call->run->engine);
    struct err e = {0};

    p->life->busy = true;
    if (h->ops->timer(h, ms, fn, p, &p->life->timer, &e) < 0)
        run_fail(p->call->run, &e);
}

/* `lost`: this process did not send it, so what ended the attempt was a crash. */
static void unknown(struct part *p, const char *why, bool lost)
{
    struct run *r = p->call->run;
    struct change *c;

    life_row(p, ROW_UNKNOWN, NULL, json_pack("{s:b s:s}", "lost", lost, "why", why));
    c = run_change(r, CHANGE_EFFECT_STATE);
    c->path = run_keep(r, str_of(p->path));
    c->effect_state = EFFECT_UNKNOWN;
    life_probe(p);
}

void life_unknown(struct part *p, const char *why)
{
    unknown(p, why, false);
}

void life_lost(struct part *p)
{
    unknown(p, "the process ended before the answer came", true);
}

static void probe_again(void *part)
{
    struct part *p = part;

    p->life->timer = NULL;
    p->life->busy = false;
    life_probe(p);
}

static void verdict_row(struct part *p, const char *verdict, const json_t *state, const char *why)
{
    json_t *payload = json_pack("{s:s}", "verdict", verdict);

    if (state)
        json_object_set(payload, "state", (json_t *)state);
    if (why)
        json_object_set_new(payload, "why", json_string(why));
    life_row(p, ROW_CHECK, NULL, payload);
    life_conclude(p);
}

/* How long to wait before the next look, -1 = no more looks. */
static int64_t next_look(struct part *p, bool had_answer)
{
    struct life *l = p->life;
    int64_t now = run_now(p->call->run), settled_at = l->deadline + GRACE_MS;
    int64_t pause = PROBE_MS << (l->probes < 4 ? l->probes : 4);

    l->probes++;
    if (had_answer)
        return now >= settled_at ? -1 : settled_at - now;
    if (now >= settled_at && now - l->probing_since >= PROBE_FOR_MS)
        return -1;
    return pause > 15000 ? 15000 : pause;
}

static void probed(void *part, struct str answer)
{
    struct part *p = part;
    struct life *l = p->life;
    json_t *a = life_answer(answer), *state = json_object_get(a, "value");
    const char *verdict = json_get_string(a, "verdict", state ? state_verdict(state, l->from, l->to) : NULL);
    int64_t again;

    l->busy = false;
    if (verdict && strcmp(verdict, "applied") == 0) {
        json_decref(l->state_after);
        l->state_after = state ? json_incref(state) : NULL;
        verdict_row(p, "applied", state, NULL);
    } else if ((again = next_look(p, verdict != NULL)) >= 0) {
        life_wait(p, again, probe_again);
    } else if (verdict) {
        verdict_row(p, verdict, state, NULL);
    } else {
        verdict_row(p, "no_answer", NULL, json_get_string(a, "why", "nothing can be read back"));
    }
    json_decref(a);
}

static bool checks_itself(const struct part *p)
{
    const struct answerer *a = engine_opts(p->call->run->engine)->answerer;

    return a->ops->answers_checks || json_get_bool(p->life->declared, "has_check", false);
}

void life_probe(struct part *p)
{
    struct life *l = p->life;

    if (l->probing_since == 0)
        l->probing_since = run_now(p->call->run);
    if (checks_itself(p))
        life_ask(p, ASK_CHECK, probed);
    else if (json_get_bool(l->declared, "has_state", false))
        life_ask_state(p, probed);
    else
        verdict_row(p, "no_answer", NULL, "this effect has no state that could be read back");
}

/* The state after an effect that a look or a person called applied. */
static void adopted(void *part, struct str answer)
{
    struct part *p = part;
    struct life *l = p->life;
    json_t *a = life_answer(answer), *state = json_object_get(a, "value");
    char how[160];

    l->busy = false;
    snprintf(how, sizeof(how), "settled by %s", l->settled_by);
    life_result(p, "applied", l->settled_by[0] ? how : "read back", state ? state : l->to, NULL);
    json_decref(a);
}

static bool may_send_again(const struct part *p)
{
    const struct life *l = p->life;

    if (p->call->run->ending && !p->call->finishing)
        return false;
    return strcmp(l->kind, "never_twice") != 0 && l->attempt - l->lost < ATTEMPTS_MAX && l->attempt < SENT_MAX;
}

void life_conclude(struct part *p)
{
    struct life *l = p->life;
    char how[160];

    if (l->busy)
        return;
    snprintf(how, sizeof(how), "settled by %s", l->settled_by);
    if (strcmp(l->verdict, "applied") == 0) {
        if (l->state_after)
            life_result(p, "applied", "read back", l->state_after, NULL);
        else if (json_get_bool(l->declared, "has_state", false))
            life_ask_state(p, adopted);
        else
            life_result(p, "applied", l->settled_by[0] ? how : "read back", l->to, NULL);
    } else if (strcmp(l->verdict, "absent") == 0) {
        if (may_send_again(p))
            life_again(p);
        else
            life_result(p, "absent", l->settled_by[0] ? how : "read back", NULL, "it did not arrive");
    } else if (strcmp(l->verdict, "moved") == 0) {
        life_result(p, "moved", "read back", NULL, "the target is neither as before nor as wanted");
    } else {
        run_park(p->call->run, p, "the outcome of an effect is not known");
    }
}

void life_take_up(struct part *p)
{
    if (strcmp(p->life->verdict, "no_answer") == 0 && p->life->probing_since == 0)
        life_probe(p);
    else
        life_conclude(p);
}
