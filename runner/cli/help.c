/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch help and version: everything there is, from the tables. */
#include "cli/cli.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"

#include <stdio.h>

#define TEXT_COLUMNS 96

/* Words of s in lines of TEXT_COLUMNS. */
static void print_filled(const char *s)
{
    size_t column = 0;

    while (*s) {
        size_t n = strcspn(s, " ");

        if (column && column + 1 + n > TEXT_COLUMNS) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%s%.*s", column ? " " : "", (int)n, s);
        s += n + strspn(s + n, " ");
    }
    if (column)
        putchar('\n');
}

static void print_overview(void)
{
    size_t i, n, nexits;
    const struct verb *v = cli_verbs(&n);
    const struct exit_code *x = cli_exits(&nexits);

    printf("usage: midwatch VERB ...        all about one: midwatch help VERB\n");
    for (i = 0; i < n; i++) {
        if (v[i].group == GROUP_HIDDEN)
            continue;
        if (i == 0 || v[i].group != v[i - 1].group)
            printf("\n%s\n", cli_group_title(v[i].group));
        printf("  %-10s  %s\n", v[i].name, v[i].summary);
    }
    printf("\nThe first steps: midwatch new NAME, midwatch test NAME, midwatch run NAME.\n\nExit codes\n");
    for (i = 0; i < nexits; i++)
        printf("  %d  %s\n", x[i].code, x[i].meaning);
}

static void print_verb(const struct verb *v)
{
    size_t i, n;
    const struct option *o = cli_options(&n);
    char left[64];

    printf("usage: midwatch %s%s%s\n\n%s\n", v->name, v->usage[0] ? " " : "", v->usage, v->summary);
    if (v->more[0]) {
        putchar('\n');
        print_filled(v->more);
    }
    if (v->flags)
        putchar('\n');
    for (i = 0; i < n; i++) {
        if (!(v->flags & o[i].flag))
            continue;
        snprintf(left, sizeof(left), "%s%s%s", o[i].name, o[i].value ? " " : "", o[i].value ? o[i].value : "");
        printf("  %-20s  %s\n", left, o[i].help);
    }
}

static json_t *verb_facts(const struct verb *v)
{
    json_t *list = json_array();
    size_t i, n;
    const struct option *o = cli_options(&n);

    for (i = 0; i < n; i++) {
        if (v->flags & o[i].flag)
            json_array_append_new(list, json_pack("{s:s s:s s:s?}", "help", o[i].help, "name", o[i].name, "value", o[i].value));
    }
    return json_pack("{s:s s:s s:s s:o s:s s:s}", "group", cli_group_title(v->group), "more", v->more, "name", v->name,
                     "options", list, "summary", v->summary, "usage", v->usage);
}

static void print_json(const struct verb *only)
{
    struct buf b = BUF_INIT(MIB);
    json_t *list = json_array();
    size_t i, n;
    const struct verb *v = cli_verbs(&n);

    for (i = 0; i < n; i++) {
        if (v[i].group != GROUP_HIDDEN && (!only || only == &v[i]))
            json_array_append_new(list, verb_facts(&v[i]));
    }
    json_add_value(&b, list);
    puts(buf_text(&b));
    json_decref(list);
    buf_free(&b);
}

static int print_made(struct cli *c)
{
    struct buf b = BUF_INIT(4 * MIB);
    struct err e = {0};
    int rc = 0;

    if (c->man)
        cli_man(&b);
    else if (cli_luacats(c, &b, &e) < 0)
        rc = cli_fail(&e);
    if (rc == 0)
        fputs(buf_text(&b), stdout);
    buf_free(&b);
    return rc;
}

int verb_help(struct cli *c)
{
    const struct verb *v = NULL;

    if (c->man || c->luacats)
        return print_made(c);
    if (c->nargs && !(v = cli_find_verb(c->args[0])))
        return EXIT_USAGE;
    if (c->json)
        print_json(v);
    else if (v)
        print_verb(v);
    else
        print_overview();
    return EXIT_OK;
}

int verb_version(struct cli *c)
{
    if (c->json)
        printf("{\"version\":\"%s\"}\n", MIDWATCH_VERSION);
    else
        printf("midwatch %s\n", MIDWATCH_VERSION);
    return EXIT_OK;
}
