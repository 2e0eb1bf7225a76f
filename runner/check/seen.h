/* SPDX-License-Identifier: Apache-2.0 */
/* What the run of a scenario is seen to do, from its rows: what `expect` speaks of, and for generate.c what says which way it
 * went. */
#ifndef MIDWATCH_CHECK_SEEN_H
#define MIDWATCH_CHECK_SEEN_H

#include "check/cover.h"

struct seen {
    struct cover *cover;
    json_t *effects;            /* ["undo kubernetes.scale deployment/prod/api"] */
    json_t *all;                /* scenario_result.seen; NULL: nobody asks */
    char cause[256];
};

/* cover is borrowed, or NULL. */
void seen_init(struct seen *s, struct cover *cover, bool wants_all);
void seen_deinit(struct seen *s);
/* engine_watch.row. */
void seen_row(void *ctx, const struct run *r, const struct row *row, bool replayed);
/* What scenario_result.seen is to be at the end of the run. Owned; NULL: nobody asks. */
json_t *seen_take(struct seen *s, const struct run *r);

#endif
