/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch audit: does the journal say what was written to it? verify and anchor read
 * beside an owner; rebuild writes, and must be the owner, unless it only checks. */
#include "base/limits.h"
#include "check/check.h"
#include "cli/cli.h"
#include "io/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FINDINGS_MAX 100

struct findings {
    struct cli *cli;
    json_t *list;
    size_t n;
};

static bool find(void *ctx, int64_t run, int64_t seq, const char *where, const char *what)
{
    struct findings *f = ctx;
    struct buf line = BUF_INIT(4 * KIB);

    buf_addf(&line, "%s: %s", where, what);
    if (f->cli->json) {
        json_array_append_new(f->list, json_pack("{s:I s:I s:s*}", "run", (json_int_t)run, "seq", (json_int_t)seq, "what",
                                                 buf_text(&line)));
    } else {
        struct buf shown = BUF_INIT(16 * KIB);

        str_add_printable(&shown, buf_text(&line), line.len);
        puts(buf_text(&shown));
        buf_free(&shown);
    }
    buf_free(&line);
    return ++f->n < FINDINGS_MAX;
}

/* Every line of the file is an anchor. */
static int against(struct findings *f, struct journal *j, const char *file, int64_t *since, struct err *e)
{
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "r");
    char *line = NULL;
    size_t size = 0, number = 0;
    int64_t at = 0;
    ssize_t n;
    int rc = in ? 0 : err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", file, strerror(errno));

    while (rc == 0 && f->n < FINDINGS_MAX && (n = getline(&line, &size, in)) > 0) {
        number++;
        if (line[n - 1] == '\n')
            n--;
        if (n == 0)
            continue;
        rc = audit_against(j, (struct str){line, (size_t)n}, &at, find, f, e);
        if (rc < 0)
            snprintf(e->where, sizeof(e->where), "%.200s:%zu", file, number);
        *since = *since && *since < at ? *since : at;
    }
    if (rc == 0 && *since == 0)
        rc = err_set(e, ERR_INVALID, "%s has no anchor", file);
    free(line);
    if (in && in != stdin)
        fclose(in);
    return rc;
}

/* "consistent: 3 runs, 40 rows, 12 changes"; the verdict is about the anchors where there are some. */
static void conclude(struct findings *f, const struct audit_counts *n, int64_t since)
{
    struct cli *c = f->cli;
    struct buf text = BUF_INIT(KIB);
    char at[40];

    if (f->n)
        buf_addf(&text, "NOT %s: %zu%s thing%s wrong", c->against ? "unaltered" : "consistent", f->n,
                 f->n == FINDINGS_MAX ? " or more" : "", f->n == 1 ? " is" : "s are");
    else if (c->against)
        buf_addf(&text, "unaltered since %s", str_time(since, at, sizeof(at)));
    else
        buf_adds(&text, "consistent");
    if (f->n == 0)
        buf_addf(&text, ": %lld run%s, %lld rows, %lld changes", (long long)n->runs, n->runs == 1 ? "" : "s", (long long)n->rows,
                 (long long)n->changes);
    cli_tell(c, json_pack("{s:I s:b s:O s:I s:I s:I}", "changes", (json_int_t)n->changes, "consistent", f->n == 0, "findings",
                          f->list, "rows", (json_int_t)n->rows, "runs", (json_int_t)n->runs, "since", (json_int_t)since),
             "%s", buf_text(&text));
    buf_free(&text);
}

static int verify(struct cli *c, struct journal *j)
{
    struct findings f = {.cli = c, .list = json_array()};
    struct audit_counts n;
    struct err e = {0};
    int64_t since = 0, run = AUDIT_ALL;
    int rc = c->nargs > 1 ? cli_run_id(j, c->args[1], &run) : 0;

    if (rc == 0 && (journal_verify(j, run, &n, find, &f, &e) < 0 ||
                    (run < 0 && f.n == 0 && journal_rebuild(j, false, find, &f, &e) < 0) ||
                    (run < 0 && f.n < FINDINGS_MAX && audit_sources(j, find, &f, &e) < 0) ||
                    (c->against && against(&f, j, c->against, &since, &e) < 0)))
        rc = cli_fail(&e);
    if (rc == 0)
        conclude(&f, &n, since);
    json_decref(f.list);
    return rc ? rc : f.n ? EXIT_INTERNAL : EXIT_OK;
}

/* A log that contradicts itself is nothing to rebuild from. */
static int log_holds(struct findings *f, struct journal *j, struct err *e)
{
    struct audit_counts n;

    if (journal_verify(j, AUDIT_LOG, &n, find, f, e) < 0)
        return e->code;
    return f->n ? err_set(e, ERR_CORRUPT, "the log itself is damaged, so nothing is rebuilt from it") : 0;
}

