/* SPDX-License-Identifier: Apache-2.0 */
/* What one person decides for all runs, by name: midwatch revoke, midwatch policy on, midwatch halt. The journal's owner
 * writes it, else this command does. */
#include "cli/owner.h"

#include "base/json.h"
#include "base/limits.h"
#include "run/system.h"

int decide(struct session *s, const struct peer *who, const json_t *request, struct buf *text, struct err *e)
{
    const char *commit = json_get_string(request, "commit", NULL), *runbook = json_get_string(request, "runbook", "");
    const char *why = json_get_string(request, "why", "");
    bool on = json_get_bool(request, "on", true), halts = json_get_bool(request, "halt", false);
    int rc = json_object_get(request, "halt") ? system_halt(s->writer, s->host, halts, who->name, why, e)
             : commit ? system_revoke(s->writer, s->host, commit, on, who->name, why, e)
                      : system_runbook_on(s->writer, s->host, runbook, who->name, e);

    if (rc < 0)
        return rc;
    if (json_object_get(request, "halt"))
        buf_addf(text, "%s by %s", halts ? "halted" : "released", who->name);
    else if (!commit)
        buf_addf(text, "%s is on again, by %s", runbook, who->name);
    else if (on)
        buf_addf(text, "%s is revoked by %s: no run that is pinned to it changes anything", commit, who->name);
    else
        buf_addf(text, "%s is not revoked any more, by %s", commit, who->name);
    return 0;
}

/* Takes request. */
int cli_decide(struct cli *c, json_t *request)
{
    struct peer me = {0};
    struct session s = {0};
    struct buf text = BUF_INIT(4 * KIB);
    struct err e = {0};
    int rc = cli_config(c);

    json_object_set_new(request, "verb", json_string("decide"));
    if (rc == 0 && owner_ask(c, json_incref(request), &e) == 0)
        goto out;
    if (rc == 0 && e.code != ERR_NOT_FOUND)
        rc = cli_fail(&e);
    e = (struct err){0};
    if (rc == 0)
        rc = session_open(&s, c, "midwatch policy");
    snprintf(me.name, sizeof(me.name), "%s", cli_who());
    if (rc == 0 && decide(&s, &me, request, &text, &e) < 0)
        rc = cli_fail(&e);
    else if (rc == 0)
        cli_tell(c, json_incref(request), "%s", buf_text(&text));
    session_close(&s);
out:
    json_decref(request);
    buf_free(&text);
    return rc;
}

int verb_revoke(struct cli *c)
{
    return cli_decide(c, json_pack("{s:s s:b s:s}", "commit", c->args[0], "on", !c->off, "why", c->nargs > 1 ? c->args[1] : ""));
}
