/* SPDX-License-Identifier: Apache-2.0 */
/* --at and --repo. */
#include "cli/cli.h"
#include "cli/mirror.h"

#include "base/limits.h"

int cli_source(struct cli *c, struct source **out)
{
    struct buf dir = BUF_INIT(8 * KIB);
    struct err e = {0};
    bool is_remote = c->repo && mirror_is_remote(c->repo);
    int rc = cli_config(c);

    *out = NULL;
    if (rc || (!c->at && !c->repo))
        return rc;
    if (is_remote)
        rc = mirror_update(c->state_dir, c->repo, c->at, &dir, &e);
    if (rc == 0)
        rc = source_open(is_remote ? buf_text(&dir) : c->repo, c->at, c->args[0], out, &e);
    if (rc == 0 && is_remote)
        source_called(*out, c->repo);
    buf_free(&dir);
    return rc < 0 ? cli_fail(&e) : 0;
}
