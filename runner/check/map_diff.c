/* SPDX-License-Identifier: Apache-2.0 */
/* How a change alters decisions: paths of two maps are the same decision if their conditions are; what they come to is
 * compared then. Places in the file are not. What only moved a condition is found by map_moved. */
#include "check/map.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

static char *key_of(const json_t *path)
{
    struct buf key = BUF_INIT(64 * KIB);
    const json_t *c;
    char *out;
    size_t i;

    json_array_foreach(json_object_get(path, "conditions"), i, c)
        buf_addf(&key, "%s%s", i ? ", " : "", json_get_string(c, "text", ""));
    out = xstrndup(key.len ? key.data : "always", key.len ? key.len : 6);
    buf_free(&key);
    return out;
}

/* "kubernetes.rollback prod-eu:deployment/prod/api (verified) -> resolved (verified)" */
static char *decision_of(const json_t *path)
{
    struct buf d = BUF_INIT(64 * KIB);
    const json_t *x;
    char *out;
    size_t i;

    json_array_foreach(json_object_get(path, "effects"), i, x) {
        if (json_object_get(x, "effect"))
            buf_addf(&d, "%s %s (%s), ", json_get_string(x, "effect", ""), json_get_string(x, "target", ""),
                     json_get_string(x, "outcome", ""));
    }
    buf_addf(&d, "%s (%s)", json_get_string(path, "outcome", ""), json_get_string(path, "reason", ""));
    out = xstrndup(d.data, d.len);
    buf_free(&d);
    return out;
}

/* By their conditions: {"conditions": their texts, "to": what they come to}. */
static json_t *decisions(const json_t *map)
{
    json_t *out = json_object(), *path;
    size_t i;

    json_array_foreach(json_object_get(map, "paths"), i, path) {
        char *key = key_of(path), *decision = decision_of(path);
        json_t *texts = json_array();
        const json_t *c;
        size_t k;

        json_array_foreach(json_object_get(path, "conditions"), k, c)
            json_array_append_new(texts, json_string(json_get_string(c, "text", "")));
        json_object_set_new(out, key, json_pack("{s:o s:s}", "conditions", texts, "to", decision));
        free(key);
        free(decision);
    }
    return out;
}

/* Those of `a` that `b` does not have. */
static json_t *without(json_t *a, const json_t *b)
{
    json_t *out = json_object(), *v;
    const char *key;

    json_object_foreach(a, key, v) {
        if (!json_object_get(b, key))
            json_object_set(out, key, v);
    }
    return out;
}

/* The conditions that moved, then what came to something else, what is gone and what is new. */
static json_t *compare(json_t *before, json_t *after)
{
    json_t *removed = without(before, after), *added = without(after, before), *out = map_moved(removed, added), *v;
    const char *key;

    json_object_foreach(before, key, v) {
        const char *was = json_get_string(v, "to", ""), *is = json_get_string(json_object_get(after, key), "to", was);

        if (strcmp(was, is) != 0)
            json_array_append_new(
                out, json_pack("{s:s s:s s:s s:s}", "what", "different", "when", key, "before", was, "after", is));
    }
    json_object_foreach(removed, key, v) json_array_append_new(
        out, json_pack("{s:s s:s s:O}", "what", "removed", "when", key, "before", json_object_get(v, "to")));
    json_object_foreach(added, key, v) json_array_append_new(
        out, json_pack("{s:s s:s s:O}", "what", "added", "when", key, "after", json_object_get(v, "to")));
    json_decref(removed);
    json_decref(added);
    return out;
}

void map_add_cell(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (strchr("|<>`*_\\", *s))
            buf_addc(out, '\\');
        buf_addc(out, *s);
    }
}

static void as_markdown(const json_t *list, struct buf *out)
{
    const json_t *d;
    size_t i;

    buf_adds(out, "| | when | before | after |\n|---|---|---|---|\n");
    json_array_foreach(list, i, d) {
        buf_addf(out, "| %s | ", json_get_string(d, "what", ""));
        map_add_cell(out, json_get_string(d, "when", ""));
        buf_adds(out, " | ");
        map_add_cell(out, json_get_string(d, "before", ""));
        buf_adds(out, " | ");
        map_add_cell(out, json_get_string(d, "after", ""));
        buf_adds(out, " |\n");
    }
}

static void as_text(const json_t *list, struct buf *out)
{
    const json_t *d;
    size_t i;

    json_array_foreach(list, i, d) {
        const char *before = json_get_string(d, "before", NULL), *after = json_get_string(d, "after", NULL);

        buf_addf(out, "%s: %s\n", json_get_string(d, "what", ""), json_get_string(d, "when", ""));
        if (before)
            buf_addf(out, "  - %s\n", before);
        if (after)
            buf_addf(out, "  + %s\n", after);
    }
}

size_t map_diff(const json_t *before, const json_t *after, const char *form, struct buf *out)
{
    json_t *a = decisions(before), *b = decisions(after), *list = compare(a, b), *d;
    size_t n = 0, all = json_object_size(b), i;

    json_array_foreach(list, i, d) {
        n += (size_t)json_get_int(d, "decisions", 1);
        all += strcmp(json_get_string(d, "what", ""), "removed") == 0;
    }

    if (strcmp(form, "json") == 0) {
        json_add_value(out, list);
        buf_addc(out, '\n');
    } else {
        bool is_markdown = strcmp(form, "markdown") == 0;

        buf_addf(out, is_markdown ? "**%s**: %zu of %zu decisions change\n\n" : "%s: %zu of %zu decisions change\n",
                 json_get_string(after, "runbook", ""), n, all);
        if (n && strcmp(form, "markdown") == 0)
            as_markdown(list, out);
        else
            as_text(list, out);
    }
    json_decref(a);
    json_decref(b);
    json_decref(list);
    return n;
}
