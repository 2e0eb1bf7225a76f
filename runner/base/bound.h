/* SPDX-License-Identifier: Apache-2.0 */
/* One bound on an argument of an effect, `replicas: { max: 10 }`, as the runbook's
 * `may` and the operator's `allow` write it. */
#ifndef MIDWATCH_BASE_BOUND_H
#define MIDWATCH_BASE_BOUND_H

#include "base/yaml.h"

#include <stdbool.h>

struct bound {
    char *arg;
    bool has_min, has_max;
    double min, max;
    char **one_of;
    size_t none_of;             /* entries in one_of */
};

/* ERR_INVALID with the place. On failure *out still wants bound_deinit. */
int bound_read(const struct yaml *key, const struct yaml *y, const char *file, struct bound *out, struct err *e);
void bound_deinit(struct bound *b);
/* False says why: "replicas = 12 is above the maximum 10 in WHOSE". What cannot be decided does not hold. */
bool bound_holds(const struct bound *b, const json_t *args, const char *whose, struct buf *why);

#endif
