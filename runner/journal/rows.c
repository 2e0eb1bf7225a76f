/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what the journal stores, what an item must be to be looked at, and the
 * hash chain over rows. */
#include "journal/journal.h"

#include "base/limits.h"

#include <stdlib.h>

static const char *const kinds[ROW_KINDS] = {
    [ROW_START] = "START",     [ROW_OBS] = "OBS",         [ROW_PLAN] = "PLAN",     [ROW_INTENT] = "INTENT",
    [ROW_RESULT] = "RESULT",   [ROW_UNKNOWN] = "UNKNOWN", [ROW_CHECK] = "CHECK",   [ROW_SETTLE] = "SETTLE",
    [ROW_SKIP] = "SKIP",       [ROW_REFUSED] = "REFUSED", [ROW_VERIFY] = "VERIFY", [ROW_WAIT] = "WAIT",
    [ROW_TIMER] = "TIMER",     [ROW_VERDICT] = "VERDICT", [ROW_CAUSE] = "CAUSE",   [ROW_NOTE] = "NOTE",
    [ROW_ASK] = "ASK",       [ROW_ANSWER] = "ANSWER",   [ROW_NOTIFY] = "NOTIFY", [ROW_SENT] = "SENT",
    [ROW_ESCALATION] = "ESCALATION", [ROW_RESUME] = "RESUME", [ROW_ENDING] = "ENDING",
    [ROW_END] = "END",       [ROW_SYSTEM] = "SYSTEM",
    [ROW_QUARANTINE] = "QUARANTINE",
};

const char *row_kind_name(enum row_kind k)
{
    return (unsigned)k < ROW_KINDS ? kinds[k] : "?";
}

