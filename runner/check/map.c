/* SPDX-License-Identifier: Apache-2.0 */
#include "check/map.h"

#include "base/json.h"
#include "check/explore.h"
#include "io/host_sim.h"

#include <stdlib.h>
#include <string.h>

/* The parameters that are given, with their defaults for the others; those without one may be missing here. */
static int resolve(const struct map_request *q, const struct runbook *book, json_t **params, json_t **given, struct err *e)
{
    struct param *list = xcalloc(book->nparams + 1, sizeof(*list));
    size_t i;
    int rc;

    for (i = 0; i < book->nparams; i++) {
        list[i] = book->params[i];
        list[i].optional = true;
    }
    rc = params_resolve(list, book->nparams, q->params, q->nparams, NULL, params, e);
    free(list);
    *given = json_object();
    for (i = 0; rc == 0 && i < q->nparams; i++) {
        char *name = xstrndup(q->params[i], strcspn(q->params[i], "="));

        json_object_set_new(*given, name, json_true());
        free(name);
    }
    return rc;
}

static int explore_book(const struct map_request *q, struct registry *registry, const struct runbook *book, json_t **map,
                        struct err *e)
{
    struct explore_options o = {.book = book, .registry = registry, .paths_max = q->paths_max, .time_ms = q->time_ms,
                                .separate = q->each};
    json_t *params = NULL, *given = NULL;
    int rc = resolve(q, book, &params, &given, e);

    o.params = params;
    o.given = given;
    if (rc == 0)
        rc = explore(&o, map, e);
    if (rc == 0) {
        json_object_set_new(*map, "about", map_about(book));
        map_judge(*map, book);
    }
    json_decref(params);
    json_decref(given);
    return rc;
}

int map_make(const struct map_request *q, json_t **map, struct err *e)
{
    struct host_sim_options ho = {.seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true, .config = q->config};
    struct registry *registry = NULL;
    struct runbook *book = NULL;
    struct host *host = NULL;
    int rc = host_sim_new(&ho, &host, e);

    ro.host = host;
    if (rc == 0)
        rc = registry_new(&ro, &registry, e);
    if (rc == 0)
        rc = source_load(q->source, q->name, &book, e);
    if (rc == 0)
        rc = explore_book(q, registry, book, map, e);
    book_free(book);
    registry_free(registry);
    if (host)
        host->ops->free(host);
    return rc;
}
