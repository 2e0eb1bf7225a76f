/* SPDX-License-Identifier: Apache-2.0 */
/* The sections budgets, ineffective, stale_trigger, flapping and approvals. */
#include "config/internal.h"

#include <fnmatch.h>
#include <stdlib.h>

static int read_number(const struct config *c, const struct yaml *y, const char *what, int64_t max, int64_t *out, struct err *e)
{
    if (y->type != YAML_INT || y->integer < 1 || y->integer > max)
        return FAIL(y, "%s must be a number from 1 to %lld", what, (long long)max);
    *out = y->integer;
    return 0;
}

static int read_duration(const struct config *c, const struct yaml *y, const char *what, int64_t *ms, struct err *e)
{
    if (y->type != YAML_STRING || str_duration_ms(y->text, ms) < 0 || *ms <= 0) {
        FAIL(y, "%s must be a duration", what);
        return err_hint(e, "like 30m, 6h or 1d");
    }
    return 0;
}

static int read_glob(const struct config *c, const struct yaml *y, const char *what, char **out, struct err *e)
{
    if (y->type != YAML_STRING || y->text.n == 0 || y->text.n > 500)
        return FAIL(y, "%s must be a text", what);
    *out = xstrndup(y->text.p, y->text.n);
    return 0;
}

/* How much: effects, targets, or percent of a population that the operator knows. */
static int read_amount(const struct config *c, struct budget *b, const struct yaml *y, struct err *e)
{
    static const char *const words[] = {"effects", "targets", "percent"};
    const struct yaml *v, *found = NULL, *of = yaml_get(y, "of");
    size_t i;

    for (i = 0; i < 3; i++) {
        if ((v = yaml_get(y, words[i])) == NULL)
            continue;
        if (found)
            return FAIL(v, "a budget counts one thing: effects, targets or percent");
        found = v;
        b->targets = i > 0;
        if (read_number(c, v, words[i], i == 2 ? 100 : 1000000, &b->max, e) < 0)
            return e->code;
    }
    if (!found) {
        FAIL(y, "a budget says how much it permits");
        return err_hint(e, "{ effects: 20, per: 1h }, { targets: 3, per: 1d }, { percent: 10, of: 40, per: 1h, target: ... }");
    }
    if (found != yaml_get(y, "percent"))
        return of ? FAIL(of, "only a percentage is of something") : 0;
    if (!of || !b->target)
        return FAIL(y, "a percentage says of how many (of) and of what (target)");
    b->percent = b->max;
    if (read_number(c, of, "of", 1000000000, &b->of, e) < 0)
        return e->code;
    b->max = b->percent * b->of / 100;
    return b->max ? 0 : FAIL(found, "%lld %% of %lld is not one target", (long long)b->percent, (long long)b->of);
}

/* What a team may do: a budget of several runbooks together. */
static int read_team(const struct config *c, struct budget *b, const struct yaml *y, struct err *e)
{
    const struct yaml *list = yaml_get(y, "runbooks");
    struct buf globs = BUF_INIT(1000);
    char **words = NULL;
    size_t i;
    int rc = list ? config_words(c, list, "runbooks", &words, e) : 0;

    for (i = 0; rc == 0 && words && words[i]; i++)
        buf_addf(&globs, "%s%s", i ? " " : "", words[i]);
    config_free_words(words);
    if (rc == 0 && list && (globs.failed || yaml_get(y, "runbook")))
        rc = globs.failed ? FAIL(list, "the names under runbooks are too long")
                          : FAIL(list, "runbooks are bounded together, runbook each by itself: not both");
    else if (rc == 0 && list)
        b->team = xstrdup(buf_text(&globs));
    buf_free(&globs);
    return rc;
}

