/* SPDX-License-Identifier: Apache-2.0 */
/* The issue report and the debugging worksheet: what was observed, supposed, tested,
 * concluded, done, and is left to do; and where a person has to go on, how. */
#include "report/markdown.h"
#include "report/report.h"

#include "base/limits.h"

#include <stdio.h>

static const char *const titles[STEPS] = {
    [STEP_OBSERVE] = "1. OBSERVE", [STEP_HYPOTHESIZE] = "2. HYPOTHESIZE", [STEP_TEST] = "3. TEST",
    [STEP_ANALYZE] = "4. ANALYZE", [STEP_FIX] = "5. FIX",                 [STEP_PREVENT] = "6. PREVENT",
};

static void key_value(struct buf *out, const char *key, const char *value)
{
    buf_addf(out, "**%s**: ", key);
    md_text(out, value && value[0] ? value : "-");
    buf_adds(out, "  \n");
}

static void header(const struct timeline *t, struct buf *out)
{
    struct buf b = BUF_INIT(16 * KIB);
    char at[40], id[64];

    buf_adds(out, "## Issue Report: ");
    md_text(out, t->info.runbook);
    buf_adds(out, "\n\n");
    snprintf(id, sizeof(id), "run %lld", (long long)t->info.id);
    key_value(out, "Incident ID", id);
    key_value(out, "Reporter", t->requester);
    key_value(out, "Severity", t->severity);
    key_value(out, "Start Time", str_time(t->info.created_at, at, sizeof(at)));
    key_value(out, "State", run_state_name(t->info.state));
    key_value(out, "Outcome", t->info.outcome);
    key_value(out, "Reason", t->info.reason);
    buf_adds(out, "\n> ");
    timeline_headline(t, &b);
    md_text(out, buf_text(&b));
    buf_reset(&b);
    timeline_summary(t, &b);
    md_item(out, "  \n> ", buf_text(&b));
    buf_free(&b);
}

static void hypotheses(const struct timeline *t, struct buf *out)
{
    size_t i;

    for (i = 0; i < t->nhypotheses; i++) {
        const struct hypothesis *h = &t->hypotheses[i];

        buf_addf(out, "**Hypothesis %zu**: ", i + 1);
        md_item(out, "", h->title);
        md_item(out, "- Evidence: ", h->evidence);
        buf_addf(out, "- Priority: likelihood %s, impact %s\n\n", h->likelihood, h->impact);
    }
}

static const char *mark_of(const struct moment *m)
{
    return m->kind == ROW_VERDICT || m->kind == ROW_VERIFY ? "- [x] " : m->look.step == STEP_PREVENT ? "- [ ] " : "- ";
}

static void worksheet(const struct timeline *t, struct buf *out)
{
    size_t i, k, before;

    buf_adds(out, "\n## Debugging Session\n");
    for (i = STEP_OBSERVE; i < STEPS; i++) {
        buf_addf(out, "\n### %s\n", titles[i]);
        before = out->len;
        if (i == STEP_HYPOTHESIZE)
            hypotheses(t, out);
        for (k = 0; k < t->nmoments; k++) {
            if (t->moments[k].look.step == (enum step)i && !t->moments[k].repeated)
                md_item(out, mark_of(&t->moments[k]), t->moments[k].text);
        }
        if (out->len == before)
            buf_adds(out, "-\n");
    }
}

int report_markdown(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    struct timeline *t;
    int rc = timeline_read(j, run, &t, e);

    if (rc < 0)
        return rc;
    header(t, out);
    md_effects(t, out);
    if (t->info.state != RUN_ENDED || strcmp(t->info.outcome, "escalated") == 0)
        md_ways(t, out);
    md_moments(t, out);
    md_environment(t, out);
    worksheet(t, out);
    timeline_free(t);
    return 0;
}
