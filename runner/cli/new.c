/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch new: a runbook and its scenarios, from a skeleton or from another runbook. */
#include "cli/cli.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"
#include "book/source.h"
#include "check/check.h"
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct newbook {
    struct cli *cli;
    const char *name;
    struct runbook *book;           /* what is copied */
    struct buf scenarios;
    struct buf source;              /* where it came from */
    bool skeleton;
};

static int check_name(const char *name, struct err *e)
{
    size_t n = strlen(name);

    if (n > 3 && strcmp(name + n - 3, ".md") == 0)
        return err_set(e, ERR_INVALID, "'%s' is a file; new wants a name and makes runbooks/NAME.md of it", name);
    if (n == 0 || n > 100 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != n || name[0] == '-')
        return err_set(e, ERR_INVALID, "'%s' is no name (small letters, digits, - and _)", name);
    return 0;
}

/* The instance of plugin that is to be used: one that --uses names, else the operator's first; NULL = none. */
static const struct instance *instance_of(const struct cli *c, const char *plugin)
{
    size_t i, k;

    for (i = 0; i < c->config->ninstances; i++) {
        const struct instance *x = &c->config->instances[i];
        bool named = c->nuses == 0;

        for (k = 0; k < c->nuses; k++)
            named = named || strcmp(c->uses[k], x->name) == 0;
        if (named && !x->implicit && strcmp(x->plugin, plugin) == 0)
            return x;
    }
    return NULL;
}

static int check_uses(struct cli *c, struct err *e)
{
    const char **names = xcalloc(c->config->ninstances + 1, sizeof(*names)), *near;
    size_t i, k;

    for (i = 0; i < c->config->ninstances; i++)
        names[i] = c->config->instances[i].name;
    for (k = 0; k < c->nuses && e->code == 0; k++) {
        for (i = 0; i < c->config->ninstances && strcmp(names[i], c->uses[k]) != 0; i++)
            continue;
        if (i < c->config->ninstances)
            continue;
        near = str_nearest(str_of(c->uses[k]), names, c->config->ninstances);
        err_set(e, ERR_NOT_FOUND, "there is no instance '%s' in %s", c->uses[k],
                c->config->file ? c->config->file : "midwatch.yaml");
        if (near)
            err_hint(e, "did you mean '%s'?", near);
    }
    free(names);
    return e->code;
}

static bool has_instances(const struct config *c)
{
    size_t i;

    for (i = 0; i < c->ninstances && c->instances[i].implicit; i++)
        continue;
    return i < c->ninstances;
}

/* Of the files inside the program. ERR_NOT_FOUND leaves e as it is. */
static int take_embedded(struct newbook *w, const char *stem, struct err *e)
{
    const struct embedded *md, *yaml;
    char path[300];

    snprintf(path, sizeof(path), "%.200s.md", stem);
    md = embedded_find(path);
    snprintf(path, sizeof(path), "%.200s.test.yaml", stem);
    yaml = embedded_find(path);
    if (!md || !yaml)
        return ERR_NOT_FOUND;
    err_clear(e);
    buf_addf(&w->source, "%s.md", stem);
    buf_add(&w->scenarios, yaml->text.p, yaml->text.n);
    /* Under no file name: a skeleton's own name is none. */
    return book_read(md->text, stem, &w->book, e);
}

/* Beside what ./runbooks has: the shipped one that was meant, or what there is. */
static void hint_shipped(const char *from, struct err *e)
{
    const struct embedded *all;
    const char *names[64], *near;
    char text[64][64];
    struct buf some = BUF_INIT(KIB);
    size_t i, total, n = 0;

    all = embedded_all(&total);
    for (i = 0; i < total && n < 64; i++) {
        const char *name = all[i].path + 9, *end = strstr(all[i].path, ".md");

        if (strncmp(all[i].path, "runbooks/", 9) != 0 || !end || strchr(name, '/'))
            continue;
        snprintf(text[n], sizeof(text[n]), "%.*s", (int)(end - name), name);
        names[n] = text[n];
        buf_addf(&some, "%s%s", n ? ", " : "", names[n]);
        n++;
    }
    near = str_nearest(str_of(from), names, n);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else if (!e->hint[0] || !strstr(e->hint, "did you mean"))
        err_hint(e, "shipped are %s", buf_text(&some));
    buf_free(&some);
}

