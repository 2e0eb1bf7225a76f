/* SPDX-License-Identifier: Apache-2.0 */
/* The issue report and the debugging worksheet: what was observed, supposed, tested,
 * concluded, done, and is left to do; and where a person has to go on, how. Each row
 * goes to one of the six steps. */
#include "base/json.h"
#include "base/limits.h"
#include "report/report.h"
#include "report/sentence.h"

#include <stdio.h>
#include <stdlib.h>

enum step { STEP_NONE, OBSERVE, HYPOTHESIZE, TEST, ANALYZE, FIX, PREVENT, STEPS };

static const char *const titles[STEPS] = {
    [OBSERVE] = "1. OBSERVE", [HYPOTHESIZE] = "2. HYPOTHESIZE", [TEST] = "3. TEST",
    [ANALYZE] = "4. ANALYZE", [FIX] = "5. FIX",                 [PREVENT] = "6. PREVENT",
};

static const enum step step_of[ROW_KINDS] = {
    [ROW_OBS] = OBSERVE,    [ROW_VERDICT] = TEST, [ROW_CAUSE] = ANALYZE, [ROW_PLAN] = FIX,    [ROW_INTENT] = FIX,
    [ROW_RESULT] = FIX,     [ROW_UNKNOWN] = FIX,  [ROW_CHECK] = FIX,     [ROW_SETTLE] = FIX,  [ROW_SKIP] = FIX,
    [ROW_REFUSED] = FIX,    [ROW_VERIFY] = FIX,   [ROW_WAIT] = FIX,      [ROW_NOTE] = OBSERVE,
    [ROW_ESCALATION] = FIX,
};

struct report {
    struct buf steps[STEPS];
    struct buf timeline;
    struct run_info info;
    char *severity;
    json_t *start, *end;
    struct buf last;
    bool acted;                     /* an effect was planned: later looks are its proof */
    int64_t nverdicts;
    struct buf evidence, unknown;
    size_t effects;
};

/* Markdown in a text of somebody else is no markup of ours. */
static void escape(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (strchr("\\`*_{}[]<>#|!", *s))
            buf_addc(out, '\\');
        buf_addc(out, *s);
    }
}

static void at_time(struct buf *out, int64_t at)
{
    char text[40];

    str_time(at, text, sizeof(text));
    buf_addf(out, "%.8s", text + 11);
}

/* Hypothesis N with its evidence and priority, as the worksheet has it. */
static void hypothesis(struct report *r, const struct row *row)
{
    struct buf *out = &r->steps[HYPOTHESIZE];
    struct buf title = BUF_INIT(8 * KIB);
    json_t *args = NULL, *entry;
    size_t i;

    if (json_read(row->args, &args, NULL) < 0)
        return;
    buf_addf(out, "**Hypothesis %lld**: ", (long long)++r->nverdicts);
    str_add_printable(&title, row->name.p, row->name.n);
    escape(out, buf_text(&title));
    buf_free(&title);
    buf_adds(out, "\n- Evidence: ");
    json_array_foreach(json_object_get(args, "evidence"), i, entry) {
        if (i)
            buf_adds(out, ", ");
        escape(out, json_get_string(entry, "name", "?"));
        buf_addf(out, " (row %lld)", (long long)json_get_int(entry, "row", 0));
    }
    buf_addf(out, "\n- Priority: likelihood %s, impact %s\n\n", json_get_string(args, "likelihood", "?"),
             json_get_string(args, "impact", "?"));
    json_decref(args);
}

static bool is_new(struct report *r, const struct row *row, const struct buf *sentence)
{
    bool same;

    if (row->kind != ROW_OBS)
        return true;
    same = strcmp(buf_text(sentence), buf_text(&r->last)) == 0;
    buf_reset(&r->last);
    buf_add(&r->last, sentence->data, sentence->len);
    return !same;
}

static void place(struct report *r, const struct row *row, const struct buf *sentence)
{
    enum step step = step_of[row->kind];
    struct buf *out;

    if (row->kind == ROW_OBS && r->acted)
        step = FIX;
    if (row->kind == ROW_NOTE && str_is(row->name, "follow_up"))
        step = PREVENT;
    if (step == STEP_NONE)
        return;
    out = &r->steps[step];
    if (row->kind == ROW_VERDICT)
        hypothesis(r, row);
    buf_adds(out, row->kind == ROW_VERDICT || (row->kind == ROW_VERIFY) ? "- [x] "
                  : row->kind == ROW_NOTE && step == PREVENT            ? "- [ ] "
                                                                        : "- ");
    escape(out, buf_text(sentence));
    buf_addc(out, '\n');
}

static bool add_row(void *ctx, const struct row *row)
{
    struct report *r = ctx;
    struct buf sentence = BUF_INIT(8 * KIB);

    if (row->kind == ROW_START)
        json_read(row->payload, &r->start, NULL);
    if (row->kind == ROW_END)
        json_read(row->args, &r->end, NULL);
    r->acted = r->acted || row->kind == ROW_PLAN;
    if (sentence_of(row, &sentence) && is_new(r, row, &sentence)) {
        buf_adds(&r->timeline, "- ");
        at_time(&r->timeline, row->at);
        buf_adds(&r->timeline, " - ");
        escape(&r->timeline, buf_text(&sentence));
        buf_addc(&r->timeline, '\n');
        place(r, row, &sentence);
    }
    buf_free(&sentence);
    return true;
}

static bool add_effect(void *ctx, const struct effect_info *x)
{
    struct report *r = ctx;

    r->effects++;
    buf_addf(&r->evidence, "- %s ", effect_state_name(x->state));
    escape(&r->evidence, x->action);
    buf_addc(&r->evidence, ' ');
    escape(&r->evidence, x->target);
    buf_addf(&r->evidence, " (call %s)\n", x->path);
    if (x->state == EFFECT_UNKNOWN || x->state == EFFECT_INTENDED)
        buf_addf(&r->unknown, "    midwatch settle %lld %s applied|absent\n", (long long)x->run, x->path);
    return true;
}

