/* SPDX-License-Identifier: Apache-2.0 */
/* A map as a page of documentation: what its runbook is, what starts it, what it may change, and the tree. It holds nothing
 * that depends on the machine that drew it: where time ended the exploring there is no tree. */
#include "check/map.h"

#include "base/json.h"
#include "base/limits.h"

#include <string.h>

static void add_text(json_t *list, struct buf *text)
{
    json_array_append_new(list, json_string(buf_text(text)));
    buf_free(text);
}

static void add_trigger(json_t *list, const struct trigger_offer *t)
{
    static const char *const kinds[] = {[OFFER_ALERT] = "alert", [OFFER_CHAT] = "chat", [OFFER_SCHEDULE] = "schedule"};
    struct buf text = BUF_INIT(64 * KIB);
    const char *key, *comma = " ";
    const json_t *v;

    buf_adds(&text, kinds[t->kind]);
    if (json_is_string(t->what))
        buf_addf(&text, " \"%s\"", json_string_value(t->what));
    json_object_foreach(t->what, key, v) {
        buf_addf(&text, "%s%s = ", comma, key);
        json_add_value(&text, v);
        comma = " and ";
    }
    add_text(list, &text);
}

static void add_parameter(json_t *list, const struct param *p)
{
    struct buf text = BUF_INIT(64 * KIB);
    size_t i;

    buf_adds(&text, p->name);
    for (i = 0; i < p->none_of; i++)
        buf_addf(&text, "%s%s", i ? " | " : ": ", p->one_of[i]);
    if (p->from)
        buf_addf(&text, ", from %s", p->from);
    if (p->absent) {
        buf_adds(&text, ", else ");
        json_add_value(&text, p->absent);
    } else {
        buf_adds(&text, p->optional ? ", optional" : ", required");
    }
    add_text(list, &text);
}

static void add_bound(struct buf *text, const struct bound *b)
{
    size_t i;

    buf_addf(text, ", %s", b->arg);
    if (b->has_min)
        buf_addf(text, " from %g", b->min);
    if (b->has_max)
        buf_addf(text, " up to %g", b->max);
    for (i = 0; i < b->none_of; i++)
        buf_addf(text, "%s%s", i ? " | " : " = ", b->one_of[i]);
}

static void add_permission(json_t *list, const struct may *m)
{
    struct buf text = BUF_INIT(64 * KIB);
    size_t i;

    buf_addf(&text, "%s %s", m->effect, m->target);
    for (i = 0; i < m->nbounds; i++)
        add_bound(&text, &m->bounds[i]);
    if (m->at_most)
        buf_addf(&text, ", at most %lld of them", (long long)m->at_most);
    add_text(list, &text);
}

json_t *map_about(const struct runbook *b)
{
    json_t *triggers = json_array(), *params = json_array(), *may = json_array();
    size_t i;

    for (i = 0; i < b->ntriggers; i++)
        add_trigger(triggers, &b->triggers[i]);
    for (i = 0; i < b->nparams; i++)
        add_parameter(params, &b->params[i]);
    for (i = 0; i < b->nmay; i++)
        add_permission(may, &b->may[i]);
    return json_pack("{s:s s:s s:s s:o s:o s:o}", "summary", b->summary ? b->summary : "", "owner", b->owner ? b->owner : "",
                     "severity", b->severity ? b->severity : "", "triggers", triggers, "params", params, "may", may);
}

static void add_row(const char *name, const json_t *about, const char *key, const char *nothing, struct buf *out)
{
    const json_t *v = json_object_get(about, key), *one;
    size_t i;

    buf_addf(out, "| %s | ", name);
    map_add_cell(out, json_is_string(v) ? json_string_value(v) : "");
    json_array_foreach(v, i, one) {
        buf_adds(out, i ? "<br>" : "");
        map_add_cell(out, json_string_value(one));
    }
    if (json_is_array(v) ? json_array_size(v) == 0 : !json_string_value(v)[0])
        buf_adds(out, nothing);
    buf_adds(out, " |\n");
}

void map_markdown(const json_t *map, struct buf *out)
{
    const json_t *about = json_object_get(map, "about");

    buf_addf(out, "# %s\n\n%s\n\n| | |\n|---|---|\n", json_get_string(map, "runbook", ""), json_get_string(about, "summary", ""));
    add_row("severity", about, "severity", "not said", out);
    add_row("kept by", about, "owner", "nobody", out);
    add_row("started by", about, "triggers", "the command line", out);
    add_row("takes", about, "params", "nothing", out);
    add_row("may change", about, "may", "nothing", out);
    if (strcmp(json_get_string(map, "ended", ""), "time") == 0) {
        buf_adds(out, "\nIts code has more ways than are followed in the time for it, so they are not drawn.\n");
        return;
    }
    buf_adds(out, "\nAll ways through its code. `=>` is a change, `->` an end, `:81` a line of the runbook.\n\n```text\n");
    map_text(map, out);
    buf_adds(out, "```\n");
}
