/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to a runbook. What is not there is answered with what is. */
#include "book/source.h"

#include "base/limits.h"
#include "base/module.h"
#include "book/files.h"
#include "book/module_git.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct source {
    const struct git_module *git;
    struct git_commit_files *files;
    bool from_root;             /* names start at the root, not where the user stands */
    char *called;
};

static bool is_path(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && strcmp(name + n - 3, ".md") == 0;
}

static int file_of(const char *name, struct buf *file, struct err *e)
{
    if (is_path(name))
        buf_adds(file, name);
    else if (!*name || strchr(name, '/') || name[0] == '.' || name[0] == '-')
        return err_set(e, ERR_INVALID, "'%s' is no runbook: give its name, or a path that ends in .md", name);
    else
        buf_addf(file, "runbooks/%s.md", name);
    return file->failed ? err_set(e, ERR_INVALID, "'%.60s...' is too long for a path", name) : 0;
}

/* `path` behind `base`, with "." and ".." taken out by their text alone; false if it leads above the beginning. */
static bool normalise(const char *base, const char *path, struct buf *out)
{
    const char *const parts[] = {path[0] == '/' ? "" : base, path};
    size_t i, n;

    for (i = 0; i < 2; i++) {
        const char *p = parts[i];

        for (; *p; p += n + (p[n] == '/')) {
            n = strcspn(p, "/");
            if (n == 0 || (n == 1 && *p == '.'))
                continue;
            if (n == 2 && strncmp(p, "..", 2) == 0) {
                if (out->len == 0)
                    return false;
                while (out->data[--out->len] != '/')
                    ;
                out->data[out->len] = '\0';
                continue;
            }
            buf_addc(out, '/');
            buf_add(out, p, n);
        }
    }
    return !out->failed;
}

/* The absolute path of a file that may not be there, its existing part without links; its folder that is there. */
static int place_of(const char *file, struct buf *path, char **folder, struct err *e)
{
    struct buf plain = BUF_INIT(8 * KIB);
    char cwd[4096];
    char *slash;

    *folder = NULL;
    if (!getcwd(cwd, sizeof(cwd)) || !normalise(cwd, file, &plain)) {
        buf_free(&plain);
        return err_set(e, ERR_INVALID, "%s is no path from here", file);
    }
    for (slash = strrchr(plain.data, '/'); !*folder; slash = strrchr(plain.data, '/')) {
        *slash = '\0';
        *folder = realpath(plain.data[0] ? plain.data : "/", NULL);
        if (!plain.data[0])
            break;
    }
    if (!*folder) {
        buf_free(&plain);
        return err_set(e, ERR_IO, "%s: the path cannot be followed", file);
    }
    buf_adds(path, strcmp(*folder, "/") == 0 ? "" : *folder);
    for (slash = plain.data + strlen(plain.data); slash < plain.data + plain.len; slash += strlen(slash)) {
        *slash = '/';
        buf_adds(path, slash);
    }
    buf_free(&plain);
    return 0;
}

int source_open(const char *repo, const char *at, const char *name, struct source **out, struct err *e)
{
    struct source *s = xcalloc(1, sizeof(*s));
    struct buf file = BUF_INIT(4 * KIB), path = BUF_INIT(8 * KIB);
    char *folder = NULL;
    int rc = 0;

    s->from_root = repo != NULL;
    s->git = module_load(MIDWATCH_GIT_FILE, MIDWATCH_GIT_SYMBOL, MIDWATCH_GIT_ABI, e);
    if (!s->git)
        rc = ERR_INTERNAL;
    if (rc == 0 && !repo) {
        rc = file_of(name, &file, e);
        if (rc == 0)
            rc = place_of(buf_text(&file), &path, &folder, e);
    }
    if (rc == 0)
        rc = s->git->open(repo ? repo : folder, at ? at : "HEAD", &s->files, e);
    free(folder);
    buf_free(&file);
    buf_free(&path);
    if (rc < 0)
        source_close(s);
    else
        *out = s;
    return rc;
}

void source_close(struct source *s)
{
    if (!s)
        return;
    if (s->git)
        s->git->close(s->files);
    free(s->called);
    free(s);
}

