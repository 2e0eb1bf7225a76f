/* SPDX-License-Identifier: Apache-2.0 */
/* The section `routes:`:
 *
 *   - { alert: { alertname: HighLatency, severity: "=~critical|page" }, runbook: high-latency }
 *   - { chat: "latency {{service}}", runbook: high-latency }
 *   - { schedule: "0 3 * * 1-5", zone: Europe/Berlin, runbook: nightly, params: { deep: true } }
 *   - { accept: front_matter, runbook: "disk-*" } */
#include "config/internal.h"

#include <fnmatch.h>
#include <regex.h>
#include <stdlib.h>

static int read_matchers(const struct config *c, const struct yaml *y, struct err *e)
{
    regex_t re;
    size_t i;

    if (y->type != YAML_MAP || y->n == 0)
        return FAIL(y, "alert wants label matchers, like { alertname: HighLatency }");
    for (i = 0; i < y->n; i++) {
        const struct yaml *v = y->items[i];

        if (v->type != YAML_STRING)
            return FAIL(v, "the matcher of '%.60s' must be a text, not %s", y->keys[i]->text.p, yaml_type_name(v->type));
        if (!str_starts(v->text, "=~"))
            continue;
        if (regcomp(&re, v->text.p + 2, REG_EXTENDED | REG_NOSUB) != 0)
            return FAIL(v, "'%.100s' is no regular expression", v->text.p + 2);
        regfree(&re);
    }
    return 0;
}

/* One field of a cron line: *, n, a-b, each with /step, in a list. */
static bool is_cron_field(const char *p, size_t n, long min, long max)
{
    const char *end = p + n;
    char *next;

    while (p < end) {
        if (*p == '*') {
            p++;
        } else {
            long from = strtol(p, &next, 10), to = from;

            if (next == p || *p == '-' || *p == '+')
                return false;
            p = next;
            if (*p == '-' && p < end) {
                to = strtol(p + 1, &next, 10);
                if (next == p + 1)
                    return false;
                p = next;
            }
            if (from < min || to > max || from > to)
                return false;
        }
        if (p < end && *p == '/') {
            if (strtol(p + 1, &next, 10) <= 0)
                return false;
            p = next;
        }
        if (p < end && *p++ != ',')
            return false;
        if (p == end && p[-1] == ',')
            return false;
    }
    return n > 0;
}

static int read_schedule(const struct config *c, const struct yaml *y, struct err *e)
{
    static const struct {
        const char *name;
        long min, max;
    } fields[] = {{"minute", 0, 59}, {"hour", 0, 23}, {"day", 1, 31}, {"month", 1, 12}, {"weekday", 0, 7}};
    const char *p = y->type == YAML_STRING ? y->text.p : "";
    size_t i, n;

    for (i = 0; i < 5; i++) {
        p += strspn(p, " ");
        n = strcspn(p, " ");
        if (!is_cron_field(p, n, fields[i].min, fields[i].max)) {
            FAIL(y, "schedule: '%.*s' is no %s (%ld to %ld)", (int)n, p, fields[i].name, fields[i].min, fields[i].max);
            return err_hint(e, "five fields: minute hour day month weekday, like \"0 3 * * 1-5\"");
        }
        p += n;
    }
    return p[strspn(p, " ")] ? FAIL(y, "schedule: five fields, not more") : 0;
}

static int read_text(const struct config *c, const struct yaml *v, const char *key, char **out, struct err *e)
{
    if (v->type != YAML_STRING || v->text.n == 0)
        return FAIL(v, "%s must be a text, not %s", key, yaml_type_name(v->type));
    *out = xstrndup(v->text.p, v->text.n);
    return 0;
}

