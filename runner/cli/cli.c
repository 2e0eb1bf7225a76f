/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs; it drives parsing, help and suggestions. */
#include "cli/cli.h"

#include "base/str.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COMMON (FLAG_CONFIG | FLAG_STATE)
#define SOURCE (FLAG_AT | FLAG_REPO)

static const struct verb verbs[] = {
    {"run", "NAME|FILE.md [-p key=value]... [--alert FILE] [--at REF]", "run a runbook for real",
     COMMON | FLAG_OUTPUT | FLAG_PARAM | FLAG_ALERT | SOURCE, 1, 1, verb_run},
    {"resume", "RUN", "take a run up again where it stopped", COMMON | FLAG_OUTPUT, 1, 1, verb_resume},
    {"settle", "RUN [EFFECT] applied|absent|release", "say what is true of an effect whose outcome is unknown",
     COMMON, 2, 3, verb_settle},
    {"cancel", "RUN", "end a run and undo what it changed", COMMON | FLAG_OUTPUT, 1, 1, verb_cancel},
    {"undo", "RUN", "put back what an ended run changed", COMMON | FLAG_OUTPUT, 1, 1, verb_undo},
    {"approve", "RUN [QUESTION]", "say yes to what a run wants approved", COMMON, 1, 2, verb_approve},
    {"deny", "RUN [QUESTION]", "say no to it", COMMON, 1, 2, verb_deny},
    {"answer", "RUN [QUESTION] CHOICE", "answer a question of a run", COMMON, 2, 3, verb_answer},
    {"list", "", "the runs of the journal, newest first", COMMON | FLAG_OUTPUT, 0, 0, verb_list},
    {"show", "RUN", "what a run saw, decided and changed", COMMON | FLAG_OUTPUT, 1, 1, verb_show},
    {"report", "RUN [-o html|md|json] [--out FILE]", "the report of a run", COMMON | FLAG_FORM | FLAG_OUT, 1, 1, verb_report},
    {"lint", "FILE.md...", "check a runbook without running it", COMMON | FLAG_OUTPUT | SOURCE, 1, 16, verb_lint},
    {"test", "FILE.md...", "run a runbook's scenarios over virtual time", COMMON | FLAG_OUTPUT | SOURCE, 1, 16,
     verb_test},
    {"replay", "RUN", "run a run again from its journal alone, and compare", COMMON, 1, 1, verb_replay},
    {"halt", "[WHY] | --release", "stop all effects at once, or release the halt", COMMON | FLAG_RELEASE, 0, 1, verb_halt},
    {"plugin", "test|describe PATH", "try a plugin against its contract, or print what it declares", 0, 2, 2, verb_plugin},
    {"doctor", "", "what is configured, reachable and permitted here", COMMON | FLAG_OUTPUT, 0, 0, verb_doctor},
    {"version", "", "print the version", 0, 0, 0, verb_version},
    {"help", "[VERB]", "print this, or one verb's usage", 0, 0, 1, verb_help},
};
#define NVERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct {
    const char *name;
    enum cli_flag flag;
    bool has_value;
    const char *help;
} options[] = {
    {"-p", FLAG_PARAM, true, "-p key=value   a parameter of the runbook; repeatable"},
    {"--alert", FLAG_ALERT, true, "--alert FILE   an Alertmanager payload whose labels give parameters"},
    {"--at", FLAG_AT, true, "--at REF       the runbook as a commit, tag or branch of its git repository has it"},
    {"--repo", FLAG_REPO, true, "--repo REPO    that repository: a path, or an ssh:// or https:// address"},
    {"--config", FLAG_CONFIG, true, "--config FILE  the configuration (else $MIDWATCH_CONFIG, ./midwatch.yaml, ...)"},
    {"--state", FLAG_STATE, true, "--state DIR    where the journal is"},
    {"-o", FLAG_OUTPUT, true, "-o text|json   the form of what is printed"},
    {"-o", FLAG_FORM, true, "-o FORM        md (default), html, json, text, or escalation: the evidence for who takes over"},
    {"--out", FLAG_OUT, true, "--out FILE     write it there instead of to stdout"},
    {"--release", FLAG_RELEASE, false, "--release      end the halt"},
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))

const struct verb *cli_verbs(size_t *n)
{
    *n = NVERBS;
    return verbs;
}

static const struct verb *find_verb(const char *name)
{
    const char *names[NVERBS], *near;
    size_t i;

    for (i = 0; i < NVERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
        names[i] = verbs[i].name;
    }
    near = str_nearest(str_of(name), names, NVERBS);
    fprintf(stderr, "midwatch: there is no command '%.60s'%s%s%s\n", name, near ? " (did you mean '" : "", near ? near : "",
            near ? "'?)" : "; see midwatch help");
    return NULL;
}