void source_called(struct source *s, const char *repo)
{
    free(s->called);
    s->called = xstrdup(repo);
}

const char *source_commit(const struct source *s)
{
    return s->git->facts(s->files)->commit;
}

bool source_has_commit(const char *repo, const char *commit)
{
    struct source *s = NULL;
    struct err e = {0};
    bool has = source_open(repo, commit, NULL, &s, &e) == 0;

    has = has && strcmp(s->git->facts(s->files)->commit, commit) == 0;
    source_close(s);
    return has;
}

static int read_commit(void *ctx, const char *path, size_t max, struct buf *out, struct err *e)
{
    struct source *s = ctx;

    return s->git->read(s->files, path, max, out, e);
}

static void list_commit(void *ctx, const char *folder, files_name_fn fn, void *fn_ctx)
{
    struct source *s = ctx;

    s->git->list(s->files, folder, fn, fn_ctx);
}

/* Where `file`, as the user writes it, lies below the root of the commit. */
static int path_in_commit(const struct source *s, const char *file, struct buf *out, struct err *e)
{
    const struct git_facts *f = s->git->facts(s->files);
    size_t n = strlen(f->root);
    char *folder = NULL;
    int rc = 0;

    if (s->from_root || f->bare) {
        if (file[0] == '/' || !normalise("", file, out))
            return err_set(e, ERR_INVALID, "%s is no path from the root of the repository", file);
        n = 0;
    } else {
        rc = place_of(file, out, &folder, e);
        free(folder);
        if (rc == 0 && (strncmp(buf_text(out), f->root, n) != 0 || buf_text(out)[n] != '/'))
            return err_set(e, ERR_INVALID, "%s is not in the repository %s", file, f->root);
    }
    if (rc == 0 && out->len > n + 1)
        memmove(out->data, out->data + n + 1, out->len - n);
    out->len -= rc == 0 ? n + 1 : 0;
    return rc;
}

struct names {
    char *names[128];
    size_t n;
};

