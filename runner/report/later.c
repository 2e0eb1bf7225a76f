/* SPDX-License-Identifier: Apache-2.0 */
/* What later undo runs of a run have put back: the run's own journal cannot say it, and a report that did not would call
 * in place what is not there any more. */
#include "report/timeline.h"

#include "base/slice.h"

#include <stdlib.h>

#define UNDO_PATH "end."        /* and the path of what is put back: where an undo run sends */

struct later {
    struct timeline *t;
    int64_t *undos;             /* runs, the latest first */
    size_t n;
    int64_t reading;
};

/* The newest come first, and none before the run itself can undo it. */
static bool collect(void *ctx, const struct run_info *info)
{
    struct later *l = ctx;

    if (info->id <= l->t->info.id)
        return false;
    if (strcmp(info->command, "undo") != 0 || json_slice_int(str_of(info->trigger), "run", 0) != l->t->info.id)
        return true;
    l->undos = xrealloc(l->undos, (l->n + 1) * sizeof(*l->undos));
    l->undos[l->n++] = info->id;
    return true;
}

/* Sent, or found to be as it was before; what needs no undo stays. */
static bool is_put_back(const struct row *row)
{
    struct str outcome = json_slice(row->payload, "outcome");

    return row->kind == ROW_SKIP ? !str_is(outcome, "\"not_needed\"") : row->kind == ROW_RESULT && str_is(outcome, "\"applied\"");
}

static bool see_row(void *ctx, const struct row *row)
{
    struct later *l = ctx;
    const size_t n = strlen(UNDO_PATH);
    size_t i;

    if (row->path.n <= n || strncmp(row->path.p, UNDO_PATH, n) != 0 || !is_put_back(row))
        return true;
    for (i = 0; i < l->t->neffects; i++) {
        struct effect_view *x = &l->t->effects[i];

        if (str_is((struct str){row->path.p + n, row->path.n - n}, x->path)) {
            x->state = EFFECT_UNDONE;
            x->put_back_by = l->reading;
        }
    }
    return true;
}

int timeline_read_later(struct timeline *t, struct journal *j, struct err *e)
{
    struct later l = {.t = t};
    int rc = 0;

    if (t->info.state == RUN_ENDED && t->neffects)
        rc = j->ops->runs(j, false, collect, &l, e);
    while (rc == 0 && l.n > 0) {
        l.reading = l.undos[--l.n];
        rc = j->ops->rows(j, l.reading, 1, see_row, &l, e);
    }
    free(l.undos);
    return rc;
}
