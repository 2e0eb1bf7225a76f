/* SPDX-License-Identifier: Apache-2.0 */
/* The one model behind every report: what a run saw, thought, changed and left open,
 * read once from its journal. All text in it is printable, bounded and free of
 * registered secrets; a renderer only escapes for its own form. */
#ifndef MIDWATCH_REPORT_TIMELINE_H
#define MIDWATCH_REPORT_TIMELINE_H

#include "report/sentence.h"

struct moment {
    int64_t seq, at;                /* Unix ms */
    int64_t until;                  /* of a wait: when something else was done; else 0 */
    int line;                       /* of the runbook; 0 = none */
    enum row_kind kind;
    struct kind_look look;
    const char *text;
    const char *section;            /* heading of the runbook, or "" */
    bool repeated;                  /* the same answer again: no news */
    bool acted;                     /* something had been planned before */
};

struct point {
    int64_t at;
    bool known, number;
    double value;
    const char *text;               /* with its unit, or "unknown (no_data): why" */
};
struct series {                     /* an observation or measurement, under its name, in order of time */
    const char *name;
    struct point *points;
    size_t n;
};

struct effect_view {
    const char *path, *action, *target;
    const char *before, *after;     /* the fields that change; "" where not known */
    const char *result, *proof;     /* how the outcome is known; what proved that it helped */
    const char *undo_of;            /* path, or NULL */
    enum effect_state state;
    int64_t put_back_by;            /* the later undo run that put it back; 0 = none */
    int64_t intent_seq, intent_at, result_at, proved_at;    /* 0 = not yet */
};

struct hypothesis {
    const char *title, *evidence, *likelihood, *impact, *verdict;
};

struct timeline {
    struct run_info info;
    struct runbook *book;           /* NULL if the sources cannot be read */
    json_t *start;                  /* payload of START, or NULL */
    const char *title, *text;       /* of the runbook; what the ending said */
    const char *requester, *severity, *cause, *commit, *sha256;
    bool dirty, holds_locks;
    int64_t begun, last;            /* Unix ms */
    struct moment *moments;
    size_t nmoments;
    struct series *series;
    size_t nseries;
    struct effect_view *effects;
    size_t neffects;
    struct hypothesis *hypotheses;
    size_t nhypotheses;
    const char *plan;               /* "It went as planned (plan 5d3a...)." or what differs; NULL = it has none */
    bool differs;                   /* from the plan */
    const char **follow_ups;
    size_t nfollow_ups;
    struct chunk *chunks;           /* owns every text */
};

/* ERR_NOT_FOUND: no such run. *out is owned. */
int timeline_read(struct journal *j, int64_t run, struct timeline **out, struct err *e);
void timeline_free(struct timeline *t);
/* The last part of it (later.c): what later undo runs have put back is undone. */
int timeline_read_later(struct timeline *t, struct journal *j, struct err *e);

/* The state of an effect as a group that people ask for. */
enum effect_group { GROUP_CHANGED, GROUP_UNDONE, GROUP_UNKNOWN, GROUP_UNCHANGED, GROUPS };
enum effect_group effect_group(const struct effect_view *x);
size_t timeline_count(const struct timeline *t, enum effect_group g);
/* "verified", "put back by run 2". */
void effect_words(const struct effect_view *x, struct buf *out);
/* "Escalated: already at the 10 replicas it may have", and the sentence that says why, what and how long. */
void timeline_headline(const struct timeline *t, struct buf *out);
void timeline_summary(const struct timeline *t, struct buf *out);
/* Calls fn with every command that a person may want next, and what it is for. */
void timeline_ways(const struct timeline *t, void (*fn)(void *ctx, const char *command, const char *purpose), void *ctx);
/* Before the first change and last: of a series with at least one point. */
const struct point *series_before(const struct timeline *t, const struct series *s);
const struct point *series_after(const struct series *s);

#endif
