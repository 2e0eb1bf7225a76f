/* SPDX-License-Identifier: Apache-2.0 */
#include "check/explain.h"

#include "base/json.h"
#include "base/limits.h"
#include "gate/policy.h"
#include "journal/tally.h"
#include "run/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct view {
    const struct explain_query *q;
    json_t *out;
    char instance[256], whole[600];     /* of the target; "" = of none */
    int64_t now;
    struct err *e;
};

__attribute__((format(printf, 4, 5)))
static void add(struct view *v, const char *check, const char *verdict, const char *fmt, ...)
{
    struct buf why = BUF_INIT(4 * KIB);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&why, fmt, ap);
    va_end(ap);
    json_array_append_new(v->out, json_pack("{s:s s:s s:s}", "check", check, "verdict", verdict, "why", buf_text(&why)));
    buf_free(&why);
}

static const char *target_of(const struct view *v)
{
    return v->whole[0] ? v->whole : NULL;
}

static void halted(struct view *v)
{
    bool on = false;

    if (v->q->journal)
        v->q->journal->ops->halted(v->q->journal, &on, NULL, v->e);
    if (on || policy_halted(v->q->host, v->q->state_dir))
        add(v, "halted", "refuses", "until somebody releases it: midwatch halt --release");
    else
        add(v, "halted", "passes", "midwatch halt is off");
}

static bool see_revoked(void *ctx, const struct revoked_info *x)
{
    struct view *v = ctx;

    if (str_starts(str_of(v->q->book->origin.commit), x->commit))
        add(v, "revoked", "refuses", "commit %s is revoked by %s; midwatch revoke %s --off takes that back", x->commit, x->why,
            x->commit);
    return true;
}

static void revoked(struct view *v)
{
    const char *commit = v->q->book->origin.commit;
    size_t n = json_array_size(v->out);

    if (commit && v->q->journal)
        v->q->journal->ops->revoked(v->q->journal, see_revoked, v, v->e);
    if (json_array_size(v->out) == n)
        add(v, "revoked", "passes", commit ? "its commit is not revoked" : "it comes from no commit");
}

static void allowed(struct view *v)
{
    const struct explain_query *q = v->q;
    struct policy_effect x = {.name = str_of(q->effect ? q->effect : ""), .target = str_of(q->target ? q->target : ""),
                              .config = q->config, .instance = str_of(v->instance)};
    struct buf why = BUF_INIT(4 * KIB);
    size_t i;

    for (i = 0; !q->effect && i < q->book->nmay; i++) {
        const struct may *m = &q->book->may[i];

        buf_reset(&why);
        template_fill(str_of(m->target), q->params, true, &why, v->e);
        if (m->at_most)
            add(v, "not_allowed", "depends", "may %s on %s, at most %" PRId64 " in one run", m->effect, buf_text(&why),
                m->at_most);
        else
            add(v, "not_allowed", "depends", "may %s on %s", m->effect, buf_text(&why));
    }
    if (q->effect && policy_refuses(q->book, q->params, &x, &why))
        add(v, "not_allowed", "refuses", "%s", buf_text(&why));
    else if (q->effect)
        add(v, "not_allowed", "passes", "may and allow permit it, within their bounds");
    buf_free(&why);
}

static void frozen(struct view *v)
{
    const struct config *c = v->q->config;
    char at[32];
    size_t i, n = 0;

    for (i = 0; i < c->nfreezes; i++) {
        const struct freeze *f = &c->freezes[i];
        bool holds = freeze_holds(f, v->now / 1000);
        int64_t next = freeze_changes(f, v->now / 1000);

        if (!freeze_concerns(f, v->q->book->name, target_of(v)))
            continue;
        n++;
        if (next)
            str_time(1000 * next, at, sizeof(at));
        if (!holds)
            add(v, "frozen", "passes", "freeze '%s' (%s:%d) %s%s", f->name, c->file, f->line,
                next ? "is next from " : "is over", next ? at : "");
        else
            add(v, "frozen", target_of(v) || (!f->targets && !f->instances) ? "refuses" : "depends",
                "freeze '%s' (%s:%d) holds until %s", f->name, c->file, f->line, next ? at : "somebody ends it");
    }
    if (n == 0)
        add(v, "frozen", "passes", "no freeze is about it");
}

