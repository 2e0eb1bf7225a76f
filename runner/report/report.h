/* SPDX-License-Identifier: Apache-2.0 */
/* A run as a text: from its journal alone, never from live structures. */
#ifndef MIDWATCH_REPORT_REPORT_H
#define MIDWATCH_REPORT_REPORT_H

#include "base/buf.h"
#include "journal/journal.h"

/* The timeline, for a terminal. ERR_NOT_FOUND: no such run. */
int report_text(struct journal *j, int64_t run, struct buf *out, struct err *e);
/* Issue report and worksheet in six steps, as Markdown. */
int report_markdown(struct journal *j, int64_t run, struct buf *out, struct err *e);
/* Everything, as one JSON object with stable order. */
int report_json(struct journal *j, int64_t run, struct buf *out, struct err *e);

#endif
