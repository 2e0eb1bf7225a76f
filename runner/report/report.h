/* SPDX-License-Identifier: Apache-2.0 */
/* A run as a text: from its journal alone, never from live structures. */
#ifndef MIDWATCH_REPORT_REPORT_H
#define MIDWATCH_REPORT_REPORT_H

#include "base/buf.h"
#include "journal/journal.h"

/* What a terminal can show. */
struct view {
    bool utf8;
    size_t width;       /* columns */
};

typedef int report_fn(struct journal *j, int64_t run, struct buf *out, struct err *e);
/* The timeline, as plain ASCII of 100 columns. ERR_NOT_FOUND: no such run. */
report_fn report_text;
int report_text_view(struct journal *j, int64_t run, const struct view *v, struct buf *out, struct err *e);
/* Issue report and worksheet in six steps, as Markdown. */
report_fn report_markdown;
/* One page that needs nothing else: no script, no font, no request. */
report_fn report_html;
/* Everything, as one JSON object with stable order. */
report_fn report_json;
/* The evidence of an escalation for whoever takes over, as Markdown; no registered secret is in it. */
report_fn report_evidence;
/* Its first lines, for a terminal: what happened, what was changed, what is unknown, how to go on. */
report_fn report_brief;

/* At most `width` characters for n values, older first; NaN is unknown. */
void sparkline(const double *values, size_t n, size_t width, bool utf8, struct buf *out);

#endif
