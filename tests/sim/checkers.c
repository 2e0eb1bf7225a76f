/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold after every seed, whatever went wrong in it: the journal against the
 * world's log, and each run's rows against themselves. Each has a planted fault that it
 * finds (sim.c). */
#include "sim.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "check/check.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_MS = 2000 };        /* between the last look and the intent */

/* intent: nothing arrives without an earlier durable intent, one for each time that it was sent. */
static void check_intent(struct sim *s)
{
    for (size_t i = 0; i < s->nreceipts; i++) {
        const struct receipt *r = &s->receipts[i];
        int sent = 0;

        for (size_t k = 0; k <= i; k++)
            sent += strcmp(s->receipts[k].key, r->key) == 0;
        if (r->run == 0 || sent > r->intents)
            sim_wrong(s, "intent", "%s on %s was sent %d times with %d durable intents", r->verb, s->boxes[r->box].target, sent,
                      r->intents);
    }
}

/* twice: nothing happens twice, and what must not be sent twice is not even sent. */
static void check_twice(struct sim *s)
{
    for (size_t i = 0; i < s->nknown; i++) {
        if (s->known[i].applied > 1)
            sim_wrong(s, "twice", "%s of run %lld happened %d times", s->known[i].path, (long long)s->known[i].run,
                      s->known[i].applied);
    }
    for (size_t i = 0; i < s->nreceipts; i++) {
        const struct receipt *r = &s->receipts[i];
        bool once = strcmp(r->verb, "push") == 0 || strcmp(r->verb, "fire") == 0;

        for (size_t k = 0; once && k < i; k++) {
            if (strcmp(s->receipts[k].key, r->key) == 0)
                sim_wrong(s, "twice", "%s of run %lld was sent again", r->verb, (long long)r->run);
        }
    }
}

static int64_t ended_at(const struct sim *s, int64_t run)
{
    for (size_t i = 0; i < s->ndurable; i++) {
        if (s->durable[i].id == run)
            return s->durable[i].ended_at;
    }
    return 0;
}

/* exclusive: whoever acts holds the lock, and nobody who acted on the target before is still running. */
static void check_exclusive(struct sim *s)
{
    for (size_t i = 0; i < s->nreceipts; i++) {
        const struct receipt *r = &s->receipts[i];

        if (r->holder != r->run)
            sim_wrong(s, "exclusive", "run %lld acts on %s, which run %lld holds", (long long)r->run, s->boxes[r->box].target,
                      (long long)r->holder);
        for (size_t k = 0; k < i; k++) {
            const struct receipt *b = &s->receipts[k];
            int64_t end = ended_at(s, b->run);

            if (b->box == r->box && b->run != r->run && (end == 0 || end > r->at))
                sim_wrong(s, "exclusive", "run %lld acts on %s before run %lld has ended", (long long)r->run,
                          s->boxes[r->box].target, (long long)b->run);
        }
    }
}

static void check_halt(struct sim *s)
{
    for (size_t i = 0; i < s->nreceipts; i++) {
        if (s->receipts[i].halted)
            sim_wrong(s, "halt", "%s was sent to %s during a halt", s->receipts[i].verb, s->boxes[s->receipts[i].box].target);
    }
}

/* One run as the journal shows it. */
struct shown_run {
    struct sim *sim;
    struct journal *journal;
    struct run_info info;
    json_t *rows;               /* [seq - 1] = {kind, path, name, args, payload} */
    char text[4096];            /* of END */
    struct effect_info effects[256];
    size_t neffects;
};

static json_t *parsed(struct str text)
{
    json_t *v = NULL;

    return text.n && json_read(text, &v, &(struct err){0}) == 0 ? v : json_object();
}

static bool keep_row(void *ctx, const struct row *row)
{
    struct shown_run *r = ctx;
    json_t *args = parsed(row->args);

    if (row->kind == ROW_END)
        snprintf(r->text, sizeof(r->text), "%s", json_get_string(args, "text", ""));
    json_array_append_new(r->rows, json_pack("{s:s s:s% s:s% s:o s:o s:I}", "kind", row_kind_name(row->kind), "path", row->path.p,
                                             row->path.n, "name", row->name.p, row->name.n, "args", args, "payload",
                                             parsed(row->payload), "seq", (json_int_t)row->seq));
    return true;
}

