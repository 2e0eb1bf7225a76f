/* SPDX-License-Identifier: Apache-2.0 */
/* The guards of an intent, in the order of DESIGN section 6, and what is said when one
 * of them does not hold. */
#include "run/life.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>

static const struct config *config_of(const struct run *r)
{
    const struct engine_options *o = engine_opts(r->engine);

    return o->state_dir ? o->config : NULL;
}

/* A glob of `may` with at_most, with the instance before it. False = there is none to hold, or none that could fail. */
static bool at_most(struct part *p, struct guard *g)
{
    struct run *r = p->call->run;
    const struct may *m = p->life->permit;
    struct buf pattern = BUF_INIT(KIB);
    struct err e = {0};

    if (!m || m->at_most == 0 || (int64_t)r->neffects < m->at_most)    /* however different its targets are */
        return false;
    buf_addf(&pattern, "%.*s:", (int)p->instance.n, p->instance.p);
    template_fill(str_of(m->target), r->params, true, &pattern, &e);
    *g = (struct guard){.kind = GUARD_AT_MOST, .target = g->target, .max = m->at_most, .action = run_keep(r, gate_verb(p->name)),
                        .pattern = run_keep(r, (struct str){pattern.data, pattern.len})};
    buf_free(&pattern);
    return true;
}

static size_t budgets(const struct wish *w, struct str target, struct guard *g)
{
    struct run *r = w->run;
    const struct config *c = config_of(r);
    struct host *h = engine_host(r->engine);
    struct str path = str_of(w->part ? w->part->path : "");
    size_t i, n = 0;

    for (i = 0; c && i < c->nbudgets; i++) {
        const struct budget *b = &c->budgets[i];

        if (!budget_concerns(b, r->book->name, w->target))
            continue;
        g[n++] = (struct guard){.kind = b->targets ? GUARD_TARGETS : GUARD_EFFECTS, .target = target, .max = b->max,
                                .since = h->ops->wall_ms(h) - b->per_ms, .path = run_keep(r, path),
                                .pattern = run_keep(r, str_of(b->target ? b->target : "")),
                                .runbook = run_keep(r, str_of(b->team ? b->team : b->runbook ? r->book->name : ""))};
    }
    return n;
}

size_t intent_guards(const struct wish *w, struct guard *g)
{
    struct run *r = w->run;
    const struct config *c = config_of(r);
    struct str target = run_keep(r, str_of(w->target));
    size_t n = 0;

    g[n++] = (struct guard){.kind = GUARD_HALT};
    if (r->bundle && r->bundle->commit)
        g[n++] = (struct guard){.kind = GUARD_REVOKED, .commit = run_keep(r, str_of(r->bundle->commit))};
    if (w->part && w->part->life->undo_of) {
        g[n++] = (struct guard){.kind = GUARD_LOCK, .target = target};
        return n;
    }
    g[n] = (struct guard){.target = target};
    n += w->part && at_most(w->part, &g[n]);
    g[n++] = (struct guard){.kind = GUARD_LOCK, .target = target};
    g[n++] = (struct guard){.kind = GUARD_COOLDOWN, .target = target, .now = run_now(r)};
    if ((int64_t)r->neffects >= r->book->targets)   /* it holds no more locks than it made effects */
        g[n++] = (struct guard){.kind = GUARD_RUN_BUDGET, .target = target, .max = r->book->targets};
    n += budgets(w, target, g + n);
    g[n++] = (struct guard){.kind = GUARD_EFFECTIVE, .max = c ? c->off_after : OFF_AFTER,
                            .runbook = run_keep(r, str_of(r->book->name))};
    if (w->approval[0])
        g[n++] = (struct guard){.kind = GUARD_APPROVAL, .path = run_keep(r, str_of(w->approval))};
    return n;
}

/* "4.b1.2" and "4.b2.7": the paths part where their branches do. */
static bool are_beside(const char *a, const char *b)
{
    size_t i, part = 0;

    for (i = 0; a[i] && a[i] == b[i]; i++)
        part = a[i] == '.' ? i + 1 : part;
    return a[part] == 'b' && b[part] == 'b';
}

