/* SPDX-License-Identifier: Apache-2.0 */
/* A runbook from its text: checks what an editor may have left, splits the front
 * matter from the body, and hands each to its reader. */
#include "book/front_matter.h"
#include "book/markdown.h"

#include "base/limits.h"

#include <stdlib.h>

static int check_text(struct str text, const char *file, struct err *e)
{
    const char *cr;
    size_t i;
    int line = 1;

    if (text.n > RUNBOOK_BYTES_MAX)
        return err_at(e, ERR_LIMIT, file, 0, 0, "a runbook of %zu bytes, at most %d", text.n, RUNBOOK_BYTES_MAX);
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        return err_at(e, ERR_INVALID, file, 1, 1, "the file begins with a byte order mark; remove it");
    if (!str_is_utf8(text.p, text.n) || memchr(text.p, '\0', text.n))
        return err_at(e, ERR_INVALID, file, 0, 0, "the file is not UTF-8 text");
    cr = memchr(text.p, '\r', text.n);
    if (!cr)
        return 0;
    for (i = 0; text.p + i < cr; i++)
        line += text.p[i] == '\n';
    return err_at(e, ERR_INVALID, file, line, 0, "the line ends with CR LF; write LF");
}

/* The front matter between the first line "---" and the next one. */
static int split(struct str text, const char *file, struct str *front, struct str *body, int *body_line, struct err *e)
{
    size_t i = 4;
    int line = 2;

    if (!str_starts(text, "---\n")) {
        err_at(e, ERR_INVALID, file, 1, 1, "the file does not begin with its front matter");
        return err_hint(e, "the first line is ---, then the YAML, then --- again");
    }
    while (i < text.n) {
        const char *stop = memchr(text.p + i, '\n', text.n - i);
        size_t n = (size_t)((stop ? stop : text.p + text.n) - (text.p + i));

        if (n == 3 && memcmp(text.p + i, "---", 3) == 0) {
            *front = (struct str){text.p + 4, i - 4};
            *body = (struct str){text.p + i + 4, text.n > i + 4 ? text.n - i - 4 : 0};
            *body_line = line + 1;
            return 0;
        }
        i += n + 1;
        line++;
    }
    return err_at(e, ERR_INVALID, file, 1, 1, "the front matter is never closed with ---");
}

int book_read(struct str text, const char *file, struct runbook **out, struct err *e)
{
    struct runbook *b = xcalloc(1, sizeof(*b));
    struct str front, body;
    struct err own = {0};
    int body_line = 1, rc;

    e = e ? e : &own;
    b->file = xstrdup(file);
    b->path = xstrdup(file);
    b->text = xstrndup(text.p, text.n);
    b->text_len = text.n;
    text.p = b->text;
    rc = check_text(text, file, e);
    if (rc == 0)
        rc = split(text, file, &front, &body, &body_line, e);
    if (rc == 0)
        rc = front_matter_read(front, 2, b, NULL, e);
    if (rc == 0)
        rc = markdown_read(body, body_line, b, e);
    if (rc < 0) {
        book_free(b);
        return rc;
    }
    *out = b;
    return 0;
}

int book_complaints(struct str text, const char *file, void (*each)(void *ctx, const struct err *e), void *ctx)
{
    struct runbook *b = xcalloc(1, sizeof(*b));
    struct complaints c = {.each = each, .ctx = ctx};
    struct str front, body;
    struct err e = {0};
    int body_line = 1;

    b->file = xstrdup(file);
    if (check_text(text, file, &e) < 0 || split(text, file, &front, &body, &body_line, &e) < 0) {
        each(ctx, &e);
        c.n = 1;
    } else {
        front_matter_read(front, 2, b, &c, &e);
    }
    book_free(b);
    return c.n;
}

static void may_free(struct may *m)
{
    size_t i;

    for (i = 0; i < m->nbounds; i++)
        bound_deinit(&m->bounds[i]);
    free(m->bounds);
    free(m->effect);
    free(m->target);
}

void book_add_module(struct runbook *b, const char *name, const char *path, struct str text)
{
    b->modules = xrealloc(b->modules, (b->nmodules + 1) * sizeof(*b->modules));
    b->modules[b->nmodules++] = (struct book_module){xstrdup(name), xstrdup(path), xstrndup(text.p, text.n), text.n};
}

struct runbook *book_hold(struct runbook *b)
{
    b->holders++;
    return b;
}

void book_free(struct runbook *b)
{
    size_t i;

    if (!b || b->holders-- > 0)
        return;
    for (i = 0; i < b->ntriggers; i++)
        json_decref(b->triggers[i].what);
    for (i = 0; i < b->nuses; i++) {
        free(b->uses[i].alias);
        free(b->uses[i].instance);
    }
    for (i = 0; i < b->nmay; i++)
        may_free(&b->may[i]);
    for (i = 0; i < b->nsections; i++)
        free(b->sections[i].title);
    for (i = 0; i < b->nmodules; i++) {
        free(b->modules[i].name);
        free(b->modules[i].path);
        free(b->modules[i].text);
    }
    params_free(b->params, b->nparams);
    free(b->modules);
    free(b->origin.repo);
    free(b->origin.commit);
    free(b->origin.tree);
    free(b->triggers);
    free(b->uses);
    free(b->may);
    free(b->sections);
    free(b->file);
    free(b->path);
    free(b->name);
    free(b->summary);
    free(b->owner);
    free(b->severity);
    free(b->escalate_to);
    free(b->text);
    free(b->chunk);
    free(b);
}

const char *book_section(const struct runbook *b, int line)
{
    const char *title = "";
    size_t i;

    for (i = 0; i < b->nsections && b->sections[i].line <= line; i++)
        title = b->sections[i].title;
    return title;
}
