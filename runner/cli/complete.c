/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch complete: the words that may come next, one per line, with a tab before what
 * they mean; ":files" and ":dirs" are left to the shell. Silent about everything else. */
#include "cli/cli.h"

#include "base/limits.h"
#include "base/str.h"
#include "book/source.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define RUNS_MAX 100

struct completing {
    struct cli *cli;            /* whose args are the words typed so far; the last may be a part of one */
    struct cli said;            /* the options among them */
    const struct verb *verb;
    const char *word;           /* the last */
    const char *before;         /* what stands in front of it: "--state=" */
    const char *first;          /* argument of the verb, or NULL */
    size_t nruns;
};

/* A value goes into a command line as it is: none that a shell would read otherwise is offered. */
static void offer(const struct completing *x, const char *value, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,";
    struct buf b = BUF_INIT(4 * KIB);

    if (strncmp(value, x->word, strlen(x->word)) != 0 || value[strspn(value, plain)])
        return;
    str_add_printable(&b, text ? text : "", text ? strlen(text) : 0);
    printf("%s%s%s%s\n", x->before, value, b.len ? "\t" : "", buf_text(&b));
    buf_free(&b);
}

static void offer_verbs(const struct completing *x)
{
    size_t i, n;
    const struct verb *v = cli_verbs(&n);

    for (i = 0; i < n; i++) {
        if (v[i].group != GROUP_HIDDEN)
            offer(x, v[i].name, v[i].summary);
    }
}

static void offer_options(const struct completing *x)
{
    size_t i, n;
    const struct option *o = cli_options(&n);

    for (i = 0; i < n; i++) {
        if (x->verb->flags & o[i].flag)
            offer(x, o[i].name, o[i].help);
    }
    offer(x, "--help", "all about this command");
}

/* Of ./runbooks; a path is left to the shell. */
static void offer_runbooks(const struct completing *x)
{
    DIR *d = opendir("runbooks");
    struct dirent *entry;
    char name[256];

    while (d && (entry = readdir(d)) != NULL) {
        size_t n = strlen(entry->d_name);

        if (n <= 3 || entry->d_name[0] == '.' || strcmp(entry->d_name + n - 3, ".md") != 0)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(n - 3), entry->d_name);
        offer(x, name, "runbook");
    }
    if (d)
        closedir(d);
}

static bool offer_run(void *ctx, const struct run_info *r)
{
    struct completing *x = ctx;
    char id[32], text[400];

    snprintf(id, sizeof(id), "%lld", (long long)r->id);
    snprintf(text, sizeof(text), "%s %s", r->runbook, r->outcome[0] ? r->outcome : run_state_name(r->state));
    offer(x, id, text);
    return ++x->nruns < RUNS_MAX;
}

/* What acts on a run wants one that has not ended, but for undo. */
static void offer_runs(struct completing *x)
{
    struct journal_options o = {.read_only = true};
    bool acts = x->verb->group == GROUP_RUN || x->verb->group == GROUP_PEOPLE, open_only = acts && x->verb->exec != verb_undo;
    struct journal *j;
    struct err e = {0};

    if (config_load(x->said.config_file, &x->said.config, &e) < 0)
        return;
    x->said.state_dir = config_state_dir(x->said.config, x->said.state_option);
    if (journal_sqlite_open(x->said.state_dir, "reader", &o, &j, &e) < 0)
        return;
    j->ops->runs(j, open_only, offer_run, x, &e);
    j->ops->free(j);
}

static void offer_instances(struct completing *x)
{
    struct err e = {0};
    size_t i;

    if (config_load(x->said.config_file, &x->said.config, &e) < 0)
        return;
    for (i = 0; i < x->said.config->ninstances; i++) {
        const struct instance *in = &x->said.config->instances[i];

        if (!in->implicit)
            offer(x, in->name, in->plugin);
    }
}

/* "name=", and behind the sign what it may be. */
static void offer_param(const struct completing *x, const struct param *p)
{
    char text[600];
    size_t i, n = strlen(p->name);

    if (strncmp(x->word, p->name, n) != 0 || x->word[n] != '=') {
        snprintf(text, sizeof(text), "%.200s=", p->name);
        offer(x, text, p->absent || p->optional ? "" : "required");
        return;
    }
    for (i = 0; i < p->none_of; i++) {
        snprintf(text, sizeof(text), "%.200s=%.300s", p->name, p->one_of[i]);
        offer(x, text, "");
    }
}

