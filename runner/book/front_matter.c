/* SPDX-License-Identifier: Apache-2.0 */
/* One reader per key, in a table. A reader sees only its own node; what concerns
 * several keys (a template that names a parameter) is checked at the end. */
#include "book/front_matter.h"

#include <stdio.h>
#include <stdlib.h>

#define FAIL(node, ...) yaml_err(e, b->file, (node), __VA_ARGS__)

static int text_of(struct runbook *b, const struct yaml *y, const char *key, char **out, struct err *e)
{
    if (y->type != YAML_STRING || y->text.n == 0)
        return FAIL(y, "%s must be a text, not %s", key, yaml_type_name(y->type));
    *out = xstrndup(y->text.p, y->text.n);
    return 0;
}

static int duration_of(struct runbook *b, const struct yaml *y, const char *key, int64_t *out, struct err *e)
{
    if (y->type == YAML_STRING && str_duration_ms(y->text, out) == 0)
        return 0;
    FAIL(y, "%s must be a duration, not '%.*s'", key, (int)(y->text.n > 60 ? 60 : y->text.n), y->text.p ? y->text.p : "");
    return err_hint(e, "write 90s, 10m or 1h30m");
}

static int count_of(struct runbook *b, const struct yaml *y, const char *key, int64_t *out, struct err *e)
{
    if (y->type != YAML_INT || y->integer < 0)
        return FAIL(y, "%s must be a number of at least 0", key);
    *out = y->integer;
    return 0;
}

static int read_name(struct runbook *b, const struct yaml *y, struct err *e)
{
    const char *base = strrchr(b->file, '/');
    size_t n;

    if (text_of(b, y, "runbook", &b->name, e) < 0)
        return e->code;
    if (strspn(b->name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(b->name))
        return FAIL(y, "runbook: '%s' is no name (small letters, digits, - and _)", b->name);
    base = base ? base + 1 : b->file;
    n = strlen(base);
    if (n > 3 && strcmp(base + n - 3, ".md") == 0 && (strlen(b->name) != n - 3 || strncmp(base, b->name, n - 3) != 0))
        return FAIL(y, "runbook: '%s' is not the name of its file, %s; one of them must change", b->name, base);
    return 0;
}

static int read_summary(struct runbook *b, const struct yaml *y, struct err *e)
{
    return text_of(b, y, "summary", &b->summary, e);
}

static int read_owner(struct runbook *b, const struct yaml *y, struct err *e)
{
    return text_of(b, y, "owner", &b->owner, e);
}

static int read_severity(struct runbook *b, const struct yaml *y, struct err *e)
{
    return text_of(b, y, "severity", &b->severity, e);
}

static int read_matchers(struct runbook *b, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_MAP || y->n == 0)
        return FAIL(y, "alert wants label matchers, like { alertname: HighLatency }");
    for (i = 0; i < y->n; i++) {
        if (y->items[i]->type == YAML_LIST || y->items[i]->type == YAML_MAP)
            return FAIL(y->items[i], "the matcher of '%s' must be a text", y->keys[i]->text.p);
    }
    return 0;
}

static int read_trigger(struct runbook *b, const struct yaml *y, struct trigger_offer *out, struct err *e)
{
    static const char *const kinds[] = {"alert", "chat", "schedule"};
    const struct yaml *value;

    if (y->type != YAML_MAP || y->n != 1)
        return FAIL(y, "a trigger is one of alert, chat or schedule");
    if (yaml_only_keys(y, b->file, kinds, 3, e) < 0)
        return e->code;
    value = y->items[0];
    out->kind = str_is(y->keys[0]->text, "alert") ? OFFER_ALERT : str_is(y->keys[0]->text, "chat") ? OFFER_CHAT : OFFER_SCHEDULE;
    if (out->kind == OFFER_ALERT && read_matchers(b, value, e) < 0)
        return e->code;
    if (out->kind == OFFER_CHAT && value->type != YAML_STRING)
        return FAIL(value, "chat wants a phrase");
    out->what = yaml_to_json(value);
    return 0;
}

static int read_triggers(struct runbook *b, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_LIST)
        return FAIL(y, "triggers must be a list");
    b->triggers = xcalloc(y->n, sizeof(*b->triggers));
    for (i = 0; i < y->n; i++, b->ntriggers++) {
        if (read_trigger(b, y->items[i], &b->triggers[i], e) < 0)
            return e->code;
    }
    return 0;
}

static int read_params(struct runbook *b, const struct yaml *y, struct err *e)
{
    return params_read(y, b->file, &b->params, &b->nparams, e);
}