static int read_budget(struct config *c, struct budget *b, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"effects", "targets", "percent", "of", "per", "runbook", "runbooks", "target"};
    const struct yaml *per = yaml_get(y, "per"), *runbook = yaml_get(y, "runbook"), *target = yaml_get(y, "target");

    b->line = y->line;
    b->column = y->column;
    if (y->type != YAML_MAP)
        return FAIL(y, "a budget is a map like { effects: 20, per: 1h }");
    if (yaml_only_keys(y, c->file, keys, 8, e) < 0)
        return e->code;
    if (!per)
        return FAIL(y, "a budget says in which time (per: 1h)");
    if (read_duration(c, per, "per", &b->per_ms, e) < 0)
        return e->code;
    if (read_team(c, b, y, e) < 0)
        return e->code;
    if (runbook && read_glob(c, runbook, "runbook", &b->runbook, e) < 0)
        return e->code;
    if (target && read_glob(c, target, "target", &b->target, e) < 0)
        return e->code;
    if (target && !strchr(b->target, ':')) {
        FAIL(target, "target: '%.100s' does not say of which instance", b->target);
        return err_hint(e, "prod-eu:%.100s, or *:%.100s for all", b->target, b->target);
    }
    return read_amount(c, b, y, e);
}

static int read_budgets(struct config *c, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_LIST)
        return FAIL(y, "budgets must be a list");
    if (y->n > BUDGETS_MAX)
        return FAIL(y, "there are at most %d budgets", BUDGETS_MAX);
    c->budgets = xcalloc(y->n, sizeof(*c->budgets));
    for (i = 0; i < y->n; i++) {
        c->nbudgets++;
        if (read_budget(c, &c->budgets[i], y->items[i], e) < 0)
            return e->code;
    }
    return 0;
}

static int read_approvals(struct config *c, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"not_self", "of", "by"};
    const struct yaml *not_self = yaml_get(y, "not_self"), *of = yaml_get(y, "of"), *by = yaml_get(y, "by");
    char **names = NULL;
    int rc;

    if (y->type != YAML_MAP)
        return FAIL(y, "approvals must be a map like { not_self: true, of: 2, by: [sre] }");
    if (yaml_only_keys(y, c->file, keys, 3, e) < 0)
        return e->code;
    if (not_self && not_self->type != YAML_BOOL)
        return FAIL(not_self, "not_self must be true or false");
    c->approvals.not_self = not_self && not_self->boolean;
    if (of && read_number(c, of, "of", 16, &c->approvals.of, e) < 0)
        return e->code;
    rc = by ? config_words(c, by, "by", &names, e) : 0;
    if (rc == 0 && by)
        c->approvals.by = yaml_to_json(by);
    config_free_words(names);
    return rc;
}

static int read_flapping(struct config *c, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"episodes", "per"};
    const struct yaml *episodes = yaml_get(y, "episodes"), *per = yaml_get(y, "per");

    if (y->type != YAML_MAP || !episodes || !per)
        return FAIL(y, "flapping must be a map like { episodes: 4, per: 1h }");
    if (yaml_only_keys(y, c->file, keys, 2, e) < 0 || read_number(c, episodes, "episodes", EPISODES_MAX, &c->flapping, e) < 0)
        return e->code;
    return read_duration(c, per, "per", &c->flapping_ms, e);
}

int policy_read_sections(struct config *c, const struct yaml *y, struct err *e)
{
    const struct yaml *budgets = yaml_get(y, "budgets"), *off = yaml_get(y, "ineffective"), *v;

    if (budgets && read_budgets(c, budgets, e) < 0)
        return e->code;
    if (off && read_number(c, off, "ineffective: the remedies in a row that may fail to help", 1000, &c->off_after, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "stale_trigger")) && read_duration(c, v, "stale_trigger", &c->stale_ms, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "flapping")) && read_flapping(c, v, e) < 0)
        return e->code;
    return (v = yaml_get(y, "approvals")) ? read_approvals(c, v, e) : 0;
}

void policy_free_sections(struct config *c)
{
    size_t i;

    for (i = 0; i < c->nbudgets; i++) {
        free(c->budgets[i].runbook);
        free(c->budgets[i].team);
        free(c->budgets[i].target);
    }
    free(c->budgets);
    json_decref(c->approvals.by);
}

bool budget_concerns(const struct budget *b, const char *runbook, const char *target)
{
    return (!b->runbook || fnmatch(b->runbook, runbook, 0) == 0) &&
           (!b->team || str_matches(str_of(b->team), str_of(runbook))) &&
           (!b->target || !target || fnmatch(b->target, target, FNM_PATHNAME) == 0);
}
