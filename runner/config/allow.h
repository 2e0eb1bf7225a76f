/* SPDX-License-Identifier: Apache-2.0 */
/* `allow:` of the configuration: what the operator lets runbooks change at all. Globs,
 * no templates; `*` stands for anything within one part of a name. */
#ifndef MIDWATCH_CONFIG_ALLOW_H
#define MIDWATCH_CONFIG_ALLOW_H

#include "base/bound.h"

struct allow {
    char *effect;               /* plugin.effect: "kubernetes.scale", "kubernetes.*" */
    char *target;               /* instance:target: "prod-eu:deployment/prod/api-*" */
    struct bound *bounds;
    size_t nbounds;
    bool unattended;            /* `approval: none`: also what cannot be undone, without asking anybody */
    int line, column;
};

#endif
