/* SPDX-License-Identifier: Apache-2.0 */
#include "report/markdown.h"

#include "base/json.h"
#include "base/limits.h"

/* A further line of the same paragraph: nothing at its beginning makes it anything else. Returns its first character. */
static const char *further_line(struct buf *out, const char *s)
{
    size_t digits;

    buf_adds(out, "  \n  ");
    digits = strspn(s, "0123456789");
    buf_add(out, s, digits);
    s += digits;
    if (*s && strchr(digits ? ".)" : "-+=", *s))
        buf_addc(out, '\\');
    return s;
}

void md_text(struct buf *out, const char *s)
{
    while (*s) {
        if (*s == '\n') {
            s = further_line(out, s + strspn(s, " \n"));
            continue;
        }
        if (strchr("\\`*_{}[]<>#|!&~", *s))
            buf_addc(out, '\\');
        buf_addc(out, *s++);
    }
}

void md_item(struct buf *out, const char *mark, const char *s)
{
    buf_adds(out, mark);
    md_text(out, s);
    buf_addc(out, '\n');
}

static void effect(const struct effect_view *x, struct buf *out)
{
    buf_adds(out, "- ");
    md_text(out, x->action);
    buf_addc(out, ' ');
    md_text(out, x->target);
    buf_adds(out, ": ");
    md_text(out, x->before[0] ? x->before : "unknown");
    buf_adds(out, " -> ");
    md_text(out, x->after);
    buf_adds(out, "; ");
    effect_words(x, out);
    buf_addf(out, " (call %s)\n", x->path);
    if (x->result[0])
        md_item(out, "  - ", x->result);
    if (x->proof[0])
        md_item(out, "  - proof ", x->proof);
}

void md_effects(const struct timeline *t, struct buf *out)
{
    static const char *const titles[GROUPS] = {"What was changed", "What was undone", "What is unknown", "What did not happen"};
    size_t g, i;

    for (g = 0; g < GROUPS; g++) {
        if (g == GROUP_CHANGED ? t->neffects && !timeline_count(t, GROUP_CHANGED) : !timeline_count(t, (enum effect_group)g))
            continue;
        buf_addf(out, "\n### %s\n", titles[g]);
        if (t->neffects == 0)
            buf_adds(out, "Nothing was sent.\n");
        for (i = 0; i < t->neffects; i++) {
            if (effect_group(&t->effects[i]) == g && !(g == GROUP_CHANGED && t->effects[i].undo_of))
                effect(&t->effects[i], out);
        }
    }
}

static void way(void *ctx, const char *command, const char *purpose)
{
    buf_addf(ctx, "    %-40s # %s\n", command, purpose);
}

void md_ways(const struct timeline *t, struct buf *out)
{
    buf_adds(out, "\n### How to go on\n\n");
    timeline_ways(t, way, out);
}

void md_moments(const struct timeline *t, struct buf *out)
{
    size_t i;
    char at[40];

    buf_adds(out, "\n### Timeline\n");
    for (i = 0; i < t->nmoments; i++) {
        const struct moment *m = &t->moments[i];

        if (m->repeated)
            continue;
        buf_addf(out, "- %.8s - ", str_time(m->at, at, sizeof(at)) + 11);
        if (m->line)
            buf_addf(out, "line %d: ", m->line);
        md_item(out, "", m->text);
    }
}

void md_series(const struct timeline *t, struct buf *out)
{
    size_t i;

    if (t->nseries)
        buf_adds(out, "\n### Observations\n");
    for (i = 0; i < t->nseries; i++) {
        const struct point *before = series_before(t, &t->series[i]), *after = series_after(&t->series[i]);

        buf_adds(out, "- ");
        md_text(out, t->series[i].name);
        buf_adds(out, ": ");
        md_text(out, before->text);
        if (after != before) {
            buf_adds(out, " -> ");
            md_text(out, after->text);
        }
        buf_addc(out, '\n');
    }
}

void md_environment(const struct timeline *t, struct buf *out)
{
    const json_t *use;
    const char *name;
    json_t *v;
    size_t i;

    buf_adds(out, "\n### Environment\n");
    json_object_foreach(json_object_get(t->start, "params"), name, v) {
        struct buf b = BUF_INIT(16 * KIB);

        str_add_printable(&b, name, strlen(name));
        buf_adds(&b, ": ");
        sentence_value(v, NULL, &b);
        md_item(out, "- ", buf_text(&b));
        buf_free(&b);
    }
    json_array_foreach(json_object_get(t->start, "uses"), i, use) {
        buf_adds(out, "- uses ");
        md_text(out, json_get_string(use, "instance", ""));
        buf_adds(out, " (");
        md_text(out, json_get_string(use, "plugin", ""));
        buf_adds(out, ")\n");
    }
    buf_addf(out, "- sources: bundle %.12s, runbook sha256 %.12s", t->info.bundle, t->sha256);
    if (t->commit[0]) {
        buf_adds(out, ", commit ");
        md_text(out, t->commit);
    }
    buf_adds(out, t->dirty ? ", with changes that are in no commit\n" : "\n");
}