static bool keep_effect(void *ctx, const struct effect_info *x)
{
    struct shown_run *r = ctx;

    if (r->neffects < 256)
        r->effects[r->neffects++] = *x;
    return true;
}

static bool is_kind(const json_t *row, const char *kind)
{
    return strcmp(json_get_string(row, "kind", ""), kind) == 0;
}

/* reality: what the journal says happened did, and what it says did not, did not. What somebody else made as it was wanted
 * since the last look before the intent cannot be told from the effect. */
static void check_reality(struct shown_run *r)
{
    struct sim *s = r->sim;

    for (size_t i = 0; i < r->neffects; i++) {
        const struct effect_info *x = &r->effects[i];
        const struct known *k = world_known(s, x->key);
        bool moved = false;

        for (size_t n = 0; k && n < s->nreceipts; n++) {
            const struct receipt *o = &s->receipts[n];

            moved = moved || (o->applied && o->run != r->info.id && o->at >= k->first_at - LOOK_MS &&
                              strcmp(s->boxes[o->box].target, k->target) == 0);
        }
        for (int b = 0; k && b < BOXES; b++)
            moved = moved || (strcmp(s->boxes[b].target, k->target) == 0 && s->boxes[b].foreign_at >= k->first_at - LOOK_MS);
        if (k && k->applied && (x->state == EFFECT_ABSENT || x->state == EFFECT_FAILED))
            sim_wrong(s, "reality", "run %lld says %s is %s, and it happened", (long long)r->info.id, x->path,
                      effect_state_name(x->state));
        if ((!k || !k->applied) && !moved && (effect_in_force(x->state) || x->state == EFFECT_UNDONE))
            sim_wrong(s, "reality", "run %lld says %s is %s, and it never happened", (long long)r->info.id, x->path,
                      effect_state_name(x->state));
    }
}

/* True if both calls are of one branch: "4.b2.3" and "4.b2.7". */
static bool same_branch(const char *a, const char *b)
{
    const char *x = strrchr(a, '.'), *y = strrchr(b, '.');

    return (x ? x - a : 0) == (y ? y - b : 0) && strncmp(a, b, x ? (size_t)(x - a) : 0) == 0;
}

/* data: what a branch looked at last before it intends something was known. (A wait goes on over what is not.) */
static void check_data(struct shown_run *r)
{
    const json_t *row, *used;
    size_t i, k;

    json_array_foreach(r->rows, i, row) {
        const json_t *last = NULL;

        if (!is_kind(row, "INTENT"))
            continue;
        json_array_foreach(json_object_get(json_object_get(row, "args"), "evidence"), k, used) {
            const json_t *seen = json_array_get(r->rows, (size_t)json_get_int(used, "row", 0) - 1);

            if (same_branch(json_get_string(seen, "path", ""), json_get_string(row, "path", "")))
                last = seen;
        }
        if (json_object_get(json_object_get(json_object_get(last, "payload"), "o"), "unknown"))
            sim_wrong(r->sim, "data", "run %lld row %zu rests on row %lld, which is unknown", (long long)r->info.id, i + 1,
                      (long long)json_get_int(last, "seq", 0));
    }
}

/* ends: one outcome, one END, and nothing behind it. */
static void check_ends(struct shown_run *r)
{
    static const char *const outcomes[] = {"resolved", "no_action", "escalated", "cancelled"};
    const json_t *row;
    size_t i, ends = 0;
    bool known = false;

    json_array_foreach(r->rows, i, row)
        ends += is_kind(row, "END");
    for (i = 0; i < 4; i++)
        known = known || strcmp(r->info.outcome, outcomes[i]) == 0;
    if (r->info.state != RUN_ENDED)
        return;
    if (ends != 1 || !known || !is_kind(json_array_get(r->rows, json_array_size(r->rows) - 1), "END"))
        sim_wrong(r->sim, "ends", "run %lld has %zu ends and the outcome '%s'", (long long)r->info.id, ends, r->info.outcome);
}