static void stale(struct view *v)
{
    struct buf why = BUF_INIT(2048);
    char most[32];

    if (policy_is_stale(v->q->config, v->q->trigger, v->now, &why))
        add(v, "stale_trigger", "refuses", "%s", buf_text(&why));
    else if (v->q->config->stale_ms && v->q->trigger)
        add(v, "stale_trigger", "passes", "the trigger is young enough");
    else if (v->q->config->stale_ms)
        add(v, "stale_trigger", "depends", "an alert may have begun at most %s ago",
            str_duration(v->q->config->stale_ms, most, sizeof(most)));
    else
        add(v, "stale_trigger", "passes", "an alert may be of any age");
    buf_free(&why);
}

static void flapping(struct view *v)
{
    const struct config *c = v->q->config;
    char per[32];

    if (c->flapping)
        add(v, "flapping", "depends", "an alert that began %lld times within %s changes nothing", (long long)c->flapping,
            str_duration(c->flapping_ms, per, sizeof(per)));
    else
        add(v, "flapping", "passes", "an alert may begin as often as it does");
}

static bool see_lock(void *ctx, const struct lock_info *l)
{
    struct view *v = ctx;
    bool mine = target_of(v) && strcmp(l->target, v->whole) == 0;

    if (l->run && (mine || !target_of(v)))
        add(v, "target_busy", mine ? "refuses" : "depends", "run %" PRId64 " holds %s (fence %" PRId64 ")", l->run, l->target,
            l->fence);
    return true;
}

static bool see_cooldown(void *ctx, const struct lock_info *l)
{
    struct view *v = ctx;
    char until[32];
    bool mine = target_of(v) && strcmp(l->target, v->whole) == 0;

    if (l->run == 0 && l->cool_until > v->now && (mine || !target_of(v)))
        add(v, "cooling_down", mine ? "refuses" : "depends", "run %" PRId64 " changed %s; other runs may again from %s on",
            l->cool_run, l->target, str_time(l->cool_until, until, sizeof(until)));
    return true;
}

static void locks(struct view *v, const char *check, lock_fn see, const char *none)
{
    size_t n = json_array_size(v->out);

    if (v->q->journal)
        v->q->journal->ops->locks(v->q->journal, see, v, v->e);
    if (json_array_size(v->out) == n)
        add(v, check, "passes", "%s", none);
}

static void busy(struct view *v)
{
    locks(v, "target_busy", see_lock, "nothing is held");
}

static void cooling(struct view *v)
{
    locks(v, "cooling_down", see_cooldown, "nothing is cooling down");
}

struct spent {
    struct view *v;
    struct tally tally;
    int64_t since, oldest;
};

static bool see_effect(void *ctx, const struct effect_info *x)
{
    struct spent *s = ctx;
    struct run_info info = {0};
    int64_t before = s->tally.n;

    if (x->counts_at <= s->since || s->v->q->journal->ops->get_run(s->v->q->journal, x->run, &info, s->v->e) < 0)
        return true;
    tally_add(&s->tally, x->run, str_of(x->path), str_of(info.runbook), str_of(x->target));
    if (s->tally.n > before && (s->oldest == 0 || x->counts_at < s->oldest))
        s->oldest = x->counts_at;
    run_info_deinit(&info);
    return true;
}

static void one_budget(struct view *v, const struct budget *b)
{
    const char *book = v->q->book->name;
    struct guard g = {.kind = b->targets ? GUARD_TARGETS : GUARD_EFFECTS, .max = INT64_MAX,
                      .target = str_of(b->targets ? v->whole : ""), .pattern = str_of(b->target ? b->target : ""),
                      .runbook = str_of(b->team ? b->team : b->runbook ? book : "")};
    struct spent s = {.v = v, .since = v->now - b->per_ms};
    char per[32], free_at[32] = "";
    bool refuses;

    tally_begin(&s.tally, &g, 0);
    if (v->q->journal)
        v->q->journal->ops->effects(v->q->journal, -1, see_effect, &s, v->e);
    refuses = b->targets && v->whole[0] ? s.tally.n > b->max : s.tally.n >= b->max;
    if (s.oldest)
        str_time(s.oldest + b->per_ms, free_at, sizeof(free_at));
    add(v, "over_budget", !refuses ? "passes" : target_of(v) || !b->target ? "refuses" : "depends",
        "%s:%d: %" PRId64 " of %" PRId64 " %s%s in %s are used%s%s%s", v->q->config->file, b->line, s.tally.n, b->max,
        b->targets ? "targets" : "effects", v->whole[0] && b->targets ? " (with this one)" : "",
        str_duration(b->per_ms, per, sizeof(per)), b->team ? " by these runbooks" : b->runbook ? " by this runbook" : "",
        s.oldest ? "; the next is free at " : "", free_at);
    tally_end(&s.tally);
}

