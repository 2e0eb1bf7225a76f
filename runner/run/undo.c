/* SPDX-License-Identifier: Apache-2.0 */
/* undo: a run of its own that puts back what an ended run changed, the latest first.
 * It has the sources and inputs of that run and no code: from its START on it is
 * ending (run/finish.c), with that run's effects as its own to undo. Each undo is an
 * effect like any other: looked at first, refused if somebody else has moved the
 * target, intended, read back. */
#include "run/run.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdio.h>
#include <stdlib.h>

#define UNDO_PATH "end."        /* and the path of what it puts back: where finish_undo calls */

/* What an effect found: of an undo, as far as it was looked for. Owned. */
static json_t *found_by(struct run *r, const json_t *args)
{
    const char *undo_of = json_get_string(args, "undo_of", NULL);
    const struct effect *undone = undo_of ? effect_find(r, undo_of) : NULL;
    json_t *from = json_object_get(args, "from");

    return undone ? state_fields(from, undone->after) : json_incref(from);
}

static void intended(struct run *r, const struct row *row)
{
    json_t *args = NULL;
    char path[96];
    const char *target, *colon;
    struct effect *x;

    snprintf(path, sizeof(path), "%.*s", (int)row->path.n, row->path.p);
    if (effect_find(r, path) || json_read(row->args, &args, NULL) < 0)
        return;
    target = json_get_string(args, "target", "");
    colon = strchr(target, ':');
    x = effect_add(r, path, target);
    x->name = xstrndup(row->name.p, row->name.n);
    x->instance = xstrndup(target, colon ? (size_t)(colon - target) : 0);
    x->args = json_incref(json_object_get(args, "args"));
    x->from = found_by(r, args);
    x->to = json_incref(json_object_get(args, "to"));
    x->state = EFFECT_ABSENT;
    x->is_undo = json_slice(row->payload, "undo_of").n > 0;
    json_decref(args);
}

static void resulted(struct run *r, const struct row *row)
{
    char path[96];
    struct effect *x;
    json_t *payload = NULL;

    snprintf(path, sizeof(path), "%.*s", (int)row->path.n, row->path.p);
    x = effect_find(r, path);
    if (!x || json_read(row->payload, &payload, NULL) < 0)
        return;
    json_decref(x->after);
    x->after = json_incref(json_object_get(payload, "state"));
    if (strcmp(json_get_string(payload, "outcome", ""), "applied") == 0)
        effect_follow(r, x);
    json_decref(payload);
}

static bool see_row(void *ctx, const struct row *row)
{
    struct run *r = ctx;

    if (row->kind == ROW_INTENT)
        intended(r, row);
    else if (row->kind == ROW_RESULT)
        resulted(r, row);
    return true;
}

/* x was put back beneath changes that are still in force: they lie on what it lay on. */
static void taken_away(struct run *r, struct effect *x)
{
    struct effect *y;
    json_t *from;

    x->state = EFFECT_UNDONE;
    for (y = effect_on(r, x->target, NULL); y != x; y = effect_on(r, x->target, y)) {
        if (!json_is_object(y->from))
            continue;
        from = json_copy(y->from);
        state_follow(from, x->to, x->from, NULL);
        json_decref(y->from);
        y->from = from;
    }
}

/* A row of a run that has undone that run before: what it put back is over, what it left is followed. */
static bool see_undo(void *ctx, const struct row *row)
{
    struct run *r = ctx;
    char path[96];
    struct effect *x;

    snprintf(path, sizeof(path), "%.*s", (int)row->path.n, row->path.p);
    x = strncmp(path, UNDO_PATH, strlen(UNDO_PATH)) == 0 ? effect_find(r, path + strlen(UNDO_PATH)) : NULL;
    see_row(r, row);
    if (x && (row->kind == ROW_SKIP ||
              (row->kind == ROW_RESULT && str_is(json_slice(row->payload, "outcome"), "\"applied\""))))
        taken_away(r, x);
    return true;
}

static bool see_state(void *ctx, const struct effect_info *i)
{
    struct effect *x = effect_find(ctx, i->path);

    if (x && effect_in_force(i->state))
        x->state = i->state;
    return true;
}