/* The target is as x left it. */
static bool is_left_by(const struct effect *x, const json_t *state)
{
    const char *key;
    json_t *v;

    json_object_foreach(x->after, key, v) {
        if (!json_equal(v, json_object_get(state, key)))
            return false;
    }
    return json_object_size(x->after) > 0;
}

static bool is_open(const struct effect *x)
{
    return x->state == EFFECT_INTENDED || x->state == EFFECT_UNKNOWN || x->state == EFFECT_APPLIED ||
           x->state == EFFECT_UNVERIFIED || (x->temporary && x->state == EFFECT_VERIFIED);
}

const struct effect *guard_beside(const struct part *p, bool open, const json_t *state)
{
    const char *target = buf_text(&p->life->target);
    const struct run *r = p->call->run;
    const struct effect *x;

    for (x = effect_on(r, target, NULL); x; x = effect_on(r, target, x)) {
        bool wanted = open ? is_open(x) : is_left_by(x, state);

        if (wanted && !x->is_undo && are_beside(x->path, p->path))
            return x;
    }
    return NULL;
}

void guard_beside_words(const struct part *p, const struct effect *x, struct buf *why)
{
    buf_addf(why, "another branch of this run changes it (%s:%d); what changes one target goes one after the other",
             p->call->run->file, x->line);
}

struct search {
    const char *target;
    struct lock_info found;
};

static bool see_lock(void *ctx, const struct lock_info *l)
{
    struct search *s = ctx;

    if (strcmp(l->target, s->target) != 0)
        return true;
    s->found = *l;
    return false;
}

/* None if the journal cannot be read. */
static struct lock_info lock_of(const struct wish *w)
{
    struct search s = {.target = w->target};
    struct err ignored = {0};
    struct journal *j = writer_reader(engine_opts(w->run->engine)->writer, &ignored);

    if (j)
        j->ops->locks(j, see_lock, &s, &ignored);
    return s.found;
}

void guard_words(const struct wish *w, const char *refusal, struct buf *why)
{
    const struct run *r = w->run;
    const struct may *m = w->part ? w->part->life->permit : NULL;
    const struct config *c = config_of(r);
    const char *target = w->target, *book = r->book->name, *commit = r->bundle ? r->bundle->commit : NULL;
    struct lock_info lock = {0};
    char until[32];

    if (strcmp(refusal, "target_busy") == 0 || strcmp(refusal, "cooling_down") == 0)
        lock = lock_of(w);
    if (strcmp(refusal, "halted") == 0)
        buf_adds(why, "midwatch halt is on (release it with: midwatch halt --release)");
    else if (strcmp(refusal, "revoked") == 0)
        buf_addf(why, "commit %.12s, which this run is pinned to, is revoked; run a newer one (midwatch revoke %.12s --off takes "
                 "it back)", commit ? commit : "?", commit ? commit : "?");
    else if (strcmp(refusal, "not_allowed") == 0)
        buf_addf(why, "may permits %lld targets of \"%s\" in one run (at_most), and this would be one more",
                 m ? (long long)m->at_most : 0, m ? m->target : "?");
    else if (strcmp(refusal, "target_busy") == 0)
        buf_addf(why, "run %lld holds %s: see midwatch show %lld", (long long)lock.run, target, (long long)lock.run);
    else if (strcmp(refusal, "cooling_down") == 0)
        buf_addf(why, "run %lld changed %s; other runs may again from %s on (limits.cooldown)", (long long)lock.cool_run, target,
                 str_time(lock.cool_until, until, sizeof(until)));
    else if (strcmp(refusal, "over_budget") == 0)
        buf_addf(why, "limits.targets (%lld) or a budget is used up: midwatch policy explain %s tells which, and until when",
                 (long long)r->book->targets, book);
    else if (strcmp(refusal, "ineffective") == 0)
        buf_addf(why, "%lld remedies of %s in a row did not help, so it is off; who has looked into it turns it on: midwatch "
                 "policy on %s", (long long)(c ? c->off_after : OFF_AFTER), book, book);
    else
        buf_adds(why, "what was approved has been sent already; it must be asked for again");
}
