/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as text: what it looked at, what the code made of it, what it would change, and all ways on from there. */
#include "check/plan.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "check/map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_SHOWN 60
#define LINE_SHOWN 76
#define TREE_INDENT 2

static void clean(struct buf *out, const char *s)
{
    str_add_printable(out, s, strlen(s));
}

static void add_duration(struct buf *out, double s)
{
    if (s >= 7200 && fmod(s, 3600) == 0)
        buf_addf(out, "%.0f h", s / 3600);
    else if (s >= 60 && fmod(s, 60) == 0)
        buf_addf(out, "%.0f min", s / 60);
    else
        buf_addf(out, "%.6g s", s);
}

static void add_cut(struct buf *out, const char *s, size_t most)
{
    size_t n = strlen(s);

    str_add_printable(out, s, n > most ? most : n);
    if (n > most)
        buf_adds(out, "...");
}

static void add_value(struct buf *out, const json_t *v, size_t most)
{
    struct buf text = BUF_INIT(64 * MIB);

    if (json_is_array(v) && json_array_size(v) > 3) {
        buf_addf(out, "%zu entries", json_array_size(v));
        return;
    }
    if (json_is_real(v))
        buf_addf(&text, "%.6g", json_real_value(v));
    else
        json_add_value(&text, v);
    add_cut(out, buf_text(&text), most);
    buf_free(&text);
}

/* The line of the runbook, without its indentation. */
static struct str source_line(const struct runbook *b, const char *file, int line)
{
    const char *at = b->chunk, *end = b->chunk + b->chunk_len, *stop;

    if (strcmp(file, b->file) != 0)
        return STR("");
    for (; line > 1 && at < end; line--) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : end;
    }
    for (; at < end && *at == ' '; at++)
        ;
    stop = memchr(at, '\n', (size_t)(end - at));
    return (struct str){at, (size_t)((stop ? stop : end) - at)};
}

static void text_head(const json_t *plan, struct buf *out)
{
    const char *commit = json_get_string(plan, "commit", ""), *name;
    json_t *v;
    bool first = true;

    buf_addf(out, "Plan of %s (", json_get_string(plan, "runbook", ""));
    clean(out, json_get_string(plan, "file", ""));
    if (commit[0])
        buf_addf(out, " at %.10s%s", commit, json_get_bool(plan, "dirty", false) ? ", with changes" : "");
    buf_addf(out, "); plan %.12s\n", json_get_string(plan, "plan_id", ""));
    json_object_foreach(json_object_get(plan, "params"), name, v) {
        buf_addf(out, "%s%s = ", first ? "  with " : ", ", name);
        add_value(out, v, VALUE_SHOWN);
        first = false;
    }
    buf_adds(out, first ? "" : "\n");
}

static void text_reads(const json_t *plan, struct buf *out)
{
    const json_t *r;
    size_t i;

    buf_adds(out, "\nLooked at\n");
    if (json_array_size(json_object_get(plan, "reads")) == 0)
        buf_adds(out, "  nothing\n");
    json_array_foreach(json_object_get(plan, "reads"), i, r) {
        const char *label = json_get_string(r, "label", ""), *unit = json_get_string(r, "unit", NULL);

        buf_addf(out, "  :%-4lld %s%s", (long long)json_get_int(r, "line", 0), label, label[0] ? " = " : "");
        if (json_object_get(r, "unknown")) {
            buf_addf(out, "UNKNOWN (%s: ", json_get_string(r, "unknown", ""));
            add_cut(out, json_get_string(r, "why", ""), 2 * VALUE_SHOWN);
            buf_addc(out, ')');
        } else {
            add_value(out, json_object_get(r, "value"), VALUE_SHOWN);
            buf_addf(out, "%s%s", unit ? " " : "", unit ? unit : "");
        }
        buf_adds(out, "   ");
        add_cut(out, json_get_string(r, "text", ""), 2 * LINE_SHOWN);
        buf_addc(out, '\n');
    }
}