static int rebuild(struct cli *c, struct journal *j, bool write)
{
    struct findings f = {.cli = c, .list = json_array()};
    struct err e = {0};
    int rc = write ? log_holds(&f, j, &e) : 0;

    if (rc == 0)
        rc = journal_rebuild(j, write, find, &f, &e);
    rc = rc < 0 ? cli_fail(&e) : 0;
    if (rc == 0)
        cli_tell(c, json_pack("{s:O s:b}", "findings", f.list, "written", write && f.n),
                 f.n == 0 ? "the projections are what the log says" : write ? "the projections were put right"
                                                                            : "the projections are NOT what the log says");
    json_decref(f.list);
    return rc ? rc : f.n && !write ? EXIT_INTERNAL : EXIT_OK;
}

struct note {
    struct host *host;
    struct err *e;
    int rc;
};

static void noted(void *ctx, const struct spawn_answer *a)
{
    struct note *n = ctx;

    n->host->ops->stop(n->host);
    if (a->err)
        n->rc = err_set(n->e, ERR_IO, "git: %s", a->err->msg);
    else if (a->timed_out || a->exit_code != 0)
        n->rc = err_set(n->e, ERR_IO, "git notes: %.*s", (int)(a->errout.n > 400 ? 400 : a->errout.n), a->errout.p);
}

static bool turn(void *ctx)
{
    (void)ctx;
    return false;
}

/* A note on the newest commit: it travels with `git push REMOTE refs/notes/midwatch`. */
static int note(const char *repo, const char *line, struct err *e)
{
    const char *argv[] = {"git", "-C", repo, "-c", "user.name=midwatch", "-c", "user.email=midwatch@localhost", "notes",
                          "--ref=midwatch", "append", "-m", line, "HEAD", NULL};
    struct spawn_request r = {.argv = argv, .timeout_ms = 20000};
    struct note n = {.e = e};
    struct host_op *op;

    if (host_real_new(&n.host, e) < 0)
        return e->code;
    n.rc = n.host->ops->spawn(n.host, &r, noted, &n, &op, e);
    if (n.rc == 0 && n.host->ops->run(n.host, turn, NULL, e) < 0)
        n.rc = e->code;
    n.host->ops->free(n.host);
    return n.rc;
}

static int append(const char *file, const char *line, struct err *e)
{
    FILE *out = fopen(file, "a");
    bool ok = out && fprintf(out, "%s\n", line) > 0 && fflush(out) == 0 && fsync(fileno(out)) == 0;

    if (!ok)
        err_set(e, ERR_IO, "%s: %s", file, strerror(errno));
    if (out)
        fclose(out);
    return ok ? 0 : e->code;
}

static int anchor(struct cli *c, struct journal *j)
{
    struct buf line = BUF_INIT(256 * MIB);
    char hash[2 * HASH_BYTES + 1];
    struct timespec now;
    struct err e = {0};
    int rc;

    clock_gettime(CLOCK_REALTIME, &now);
    rc = audit_anchor(j, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, &line, hash, &e);
    if (rc == 0 && line.failed)
        rc = err_set(&e, ERR_LIMIT, "too many runs are going on for one anchor");
    if (rc == 0 && c->out_file)
        rc = append(c->out_file, buf_text(&line), &e);
    if (rc == 0 && c->repo)
        rc = note(c->repo, buf_text(&line), &e);
    rc = rc < 0 ? cli_fail(&e) : 0;
    if (rc == 0 && (c->json || (!c->out_file && !c->repo)))
        puts(buf_text(&line));
    else if (rc == 0)
        printf("anchored: %s\n", hash);
    buf_free(&line);
    return rc;
}

static int unknown(const char *word)
{
    static const char *const words[] = {"verify", "rebuild", "anchor"};
    const char *near = str_nearest(str_of(word), words, 3);

    fprintf(stderr, "midwatch audit: '%.60s' is none of verify, rebuild, anchor%s%s%s\n", word, near ? " (did you mean '" : "",
            near ? near : "", near ? "'?)" : "");
    return EXIT_USAGE;
}

static int own_journal(struct cli *c, struct journal **out)
{
    struct err e = {0};
    int rc = cli_config(c);

    return rc ? rc : journal_sqlite_open(c->state_dir, "midwatch audit rebuild", NULL, out, &e) < 0 ? cli_fail(&e) : 0;
}

int verb_audit(struct cli *c)
{
    const char *what = c->args[0];
    bool verifies = strcmp(what, "verify") == 0, rebuilds = strcmp(what, "rebuild") == 0;
    struct journal *j;
    int rc;

    if (!verifies && !rebuilds && strcmp(what, "anchor") != 0)
        return unknown(what);
    if ((c->nargs > 1 && !verifies) || (c->against && !verifies) || (c->check && !rebuilds) ||
        ((c->out_file || c->repo) && (verifies || rebuilds))) {
        fprintf(stderr, "midwatch audit: verify [RUN] [--against FILE], rebuild [--check], anchor [--out FILE] [--repo DIR]\n");
        return EXIT_USAGE;
    }
    rc = rebuilds && !c->check ? own_journal(c, &j) : cli_read_journal(c, &j);
    if (rc)
        return rc;
    rc = verifies ? verify(c, j) : rebuilds ? rebuild(c, j, !c->check) : anchor(c, j);
    j->ops->free(j);
    return rc;
}
