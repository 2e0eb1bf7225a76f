/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/origin.h"

#include "base/crypto.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define WITHIN_MS 3000

static void complain(const struct origin_query *q, const char *why, size_t n)
{
    struct buf b = BUF_INIT(4 * KIB);

    str_add_printable(&b, why, n > 400 ? 400 : n);
    fprintf(stderr, "midwatch: the commit of %s is not recorded: %s\n", q->book->file, buf_text(&b));
    buf_free(&b);
}

/* The next line of the answer: "9feaf3a... blob 123", or "NAME missing". False if the object is not there. */
static bool take_line(struct str *out, struct str *id)
{
    const char *end = memchr(out->p, '\n', out->n), *space;

    if (!end)
        return false;
    space = memchr(out->p, ' ', (size_t)(end - out->p));
    *id = (struct str){out->p, space ? (size_t)(space - out->p) : 0};
    out->n -= (size_t)(end + 1 - out->p);
    out->p = end + 1;
    return space && strncmp(end - 8, " missing", 8) != 0 && (id->n == 40 || id->n == 64);
}

static bool is_committed(struct str *out, struct str text)
{
    char hex[65];
    struct str id;

    return take_line(out, &id) && str_is(id, hash_git_blob(text, id.n, hex));
}

static void on_answer(void *ctx, const struct spawn_answer *a)
{
    struct origin_query *q = ctx;
    struct runbook *b = q->book;
    struct str out = a->out, commit, tree;
    bool clean;
    size_t i;

    q->op = NULL;
    q->host->ops->stop(q->host);
    if (a->err || a->exit_code != 0) {
        complain(q, a->err ? a->err->msg : a->timed_out ? "git does not answer" : a->errout.p,
                 a->err ? strlen(a->err->msg) : a->timed_out ? 19 : a->errout.n);
        return;
    }
    if (!take_line(&out, &commit) || !take_line(&out, &tree))
        return;                 /* nothing is committed yet */
    clean = is_committed(&out, (struct str){b->text, b->text_len});
    for (i = 0; i < b->nmodules; i++)
        clean = is_committed(&out, (struct str){b->modules[i].text, b->modules[i].len}) && clean;
    b->origin.commit = xstrndup(commit.p, commit.n);
    b->origin.tree = xstrndup(tree.p, tree.n);
    b->origin.dirty = !clean;
}

static void add_path(struct buf *input, const char *path)
{
    /* a name with a line end in it cannot be asked for: it counts as not committed */
    buf_addf(input, "HEAD:%s\n", strchr(path, '\n') ? "?" : path);
}

void origin_ask(struct origin_query *q, struct host *host, struct runbook *b)
{
    /* Whose the repository is does not matter: its objects are looked at as they are stored, and whatever its
     * configuration says, nothing that is missing is fetched. */
    const char *argv[] = {"git", "-C", b->origin.repo, "-c", "safe.directory=*", "--no-pager", "--no-optional-locks",
                          "--no-replace-objects", "cat-file", "--batch-check", NULL};
    char path[8 * KIB];
    const char *env[] = {path, "HOME=/", "LC_ALL=C", "GIT_ALLOW_PROTOCOL=none", "GIT_CONFIG_NOSYSTEM=1", NULL};
    struct spawn_request r = {.argv = argv, .env = env, .timeout_ms = WITHIN_MS};
    struct err e = {0};
    size_t i;

    *q = (struct origin_query){.host = host, .book = b, .input = BUF_INIT(MIB)};
    if (!b->origin.repo || b->origin.commit) {
        q->book = NULL;
        return;
    }
    snprintf(path, sizeof(path), "PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    buf_adds(&q->input, "HEAD^{commit}\nHEAD^{tree}\n");
    add_path(&q->input, b->path);
    for (i = 0; i < b->nmodules; i++)
        add_path(&q->input, b->modules[i].path);
    r.input = (struct str){buf_text(&q->input), q->input.len};
    if (host->ops->spawn(host, &r, on_answer, q, &q->op, &e) < 0)
        complain(q, e.msg, strlen(e.msg));
}

static bool turn(void *ctx)
{
    (void)ctx;
    return false;
}

void origin_take(struct origin_query *q, bool wanted)
{
    struct err e = {0};

    if (q->op && wanted && q->host->ops->run(q->host, turn, q, &e) < 0)
        complain(q, e.msg, strlen(e.msg));
    if (q->op)
        q->host->ops->cancel(q->host, q->op);
    q->op = NULL;
    buf_free(&q->input);
}
