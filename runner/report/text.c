/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline: a line per moment with its time since the start and the place in the
 * runbook; then what was observed more than once, as sparklines. */
#include "report/report.h"
#include "report/source.h"
#include "report/timeline.h"

#include "base/limits.h"

#include <math.h>
#include <stdlib.h>

#define NAME_WIDTH 16
#define TEXT_COLUMN 17          /* where a moment says what it is */

static void add_moment(const struct timeline *t, const struct moment *m, struct buf *out)
{
    double s = (double)(m->at - t->begun) / 1000;

    if (m->repeated)
        return;
    if (m->line > 0)
        buf_addf(out, "%8.1fs  :%-4d ", s, m->line);
    else
        buf_addf(out, "%8.1fs        ", s);
    str_add_indented(out, m->text, TEXT_COLUMN);
    buf_addc(out, '\n');
}

/* "p95              _.:=#  2.85 s -> 250 ms" if it was looked at more than once and fits. */
static void add_series(const struct timeline *t, const struct series *s, const struct view *v, struct buf *out)
{
    const struct point *before = series_before(t, s), *after = series_after(s);
    size_t room = v->width > NAME_WIDTH + 40 ? v->width - NAME_WIDTH - 40 : 8, i, numbers = 0;
    double *values;

    for (i = 0; i < s->n; i++)
        numbers += s->points[i].number;
    if (s->n < 2 || numbers < 2)
        return;
    values = xmalloc(s->n * sizeof(*values));
    for (i = 0; i < s->n; i++)
        values[i] = s->points[i].number ? s->points[i].value : NAN;
    buf_addf(out, "%-*.60s ", NAME_WIDTH, s->name);
    sparkline(values, s->n, room < 60 ? room : 60, v->utf8, out);
    buf_addf(out, "  %.60s -> %.60s\n", before->text, after->text);
    free(values);
}

int report_text_view(struct journal *j, int64_t run, const struct view *v, struct buf *out, struct err *e)
{
    struct timeline *t;
    char at[40];
    size_t i, begin;
    int rc = timeline_read(j, run, &t, e);

    if (rc < 0)
        return rc;
    buf_addf(out, "run %lld %s (%s)\nstarted %s, %s%s%s\n", (long long)t->info.id, t->info.runbook, t->info.uuid,
             str_time(t->info.created_at, at, sizeof(at)), run_state_name(t->info.state), t->info.outcome[0] ? ": " : "",
             t->info.outcome);
    report_source_text(j, t->info.bundle, out);
    buf_adds(out, out->data[out->len - 1] == '\n' ? "\n" : "\n\n");
    for (i = 0; i < t->nmoments; i++)
        add_moment(t, &t->moments[i], out);
    buf_addc(out, '\n');
    begin = out->len;
    for (i = 0; i < t->nseries; i++)
        add_series(t, &t->series[i], v, out);
    if (out->len > begin)
        buf_addc(out, '\n');
    for (i = 0; i < t->neffects; i++) {
        buf_addf(out, "effect %s: %s %s: ", t->effects[i].path, t->effects[i].action, t->effects[i].target);
        effect_words(&t->effects[i], out);
        buf_addc(out, '\n');
    }
    if (t->plan)
        buf_addf(out, "%s\n", t->plan);
    timeline_free(t);
    return 0;
}

int report_text(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    return report_text_view(j, run, &(struct view){.width = 100}, out, e);
}
