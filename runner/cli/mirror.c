/* SPDX-License-Identifier: Apache-2.0 */
/* One process at a time holds a mirror's lock file. What git left in it when it was
 * killed, locks and unfinished files, is removed under that lock. */
#include "cli/mirror.h"

#include "base/crypto.h"
#include "base/limits.h"
#include "book/source.h"
#include "io/host.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

enum { ENV_MAX = 512, LOOK_MS = 100 };

/* Nobody is there to ask. */
static const char *const own_env[] = {
    "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=false", "GCM_INTERACTIVE=never", "SSH_ASKPASS=false", "SSH_ASKPASS_REQUIRE=force",
    "LC_ALL=C", NULL,
};

static bool is_scp_like(const char *repo)
{
    size_t n = strcspn(repo, ":/");

    return n > 0 && repo[n] == ':' && access(repo, F_OK) != 0;
}

bool mirror_is_remote(const char *repo)
{
    return strstr(repo, "://") != NULL || is_scp_like(repo);
}

static bool is_http(const char *repo)
{
    return strncmp(repo, "http://", 7) == 0;
}

/* True for http from this machine. */
static bool is_own_http(const char *repo)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = repo + strlen("http://"), *at = memchr(host, '@', strcspn(host, "/"));
    size_t i, n;

    host = at ? at + 1 : host;
    for (i = 0; i < 3; i++) {
        n = strlen(hosts[i]);
        if (strncmp(host, hosts[i], n) == 0 && (host[n] == '\0' || host[n] == ':' || host[n] == '/'))
            return true;
    }
    return false;
}

static bool is_full_id(const char *at)
{
    size_t n = at ? strlen(at) : 0;

    return (n == 40 || n == 64) && strspn(at, "0123456789abcdef") == n;
}

/* Http does not say who answers; what a full commit id names cannot be anything else, whoever sends it. */
static int check_http(const char *repo, const char *at, struct err *e)
{
    if (strpbrk(repo, "?#\\")) {
        err_set(e, ERR_INVALID, "--repo: '%.200s' is no address that runbooks may come from", repo);
        return err_hint(e, "an http address of a repository has no '?', '#' or backslash");
    }
    if (is_full_id(at) || is_own_http(repo))
        return 0;
    err_set(e, ERR_INVALID, "--repo: over http nothing says who sends the runbooks of '%.200s'", repo);
    return err_hint(e, "https:// or ssh://, or a full commit id with --at");
}

static int check_address(const char *repo, const char *at, struct err *e)
{
    static const char *const schemes[] = {"ssh://", "https://", "file://", "http://"};
    const char *scheme_end = strstr(repo, "://"), *p;
    bool known = !scheme_end;
    size_t i;

    for (p = repo; *p; p++) {
        if (*p <= ' ' || *p == 0x7f)
            return err_set(e, ERR_INVALID, "--repo: the address has a space or control byte in it");
    }
    for (i = 0; i < 4; i++)
        known = known || strncmp(repo, schemes[i], strlen(schemes[i])) == 0;
    if (!known || repo[0] == '-' || strlen(repo) > 2000) {
        err_set(e, ERR_INVALID, "--repo: '%.200s' is no address that runbooks may come from", repo);
        return err_hint(e, "a path, ssh://, https:// or user@host:path; what is not authenticated could be anybody's");
    }
    p = scheme_end ? scheme_end + 3 : repo;
    i = strcspn(p, "/");
    if (scheme_end && memchr(p, '@', i) && memchr(p, ':', (size_t)((const char *)memchr(p, '@', i) - p)))
        return err_set(e, ERR_INVALID, "--repo: a password in the address would be stored with the run: use git's credentials");
    return is_http(repo) ? check_http(repo, at, e) : 0;
}

/* Which git variables of the user reach git: how to connect, not which repository. */
static bool passes(const char *variable)
{
    return strncmp(variable, "GIT_", 4) != 0 || strncmp(variable, "GIT_SSH", 7) == 0 ||
           strncmp(variable, "GIT_CONFIG_GLOBAL=", 18) == 0;
}

