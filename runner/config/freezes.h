/* SPDX-License-Identifier: Apache-2.0 */
/* `freezes:` of the configuration: when nothing may be changed, by the clock of a zone.
 * A recurring window is what clocks there show: where they are set back it may last an
 * hour longer, where they are set forward it may be shorter or not be at all. A dated
 * one begins with the first and ends with the last moment that has its name. */
#ifndef MIDWATCH_CONFIG_FREEZES_H
#define MIDWATCH_CONFIG_FREEZES_H

#include "config/zone.h"

#include <stdbool.h>

struct freeze {
    char *name;
    struct zone *zone;
    bool has_from, has_to;
    int64_t from, to;           /* Unix seconds */
    unsigned weekdays;          /* bit 0 = Sunday; a window that crosses midnight belongs to the day it begins on */
    int begins, ends;           /* minutes of the day; equal = all day */
    char **runbooks, **except;  /* globs over their names, NULL-ended; NULL = all, none */
    char **instances, **targets;    /* globs over the instance, and over instance:target; NULL = all */
    int line, column;
};

bool freeze_holds(const struct freeze *f, int64_t at);
/* The next moment after `at` when freeze_holds says something else; 0 = none is known. Unix seconds. */
int64_t freeze_changes(const struct freeze *f, int64_t at);
/* Whether it is about changes by this runbook of "instance:target". target NULL = of anything. */
bool freeze_concerns(const struct freeze *f, const char *runbook, const char *target);

#endif