static void add_source(struct buf *out, const struct runbook *book, const char *file, int line)
{
    struct str source = source_line(book, file, line);
    char text[LINE_SHOWN + 1];

    snprintf(text, sizeof(text), "%.*s", (int)source.n, source.p);
    if (source.n)
        clean(out, text);
    else
        clean(out, file);
    buf_addc(out, '\n');
}

/* What was compared at one line; the values stand under the line of the runbook. Returns the next decision's place. */
static size_t text_decision(const json_t *list, size_t i, const struct runbook *book, struct buf *out)
{
    const json_t *d = json_array_get(list, i);
    const char *file = json_get_string(d, "file", "");
    int line = (int)json_get_int(d, "line", 0);
    bool first = true;

    buf_addf(out, "  :%-4d ", line);
    add_source(out, book, file, line);
    buf_addf(out, "%8s", "");
    for (; (d = json_array_get(list, i)) != NULL && json_get_int(d, "line", 0) == line &&
           strcmp(json_get_string(d, "file", ""), file) == 0; i++) {
        const char *text = json_get_string(d, "text", "");
        bool is_value = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;

        buf_adds(out, first ? "" : "; ");
        add_cut(out, text, VALUE_SHOWN);
        if (!is_value)
            buf_adds(out, json_get_bool(d, "yes", false) ? ": yes" : ": no");
        first = false;
    }
    buf_addc(out, '\n');
    return i;
}

static void text_decisions(const json_t *plan, const struct runbook *book, struct buf *out)
{
    static const char *const verdicts[] = {"supported", "refuted", "inconclusive"};
    const json_t *decisions = json_object_get(plan, "decisions"), *h;
    size_t i, k;

    if (json_array_size(decisions) + json_array_size(json_object_get(plan, "hypotheses")))
        buf_adds(out, "\nDecided\n");
    for (i = 0; i < json_array_size(decisions);)
        i = text_decision(decisions, i, book, out);
    json_array_foreach(json_object_get(plan, "hypotheses"), i, h) {
        const char *verdict = NULL;
        int n = 0;

        for (k = 0; k < 3; k++) {
            if (json_get_bool(h, verdicts[k], false)) {
                verdict = verdicts[k];
                n++;
            }
        }
        buf_adds(out, "  ");
        clean(out, json_get_string(h, "title", ""));
        buf_addf(out, ": %s\n", n == 1 ? verdict : "depends on what is not known yet");
    }
}

/* Fields that change, then what else is a precondition. */
static void text_change(const json_t *x, struct buf *out)
{
    const json_t *from = json_object_get(x, "from"), *to = json_object_get(x, "to");
    const char *key;
    json_t *v, *before;

    json_object_foreach((json_t *)to, key, v) {
        before = json_object_get(from, key);
        buf_addf(out, "       %c %s: ", !from ? '?' : !before ? '+' : json_equal(before, v) ? '=' : '~', key);
        if (from && before && !json_equal(before, v)) {
            add_value(out, before, LINE_SHOWN);
            buf_adds(out, " -> ");
        } else if (!from) {
            buf_adds(out, "unknown -> ");
        }
        add_value(out, v, LINE_SHOWN);
        buf_addc(out, '\n');
    }
    json_object_foreach((json_t *)from, key, v) {
        if (json_object_get(to, key))
            continue;
        buf_addf(out, "         %s: ", key);
        add_value(out, v, VALUE_SHOWN);
        buf_adds(out, json_get_bool(x, "later", false) ? " (now)\n" : " (must still be so)\n");
    }
}

static void text_undo(const json_t *x, struct buf *out)
{
    const char *undo = json_get_string(x, "undo", "");
    double for_s = json_number_value(json_object_get(x, "temporary_s"));

    buf_addf(out, "       class %s; ", json_get_string(x, "class", ""));
    if (strcmp(undo, "irreversible") == 0)
        buf_adds(out, "IRREVERSIBLE");
    else if (strcmp(undo, "not needed") == 0)
        buf_adds(out, "needs no undo");
    else
        buf_adds(out, "reversible: what is there now is put back, if nobody else has changed it meanwhile");
    if (for_s > 0) {
        buf_adds(out, "; put back after ");
        add_duration(out, for_s);
        buf_adds(out, " at the latest");
    }
    buf_addc(out, '\n');
}

