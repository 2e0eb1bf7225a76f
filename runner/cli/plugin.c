/* SPDX-License-Identifier: Apache-2.0 */
/* plugin test PATH, for those who write plugins; plugin describe NAME, for those who write runbooks. */
#include "check/plugin_test.h"

#include "base/limits.h"
#include "cli/cli.h"

#include <stdio.h>

struct count {
    size_t passed, failed;
    json_t *cases;              /* of -o json; else NULL */
};

static void tell(void *ctx, const char *name, const char *why)
{
    struct count *n = ctx;
    struct buf b = BUF_INIT(8 * KIB);

    n->passed += !why;
    n->failed += why != NULL;
    str_add_printable(&b, why ? why : "", why ? strnlen(why, 1500) : 0);
    if (n->cases)
        json_array_append_new(n->cases, json_pack("{s:s s:b s:s}", "name", name, "passed", !why, "why", buf_text(&b)));
    else
        printf("%s - %s%s%s\n", why ? "not ok" : "ok", name, why ? ": " : "", buf_text(&b));
    fflush(stdout);
    buf_free(&b);
}

int verb_plugin(struct cli *c)
{
    struct buf out = BUF_INIT(MIB);
    struct count n = {0};
    struct err e = {0};

    if (strcmp(c->args[0], "describe") == 0) {
        if ((strpbrk(c->args[1], "./") ? plugin_describe(c->args[1], &out, &e) : cli_describe(c, c->args[1], &out, &e)) < 0)
            return cli_fail(&e);
        fputs(buf_text(&out), stdout);
        buf_free(&out);
        return EXIT_OK;
    }
    if (strcmp(c->args[0], "test") != 0) {
        fprintf(stderr, "midwatch plugin: '%.60s' is neither test nor describe\n", c->args[0]);
        return EXIT_USAGE;
    }
    n.cases = c->json ? json_array() : NULL;
    if (plugin_test(c->args[1], tell, &n, &e) < 0) {
        json_decref(n.cases);
        return cli_fail(&e);
    }
    cli_tell(c, json_pack("{s:o*}", "cases", n.cases), "%zu passed, %zu failed", n.passed, n.failed);
    return n.failed ? EXIT_USAGE : EXIT_OK;
}
