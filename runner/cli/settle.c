/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch settle: a person says what is true of an effect whose outcome is unknown. */
#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>

static void tell(const struct cli *c, int64_t id, const char *verdict)
{
    json_t *facts = json_pack("{s:s s:I s:s}", "by", cli_who(), "run", (json_int_t)id, "verdict", verdict);

    if (strcmp(verdict, "release") == 0)
        cli_tell(c, facts, "run %lld: released; it has ended, and its targets are free", (long long)id);
    else
        cli_tell(c, facts, "run %lld: settled as %s by %s; go on with: midwatch resume %lld", (long long)id, verdict, cli_who(),
                 (long long)id);
}

int verb_settle(struct cli *c)
{
    struct session s = {0};
    const char *verdict = c->args[c->nargs - 1], *path = c->nargs == 3 ? c->args[1] : NULL;
    struct err e = {0};
    int64_t id;
    int rc = session_open(&s, c, "midwatch settle");

    if (rc == 0)
        rc = cli_run_id(writer_journal(s.writer), c->args[0], &id);
    if (rc == 0 && settle_effect(s.writer, s.host, id, path, verdict, cli_who(), &e) < 0)
        rc = cli_fail(&e);
    if (rc == 0)
        tell(c, id, verdict);
    session_close(&s);
    return rc;
}