static void budgets(struct view *v)
{
    const struct runbook *b = v->q->book;
    size_t i;

    add(v, "over_budget", "depends", "one run: %" PRId64 " remedies, %" PRId64 " targets (limits)", b->remedies, b->targets);
    for (i = 0; i < v->q->config->nbudgets; i++) {
        if (budget_concerns(&v->q->config->budgets[i], b->name, target_of(v)))
            one_budget(v, &v->q->config->budgets[i]);
    }
}

static bool see_breaker(void *ctx, const struct breaker_info *x)
{
    struct view *v = ctx;

    if (strcmp(x->runbook, v->q->book->name) != 0)
        return true;
    if (x->failures >= v->q->config->off_after)
        add(v, "ineffective", "refuses", "%" PRId64 " remedies in a row did not help; it is off until a person turns it on: "
            "midwatch policy on %s", x->failures, x->runbook);
    else
        add(v, "ineffective", "passes", "%" PRId64 " of %" PRId64 " remedies in a row did not help", x->failures,
            v->q->config->off_after);
    return true;
}

static void effective(struct view *v)
{
    size_t n = json_array_size(v->out);

    if (v->q->journal)
        v->q->journal->ops->breakers(v->q->journal, see_breaker, v, v->e);
    if (json_array_size(v->out) == n)
        add(v, "ineffective", "passes", "none of its remedies failed to help (%" PRId64 " in a row turn it off)",
            v->q->config->off_after);
}

static void approvals(struct view *v)
{
    const struct approval_rule *a = &v->q->config->approvals;

    add(v, "needs_approval", "depends", "what the runbook asks for or cannot be undone; %s%s, by at least %" PRId64,
        a->not_self ? "not by whoever started the run" : "also by whoever started the run where nobody is named",
        a->by ? ", by those named in approvals" : "", a->of ? a->of : 1);
}

static int name_target(struct view *v)
{
    const struct explain_query *q = v->q;
    const char *dot = q->effect ? strchr(q->effect, '.') : NULL;
    size_t i;

    for (i = 0; q->effect && i < q->book->nuses; i++) {
        const struct use *u = &q->book->uses[i];
        struct buf instance = BUF_INIT(256);

        if (dot && strncmp(u->alias, q->effect, (size_t)(dot - q->effect)) == 0 && u->alias[dot - q->effect] == '\0' &&
            template_fill(str_of(u->instance), q->params, false, &instance, v->e) == 0) {
            snprintf(v->instance, sizeof(v->instance), "%s", buf_text(&instance));
            snprintf(v->whole, sizeof(v->whole), "%.250s:%.340s", v->instance, q->target);
        }
        buf_free(&instance);
    }
    if (!q->effect || v->instance[0])
        return 0;
    return err_set(v->e, ERR_INVALID, "'%.100s' is of nothing that %s uses", q->effect, q->book->name);
}

/* What people and data refuse, nobody can say now. */
static void (*const checks[REFUSALS])(struct view *v) = {
    [REFUSAL_HALTED] = halted, [REFUSAL_REVOKED] = revoked, [REFUSAL_NOT_ALLOWED] = allowed, [REFUSAL_FROZEN] = frozen,
    [REFUSAL_STALE_TRIGGER] = stale, [REFUSAL_TARGET_BUSY] = busy, [REFUSAL_COOLING_DOWN] = cooling,
    [REFUSAL_OVER_BUDGET] = budgets, [REFUSAL_INEFFECTIVE] = effective, [REFUSAL_FLAPPING] = flapping,
    [REFUSAL_NEEDS_APPROVAL] = approvals,
};

int explain_policy(const struct explain_query *q, json_t **out, struct err *e)
{
    struct view v = {.q = q, .now = q->host->ops->wall_ms(q->host), .e = e};
    int r;

    if (name_target(&v) < 0)
        return e->code;
    v.out = json_array();
    for (r = 0; r < REFUSALS; r++) {
        if (checks[r])
            checks[r](&v);
    }
    if (e->code < 0) {
        json_decref(v.out);
        return e->code;
    }
    *out = v.out;
    return 0;
}