static void text_approval(const json_t *x, const json_t *remedy, struct buf *out)
{
    const json_t *a = json_object_get(remedy, "approval"), *by = json_object_get(a, "by"), *who;
    const char *why = json_get_string(a, "why", json_get_string(x, "needs_approval", ""));
    size_t i;

    if (!a && !why[0]) {
        buf_adds(out, "       approval: none is needed\n");
        return;
    }
    buf_addf(out, "       approval: %lld", (long long)json_get_int(a, "of", 1));
    buf_adds(out, json_get_int(a, "of", 1) == 1 ? " person" : " people");
    json_array_foreach(by, i, who) {
        buf_adds(out, i ? ", " : " of ");
        clean(out, json_string_value(who) ? json_string_value(who) : "?");
    }
    if (json_object_get(a, "within")) {
        buf_adds(out, " within ");
        add_duration(out, json_number_value(json_object_get(a, "within")));
    }
    if (why[0]) {
        buf_adds(out, " (");
        clean(out, why);
        buf_addc(out, ')');
    }
    buf_addc(out, '\n');
}

static void text_proof(const json_t *x, const json_t *remedy, const struct runbook *book, struct buf *out)
{
    const json_t *v;
    int last = 0;
    size_t i;

    if (json_object_get(x, "temporary_s") || !json_object_get(x, "title"))
        return;
    if (!json_object_get(remedy, "within_s")) {
        buf_adds(out, "       proof: the state read back is the wanted one\n");
        return;
    }
    buf_adds(out, "       proof: within ");
    add_duration(out, json_number_value(json_object_get(remedy, "within_s")));
    buf_addc(out, '\n');
    json_array_foreach(json_object_get(remedy, "verify"), i, v) {
        int line = (int)json_get_int(v, "line", 0);

        if (line == last)
            continue;
        buf_addf(out, "         :%d ", line);
        add_source(out, book, book->file, line);
        last = line;
    }
}

static void text_checks(const json_t *x, struct buf *out)
{
    static const struct {
        const char *key, *yes, *no, *else_;
    } checks[] = {{"permitted", "the target permits it", "the target does NOT permit it", "whether the target permits it: "},
                  {"preflight", "its dry run accepts it", "its dry run REFUSES it", "its dry run: "}};
    size_t i;

    for (i = 0; i < 2; i++) {
        const char *said = json_get_string(x, checks[i].key, NULL);

        if (!said)
            continue;
        buf_addf(out, "       %s", strcmp(said, "yes") == 0 ? checks[i].yes
                                   : strcmp(said, "no") == 0 ? checks[i].no
                                                             : checks[i].else_);
        if (strcmp(said, "yes") != 0)
            add_cut(out, strcmp(said, "no") == 0 ? "" : said, 2 * LINE_SHOWN);
        if (strcmp(said, "no") == 0) {
            buf_adds(out, ": ");
            add_cut(out, json_get_string(x, "denied_why", ""), 2 * LINE_SHOWN);
        }
        buf_addc(out, '\n');
    }
}

static void text_no(const json_t *x, const char *lead, const char *name, struct buf *out)
{
    buf_addf(out, "       %s%s", lead, name);
    if (json_get_string(x, "why", "")[0]) {
        buf_adds(out, ": ");
        add_cut(out, json_get_string(x, "why", ""), 3 * LINE_SHOWN);
    }
    buf_addc(out, '\n');
}

