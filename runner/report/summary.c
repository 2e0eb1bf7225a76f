/* SPDX-License-Identifier: Apache-2.0 */
/* What the model means in a sentence or two, and what a person may do next. */
#include "report/timeline.h"

#include <ctype.h>
#include <stdio.h>

enum effect_group effect_group(const struct effect_view *x)
{
    static const enum effect_group groups[] = {
        [EFFECT_INTENDED] = GROUP_UNKNOWN, [EFFECT_APPLIED] = GROUP_CHANGED, [EFFECT_UNKNOWN] = GROUP_UNKNOWN,
        [EFFECT_ABSENT] = GROUP_UNCHANGED, [EFFECT_MOVED] = GROUP_UNKNOWN, [EFFECT_FAILED] = GROUP_UNCHANGED,
        [EFFECT_VERIFIED] = GROUP_CHANGED, [EFFECT_UNVERIFIED] = GROUP_CHANGED, [EFFECT_UNDONE] = GROUP_UNDONE,
    };

    return groups[x->state];
}

void effect_words(const struct effect_view *x, struct buf *out)
{
    if (x->put_back_by)
        buf_addf(out, "put back by run %lld", (long long)x->put_back_by);
    else
        buf_adds(out, effect_state_name(x->state));
}

/* An undo that worked is told with what it undid. */
size_t timeline_count(const struct timeline *t, enum effect_group g)
{
    size_t i, n = 0;

    for (i = 0; i < t->neffects; i++)
        n += effect_group(&t->effects[i]) == g && !(g == GROUP_CHANGED && t->effects[i].undo_of);
    return n;
}

static size_t verified(const struct timeline *t)
{
    size_t i, n = 0;

    for (i = 0; i < t->neffects; i++)
        n += t->effects[i].state == EFFECT_VERIFIED && !t->effects[i].undo_of;
    return n;
}

/* How many that run has put back; 0 = any later one. */
static size_t put_back(const struct timeline *t, int64_t run)
{
    size_t i, n = 0;

    for (i = 0; i < t->neffects; i++)
        n += t->effects[i].put_back_by && (!run || t->effects[i].put_back_by == run);
    return n;
}

static void say_put_back(const struct timeline *t, struct buf *out)
{
    int64_t said = 0, run;
    size_t i;

    /* Each takes only what those before it left: ascending, so that each is said once. */
    for (;;) {
        run = 0;
        for (i = 0; i < t->neffects; i++) {
            if (t->effects[i].put_back_by > said && (!run || t->effects[i].put_back_by < run))
                run = t->effects[i].put_back_by;
        }
        if (!run)
            return;
        buf_addf(out, " %zu %s put back by run %lld.", put_back(t, run), put_back(t, run) == 1 ? "change was" : "changes were",
                 (long long)run);
        said = run;
    }
}

void timeline_headline(const struct timeline *t, struct buf *out)
{
    const char *word = t->info.state == RUN_ENDED ? t->info.outcome : run_state_name(t->info.state);

    buf_addf(out, "%c%s", toupper((unsigned char)word[0]), word[0] ? word + 1 : "");
    if (t->text[0])
        buf_addf(out, ": %s", t->text);
}

static void count(struct buf *out, size_t n, const char *one, const char *many)
{
    if (n)
        buf_addf(out, " %zu %s.", n, n == 1 ? one : many);
}

void timeline_summary(const struct timeline *t, struct buf *out)
{
    char took[32];
    int64_t ms = (t->info.ended_at ? t->info.ended_at : t->last) - t->begun;

    ms = ms >= 1000 ? ms / 1000 * 1000 : ms;
    if (t->cause[0] && strcmp(t->cause, "none") != 0 && strcmp(t->cause, "inconclusive") != 0)
        buf_addf(out, "Cause: %s.", t->cause);
    else if (t->cause[0])
        buf_adds(out, strcmp(t->cause, "none") == 0 ? "Every known cause is refuted." : "The cause could not be told.");
    else
        buf_adds(out, "No diagnosis was made.");
    if (t->neffects == 0)
        buf_adds(out, " Nothing was changed.");
    count(out, verified(t), "change is in place and verified", "changes are in place and verified");
    count(out, timeline_count(t, GROUP_CHANGED) - verified(t), "change is in place but NOT verified",
          "changes are in place but NOT verified");
    count(out, timeline_count(t, GROUP_UNDONE) - put_back(t, 0), "change was undone", "changes were undone");
    say_put_back(t, out);
    count(out, timeline_count(t, GROUP_UNKNOWN), "effect has an unknown outcome", "effects have an unknown outcome");
    count(out, timeline_count(t, GROUP_UNCHANGED), "effect did not happen", "effects did not happen");
    if (t->plan)
        buf_addf(out, " %s", t->plan);
    buf_addf(out, " It took %s.", str_duration(ms > 0 ? ms : 0, took, sizeof(took)));
}

void timeline_ways(const struct timeline *t, void (*fn)(void *ctx, const char *command, const char *purpose), void *ctx)
{
    long long id = (long long)t->info.id;
    bool ended = t->info.state == RUN_ENDED;
    char command[160];
    size_t i;

    for (i = 0; i < t->neffects && !ended; i++) {
        static const char *const answers[][2] = {{"applied", "it has happened"}, {"absent", "it has not"}};
        bool open = t->effects[i].state == EFFECT_UNKNOWN || t->effects[i].state == EFFECT_INTENDED;
        size_t k;

        for (k = 0; k < 2 && open; k++) {
            snprintf(command, sizeof(command), "midwatch settle %lld %s %s", id, t->effects[i].path, answers[k][0]);
            fn(ctx, command, answers[k][1]);
        }
    }
    snprintf(command, sizeof(command), "midwatch settle %lld release", id);
    if (ended && t->holds_locks)
        fn(ctx, command, "frees what this run keeps locked");
    else if (!ended && timeline_count(t, GROUP_UNKNOWN))
        fn(ctx, command, "nobody knows: ends the run and frees its target");
    snprintf(command, sizeof(command), "midwatch resume %lld", id);
    if (!ended)
        fn(ctx, command, "goes on where it stopped");
    snprintf(command, sizeof(command), "midwatch show %lld", id);
    fn(ctx, command, "what it saw, decided and changed");
    fn(ctx, "midwatch list", "all runs, and the locks that are held");
}

const struct point *series_after(const struct series *s)
{
    return &s->points[s->n - 1];
}

const struct point *series_before(const struct timeline *t, const struct series *s)
{
    size_t i, best = 0;

    for (i = 0; i < s->n && t->neffects; i++) {
        if (s->points[i].at <= t->effects[0].intent_at)
            best = i;
    }
    return &s->points[best];
}
