/* SPDX-License-Identifier: Apache-2.0 */
/* The recorded answerer: observations of the same question nearest in time, states of
 * targets as they were seen, and for each effect that equals the recorded one what
 * became of that. An answer takes as long as it took. */
#include "gate/answer_recorded.h"
#include "gate/pending.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

struct recorded {
    struct answerer base;
    struct host *host;
    struct record *rec;
    size_t effect;              /* the recorded INTENT that the changed run's last effect equals, or its latest row */
    char key[33];               /* of that effect in the changed run */
};

/* One answer, and how long it takes to come. */
struct reading {
    json_t *answer;             /* NULL: none; the run stops */
    int64_t delay;
};

static int64_t record_now(const struct recorded *s)
{
    return s->host->ops->wall_ms(s->host) - s->rec->shift;
}

/* A value was there, and too old for the read as it was then. Whether it is for another max_age nobody wrote down. */
static bool is_stale_of_another(const struct record_row *row, const struct question *q)
{
    return strcmp(record_text(json_object_get(row->payload, "o"), "unknown"), "stale") == 0 &&
           !hash_eq(&row->args_hash, &q->args_hash);
}

static int64_t distance(const struct record_row *row, int64_t now)
{
    return row->asked_at > now ? row->asked_at - now : now - row->asked_at;
}

static int64_t near_ms(const struct record_row *row)
{
    double max_age = json_number_value(json_object_get(row->args, "max_age")) * 1000;

    return max_age > 0 && max_age < RECORD_NEAR_MS ? (int64_t)max_age : RECORD_NEAR_MS;
}

/* The nearest observation of a question while no other effects than now were begun; one that was not taken yet wins. */
static struct record_row *nearest(struct recorded *s, const struct question *q, const struct hash *question, int64_t now)
{
    struct record_row *best = NULL;
    size_t i;

    for (i = 0; i < s->rec->n; i++) {
        struct record_row *row = &s->rec->rows[i];

        if (row->kind != ROW_OBS || row->segment != s->rec->segment || !hash_eq(&row->question, question) ||
            is_stale_of_another(row, q))
            continue;
        if (!best || distance(row, now) < distance(best, now) || (distance(row, now) == distance(best, now) && best->used))
            best = row;
    }
    return best;
}

/* Why the record has no answer to a read. */
static void beyond(struct recorded *s, const struct question *q, const struct hash *question, const struct record_row *near)
{
    struct buf text = BUF_INIT(VALUE_BYTES_MAX);
    const char *why = "the recorded run never looked at it";
    int64_t ms = near ? near->asked_at - record_now(s) : 0;
    char apart[40], far[96];
    size_t i;

    json_add_text(&text, q->text);
    for (i = 0; !near && i < s->rec->n; i++) {
        const struct record_row *row = &s->rec->rows[i];

        if (row->kind == ROW_OBS && hash_eq(&row->question, question))
            why = row->segment > s->rec->segment ? "the recorded run looked at it only after an effect that is not sent here"
                                                 : "the recorded run did not look at it again after that effect";
    }
    if (near) {
        snprintf(far, sizeof(far), "the recorded run looked at it %s %s",
                 str_duration(ms < 0 ? -ms / 1000 * 1000 : ms / 1000 * 1000, apart, sizeof(apart)), ms < 0 ? "before" : "later");
        why = far;
    }
    record_stop(s->rec, s->host, RECORD_BEYOND, "%.400s: %s", buf_text(&text), why);
    buf_free(&text);
}

static struct reading answer_read(struct recorded *s, struct question *q)
{
    struct str parts[] = {q->instance, gate_verb(q->name), q->args};
    struct hash question = hash_parts(parts, 3);
    int64_t now = record_now(s), at;
    struct record_row *row = nearest(s, q, &question, now);
    struct reading r = {0};

    if (!row || distance(row, now) > near_ms(row)) {
        beyond(s, q, &question, row);
        return r;
    }
    row->used = true;
    r.answer = json_copy(json_object_get(row->payload, "o"));
    r.delay = row->at - row->asked_at;
    at = json_get_int(r.answer, "at", -1);
    if (at >= 0)
        json_object_set_new(r.answer, "at", json_integer(at + s->rec->shift));
    return r;
}

/* The INTENT before row i at its path, or NULL. */
static const struct record_row *intent_of(const struct record *rec, size_t i)
{
    const struct record_row *row = &rec->rows[i];

    while (i-- > 0) {
        if (rec->rows[i].kind == ROW_INTENT && strcmp(rec->rows[i].path, row->path) == 0)
            return &rec->rows[i];
    }
    return NULL;
}

