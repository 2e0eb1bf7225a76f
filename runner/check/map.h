/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch map: what explore.h found of a runbook, in the forms that people and programs read, what is wrong with it, and how
 * two of them differ. */
#ifndef MIDWATCH_CHECK_MAP_H
#define MIDWATCH_CHECK_MAP_H

#include "base/buf.h"
#include "base/err.h"
#include "book/source.h"
#include "config/config.h"

#include <jansson.h>

struct map_request {
    struct source *source;          /* NULL = the working tree */
    const char *name;
    struct config *config;
    const char *const *params;      /* key=value; these do not fork */
    size_t nparams;
    size_t paths_max;               /* 0 = as explore.h */
    int64_t time_ms;                /* the same */
    bool each;                      /* explore.h: separate */
};

/* *map as explore.h says, with about (map_about) and findings: [{ file, line, column, rule, why, mend }] as of
 * lint; with level "warning" it is nothing wrong. Owned. */
int map_make(const struct map_request *q, json_t **map, struct err *e);

/* A line of the decision tree: what is asked, found, done, or how it ends. */
enum map_row_kind { MAP_ASK, MAP_STEP, MAP_EFFECT, MAP_LEAF, MAP_MORE, MAP_BOUND };
struct map_row {
    enum map_row_kind kind;
    int depth;
    int label;                      /* other rows say "as [label]"; 0 = none does */
    int line;
    const char *text;
    const char *outcome;            /* of a leaf: its outcome and reason, or NULL */
};
void map_rows(const json_t *map, void (*row)(void *ctx, const struct map_row *r), void *ctx);

void map_text(const json_t *map, struct buf *out);
void map_mermaid(const json_t *map, struct buf *out);
void map_svg(const json_t *map, struct buf *out);
/* A page: what the runbook is, what starts it, what it may change, and the tree as text. */
void map_markdown(const json_t *map, struct buf *out);
/* { summary, owner, severity, triggers, params, may }: each entry of a list is a text. Owned. */
json_t *map_about(const struct runbook *b);
/* A text for one cell of a Markdown table. */
void map_add_cell(struct buf *out, const char *s);

/* Takes the decisions that are the same behind another condition out of both, { key: { conditions, to } }. Returns
 * [{ what: "condition", before, after, decisions, when }], one for each condition that moved. Owned. */
json_t *map_moved(json_t *removed, json_t *added);
/* Conditions that moved; decisions that were added, removed, or come to something else. Returns how many decisions change. */
size_t map_diff(const json_t *before, const json_t *after, const char *form, struct buf *out);

/* Appends to map's findings. */
void map_judge(json_t *map, const struct runbook *book);

#endif
