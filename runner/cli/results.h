/* SPDX-License-Identifier: Apache-2.0 */
/* The results of `midwatch test` in the forms that programs read. */
#ifndef MIDWATCH_CLI_RESULTS_H
#define MIDWATCH_CLI_RESULTS_H

#include "base/buf.h"

#include <jansson.h>

/* results: [{file, name, passed, why, outcome, reason, chain, ms}] in their order. */
void results_tap(const json_t *results, struct buf *out);
void results_junit(const json_t *results, struct buf *out);

#endif