/* The target of row i: its own, that of its INTENT, or that of the plan it follows. */
static const char *target_of(const struct record *rec, size_t i)
{
    const struct record_row *row = &rec->rows[i], *intent = row->kind == ROW_INTENT ? row : intent_of(rec, i);

    if (intent)
        return record_text(intent->args, "target");
    for (; row->kind != ROW_PLAN && i > 0; i--) {
        if (rec->rows[i - 1].kind == ROW_PLAN && strcmp(rec->rows[i - 1].name, row->name) == 0)
            row = &rec->rows[i - 1];
    }
    return record_text(row->payload, "target");
}

/* What row i says of the state of a target under a verb: an answer, borrowed, or NULL. */
static const json_t *state_in(const struct record *rec, size_t i, struct str target, struct str name)
{
    const struct record_row *row = &rec->rows[i];
    const json_t *state = row->kind == ROW_PLAN     ? json_object_get(row->payload, "from")
                          : row->kind == ROW_INTENT ? json_object_get(row->args, "from")
                          : row->kind == ROW_RESULT || row->kind == ROW_CHECK || row->kind == ROW_SKIP
                              ? json_object_get(row->payload, "state")
                              : NULL;

    if (!json_is_object(state) || !str_eq(gate_verb(str_of(row->name)), gate_verb(name)))
        return NULL;
    return str_is(target, target_of(rec, i)) ? state : NULL;
}

/* A plan that came to nothing: policy refused it, or its target could not be read. */
static const struct record_row *failed_plan(const struct record *rec, struct str target, struct str name, const char *key)
{
    size_t i;

    for (i = 0; i < rec->n; i++) {
        const struct record_row *row = &rec->rows[i];

        if (row->kind == ROW_PLAN && row->segment == rec->segment && str_is(name, row->name) &&
            json_object_get(row->payload, key) && str_is(target, record_text(row->payload, "target")))
            return row;
    }
    return NULL;
}

/* Nobody but this run is known to have changed it, so between two effects the state that was seen last holds. */
static struct reading answer_state(struct recorded *s, struct question *q)
{
    const struct record_row *row;
    const json_t *found = NULL, *state;
    int64_t now = record_now(s), best = INT64_MAX, d;
    struct reading r = {0};
    size_t i;

    for (i = 0; i < s->rec->n; i++) {
        row = &s->rec->rows[i];
        state = row->segment == s->rec->segment ? state_in(s->rec, i, q->target, q->name) : NULL;
        if (!state)
            continue;
        d = row->at > now ? row->at - now : now - row->at;
        if (d <= best) {
            best = d;
            found = state;
        }
    }
    if (found)
        r.answer = json_pack("{s:O}", "value", found);
    else if ((row = failed_plan(s->rec, q->target, q->name, "refused")))
        record_stop(s->rec, s->host, RECORD_REFUSED, "%s", record_text(row->payload, "refused"));
    else if ((row = failed_plan(s->rec, q->target, q->name, "unknown")))
        r.answer = json_pack("{s:s s:s}", "unknown", record_text(row->payload, "unknown"), "why",
                             record_text(row->payload, "why"));
    else
        record_stop(s->rec, s->host, RECORD_OTHER_EFFECT, "%.*s %.*s", (int)q->name.n, q->name.p, (int)q->target.n,
                    q->target.p);
    return r;
}

/* The next recorded effect, if it is this one. */
static bool is_next_effect(struct recorded *s, const struct question *q, const json_t *extra, size_t *at)
{
    json_t *args = NULL;
    struct err e = {0};
    bool same = false;
    size_t i;

    for (i = 0; i < s->rec->n; i++) {
        const struct record_row *row = &s->rec->rows[i];

        if (row->kind != ROW_INTENT || row->segment != s->rec->segment || json_get_int(row->payload, "attempt", 1) != 1)
            continue;
        same = str_eq(gate_verb(str_of(row->name)), gate_verb(q->name)) && str_is(q->target, record_text(row->args, "target")) &&
               json_read(q->args, &args, &e) == 0 && json_equal(json_object_get(row->args, "args"), args) &&
               json_equal(json_object_get(row->args, "to"), json_object_get(extra, "to"));
        json_decref(args);
        *at = i;
        break;
    }
    return same;
}

/* The next row of the effect after s->effect; 0 = the record ends there (START is row 0). */
static size_t next_of_effect(const struct recorded *s, bool intent)
{
    const struct record *rec = s->rec;
    size_t i;

    for (i = s->effect + 1; i < rec->n; i++) {
        if (strcmp(rec->rows[i].path, rec->rows[s->effect].path) == 0 && (!intent || rec->rows[i].kind == ROW_INTENT))
            return i;
    }
    return 0;
}

/* What became of the attempt that s->effect is the INTENT of. */
static struct reading outcome(struct recorded *s)
{
    const struct record_row *intent = &s->rec->rows[s->effect], *row;
    size_t i = next_of_effect(s, false);
    struct reading r = {0};
    const char *word;

