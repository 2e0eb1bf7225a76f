/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch show and midwatch report: one run, for people or for programs. */
#include "base/limits.h"
#include "cli/cli.h"
#include "report/report.h"

#include <stdio.h>

typedef int (*render)(struct journal *j, int64_t run, struct buf *out, struct err *e);

static int print(struct cli *c, render text)
{
    struct buf out = BUF_INIT(64 * MIB);
    struct journal *j;
    struct err e = {0};
    int64_t id;
    int rc = cli_read_journal(c, &j);

    if (rc)
        return rc;
    rc = cli_run_id(j, c->args[0], &id);
    if (rc == 0 && (c->json ? report_json : text)(j, id, &out, &e) < 0)
        rc = cli_fail(&e);
    if (rc == 0)
        fwrite(buf_text(&out), 1, out.len, stdout);
    buf_free(&out);
    j->ops->free(j);
    return rc;
}

int verb_show(struct cli *c) { return print(c, report_text); }
int verb_report(struct cli *c) { return print(c, report_markdown); }