static int read_trigger(struct config *c, const struct yaml *y, struct route *r, struct err *e)
{
    static const char *const kinds[] = {"alert", "chat", "schedule", "accept"};
    const struct yaml *v, *found = NULL;
    size_t i;

    for (i = 0; i < 4; i++) {
        if ((v = yaml_get(y, kinds[i])) == NULL)
            continue;
        if (found)
            return FAIL(v, "a route has one trigger: %s or %s", kinds[r->kind], kinds[i]);
        found = v;
        r->kind = (enum route_kind)i;
    }
    if (!found) {
        FAIL(y, "a route says what it accepts");
        return err_hint(e, "alert: {...}, chat: \"...\", schedule: \"...\" or accept: front_matter");
    }
    if (r->kind == ROUTE_OFFERED && !str_is(found->text, "front_matter"))
        return FAIL(found, "accept can only be front_matter");
    if (r->kind == ROUTE_CHAT && (found->type != YAML_STRING || found->text.n == 0))
        return FAIL(found, "chat wants a phrase");
    if (r->kind == ROUTE_ALERT && read_matchers(c, found, e) < 0)
        return e->code;
    if (r->kind == ROUTE_SCHEDULE && read_schedule(c, found, e) < 0)
        return e->code;
    r->what = r->kind == ROUTE_OFFERED ? NULL : yaml_to_json(found);
    return 0;
}

static int read_route(struct config *c, const struct yaml *y, struct route *r, struct err *e)
{
    static const char *const keys[] = {"alert", "chat", "schedule", "accept", "runbook", "params", "zone"};
    const struct yaml *runbook = yaml_get(y, "runbook"), *params = yaml_get(y, "params"), *zone = yaml_get(y, "zone");
    struct zone *known = NULL;
    size_t i;

    r->line = y->line;
    r->column = y->column;
    if (yaml_only_keys(y, c->file, keys, 7, e) < 0 || read_trigger(c, y, r, e) < 0)
        return e->code;
    if (!runbook && r->kind != ROUTE_OFFERED)
        return FAIL(y, "a route says which runbook it starts");
    if (runbook ? read_text(c, runbook, "runbook", &r->runbook, e) < 0 : (r->runbook = xstrdup("*"), false))
        return e->code;
    if (zone && r->kind != ROUTE_SCHEDULE)
        return FAIL(zone, "only a schedule has a zone");
    if (zone && read_text(c, zone, "zone", &r->zone, e) < 0)
        return e->code;
    if (zone && config_zone(c, zone, &known, e) < 0)
        return e->code;
    zone_free(known);
    if (params && (params->type != YAML_MAP || r->kind == ROUTE_OFFERED))
        return FAIL(params, r->kind == ROUTE_OFFERED ? "what the front matter offers has its own parameters"
                                                     : "params must be a map of names");
    for (i = 0; params && i < params->n; i++) {
        if (params->items[i]->type == YAML_MAP || params->items[i]->type == YAML_NULL)
            return FAIL(params->items[i], "parameter '%.60s' must be a value", params->keys[i]->text.p);
    }
    r->params = params ? yaml_to_json(params) : NULL;
    return 0;
}

int routes_read_section(struct config *c, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_LIST)
        return FAIL(y, "routes must be a list");
    c->routes = xcalloc(y->n, sizeof(*c->routes));
    for (i = 0; i < y->n; i++) {
        c->nroutes++;
        if (read_route(c, y->items[i], &c->routes[i], e) < 0)
            return e->code;
    }
    return 0;
}

void routes_free_section(struct config *c)
{
    size_t i;

    for (i = 0; i < c->nroutes; i++) {
        json_decref(c->routes[i].what);
        json_decref(c->routes[i].params);
        free(c->routes[i].runbook);
        free(c->routes[i].zone);
    }
    free(c->routes);
}

const struct route *config_accepts(const struct config *c, const char *runbook)
{
    size_t i;

    for (i = 0; c && i < c->nroutes; i++) {
        if (c->routes[i].kind == ROUTE_OFFERED && fnmatch(c->routes[i].runbook, runbook, 0) == 0)
            return &c->routes[i];
    }
    return NULL;
}
