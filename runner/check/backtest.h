/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded run against a changed runbook: which of its decisions would be others. */
#ifndef MIDWATCH_CHECK_BACKTEST_H
#define MIDWATCH_CHECK_BACKTEST_H

#include "book/source.h"
#include "config/config.h"
#include "journal/journal.h"

/* Decisions at the same moment, give or take: reads take their time, and polls are not exact. */
#define BACKTEST_TOLERANCE_MS 5000

enum backtest_verdict {
    BACKTEST_SAME,
    BACKTEST_EARLIER,           /* the same effects and ending, sooner */
    BACKTEST_LATER,
    BACKTEST_DIFFERENT,         /* another cause, effect or ending */
    BACKTEST_UNKNOWN,           /* as far as the record goes nothing differs, and it does not go to the end */
    BACKTEST_SKIPPED,           /* not compared */
    BACKTEST_VERDICTS
};
const char *backtest_verdict_name(enum backtest_verdict v);

/* A cause, an effect or an ending. */
struct decision {
    enum { DECISION_CAUSE, DECISION_EFFECT, DECISION_END } kind;
    char *text;                 /* what is compared */
    int64_t after_ms;           /* since the start of its run */
    int line;
    char *source;               /* "t.md:12: code", or "" */
};
/* What became of a hypothesis before the decision number `before`. */
struct tested {
    char *title, *verdict;
    int line;                   /* of the last thing that it looked at */
    size_t before;
};
struct decisions {
    struct decision *list;
    struct tested *tested;
    size_t n, ntested;
};

struct backtest {
    int64_t run, at;            /* at: Unix ms when it started */
    char runbook[256];
    enum backtest_verdict verdict;
    struct decisions recorded, changed;
    size_t first;               /* the first that differ, in both lists; one of them may be at its end */
    int64_t by_ms;              /* EARLIER, LATER */
    char why[900];              /* why it is unknown or skipped, or what else must be said; or "" */
    char *where;                /* the source line of the changed runbook where it stopped, or NULL */
};
void backtest_deinit(struct backtest *b);

/* Runs `name` of source (NULL: the working tree) on the record of run `id`; name NULL: the run's own. Touches nothing. A run
 * that cannot be compared is SKIPPED with the reason; an error is about the runbook, or the journal cannot be read. */
int backtest_run(struct journal *j, int64_t id, struct source *source, const char *name, struct config *config,
                 struct backtest *out, struct err *e);

#endif