static int usage(const struct verb *v)
{
    fprintf(stderr, "usage: midwatch %s %s\n", v->name, v->usage);
    return EXIT_USAGE;
}

static int take_value(struct cli *c, enum cli_flag flag, const char *value)
{
    switch (flag) {
    case FLAG_CONFIG:
        c->config_file = value;
        break;
    case FLAG_STATE:
        c->state_option = value;
        break;
    case FLAG_ALERT:
        c->alert_file = value;
        break;
    case FLAG_FORM:
        c->form = value;
        break;
    case FLAG_OUT:
        c->out_file = value;
        break;
    case FLAG_AT:
        c->at = value;
        break;
    case FLAG_REPO:
        c->repo = value;
        break;
    case FLAG_RELEASE:
        c->release = true;
        break;
    case FLAG_PARAM:
        if (c->nparams == sizeof(c->params) / sizeof(c->params[0])) {
            fprintf(stderr, "midwatch: too many -p\n");
            return EXIT_USAGE;
        }
        c->params[c->nparams++] = value;
        break;
    case FLAG_OUTPUT:
        c->json = strcmp(value, "json") == 0;
        if (!c->json && strcmp(value, "text") != 0) {
            fprintf(stderr, "midwatch: -o is text or json, not '%.60s'\n", value);
            return EXIT_USAGE;
        }
        break;
    }
    return 0;
}

/* One option at argv[*i]. */
static int take_option(struct cli *c, const struct verb *v, int argc, char **argv, int *i)
{
    const char *word = argv[*i], *names[NOPTIONS], *near;
    size_t k;

    for (k = 0; k < NOPTIONS; k++) {
        size_t n = strlen(options[k].name);
        const char *value = NULL;

        names[k] = options[k].name;
        if (strncmp(word, options[k].name, n) != 0 || (word[n] && word[n] != '=') || !(v->flags & options[k].flag))
            continue;
        if (options[k].has_value) {
            value = word[n] == '=' ? word + n + 1 : *i + 1 < argc ? argv[++*i] : NULL;
            if (!value) {
                fprintf(stderr, "midwatch: %s wants a value\n", options[k].name);
                return EXIT_USAGE;
            }
        }
        return take_value(c, options[k].flag, value);
    }
    near = str_nearest(str_of(word), names, NOPTIONS);
    fprintf(stderr, "midwatch %s: no option '%.60s'%s%s%s\n", v->name, word, near ? " (did you mean '" : "",
            near ? near : "", near ? "'?)" : "");
    return EXIT_USAGE;
}

static int parse(struct cli *c, const struct verb *v, int argc, char **argv)
{
    bool only_words = false;
    int i, rc;

    for (i = 2; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && strcmp(argv[i], "--help") == 0) {
            c->nargs = 0;
            c->args[c->nargs++] = v->name;
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

int verb_help(struct cli *c)
{
    const struct verb *v;
    size_t i;

    if (c->nargs == 0) {
        printf("usage: midwatch VERB ...\n\n");
        for (i = 0; i < NVERBS; i++)
            printf("  %-8s %-58s %s\n", verbs[i].name, verbs[i].usage, verbs[i].summary);
        printf("\nExit codes: 0 resolved or no_action, 1 internal error, 2 usage or invalid, 3 escalated, 4 refused by policy,\n"
               "5 not ended, 6 outcome of an effect unknown, 7 cancelled.\n");
        return EXIT_OK;
    }
    v = find_verb(c->args[0]);
    if (!v)
        return EXIT_USAGE;
    printf("usage: midwatch %s %s\n%s\n", v->name, v->usage, v->summary);
    for (i = 0; i < NOPTIONS; i++) {
        if (v->flags & options[i].flag)
            printf("  %s\n", options[i].help);
    }
    return EXIT_OK;
}

int verb_version(struct cli *c)
{
    (void)c;
    printf("midwatch %s\n", MIDWATCH_VERSION);
    return EXIT_OK;
}

int cli_main(int argc, char **argv)
{
    struct cli c = {0};
    const struct verb *v;
    int rc;

    setlocale(LC_ALL, "C");
    if (argc < 2) {
        verb_help(&c);
        return EXIT_USAGE;
    }
    v = find_verb(strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? "help"
                  : strcmp(argv[1], "--version") == 0                          ? "version"
                                                                               : argv[1]);
    if (!v)
        return EXIT_USAGE;
    rc = parse(&c, v, argc, argv);
    if (rc < 0)
        return verb_help(&c);
    if (rc == 0)
        rc = v->exec(&c);
    config_free(c.config);
    free(c.state_dir);
    return rc;
}
