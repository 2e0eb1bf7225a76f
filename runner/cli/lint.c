/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch lint. */
#include "check/check.h"

#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"

#include <stdio.h>

int verb_lint(struct cli *c)
{
    struct buf out = BUF_INIT(16 * MIB);
    json_t *findings = json_array();
    struct source *source = NULL;
    size_t i, k, n = 0;
    int rc = cli_source(c, &source);

    for (i = 0; rc == 0 && i < c->nargs; i++) {
        lint_runbook(source, c->args[i], c->config, findings, &out);
        for (k = n, n = json_array_size(findings); k < n; k++)
            lint_text(json_array_get(findings, k), &out);
    }
    if (rc == 0 && c->json) {
        buf_reset(&out);
        json_add_value(&out, findings);
        puts(buf_text(&out));
    } else if (rc == 0) {
        fputs(buf_text(&out), stdout);
        if (n == 0)
            printf("%zu runbook%s: nothing to complain about\n", c->nargs, c->nargs == 1 ? "" : "s");
    }
    source_close(source);
    json_decref(findings);
    buf_free(&out);
    return rc ? rc : n ? EXIT_USAGE : EXIT_OK;
}
