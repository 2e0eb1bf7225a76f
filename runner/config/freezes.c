/* SPDX-License-Identifier: Apache-2.0 */
#include "config/internal.h"

#include "base/limits.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY 86400
#define LOOK_AHEAD (9 * DAY)    /* a week recurs, and no change of the clocks moves it by a day */

static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/* n digits */
static bool take_number(const char **p, int n, int *out)
{
    for (*out = 0; n > 0; n--, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        *out = 10 * *out + (**p - '0');
    }
    return true;
}

static bool take_char(const char **p, const char *one_of)
{
    return **p && strchr(one_of, **p) ? (*p)++, true : false;
}

static bool take_time(const char **p, int *minutes)
{
    int hour, minute;

    if (!take_number(p, 2, &hour) || !take_char(p, ":") || !take_number(p, 2, &minute))
        return false;
    *minutes = 60 * hour + minute;
    return minute < 60 && *minutes <= 24 * 60;
}

/* A day without a time begins with it, or ends with it (is_end). */
static int read_date(const struct config *c, const struct freeze *f, const struct yaml *y, bool is_end, int64_t *out,
                     struct err *e)
{
    const char *p = y->type == YAML_STRING ? y->text.p : "";
    int year = 0, month = 0, day = 0, minutes = is_end ? 24 * 60 : 0, m, d;
    int64_t y2, earlier, later, at;
    bool good = take_number(&p, 4, &year) && take_char(&p, "-") && take_number(&p, 2, &month) && take_char(&p, "-") &&
                take_number(&p, 2, &day) && month >= 1 && month <= 12 && day >= 1;

    at = good ? zone_days(year, month, day) : 0;
    zone_date(at, &y2, &m, &d);
    good = good && m == month && d == day && (*p == '\0' || (take_char(&p, " T") && take_time(&p, &minutes) && *p == '\0'));
    if (!good) {
        FAIL(y, "'%.40s' is no day", y->text.p ? y->text.p : "");
        return err_hint(e, "2026-12-24, or with a time \"2026-12-24 18:00\"");
    }
    zone_instants(f->zone, DAY * at + 60 * minutes, &earlier, &later);
    *out = is_end ? later : earlier;
    return 0;
}

static int day_of(struct str s)
{
    int i;

    for (i = 0; i < 7; i++) {
        if (str_is(s, days[i]))
            return i;
    }
    return -1;
}

/* "sat", or "mon-fri" */
static int read_days(const struct config *c, const struct yaml *y, unsigned *out, struct err *e)
{
    const char *dash = y->type == YAML_STRING ? memchr(y->text.p, '-', y->text.n) : NULL;
    size_t n = dash ? (size_t)(dash - y->text.p) : y->text.n;
    int from = y->type == YAML_STRING ? day_of((struct str){y->text.p, n}) : -1;
    int to = dash ? day_of((struct str){dash + 1, y->text.n - n - 1}) : from;

    if (from < 0 || to < 0) {
        FAIL(y, "'%.40s' is no weekday", y->text.p ? y->text.p : "");
        return err_hint(e, "mon tue wed thu fri sat sun, or mon-fri");
    }
    for (; from != to; from = (from + 1) % 7)
        *out |= 1u << from;
    *out |= 1u << to;
    return 0;
}

static int read_hours(const struct config *c, struct freeze *f, const struct yaml *y, struct err *e)
{
    const char *p = y->type == YAML_STRING ? y->text.p : "";

    if (!take_time(&p, &f->begins) || !take_char(&p, "-") || !take_time(&p, &f->ends) || *p || f->begins == f->ends ||
        f->begins == 24 * 60) {
        FAIL(y, "'%.40s' are no hours", y->text.p ? y->text.p : "");
        return err_hint(e, "\"22:00-06:00\"; a whole day is one without hours");
    }
    return 0;
}

static int read_when(struct config *c, struct freeze *f, const struct yaml *y, struct err *e)
{
    const struct yaml *from = yaml_get(y, "from"), *to = yaml_get(y, "to"), *hours = yaml_get(y, "hours");
    const struct yaml *weekdays = yaml_get(y, "weekdays");
    size_t i;

    if (!from && !to && !hours && !weekdays) {
        FAIL(y, "a freeze says when it is");
        return err_hint(e, "from and to, weekdays, hours: \"22:00-06:00\"");
    }
    if (weekdays && weekdays->type != YAML_LIST)
        return FAIL(weekdays, "weekdays must be a list like [sat, sun] or [mon-fri]");
    f->has_from = from != NULL;
    f->has_to = to != NULL;
    if ((from && read_date(c, f, from, false, &f->from, e) < 0) || (to && read_date(c, f, to, true, &f->to, e) < 0))
        return e->code;
    if (from && to && f->from >= f->to)
        return FAIL(to, "the freeze would end before it begins");
    for (i = 0; weekdays && i < weekdays->n; i++) {
        if (read_days(c, weekdays->items[i], &f->weekdays, e) < 0)
            return e->code;
    }
    if (!weekdays || weekdays->n == 0)
        f->weekdays = 0x7f;
    return hours ? read_hours(c, f, hours, e) : 0;
}