int row_kind_of(struct str name, enum row_kind *out)
{
    int k;

    for (k = 0; k < ROW_KINDS; k++) {
        if (str_is(name, kinds[k])) {
            *out = (enum row_kind)k;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

const char *guard_refusal(enum guard_kind k)
{
    static const char *const names[GUARD_KINDS] = {
        [GUARD_HALT] = "halted", [GUARD_REVOKED] = "revoked", [GUARD_LOCK] = "target_busy",
        [GUARD_COOLDOWN] = "cooling_down", [GUARD_RUN_BUDGET] = "over_budget", [GUARD_AT_MOST] = "not_allowed",
        [GUARD_EFFECTS] = "over_budget", [GUARD_TARGETS] = "over_budget", [GUARD_EFFECTIVE] = "ineffective",
        [GUARD_APPROVAL] = "needs_approval",
    };

    return names[k];
}

const char *run_state_name(enum run_state s)
{
    static const char *const names[] = {"running", "waiting: time", "waiting: person", "left", "ended", "quarantined"};

    return names[s];
}

const char *effect_state_name(enum effect_state s)
{
    static const char *const names[] = {"intended", "applied",  "unknown",    "absent", "moved",
                                        "failed",   "verified", "unverified", "undone"};

    return names[s];
}

bool effect_in_force(enum effect_state s)
{
    return s == EFFECT_APPLIED || s == EFFECT_VERIFIED || s == EFFECT_UNVERIFIED;
}

void run_info_deinit(struct run_info *r)
{
    free(r->params);
    free(r->trigger);
    r->params = r->trigger = NULL;
}

static void put_int64(unsigned char *out, int64_t v)
{
    int i;

    for (i = 0; i < 8; i++)
        out[i] = (unsigned char)((uint64_t)v >> (8 * i));
}

struct hash journal_args_hash(const struct row *r)
{
    return r->args.n ? hash_of(r->args) : (struct hash){{0}};
}

struct hash journal_chain(const struct hash *previous, const struct row *r)
{
    struct hash args = journal_args_hash(r);

    return journal_chain_with(previous, r, &args);
}

struct hash journal_chain_with(const struct hash *previous, const struct row *r, const struct hash *args)
{
    struct hash payload = hash_of(r->payload);
    unsigned char numbers[24];
    struct str parts[] = {
        {(const char *)previous->bytes, HASH_BYTES}, str_of(kinds[r->kind]), r->path, r->name,
        {(const char *)r->args_hash.bytes, HASH_BYTES}, {(const char *)numbers, sizeof(numbers)},
        {(const char *)args->bytes, HASH_BYTES}, {(const char *)payload.bytes, HASH_BYTES},
    };

    put_int64(numbers, r->at);
    put_int64(numbers + 8, r->seq);
    put_int64(numbers + 16, r->epoch);
    return hash_parts(parts, sizeof(parts) / sizeof(parts[0]));
}

struct str journal_clip(struct str s, size_t size)
{
    size_t n = s.n;

    if (n >= size) {
        n = size - 1;
        while (n > 0 && (s.p[n] & 0xc0) == 0x80)
            n--;
    }
    return (struct str){n ? s.p : "", n};
}

#define SIZE_OF(type, field) sizeof(((struct type *)0)->field)

/* An envelope of the gate around a value of the largest size still fits. */
#define TEXT_MAX (4u * PAYLOAD_BYTES_MAX)

static int check_text(const char *what, struct str s, size_t size, struct err *e)
{
    if (s.n < size)
        return 0;
    return err_set(e, ERR_LIMIT, "journal: %s has %zu bytes, the most is %zu: %.40s...", what, s.n, size - 1, s.p);
}

static int check_rows(const struct journal_item *item, struct err *e)
{
    size_t i;

    for (i = 0; i < item->nrows; i++) {
        const struct row *r = &item->rows[i];

        if (r->seq != item->rows[0].seq + (int64_t)i || (unsigned)r->kind >= ROW_KINDS)
            return err_set(e, ERR_CORRUPT, "run %lld: row %lld (%s) out of order", (long long)item->run,
                           (long long)r->seq, row_kind_name(r->kind));
        if (check_text("a row's path", r->path, KIB, e) < 0 || check_text("a row's name", r->name, KIB, e) < 0 ||
            check_text("a row's args", r->args, TEXT_MAX, e) < 0 ||
            check_text("a row's payload", r->payload, TEXT_MAX, e) < 0)
            return ERR_LIMIT;
    }
    return 0;
}

/* Halts, revocations and switches are the system's, run 0; only other runs live, hold locks and have effects. */
static bool fits(const struct journal_item *item, size_t i)
{
    enum change_kind k = item->changes[i].kind;

    if (k == CHANGE_RUN_NEW && i > 0)
        return false;
    if (k == CHANGE_ESCALATION)
        return true;
    if (k == CHANGE_HALT || k == CHANGE_REVOKE || k == CHANGE_RUNBOOK_ON)
        return item->run == 0;
    return item->run > 0 && (unsigned)k < CHANGE_KINDS;
}

static int check_changes(const struct journal_item *item, struct err *e)
{
    size_t i;

    for (i = 0; i < item->nchanges; i++) {
        const struct change *c = &item->changes[i];

        if (!fits(item, i))
            return err_set(e, ERR_CORRUPT, "run %lld: change %d has no place here", (long long)item->run, (int)c->kind);
        if (check_text("a target", c->target, SIZE_OF(lock_info, target), e) < 0 ||
            check_text("a key", c->key, c->kind == CHANGE_REVOKE ? SIZE_OF(revoked_info, commit) : SIZE_OF(effect_info, key),
                       e) < 0 ||
            check_text("an effect's path", c->path, SIZE_OF(effect_info, path), e) < 0 ||
            check_text("an effect's action", c->action, SIZE_OF(effect_info, action), e) < 0 ||
            check_text("a run's uuid", c->uuid, SIZE_OF(run_info, uuid), e) < 0 ||
            check_text("a bundle's id", c->bundle, SIZE_OF(run_info, bundle), e) < 0 ||
            check_text("a run's dedup key", c->dedup, KIB, e) < 0 ||
            check_text("a run's parameters", c->params, TEXT_MAX, e) < 0 ||
            check_text("a run's trigger", c->trigger, TEXT_MAX, e) < 0)
            return ERR_LIMIT;
    }
    return 0;
}

int journal_check(const struct journal_item *item, struct err *e)
{
    size_t i;
    int rc = check_rows(item, e);

    for (i = 0; rc == 0 && i < item->nguards; i++) {
        rc = check_text("a target", item->guards[i].target, SIZE_OF(lock_info, target), e);
        if (rc == 0)
            rc = check_text("a pattern", item->guards[i].pattern, SIZE_OF(lock_info, target), e);
    }
    return rc == 0 ? check_changes(item, e) : rc;
}
