/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs share: errors in one form, the configuration, the journal, run names. */
#include "cli/cli.h"

#include "base/buf.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int cli_fail(const struct err *e)
{
    struct buf b = BUF_INIT(4096);
    char text[1400];

    err_text(e, text, sizeof(text));
    str_add_printable(&b, text, strlen(text));
    fprintf(stderr, "midwatch: %s\n", buf_text(&b));
    buf_free(&b);
    switch (e->code) {
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_LIMIT:
    case ERR_BUSY:
    case ERR_DENIED:
        return EXIT_USAGE;
    default:
        return EXIT_INTERNAL;
    }
}

int cli_config(struct cli *c)
{
    struct err e = {0};

    if (c->config)
        return 0;
    if (config_load(c->config_file, &c->config, &e) < 0)
        return cli_fail(&e);
    c->state_dir = config_state_dir(c->config, c->state_option);
    return 0;
}

struct listing {
    struct journal *journal;
    int64_t but;
};

static bool see_unknown(void *ctx, const struct effect_info *x)
{
    bool *unknown = ctx;

    *unknown = *unknown || x->state == EFFECT_UNKNOWN || x->state == EFFECT_INTENDED;
    return true;
}

/* What to type next for an open run. */
static const char *next_command(struct journal *j, const struct run_info *r, char *out, size_t size)
{
    bool unknown = false;
    struct err e = {0};

    if (r->state == RUN_WAITING_PERSON)
        j->ops->effects(j, r->id, see_unknown, &unknown, &e);
    if (unknown)
        snprintf(out, size, "midwatch settle %lld applied|absent|release", (long long)r->id);
    else if (r->state == RUN_WAITING_PERSON)
        snprintf(out, size, "midwatch approve|deny|answer %lld", (long long)r->id);
    else
        snprintf(out, size, "midwatch resume %lld", (long long)r->id);
    return out;
}

static bool print_open(void *ctx, const struct run_info *r)
{
    const struct listing *l = ctx;

    char next[128];

    if (r->id != l->but)
        fprintf(stderr, "open: run %lld %s is %s; %s\n", (long long)r->id, r->runbook,
                r->state == RUN_RUNNING ? "interrupted" : run_state_name(r->state),
                next_command(l->journal, r, next, sizeof(next)));
    return true;
}

void cli_open_runs(struct journal *j, int64_t but)
{
    struct listing l = {j, but};
    struct err e = {0};

    j->ops->runs(j, true, print_open, &l, &e);
}

int cli_read_journal(struct cli *c, struct journal **out)
{
    struct journal_options o = {.read_only = true};
    struct err e = {0};
    int rc = cli_config(c);

    if (rc)
        return rc;
    if (journal_sqlite_open(c->state_dir, "reader", &o, out, &e) < 0)
        return cli_fail(&e);
    cli_open_runs(*out, 0);
    return 0;
}

int cli_run_id(struct journal *j, const char *text, int64_t *out)
{
    struct err e = {0};
    char *end;

    *out = strtoll(text, &end, 10);
    if (*end == '\0' && end != text && *out > 0)
        return 0;
    if (j->ops->find_run(j, str_of(text), out, &e) < 0)
        return cli_fail(&e);
    return 0;
}

const char *cli_who(void)
{
    static char who[256];
    char host[128] = "";
    const struct passwd *p = getpwuid(getuid());

    gethostname(host, sizeof(host) - 1);
    snprintf(who, sizeof(who), "%s@%s", p ? p->pw_name : "?", host);
    return who;
}
