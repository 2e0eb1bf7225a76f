/* SPDX-License-Identifier: Apache-2.0 */
/* md4c does the parsing, so that code is exactly what a reader of the page sees as
 * code: a fence inside an HTML comment or a quote is not. Its text callbacks point
 * into our buffer, which gives the lines. */
#include "book/markdown.h"

#include <md4c.h>
#include <stdio.h>
#include <stdlib.h>

struct reader {
    struct runbook *book;
    struct str body;
    const char *end;            /* our word behind the body */
    int first_line;
    bool *is_code;              /* per line of the body */
    size_t nlines;
    bool in_lua, in_heading, in_fence;
    const char *first, *last;   /* text of this code block, or NULL */
    int nesting;                /* quotes and lists around the place */
    int level, heading_line;
    size_t blocks;
    struct buf title;
    struct err *e;
    int rc;
};

static int line_of(const struct reader *r, const char *at)
{
    const char *p = r->body.p;
    int line = 0;

    while ((p = memchr(p, '\n', (size_t)(at - p))) != NULL) {
        p++;
        line++;
    }
    return line;
}

static bool inside(const struct reader *r, const char *p)
{
    return p >= r->body.p && p < r->body.p + r->body.n;
}

static int enter_code(struct reader *r, const MD_BLOCK_CODE_DETAIL *d)
{
    const char *info = d->info.text;

    r->in_fence = d->fence_char != 0;
    r->first = r->last = NULL;
    r->in_lua = d->fence_char && d->info.size == 3 && info && memcmp(info, "lua", 3) == 0;
    if (!r->in_lua)
        return 0;
    r->blocks++;
    if (r->nesting == 0)
        return 0;
    r->rc = err_at(r->e, ERR_INVALID, r->book->file, inside(r, info) ? line_of(r, info) + r->first_line : 0, 1,
                   "a lua block inside a quote or a list is not run; put it at the top level");
    return 1;
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    struct reader *r = ctx;

    switch (type) {
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
        r->nesting++;
        break;
    case MD_BLOCK_H:
        r->in_heading = true;
        r->level = (int)((MD_BLOCK_H_DETAIL *)detail)->level;
        r->heading_line = 0;
        buf_reset(&r->title);
        break;
    case MD_BLOCK_CODE:
        return enter_code(r, detail);
    default:
        break;
    }
    return 0;
}

static void add_section(struct reader *r)
{
    struct runbook *b = r->book;

    b->sections = xrealloc(b->sections, (b->nsections + 1) * sizeof(*b->sections));
    b->sections[b->nsections++] =
        (struct section){.line = r->heading_line, .level = r->level, .title = xstrdup(buf_text(&r->title))};
}

/* Lines of spaces count as blank for md4c; inside a long string they are text. */
static void fill_gaps(struct reader *r)
{
    int i, last = r->last ? line_of(r, r->last) : -1;

    for (i = r->first ? line_of(r, r->first) : 0; i <= last; i++)
        r->is_code[i] = true;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    struct reader *r = ctx;

    (void)detail;
    switch (type) {
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
        r->nesting--;
        break;
    case MD_BLOCK_H:
        r->in_heading = false;
        if (r->title.len)
            add_section(r);
        break;
    case MD_BLOCK_CODE:
        if (r->in_lua)
            fill_gaps(r);
        r->in_lua = r->in_fence = false;
        break;
    default:
        break;
    }
    return 0;
}

static int no_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    (void)type, (void)detail, (void)ctx;
    return 0;
}

/* The last line above that of `at` which is not blank. */
static int line_above(const struct reader *r, const char *at)
{
    const char *p = at, *stop;

    do {
        while (p > r->body.p && p[-1] != '\n')
            p--;
        stop = p > r->body.p ? p - 1 : p;
        for (p = stop; p > r->body.p && p[-1] != '\n'; p--)
            ;
    } while (p > r->body.p && strspn(p, " \t") >= (size_t)(stop - p));
    return line_of(r, p);
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *ctx)
{
    struct reader *r = ctx;

    if (r->in_heading) {
        if (r->heading_line == 0 && inside(r, text))
            r->heading_line = line_of(r, text) + r->first_line;
        buf_add(&r->title, text, size);
    }
    if (!r->in_fence || type != MD_TEXT_CODE || size == 0)
        return 0;
    if (text == r->end) {
        r->rc = err_at(r->e, ERR_INVALID, r->book->file, line_above(r, r->first ? r->first : text) + r->first_line, 1,
                       "this block is never closed");
        return 1;
    }
    /* Line ends and expanded tabs come from md4c's own memory; the rest of the line is ours. */
    if (inside(r, text)) {
        r->first = r->first ? r->first : text;
        r->last = text;
    }
    return 0;
}

static void make_chunk(struct reader *r)
{
    struct runbook *b = r->book;
    struct buf chunk;
    const char *p = r->body.p, *end = r->body.p + r->body.n;
    size_t line;
    int i;

    buf_init(&chunk, b->text_len + 2);
    for (i = 1; i < r->first_line; i++)
        buf_addc(&chunk, '\n');
    for (line = 0; p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);

        if (r->is_code[line])
            buf_add(&chunk, p, n);
        if (stop)
            buf_addc(&chunk, '\n');
        p += n + 1;
    }
    b->chunk = buf_take(&chunk, &b->chunk_len);
}

/* md4c closes what is open at the end of the text; where a person has forgotten a fence, a last paragraph of ours
 * is code. */
#define END "\n\nend\n"

int markdown_read(struct str body, int first_line, struct runbook *b, struct err *e)
{
    static const MD_PARSER parser = {
        .flags = MD_FLAG_TABLES | MD_FLAG_TASKLISTS | MD_FLAG_STRIKETHROUGH, .enter_block = enter_block,
        .leave_block = leave_block, .enter_span = no_span, .leave_span = no_span, .text = on_text,
    };
    struct reader r = {.book = b, .first_line = first_line, .e = e};
    struct buf text;
    size_t i;

    buf_init(&text, body.n + sizeof(END));
    buf_add(&text, body.p, body.n);
    buf_adds(&text, END);
    r.body = (struct str){text.data, body.n};
    r.end = text.data + body.n + strspn(END, "\n");
    buf_init(&r.title, 512);
    for (i = 0; i < body.n; i++)
        r.nlines += body.p[i] == '\n';
    r.is_code = xcalloc(r.nlines + 2, sizeof(bool));
    if (md_parse(text.data, (MD_SIZE)text.len, &parser, &r) != 0 && r.rc == 0)
        r.rc = err_at(e, ERR_INVALID, b->file, first_line, 1, "the Markdown cannot be parsed");
    if (r.rc == 0 && r.blocks == 0)
        r.rc = err_at(e, ERR_INVALID, b->file, first_line, 1, "there is no ```lua block: nothing to run");
    if (r.rc == 0)
        make_chunk(&r);
    free(r.is_code);
    buf_free(&r.title);
    buf_free(&text);
    return r.rc;
}
