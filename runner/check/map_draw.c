/* SPDX-License-Identifier: Apache-2.0 */
/* A map as a picture: Mermaid for Markdown, and SVG that needs nothing else. */
#include "check/map.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX 90     /* characters in one box or on one edge */

/* Text between quotes of Mermaid. */
static void add_mermaid(struct buf *out, const char *s)
{
    size_t n = 0;

    for (; *s && n < TEXT_MAX; s++, n++) {
        if (strchr("\"#<>&|[]{}()`", *s))
            buf_addf(out, "#%d;", (unsigned char)*s);
        else
            buf_addc(out, (unsigned char)*s < ' ' ? ' ' : *s);
    }
    while (((unsigned char)*s & 0xc0) == 0x80)
        buf_addc(out, *s++);
    if (*s)
        buf_adds(out, "...");
}

static void mermaid_node(const json_t *node, int place, struct buf *out)
{
    const char *kind = json_get_string(node, "kind", ""), *open = "{{\"", *close = "\"}}";
    const char *text = json_get_string(node, "text", json_get_string(node, "title", json_get_string(node, "about", kind)));
    struct buf label = BUF_INIT(64 * KIB);

    if (strcmp(kind, "leaf") == 0) {
        open = "([\"", close = "\"])";
        buf_addf(&label, "%s: %s", json_get_string(node, "outcome", ""), json_get_string(node, "reason", ""));
    } else if (strcmp(kind, "bound") == 0) {
        open = "[/\"", close = "\"/]";
        buf_addf(&label, "not explored: %s", json_get_string(node, "what", ""));
    } else if (strcmp(kind, "effect") == 0 || strcmp(kind, "ask") == 0 || strcmp(kind, "skip") == 0) {
        open = "[[\"", close = "\"]]";
        buf_adds(&label, text);
    } else if (strcmp(kind, "look") == 0) {
        buf_adds(&label, "look");
    } else {
        buf_addf(&label, "%s?", text);
    }
    buf_addf(out, "  n%d%s", place, open);
    add_mermaid(out, buf_text(&label));
    buf_addf(out, "%s\n", close);
    buf_free(&label);
}

void map_mermaid(const json_t *map, struct buf *out)
{
    const json_t *node, *way;
    size_t i, k;

    buf_adds(out, "flowchart TD\n");
    json_array_foreach(json_object_get(map, "nodes"), i, node)
        mermaid_node(node, (int)i + 1, out);
    json_array_foreach(json_object_get(map, "nodes"), i, node) {
        json_array_foreach(json_object_get(node, "of"), k, way) {
            const char *text = json_get_string(way, "text", "");

            buf_addf(out, "  n%zu -->", i + 1);
            if (text[0]) {
                buf_adds(out, "|\"");
                add_mermaid(out, text);
                buf_adds(out, "\"|");
            }
            buf_addf(out, " n%lld\n", (long long)json_get_int(way, "to", 0));
        }
    }
}

#define ROW 20
#define INDENT 22
#define CHARACTER 7.3

struct drawing {
    struct buf body;
    int row, open[256];             /* the row of the last line at each depth */
    double width;
};

static void add_xml(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '&')
            buf_adds(out, "&amp;");
        else if (*s == '<')
            buf_adds(out, "&lt;");
        else if (*s == '>')
            buf_adds(out, "&gt;");
        else if ((unsigned char)*s >= ' ')
            buf_addc(out, *s);
    }
}

static const char *class_of(const struct map_row *r)
{
    static const char *const classes[] = {"ask", "step", "effect", "leaf", "more", "bound"};

    if (r->kind == MAP_LEAF && r->outcome && strncmp(r->outcome, "escalated", 9) == 0)
        return "over";
    return classes[r->kind];
}

static void svg_row(void *ctx, const struct map_row *r)
{
    struct drawing *d = ctx;
    int depth = r->depth < 250 ? r->depth : 250, x = 20 + depth * INDENT, y = 30 + d->row * ROW;
    struct buf text = BUF_INIT(64 * KIB);

    if (r->label && r->kind != MAP_MORE)
        buf_addf(&text, "[%d] ", r->label);
    buf_adds(&text, r->text);
    if (r->kind == MAP_MORE)
        buf_addf(&text, " \xe2\x86\x92 as [%d]", r->label);
    if (r->outcome)
        buf_addf(&text, "%s\xe2\x86\x92 %s", r->text[0] ? " " : "", r->outcome);
    if (depth > 0) {
        int from = 30 + d->open[depth - 1] * ROW;

        buf_addf(&d->body, "<path d=\"M%d %dV%dH%d\"/>\n", x - INDENT + 6, from + 6, y - 4, x - 4);
    }
    buf_addf(&d->body, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class_of(r), x, y);
    add_xml(&d->body, buf_text(&text));
    if (r->line)
        buf_addf(&d->body, "<tspan class=\"line\">  :%d</tspan>", r->line);
    buf_adds(&d->body, "</text>\n");
    if (x + (double)text.len * CHARACTER + 60 > d->width)
        d->width = x + (double)text.len * CHARACTER + 60;
    d->open[depth] = d->row++;
    buf_free(&text);
}

void map_svg(const json_t *map, struct buf *out)
{
    struct drawing d = {.body = BUF_INIT(16 * MIB), .width = 400};

    map_rows(map, svg_row, &d);
    buf_addf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%d\" font-family=\"monospace\" "
                  "font-size=\"12\">\n<title>", d.width, 40 + d.row * ROW);
    add_xml(out, json_get_string(map, "runbook", ""));
    buf_adds(out, "</title>\n<style>path{stroke:#aab;fill:none}.leaf{fill:#17692f}.over{fill:#9a3412}.effect{font-weight:bold}"
                  ".step{fill:#1d4e89}.more,.line{fill:#778}.bound{fill:#b00020}</style>\n"
                  "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    buf_add(out, d.body.data, d.body.len);
    buf_adds(out, "</svg>\n");
    buf_free(&d.body);
}
