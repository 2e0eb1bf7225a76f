/* SPDX-License-Identifier: Apache-2.0 */
#include "config/zone_rule.h"

#include "base/err.h"
#include "config/zone.h"

#include <ctype.h>

struct scan {
    const char *p, *end;
    bool failed;
};

static bool take(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static int64_t digits(struct scan *s, int64_t max)
{
    int64_t v = 0;
    const char *from = s->p;

    for (; s->p < s->end && isdigit((unsigned char)*s->p) && v <= max; s->p++)
        v = 10 * v + (*s->p - '0');
    s->failed |= s->p == from || v > max;
    return v;
}

static void name(struct scan *s)
{
    const char *from = s->p;
    bool quoted = take(s, '<');

    while (s->p < s->end && (quoted ? *s->p != '>' : isalpha((unsigned char)*s->p)))
        s->p++;
    s->failed |= (quoted && !take(s, '>')) || s->p - from < 3;
}

/* [+-]hh[:mm[:ss]] */
static int64_t clock_time(struct scan *s)
{
    int64_t sign = take(s, '-') ? -1 : 1, v;

    take(s, '+');
    v = 3600 * digits(s, 167);
    if (take(s, ':'))
        v += 60 * digits(s, 59);
    if (take(s, ':'))
        v += digits(s, 59);
    return sign * v;
}

static void change(struct scan *s, struct zone_change *c)
{
    c->kind = take(s, 'M') ? 'M' : take(s, 'J') ? 'J' : 'D';
    if (c->kind == 'M') {
        c->month = (int)digits(s, 12);
        s->failed |= !take(s, '.');
        c->week = (int)digits(s, 5);
        s->failed |= !take(s, '.') || c->month == 0 || c->week == 0;
        c->day = (int)digits(s, 6);
    } else {
        c->day = (int)digits(s, 365);
    }
    c->time = take(s, '/') ? clock_time(s) : 7200;
}

int zone_rule_read(struct str text, struct zone_rule *out)
{
    struct scan s = {text.p, text.p + text.n, false};

    *out = (struct zone_rule){0};
    name(&s);
    out->standard = -clock_time(&s);
    out->has_summer = s.p < s.end;
    if (out->has_summer) {
        name(&s);
        out->summer = s.p < s.end && *s.p != ',' ? -clock_time(&s) : out->standard + 3600;
        s.failed |= !take(&s, ',');
        change(&s, &out->begins);
        s.failed |= !take(&s, ',');
        change(&s, &out->ends);
    }
    return s.failed || s.p != s.end ? ERR_INVALID : 0;
}

/* The change in that year, as seconds of the local clock before it. */
static int64_t local_time(const struct zone_change *c, int64_t year)
{
    int64_t first = zone_days(year, 1, 1), day;
    bool leaps = zone_days(year + 1, 1, 1) - first == 366;

    if (c->kind == 'M') {
        first = zone_days(year, c->month, 1);
        day = first + (c->day - zone_weekday(first) + 7) % 7 + 7 * (c->week - 1);
        if (day >= zone_days(year + (c->month == 12), c->month % 12 + 1, 1))
            day -= 7;
    } else {
        day = first + c->day - (c->kind == 'J' && !(leaps && c->day >= 60));
    }
    return 86400 * day + c->time;
}

int64_t zone_rule_offset(const struct zone_rule *r, int64_t at)
{
    int64_t year, begins, ends, local = at + r->standard;
    int month, day;

    if (!r->has_summer)
        return r->standard;
    zone_date((local >= 0 ? local : local - 86399) / 86400, &year, &month, &day);
    begins = local_time(&r->begins, year) - r->standard;
    ends = local_time(&r->ends, year) - r->summer;
    return (begins < ends ? at >= begins && at < ends : at >= begins || at < ends) ? r->summer : r->standard;
}
