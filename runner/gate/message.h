/* SPDX-License-Identifier: Apache-2.0 */
/* A message to people over a channel of the operator, on its way. */
#ifndef MIDWATCH_GATE_MESSAGE_H
#define MIDWATCH_GATE_MESSAGE_H

#include "gate/gate.h"

struct message;
/* Sends what q (ASK_NOTIFY) says; tries again once. q->done gets {"sent":true} or {"why":...}; q->in_flight is the
 * message until then. ERR_NOT_FOUND: there is no such channel. */
int message_send(struct host *h, const struct config *c, struct question *q, struct err *e);
void message_cancel(struct message *m);

#endif
