/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs share: errors in one form, the configuration, the journal, run names. */
#include "cli/cli.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"
#include "cli/owner.h"
#include "cli/socket.h"
#include "run/engine.h"

#include <pwd.h>
#include <stdarg.h>
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

#define OPEN_SHOWN 10

struct listing {
    struct journal *journal;
    const struct cli *reader;
    size_t n;
};

static bool see_unknown(void *ctx, const struct effect_info *x)
{
    size_t *n = ctx;

    *n += x->state == EFFECT_UNKNOWN || x->state == EFFECT_INTENDED;
    return true;
}

size_t cli_unknown_effects(struct journal *j, int64_t run)
{
    struct err e = {0};
    size_t n = 0;

    j->ops->effects(j, run, see_unknown, &n, &e);
    return n;
}

/* What to type next for an open run. */
static const char *next_command(struct journal *j, const struct run_info *r, char *out, size_t size)
{
    if (r->state == RUN_WAITING_PERSON && cli_unknown_effects(j, r->id))
        snprintf(out, size, "midwatch settle %lld applied|absent|release", (long long)r->id);
    else if (r->state == RUN_WAITING_PERSON)
        snprintf(out, size, "midwatch approve|deny|answer %lld", (long long)r->id);
    else
        snprintf(out, size, "midwatch resume %lld", (long long)r->id);
    return out;
}

static bool print_open(void *ctx, const struct run_info *r)
{
    struct listing *l = ctx;
    bool is_running = (r->state == RUN_RUNNING || r->state == RUN_WAITING_TIME) && l->reader &&
                      owner_executes(l->reader, r->id);
    char next[128];

    if (l->n++ == OPEN_SHOWN) {
        fprintf(stderr, "open: and more; midwatch list\n");
        return false;
    }
    if (is_running)
        fprintf(stderr, "open: run %lld %s is running; midwatch watch %lld\n", (long long)r->id, r->runbook, (long long)r->id);
    else
        fprintf(stderr, "open: run %lld %s is %s; %s\n", (long long)r->id, r->runbook,
                r->state == RUN_RUNNING ? "interrupted" : run_state_name(r->state),
                next_command(l->journal, r, next, sizeof(next)));
    return true;
}

void cli_open_runs(struct journal *j, const struct cli *reader)
{
    struct listing l = {.journal = j, .reader = reader};
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
    if (journal_sqlite_open(c->state_dir, "reader", &o, out, &e) < 0) {
        if (e.code == ERR_NOT_FOUND)
            err_hint(&e, "nothing has run yet; midwatch run RUNBOOK begins it, --state DIR names another");
        return cli_fail(&e);
    }
    cli_open_runs(*out, c);
    return 0;
}

int cli_run_id(struct journal *j, const char *text, int64_t *out)
{
    struct run_info r = {0};
    struct err e = {0};
    char *end;
    int rc;

    *out = strtoll(text, &end, 10);
    if (*end == '\0' && end != text && *out > 0)
        rc = j->ops->get_run(j, *out, &r, &e);
    else
        rc = j->ops->find_run(j, str_of(text), out, &e);
    run_info_deinit(&r);
    if (rc == ERR_NOT_FOUND)
        err_hint(&e, "midwatch list shows the runs there are");
    return rc < 0 ? cli_fail(&e) : 0;
}

static void say_next(const struct standing *s)
{
    long long id = (long long)s->id;

    if (s->state == RUN_WAITING_PERSON && s->unknown)
        fprintf(stderr, "Look at the target, then say what is true:\n"
                        "  midwatch settle %lld applied     the effect has happened\n"
                        "  midwatch settle %lld absent      it has not\n"
                        "  midwatch settle %lld release     nobody knows; end the run and free its target\n"
                        "then: midwatch resume %lld\n", id, id, id, id);
    else if (s->state == RUN_WAITING_PERSON)
        fprintf(stderr, "a person must decide: midwatch approve|deny|answer %lld, then midwatch resume %lld\n", id, id);
    else if (s->state != RUN_ENDED)
        fprintf(stderr, "to go on: midwatch resume %lld\n", id);
    else if (strcmp(s->outcome, "escalated") == 0)
        fprintf(stderr, "for who takes over: midwatch report %lld -o escalation    details: midwatch show %lld\n", id, id);
    else
        fprintf(stderr, "details: midwatch show %lld    as a page: midwatch report %lld -o html --out %lld.html\n", id, id, id);
}

static void print_standing(const struct standing *s, int code)
{
    struct buf b = BUF_INIT(64 * KIB);
    struct json_object o;

    json_open(&o, &b);
    json_put_int(&o, "exit", code);
    json_put_int(&o, "id", s->id);
    json_put_string(&o, "outcome", str_of(s->outcome));
    json_put_string(&o, "reason", str_of(s->reason));
    json_put_string(&o, "runbook", str_of(s->runbook));
    json_put_string(&o, "state", str_of(run_state_name(s->state)));
    json_put_string(&o, "text", str_of(s->text));
    json_put_int(&o, "unknown_effects", (int64_t)s->unknown);
    json_close(&o);
    puts(buf_text(&b));
    buf_free(&b);
}

int cli_conclude(const struct standing *s, bool as_json)
{
    int code = outcome_exit_code(s->state, s->outcome, s->reason, s->unknown);
    bool ended = s->state == RUN_ENDED;

    if (as_json) {
        print_standing(s, code);
        return code;
    }
    fflush(stdout);
    say_next(s);
    printf("%s: %s\n", ended ? "outcome" : "state", ended ? s->outcome : run_state_name(s->state));
    return code;
}

void cli_tell(const struct cli *c, json_t *facts, const char *fmt, ...)
{
    struct buf text = BUF_INIT(64 * KIB), out = BUF_INIT(256 * KIB);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    if (!facts)
        facts = json_object();
    if (c->json) {
        json_object_set_new(facts, "text", json_stringn_nocheck(buf_text(&text), text.len));
        json_add_value(&out, facts);
    }
    puts(c->json ? buf_text(&out) : buf_text(&text));
    json_decref(facts);
    buf_free(&text);
    buf_free(&out);
}

uid_t cli_person(void)
{
    return socket_person(getuid(), getpid(), getenv("SUDO_UID"));
}

const char *cli_who(void)
{
    static char who[256];
    char host[128] = "";
    const struct passwd *p;

    if (who[0])
        return who;
    p = getpwuid(cli_person());
    gethostname(host, sizeof(host) - 1);
    snprintf(who, sizeof(who), "%s@%s", p ? p->pw_name : "?", host);
    return who;
}
