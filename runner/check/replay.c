/* SPDX-License-Identifier: Apache-2.0 */
/* A run again, from its journal alone. Nothing is asked and nothing sent; every row
 * must be the one that the code makes at that place. */
#include "check/check.h"

#include "io/host_sim.h"
#include "run/engine.h"

static int compare(const struct run_info *info, const struct run *r, struct err *e)
{
    struct hash chain = run_chain(r);
    long long id = info->id, rows = info->next_seq - 1;

    if (run_replay_difference(r)[0])
        return err_set(e, ERR_CORRUPT, "run %lld: %s", id, run_replay_difference(r));
    if ((long long)run_rows(r) != rows)
        return err_set(e, ERR_CORRUPT, "run %lld: the code comes to its end at row %zu, the journal has %lld", id, run_rows(r),
                       rows);
    if (!hash_eq(&chain, &info->chain))
        return err_set(e, ERR_CORRUPT, "run %lld: its rows do not give its hash chain", id);
    if ((info->state == RUN_ENDED) != (run_state_of(r) == RUN_ENDED))
        return err_set(e, ERR_CORRUPT, "run %lld: the journal calls it %s, its rows do not", id, run_state_name(info->state));
    return 0;
}

/* What an instance declares is the configuration's: where that is another one now, a difference says nothing. */
static int compare_here(const struct run_info *info, struct run *r, struct err *e)
{
    struct err settings = {0};
    int rc = compare(info, r, e);

    if (rc == 0 || run_same_settings(r, &settings) == 0)
        return rc;
    return err_set(e, ERR_INVALID, "run %lld: %s", (long long)info->id, settings.msg);
}

/* All that is read is of one moment: the owner may be writing. */
static int read_run(struct engine *engine, struct journal *j, int64_t id, struct run_info *info, struct run **r, struct err *e)
{
    int rc;

    journal_moment(j, true);
    rc = j->ops->get_run(j, id, info, e);
    if (rc == 0)
        rc = engine_replay(engine, j, id, r, e);
    journal_moment(j, false);
    return rc;
}

int replay_run(struct config *config, struct journal *j, int64_t id, const struct check_mode *mode,
               struct replay_result *out, struct err *e)
{
    struct host_sim_options ho = {.seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true, .config = config};
    struct engine_options eo = {.stop_when_settled = true, .config = config, .gc_mode = mode->gc_mode};
    struct run_info info = {0};
    struct engine *engine = NULL;
    struct run *r = NULL;
    int rc;

    if (host_sim_new(&ho, &eo.host, e) < 0)
        return e->code;
    ro.host = eo.host;
    eo.registry = mode->registry;
    rc = mode->registry ? 0 : registry_new(&ro, &eo.registry, e);
    if (rc == 0)
        rc = engine_new(&eo, &engine, e);
    if (rc == 0)
        rc = read_run(engine, j, id, &info, &r, e);
    if (rc == 0)
        rc = eo.host->ops->run(eo.host, engine_turn, engine, e);
    if (rc == 0)
        rc = compare_here(&info, r, e);
    if (rc == 0)
        *out = (struct replay_result){.rows = run_rows(r), .ended = info.state == RUN_ENDED};
    run_info_deinit(&info);
    engine_free(engine);
    if (mode->registry)
        registry_pin(mode->registry, NULL);
    else
        registry_free(eo.registry);
    eo.host->ops->free(eo.host);
    return rc;
}

static bool take_id(void *ctx, const struct run_info *r)
{
    *(int64_t *)ctx = r->id;
    return false;
}

int replay_next(struct journal *j, int64_t before, int64_t *id, struct err *e)
{
    struct run_info info = {0};
    int rc = ERR_NOT_FOUND;

    *id = 0;
    if (before == 0 && j->ops->runs(j, false, take_id, id, e) < 0)
        return e->code;
    for (*id = before ? before - 1 : *id; *id > 0 && rc == ERR_NOT_FOUND; *id -= rc < 0)
        rc = j->ops->get_run(j, *id, &info, e);
    run_info_deinit(&info);
    return *id == 0 ? err_set(e, ERR_NOT_FOUND, "there are no more runs") : rc;
}