/* Only what authenticates the other side is spoken; what is not cannot be come to from there, by a redirect. */
static void make_env(const char *repo, const char **env)
{
    size_t n = 0, i;

    env[n++] = is_http(repo) ? "GIT_ALLOW_PROTOCOL=http:https" : "GIT_ALLOW_PROTOCOL=ssh:https:file";
    for (i = 0; own_env[i]; i++)
        env[n++] = own_env[i];
    for (i = 0; environ[i] && n < ENV_MAX - 1; i++) {
        if (passes(environ[i]) && strncmp(environ[i], "LC_ALL=", 7) != 0 && strncmp(environ[i], "SSH_ASKPASS", 11) != 0)
            env[n++] = environ[i];
    }
    env[n] = NULL;
}

struct call {
    struct host *host;
    const char *what;
    struct err *e;
    int rc;
    const char *grows;          /* the directory that is watched; NULL = none */
    int64_t before, max;        /* bytes: its size, and by how much it may grow */
    struct host_op *op;
};

static int64_t bytes_seen;      /* nftw gives its function no context */

static int add_size(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)path, (void)where;
    if (type == FTW_F)
        bytes_seen += (int64_t)st->st_blocks * 512;
    return 0;
}

static int64_t size_of(const char *dir)
{
    bytes_seen = 0;
    nftw(dir, add_size, 16, FTW_PHYS);
    return bytes_seen;
}

static bool is_too_large(struct call *c)
{
    if (!c->grows || size_of(c->grows) - c->before <= c->max)
        return false;
    c->rc = err_set(c->e, ERR_LIMIT, "%s: it is more than %lld bytes, and was stopped", c->what, (long long)c->max);
    err_hint(c->e, "MIDWATCH_FETCH_MAX=2GiB lets more in");
    return true;
}

static void look_at_size(void *ctx)
{
    struct call *c = ctx;
    struct host_op *timer;

    if (!is_too_large(c)) {
        if (c->host->ops->timer(c->host, LOOK_MS, look_at_size, c, &timer, c->e) == 0)
            return;
        c->rc = c->e->code;
    }
    c->host->ops->cancel(c->host, c->op);
    c->host->ops->stop(c->host);
}

/* Of what git and ssh print the line before git's first "fatal:" says most (ssh's reason), or that one itself; what
 * comes behind is advice. */
static struct str reason(struct str text)
{
    struct str found = {"git failed", 10};

    while (text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        struct str line = {text.p, end ? (size_t)(end - text.p) : text.n};
        bool fatal = str_starts(line, "fatal:");

        text = (struct str){text.p + line.n + (end != NULL), text.n - line.n - (end != NULL)};
        while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '@'))
            line.n--;
        if (line.n > 0 && (!fatal || str_is(found, "git failed")))
            found = line;
        if (fatal)
            break;
    }
    return found;
}

static void on_answer(void *ctx, const struct spawn_answer *a)
{
    struct call *c = ctx;
    struct str why = reason(a->errout);

    if (a->err)
        c->rc = err_set(c->e, ERR_IO, "%s: %s", c->what, a->err->msg);
    else if (a->timed_out)
        c->rc = err_set(c->e, ERR_TIMEOUT, "%s: no end within its time", c->what);
    else if (a->exit_code != 0)
        c->rc = err_set(c->e, ERR_IO, "%s: %.*s", c->what, (int)(why.n > 300 ? 300 : why.n), why.p);
    else
        is_too_large(c);            /* it ended between two looks */
    c->host->ops->stop(c->host);
}

static bool turn(void *ctx)
{
    (void)ctx;
    return false;
}

/* `what` is what an error is about. grows: a directory that may grow by max bytes, NULL = none is watched. */
static int run_git(const char *const *argv, const char *repo, int64_t timeout_ms, const char *what, const char *grows,
                   int64_t max, struct err *e)
{
    const char *env[ENV_MAX];
    struct spawn_request r = {.argv = argv, .env = env, .timeout_ms = timeout_ms};
    struct call c = {.what = what, .e = e, .grows = grows, .before = grows ? size_of(grows) : 0, .max = max};
    int rc = host_real_new(&c.host, e);

    if (rc < 0)
        return rc;
    make_env(repo, env);
    rc = c.host->ops->spawn(c.host, &r, on_answer, &c, &c.op, e);
    if (rc < 0)
        err_wrap(e, "%s", what);
    if (rc == 0 && grows)
        look_at_size(&c);
    if (rc == 0)
        rc = c.host->ops->run(c.host, turn, NULL, e);
    c.host->ops->free(c.host);
    return rc ? rc : c.rc;
}