static int read_freeze(struct config *c, struct freeze *f, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"name", "zone", "from", "to", "weekdays", "hours", "runbooks", "targets", "instances",
                                       "except"};
    const struct yaml *name = yaml_get(y, "name"), *zone = yaml_get(y, "zone");
    char ***const lists[] = {&f->runbooks, &f->targets, &f->instances, &f->except};
    size_t i;

    f->line = y->line;
    f->column = y->column;
    if (y->type != YAML_MAP)
        return FAIL(y, "a freeze is a map like { name: weekend, zone: Europe/Berlin, weekdays: [sat, sun] }");
    if (yaml_only_keys(y, c->file, keys, 10, e) < 0)
        return e->code;
    if (!name || name->type != YAML_STRING || name->text.n == 0)
        return FAIL(name ? name : y, "a freeze has a name, which people read when it refuses something");
    f->name = xstrndup(name->text.p, name->text.n);
    if (!zone || zone->type != YAML_STRING) {
        FAIL(zone ? zone : y, "freeze '%.60s' does not say by which clock", f->name);
        return err_hint(e, "zone: Europe/Berlin, or zone: UTC");
    }
    if (config_zone(c, zone, &f->zone, e) < 0 || read_when(c, f, y, e) < 0)
        return e->code;
    for (i = 0; i < 4; i++) {
        const struct yaml *list = yaml_get(y, keys[6 + i]);

        if (list && config_words(c, list, keys[6 + i], lists[i], e) < 0)
            return e->code;
    }
    return 0;
}

int config_zone(const struct config *c, const struct yaml *y, struct zone **out, struct err *e)
{
    struct err why = {0};
    int rc = zone_open(y->text.p, out, &why);

    if (rc == 0)
        return 0;
    FAIL(y, "%s", why.msg);
    return why.hint[0] ? err_hint(e, "%s", why.hint) : e->code;
}

int freezes_read_section(struct config *c, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_LIST)
        return FAIL(y, "freezes must be a list");
    c->freezes = xcalloc(y->n, sizeof(*c->freezes));
    for (i = 0; i < y->n; i++) {
        c->nfreezes++;
        if (read_freeze(c, &c->freezes[i], y->items[i], e) < 0)
            return e->code;
    }
    return 0;
}

void freezes_free_section(struct config *c)
{
    size_t i;

    for (i = 0; i < c->nfreezes; i++) {
        free(c->freezes[i].name);
        zone_free(c->freezes[i].zone);
        config_free_words(c->freezes[i].runbooks);
        config_free_words(c->freezes[i].except);
        config_free_words(c->freezes[i].instances);
        config_free_words(c->freezes[i].targets);
    }
    free(c->freezes);
}

bool freeze_holds(const struct freeze *f, int64_t at)
{
    int64_t local = at + zone_offset(f->zone, at), day = (local >= 0 ? local : local - DAY + 1) / DAY;
    int minute = (int)((local - DAY * day) / 60), today = zone_weekday(day), yesterday = (today + 6) % 7;

    if ((f->has_from && at < f->from) || (f->has_to && at >= f->to))
        return false;
    if (f->begins == f->ends)
        return f->weekdays >> today & 1;
    if (f->begins < f->ends)
        return (f->weekdays >> today & 1) && minute >= f->begins && minute < f->ends;
    return ((f->weekdays >> today & 1) && minute >= f->begins) || ((f->weekdays >> yesterday & 1) && minute < f->ends);
}

int64_t freeze_changes(const struct freeze *f, int64_t at)
{
    bool now = freeze_holds(f, at);
    int64_t t = at, end;

    if (f->has_from && at < f->from) {
        if (freeze_holds(f, f->from))
            return f->from;
        t = f->from;
    }
    if (f->weekdays == 0x7f && f->begins == f->ends)
        return now && f->has_to ? f->to : 0;
    end = t + LOOK_AHEAD;
    for (t = (t / 60 + 1) * 60; t <= end; t += 60) {
        if (freeze_holds(f, t) != now)
            return t;
    }
    return 0;
}

static bool any(char *const *globs, const char *text, int flags)
{
    size_t i;

    for (i = 0; globs[i]; i++) {
        if (fnmatch(globs[i], text, flags) == 0)
            return true;
    }
    return false;
}

bool freeze_concerns(const struct freeze *f, const char *runbook, const char *target)
{
    char instance[256];

    if ((f->runbooks && !any(f->runbooks, runbook, 0)) || (f->except && any(f->except, runbook, 0)))
        return false;
    if (!target)
        return true;
    snprintf(instance, sizeof(instance), "%.*s", (int)strcspn(target, ":"), target);
    return (!f->instances || any(f->instances, instance, 0)) && (!f->targets || any(f->targets, target, FNM_PATHNAME));
}
