/* SPDX-License-Identifier: Apache-2.0 */
/* The section `allow:`. An entry that could mean something else than it says is an error:
 * a target without its instance, a template. */
#include "config/internal.h"

#include <fnmatch.h>
#include <stdlib.h>

static int read_text(const struct config *c, const struct yaml *entry, const char *key, char **out, struct err *e)
{
    const struct yaml *v = yaml_get(entry, key);

    if (!v || v->type != YAML_STRING || v->text.n == 0) {
        FAIL(v ? v : entry, "an entry of allow has an effect and a target");
        return err_hint(e, "{ effect: kubernetes.scale, target: \"prod-eu:deployment/prod/*\", replicas: { max: 10 } }");
    }
    if (strstr(v->text.p, "{{"))
        return FAIL(v, "%s: allow takes globs, no templates", key);
    *out = xstrndup(v->text.p, v->text.n);
    return 0;
}

static int read_entry(struct config *c, const struct yaml *y, struct allow *a, struct err *e)
{
    const struct yaml *approval = yaml_get(y, "approval");
    size_t i;

    a->line = y->line;
    a->column = y->column;
    if (read_text(c, y, "effect", &a->effect, e) < 0 || read_text(c, y, "target", &a->target, e) < 0)
        return e->code;
    if (!strchr(a->effect, '.'))
        return FAIL(yaml_get(y, "effect"), "effect: '%.100s' must be plugin.effect, like kubernetes.scale", a->effect);
    if (!strchr(a->target, ':')) {
        FAIL(yaml_get(y, "target"), "target: '%.100s' does not say of which instance", a->target);
        return err_hint(e, "prod-eu:%.100s, or *:%.100s for all", a->target, a->target);
    }
    if (approval && (approval->type != YAML_STRING || !str_is(approval->text, "none")))
        return FAIL(approval, "approval can only be none: also for what cannot be undone");
    a->unattended = approval != NULL;
    a->bounds = xcalloc(y->n, sizeof(*a->bounds));
    for (i = 0; i < y->n; i++) {
        if (str_is(y->keys[i]->text, "effect") || str_is(y->keys[i]->text, "target") || y->items[i] == approval)
            continue;
        a->nbounds++;
        if (bound_read(y->keys[i], y->items[i], c->file, &a->bounds[a->nbounds - 1], e) < 0)
            return e->code;
    }
    return 0;
}

int allow_read_section(struct config *c, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_LIST)
        return FAIL(y, "allow must be a list");
    c->has_allow = true;
    c->allow = xcalloc(y->n, sizeof(*c->allow));
    for (i = 0; i < y->n; i++) {
        c->nallow++;
        if (read_entry(c, y->items[i], &c->allow[i], e) < 0)
            return e->code;
    }
    return 0;
}

void allow_free_section(struct config *c)
{
    size_t i, k;

    for (i = 0; i < c->nallow; i++) {
        for (k = 0; k < c->allow[i].nbounds; k++)
            bound_deinit(&c->allow[i].bounds[k]);
        free(c->allow[i].bounds);
        free(c->allow[i].effect);
        free(c->allow[i].target);
    }
    free(c->allow);
}

const struct allow *config_allows(const struct config *c, const char *effect, struct str instance, struct str target,
                                  const json_t *args, struct buf *why)
{
    struct buf whole = BUF_INIT(2048), reason = BUF_INIT(2048);
    const struct allow *found = NULL;
    size_t i, k;

    buf_addf(&whole, "%.*s:%.*s", (int)instance.n, instance.p, (int)target.n, target.p);
    for (i = 0; i < c->nallow && !found && !whole.failed; i++) {
        const struct allow *a = &c->allow[i];

        if (fnmatch(a->effect, effect, 0) != 0 || fnmatch(a->target, buf_text(&whole), FNM_PATHNAME) != 0)
            continue;
        buf_reset(&reason);
        for (k = 0; args && k < a->nbounds && bound_holds(&a->bounds[k], args, "allow", &reason); k++)
            ;
        if (!args || k == a->nbounds)
            found = a;
        else if (why->len == 0)
            buf_addf(why, "%s:%d: %s", c->file, a->line, buf_text(&reason));
    }
    buf_free(&whole);
    buf_free(&reason);
    return found;
}
