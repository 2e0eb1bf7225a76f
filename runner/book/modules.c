/* SPDX-License-Identifier: Apache-2.0 */
/* The modules of a runbook. `require "a.b"` is lib/a/b.lua at the root of the
 * repository, or a/b.lua beside the runbook; both at once would depend on who
 * looks, and is refused. Names are relative to the runbook also inside modules,
 * so that a name means one file in a run. */
#include "book/files.h"
#include "book/require.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

enum { MODULES_MAX = 64, NAMES_LOOKED_AT = 256, PATH_BYTES = 4096 };

struct collect {
    struct runbook *book;
    const struct files *files;
    const char *file;                       /* of the text that is being scanned */
    const char *stack[MODULES_MAX];         /* modules that are being scanned, outermost first */
    size_t depth;
};

static int at(struct err *e, const struct collect *c, int line, int column)
{
    if (e && !e->where[0])
        snprintf(e->where, sizeof(e->where), "%.200s:%d:%d", c->file, line, column);
    return e ? e->code : ERR_INVALID;
}

/* lib/a/b.lua (beside = false) or FOLDER/a/b.lua. */
static void path_of(const struct collect *c, const char *name, bool beside, char *out, size_t size)
{
    const char *slash = strrchr(c->book->path, '/');
    int n = beside ? snprintf(out, size, "%.*s", slash ? (int)(slash + 1 - c->book->path) : 0, c->book->path)
                   : snprintf(out, size, "lib/");
    char *p;

    if (n < 0 || (size_t)n >= size)
        n = (int)size - 1;
    p = out + n;
    snprintf(p, size - (size_t)n, "%s.lua", name);
    for (; p[0] && strcmp(p, ".lua") != 0; p++) {
        if (*p == '.')
            *p = '/';
    }
}

static int in_circle(const struct collect *c, const char *name, struct err *e)
{
    struct buf b = BUF_INIT(600);
    size_t i = 0;

    while (strcmp(c->stack[i], name) != 0)
        i++;
    for (; i < c->depth; i++)
        buf_addf(&b, "%s -> ", c->stack[i]);
    buf_adds(&b, name);
    err_set(e, ERR_INVALID, "modules need each other in a circle: %s", buf_text(&b));
    buf_free(&b);
    return ERR_INVALID;
}

struct names {
    char *names[NAMES_LOOKED_AT];
    size_t n;
    const char *prefix;                     /* "k8s." */
};

static void add_name(void *ctx, const char *file)
{
    struct names *l = ctx;
    size_t n = strlen(file);
    struct buf b = BUF_INIT(600);

    if (l->n == NAMES_LOOKED_AT || n <= 4 || strcmp(file + n - 4, ".lua") != 0)
        return;
    buf_addf(&b, "%s%.*s", l->prefix, (int)(n - 4), file);
    l->names[l->n++] = buf_take(&b, NULL);
}

static int not_found(const struct collect *c, const char *name, const char *lib, const char *beside, struct err *e)
{
    const char *dot = strrchr(name, '.'), *near;
    char *prefix = xstrndup(name, dot ? (size_t)(dot + 1 - name) : 0);
    struct names l = {.prefix = prefix};
    char folder[PATH_BYTES];
    int i;

    for (i = 0; i < 2; i++) {
        const char *path = i ? beside : lib, *slash = strrchr(path, '/');

        snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 0, path);
        c->files->list(c->files->ctx, folder, add_name, &l);
    }
    err_set(e, ERR_NOT_FOUND, "there is no module '%s' (looked for %s and %s)", name, lib, beside);
    near = str_nearest(str_of(name), (const char *const *)l.names, l.n);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    while (l.n > 0)
        free(l.names[--l.n]);
    free(prefix);
    return ERR_NOT_FOUND;
}

/* The text of the module, and in `path` where it lies. */
static int read_module(const struct collect *c, const char *name, struct buf *text, char *path, size_t size, struct err *e)
{
    struct buf other = BUF_INIT(MODULE_BYTES_MAX + 16 * KIB);
    char beside[PATH_BYTES];
    int first, second = ERR_NOT_FOUND;

    path_of(c, name, false, path, size);
    path_of(c, name, true, beside, sizeof(beside));
    first = c->files->read(c->files->ctx, path, MODULE_BYTES_MAX, text, e);
    if ((first == 0 || first == ERR_NOT_FOUND) && strcmp(path, beside) != 0)
        second = c->files->read(c->files->ctx, beside, MODULE_BYTES_MAX, first ? text : &other, e);
    buf_free(&other);
    if (first == ERR_NOT_FOUND && second == ERR_NOT_FOUND)
        return not_found(c, name, path, beside, e);
    if (first == 0 && second == 0)
        return err_set(e, ERR_INVALID, "module '%s' is both %s and %s: rename one", name, path, beside);
    if (first != 0 && first != ERR_NOT_FOUND)
        return first;
    if (second != 0 && second != ERR_NOT_FOUND)
        return second;
    if (second == 0)
        snprintf(path, size, "%s", beside);
    if (e)
        err_clear(e);
    if (!str_is_utf8(buf_text(text), text->len) || memchr(buf_text(text), '\0', text->len))
        return err_set(e, ERR_INVALID, "module %s is not UTF-8 text", path);
    return 0;
}

static int need(void *ctx, const char *name, int line, int column, struct err *e)
{
    struct collect *c = ctx;
    struct buf text = BUF_INIT(MODULE_BYTES_MAX + 16 * KIB);
    const char *outer = c->file;
    char path[PATH_BYTES];
    size_t i;
    int rc;

    for (i = 0; i < c->book->nmodules; i++) {
        if (strcmp(c->book->modules[i].name, name) == 0)
            return 0;
    }
    for (i = 0; i < c->depth; i++) {
        if (strcmp(c->stack[i], name) == 0) {
            in_circle(c, name, e);
            return at(e, c, line, column);
        }
    }
    if (c->depth + c->book->nmodules == MODULES_MAX)
        rc = err_set(e, ERR_LIMIT, "more than %d modules", MODULES_MAX);
    else
        rc = read_module(c, name, &text, path, sizeof(path), e);
    if (rc < 0) {
        buf_free(&text);
        at(e, c, line, column);
        return rc;
    }
    c->stack[c->depth++] = name;
    c->file = path;
    rc = require_scan((struct str){buf_text(&text), text.len}, path, need, c, e);
    c->file = outer;
    c->depth--;
    if (rc == 0)
        book_add_module(c->book, name, path, (struct str){buf_text(&text), text.len});
    buf_free(&text);
    return rc;
}

int modules_collect(struct runbook *b, const struct files *files, struct err *e)
{
    struct collect c = {.book = b, .files = files, .file = b->file};

    return require_scan((struct str){b->chunk, b->chunk_len}, b->file, need, &c, e);
}
