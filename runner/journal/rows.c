/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what the journal stores, and the hash chain over rows. */
#include "journal/journal.h"

#include <stdlib.h>

static const char *const kinds[ROW_KINDS] = {
    [ROW_START] = "START",     [ROW_OBS] = "OBS",         [ROW_PLAN] = "PLAN",     [ROW_INTENT] = "INTENT",
    [ROW_RESULT] = "RESULT",   [ROW_UNKNOWN] = "UNKNOWN", [ROW_CHECK] = "CHECK",   [ROW_SETTLE] = "SETTLE",
    [ROW_SKIP] = "SKIP",       [ROW_REFUSED] = "REFUSED", [ROW_VERIFY] = "VERIFY", [ROW_WAIT] = "WAIT",
    [ROW_TIMER] = "TIMER",     [ROW_VERDICT] = "VERDICT", [ROW_CAUSE] = "CAUSE",   [ROW_NOTE] = "NOTE",
    [ROW_ESCALATION] = "ESCALATION", [ROW_RESUME] = "RESUME", [ROW_END] = "END",   [ROW_SYSTEM] = "SYSTEM",
};

const char *row_kind_name(enum row_kind k)
{
    return kinds[k];
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
        [GUARD_COOLDOWN] = "cooling_down", [GUARD_RUN_BUDGET] = "over_budget",
    };

    return names[k];
}

const char *run_state_name(enum run_state s)
{
    static const char *const names[] = {"running", "waiting: time", "waiting: person", "left", "ended"};

    return names[s];
}

const char *effect_state_name(enum effect_state s)
{
    static const char *const names[] = {"intended", "applied",  "unknown",    "absent", "moved",
                                        "failed",   "verified", "unverified", "undone"};

    return names[s];
}

void run_info_deinit(struct run_info *r)
{
    free(r->params);
    free(r->trigger);
    r->params = r->trigger = NULL;
}

struct hash journal_chain(const struct hash *previous, const struct row *r)
{
    struct hash payload = hash_of(r->payload);
    int64_t numbers[2] = {r->at, r->seq};
    struct str parts[] = {
        {(const char *)previous->bytes, HASH_BYTES}, str_of(kinds[r->kind]), r->path, r->name,
        {(const char *)r->args_hash.bytes, HASH_BYTES}, {(const char *)numbers, sizeof(numbers)},
        {(const char *)payload.bytes, HASH_BYTES},
    };

    return hash_parts(parts, sizeof(parts) / sizeof(parts[0]));
}
