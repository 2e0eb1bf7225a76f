/* SPDX-License-Identifier: Apache-2.0 */
/* The rule of a zone for times after its last listed change: what POSIX writes into TZ,
 * "CET-1CEST,M3.5.0,M10.5.0/3". */
#ifndef MIDWATCH_CONFIG_ZONE_RULE_H
#define MIDWATCH_CONFIG_ZONE_RULE_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct zone_change {
    char kind;                  /* 'M' month, week, weekday; 'J' day without February 29; 'D' day from 0 */
    int month, week, day;
    int64_t time;               /* seconds after midnight of that day, by the clock before the change */
};
struct zone_rule {
    int64_t standard, summer;   /* offsets, east is positive */
    bool has_summer;
    struct zone_change begins, ends;
};

/* 0, or ERR_INVALID. */
int zone_rule_read(struct str text, struct zone_rule *out);
int64_t zone_rule_offset(const struct zone_rule *r, int64_t at);

#endif
