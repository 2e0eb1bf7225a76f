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

/* The next line of the answer, if it is the id of an object. */
static bool take_id(struct str *out, struct str *id)
{
    const char *end = out->n ? memchr(out->p, '\n', out->n) : NULL;

    if (!end)
        return false;
    *id = (struct str){out->p, (size_t)(end - out->p)};
    *out = (struct str){end + 1, out->n - id->n - 1};
    return id->n == 40 || id->n == 64;
}

static bool is_committed(struct str *out, struct str text)
{
    char hex[65];
    struct str id;

    return take_id(out, &id) && str_is(id, hash_git_blob(text, id.n, hex));
}

/* git prints ids in the order of its arguments, up to the first name that the commit does not have. */
static void on_answer(void *ctx, const struct spawn_answer *a)
{
    struct origin_query *q = ctx;
    struct runbook *b = q->book;
    struct str out = a->out, commit, tree;
    bool clean;
    size_t i;

    q->op = NULL;
    q->host->ops->stop(q->host);
    if (a->err) {
        complain(q, a->err->msg, strlen(a->err->msg));
    } else if (a->timed_out) {
        complain(q, "git does not answer", 19);
    } else if (take_id(&out, &commit) && take_id(&out, &tree)) {
        clean = is_committed(&out, (struct str){b->text, b->text_len});
        for (i = 0; clean && i < b->nmodules; i++)
            clean = is_committed(&out, (struct str){b->modules[i].text, b->modules[i].len});
        b->origin.commit = xstrndup(commit.p, commit.n);
        b->origin.tree = xstrndup(tree.p, tree.n);
        b->origin.dirty = !clean;
    } else if (!a->errout.n || !memmem(a->errout.p, a->errout.n, "unknown revision", 16)) {
        complain(q, a->errout.p, a->errout.n);      /* else nothing is committed yet */
    }
}

/* Whose the repository is does not matter: its objects are looked at as they are stored, and whatever its
 * configuration says, nothing that is missing is fetched. The names are arguments, so that git need not wait for
 * a loop that feeds it. */
static int ask(struct origin_query *q, struct err *e)
{
    static const char *const fixed[] = {"git", "-C", NULL, "-c", "safe.directory=*", "--no-pager", "--no-optional-locks",
                                        "--no-replace-objects", "rev-parse", "HEAD^{commit}", "HEAD^{tree}"};
    enum { NFIXED = sizeof(fixed) / sizeof(fixed[0]) };
    const struct runbook *b = q->book;
    const char **argv = xcalloc(NFIXED + b->nmodules + 2, sizeof(*argv));
    struct buf path = BUF_INIT(64 * KIB);
    const char *env[] = {NULL, "HOME=/", "LC_ALL=C", "GIT_ALLOW_PROTOCOL=none", "GIT_CONFIG_NOSYSTEM=1", NULL};
    struct spawn_request r = {.argv = argv, .env = env, .timeout_ms = WITHIN_MS};
    char **names = xcalloc(b->nmodules + 1, sizeof(*names));
    size_t i;
    int rc;

    memcpy(argv, fixed, sizeof(fixed));
    argv[2] = b->origin.repo;
    for (i = 0; i <= b->nmodules; i++) {
        struct buf name = BUF_INIT(16 * KIB);

        buf_addf(&name, "HEAD:%s", i ? b->modules[i - 1].path : b->path);
        argv[NFIXED + i] = names[i] = buf_take(&name, NULL);
    }
    buf_addf(&path, "PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    env[0] = buf_text(&path);
    rc = q->host->ops->spawn(q->host, &r, on_answer, q, &q->op, e);
    for (i = 0; i <= b->nmodules; i++)
        free(names[i]);
    free(names);
    free(argv);
    buf_free(&path);
    return rc;
}

void origin_ask(struct origin_query *q, struct host *host, struct runbook *b)
{
    struct err e = {0};

    *q = (struct origin_query){.host = host, .book = b};
    if (b->origin.repo && !b->origin.commit && ask(q, &e) < 0)
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
}
