/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a command line, by the tables of verbs and options. */
#include "cli/cli.h"

#include "base/str.h"

#include <stdio.h>

static int usage(const struct verb *v)
{
    fprintf(stderr, "usage: midwatch %s %s\nmore: midwatch help %s\n", v->name, v->usage, v->name);
    return EXIT_USAGE;
}

/* One more value of an option that may come again. */
static int add(const char **list, size_t *n, size_t max, const struct option *o, const char *value)
{
    if (*n == max) {
        fprintf(stderr, "midwatch: too many %s, at most %zu\n", o->name, max);
        return EXIT_USAGE;
    }
    list[(*n)++] = value;
    return 0;
}

static int take_form(struct cli *c, const char *value)
{
    c->json = strcmp(value, "json") == 0;
    if (c->json || strcmp(value, "text") == 0)
        return 0;
    fprintf(stderr, "midwatch: -o is text or json, not '%.60s'\n", value);
    return EXIT_USAGE;
}

/* One of the words of o->value. */
static int take_word(struct cli *c, const struct option *o, const char *value)
{
    const char *p = o->value;
    size_t n;

    for (; *p; p += n + (p[n] == '|')) {
        n = strcspn(p, "|");
        if (strlen(value) == n && strncmp(p, value, n) == 0) {
            c->form = value;
            c->json = strcmp(value, "json") == 0;
            return 0;
        }
    }
    fprintf(stderr, "midwatch: %s is %s, not '%.60s'\n", o->name, o->value, value);
    return EXIT_USAGE;
}

int cli_take_option(struct cli *c, const struct option *o, const char *value)
{
    const struct {
        uint64_t flag;
        const char **text;
        bool *on;
    } places[] = {{FLAG_CONFIG, &c->config_file, NULL}, {FLAG_STATE, &c->state_option, NULL}, {FLAG_ALERT, &c->alert_file, NULL},
                  {FLAG_FORM, &c->form, NULL}, {FLAG_OUT, &c->out_file, NULL}, {FLAG_FROM, &c->from, NULL},
                  {FLAG_LAST, &c->last, NULL}, {FLAG_RECORD, &c->record, NULL}, {FLAG_COVER, NULL, &c->cover},
                  {FLAG_FAULTS, NULL, &c->faults}, {FLAG_GENERATE, NULL, &c->generate}, {FLAG_AT_MOST, &c->at_most, NULL},
                  {FLAG_WITHIN, &c->within, NULL},
                  {FLAG_MAP_FORM, &c->form, NULL}, {FLAG_DIFF, &c->diff, NULL}, {FLAG_MAP_CHECK, NULL, &c->check},
                  {FLAG_AGAINST, &c->against, NULL}, {FLAG_ALL, NULL, &c->all}, {FLAG_CHECK, NULL, &c->check},
                  {FLAG_STRICT, NULL, &c->strict}, {FLAG_PLAN, &c->plan_file, NULL}, {FLAG_ACCURACY, NULL, &c->accuracy},
                  {FLAG_EACH, NULL, &c->each},
                  {FLAG_AT, &c->at, NULL}, {FLAG_REPO, &c->repo, NULL},
                  {FLAG_RELEASE, NULL, &c->release},
                  {FLAG_OFF, NULL, &c->off}, {FLAG_LUACATS, NULL, &c->luacats}, {FLAG_MAN, NULL, &c->man}};
    size_t i;

    if (o->flag == FLAG_PARAM)
        return add(c->params, &c->nparams, sizeof(c->params) / sizeof(c->params[0]), o, value);
    if (o->flag == FLAG_USES)
        return add(c->uses, &c->nuses, sizeof(c->uses) / sizeof(c->uses[0]), o, value);
    if (o->flag == FLAG_OUTPUT)
        return take_form(c, value);
    if (o->flag == FLAG_BACKTEST_FORM || o->flag == FLAG_TEST_FORM)
        return take_word(c, o, value);
    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (places[i].flag == o->flag && places[i].text)
            *places[i].text = value;
        else if (places[i].flag == o->flag)
            *places[i].on = true;
    }
    return 0;
}

const struct option *cli_find_option(const struct verb *v, const char *word, size_t n)
{
    size_t i, count;
    const struct option *options = cli_options(&count);

    for (i = 0; i < count; i++) {
        if ((v->flags & options[i].flag) && strlen(options[i].name) == n && strncmp(options[i].name, word, n) == 0)
            return &options[i];
    }
    return NULL;
}

static int no_option(const struct verb *v, const char *word)
{
    const char *names[64], *near;
    size_t i, count, n = 0;
    const struct option *options = cli_options(&count);

    for (i = 0; i < count && n < 64; i++) {
        if (v->flags & options[i].flag)
            names[n++] = options[i].name;
    }
    near = str_nearest(str_of(word), names, n);
    fprintf(stderr, "midwatch %s: no option '%.60s'%s%s%s\n", v->name, word, near ? " (did you mean '" : "", near ? near : "",
            near ? "'?)" : "");
    return usage(v);
}

/* One option at argv[*i]. */
static int take_option(struct cli *c, const struct verb *v, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *value = NULL;
    size_t n = strcspn(word, "=");
    const struct option *o = cli_find_option(v, word, n);

    if (!o)
        return no_option(v, word);
    if (o->value) {
        value = word[n] == '=' ? word + n + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (!value) {
            fprintf(stderr, "midwatch: %s wants a value: %s\n", o->name, o->value);
            return EXIT_USAGE;
        }
    } else if (word[n] == '=') {
        fprintf(stderr, "midwatch: %s takes no value\n", o->name);
        return EXIT_USAGE;
    }
    return cli_take_option(c, o, value);
}

int cli_parse(struct cli *c, const struct verb *v, int argc, char **argv)
{
    bool only_words = false;
    int i, rc;

    for (i = 2; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            *c = (struct cli){.nargs = 1, .args = {v->name}};
            return -1;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            rc = take_option(c, v, argc, argv, &i);
            if (rc)
                return rc;
        } else if (c->nargs == v->max_args || c->nargs == sizeof(c->args) / sizeof(c->args[0])) {
            fprintf(stderr, "midwatch %s: '%.60s' is too much\n", v->name, argv[i]);
            return usage(v);
        } else {
            c->args[c->nargs++] = argv[i];
        }
    }
    return c->nargs < v->min_args ? usage(v) : 0;
}
