/* SPDX-License-Identifier: Apache-2.0 */
/* Durations, sizes and times as people write them. All arithmetic is in integers:
 * "0.3s" is 300 ms exactly, and what is no whole millisecond or byte, or does not
 * fit, is refused instead of rounded. */
#include "base/err.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

/* Far above any use, and any sum of a few with a wall clock still fits. */
#define DURATION_MAX 9000000000000000

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

/* A decimal number without sign: whole + part / scale. */
struct decimal {
    int64_t whole;
    int64_t part;
    int64_t scale;
};

static int number_at(struct str s, size_t *i, struct decimal *out)
{
    size_t from = *i;

    *out = (struct decimal){.scale = 1};
    for (; *i < s.n && isdigit((unsigned char)s.p[*i]); (*i)++) {
        if (__builtin_mul_overflow(out->whole, 10, &out->whole) ||
            __builtin_add_overflow(out->whole, s.p[*i] - '0', &out->whole))
            return ERR_INVALID;
    }
    if (*i == from)
        return ERR_INVALID;
    if (*i == s.n || s.p[*i] != '.')
        return 0;
    for (from = ++*i; *i < s.n && isdigit((unsigned char)s.p[*i]); (*i)++) {
        if (*i - from == 6)
            return ERR_INVALID;
        out->part = out->part * 10 + (s.p[*i] - '0');
        out->scale *= 10;
    }
    return *i > from ? 0 : ERR_INVALID;
}

/* *total += v * factor, if that is a whole number. A part has at most six digits and
 * a factor at most 13, so their product fits. */
static int add_scaled(struct decimal v, int64_t factor, int64_t *total)
{
    int64_t whole;

    if (v.part * factor % v.scale != 0 || __builtin_mul_overflow(v.whole, factor, &whole) ||
        __builtin_add_overflow(*total, whole, total) ||
        __builtin_add_overflow(*total, v.part * factor / v.scale, total))
        return ERR_INVALID;
    return 0;
}

static const struct unit *unit_at(struct str s, size_t *i, const struct unit *units, size_t n, bool any_case)
{
    size_t from = *i, k;
    char name[8] = "";

    for (; *i < s.n && isalpha((unsigned char)s.p[*i]) && *i - from < sizeof(name) - 1; (*i)++)
        name[*i - from] = any_case ? (char)tolower((unsigned char)s.p[*i]) : s.p[*i];
    for (k = 0; k < n; k++) {
        if (strcmp(units[k].name, name) == 0)
            return &units[k];
    }
    return NULL;
}

/* Larger units first and each once: "30m1h" and "1h1h" are typing errors. */
int str_duration_ms(struct str s, int64_t *ms)
{
    const struct unit *u, *last = NULL;
    struct decimal v;
    int64_t total = 0;
    size_t i = 0;

    if (s.n == 0)
        return ERR_INVALID;
    while (i < s.n) {
        if (number_at(s, &i, &v) < 0)
            return ERR_INVALID;
        u = unit_at(s, &i, durations, sizeof(durations) / sizeof(durations[0]), false);
        if (!u || (last && u->factor >= last->factor) || add_scaled(v, u->factor, &total) < 0)
            return ERR_INVALID;
        last = u;
    }
    if (total > DURATION_MAX)
        return ERR_INVALID;
    *ms = total;
    return 0;
}

const char *str_duration(int64_t ms, char *out, size_t size)
{
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    size_t i, n = 0;

    snprintf(out, size, ms == 0 ? "0s" : ms < 0 ? "-" : "");
    n = ms < 0;
    for (i = 0; i < sizeof(durations) / sizeof(durations[0]) && n < size; i++) {
        uint64_t factor = (uint64_t)durations[i].factor, count = left / factor;

        if (count == 0)
            continue;
        n += (size_t)snprintf(out + n, size - n, "%llu%s", (unsigned long long)count, durations[i].name);
        left %= factor;
    }
    return out;
}

int str_size_bytes(struct str s, int64_t *bytes)
{
    const struct unit *u;
    struct decimal v;
    int64_t total = 0;
    size_t i = 0;

    if (number_at(s, &i, &v) < 0)
        return ERR_INVALID;
    if (i + 1 < s.n && s.p[i] == ' ')
        i++;
    u = unit_at(s, &i, sizes, sizeof(sizes) / sizeof(sizes[0]), true);
    if (!u || i != s.n || add_scaled(v, u->factor, &total) < 0)
        return ERR_INVALID;
    *bytes = total;
    return 0;
}

const char *str_time(int64_t unix_ms, char *out, size_t size)
{
    int64_t seconds = unix_ms / 1000, ms = unix_ms % 1000;
    struct tm tm;
    time_t t;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    t = (time_t)seconds;
    if (!gmtime_r(&t, &tm)) {
        snprintf(out, size, "?");
        return out;
    }
    snprintf(out, size, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900LL, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms);
    return out;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
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
    int year, month, day, zone, ms = 0, scale = 100;
    size_t i = 19;

    if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != 't' && s.p[10] != ' ') ||
        s.p[13] != ':' || s.p[16] != ':')
        return ERR_INVALID;
    if (digits(s, 0, 4, &year) < 0 || digits(s, 5, 2, &month) < 0 || digits(s, 8, 2, &day) < 0 ||
        digits(s, 11, 2, &tm.tm_hour) < 0 || digits(s, 14, 2, &tm.tm_min) < 0 || digits(s, 17, 2, &tm.tm_sec) < 0)
        return ERR_INVALID;
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return ERR_INVALID;
    if (s.p[i] == '.') {
        for (i++; i < s.n && isdigit((unsigned char)s.p[i]); i++, scale /= 10)
            ms += scale * (s.p[i] - '0');
        if (i == 20)
            return ERR_INVALID;
    }
    if (zone_at(s, i, &zone) < 0)
        return ERR_INVALID;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    *unix_ms = ((int64_t)timegm(&tm) - 60 * (int64_t)zone) * 1000 + ms;
    return 0;
}
