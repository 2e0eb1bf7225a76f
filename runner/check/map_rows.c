/* SPDX-License-Identifier: Apache-2.0 */
/* The decision tree as lines: forks without words are taken together with what is behind them, ways that all end in handing
 * over at the same place are one line, and what was told already is referred to. */
#include "check/map.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 200

struct rows {
    const json_t *nodes;
    int *uses;                      /* how often a node is gone to */
    int *labels;                    /* of those that were told: their label; -1 = told, nobody refers to it */
    int nlabels;
    void (*row)(void *ctx, const struct map_row *r);
    void *ctx;
};

struct way {
    const char *text;
    int more, to;
};

struct ways {
    struct way *v;
    size_t n;
};

static const json_t *node_at(const struct rows *w, int place)
{
    return json_array_get(w->nodes, (size_t)place - 1);
}

static const char *kind_of(const json_t *node)
{
    return json_get_string(node, "kind", "");
}

static bool is_leaf(const json_t *node)
{
    return strcmp(kind_of(node), "leaf") == 0 || strcmp(kind_of(node), "bound") == 0;
}

static void add_way(struct ways *ws, const char *text, int more, int to)
{
    if ((ws->n & (ws->n + 1)) == 0)
        ws->v = xrealloc(ws->v, (2 * ws->n + 2) * sizeof(*ws->v));
    ws->v[ws->n++] = (struct way){text, more, to};
}

/* The ways of a node; a way without words to another fork stands for that one's. */
static void ways_of(const struct rows *w, const json_t *node, struct ways *ws)
{
    const json_t *way;
    size_t i;

    json_array_foreach(json_object_get(node, "of"), i, way) {
        const char *text = json_get_string(way, "text", "");
        int to = (int)json_get_int(way, "to", 0);
        const json_t *next = node_at(w, to);

        if (!text[0] && json_array_size(json_object_get(next, "of")) > 1 && w->labels[to] == 0 && w->uses[to] == 1)
            ways_of(w, next, ws);
        else
            add_way(ws, text, (int)json_get_int(way, "more", 0), to);
    }
}

static void count(struct rows *w, int place)
{
    const json_t *node = node_at(w, place), *way;
    size_t i;

    if (w->uses[place]++)
        return;
    json_array_foreach(json_object_get(node, "of"), i, way)
        count(w, (int)json_get_int(way, "to", 0));
}

static void tell(struct rows *w, enum map_row_kind kind, int depth, int line, const char *text, const char *outcome, int label)
{
    struct map_row r = {.kind = kind, .depth = depth, .line = line, .text = text, .outcome = outcome, .label = label};

    w->row(w->ctx, &r);
}

static void tell_leaf(struct rows *w, const char *way, const json_t *leaf, int depth)
{
    struct buf text = BUF_INIT(64 * KIB), outcome = BUF_INIT(4 * KIB);
    bool is_bound = strcmp(kind_of(leaf), "bound") == 0;

    buf_adds(&text, way);
    if (is_bound)
        buf_addf(&outcome, "not explored: %s; %s", json_get_string(leaf, "what", ""), json_get_string(leaf, "text", ""));
    else
        buf_addf(&outcome, "%s (%s)", json_get_string(leaf, "outcome", ""), json_get_string(leaf, "reason", ""));
    tell(w, is_bound ? MAP_BOUND : MAP_LEAF, depth, (int)json_get_int(leaf, "line", 0), buf_text(&text), buf_text(&outcome), 0);
    buf_free(&text);
    buf_free(&outcome);
}

/* True for a way that ends at once in handing over, where the language does so by itself. */
static bool hands_over(const struct rows *w, const struct way *way, int line)
{
    const json_t *leaf = node_at(w, way->to);

    return strcmp(kind_of(leaf), "leaf") == 0 && strcmp(json_get_string(leaf, "outcome", ""), "escalated") == 0 &&
           strcmp(json_get_string(leaf, "reason", ""), "runbook") != 0 && json_get_int(leaf, "line", 0) == line;
}

static void tell_handovers(struct rows *w, const struct ways *ws, int line, int depth)
{
    struct buf text = BUF_INIT(64 * KIB), reasons = BUF_INIT(4 * KIB);
    size_t i;

    buf_adds(&reasons, "escalated (");
    for (i = 0; i < ws->n; i++) {
        const char *reason = json_get_string(node_at(w, ws->v[i].to), "reason", "");

        if (!hands_over(w, &ws->v[i], line))
            continue;
        buf_addf(&text, "%s%s", text.len ? "; or " : "", ws->v[i].text);
        if (!strstr(buf_text(&reasons), reason))
            buf_addf(&reasons, "%s%s", buf_text(&reasons)[reasons.len - 1] == '(' ? "" : ", ", reason);
    }
    buf_addc(&reasons, ')');
    tell(w, MAP_LEAF, depth, line, buf_text(&text), buf_text(&reasons), 0);
    buf_free(&text);
    buf_free(&reasons);
}

