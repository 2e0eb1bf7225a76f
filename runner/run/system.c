/* SPDX-License-Identifier: Apache-2.0 */
#include "run/system.h"

#include "base/json.h"
#include "base/limits.h"

#include <ctype.h>
#include <stdio.h>

static bool see_seq(void *ctx, const struct row *r)
{
    *(int64_t *)ctx = r->seq;
    return true;
}

/* Takes payload. */
static int append(struct writer *w, struct host *h, const char *name, json_t *payload, const struct change *change, struct err *e)
{
    struct journal *j = writer_journal(w);
    struct buf b = BUF_INIT(16 * KIB);
    struct row row = {.kind = ROW_SYSTEM, .name = str_of(name), .at = h->ops->wall_ms(h)};
    struct journal_item item = {.rows = &row, .nrows = 1, .changes = change, .nchanges = 1, .at = row.at};
    int64_t last = 0;
    int rc;

    json_add_value(&b, payload);
    json_decref(payload);
    row.payload = (struct str){b.data, b.len};
    rc = writer_flush(w, e);
    if (rc == 0)
        rc = j->ops->rows(j, 0, 1, see_seq, &last, e);
    row.seq = last + 1;
    if (rc == 0)
        rc = writer_submit(w, &item, NULL, NULL, e);
    if (rc == 0)
        rc = writer_flush(w, e);
    buf_free(&b);
    return rc;
}

struct search {
    struct str wanted;
    bool found;
};

static bool see_revoked(void *ctx, const struct revoked_info *x)
{
    struct search *s = ctx;

    s->found = s->found || str_is(s->wanted, x->commit);
    return true;
}

static bool see_breaker(void *ctx, const struct breaker_info *x)
{
    struct search *s = ctx;

    s->found = s->found || (str_is(s->wanted, x->runbook) && x->failures > 0);
    return true;
}

int system_revoke(struct writer *w, struct host *h, const char *commit, bool on, const char *who, const char *why, struct err *e)
{
    struct journal *j = writer_journal(w);
    struct change change = {.kind = CHANGE_REVOKE, .n = on};
    struct search s = {.wanted = str_of(commit)};
    char text[512], hex[65];
    size_t n;

    for (n = 0; n < sizeof(hex) - 1 && isxdigit((unsigned char)commit[n]); n++)
        hex[n] = (char)tolower((unsigned char)commit[n]);
    hex[n] = '\0';
    if (commit[n] || n < 7) {
        err_set(e, ERR_INVALID, "'%.80s' is no commit", commit);
        return err_hint(e, "at least 7 hex digits of its id, as midwatch show and git log print it");
    }
    s.wanted = str_of(hex);
    if (!on && (writer_flush(w, e) < 0 || j->ops->revoked(j, see_revoked, &s, e) < 0))
        return e->code;
    if (!on && !s.found)
        return err_set(e, ERR_NOT_FOUND, "%s is not revoked", hex);
    snprintf(text, sizeof(text), "%.200s%s%.250s", who, why[0] ? ": " : "", why);
    change.key = str_of(hex);
    change.text = str_of(text);
    return append(w, h, on ? "revoke" : "unrevoke", json_pack("{s:s s:s s:s}", "by", who, "commit", hex, "why", why), &change, e);
}

int system_runbook_on(struct writer *w, struct host *h, const char *runbook, const char *who, struct err *e)
{
    struct journal *j = writer_journal(w);
    struct change change = {.kind = CHANGE_RUNBOOK_ON, .runbook = str_of(runbook)};
    struct search s = {.wanted = str_of(runbook)};

    if (writer_flush(w, e) < 0 || j->ops->breakers(j, see_breaker, &s, e) < 0)
        return e->code;
    if (!s.found) {
        err_set(e, ERR_NOT_FOUND, "'%.100s' is not off: no remedy of it failed since it last helped", runbook);
        return err_hint(e, "midwatch policy explain RUNBOOK says what would refuse it");
    }
    return append(w, h, "runbook_on", json_pack("{s:s s:s}", "by", who, "runbook", runbook), &change, e);
}

int system_halt(struct writer *w, struct host *h, bool on, const char *who, const char *why, struct err *e)
{
    struct change change = {.kind = CHANGE_HALT, .n = on, .text = str_of(why)};

    return append(w, h, on ? "halt" : "release", json_pack("{s:s s:s}", "by", who, "why", why), &change, e);
}
