/* SPDX-License-Identifier: Apache-2.0 */
/* The two pictures. The axis of the run is half time and half order: looks come within
 * milliseconds and proofs after minutes, and both must be seen; the marks on the axis are
 * true times. The charts of observations are linear in time. */
#include "report/html.h"

#include <stdio.h>

#define WIDTH 1000
#define LEFT 84
#define RIGHT 24
#define TOP 40
#define LANE 30
#define TICK_APART 110

#define CHART_W 300
#define CHART_H 84

static const char *const lane_names[LANES] = {"looked", "concluded", "changed", "waited", "people", "run"};

static double x_at(const struct timeline *t, size_t i)
{
    double span = (double)(t->last - t->begun), n = (double)(t->nmoments - 1);
    double part = (span > 0 ? (double)(t->moments[i].at - t->begun) / span : 0) + (n > 0 ? (double)i / n : 0);

    return LEFT + (WIDTH - LEFT - RIGHT) * part / 2;
}

static size_t index_of(const struct timeline *t, int64_t at)
{
    size_t i;

    for (i = 0; i + 1 < t->nmoments && t->moments[i].at < at; i++)
        ;
    return i;
}

static int y_of(enum lane lane)
{
    return TOP + LANE * (int)lane + LANE / 2;
}

/* A name in its room: about 6.5 units per character. */
static void fitted(struct buf *out, const char *s, double room)
{
    size_t max = room > 26 ? (size_t)(room / 6.5) : 0;
    struct str shown = journal_clip(str_of(s), max + 1);
    char text[160];

    snprintf(text, sizeof(text), "%.*s", (int)shown.n, shown.p);
    html_text(out, text);
}

static void sections(const struct timeline *t, struct buf *out)
{
    size_t i, from = 0;

    for (i = 0; i <= t->nmoments; i++) {
        const char *title = from < t->nmoments ? t->moments[from].section : "";
        double x, w;

        if (i < t->nmoments && (t->moments[i].section[0] == '\0' || strcmp(t->moments[i].section, title) == 0))
            continue;
        if (title[0]) {
            x = x_at(t, from);
            w = (i < t->nmoments ? x_at(t, i) : WIDTH - RIGHT + 10) - x;
            buf_addf(out, "<g><rect class=\"band\" x=\"%.1f\" y=\"4\" width=\"%.1f\" height=\"22\"/><title>", x, w > 1 ? w : 1);
            html_text(out, title);
            buf_addf(out, "</title><text class=\"label\" x=\"%.1f\" y=\"19\">", x + 5);
            fitted(out, title, w - 8);
            buf_adds(out, "</text></g>\n");
        }
        from = i;
    }
}

static void axis(const struct timeline *t, struct buf *out)
{
    double last = -TICK_APART;
    int y = TOP + LANE * LANES;
    size_t i;

    for (i = 0; i < LANES; i++)
        buf_addf(out, "<path class=\"lane\" d=\"M%d %dH%d\"/><text x=\"0\" y=\"%d\">%s</text>\n", LEFT, y_of((enum lane)i),
                 WIDTH - RIGHT, y_of((enum lane)i) + 4, lane_names[i]);
    for (i = 0; i < t->nmoments; i++) {
        double x = x_at(t, i), end = x_at(t, t->nmoments - 1);
        int64_t ms = t->moments[i].at - t->begun;

        if (x - last < TICK_APART || (end - x < TICK_APART && i + 1 < t->nmoments && x < end))
            continue;
        last = x;
        buf_addf(out, "<path class=\"lane\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" "
                 "text-anchor=\"%s\">+%.*f %s</text>\n", x, TOP, y, x, y + 14, x > WIDTH - 80 ? "end" : "middle",
                 ms >= 1000, ms < 1000 ? (double)ms : (double)ms / 1000,
                 ms < 1000 ? "ms" : "s");
    }
}

static void bar(const struct timeline *t, struct buf *out, const char *class, int64_t from, int64_t to, int y, int h,
                const char *title)
{
    double a = x_at(t, index_of(t, from)), b = x_at(t, index_of(t, to));

    buf_addf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"><title>", class, a, y - h / 2,
             b - a > 2 ? b - a : 2, h);
    html_text(out, title);
    buf_adds(out, "</title></rect>\n");
}

static void bars(const struct timeline *t, struct buf *out)
{
    size_t i;

    for (i = 0; i < t->nmoments; i++) {
        if (t->moments[i].kind == ROW_WAIT)
            bar(t, out, "wait", t->moments[i].at, t->moments[i].until ? t->moments[i].until : t->last, y_of(LANE_WAIT), 10,
                t->moments[i].text);
    }
    for (i = 0; i < t->neffects; i++) {
        const struct effect_view *x = &t->effects[i];
        int64_t sent = x->result_at ? x->result_at : t->last;

        bar(t, out, "bar", x->intent_at, sent, y_of(LANE_CHANGE), 14, "sent, until its result was known");
        if (x->proved_at)
            bar(t, out, "proof", sent, x->proved_at, y_of(LANE_CHANGE), 14, x->proof);
    }
}

