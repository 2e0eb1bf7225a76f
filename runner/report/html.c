/* SPDX-License-Identifier: Apache-2.0 */
/* The page: what a manager reads in ten seconds, then what an engineer needs. No script,
 * no request; what comes from elsewhere passes html_text. */
#include "report/html.h"
#include "report/report.h"

#include "base/limits.h"

void html_text(struct buf *out, const char *s)
{
    size_t from = 0, i;

    for (i = 0; s[i]; i++) {
        const char *entity = s[i] == '<' ? "&lt;" : s[i] == '>' ? "&gt;" : s[i] == '&' ? "&amp;" : s[i] == '"' ? "&quot;"
                             : s[i] == '\'' ? "&#39;" : NULL;

        if (!entity)
            continue;
        buf_add(out, s + from, i - from);
        buf_adds(out, entity);
        from = i + 1;
    }
    buf_add(out, s + from, i - from);
}

void html_element(struct buf *out, const char *open, const char *s, const char *close)
{
    buf_adds(out, open);
    html_text(out, s);
    buf_adds(out, close);
}

const char *html_tone(enum tone tone)
{
    static const char *const names[] = {"plain", "strong", "change", "bad", "good"};

    return names[tone];
}

static const char *outcome_class(const struct timeline *t)
{
    if (t->info.state != RUN_ENDED)
        return "warn";
    return strcmp(t->info.outcome, "escalated") == 0 ? "bad" : strcmp(t->info.outcome, "cancelled") == 0 ? "warn" : "good";
}

static void fact(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "<div><dt>%s</dt>", name);
    html_element(out, "<dd>", value[0] ? value : "-", "</dd></div>\n");
}

static void header(const struct timeline *t, struct buf *out)
{
    struct buf b = BUF_INIT(16 * KIB);
    char at[40];

    buf_addf(out, "<header class=\"%s\">\n<p class=\"which\">run %lld", outcome_class(t), (long long)t->info.id);
    html_element(out, " of <b>", t->info.runbook, "</b></p>\n<h1>");
    timeline_headline(t, &b);
    html_element(out, "", buf_text(&b), "</h1>\n<p class=\"summary\">");
    buf_reset(&b);
    timeline_summary(t, &b);
    html_element(out, "", buf_text(&b), "</p>\n<dl class=\"facts\">\n");
    buf_free(&b);
    fact(out, "Severity", t->severity);
    fact(out, "Started", str_time(t->begun, at, sizeof(at)));
    fact(out, "By", t->requester);
    fact(out, "Reason", t->info.reason[0] ? t->info.reason : run_state_name(t->info.state));
    buf_adds(out, "</dl>\n</header>\n");
}

static void effect(const struct effect_view *x, struct buf *out)
{
    html_element(out, "<tr><td><b>", x->action, "</b><br>");
    html_element(out, "", x->target, "</td><td>");
    html_element(out, "<del>", x->before[0] ? x->before : "unknown", "</del> &rarr; ");
    html_element(out, "<ins>", x->after, "</ins></td><td>");
    buf_adds(out, "<b>");
    effect_words(x, out);
    buf_adds(out, "</b><br>");
    html_element(out, "", x->proof[0] ? x->proof : x->result, "");
    buf_addf(out, " <small>(row %lld)</small></td></tr>\n", (long long)x->intent_seq);
}

static void effects(const struct timeline *t, struct buf *out)
{
    static const char *const titles[GROUPS] = {"Changed", "Undone", "Unknown", "Did not happen"};
    size_t g, i;

    if (t->neffects == 0)
        buf_adds(out, "<section><h2>Changed</h2><p>Nothing was sent.</p></section>\n");
    for (g = 0; g < GROUPS; g++) {
        if (!timeline_count(t, (enum effect_group)g))
            continue;
        buf_addf(out, "<section class=\"g%zu\"><h2>%s</h2>\n<div class=\"wide\"><table><thead><tr><th>what</th>"
                 "<th>before &rarr; after</th><th>how it is known</th></tr></thead><tbody>\n", g, titles[g]);
        for (i = 0; i < t->neffects; i++) {
            if (effect_group(&t->effects[i]) == g && !(g == GROUP_CHANGED && t->effects[i].undo_of))
                effect(&t->effects[i], out);
        }
        buf_adds(out, "</tbody></table></div></section>\n");
    }
}