/* That run's own undos are over; this one makes its own at such paths. */
static void forget_undos(struct run *r)
{
    struct effect *x, *next;

    for (x = r->effects; x; x = next) {
        next = x->next;
        if (x->is_undo)
            effect_drop(r, x);
    }
}

struct earlier {
    int64_t of, before, open;       /* undos of run `of` with an id below `before`; one that has not ended, 0 = none */
    struct {
        int64_t id, epoch;
    } *runs;                        /* the latest first */
    size_t n;
};

static bool collect(void *ctx, const struct run_info *info)
{
    struct earlier *u = ctx;

    if (strcmp(info->command, "undo") != 0 || info->id >= u->before || json_slice_int(str_of(info->trigger), "run", 0) != u->of)
        return true;
    if (info->state != RUN_ENDED)
        u->open = info->id;
    u->runs = xrealloc(u->runs, (u->n + 1) * sizeof(*u->runs));
    u->runs[u->n].id = info->id;
    u->runs[u->n++].epoch = info->epoch;
    return true;
}

/* What earlier undos of that run have put back, and how they left the targets. */
static int follow_earlier(struct run *r, struct journal *from, int64_t before, struct err *e)
{
    struct earlier u = {.of = r->undoes, .before = before};
    int rc = from->ops->runs(from, false, collect, &u, e);

    if (rc == 0 && u.open) {
        rc = err_set(e, ERR_INVALID, "run %lld undoes it, and has not ended", (long long)u.open);
        err_hint(e, "midwatch resume %lld goes on with that", (long long)u.open);
    }
    while (rc == 0 && u.n > 0) {
        rc = from->ops->rows(from, u.runs[--u.n].id, 1, see_undo, r, e);
        forget_undos(r);
    }
    free(u.runs);
    return rc;
}

int undo_seed(struct run *r, struct journal *from, int64_t id, int64_t before, struct err *e)
{
    int rc = from->ops->rows(from, id, 1, see_row, r, e);

    r->undoes = id;
    forget_undos(r);
    if (rc == 0)
        rc = from->ops->effects(from, id, see_state, r, e);
    return rc < 0 ? rc : follow_earlier(r, from, before, e);
}

void undo_begin(struct run *r)
{
    run_finish(r, "resolved", "verified", "undo of run %lld, by %s", (long long)r->undoes,
               json_get_string(r->start, "requester", "?"));
    r->finish.everything = true;
}

json_t *undo_start(struct run *r, const json_t *start, const char *who)
{
    json_t *own = json_deep_copy(start);

    json_object_del(own, "plan");
    json_object_set_new(own, "requester", json_string(who));
    json_object_set_new(own, "run", json_pack("{s:I s:I s:s}", "id", (json_int_t)r->id, "started", (json_int_t)r->started_at,
                                              "uuid", r->uuid));
    json_object_set_new(own, "trigger", json_pack("{s:s s:I}", "kind", "undo", "run", (json_int_t)r->undoes));
    json_object_set_new(own, "undoes", json_integer(r->undoes));
    return own;
}

static int release(struct run *r, int64_t id, int64_t epoch, struct err *e)
{
    struct change change = {.kind = CHANGE_UNLOCK_ALL};
    struct journal_item item = {.run = id, .epoch = epoch, .changes = &change, .nchanges = 1, .at = r->started_at};

    return writer_submit(engine_opts(r->engine)->writer, &item, NULL, NULL, e);
}

int undo_release(struct run *r, const struct run_info *info, struct err *e)
{
    struct journal *j = writer_journal(engine_opts(r->engine)->writer);
    struct earlier u = {.of = info->id, .before = r->id};
    int rc = j->ops->runs(j, false, collect, &u, e);

    if (rc == 0)
        rc = release(r, info->id, info->epoch, e);
    while (rc == 0 && u.n > 0) {
        u.n--;
        rc = release(r, u.runs[u.n].id, u.runs[u.n].epoch, e);
    }
    free(u.runs);
    return rc;
}

bool undo_has_work(const struct run *r)
{
    const struct effect *x;

    for (x = r->effects; x; x = x->next) {
        if (effect_in_force(x->state))
            return true;
    }
    return false;
}