static void add_book(void *ctx, const char *file)
{
    struct names *l = ctx;

    if (is_path(file) && l->n < 128)
        l->names[l->n++] = xstrndup(file, strlen(file) - 3);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Some of the names, in their order. */
static void hint_names(struct names *l, const char *folder, struct err *e)
{
    struct buf some = BUF_INIT(KIB);
    size_t i;

    qsort(l->names, l->n, sizeof(l->names[0]), by_name);
    for (i = 0; i < l->n && i < 8; i++)
        buf_addf(&some, "%s%.60s", i ? ", " : "", l->names[i]);
    err_hint(e, "./%s has %s%s", folder, buf_text(&some), l->n > 8 ? ", ..." : "");
    buf_free(&some);
}

/* `files` NULL: nothing is known of what is there. */
static int not_found(const struct files *files, const char *name, const char *path, const char *file, struct err *e)
{
    const char *slash = strrchr(path, '/'), *base = is_path(name) && strrchr(name, '/') ? strrchr(name, '/') + 1 : name, *near;
    char *folder = xstrndup(path, slash ? (size_t)(slash - path) : 0);
    size_t n = strlen(base) - (is_path(name) ? 3 : 0);
    struct names l = {.n = 0};

    if (files)
        files->list(files->ctx, folder, add_book, &l);
    err_set(e, ERR_NOT_FOUND, "there is no runbook '%s' (looked for %s)", name, file);
    near = str_nearest((struct str){base, n}, (const char *const *)l.names, l.n);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else if (l.n)
        hint_names(&l, folder, e);
    else if (!is_path(name))
        err_hint(e, "./runbooks has none; midwatch new NAME writes one");
    while (l.n > 0)
        free(l.names[--l.n]);
    free(folder);
    return ERR_NOT_FOUND;
}

/* Parses, and adds what the runbook requires. */
static int finish(struct str text, const char *file, const char *path, const struct files *files, struct runbook **out,
                  struct err *e)
{
    struct runbook *b;
    int rc = book_read(text, file, &b, e);

    if (rc < 0)
        return rc;
    free(b->path);
    b->path = xstrdup(path);
    rc = modules_collect(b, files, e);
    if (rc < 0)
        book_free(b);
    else
        *out = b;
    return rc;
}

static int load_tree(const char *name, const char *file, struct runbook **out, struct err *e)
{
    struct buf text = BUF_INIT(RUNBOOK_BYTES_MAX + 16 * KIB);
    struct tree t = {.fd = -1};
    struct files files = tree_files(&t);
    int rc = tree_open(file, &t, e);

    if (rc == 0)
        rc = tree_read_file(file, RUNBOOK_BYTES_MAX, &text, e);
    if (rc == ERR_NOT_FOUND)
        rc = not_found(t.root ? &files : NULL, name, t.path ? t.path : "", file, e);
    if (rc == 0)
        rc = finish((struct str){buf_text(&text), text.len}, file, t.path, &files, out, e);
    if (rc == 0 && t.is_git) {
        (*out)->origin.repo = xstrdup(t.root);
        (*out)->origin.dirty = true;
    }
    tree_close(&t);
    buf_free(&text);
    return rc;
}

static int load_commit(struct source *s, const char *name, const char *file, struct runbook **out, struct err *e)
{
    struct buf text = BUF_INIT(RUNBOOK_BYTES_MAX + 16 * KIB), path = BUF_INIT(8 * KIB);
    struct files files = {.read = read_commit, .list = list_commit, .ctx = s};
    const struct git_facts *f = s->git->facts(s->files);
    int rc = path_in_commit(s, file, &path, e);

    if (rc == 0)
        rc = s->git->read(s->files, buf_text(&path), RUNBOOK_BYTES_MAX, &text, e);
    if (rc == ERR_NOT_FOUND) {
        rc = not_found(&files, name, buf_text(&path), buf_text(&path), e);
        err_wrap(e, "commit %.12s", f->commit);
    }
    if (rc == 0)
        rc = finish((struct str){buf_text(&text), text.len}, file, buf_text(&path), &files, out, e);
    if (rc == 0)
        (*out)->origin = (struct origin){xstrdup(s->called ? s->called : f->root), xstrdup(f->commit), xstrdup(f->tree), false};
    buf_free(&path);
    buf_free(&text);
    return rc;
}

int source_load(struct source *s, const char *name, struct runbook **out, struct err *e)
{
    struct buf file = BUF_INIT(4 * KIB);
    int rc = file_of(name, &file, e);

    if (rc == 0)
        rc = s ? load_commit(s, name, buf_text(&file), out, e) : load_tree(name, buf_text(&file), out, e);
    buf_free(&file);
    return rc;
}

static int read_text(struct source *s, const struct buf *file, struct buf *text, struct err *e)
{
    struct buf path = BUF_INIT(8 * KIB);
    int rc = s ? path_in_commit(s, buf_text(file), &path, e) : 0;

    if (rc == 0)
        rc = s ? s->git->read(s->files, buf_text(&path), YAML_BYTES_MAX, text, e)
               : tree_read_file(buf_text(file), YAML_BYTES_MAX, text, e);
    buf_free(&path);
    return rc;
}

int source_scenarios(struct source *s, const char *name, struct buf *file, struct buf *text, struct err *e)
{
    int rc = file_of(name, file, e);

    if (rc == 0) {
        file->len -= 3;
        buf_adds(file, ".test.yaml");
        rc = read_text(s, file, text, e);
    }
    if (rc == ERR_NOT_FOUND)
        err_set(e, rc, "%s: there is no scenario file", buf_text(file));
    return rc;
}

int source_complaints(struct source *s, const char *name, void (*each)(void *ctx, const struct err *e), void *ctx)
{
    struct buf file = BUF_INIT(4 * KIB), text = BUF_INIT(YAML_BYTES_MAX);
    struct err e = {0};
    int n = file_of(name, &file, &e);

    if (n == 0)
        n = read_text(s, &file, &text, &e);
    if (n == 0)
        n = book_complaints((struct str){buf_text(&text), text.len}, buf_text(&file), each, ctx);
    buf_free(&file);
    buf_free(&text);
    return n;
}