static void hypotheses(const struct timeline *t, struct buf *out)
{
    size_t i;

    if (t->nhypotheses == 0)
        return;
    buf_adds(out, "<section><h2>Hypotheses</h2>\n<div class=\"wide\"><table><thead><tr><th>what could be wrong</th>"
             "<th>verdict</th><th>evidence</th></tr></thead><tbody>\n");
    for (i = 0; i < t->nhypotheses; i++) {
        const struct hypothesis *h = &t->hypotheses[i];

        html_element(out, "<tr><td>", h->title, "<br><small>");
        html_element(out, "likelihood ", h->likelihood, ", impact ");
        html_element(out, "", h->impact, "</small></td><td><b>");
        html_element(out, "", h->verdict, "</b></td><td>");
        html_element(out, "", h->evidence, "</td></tr>\n");
    }
    buf_adds(out, "</tbody></table></div></section>\n");
}

static void way(void *ctx, const char *command, const char *purpose)
{
    html_element(ctx, "<dt><code>", command, "</code></dt>");
    html_element(ctx, "<dd>", purpose, "</dd>\n");
}

static void afterwards(const struct timeline *t, struct buf *out)
{
    size_t i;

    if (t->nfollow_ups)
        buf_adds(out, "<section><h2>To do after the incident</h2><ul>\n");
    for (i = 0; i < t->nfollow_ups; i++)
        html_element(out, "<li>", t->follow_ups[i], "</li>\n");
    buf_adds(out, t->nfollow_ups ? "</ul></section>\n" : "");
    buf_adds(out, "<section><h2>How to go on</h2><dl class=\"ways\">\n");
    timeline_ways(t, way, out);
    buf_adds(out, "</dl></section>\n");
}

static void moments(const struct timeline *t, struct buf *out)
{
    const char *section = "";
    size_t i;

    buf_adds(out, "<section><h2>Timeline</h2>\n<div class=\"wide\"><table class=\"moments\"><thead><tr><th>time</th><th>line</th>"
             "<th>what</th></tr></thead><tbody>\n");
    for (i = 0; i < t->nmoments; i++) {
        const struct moment *m = &t->moments[i];
        char at[40];

        if (m->section[0] && strcmp(m->section, section) != 0)
            html_element(out, "<tr class=\"heading\"><td></td><td></td><td>", m->section, "</td></tr>\n");
        section = m->section[0] ? m->section : section;
        buf_addf(out, "<tr class=\"%s\" id=\"r%lld\"><td title=\"%s\">+%.1f s</td><td>", html_tone(m->look.tone),
                 (long long)m->seq, str_time(m->at, at, sizeof(at)), (double)(m->at - t->begun) / 1000);
        if (m->line)
            buf_addf(out, ":%d", m->line);
        html_element(out, "</td><td>", m->text, "</td></tr>\n");
    }
    buf_adds(out, "</tbody></table></div></section>\n");
}

static void footer(const struct timeline *t, struct buf *out)
{
    char chain[2 * HASH_BYTES + 1];

    html_element(out, "<footer><p>Line numbers are those of ", t->info.runbook, ".md");
    if (t->commit[0])
        html_element(out, ", commit <code>", t->commit, "</code>");
    buf_adds(out, t->dirty ? ", with changes that are in no commit" : "");
    html_element(out, ", sha256 <code>", t->sha256, "</code>, bundle <code>");
    html_element(out, "", t->info.bundle, "</code>.</p>");
    html_element(out, "<p>Run <code>", t->info.uuid, "</code>, journal chain <code>");
    buf_addf(out, "%s</code>.</p></footer>\n", hash_hex(&t->info.chain, chain));
}

int report_html(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    struct timeline *t;
    int rc = timeline_read(j, run, &t, e);

    if (rc < 0)
        return rc;
    buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
             "<meta name=\"referrer\" content=\"no-referrer\">\n");
    buf_addf(out, "<title>run %lld ", (long long)t->info.id);
    html_element(out, "", t->info.runbook, "</title>\n<style>\n");
    buf_adds(out, html_style);
    buf_adds(out, "</style></head>\n<body><main>\n");
    header(t, out);
    html_timeline(t, out);
    effects(t, out);
    html_series(t, out);
    hypotheses(t, out);
    afterwards(t, out);
    moments(t, out);
    footer(t, out);
    buf_adds(out, "</main></body></html>\n");
    timeline_free(t);
    return out->failed ? err_set(e, ERR_LIMIT, "the report is larger than %zu bytes", out->max) : 0;
}
