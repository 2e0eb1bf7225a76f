/* SPDX-License-Identifier: Apache-2.0 */
/* `may` is a list of permissions; an effect needs one that names it, whose target
 * pattern equals its target, and whose bounds hold; and one of the operator's, where
 * there are any. Anything that cannot be decided is a refusal. */
#include "gate/policy.h"

#include "base/json.h"

#include <fnmatch.h>
#include <stdio.h>

static const char *const names[REFUSALS] = {
    [REFUSAL_HALTED] = "halted",
    [REFUSAL_REVOKED] = "revoked",
    [REFUSAL_NOT_ALLOWED] = "not_allowed",
    [REFUSAL_FROZEN] = "frozen",
    [REFUSAL_STALE_TRIGGER] = "stale_trigger",
    [REFUSAL_NO_DATA] = "no_data",
    [REFUSAL_TARGET_BUSY] = "target_busy",
    [REFUSAL_COOLING_DOWN] = "cooling_down",
    [REFUSAL_OVER_BUDGET] = "over_budget",
    [REFUSAL_INEFFECTIVE] = "ineffective",
    [REFUSAL_FLAPPING] = "flapping",
    [REFUSAL_NEEDS_APPROVAL] = "needs_approval",
    [REFUSAL_DENIED] = "denied",
    [REFUSAL_EXPIRED] = "expired",
};

const char *refusal_name(enum refusal r)
{
    return names[r];
}

enum refusal refusal_of(const char *name)
{
    int i;

    for (i = 0; i < REFUSALS && strcmp(names[i], name) != 0; i++)
        ;
    return (enum refusal)i;
}

bool policy_is_refusal(const char *name)
{
    return refusal_of(name) < REFUSALS;
}

const char *const *policy_at_send(size_t *n)
{
    static const char *const words[] = {"halted",       "revoked",      "not_allowed", "frozen",      "stale_trigger",
                                        "target_busy",  "cooling_down", "over_budget", "ineffective", "flapping"};

    *n = sizeof(words) / sizeof(words[0]);
    return words;
}

bool policy_halted(struct host *h, const char *state_dir)
{
    char path[4096];

    if (!state_dir)
        return false;
    /* A path that does not fit cannot be looked at: refuse. */
    if ((size_t)snprintf(path, sizeof(path), "%s/halt", state_dir) >= sizeof(path))
        return true;
    return h->ops->exists(h, path);
}

static bool target_matches(const struct may *m, const json_t *params, struct str target, struct buf *why)
{
    struct buf pattern = BUF_INIT(1024), text = BUF_INIT(1024);
    struct err e = {0};
    bool matches = false;

    buf_add(&text, target.p, target.n);
    if (template_fill(str_of(m->target), params, true, &pattern, &e) < 0)
        buf_addf(why, "may: %s", e.msg);
    else if (m->at_most > 0)
        matches = fnmatch(buf_text(&pattern), buf_text(&text), FNM_PATHNAME) == 0;
    else
        matches = strcmp(buf_text(&pattern), buf_text(&text)) == 0;
    buf_free(&pattern);
    buf_free(&text);
    return matches;
}

/* at_most counts targets, not changes: a second change of the same one is no new one. */
static bool one_more_fits(const struct may *m, const json_t *params, const struct policy_effect *x, struct buf *why)
{
    int64_t n = 1;
    size_t i, k;

    if ((int64_t)x->ntouched < m->at_most)      /* however many of them are the same */
        return true;
    for (i = 0; m->at_most > 0 && i < x->ntouched; i++) {
        if (str_eq(x->touched[i], x->target))
            return true;
        for (k = 0; k < i && !str_eq(x->touched[k], x->touched[i]); k++)
            ;
        n += k == i && target_matches(m, params, x->touched[i], why);
    }
    if (m->at_most == 0 || n <= m->at_most)
        return true;
    buf_addf(why, "may permits %lld targets of \"%s\" in one run (at_most), and this would be one more", (long long)m->at_most,
             m->target);
    return false;
}

static bool permits(const struct may *m, const json_t *params, const struct policy_effect *x, struct buf *why)
{
    size_t i;

    if (!str_is(x->name, m->effect) || !target_matches(m, params, x->target, why) || !one_more_fits(m, params, x, why))
        return false;
    for (i = 0; x->args && i < m->nbounds; i++) {
        if (!bound_holds(&m->bounds[i], x->args, "may", why))
            return false;
    }
    return true;
}