static void key_value(struct buf *out, const char *key, const char *value)
{
    buf_addf(out, "**%s**: ", key);
    escape(out, value && value[0] ? value : "-");
    buf_adds(out, "  \n");
}

static void header(struct report *r, struct buf *out)
{
    char at[40], id[64];
    const json_t *labels = json_object_get(json_object_get(r->start, "trigger"), "labels");

    buf_adds(out, "## Issue Report: ");
    escape(out, r->info.runbook);
    buf_adds(out, "\n\n");
    snprintf(id, sizeof(id), "run %lld", (long long)r->info.id);
    key_value(out, "Incident ID", id);
    key_value(out, "Reporter", json_get_string(r->start, "requester", ""));
    key_value(out, "Severity", r->severity ? r->severity : json_get_string(labels, "severity", ""));
    key_value(out, "Start Time", str_time(r->info.created_at, at, sizeof(at)));
    key_value(out, "State", run_state_name(r->info.state));
    key_value(out, "Outcome", r->info.outcome);
    key_value(out, "Reason", r->info.reason);
    if (r->end) {
        buf_adds(out, "\n> ");
        escape(out, json_get_string(r->end, "text", ""));
        buf_addc(out, '\n');
    }
}

static void environment(struct report *r, struct buf *out)
{
    const json_t *uses = json_object_get(r->start, "uses");
    const char *name;
    json_t *v, *use;
    size_t i;

    buf_adds(out, "\n### Environment\n");
    json_object_foreach(json_object_get(r->start, "params"), name, v) {
        struct buf value = BUF_INIT(4 * KIB);

        sentence_value(v, NULL, &value);
        buf_adds(out, "- ");
        escape(out, name);
        buf_adds(out, ": ");
        escape(out, buf_text(&value));
        buf_addc(out, '\n');
        buf_free(&value);
    }
    json_array_foreach(uses, i, use) {
        buf_adds(out, "- uses ");
        escape(out, json_get_string(use, "instance", ""));
        buf_adds(out, " (");
        escape(out, json_get_string(use, "plugin", ""));
        buf_adds(out, ")\n");
    }
    buf_addf(out, "- sources: bundle %.12s\n", r->info.bundle);
}

static void hand_over(struct report *r, struct buf *out)
{
    bool ended = r->info.state == RUN_ENDED;

    buf_adds(out, "\n### What was changed\n");
    if (r->effects == 0)
        buf_adds(out, "Nothing was sent.\n");
    buf_add(out, r->evidence.data, r->evidence.len);
    if (ended && strcmp(r->info.outcome, "escalated") != 0)
        return;
    buf_adds(out, "\n### How to go on\n\n");
    buf_add(out, r->unknown.data, r->unknown.len);
    if (!ended)
        buf_addf(out, "    midwatch resume %lld\n", (long long)r->info.id);
    buf_addf(out, "    midwatch show %lld\n    midwatch list          # locks that are still held\n", (long long)r->info.id);
    if (ended && r->effects)
        buf_addf(out, "    midwatch settle %lld release   # frees what this run keeps locked\n", (long long)r->info.id);
}

static void worksheet(struct report *r, struct buf *out)
{
    int i;

    buf_adds(out, "\n### Timeline\n");
    buf_add(out, r->timeline.data, r->timeline.len);
    environment(r, out);
    buf_adds(out, "\n## Debugging Session\n");
    for (i = OBSERVE; i < STEPS; i++) {
        buf_addf(out, "\n### %s\n", titles[i]);
        if (r->steps[i].len)
            buf_add(out, r->steps[i].data, r->steps[i].len);
        else
            buf_adds(out, "-\n");
    }
}

/* Severity stands in the runbook's front matter, which the bundle has. */
static bool find_severity(void *ctx, const char *path, struct str data)
{
    struct report *r = ctx;
    size_t n = strlen(path);
    const char *at;

    if (n < 3 || strcmp(path + n - 3, ".md") != 0)
        return true;
    at = memmem(data.p, data.n > 4096 ? 4096 : data.n, "\nseverity: ", 11);
    if (at)
        r->severity = xstrndup(at + 11, strcspn(at + 11, "\n \"") );
    return false;
}

int report_markdown(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    struct report r = {0};
    struct buf meta = BUF_INIT(MIB);
    struct err ignored = {0};
    size_t i;
    int rc;

    for (i = 0; i < STEPS; i++)
        buf_init(&r.steps[i], 16 * MIB);
    buf_init(&r.timeline, 16 * MIB);
    buf_init(&r.last, 8 * KIB);
    buf_init(&r.evidence, MIB);
    buf_init(&r.unknown, MIB);
    rc = j->ops->get_run(j, run, &r.info, e);
    if (rc == 0)
        rc = j->ops->rows(j, run, 1, add_row, &r, e);
    if (rc == 0)
        rc = j->ops->effects(j, run, add_effect, &r, e);
    if (rc == 0) {
        j->ops->get_bundle(j, r.info.bundle, &meta, find_severity, &r, &ignored);
        header(&r, out);
        hand_over(&r, out);
        worksheet(&r, out);
    }
    for (i = 0; i < STEPS; i++)
        buf_free(&r.steps[i]);
    buf_free(&r.timeline);
    buf_free(&r.last);
    buf_free(&r.evidence);
    buf_free(&r.unknown);
    buf_free(&meta);
    json_decref(r.start);
    json_decref(r.end);
    free(r.severity);
    run_info_deinit(&r.info);
    return rc;
}
