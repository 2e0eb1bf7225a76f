/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline: a line per row that people want to read, with its time since the
 * start and the place in the runbook. */
#include "report/report.h"
#include "report/sentence.h"

#include "base/limits.h"
#include "base/slice.h"

struct text {
    struct buf *out;
    int64_t started;
    struct buf last;
};

static bool add_row(void *ctx, const struct row *row)
{
    struct text *t = ctx;
    struct buf b = BUF_INIT(8 * KIB);
    int64_t line = json_slice_int(row->payload, "line", 0);
    bool same;

    if (row->kind == ROW_START)
        t->started = row->at;
    if (sentence_of(row, &b)) {
        same = row->kind == ROW_OBS && strcmp(buf_text(&b), buf_text(&t->last)) == 0;
        if (row->kind == ROW_OBS) {
            buf_reset(&t->last);
            buf_add(&t->last, b.data, b.len);
        }
        if (!same && line > 0)
            buf_addf(t->out, "%8.1fs  :%-4lld %s\n", (double)(row->at - t->started) / 1000, (long long)line, buf_text(&b));
        else if (!same)
            buf_addf(t->out, "%8.1fs        %s\n", (double)(row->at - t->started) / 1000, buf_text(&b));
    }
    buf_free(&b);
    return !t->out->failed;
}

static bool add_effect(void *ctx, const struct effect_info *x)
{
    struct buf *out = ctx;

    buf_addf(out, "effect %s: %s %s: %s\n", x->path, x->action, x->target, effect_state_name(x->state));
    return true;
}

int report_text(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    struct text t = {.out = out, .last = BUF_INIT(8 * KIB)};
    struct run_info info = {0};
    char at[40];
    int rc = j->ops->get_run(j, run, &info, e);

    if (rc == 0) {
        buf_addf(out, "run %lld %s (%s)\nstarted %s, %s%s%s\n\n", (long long)info.id, info.runbook, info.uuid,
                 str_time(info.created_at, at, sizeof(at)), run_state_name(info.state), info.outcome[0] ? ": " : "",
                 info.outcome);
        rc = j->ops->rows(j, run, 1, add_row, &t, e);
    }
    if (rc == 0) {
        buf_addc(out, '\n');
        rc = j->ops->effects(j, run, add_effect, out, e);
    }
    run_info_deinit(&info);
    buf_free(&t.last);
    return rc;
}
