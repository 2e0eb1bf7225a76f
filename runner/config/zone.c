/* SPDX-License-Identifier: Apache-2.0 */
#include "config/zone.h"

#include "base/limits.h"
#include "base/str.h"
#include "config/zone_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DIRECTORY "/usr/share/zoneinfo"
#define FILE_MAX (256 * KIB)

struct zone {
    char *name;
    int64_t *at;                /* changes, ascending */
    int32_t *offset;            /* from each on */
    size_t n;
    int32_t first;              /* before the first change */
    bool has_rule;              /* after the last one */
    struct zone_rule rule;
};

struct reader {
    const unsigned char *p, *end;
    bool failed;
};

static int64_t number(struct reader *r, int bytes)
{
    uint64_t v = 0;
    int i;

    if (r->end - r->p < bytes) {
        r->failed = true;
        return 0;
    }
    for (i = 0; i < bytes; i++)
        v = v << 8 | r->p[i];
    r->p += bytes;
    return bytes == 8 ? (int64_t)v : (int64_t)(int32_t)(uint32_t)v;
}

static void skip(struct reader *r, int64_t bytes)
{
    if (bytes < 0 || r->end - r->p < bytes)
        r->failed = true;
    else
        r->p += bytes;
}

struct header {
    int64_t isut, isstd, leap, time, type, chars;
};

static char read_header(struct reader *r, struct header *h)
{
    char version = 0;

    if (r->end - r->p < 20 || memcmp(r->p, "TZif", 4) != 0)
        r->failed = true;
    else
        version = (char)r->p[4];
    skip(r, 20);
    h->isut = number(r, 4);
    h->isstd = number(r, 4);
    h->leap = number(r, 4);
    h->time = number(r, 4);
    h->type = number(r, 4);
    h->chars = number(r, 4);
    if (h->time < 0 || h->time > 5000 || h->type < 1 || h->type > 256)
        r->failed = true;
    return version;
}

/* The block with times of 8 bytes. */
static void read_block(struct reader *r, const struct header *h, struct zone *z)
{
    const unsigned char *types;
    int32_t offsets[256] = {0};
    int64_t i;

    z->at = xcalloc((size_t)h->time + 1, sizeof(*z->at));
    z->offset = xcalloc((size_t)h->time + 1, sizeof(*z->offset));
    for (i = 0; i < h->time; i++) {
        z->at[i] = number(r, 8);
        r->failed |= i > 0 && z->at[i] <= z->at[i - 1];
    }
    types = r->p;
    skip(r, h->time);
    for (i = 0; i < h->type; i++) {
        offsets[i] = (int32_t)number(r, 4);
        skip(r, 2);
    }
    for (i = 0; !r->failed && i < h->time; i++) {
        r->failed |= types[i] >= h->type;
        z->offset[i] = offsets[types[i]];
    }
    z->n = (size_t)h->time;
    z->first = offsets[0];
    skip(r, h->chars + 12 * h->leap + h->isstd + h->isut);
}

static int parse(struct zone *z, struct str file, struct err *e)
{
    struct reader r = {.p = (const unsigned char *)file.p, .end = (const unsigned char *)file.p + file.n};
    struct header h = {0};
    struct str footer;
    char version = read_header(&r, &h);

    if (!r.failed && version >= '2') {
        skip(&r, 5 * h.time + 6 * h.type + h.chars + 8 * h.leap + h.isstd + h.isut);
        read_header(&r, &h);
        if (!r.failed)
            read_block(&r, &h, z);
        footer = (struct str){(const char *)r.p + 1, r.end - r.p >= 2 ? (size_t)(r.end - r.p) - 2 : 0};
        z->has_rule = footer.n > 0;
        if (z->has_rule && !r.failed)
            r.failed = zone_rule_read(footer, &z->rule) < 0;
    } else {
        r.failed = true;
    }
    return r.failed ? err_set(e, ERR_CORRUPT, DIRECTORY "/%s cannot be understood", z->name) : 0;
}

static bool is_name(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");

    return name[0] && name[n] == '\0' && n < 100 && name[0] != '/' && !strstr(name, "//");
}

static int read_file(const char *name, struct buf *out, struct err *e)
{
    char path[200], *to = buf_reserve(out, FILE_MAX);
    FILE *f = NULL;

    snprintf(path, sizeof(path), DIRECTORY "/%s", name);
    if (is_name(name))
        f = fopen(path, "re");
    out->len = f ? fread(to, 1, FILE_MAX, f) : 0;
    if (f)
        fclose(f);
    if (out->len > 0)
        return 0;
    err_set(e, ERR_NOT_FOUND, "'%.60s' is no time zone of this system", name);
    f = fopen(DIRECTORY "/Europe/Berlin", "re");
    if (!f)
        return err_hint(e, "there are none in " DIRECTORY ": install tzdata");
    fclose(f);
    return err_hint(e, "a name below " DIRECTORY ", like Europe/Berlin, America/New_York or UTC");
}

int zone_open(const char *name, struct zone **out, struct err *e)
{
    struct zone *z = xcalloc(1, sizeof(*z));
    struct buf file = BUF_INIT(FILE_MAX + 1);
    int rc = 0;

    z->name = xstrdup(name);
    if (strcmp(name, "UTC") != 0) {
        rc = read_file(name, &file, e);
        if (rc == 0)
            rc = parse(z, (struct str){file.data, file.len}, e);
    }
    buf_free(&file);
    if (rc < 0)
        zone_free(z);
    else
        *out = z;
    return rc;
}

void zone_free(struct zone *z)
{
    if (!z)
        return;
    free(z->name);
    free(z->at);
    free(z->offset);
    free(z);
}

const char *zone_name(const struct zone *z)
{
    return z->name;
}

int64_t zone_offset(const struct zone *z, int64_t at)
{
    size_t low = 0, high = z->n, middle;

    if (z->has_rule && (z->n == 0 || at >= z->at[z->n - 1]))
        return zone_rule_offset(&z->rule, at);
    while (low < high) {
        middle = low + (high - low) / 2;
        if (z->at[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? z->offset[low - 1] : z->first;
}

void zone_instants(const struct zone *z, int64_t local, int64_t *earlier, int64_t *later)
{
    /* No zone changes twice within two days. */
    int64_t before = local - zone_offset(z, local - 86400), after = local - zone_offset(z, local + 86400), t;
    bool first = before + zone_offset(z, before) == local, second = after + zone_offset(z, after) == local;

    if (first != second)
        before = after = first ? before : after;
    if (before > after) {
        t = before;
        before = after;
        after = t;
    }
    *earlier = before;
    *later = after;
}

int64_t zone_days(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, in_era = y - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

void zone_date(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, in_era = z - era * 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100), m = (5 * in_year + 2) / 153;

    *day = (int)(in_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}

int zone_weekday(int64_t days)
{
    return (int)(((days + 4) % 7 + 7) % 7);
}