/* What --from names: of ./runbooks or a path; else a shipped one. */
static int take_from(struct newbook *w, struct err *e)
{
    struct buf path = BUF_INIT(8 * KIB);
    const char *from = w->cli->from;
    char stem[300];
    int rc = source_load(NULL, from, &w->book, e);

    if (rc == 0)
        rc = source_scenarios(NULL, from, &path, &w->scenarios, e) < 0
                 ? err_hint(e, "a runbook is copied with its scenarios; write them first") : 0;
    buf_free(&path);
    if (w->book || rc != ERR_NOT_FOUND) {
        buf_adds(&w->source, w->book ? w->book->path : "");
        return rc;
    }
    snprintf(stem, sizeof(stem), "runbooks/%.200s", from);
    rc = take_embedded(w, stem, e);
    if (rc == ERR_NOT_FOUND)
        hint_shipped(from, e);
    return rc;
}

static int take_skeleton(struct newbook *w, struct err *e)
{
    bool any = has_instances(w->cli->config);
    bool cluster = !any || instance_of(w->cli, "kubernetes"), metrics = !any || instance_of(w->cli, "prometheus");

    w->skeleton = true;
    return take_embedded(w, cluster && metrics ? "runbooks/new/cluster-metrics"
                            : cluster          ? "runbooks/new/cluster"
                            : metrics          ? "runbooks/new/metrics"
                                               : "runbooks/new/people", e);
}

/* "web-down" as the title "Web down" (gap ' ') or the alert "WebDown" (gap 0). */
static void add_words(struct buf *out, const char *name, char gap)
{
    bool start = true;

    for (; *name; name++) {
        if (*name == '-' || *name == '_') {
            start = start || gap == 0;
            if (gap)
                buf_addc(out, gap);
        } else {
            buf_addc(out, start && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name);
            start = false;
        }
    }
}

/* The `uses:` of the copy: the same aliases, with instances that exist here. */
static void add_uses(const struct newbook *w, struct buf *out)
{
    size_t i;

    buf_adds(out, "uses: {");
    for (i = 0; i < w->book->nuses; i++) {
        const struct use *u = &w->book->uses[i];
        const char *plugin = config_plugin(w->cli->config, str_of(u->instance));
        const struct instance *x = plugin && w->cli->nuses == 0 ? NULL : instance_of(w->cli, plugin ? plugin : u->alias);

        buf_addf(out, "%s %s: %s", i ? "," : "", u->alias, x ? x->name : u->instance);
    }
    buf_adds(out, " }");
}

/* One line of what is copied, without its end. front: of the front matter. */
static void add_line(const struct newbook *w, bool front, struct str line, struct buf *out)
{
    static const char *const words[] = {"my-runbook", "My runbook", "MyRunbook"};
    const char *end = memchr(line.p, '}', line.n);
    size_t i, k;

    if (front && str_starts(line, "runbook:")) {
        buf_addf(out, "runbook: %s", w->name);
        return;
    }
    /* A map in one line, without templates. */
    if (front && end && str_starts(line, "uses: {") && !memmem(line.p, line.n, "{{", 2)) {
        add_uses(w, out);
        buf_add(out, end + 1, line.n - (size_t)(end + 1 - line.p));
        return;
    }
    for (i = 0; i < line.n; i++) {
        for (k = 0; w->skeleton && k < 3 && !str_starts((struct str){line.p + i, line.n - i}, words[k]); k++)
            continue;
        if (!w->skeleton || k == 3) {
            buf_addc(out, line.p[i]);
            continue;
        }
        if (k == 0)
            buf_adds(out, w->name);
        else
            add_words(out, w->name, k == 1 ? ' ' : 0);
        i += strlen(words[k]) - 1;
    }
}

static void rewrite(const struct newbook *w, struct str from, bool front, struct buf *out)
{
    const char *p = from.p, *end = p + from.n;
    size_t lines = 0;

    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        struct str line = {p, (size_t)((nl ? nl : end) - p)};

        front = front && !(lines++ && str_is(line, "---"));
        add_line(w, front, line, out);
        buf_addc(out, '\n');
        p = nl ? nl + 1 : end;
    }
}

