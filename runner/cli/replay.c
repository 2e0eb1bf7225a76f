/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch replay: what the journal says of a run, once more through its code. */
#include "check/check.h"
#include "cli/cli.h"

#include <stdio.h>

int verb_replay(struct cli *c)
{
    struct run_info info = {0};
    struct journal *j;
    struct err e = {0};
    int64_t id;
    size_t rows;
    int rc = cli_read_journal(c, &j);

    if (rc)
        return rc;
    rc = cli_run_id(j, c->args[0], &id);
    if (rc == 0 && (replay_run(c->config, j, id, 0, &rows, &e) < 0 || j->ops->get_run(j, id, &info, &e) < 0))
        rc = cli_fail(&e);
    if (rc == 0)
        printf("run %lld: %zu rows, equal%s\n", (long long)id, rows,
               info.state == RUN_ENDED ? "" : " so far (it has not ended)");
    run_info_deinit(&info);
    j->ops->free(j);
    return rc;
}