struct opened {
    int64_t run;
    const char *text;           /* or NULL: whatever it says */
    bool found;
};

static bool is_opened(void *ctx, const struct escalation_info *x)
{
    struct opened *o = ctx;

    o->found = o->found || (x->run == o->run && (!o->text || strncmp(x->text, o->text, sizeof(x->text) - 1) == 0));
    return true;
}

static bool is_told(struct shown_run *r, const char *text)
{
    struct opened o = {.run = r->info.id, .text = text};

    r->journal->ops->escalations(r->journal, true, is_opened, &o, &(struct err){0});
    return o.found;
}

/* escalation: who is to be told by a row, of a parked run or one that takes long, or by an end, is told. */
static void check_escalation(struct shown_run *r)
{
    const json_t *row;
    size_t i;

    json_array_foreach(r->rows, i, row) {
        if (is_kind(row, "ESCALATION") && !is_told(r, json_get_string(json_object_get(row, "payload"), "text", "")))
            sim_wrong(r->sim, "escalation", "run %lld row %zu: nobody is told of it", (long long)r->info.id, i + 1);
    }
    if (strcmp(r->info.outcome, "escalated") == 0 && !is_told(r, NULL))
        sim_wrong(r->sim, "escalation", "run %lld escalated, and nobody is told", (long long)r->info.id);
}

/* The approval at `path` before row `till`: enough different people said yes. */
static bool is_approved(const struct shown_run *r, const char *path, size_t till, const json_t *args)
{
    const json_t *row, *effects = NULL, *x;
    const char *first = NULL;
    size_t i, yes = 0, of = 1;
    bool bound = false;

    json_array_foreach(r->rows, i, row) {
        const json_t *payload = json_object_get(row, "payload");

        if (i >= till || strcmp(json_get_string(row, "path", ""), path) != 0)
            continue;
        if (is_kind(row, "ASK")) {
            of = (size_t)json_get_int(json_object_get(row, "args"), "of", 1);
            effects = json_object_get(json_object_get(row, "args"), "effects");
        }
        if (!is_kind(row, "ANSWER") || strcmp(json_get_string(payload, "answer", ""), "yes") != 0)
            continue;
        yes += !first || strcmp(first, json_get_string(payload, "by", "")) != 0;
        first = json_get_string(payload, "by", "");
    }
    json_array_foreach(effects, i, x)
        bound = bound || (strcmp(json_get_string(x, "target", ""), json_get_string(args, "target", "?")) == 0 &&
                          json_equal(json_object_get(x, "to"), json_object_get(args, "to")));
    return yes >= of && bound;
}

static void check_approval(struct shown_run *r)
{
    const json_t *row;
    size_t i;

    json_array_foreach(r->rows, i, row) {
        const json_t *args = json_object_get(row, "args");
        const char *path = json_get_string(args, "approval", NULL), *name = json_get_string(row, "name", "");

        if (!is_kind(row, "INTENT") || json_object_get(json_object_get(row, "payload"), "undo_of"))
            continue;
        if (!path && !strstr(name, ".fire"))
            continue;
        if (!path || !is_approved(r, path, i, args))
            sim_wrong(r->sim, "approval", "run %lld row %zu: %s was not approved", (long long)r->info.id, i + 1, name);
    }
}

struct holding {
    struct shown_run *run;
    const char *target;
    bool found;
};

static bool holds(void *ctx, const struct lock_info *l)
{
    struct holding *h = ctx;
    struct shown_run *r = h->run;
    bool why = false;

    if (h->target && strcmp(h->target, l->target) == 0)
        h->found = l->run != 0;
    if (h->target || l->run != r->info.id)
        return true;
    for (size_t i = 0; i < r->neffects; i++) {
        const struct effect_info *x = &r->effects[i];
        bool open = x->state != EFFECT_VERIFIED && x->state != EFFECT_UNDONE && x->state != EFFECT_ABSENT &&
                    x->state != EFFECT_FAILED;

        why = why || (strcmp(x->target, l->target) == 0 && (open || strstr(r->text, "NOT be undone")));
    }
    if (!why || strcmp(r->info.outcome, "escalated") != 0)
        sim_wrong(r->sim, "locks", "run %lld ended %s and holds %s for no reason", (long long)r->info.id, r->info.outcome,
                  l->target);
    return true;
}