void html_timeline(const struct timeline *t, struct buf *out)
{
    size_t i;

    if (t->nmoments == 0)
        return;
    buf_addf(out, "<section><h2>The run at a glance</h2><div class=\"wide\">\n"
             "<svg class=\"run\" xmlns=\"http://www.w3.org/2000/svg\" "
             "role=\"img\" aria-label=\"timeline of the run\" viewBox=\"0 0 %d %d\">\n", WIDTH, TOP + LANE * LANES + 24);
    sections(t, out);
    axis(t, out);
    bars(t, out);
    for (i = 0; i < t->nmoments; i++) {
        const struct moment *m = &t->moments[i];

        buf_addf(out, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%d\" r=\"%s\"><title>+%.1f s: ", html_tone(m->look.tone),
                 x_at(t, i), y_of(m->look.lane), m->look.tone == TONE_PLAIN ? "3.5" : "5", (double)(m->at - t->begun) / 1000);
        html_text(out, m->text);
        buf_adds(out, "</title></circle>\n");
    }
    buf_adds(out, "</svg></div></section>\n");
}

struct scale {
    double low, high;       /* of the halves of the values: no overflow */
    int64_t from, to;
};

static double chart_x(const struct scale *s, int64_t at)
{
    return 6 + (CHART_W - 12) * (s->to > s->from ? (double)(at - s->from) / (double)(s->to - s->from) : 0.5);
}

static double chart_y(const struct scale *s, double v)
{
    return CHART_H - 8 - (CHART_H - 16) * (s->high > s->low ? (v / 2 - s->low) / (s->high - s->low) : 0.5);
}

static void curve(const struct series *s, const struct scale *scale, struct buf *out)
{
    bool on = false;
    size_t i;

    buf_adds(out, "<path class=\"curve\" d=\"");
    for (i = 0; i < s->n; i++) {
        if (s->points[i].number)
            buf_addf(out, "%c%.1f %.1f", on ? 'L' : 'M', chart_x(scale, s->points[i].at), chart_y(scale, s->points[i].value));
        on = s->points[i].number;
    }
    buf_adds(out, "\"/>\n");
    for (i = 0; i < s->n; i++) {
        const struct point *p = &s->points[i];

        buf_addf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>", p->known ? "dot plain" : "hole",
                 chart_x(scale, p->at), p->number ? chart_y(scale, p->value) : CHART_H - 6.0);
        html_text(out, p->text);
        buf_adds(out, "</title></circle>\n");
    }
}

static void chart(const struct timeline *t, const struct series *s, struct buf *out)
{
    struct scale scale = {.from = t->begun, .to = t->last};
    size_t i, numbers = 0;

    for (i = 0; i < s->n; i++) {
        double v = s->points[i].value / 2;

        if (!s->points[i].number)
            continue;
        scale.low = numbers == 0 || v < scale.low ? v : scale.low;
        scale.high = numbers++ == 0 || v > scale.high ? v : scale.high;
    }
    if (numbers == 0 || s->n < 2)
        return;
    buf_addf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" "
             "aria-label=\"values over time\" viewBox=\"0 0 %d %d\">\n",
             CHART_W, CHART_H);
    buf_addf(out, "<path class=\"lane\" d=\"M0 %dH%d\"/>", CHART_H - 1, CHART_W);
    for (i = 0; i < t->neffects; i++)
        buf_addf(out, "<path class=\"mark\" d=\"M%.1f 0V%d\"><title>%s</title></path>\n",
                 chart_x(&scale, t->effects[i].intent_at), CHART_H, t->effects[i].undo_of ? "undo" : "change");
    curve(s, &scale, out);
    buf_adds(out, "</svg>");
}

void html_series(const struct timeline *t, struct buf *out)
{
    size_t i;

    if (t->nseries == 0)
        return;
    buf_adds(out, "<section class=\"long\"><h2>Observed</h2>\n");
    if (t->neffects)
        buf_adds(out, "<p><small>Dashed lines are the moments of change; values are those before "
                 "the first change and last.</small></p>");
    buf_adds(out, "<div class=\"charts\">\n");
    for (i = 0; i < t->nseries; i++) {
        const struct series *s = &t->series[i];
        const struct point *before = series_before(t, s), *after = series_after(s);

        html_element(out, "<figure><figcaption><b>", s->name, "</b><br>");
        html_text(out, before->text);
        if (after != before)
            html_element(out, " &rarr; <ins>", after->text, "</ins>");
        buf_adds(out, "</figcaption>");
        chart(t, s, out);
        buf_adds(out, "</figure>\n");
    }
    buf_adds(out, "</div></section>\n");
}
