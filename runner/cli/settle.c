/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch settle: a person says what is true of an effect whose outcome is unknown. */
#include "cli/owner.h"

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

/* Nobody is there: the word is written, and the run goes on when it is resumed. */
static int settle_left_run(struct cli *c, int64_t id, const char *path, const char *verdict)
{
    struct session s = {0};
    struct err e = {0};
    int rc = session_open(&s, c, "midwatch settle");

    if (rc == 0 && settle_effect(s.writer, s.host, id, path, verdict, cli_who(), &e) < 0)
        rc = owner_fail(&e);
    if (rc == 0)
        tell(c, id, verdict);
    session_close(&s);
    return rc;
}

int verb_settle(struct cli *c)
{
    const char *verdict = c->args[c->nargs - 1], *path = c->nargs == 3 ? c->args[1] : NULL;
    struct err e = {0};
    int64_t id;
    int rc = owner_find_run(c, &id);

    if (rc)
        return rc;
    if (owner_ask(c, json_pack("{s:s* s:I s:s s:s}", "path", path, "run", (json_int_t)id, "verb", "settle", "verdict", verdict),
                  &e) == 0)
        return 0;
    return e.code == ERR_NOT_FOUND ? settle_left_run(c, id, path, verdict) : cli_fail(&e);
}
