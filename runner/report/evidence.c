/* SPDX-License-Identifier: Apache-2.0 */
/* What whoever is woken gets: one text, in the order of its questions. */
#include "report/markdown.h"
#include "report/report.h"

#include "base/limits.h"
#include "base/log.h"
#include "book/book.h"

static void opening(const struct timeline *t, struct buf *out)
{
    struct buf b = BUF_INIT(16 * KIB);
    char at[40];

    buf_addf(out, "# %s of run %lld: ", t->info.state == RUN_ENDED ? "Escalation" : "A person is needed: state",
             (long long)t->info.id);
    md_item(out, "", t->info.runbook);
    timeline_headline(t, &b);
    md_item(out, "\n**", buf_text(&b));
    out->len -= out->failed ? 0 : 1;
    buf_adds(out, "**  \n");
    buf_reset(&b);
    timeline_summary(t, &b);
    md_item(out, "", buf_text(&b));
    buf_free(&b);
    buf_addf(out, "\n- started %s by ", str_time(t->info.created_at, at, sizeof(at)));
    md_item(out, "", t->requester);
    md_item(out, "- severity: ", t->severity[0] ? t->severity : "-");
    md_item(out, "- reason: ", t->info.reason[0] ? t->info.reason : "-");
    if (t->book && t->book->escalate_to)
        md_item(out, "- to: ", t->book->escalate_to);
}

static void verdicts(const struct timeline *t, struct buf *out)
{
    size_t i;

    if (t->nhypotheses)
        buf_adds(out, "\n### Verdicts\n");
    for (i = 0; i < t->nhypotheses; i++) {
        buf_adds(out, "- ");
        md_text(out, t->hypotheses[i].title);
        md_item(out, ": ", t->hypotheses[i].verdict);
    }
}

static void follow_ups(const struct timeline *t, struct buf *out)
{
    size_t i;

    if (t->nfollow_ups)
        buf_adds(out, "\n### To do after the incident\n");
    for (i = 0; i < t->nfollow_ups; i++)
        md_item(out, "- [ ] ", t->follow_ups[i]);
}

/* The model is clean already; this is the last door of a text that leaves the house. */
static void redacted(struct buf *from, struct buf *out)
{
    log_redact(out, (struct str){buf_text(from), from->len});
    buf_free(from);
}

int report_evidence(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    struct buf b = BUF_INIT(64 * MIB);
    struct timeline *t;
    int rc = timeline_read(j, run, &t, e);

    if (rc < 0)
        return rc;
    opening(t, &b);
    md_effects(t, &b);
    md_ways(t, &b);
    verdicts(t, &b);
    md_series(t, &b);
    follow_ups(t, &b);
    md_moments(t, &b);
    md_environment(t, &b);
    redacted(&b, out);
    timeline_free(t);
    return 0;
}

static void way(void *ctx, const char *command, const char *purpose)
{
    buf_addf(ctx, "  %-36s %s\n", command, purpose);
}

int report_brief(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    static const char *const words[GROUPS] = {"changed", "undone", "UNKNOWN", "did not happen"};
    struct buf b = BUF_INIT(MIB), headline = BUF_INIT(16 * KIB);
    struct timeline *t;
    size_t i;
    int rc = timeline_read(j, run, &t, e);

    if (rc < 0)
        return rc;
    timeline_headline(t, &headline);
    str_add_indented(&b, buf_text(&headline), 4);
    buf_free(&headline);
    buf_addc(&b, '\n');
    timeline_summary(t, &b);
    buf_addc(&b, '\n');
    for (i = 0; i < t->neffects; i++) {
        const struct effect_view *x = &t->effects[i];

        buf_addf(&b, "%s: %s %s: %s -> %s\n", words[effect_group(x)], x->action, x->target,
                 x->before[0] ? x->before : "unknown", x->after);
    }
    buf_adds(&b, "to go on:\n");
    timeline_ways(t, way, &b);
    redacted(&b, out);
    timeline_free(t);
    return 0;
}
