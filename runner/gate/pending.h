/* SPDX-License-Identifier: Apache-2.0 */
/* An answer that is known when the question is asked, and comes later: by a timer of the host, never inside of ask. */
#ifndef MIDWATCH_GATE_PENDING_H
#define MIDWATCH_GATE_PENDING_H

#include "gate/gate.h"

#include <jansson.h>

/* Answers `q` after delay_ms (at once if below 0, but not here) on the loop thread; q->in_flight is this module's until then.
 * Takes `answer`. Returns the code of e if there is no timer, and then nothing is on its way. */
int pending_start(struct host *h, struct question *q, json_t *answer, int64_t delay_ms, struct err *e);
/* The answer does not come any more. */
void pending_cancel(struct host *h, struct question *q);

#endif
