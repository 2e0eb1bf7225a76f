/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the page. */
#ifndef MIDWATCH_REPORT_HTML_H
#define MIDWATCH_REPORT_HTML_H

#include "report/timeline.h"

extern const char html_style[];
/* s as text or attribute value, for HTML and for SVG in it. */
void html_text(struct buf *out, const char *s);
/* open and close are ours, s is not. */
void html_element(struct buf *out, const char *open, const char *s, const char *close);
const char *html_tone(enum tone tone);      /* class name */
/* The picture of the whole run: a lane per kind of thing, from left to right. */
void html_timeline(const struct timeline *t, struct buf *out);
/* A small chart per observation, with the moments of change. */
void html_series(const struct timeline *t, struct buf *out);

#endif
