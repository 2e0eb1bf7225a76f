/* SPDX-License-Identifier: Apache-2.0 */
/* Durations, sizes and times as people write them. */
#include "base/err.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {
    {"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit sizes[] = {
    {"b", 1},        {"kib", 1024},    {"mib", 1048576},    {"gib", 1073741824},    {"tib", 1099511627776},
    {"kb", 1000},    {"mb", 1000000},  {"gb", 1000000000},  {"tb", 1000000000000},  {"", 1},
};

/* A decimal number without sign at *i; its digits behind the point scale down. */
static int number_at(struct str s, size_t *i, double *out)
{
    size_t from = *i;
    double v = 0, scale = 1;

    for (; *i < s.n && isdigit((unsigned char)s.p[*i]); (*i)++)
        v = v * 10 + (s.p[*i] - '0');
    if (*i < s.n && s.p[*i] == '.' && *i > from) {
        for ((*i)++; *i < s.n && isdigit((unsigned char)s.p[*i]); (*i)++) {
            scale /= 10;
            v += scale * (s.p[*i] - '0');
        }
    }
    *out = v;
    return *i > from && v < 9e15 ? 0 : ERR_INVALID;
}

static const struct unit *unit_at(struct str s, size_t *i, const struct unit *units, size_t n)
{
    size_t from = *i, k;
    char name[8] = "";

    for (; *i < s.n && isalpha((unsigned char)s.p[*i]) && *i - from < sizeof(name) - 1; (*i)++)
        name[*i - from] = (char)tolower((unsigned char)s.p[*i]);
    for (k = 0; k < n; k++) {
        if (strcmp(units[k].name, name) == 0)
            return &units[k];
    }
    return NULL;
}

int str_duration_ms(struct str s, int64_t *ms)
{
    double total = 0, v;
    size_t i = 0;

    if (s.n == 0)
        return ERR_INVALID;
    while (i < s.n) {
        const struct unit *u;

        if (number_at(s, &i, &v) < 0)
            return ERR_INVALID;
        u = unit_at(s, &i, durations, sizeof(durations) / sizeof(durations[0]));
        if (!u)
            return ERR_INVALID;
        total += v * (double)u->factor;
    }
    if (total > 9e15)
        return ERR_INVALID;
    *ms = (int64_t)(total + 0.5);
    return 0;
}

const char *str_duration(int64_t ms, char *out, size_t size)
{
    size_t i, n = 0;

    snprintf(out, size, "0s");
    for (i = 0; i < sizeof(durations) / sizeof(durations[0]) && ms > 0 && n < size; i++) {
        int64_t count = ms / durations[i].factor;

        if (count == 0)
            continue;
        n += (size_t)snprintf(out + n, size - n, "%lld%s", (long long)count, durations[i].name);
        ms %= durations[i].factor;
    }
    return out;
}

int str_size_bytes(struct str s, int64_t *bytes)
{
    const struct unit *u;
    size_t i = 0;
    double v;

    if (number_at(s, &i, &v) < 0)
        return ERR_INVALID;
    while (i < s.n && s.p[i] == ' ')
        i++;
    u = unit_at(s, &i, sizes, sizeof(sizes) / sizeof(sizes[0]));
    if (!u || i != s.n || v * (double)u->factor > 9e18)
        return ERR_INVALID;
    *bytes = (int64_t)(v * (double)u->factor);
    return 0;
}

const char *str_time(int64_t unix_ms, char *out, size_t size)
{
    int64_t seconds = unix_ms / 1000, ms = unix_ms % 1000;
    struct tm tm;
    time_t t;
    size_t n;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    t = (time_t)seconds;
    if (!gmtime_r(&t, &tm)) {
        snprintf(out, size, "?");
        return out;
    }
    n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, size - n, ".%03dZ", (int)ms);
    return out;
}

static int digits(struct str s, size_t at, size_t n, int *out)
{
    int v = 0;
    size_t i;

    if (at + n > s.n)
        return ERR_INVALID;
    for (i = at; i < at + n; i++) {
        if (!isdigit((unsigned char)s.p[i]))
            return ERR_INVALID;
        v = v * 10 + (s.p[i] - '0');
    }
    *out = v;
    return 0;
}

/* "Z" or "+hh:mm" at i to the end: minutes east of UTC. */
static int zone_at(struct str s, size_t i, int *minutes)
{
    int h, m;

    if (i + 1 == s.n && (s.p[i] == 'Z' || s.p[i] == 'z')) {
        *minutes = 0;
        return 0;
    }
    if (i + 6 != s.n || (s.p[i] != '+' && s.p[i] != '-') || s.p[i + 3] != ':' || digits(s, i + 1, 2, &h) < 0 ||
        digits(s, i + 4, 2, &m) < 0 || h > 23 || m > 59)
        return ERR_INVALID;
    *minutes = (s.p[i] == '-' ? -1 : 1) * (h * 60 + m);
    return 0;
}

int str_parse_time(struct str s, int64_t *unix_ms)
{
    struct tm tm = {0};
    int year, month, zone, ms = 0, scale = 100;
    size_t i = 19;

    if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != 't' && s.p[10] != ' ') ||
        s.p[13] != ':' || s.p[16] != ':')
        return ERR_INVALID;
    if (digits(s, 0, 4, &year) < 0 || digits(s, 5, 2, &month) < 0 || digits(s, 8, 2, &tm.tm_mday) < 0 ||
        digits(s, 11, 2, &tm.tm_hour) < 0 || digits(s, 14, 2, &tm.tm_min) < 0 || digits(s, 17, 2, &tm.tm_sec) < 0)
        return ERR_INVALID;
    if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return ERR_INVALID;
    if (s.p[i] == '.') {
        for (i++; i < s.n && isdigit((unsigned char)s.p[i]); i++, scale /= 10)
            ms += scale * (s.p[i] - '0');
    }
    if (zone_at(s, i, &zone) < 0)
        return ERR_INVALID;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *unix_ms = ((int64_t)timegm(&tm) - 60 * (int64_t)zone) * 1000 + ms;
    return 0;
}
