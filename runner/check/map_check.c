/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a map. A bound is a finding as well: what was not explored is not known to be right. */
#include "check/map.h"

#include "base/json.h"
#include "book/book.h"

#include <stdio.h>
#include <string.h>

/* The same on other paths is counted. `when`: the conditions of a path that shows it, or "". */
static void found(json_t *map, const char *file, int64_t line, const char *rule, const char *why, const char *when,
                  const char *mend)
{
    json_t *findings = json_object_get(map, "findings"), *old;
    size_t i;

    json_array_foreach(findings, i, old) {
        if (json_get_int(old, "line", 0) != line || strcmp(json_get_string(old, "rule", ""), rule) != 0 ||
            strcmp(json_get_string(old, "why", ""), why) != 0)
            continue;
        json_object_set_new(old, "paths", json_integer((json_int_t)json_get_int(old, "paths", 1) + 1));
        return;
    }
    json_array_append_new(findings, json_pack("{s:s s:I s:i s:s s:s s:s s:s s:i}", "file", file, "line", (json_int_t)line,
                                              "column", 1, "rule", rule, "why", why, "when", when, "mend", mend, "paths", 1));
}

/* "p95 > 2 s, infer > 1 s": the last conditions of a path. */
static void conditions(const json_t *path, char *out, size_t size)
{
    const json_t *list = json_object_get(path, "conditions");
    size_t n = json_array_size(list), i, len = 0;

    out[0] = '\0';
    for (i = n > 4 ? n - 4 : 0; i < n && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : n > 4 ? "..., " : "",
                                json_get_string(json_array_get(list, i), "text", ""));
}

static void judge_path(json_t *map, const json_t *path)
{
    const char *reason = json_get_string(path, "reason", ""), *file = json_get_string(path, "file", "");
    int64_t line = json_get_int(path, "line", 0);
    char when[600], why[900];
    const json_t *effect;
    size_t i;

    conditions(path, when, sizeof(when));
    if (strcmp(reason, "fell_off_end") == 0) {
        found(map, file, line, "no_outcome", "the code ends without an outcome", when,
              "end every way with resolve, no_action or escalate");
    } else if (strcmp(reason, "error") == 0) {
        snprintf(why, sizeof(why), "an error: %.600s", json_get_string(path, "text", ""));
        found(map, file, line, "error", why, when, "handle this case");
    } else if (strcmp(reason, "not_allowed") == 0 && !strstr(json_get_string(path, "text", ""), " is not known before")) {
        snprintf(why, sizeof(why), "this effect is reached and not permitted: %.600s", json_get_string(path, "text", ""));
        found(map, file, line, "may_narrow", why, when, "add it to `may`, or do not do it");
    }
    json_array_foreach(json_object_get(path, "effects"), i, effect) {
        if (strcmp(json_get_string(effect, "undo", ""), "irreversible") != 0 || json_object_get(effect, "approved") ||
            !json_object_get(effect, "needs_approval"))
            continue;
        snprintf(why, sizeof(why), "%s %s cannot be undone, and nobody agrees to it", json_get_string(effect, "effect", ""),
                 json_get_string(effect, "target", ""));
        found(map, json_get_string(effect, "file", file), json_get_int(effect, "line", 0), "unapproved", why, when,
              "approve = true in its remedy");
    }
}

static void judge_may(json_t *map, const struct runbook *b)
{
    const json_t *place;
    char why[900];
    size_t i;

    json_array_foreach(json_object_get(map, "may_unused"), i, place) {
        const struct may *m = &b->may[json_integer_value(place)];

        snprintf(why, sizeof(why), "`may` permits %s on %s, which is not reached in this map", m->effect, m->target);
        found(map, b->file, m->line, "may_wide", why, "", "take it out, or use it");
    }
}

/* A default is the author's word for what a missing answer means; that it changes something must be seen, and is not wrong. */
static void judge_defaults(json_t *map, const char *file)
{
    json_t *findings = json_object_get(map, "findings");
    const json_t *x;
    char why[900];
    size_t i;

    json_array_foreach(json_object_get(map, "by_default"), i, x) {
        snprintf(why, sizeof(why), "%s %s comes when %s (line %lld) is not there and its default stands in for it, and does not for "
                 "every value of it", json_get_string(x, "effect", ""), json_get_string(x, "target", ""),
                 json_get_string(x, "read", ""), (long long)json_get_int(x, "read_line", 0));
        found(map, json_get_string(x, "file", file), json_get_int(x, "line", 0), "default_data", why, "",
              "a warning: be sure that no data means what the default says");
        json_object_set_new(json_array_get(findings, json_array_size(findings) - 1), "level", json_string("warning"));
    }
}

void map_judge(json_t *map, const struct runbook *b)
{
    static const char simpler[] = "fix parameters with -p, or make it simpler";
    static const char more_time[] = "give it longer with --within, fix parameters with -p, or make it simpler";
    const char *file = json_get_string(map, "file", ""), *ended = json_get_string(map, "ended", "");
    const json_t *x;
    char why[900];
    size_t i;

    json_object_set_new(map, "findings", json_array());
    json_array_foreach(json_object_get(map, "paths"), i, x)
        judge_path(map, x);
    json_array_foreach(json_object_get(map, "unknown"), i, x) {
        snprintf(why, sizeof(why), "%s %s comes when %s (line %lld) is unknown, and does not for every value of it",
                 json_get_string(x, "effect", ""), json_get_string(x, "target", ""), json_get_string(x, "read", ""),
                 (long long)json_get_int(x, "read_line", 0));
        found(map, json_get_string(x, "file", file), json_get_int(x, "line", 0), "unknown_data", why, "",
              "missing data must not lead to a change: escalate, or look at something else");
    }
    judge_defaults(map, file);
    json_array_foreach(json_object_get(map, "notes"), i, x) {
        snprintf(why, sizeof(why), "not explored: %s: %s", json_get_string(x, "what", ""), json_get_string(x, "why", ""));
        found(map, json_get_string(x, "file", file), json_get_int(x, "line", 0), "not_explored", why, "",
              "what is behind it is not known to be right");
    }
    if (strcmp(ended, "all") != 0) {
        snprintf(why, sizeof(why), "not explored: the bound on %s was reached after %lld paths", ended,
                 (long long)json_get_int(map, "explored", 0));
        found(map, file, 0, "not_explored", why, "", strcmp(ended, "time") == 0 ? more_time : simpler);
        return;         /* what was not reached may be reached behind the bound */
    }
    json_array_foreach(json_object_get(map, "hypotheses"), i, x) {
        if (json_get_bool(x, "supported", false))
            continue;
        snprintf(why, sizeof(why), "the hypothesis \"%s\" is never supported in this map", json_get_string(x, "title", ""));
        found(map, file, json_get_int(x, "line", 0), "hypothesis", why, "",
              "its test cannot hold; what follows it is never done");
    }
    judge_may(map, b);
}
