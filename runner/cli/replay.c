/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch replay: a run again, from its journal alone. Nothing is asked and nothing
 * sent; every row must be the one that the code makes at that place. */
#include "cli/cli.h"

#include "base/limits.h"
#include "io/host_sim.h"
#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>

static int replay(struct cli *c, struct journal *j, int64_t id, struct err *e)
{
    struct host_sim_options ho = {.seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true, .config = c->config};
    struct engine_options eo = {.stop_when_settled = true, .config = c->config};
    struct engine *engine = NULL;
    struct run_info info = {0};
    struct hash chain;
    struct run *r = NULL;
    int rc;

    if (host_sim_new(&ho, &eo.host, e) < 0)
        return e->code;
    ro.host = eo.host;
    rc = registry_new(&ro, &eo.registry, e);
    if (rc == 0)
        rc = engine_new(&eo, &engine, e);
    if (rc == 0)
        rc = engine_replay(engine, j, id, &r, e);
    if (rc == 0)
        rc = eo.host->ops->run(eo.host, engine_turn, engine, e);
    if (rc == 0)
        rc = j->ops->get_run(j, id, &info, e);
    if (rc == 0) {
        chain = run_chain(r);
        if (run_replay_difference(r)[0])
            rc = err_set(e, ERR_CORRUPT, "run %lld: %s", (long long)id, run_replay_difference(r));
        else if (!hash_eq(&chain, &info.chain))
            rc = err_set(e, ERR_CORRUPT, "run %lld: its rows do not give its hash chain", (long long)id);
        else
            printf("run %lld: %zu rows, equal%s\n", (long long)id, run_rows(r),
                   info.state == RUN_ENDED ? "" : " so far (it has not ended)");
    }
    run_info_deinit(&info);
    engine_free(engine);
    registry_free(eo.registry);
    eo.host->ops->free(eo.host);
    return rc;
}

int verb_replay(struct cli *c)
{
    struct journal *j;
    struct err e = {0};
    int64_t id;
    int rc = cli_read_journal(c, &j);

    if (rc)
        return rc;
    rc = cli_run_id(j, c->args[0], &id);
    if (rc == 0 && replay(c, j, id, &e) < 0)
        rc = cli_fail(&e);
    j->ops->free(j);
    return rc;
}
