/* SPDX-License-Identifier: Apache-2.0 */
/* A journal row as a sentence for people: what was seen, decided, changed, and how
 * the outcome is known. Everything in a row is hostile text; what comes out is
 * printable, and one line but for texts that the runbook's author wrote to people. */
#ifndef MIDWATCH_REPORT_SENTENCE_H
#define MIDWATCH_REPORT_SENTENCE_H

#include "base/buf.h"
#include "journal/journal.h"

#include <jansson.h>

/* Where a row stands in the picture, and how loud it is; the step of the worksheet it belongs to. */
enum lane { LANE_READ, LANE_THINK, LANE_CHANGE, LANE_WAIT, LANE_PEOPLE, LANE_END, LANES };
enum tone { TONE_PLAIN, TONE_STRONG, TONE_CHANGE, TONE_BAD, TONE_GOOD };
enum step { STEP_NONE, STEP_OBSERVE, STEP_HYPOTHESIZE, STEP_TEST, STEP_ANALYZE, STEP_FIX, STEP_PREVENT, STEPS };
struct kind_look {
    enum lane lane;
    enum tone tone;
    enum step step;
};
struct kind_look kind_look(enum row_kind k);

/* Adds the sentence to out; false if the row is nothing that people want to read (a timer). */
bool sentence_of(const struct row *row, struct buf *out);
/* The same of a row that is parsed already; args and payload may be NULL. */
bool sentence_say(const struct row *row, const json_t *args, const json_t *payload, struct buf *out);
/* What an observation or measurement is called. Borrowed. */
struct str sentence_name(const struct row *row, const json_t *args);
/* "0.25 s", "93 %", "3": a JSON value as a person reads it. */
void sentence_value(const json_t *v, const char *unit, struct buf *out);

#endif
