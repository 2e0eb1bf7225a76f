/* SPDX-License-Identifier: Apache-2.0 */
/* The time zones of the system (tzdata, RFC 8536), each as a value: libc knows one zone
 * for the whole process, and changing it races with every thread that asks the time. */
#ifndef MIDWATCH_CONFIG_ZONE_H
#define MIDWATCH_CONFIG_ZONE_H

#include "base/err.h"

#include <stdint.h>

struct zone;
/* A name like "Europe/Berlin", or "UTC", which needs no file. ERR_NOT_FOUND: there is none of this name, or the system
 * has no zones; ERR_CORRUPT: its file cannot be understood. *out is owned. */
int zone_open(const char *name, struct zone **out, struct err *e);
void zone_free(struct zone *z);
const char *zone_name(const struct zone *z);
/* Seconds to add to Unix time `at` to get what clocks there show, as seconds since 1970-01-01 00:00 there. */
int64_t zone_offset(const struct zone *z, int64_t at);
/* When clocks there show `local`: twice where they were set back, never where they were set forward (then both are
 * what either side of the change would call it). Otherwise both are the same. */
void zone_instants(const struct zone *z, int64_t local, int64_t *earlier, int64_t *later);

/* Calendar: days since 1970-01-01; weekday 0 = Sunday. */
int64_t zone_days(int64_t year, int month, int day);
void zone_date(int64_t days, int64_t *year, int *month, int *day);
int zone_weekday(int64_t days);

#endif