static void text_effect(size_t n, const json_t *plan, const json_t *x, const struct runbook *book, struct buf *out)
{
    const char *title = json_get_string(x, "title", NULL), *unknown = json_get_string(x, "unknown", NULL);
    const json_t *remedy = json_object_get(json_object_get(plan, "remedies"), title ? title : "");

    buf_addf(out, "  %2zu.  ", n);
    if (title) {
        clean(out, title);
        buf_adds(out, ": ");
    }
    buf_addf(out, "%s ", json_get_string(x, "effect", ""));
    clean(out, json_get_string(x, "target", ""));
    buf_addf(out, "   :%lld\n", (long long)json_get_int(x, "line", 0));
    if (unknown)
        text_no(x, "UNKNOWN EFFECT: ", unknown, out);
    if (json_object_get(x, "refused"))
        text_no(x, "REFUSED: ", json_get_string(x, "refused", ""), out);
    if (json_get_bool(x, "already", false)) {
        buf_adds(out, "       is so already; nothing would be sent\n");
        return;
    }
    if (!json_object_get(x, "to")) {
        buf_adds(out, "       with ");
        add_value(out, json_object_get(x, "args"), 2 * LINE_SHOWN);
        buf_addc(out, '\n');
        return;
    }
    text_change(x, out);
    text_undo(x, out);
    text_approval(x, remedy, out);
    text_checks(x, out);
    text_proof(x, remedy, book, out);
}

static void tree_row(void *ctx, const struct map_row *r)
{
    struct buf *out = ctx;

    buf_addf(out, "%*s", 2 * r->depth + TREE_INDENT, "");
    if (r->label && r->kind != MAP_MORE)
        buf_addf(out, "[%d] ", r->label);
    buf_adds(out, r->kind == MAP_EFFECT ? "=> " : "");
    clean(out, r->text);
    if (r->kind == MAP_MORE)
        buf_addf(out, "%s-> as [%d]", r->text[0] ? " " : "", r->label);
    if (r->outcome) {
        buf_adds(out, r->text[0] ? " -> " : "-> ");
        clean(out, r->outcome);
    }
    if (r->line)
        buf_addf(out, "  :%d", r->line);
    buf_addc(out, '\n');
}

static void text_end(const json_t *plan, const struct runbook *book, struct buf *out)
{
    const json_t *x;
    size_t i, would = 0, unknown = 0, refused = 0;

    json_array_foreach(json_object_get(plan, "effects"), i, x) {
        unknown += json_object_get(x, "unknown") != NULL;
        refused += json_object_get(x, "refused") != NULL || json_object_get(x, "denied_by") != NULL;
        would += !json_object_get(x, "unknown") && !json_object_get(x, "refused") && !json_object_get(x, "denied_by") &&
                 !json_get_bool(x, "already", false);
    }
    buf_addf(out, "\nPlan: %zu effect%s to make, %zu unknown, %zu refused. At most ", would, would == 1 ? "" : "s", unknown,
             refused);
    add_duration(out, (double)book->time_ms / 1000);
    buf_addf(out, ", %lld remed%s, %lld target%s. Nothing was changed.\n", (long long)book->remedies,
             book->remedies == 1 ? "y" : "ies", (long long)book->targets, book->targets == 1 ? "" : "s");
}

void plan_text(const json_t *plan, const struct runbook *book, struct buf *out)
{
    const json_t *x;
    const char *ended = json_get_string(plan, "ended", "");
    size_t i;

    text_head(plan, out);
    text_reads(plan, out);
    text_decisions(plan, book, out);
    if (json_array_size(json_object_get(plan, "effects")))
        buf_adds(out, "\nWould change\n");
    json_array_foreach(json_object_get(plan, "effects"), i, x)
        text_effect(i + 1, plan, x, book, out);
    buf_adds(out, "\nWhat would happen\n");
    map_rows(plan, tree_row, out);
    if (strcmp(ended, "all") != 0)
        buf_addf(out, "  not explored: the rest, because of the bound on %s\n", ended);
    json_array_foreach(json_object_get(plan, "notes"), i, x) {
        buf_adds(out, "  ");
        if (json_get_int(x, "line", 0))
            buf_addf(out, ":%lld ", (long long)json_get_int(x, "line", 0));
        buf_adds(out, "not explored: ");
        clean(out, json_get_string(x, "what", ""));
        buf_adds(out, ": ");
        clean(out, json_get_string(x, "why", ""));
        buf_addc(out, '\n');
    }
    text_end(plan, book, out);
}