static void walk(struct rows *w, const char *way, int place, int depth);

static void tell_ways(struct rows *w, const json_t *node, int depth)
{
    struct ways ws = {0};
    int line = (int)json_get_int(node, "line", 0);
    size_t i, handed = 0;

    ways_of(w, node, &ws);
    for (i = 0; i < ws.n; i++)
        handed += hands_over(w, &ws.v[i], line);
    for (i = 0; i < ws.n; i++) {
        if (handed < 2 || !hands_over(w, &ws.v[i], line))
            walk(w, ws.v[i].text, ws.v[i].to, depth);
    }
    if (handed >= 2)
        tell_handovers(w, &ws, line, depth);
    free(ws.v);
}

/* One way and what is behind it. */
static void walk(struct rows *w, const char *way, int place, int depth)
{
    const json_t *node = node_at(w, place);
    int line = (int)json_get_int(node, "line", 0);
    const char *text;
    size_t n = json_array_size(json_object_get(node, "of"));
    const char *kind = kind_of(node);
    bool is_effect = strcmp(kind, "effect") == 0, is_step = is_effect || strcmp(kind, "ask") == 0 || strcmp(kind, "skip") == 0;

    if (is_leaf(node)) {
        tell_leaf(w, way, node, depth);
        return;
    }
    if (depth > DEPTH_MAX) {
        tell(w, MAP_BOUND, depth, line, way, "deeper than can be shown", 0);
        return;
    }
    if (w->labels[place]) {
        tell(w, MAP_MORE, depth, line, way, NULL, w->labels[place]);
        return;
    }
    w->labels[place] = w->uses[place] > 1 ? ++w->nlabels : -1;
    if (way[0]) {
        tell(w, MAP_ASK, depth, line, way, NULL, w->labels[place] > 0 ? w->labels[place] : 0);
        depth++;
    }
    text = json_get_string(node, "text", "");
    if (is_step) {
        tell(w, is_effect ? MAP_EFFECT : MAP_STEP, depth, line, text, NULL,
             !way[0] && w->labels[place] > 0 ? w->labels[place] : 0);
        depth++;
    }
    if (n == 1 && !json_get_string(json_array_get(json_object_get(node, "of"), 0), "text", "")[0])
        walk(w, "", (int)json_get_int(json_array_get(json_object_get(node, "of"), 0), "to", 0), depth);
    else
        tell_ways(w, node, depth);
}

void map_rows(const json_t *map, void (*row)(void *ctx, const struct map_row *r), void *ctx)
{
    struct rows w = {.nodes = json_object_get(map, "nodes"), .row = row, .ctx = ctx};
    size_t n = json_array_size(w.nodes);
    int root = (int)json_get_int(map, "root", 0);

    if (root == 0)
        return;
    w.uses = xcalloc(n + 1, sizeof(*w.uses));
    w.labels = xcalloc(n + 1, sizeof(*w.labels));
    count(&w, root);
    walk(&w, "", root, 0);
    free(w.uses);
    free(w.labels);
}

static void text_row(void *ctx, const struct map_row *r)
{
    struct buf *out = ctx;

    buf_addf(out, "%*s", 2 * r->depth, "");
    if (r->label && r->kind != MAP_MORE)
        buf_addf(out, "[%d] ", r->label);
    buf_addf(out, "%s%s", r->kind == MAP_EFFECT ? "=> " : "", r->text);
    if (r->kind == MAP_MORE)
        buf_addf(out, "%s-> as [%d]", r->text[0] ? " " : "", r->label);
    if (r->outcome)
        buf_addf(out, "%s-> %s", r->text[0] ? " " : "", r->outcome);
    if (r->line)
        buf_addf(out, "  :%d", r->line);
    buf_addc(out, '\n');
}

static const char *ended_text(const json_t *map)
{
    const char *ended = json_get_string(map, "ended", "");

    if (strcmp(ended, "paths") == 0)
        return ", then the bound on paths was reached: the rest is not explored";
    return strcmp(ended, "time") == 0 ? ", then the time was over: the rest is not explored" : "";
}

void map_text(const json_t *map, struct buf *out)
{
    const json_t *note;
    size_t i;

    buf_addf(out, "%s: %lld paths%s\n\n", json_get_string(map, "file", ""), (long long)json_get_int(map, "explored", 0),
             ended_text(map));
    map_rows(map, text_row, out);
    json_array_foreach(json_object_get(map, "notes"), i, note)
        buf_addf(out, "%s%s:%lld: not explored: %s: %s\n", i ? "" : "\n", json_get_string(note, "file", ""),
                 (long long)json_get_int(note, "line", 0), json_get_string(note, "what", ""), json_get_string(note, "why", ""));
}
