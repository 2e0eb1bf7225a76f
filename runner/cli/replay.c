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
        cli_tell(c, json_pack("{s:b s:I s:I}", "ended", info.state == RUN_ENDED, "rows", (json_int_t)rows, "run", (json_int_t)id),
                 "run %lld: %zu rows, equal%s", (long long)id, rows,
                 info.state == RUN_ENDED ? "" : " so far (it has not ended)");
    run_info_deinit(&info);
    j->ops->free(j);
    return rc;
}