/* locks: an ended run holds what is not certain, and nothing else. */
static void check_locks(struct shown_run *r)
{
    struct holding h = {.run = r};

    if (r->info.state != RUN_ENDED)
        return;
    r->journal->ops->locks(r->journal, holds, &h, &(struct err){0});
    for (size_t i = 0; i < r->neffects && !strstr(r->text, "released by"); i++) {
        enum effect_state x = r->effects[i].state;

        h = (struct holding){.run = r, .target = r->effects[i].target};
        r->journal->ops->locks(r->journal, holds, &h, &(struct err){0});
        if ((x == EFFECT_UNKNOWN || (x == EFFECT_MOVED && strcmp(r->info.outcome, "escalated") == 0) ||
             x == EFFECT_UNVERIFIED || x == EFFECT_INTENDED) && !h.found)
            sim_wrong(r->sim, "locks", "run %lld left %s %s with its target free", (long long)r->info.id, r->effects[i].path,
                      effect_state_name(x));
    }
}

static void check_replay(struct shown_run *r)
{
    const struct check_mode mode = {0};
    struct replay_result result;
    struct err e = {0};

    if (replay_run(r->sim->config, r->journal, r->info.id, &mode, &result, &e) < 0)
        sim_wrong(r->sim, "replay", "%s", e.msg);
}

static void check_rows(struct shown_run *r)
{
    struct buf why = BUF_INIT(64 * KIB);
    struct err e = {0};

    if (invariants_check(r->journal, r->info.id, r->info.state == RUN_ENDED, &why, &e) < 0)
        buf_adds(&why, e.msg);
    if (why.len)
        sim_wrong(r->sim, "rows", "run %lld:\n%s", (long long)r->info.id, buf_text(&why));
    buf_free(&why);
}

static void (*const of_run[])(struct shown_run *) = {
    check_reality, check_data, check_ends, check_escalation, check_approval, check_locks, check_replay, check_rows,
};

static void check_run(struct sim *s, struct journal *j, const struct durable *d)
{
    struct shown_run r = {.sim = s, .journal = j, .rows = json_array()};
    struct err e = {0};

    if (j->ops->get_run(j, d->id, &r.info, &e) < 0) {
        sim_wrong(s, "lost", "run %lld: %s", (long long)d->id, e.msg);
    } else {
        j->ops->rows(j, d->id, 1, keep_row, &r, &e);
        j->ops->effects(j, d->id, keep_effect, &r, &e);
        if (r.info.state != RUN_ENDED)
            sim_wrong(s, "lost", "run %lld never ended: %s", (long long)d->id, run_state_name(r.info.state));
        else if (d->ended_at - d->began_at > SIM_TIME_MAX_S * 1000LL)
            sim_wrong(s, "late", "run %lld took %lld s", (long long)d->id, (long long)(d->ended_at - d->began_at) / 1000);
        for (size_t i = 0; i < sizeof(of_run) / sizeof(of_run[0]); i++)
            of_run[i](&r);
        sim_log(s, "run %lld ended %s, %s: %s", (long long)d->id, r.info.outcome, r.info.reason, r.text);
    }
    run_info_deinit(&r.info);
    json_decref(r.rows);
}

void check_all(struct sim *s)
{
    struct journal *j = (struct journal *)s->store;

    check_intent(s);
    check_twice(s);
    check_exclusive(s);
    check_halt(s);
    store_show_planted(s, true);
    for (size_t i = 0; i < s->ndurable; i++)
        check_run(s, j, &s->durable[i]);
    store_show_planted(s, false);
}