/* Locks, and what it was writing. */
static int remove_left(const char *path, const struct stat *st, int type, struct FTW *where)
{
    size_t n = strlen(path);

    (void)st;
    if (type == FTW_F && ((n > 5 && strcmp(path + n - 5, ".lock") == 0) || strncmp(path + where->base, "tmp_", 4) == 0))
        unlink(path);
    return 0;
}

static int fetch(const char *dir, const char *repo, struct err *e)
{
    const char *redirects = is_http(repo) ? "http.followRedirects=false" : "http.followRedirects=initial";
    const char *argv[] = {"git", "-C", dir, "-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null", "-c", redirects,
                          "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
                          "--", repo, "+HEAD:refs/midwatch/HEAD", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
                          NULL};
    const char *limit = getenv("MIDWATCH_FETCH_TIMEOUT"), *size = getenv("MIDWATCH_FETCH_MAX");
    char what[400];
    int64_t ms = 60000, max = 1024 * MIB;
    int rc;

    if (limit && (str_duration_ms(str_of(limit), &ms) < 0 || ms <= 0))
        return err_set(e, ERR_INVALID, "MIDWATCH_FETCH_TIMEOUT: '%.40s' is no duration (30s, 2m)", limit);
    if (size && (str_size_bytes(str_of(size), &max) < 0 || max <= 0))
        return err_set(e, ERR_INVALID, "MIDWATCH_FETCH_MAX: '%.40s' is no size (64MiB, 2GiB)", size);
    snprintf(what, sizeof(what), "fetch %.300s", repo);
    rc = run_git(argv, repo, ms, what, dir, max, e);
    if (rc == ERR_LIMIT)
        nftw(dir, remove_left, 16, FTW_PHYS);
    return rc;
}

/* What was fetched last, for a person who decides that it is good enough. */
static void hint_at_last(const char *dir, const char *at, struct err *e)
{
    struct source *s = NULL;
    struct err ignored = {0};

    if (source_open(dir, at, NULL, &s, &ignored) == 0)
        err_hint(e, "what was fetched before has it at --at %s", source_commit(s));
    source_close(s);
}

static int update_locked(const char *dir, const char *repo, const char *at, struct err *e)
{
    const char *init[] = {"git", "init", "--quiet", "--bare", "--template=", "--", dir, NULL};
    char head[4200];
    int rc = 0;

    snprintf(head, sizeof(head), "%s/HEAD", dir);
    if (access(head, F_OK) != 0)
        rc = run_git(init, repo, 10000, "git init", NULL, 0, e);
    else if (at && source_has_commit(dir, at))
        return 0;
    if (rc == 0) {
        nftw(dir, remove_left, 16, FTW_PHYS);
        rc = fetch(dir, repo, e);
    }
    if (rc == ERR_IO || rc == ERR_TIMEOUT)
        hint_at_last(dir, at, e);
    return rc;
}

int mirror_update(const char *state_dir, const char *repo, const char *at, struct buf *dir, struct err *e)
{
    struct hash h = hash_of(str_of(repo));
    char hex[65], lock[4200];
    int fd, rc = check_address(repo, at, e);

    if (rc < 0)
        return rc;
    mkdir(state_dir, 0700);
    buf_addf(dir, "%s/git", state_dir);
    mkdir(buf_text(dir), 0700);
    buf_addf(dir, "/%.32s.git", hash_hex(&h, hex));
    snprintf(lock, sizeof(lock), "%s.lock", buf_text(dir));
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        rc = err_set(e, ERR_IO, "%s: %s", lock, strerror(errno));
    else
        rc = update_locked(buf_text(dir), repo, at, e);
    if (fd >= 0)
        close(fd);
    return rc;
}