    if (i == 0) {
        record_stop(s->rec, s->host, RECORD_BEYOND, "what became of %s %s is not in the record", intent->name,
                    record_text(intent->args, "target"));
        return r;
    }
    row = &s->rec->rows[i];
    s->effect = i;
    r.delay = row->at - intent->at;
    word = record_text(row->payload, "outcome");
    if (row->kind != ROW_RESULT)
        r.answer = json_pack("{s:s s:s}", "outcome", "unknown", "why", record_text(row->payload, "why"));
    else
        r.answer = json_pack("{s:s s:s}", "outcome",
                             strcmp(word, "applied") == 0 ? "sent" : strcmp(word, "moved") == 0 ? "moved" : "refused", "why",
                             record_text(row->payload, "why"));
    return r;
}

/* The refusal that the recorded run met at this target instead of sending it, or NULL. */
static const char *refused_then(const struct recorded *s, struct str target)
{
    size_t i;

    for (i = 0; i < s->rec->n; i++) {
        const struct record_row *row = &s->rec->rows[i];

        if (row->kind == ROW_REFUSED && row->segment == s->rec->segment && str_is(target, record_text(row->payload, "target")))
            return row->name;
    }
    return NULL;
}

static struct reading answer_apply(struct recorded *s, struct question *q)
{
    json_t *extra = NULL;
    struct err e = {0};
    struct reading r = {0};
    const char *refusal;
    size_t at;

    if (json_read(q->extra, &extra, &e) == 0 && strcmp(record_text(extra, "key"), s->key) == 0 && s->key[0] &&
        (at = next_of_effect(s, true)) > 0) {
        s->effect = at;
        r = outcome(s);
    } else if (is_next_effect(s, q, extra, &at)) {
        s->effect = at;
        s->rec->segment++;
        s->rec->shift = s->host->ops->wall_ms(s->host) - s->rec->rows[at].at;
        snprintf(s->key, sizeof(s->key), "%s", record_text(extra, "key"));
        r = outcome(s);
    } else if ((refusal = refused_then(s, q->target))) {
        record_stop(s->rec, s->host, RECORD_REFUSED, "%s", refusal);
    } else {
        record_stop(s->rec, s->host, RECORD_OTHER_EFFECT, "%.*s %.*s", (int)q->name.n, q->name.p, (int)q->target.n,
                    q->target.p);
    }
    json_decref(extra);
    return r;
}

/* What was read back, or what a person said is true. */
static struct reading answer_check(struct recorded *s, struct question *q)
{
    size_t i = next_of_effect(s, false);
    const struct record_row *row = &s->rec->rows[i];
    const char *verdict = i ? record_text(row->payload, "verdict") : "no_answer";
    struct reading r = {0};

    (void)q;
    if (i && (row->kind == ROW_CHECK || row->kind == ROW_SETTLE)) {
        r.delay = row->at - s->rec->rows[s->effect].at;
        if (strcmp(verdict, "no_answer") != 0 || record_now(s) >= row->at)
            s->effect = i;
    }
    if (strcmp(verdict, "applied") == 0 || strcmp(verdict, "absent") == 0 || strcmp(verdict, "moved") == 0)
        r.answer = json_pack("{s:s s:O?}", "verdict", verdict, "value", json_object_get(row->payload, "state"));
    else
        r.answer = json_pack("{s:s s:s}", "unknown", "error", "why", "nothing could be read back");
    return r;
}

static struct reading answer_notify(struct recorded *s, struct question *q)
{
    (void)s, (void)q;
    return (struct reading){.answer = json_pack("{s:b}", "sent", 1)};
}

static struct reading (*const by_kind[])(struct recorded *, struct question *) = {
    [ASK_READ] = answer_read,   [ASK_STATE] = answer_state,   [ASK_CHECK] = answer_check,
    [ASK_APPLY] = answer_apply, [ASK_NOTIFY] = answer_notify,
};

static int ask(struct answerer *a, struct question *q, struct err *e)
{
    struct recorded *s = (struct recorded *)a;
    struct reading r = {0};

    if (s->rec->stop == RECORD_GOES_ON)
        r = by_kind[q->kind](s, q);
    q->in_flight = NULL;
    return r.answer ? pending_start(s->host, q, r.answer, r.delay, e) : 0;
}

static void cancel(struct answerer *a, struct question *q)
{
    pending_cancel(((struct recorded *)a)->host, q);
}

static void recorded_free(struct answerer *a)
{
    free(a);
}

static const struct answerer_ops recorded_ops = {
    .name = "recorded", .answers_checks = true, .ask = ask, .cancel = cancel, .free = recorded_free,
};

struct answerer *answer_recorded_new(struct record *rec, struct host *host)
{
    struct recorded *s = xcalloc(1, sizeof(*s));

    s->base.ops = &recorded_ops;
    s->host = host;
    s->rec = rec;
    return &s->base;
}