/* The entry of the operator's list that permits it; without a list, one that permits all. */
static const struct allow *operator_allows(const struct policy_effect *x, struct buf *why)
{
    static const struct allow everything;
    const struct allow *a;
    struct buf effect = BUF_INIT(1024);
    const char *dot = x->name.n ? memchr(x->name.p, '.', x->name.n) : NULL, *plugin;

    if (!x->config || !x->config->has_allow)
        return &everything;
    plugin = config_plugin(x->config, x->instance);
    buf_adds(&effect, plugin ? plugin : "?");
    if (dot)
        buf_add(&effect, dot, x->name.n - (size_t)(dot - x->name.p));
    a = config_allows(x->config, buf_text(&effect), x->instance, x->target, x->args, why);
    if (!a && why->len == 0)
        buf_addf(why, "allow in %s has no { effect: %s, target: \"%.*s:%.*s\" }", x->config->file, buf_text(&effect),
                 (int)x->instance.n, x->instance.p, (int)x->target.n, x->target.p);
    buf_free(&effect);
    return a;
}

const char *policy_refuses(const struct runbook *book, const json_t *params, const struct policy_effect *x,
                           struct buf *why)
{
    struct buf reason = BUF_INIT(2048);
    const char *refusal = "not_allowed";
    size_t i;

    for (i = 0; i < book->nmay; i++) {
        buf_reset(&reason);
        if (permits(&book->may[i], params, x, &reason)) {
            refusal = NULL;
            if (x->permit)
                *x->permit = &book->may[i];
            break;
        }
        if (reason.len && why->len == 0)
            buf_add(why, reason.data, reason.len);
    }
    if (refusal && why->len == 0)
        buf_addf(why, "may has no { effect: %.*s, target: \"%.*s\" }", (int)x->name.n, x->name.p, (int)x->target.n,
                 x->target.p);
    if (!refusal) {
        buf_reset(why);
        refusal = operator_allows(x, why) ? NULL : "not_allowed";
    }
    buf_free(&reason);
    return refusal;
}

bool policy_is_frozen(const struct config *c, const char *runbook, const char *target, int64_t now, struct buf *why)
{
    char until[32];
    size_t i;

    for (i = 0; c && i < c->nfreezes; i++) {
        const struct freeze *f = &c->freezes[i];
        int64_t end;

        if (!freeze_concerns(f, runbook, target) || !freeze_holds(f, now / 1000))
            continue;
        end = freeze_changes(f, now / 1000);
        buf_addf(why, "the freeze '%s' (%s:%d) holds until %s; who keeps that file can except a runbook from it", f->name,
                 c->file, f->line, end ? str_time(1000 * end, until, sizeof(until)) : "somebody ends it");
        return true;
    }
    return false;
}

bool policy_is_stale(const struct config *c, const json_t *trigger, int64_t now, struct buf *why)
{
    const char *began = json_get_string(trigger, "startsAt", "");
    char age[32], most[32];
    bool dated;
    int64_t at;

    if (!c || c->stale_ms == 0 || strcmp(json_get_string(trigger, "kind", ""), "alert") != 0)
        return false;
    str_duration(c->stale_ms, most, sizeof(most));
    dated = str_parse_time(str_of(began), &at) == 0;
    if (dated && now - at <= c->stale_ms)
        return false;
    if (!dated)
        buf_addf(why, "the alert does not say when it began, and one older than %s may change nothing (stale_trigger in %s)",
                 most, c->file);
    else
        buf_addf(why, "the alert began %s ago, more than %s (stale_trigger in %s); look whether it is still true, then run it by "
                 "hand", str_duration((now - at) / 1000 * 1000, age, sizeof(age)), most, c->file);
    return true;
}

bool policy_is_flapping(const struct config *c, const json_t *trigger, struct buf *why)
{
    int64_t episodes = json_get_int(trigger, "episodes", 0);
    char per[32];

    if (!c || c->flapping == 0 || episodes < c->flapping)
        return false;
    buf_addf(why, "the alert began %lld times within %s (flapping in %s): what repairs it does not last; look for the cause, or run "
             "it by hand", (long long)episodes, str_duration(c->flapping_ms, per, sizeof(per)), c->file);
    return true;
}

const char *policy_needs_approval(const struct policy_effect *x)
{
    struct buf why = BUF_INIT(2048);
    const struct allow *a;

    if (!json_get_bool(x->declared, "irreversible", false))
        return NULL;
    a = operator_allows(x, &why);
    buf_free(&why);
    return a && a->unattended ? NULL : "it cannot be undone";
}
