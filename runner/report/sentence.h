/* SPDX-License-Identifier: Apache-2.0 */
/* A journal row as a sentence for people: what was seen, decided, changed, and how
 * the outcome is known. Everything in a row is hostile text; what comes out is one
 * printable line. */
#ifndef MIDWATCH_REPORT_SENTENCE_H
#define MIDWATCH_REPORT_SENTENCE_H

#include "base/buf.h"
#include "journal/journal.h"

#include <jansson.h>

/* Adds the sentence to out; false if the row is nothing that people want to read (a timer). */
bool sentence_of(const struct row *row, struct buf *out);
/* "0.25 s", "93 %", "3": a JSON value as a person reads it. */
void sentence_value(const json_t *v, const char *unit, struct buf *out);

#endif
