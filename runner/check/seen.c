/* SPDX-License-Identifier: Apache-2.0 */
#include "check/seen.h"

#include "base/json.h"
#include "base/slice.h"

#include <stdio.h>
#include <string.h>

void seen_init(struct seen *s, struct cover *cover, bool wants_all)
{
    *s = (struct seen){.cover = cover, .effects = json_array()};
    if (wants_all)
        s->all = json_pack("{s:[] s:{}}", "events", "plans");
}

void seen_deinit(struct seen *s)
{
    json_decref(s->effects);
    json_decref(s->all);
}

/* "undo kubernetes.scale deployment/prod/api" of an INTENT row. */
static void see_intent(struct seen *s, const struct row *row)
{
    json_t *args = NULL;
    char text[900];
    const char *target, *colon;
    bool undo = json_slice(row->payload, "undo_of").n > 0;

    if (json_slice_int(row->payload, "attempt", 1) > 1 || json_read(row->args, &args, NULL) < 0)
        return;
    target = json_get_string(args, "target", "");
    colon = strchr(target, ':');
    snprintf(text, sizeof(text), "%s%.*s %.600s", undo ? "undo " : "", (int)row->name.n, row->name.p,
             colon ? colon + 1 : target);
    json_array_append_new(s->effects, json_string(text));
    json_decref(args);
}

/* What happened, as a line that equal decisions have in common; of a plan, what is wanted. */
static void see_event(struct seen *s, const struct row *row)
{
    static const char *const words[] = {"outcome", "verdict", "answer", "why"};
    struct str word = {0};
    json_t *plan = NULL;
    char text[700];
    size_t i;

    for (i = 0; i < 8 && word.n == 0; i++)
        word = json_slice(i % 2 ? row->args : row->payload, words[i / 2]);
    snprintf(text, sizeof(text), "%s %.*s: %.*s", row_kind_name(row->kind), (int)row->name.n, row->name.p, (int)word.n, word.p);
    if (row->kind != ROW_PLAN)
        json_array_append_new(json_object_get(s->all, "events"), json_string(text));
    else if (json_read(row->payload, &plan, NULL) == 0)
        json_object_set(json_object_get(s->all, "plans"), json_get_string(plan, "target", ""), json_object_get(plan, "to"));
    json_decref(plan);
}

static bool is_event(enum row_kind kind)
{
    return kind == ROW_PLAN || kind == ROW_RESULT || kind == ROW_UNKNOWN || kind == ROW_SKIP || kind == ROW_ANSWER ||
           kind == ROW_VERIFY;
}

void seen_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct seen *s = ctx;

    (void)r;
    if (replayed)           /* rebuilt from its journal, which it was seen to write */
        return;
    if (s->all && is_event(row->kind))
        see_event(s, row);
    if (row->kind == ROW_INTENT)
        see_intent(s, row);
    else if (row->kind == ROW_VERDICT && s->cover)
        cover_verdict(s->cover, row->name, row->args);
    else if (row->kind == ROW_CAUSE)
        snprintf(s->cause, sizeof(s->cause), "%.*s", (int)row->name.n, row->name.p);
}

json_t *seen_take(struct seen *s, const struct run *r)
{
    const char *reason = run_reason(r), *text = run_text(r), *end = NULL;

    if (!s->all)
        return NULL;
    /* Where something raised, its place (or what is unknown) tells it from a run that went on and decided all the same. */
    if (strcmp(reason, "error") == 0)
        end = strstr(text, ": ");
    else if (strcmp(reason, "no_data") == 0 || strcmp(reason, "inconclusive_cause") == 0)
        end = strstr(text, " is unknown");
    json_object_update_new(s->all, json_pack("{s:s s:O s:s%}", "cause", s->cause, "effects", s->effects, "end", text,
                                             end ? (size_t)(end - text) : 0));
    return json_incref(s->all);
}