/* Never over what is there. */
static int write_new(const char *path, const struct buf *text, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), rc = 0;

    if (fd < 0 && errno == EEXIST) {
        err_set(e, ERR_BUSY, "%s: it is there already", path);
        return err_hint(e, "choose another name; nothing was written");
    }
    if (fd < 0)
        return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    if (write(fd, text->data, text->len) != (ssize_t)text->len)
        rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    if (close(fd) < 0 && rc == 0)
        rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    if (rc < 0)
        unlink(path);
    return rc;
}

static int write_types(struct cli *c, struct err *e)
{
    struct buf text = BUF_INIT(4 * MIB);
    int rc = cli_luacats(c, &text, e);

    if (rc == 0 && mkdir(".midwatch", 0777) < 0 && errno != EEXIST)
        rc = err_set(e, ERR_IO, ".midwatch: %s", strerror(errno));
    if (rc == 0)
        rc = file_write(".midwatch/types.lua", (struct str){text.data, text.len}, e);
    buf_free(&text);
    return rc;
}

/* What the runbook still lacks here: instances that are not configured, say. */
static void say_findings(struct newbook *w, const char *md)
{
    struct buf out = BUF_INIT(MIB), notes = BUF_INIT(MIB);
    json_t *findings = json_array();
    size_t i;

    lint_runbook(NULL, md, w->cli->config, findings, &notes);
    for (i = 0; i < json_array_size(findings); i++)
        lint_text(json_array_get(findings, i), &out);
    if (out.len)
        fprintf(stderr, "to be adapted:\n%s", buf_text(&out));
    json_decref(findings);
    buf_free(&notes);
    buf_free(&out);
}

static int write_files(struct newbook *w, struct err *e)
{
    struct buf text = BUF_INIT(2 * MIB), scenarios = BUF_INIT(2 * MIB);
    char md[300], yaml[300];
    int rc;

    snprintf(md, sizeof(md), "runbooks/%.200s.md", w->name);
    snprintf(yaml, sizeof(yaml), "runbooks/%.200s.test.yaml", w->name);
    rewrite(w, (struct str){w->book->text, w->book->text_len}, true, &text);
    rewrite(w, (struct str){buf_text(&w->scenarios), w->scenarios.len}, false, &scenarios);
    if (mkdir("runbooks", 0777) < 0 && errno != EEXIST)
        err_set(e, ERR_IO, "runbooks: %s", strerror(errno));
    rc = e->code ? e->code : write_new(md, &text, e);
    if (rc == 0) {
        rc = write_new(yaml, &scenarios, e);
        if (rc < 0)
            unlink(md);
    }
    if (rc == 0 && w->cli->luacats)
        rc = write_types(w->cli, e);
    if (rc == 0)
        say_findings(w, md);
    if (rc == 0)
        cli_tell(w->cli, json_pack("{s:s s:s s:s s:s}", "from", buf_text(&w->source), "name", w->name, "runbook", md,
                                   "scenarios", yaml),
                 "wrote %s and %s%s\nnext: midwatch test %s, midwatch lint %s, midwatch run %s", md, yaml,
                 w->cli->luacats ? ", and .midwatch/types.lua" : "", w->name, w->name, w->name);
    buf_free(&text);
    buf_free(&scenarios);
    return rc;
}

int verb_new(struct cli *c)
{
    struct newbook w = {.cli = c, .name = c->args[0], .scenarios = BUF_INIT(MIB), .source = BUF_INIT(8 * KIB)};
    struct err e = {0};
    int rc = cli_config(c);

    if (rc)
        return rc;
    rc = check_name(w.name, &e);
    if (rc == 0)
        rc = check_uses(c, &e);
    if (rc == 0)
        rc = c->from ? take_from(&w, &e) : take_skeleton(&w, &e);
    if (rc == 0)
        rc = write_files(&w, &e);
    book_free(w.book);
    buf_free(&w.scenarios);
    buf_free(&w.source);
    return rc < 0 ? cli_fail(&e) : EXIT_OK;
}
