/* SPDX-License-Identifier: Apache-2.0 */
/* What policy says of an effect, in the order of gate/policy.h: here what this process
 * knows, in the guards what the journal knows. */
#include "run/life.h"

#include "base/json.h"
#include "run/ask.h"

#include <stdlib.h>

static const struct config *config_of(const struct wish *w)
{
    const struct engine_options *o = engine_opts(w->run->engine);

    return o->state_dir ? o->config : NULL;
}

static const struct effect *undone_by(const struct wish *w)
{
    return w->part ? w->part->life->undo_of : NULL;
}

static bool is_halted(const struct wish *w, struct buf *why)
{
    if (!policy_halted(engine_host(w->run->engine), engine_opts(w->run->engine)->state_dir))
        return false;
    guard_words(w, "halted", why);
    return true;
}

static bool cannot_be_undone(const struct life *l, struct buf *why)
{
    bool irreversible = json_get_bool(l->declared, "irreversible", false);

    if (!irreversible && json_object_size(l->to) > 0)
        return false;
    buf_adds(why, irreversible ? "the effect cannot be undone"
                               : "what was there before is not known, so nothing can be put back (a scenario says it under "
                                 "state:)");
    return true;
}

static struct policy_effect effect_of(const struct wish *w)
{
    return part_policy(w->part, w->part->life->args, w->part->life->declared, w->target);
}

static bool is_not_allowed(const struct wish *w, struct buf *why)
{
    struct str *touched;
    struct policy_effect x;
    bool refused;

    if (!w->part)       /* the plan has been permitted */
        return false;
    if (undone_by(w))
        return cannot_be_undone(w->part->life, why);
    x = effect_of(w);
    x.ntouched = part_touched(w->part, false, &touched);
    x.touched = touched;
    x.permit = &w->part->life->permit;
    refused = policy_refuses(w->run->book, w->run->params, &x, why);
    free(touched);
    return refused;
}

/* Calendars and the age of alerts go by the wall's clock. */
static int64_t wall(const struct wish *w)
{
    struct host *h = engine_host(w->run->engine);

    return h->ops->wall_ms(h);
}

static bool is_frozen(const struct wish *w, struct buf *why)
{
    return policy_is_frozen(config_of(w), w->run->book->name, w->target, wall(w), why);
}

static bool is_stale(const struct wish *w, struct buf *why)
{
    return policy_is_stale(config_of(w), w->run->trigger, wall(w), why);
}

static bool is_busy(const struct wish *w, struct buf *why)
{
    const struct effect *beside = w->part ? guard_beside(w->part, true, NULL) : NULL;

    if (beside)
        guard_beside_words(w->part, beside, why);
    return beside != NULL;
}

static bool is_over_budget(const struct wish *w, struct buf *why)
{
    if (w->remedy <= w->run->book->remedies)
        return false;
    buf_addf(why, "the runbook allows %lld remedies in one run (limits.remedies)", (long long)w->run->book->remedies);
    return true;
}

static bool is_flapping(const struct wish *w, struct buf *why)
{
    return policy_is_flapping(config_of(w), w->run->trigger, why);
}

static bool needs_approval(const struct wish *w, struct buf *why)
{
    struct policy_effect x;
    const char *needed;

    if (!w->part || w->part->life->attempt > 0)     /* a yes is for one effect, however often that is sent */
        return false;
    x = effect_of(w);
    needed = policy_needs_approval(&x);
    if (!needed || approval_covers(w->run, w->approval, w->target, json_object_get(w->part->request, "from"),
                                   w->part->life->to))
        return false;
    buf_addf(why, "%s, and nobody approved it", needed);
    return true;
}

/* True = it is refused, because of why. What is not here, only the journal, the last look or people can say. */
static bool (*const checks[REFUSALS])(const struct wish *w, struct buf *why) = {
    [REFUSAL_HALTED] = is_halted, [REFUSAL_NOT_ALLOWED] = is_not_allowed, [REFUSAL_FROZEN] = is_frozen,
    [REFUSAL_STALE_TRIGGER] = is_stale, [REFUSAL_TARGET_BUSY] = is_busy, [REFUSAL_OVER_BUDGET] = is_over_budget,
    [REFUSAL_FLAPPING] = is_flapping, [REFUSAL_NEEDS_APPROVAL] = needs_approval,
};

/* An undo puts back what a run was permitted to do: the rest is about what is new. */
static bool concerns_undo(int r)
{
    return r == REFUSAL_HALTED || r == REFUSAL_NOT_ALLOWED;
}

static const char *refusal_of_scenario(const struct wish *w, struct buf *why)
{
    struct answerer *a = engine_opts(w->run->engine)->answerer;
    const char *refusal = w->part && a && a->ops->refuses ? a->ops->refuses(a, w->part->name, undone_by(w) != NULL) : NULL;

    if (refusal)
        buf_adds(why, "the scenario says so");
    return refusal;
}

/* The first r below `end` of which this process knows that it refuses, or `end`. */
static enum refusal known_first(const struct wish *w, enum refusal end, struct buf *why)
{
    int r;

    for (r = 0; r < (int)end; r++) {
        if (!checks[r] || (undone_by(w) && !concerns_undo(r)))
            continue;
        if (checks[r](w, why))
            break;
        buf_reset(why);         /* why an entry did not permit it that another one does */
    }
    return (enum refusal)r;
}

/* The name of the first guard before `end` that does not hold, or NULL. A journal that cannot be read says nothing: what is
 * refused already stays so, and what is not meets the guards in the transaction. */
static const char *guard_first(const struct wish *w, enum refusal end, struct buf *why)
{
    struct run *run = w->run;
    /* Verdicts and answers that are not committed yet count, as they would in the intent's own item. */
    struct journal_item item = {.run = run->id, .changes = run->pending.changes, .nchanges = run->pending.nchanges};
    struct guard guards[GUARDS_MAX];
    struct err e = {0};
    struct journal *j = writer_reader(engine_opts(run->engine)->writer, &e);
    size_t i, n = j ? intent_guards(w, guards) : 0;

    for (i = 0; i < n; i++) {
        const char *name = guard_refusal(guards[i].kind);

        if (refusal_of(name) < end && j->ops->guard(j, &item, &guards[i], &e) == 0) {
            buf_reset(why);
            guard_words(w, name, why);
            return name;
        }
    }
    return NULL;
}

const char *refusal_now(const struct wish *w, struct buf *why)
{
    const char *said = refusal_of_scenario(w, why), *name;
    enum refusal r;

    if (said)
        return said;
    r = known_first(w, REFUSALS, why);
    if (r == REFUSALS && w->part)
        return NULL;
    name = guard_first(w, r, why);
    return name || r == REFUSALS ? name : refusal_name(r);
}

const char *refusal_first(const struct wish *w, enum refusal r, struct buf *why)
{
    struct buf before = BUF_INIT(2048);
    enum refusal known = known_first(w, r, &before);
    const char *name;

    if (known < r) {
        buf_reset(why);
        buf_adds(why, buf_text(&before));
    }
    name = guard_first(w, known, why);
    buf_free(&before);
    return name ? name : refusal_name(known);
}
