/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch test --generate: the scenarios on stdout, ready to be appended; what there is none for on stderr. */
#include "check/generate.h"
#include "cli/cli.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define AT_MOST 20

static void print_proposed(const json_t *g)
{
    const json_t *list = json_object_get(g, "proposed");
    json_t *s;
    size_t i;

    if (json_get_string(g, "file", "")[0] == '\0' && json_array_size(list))
        puts("scenarios:");
    json_array_foreach((json_t *)list, i, s)
        fputs(json_get_string(s, "yaml", ""), stdout);
}

static void tell_list(const json_t *list, const char *what)
{
    json_t *x;
    size_t i;

    json_array_foreach((json_t *)list, i, x)
        fprintf(stderr, "%s  %s\n    %s\n", what, json_get_string(x, "path", ""), json_get_string(x, "why", ""));
}

static void tell(const char *name, const json_t *g)
{
    size_t proposed = json_array_size(json_object_get(g, "proposed"));
    size_t unconfirmed = json_array_size(json_object_get(g, "unconfirmed"));
    size_t without = json_array_size(json_object_get(g, "without"));
    int64_t untried = json_get_int(g, "untried", 0), failing = json_get_int(g, "failing", 0);

    tell_list(json_object_get(g, "without"), "no values");
    tell_list(json_object_get(g, "unconfirmed"), "not confirmed");
    fprintf(stderr, "%s: %zu proposed, %lld covered by scenarios that are there, %zu not confirmed, %zu without values\n", name,
            proposed, (long long)json_get_int(g, "covered", 0), unconfirmed, without);
    if (untried)
        fprintf(stderr, "%lld paths were not tried: --at-most N\n", (long long)untried);
    if (failing)
        fprintf(stderr, "%lld scenarios of %s fail, and count for nothing\n", (long long)failing, json_get_string(g, "file", ""));
    if (strcmp(json_get_string(g, "ended", "all"), "all") != 0)
        fprintf(stderr, "not all paths were explored: too much %s (midwatch map)\n",
                strcmp(json_get_string(g, "ended", ""), "time") == 0 ? "time" : "many paths");
}

static int read_at_most(const struct cli *c, size_t *out)
{
    char *end = NULL;
    long n = c->at_most ? strtol(c->at_most, &end, 10) : AT_MOST;

    *out = (size_t)n;
    if (n > 0 && n <= 100000 && (!end || (end != c->at_most && !*end)))
        return 0;
    fprintf(stderr, "midwatch test: --at-most is a number from 1, not '%.60s'\n", c->at_most);
    return EXIT_USAGE;
}

int cli_generate(struct cli *c, struct source *source, struct registry *registry)
{
    struct generate_request q = {.source = source, .config = c->config, .registry = registry};
    struct buf text = BUF_INIT(64 * MIB);
    json_t *all = json_array(), *g;
    struct err e = {0};
    size_t i;
    int rc = read_at_most(c, &q.at_most);

    if (rc == 0 && c->form && strcmp(c->form, "json") != 0 && strcmp(c->form, "text") != 0) {
        fputs("midwatch test: --generate prints text or json\n", stderr);
        rc = EXIT_USAGE;
    }
    for (i = 0; rc == 0 && i < c->nargs; i++) {
        q.name = c->args[i];
        if (generate(&q, &g, &e) < 0)
            rc = cli_fail(&e);
        else if (c->json)
            json_array_append_new(all, g);
        if (rc || c->json)
            continue;
        print_proposed(g);
        tell(c->args[i], g);
        json_decref(g);
    }
    if (rc == 0 && c->json) {
        json_add_value(&text, all);
        puts(buf_text(&text));
    }
    json_decref(all);
    buf_free(&text);
    return rc;
}
