/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that the worksheet and the evidence of an escalation share. */
#ifndef MIDWATCH_REPORT_MARKDOWN_H
#define MIDWATCH_REPORT_MARKDOWN_H

#include "report/timeline.h"

/* Text of somebody else, so that it is no markup of ours. */
void md_text(struct buf *out, const char *s);
/* "- text\n" */
void md_item(struct buf *out, const char *mark, const char *s);
/* Changed, undone, unknown, not changed: before -> after, and how that is known. Only groups that have something. */
void md_effects(const struct timeline *t, struct buf *out);
void md_ways(const struct timeline *t, struct buf *out);
void md_moments(const struct timeline *t, struct buf *out);
void md_series(const struct timeline *t, struct buf *out);
void md_environment(const struct timeline *t, struct buf *out);

#endif
