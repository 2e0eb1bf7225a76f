/* SPDX-License-Identifier: Apache-2.0 */
/* A run again, from its journal alone. Nothing is asked and nothing sent; every row
 * must be the one that the code makes at that place. */
#include "check/check.h"

#include "io/host_sim.h"
#include "run/engine.h"

static int compare(struct journal *j, int64_t id, const struct run *r, struct err *e)
{
    struct run_info info = {0};
    struct hash chain = run_chain(r);
    int rc;

    if (run_replay_difference(r)[0])
        return err_set(e, ERR_CORRUPT, "run %lld: %s", (long long)id, run_replay_difference(r));
    rc = j->ops->get_run(j, id, &info, e);
    if (rc == 0 && !hash_eq(&chain, &info.chain))
        rc = err_set(e, ERR_CORRUPT, "run %lld: its rows do not give its hash chain", (long long)id);
    run_info_deinit(&info);
    return rc;
}

int replay_run(struct config *config, struct journal *j, int64_t id, int gc_mode, size_t *rows, struct err *e)
{
    struct host_sim_options ho = {.seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true, .config = config};
    struct engine_options eo = {.stop_when_settled = true, .config = config, .gc_mode = gc_mode};
    struct engine *engine = NULL;
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
        rc = compare(j, id, r, e);
    if (rc == 0)
        *rows = run_rows(r);
    engine_free(engine);
    registry_free(eo.registry);
    eo.host->ops->free(eo.host);
    return rc;
}