static bool is_name(struct str s)
{
    size_t i;

    for (i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return s.n > 0;
}

static int add_use(struct runbook *b, const struct yaml *alias, const struct yaml *instance, struct err *e)
{
    struct use *u = &b->uses[b->nuses];

    if (!is_name(alias->text))
        return FAIL(alias, "uses: '%.*s' is no name for Lua (letters, digits and _); write name: instance",
                    (int)alias->text.n, alias->text.p);
    if (instance->type != YAML_STRING || instance->text.n == 0)
        return FAIL(instance, "uses: the instance must be a name");
    *u = (struct use){.alias = xstrndup(alias->text.p, alias->text.n),
                      .instance = xstrndup(instance->text.p, instance->text.n), .line = alias->line,
                      .column = alias->column};
    b->nuses++;
    return 0;
}

static int read_uses(struct runbook *b, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_LIST && y->type != YAML_MAP)
        return FAIL(y, "uses must be a list of instances, or a map of name: instance");
    b->uses = xcalloc(y->n, sizeof(*b->uses));
    for (i = 0; i < y->n; i++) {
        const struct yaml *item = y->items[i];

        if (y->type == YAML_LIST && item->type != YAML_STRING)
            return FAIL(item, "uses: an instance must be a name");
        if (add_use(b, y->type == YAML_MAP ? y->keys[i] : item, item, e) < 0)
            return e->code;
    }
    return 0;
}

static int read_may_entry(struct runbook *b, const struct yaml *y, struct may *m, struct err *e)
{
    const struct yaml *effect = yaml_get(y, "effect"), *target = yaml_get(y, "target"), *at_most = yaml_get(y, "at_most");
    size_t i;

    m->line = y->line;
    m->column = y->column;
    if (y->type != YAML_MAP || !effect || !target) {
        FAIL(y, "an entry of may has an effect and a target");
        return err_hint(e, "{ effect: kubernetes.scale, target: \"deployment/prod/api\" }");
    }
    m->bounds = xcalloc(y->n, sizeof(*m->bounds));
    if (text_of(b, effect, "effect", &m->effect, e) < 0 || text_of(b, target, "target", &m->target, e) < 0 ||
        (at_most && count_of(b, at_most, "at_most", &m->at_most, e) < 0))
        return e->code;
    if (!strchr(m->effect, '.'))
        return FAIL(effect, "effect: '%s' must be name.effect, like kubernetes.scale", m->effect);
    for (i = 0; i < y->n; i++) {
        if (y->items[i] == effect || y->items[i] == target || y->items[i] == at_most)
            continue;
        m->nbounds++;
        if (bound_read(y->keys[i], y->items[i], b->file, &m->bounds[m->nbounds - 1], e) < 0)
            return e->code;
    }
    return 0;
}

static int read_may(struct runbook *b, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_LIST)
        return FAIL(y, "may must be a list");
    b->may = xcalloc(y->n, sizeof(*b->may));
    for (i = 0; i < y->n; i++) {
        b->nmay++;
        if (read_may_entry(b, y->items[i], &b->may[i], e) < 0)
            return e->code;
    }
    return 0;
}

static int read_limits(struct runbook *b, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"time", "remedies", "targets", "cooldown"};
    const struct yaml *v;

    if (y->type != YAML_MAP)
        return FAIL(y, "limits must be a map");
    if (yaml_only_keys(y, b->file, keys, 4, e) < 0 ||
        ((v = yaml_get(y, "time")) && duration_of(b, v, "time", &b->time_ms, e) < 0) ||
        ((v = yaml_get(y, "cooldown")) && duration_of(b, v, "cooldown", &b->cooldown_ms, e) < 0) ||
        ((v = yaml_get(y, "remedies")) && count_of(b, v, "remedies", &b->remedies, e) < 0) ||
        ((v = yaml_get(y, "targets")) && count_of(b, v, "targets", &b->targets, e) < 0))
        return e->code;
    return 0;
}

static int read_escalate(struct runbook *b, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"to", "after"};
    const struct yaml *v;

    if (y->type != YAML_MAP)
        return FAIL(y, "escalate must be a map like { to: team, after: 30m }");
    if (yaml_only_keys(y, b->file, keys, 2, e) < 0 ||
        ((v = yaml_get(y, "to")) && text_of(b, v, "to", &b->escalate_to, e) < 0) ||
        ((v = yaml_get(y, "after")) && duration_of(b, v, "after", &b->escalate_after_ms, e) < 0))
        return e->code;
    return 0;
}

static const struct {
    const char *key;
    int (*read)(struct runbook *b, const struct yaml *y, struct err *e);
} readers[] = {
    {"runbook", read_name},   {"summary", read_summary},   {"owner", read_owner}, {"severity", read_severity},
    {"triggers", read_triggers}, {"params", read_params},  {"uses", read_uses},   {"may", read_may},
    {"limits", read_limits},  {"escalate", read_escalate},
};
#define NREADERS (sizeof(readers) / sizeof(readers[0]))

