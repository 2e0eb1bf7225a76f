/* SPDX-License-Identifier: Apache-2.0 */
/* A body that is a process: lines of JSON over its stdin and stdout
 * (plugins/PROTOCOL.md). It is started at the first call and never trusted: what
 * breaks the protocol ends it, and its calls end as a broken body's do. */
#ifndef MIDWATCH_PLUGIN_PROCESS_H
#define MIDWATCH_PLUGIN_PROCESS_H

#include "base/limits.h"
#include "plugin/internal.h"

enum { PROCESS_LINE_MAX = VALUE_BYTES_MAX + 64 * KIB };

/* The request of a call as one line. ERR_LIMIT if it is larger than a line may be. */
int process_request(const struct body_call *c, const struct body_request *q, int64_t id, struct buf *out, struct err *e);
/* An answer in the form of body_fn, from what the process said. Takes no reference; ERR_INVALID: the answer is none
 * that this call can have. */
int process_answer(const struct body_call *c, const json_t *said, struct buf *out, struct err *e);
/* The line of `configure`: the instance's settings, with the secrets that files hold. */
int process_configure(struct body *b, int64_t id, struct buf *out, struct err *e);

#endif
