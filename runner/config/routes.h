/* SPDX-License-Identifier: Apache-2.0 */
/* `routes:` of the configuration: which triggers may start which runbook. A runbook offers
 * triggers in its front matter; only what stands here is accepted. */
#ifndef MIDWATCH_CONFIG_ROUTES_H
#define MIDWATCH_CONFIG_ROUTES_H

#include <jansson.h>

enum route_kind { ROUTE_ALERT, ROUTE_CHAT, ROUTE_SCHEDULE, ROUTE_OFFERED };

struct route {
    enum route_kind kind;
    json_t *what;               /* alert: {label: "value" or "=~regex"}; chat, schedule: the text; else NULL */
    char *runbook;              /* a name; OFFERED: a glob over the names whose own triggers are accepted */
    json_t *params;             /* {name: text}, or NULL */
    char *zone;                 /* of a schedule, or NULL = UTC */
    int line, column;
};

#endif