/* Checks across keys */

struct names {
    struct runbook *book;
    const struct may *may;
    char wrong[200];
};

static void check_name(void *ctx, struct str name)
{
    struct names *n = ctx;
    size_t i;

    for (i = 0; i < n->book->nparams && n->wrong[0] == '\0'; i++) {
        const struct param *p = &n->book->params[i];

        if (!str_is(name, p->name))
            continue;
        if (n->may && p->from && !p->match && p->none_of == 0)
            snprintf(n->wrong, sizeof(n->wrong), "'%.60s' comes from an alert; it needs match or one_of to be in a target",
                     p->name);
        return;
    }
    if (n->wrong[0] == '\0')
        snprintf(n->wrong, sizeof(n->wrong), "{{%.*s}} is no parameter", (int)(name.n > 60 ? 60 : name.n), name.p);
}

static int check_template(struct runbook *b, const char *text, const struct may *may, int line, int column, struct err *e)
{
    struct names n = {.book = b, .may = may};

    if (template_names(str_of(text), check_name, &n, e) < 0)
        return err_at(e, ERR_INVALID, b->file, line, column, "'%s' opens {{ and does not close it", text);
    return n.wrong[0] ? err_at(e, ERR_INVALID, b->file, line, column, "%s", n.wrong) : 0;
}

static int check_across(struct runbook *b, struct err *e)
{
    size_t i, k;

    for (i = 0; i < b->nuses; i++) {
        if (check_template(b, b->uses[i].instance, NULL, b->uses[i].line, b->uses[i].column, e) < 0)
            return e->code;
    }
    for (i = 0; i < b->nmay; i++) {
        const struct may *m = &b->may[i];
        size_t alias = strcspn(m->effect, ".");

        if (check_template(b, m->target, m, m->line, m->column, e) < 0)
            return e->code;
        if (strpbrk(m->target, "*?[") && m->at_most == 0) {
            err_at(e, ERR_INVALID, b->file, m->line, m->column, "the target '%s' is a pattern without a bound", m->target);
            return err_hint(e, "add at_most: N");
        }
        for (k = 0; k < b->nuses; k++) {
            if (strlen(b->uses[k].alias) == alias && strncmp(b->uses[k].alias, m->effect, alias) == 0)
                break;
        }
        if (k == b->nuses)
            return err_at(e, ERR_INVALID, b->file, m->line, m->column, "may: '%.*s' is not in uses", (int)alias, m->effect);
    }
    return 0;
}

/* True if reading goes on: there was no error, or all of them are wanted. */
static bool go_on(int rc, struct complaints *c, const struct err *e)
{
    if (rc < 0 && c) {
        c->each(c->ctx, e);
        c->n++;
    }
    return rc == 0 || c;
}

/* Every key that there is not, then every key by its reader. */
static int read_keys(struct runbook *b, const struct yaml *y, struct complaints *c, struct err *e)
{
    const char *keys[NREADERS];
    size_t i;
    int rc = 0, one;

    for (i = 0; i < NREADERS; i++)
        keys[i] = readers[i].key;
    for (i = 0; i < y->n && (rc == 0 || c); i++) {
        const struct yaml single = {.type = YAML_MAP, .n = 1, .keys = &y->keys[i], .items = &y->items[i]};

        one = yaml_only_keys(&single, b->file, keys, NREADERS, e);
        rc = one < 0 ? one : rc;
        if (!go_on(one, c, e))
            return rc;
    }
    for (i = 0; i < NREADERS; i++) {
        const struct yaml *v = yaml_get(y, readers[i].key);

        one = v ? readers[i].read(b, v, e) : 0;
        rc = one < 0 ? one : rc;
        if (!go_on(one, c, e))
            return rc;
    }
    return rc;
}

int front_matter_read(struct str text, int first_line, struct runbook *b, struct complaints *c, struct err *e)
{
    struct yaml *y = NULL;
    int rc = yaml_read(text, b->file, first_line, &y, e);

    b->time_ms = 3600000;
    b->remedies = b->targets = 3;
    b->cooldown_ms = 1800000;
    if (rc == 0 && y->type != YAML_MAP)
        rc = FAIL(y, "the front matter must be a map of keys");
    if (rc < 0) {
        go_on(rc, c, e);
        yaml_tree_free(y);
        return rc;
    }
    rc = read_keys(b, y, c, e);
    if ((rc == 0 || c) && !yaml_get(y, "runbook")) {
        rc = FAIL(y, "the key 'runbook' (its name) is missing");
        go_on(rc, c, e);
    }
    if (rc == 0) {
        rc = check_across(b, e);
        go_on(rc, c, e);
    }
    yaml_tree_free(y);
    return rc;
}
