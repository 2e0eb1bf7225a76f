/* SPDX-License-Identifier: Apache-2.0 */
/* The people of a recorded run: who was asked the same says the same, after the same
 * time. What nobody was asked then, nobody answers now. */
#include "gate/answer_recorded.h"

#include "base/json.h"

#include <stdlib.h>

struct crowd {
    struct people base;
    struct host *host;
    struct record *rec;
};

/* What is still to be said to one enquiry. */
struct turn {
    struct crowd *crowd;
    struct enquiry *q;
    size_t asked, next;         /* rows: the ASK, the ANSWER that comes next */
    struct host_op *timer;
    const char **groups;
};

/* The same question to the same people about the same effects, whatever it is worded like and however long it waits. */
static bool is_same(const struct record_row *row, const struct enquiry *q)
{
    static const char *const fields[] = {"by", "choices", "effects", "kind", "of", "to"};
    size_t i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const json_t *a = json_object_get(row->args, fields[i]), *b = json_object_get(q->args, fields[i]);

        if (a != b && !json_equal(a, b))
            return false;
    }
    return strcmp(row->name, q->title) == 0;
}

/* The next ANSWER to the ASK of row `asked` behind row i; 0 = none. */
static size_t next_answer(const struct record *rec, size_t asked, size_t i)
{
    for (i++; i < rec->n; i++) {
        if (rec->rows[i].kind == ROW_ANSWER && strcmp(rec->rows[i].path, rec->rows[asked].path) == 0)
            return i;
    }
    return 0;
}

static void silent(void *ctx)
{
    struct turn *t = ctx;

    t->timer = NULL;
    record_stop(t->crowd->rec, t->crowd->host, RECORD_BEYOND,
                "\"%.200s\": nobody had answered when the recorded run stopped waiting", t->q->title);
}

static int arm(struct turn *t, struct err *e);

static void speak(void *ctx)
{
    struct turn *t = ctx;
    struct crowd *c = t->crowd;
    const struct record_row *row = &c->rec->rows[t->next];
    struct reply w = {.answer = record_text(row->payload, "answer"), .by = record_text(row->payload, "by"),
                      .groups = t->groups, .via = record_text(row->payload, "via")};
    struct enquiry *q = t->q;
    const char *wrong;
    struct err e = {0};

    t->timer = NULL;
    t->next = json_get_bool(row->payload, "more", false) ? next_answer(c->rec, t->asked, t->next) : 0;
    if (t->next && arm(t, &e) < 0)
        return;
    /* The answer may withdraw the enquiry, and with it t. */
    wrong = q->answer(q->ctx, &w);
    if (wrong)
        record_stop(c->rec, c->host, RECORD_BEYOND, "\"%.200s\": the word of %.100s is not taken any more: %s", q->title, w.by,
                    wrong);
}

/* A word when it was said; a silence just after it ended, so that an enquiry that waits no longer has expired before. */
static int arm(struct turn *t, struct err *e)
{
    struct host *h = t->crowd->host;
    const struct record *rec = t->crowd->rec;
    const struct record_row *row = &rec->rows[t->next ? t->next : rec->n - 1];
    bool is_word = t->next && record_text(row->payload, "answer")[0];
    int64_t due = t->q->asked_at + row->at - rec->rows[t->asked].at + !is_word, left = due - h->ops->wall_ms(h);

    return h->ops->timer(h, left > 0 ? left : 0, is_word ? speak : silent, t, &t->timer, e);
}

/* Whoever answered was of one of those whom the enquiry named. */
static const char **groups_of(const json_t *by)
{
    const char **groups = xcalloc(json_array_size(by) + 1, sizeof(*groups));
    const json_t *v;
    size_t i;

    json_array_foreach((json_t *)by, i, v) {
        groups[i] = json_string_value(v);
    }
    return groups;
}

static bool was_planned(const struct record *rec, const json_t *effect)
{
    size_t i;

    for (i = 0; i < rec->n; i++) {
        const json_t *plan = rec->rows[i].kind == ROW_PLAN ? rec->rows[i].payload : NULL;

        if (plan && strcmp(record_text(plan, "target"), record_text(effect, "target")) == 0 &&
            json_equal(json_object_get(plan, "to"), json_object_get(effect, "to")))
            return true;
    }
    return false;
}

/* Nobody was asked this: because of an effect that nobody thought of then, or because of how it is asked. */
static void not_asked(struct crowd *c, const struct enquiry *q)
{
    const json_t *effect;
    size_t i;

    json_array_foreach(json_object_get(q->args, "effects"), i, effect) {
        const char *text = record_text(effect, "text");

        if (!was_planned(c->rec, effect))
            record_stop(c->rec, c->host, RECORD_OTHER_EFFECT, "%.*s %.400s", (int)strcspn(text, " ({"), text,
                        record_text(effect, "target"));
    }
    record_stop(c->rec, c->host, RECORD_BEYOND, "\"%.200s\": nobody was asked this", q->title);
}

static int ask(struct people *p, struct enquiry *q, struct err *e)
{
    struct crowd *c = (struct crowd *)p;
    struct record_row *row;
    struct turn *t;
    size_t i, answer;

    for (i = 0; i < c->rec->n; i++) {
        row = &c->rec->rows[i];
        if (row->kind == ROW_ASK && !row->used && row->segment == c->rec->segment && is_same(row, q))
            break;
    }
    if (i == c->rec->n) {
        not_asked(c, q);
        return 0;
    }
    row->used = true;
    answer = next_answer(c->rec, i, i);
    row = &c->rec->rows[answer];
    if (answer && !record_text(row->payload, "answer")[0] && strcmp(record_text(row->payload, "why"), "expired") != 0)
        return err_set(e, ERR_NOT_FOUND, "%s", record_text(row->payload, "why"));
    t = xcalloc(1, sizeof(*t));
    *t = (struct turn){.crowd = c, .q = q, .asked = i, .next = answer, .groups = groups_of(json_object_get(q->args, "by"))};
    q->in_flight = t;
    return arm(t, e);
}

static void withdraw(struct people *p, struct enquiry *q)
{
    struct crowd *c = (struct crowd *)p;
    struct turn *t = q->in_flight;

    if (!t)
        return;
    if (t->timer)
        c->host->ops->cancel(c->host, t->timer);
    free(t->groups);
    free(t);
    q->in_flight = NULL;
}

static void crowd_free(struct people *p)
{
    free(p);
}

static const struct people_ops crowd_ops = {.ask = ask, .withdraw = withdraw, .free = crowd_free};

struct people *people_recorded_new(struct record *rec, struct host *host)
{
    struct crowd *c = xcalloc(1, sizeof(*c));

    c->base.ops = &crowd_ops;
    c->host = host;
    c->rec = rec;
    return &c->base;
}