static void offer_params(const struct completing *x)
{
    struct runbook *book = NULL;
    struct err e = {0};
    size_t i;

    if (!x->first || source_load(NULL, x->first, &book, &e) < 0)
        return;
    for (i = 0; i < book->nparams; i++)
        offer_param(x, &book->params[i]);
    book_free(book);
}

/* One of the words that usage and option values are made of. */
static void offer_kind(struct completing *x, struct str kind)
{
    if (str_is(kind, "RUNBOOK")) {
        offer_runbooks(x);
        printf(":files\n");
    } else if (str_is(kind, "FILE")) {
        printf(":files\n");
    } else if (str_is(kind, "DIR")) {
        printf(":dirs\n");
    } else if (str_is(kind, "RUN")) {
        offer_runs(x);
    } else if (str_is(kind, "VERB")) {
        offer_verbs(x);
    } else if (str_is(kind, "INSTANCE")) {
        offer_instances(x);
    } else if (str_is(kind, "key=value")) {
        offer_params(x);
    } else if (kind.n && (kind.p[0] < 'A' || kind.p[0] > 'Z')) {
        char *word = xstrndup(kind.p, kind.n);

        offer(x, word, "");
        free(word);
    }
}

static void offer_kinds(struct completing *x, struct str kinds)
{
    while (kinds.n) {
        size_t n = 0;

        while (n < kinds.n && kinds.p[n] != '|')
            n++;
        offer_kind(x, (struct str){kinds.p, n});
        kinds.p += n < kinds.n ? n + 1 : n;
        kinds.n -= n < kinds.n ? n + 1 : n;
    }
}

/* The arguments of usage from `position` on, up to the first that must be there. */
static void offer_arguments(struct completing *x, size_t position)
{
    const char *s = x->verb->usage;
    size_t at = 0;

    for (s += strspn(s, " "); *s && *s != '|' && strncmp(s, "[-", 2) != 0; s += strspn(s, " ")) {
        size_t n = strcspn(s, " "), skip = s[0] == '[';
        struct str token = {s + skip, n - skip};
        bool repeats = n > 3 && strncmp(s + n - 3, "...", 3) == 0;

        s += n;
        token.n -= repeats ? 3 : 0;
        token.n -= skip && token.p[token.n - 1] == ']';
        if (at++ < position && !repeats)
            continue;
        offer_kinds(x, token);
        if (!skip)
            return;
    }
}

/* Takes the words up to the last in. Returns the option whose value the last is, or NULL. */
static const struct option *take_words(struct completing *x, size_t *position)
{
    const struct cli *c = x->cli;
    size_t i;

    *position = 0;
    for (i = 1; i + 1 < c->nargs; i++) {
        const char *word = c->args[i];
        size_t n = strcspn(word, "=");
        const struct option *o = word[0] == '-' ? cli_find_option(x->verb, word, n) : NULL;

        if (!o && word[0] != '-') {
            if ((*position)++ == 0)
                x->first = word;
        } else if (o && o->value && word[n] == '=') {
            cli_take_option(&x->said, o, word + n + 1);
        } else if (o && o->value) {
            if (i + 2 == c->nargs)
                return o;
            cli_take_option(&x->said, o, c->args[++i]);
        }
    }
    return NULL;
}

static void complete(struct completing *x)
{
    size_t position, n = strcspn(x->word, "=");
    const struct option *o = take_words(x, &position);
    char before[64] = "";

    if (!o && x->word[0] == '-' && x->word[n] == '=' && n < sizeof(before) - 1) {
        o = cli_find_option(x->verb, x->word, n);
        snprintf(before, sizeof(before), "%.*s=", (int)n, x->word);
        x->before = before;
        x->word += n + 1;
    }
    if (o && o->value)
        offer_kinds(x, str_of(o->value));
    else if (x->word[0] == '-')
        offer_options(x);
    else
        offer_arguments(x, position);
}

int verb_complete(struct cli *c)
{
    struct completing x = {.cli = c, .word = c->nargs ? c->args[c->nargs - 1] : "", .before = ""};
    size_t i, n;
    const struct verb *v = cli_verbs(&n);

    for (i = 0; c->nargs > 1 && i < n; i++) {
        if (strcmp(v[i].name, c->args[0]) == 0)
            x.verb = &v[i];
    }
    if (x.verb)
        complete(&x);
    else if (c->nargs <= 1)
        offer_verbs(&x);
    config_free(x.said.config);
    free(x.said.state_dir);
    return EXIT_OK;
}
