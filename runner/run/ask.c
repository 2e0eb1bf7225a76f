/* SPDX-License-Identifier: Apache-2.0 */
/* ask: a question to people, an approval, something to do by hand. ASK is durable
 * before anybody sees it; every word that counts is an ANSWER row; the last one
 * closes it. Silence is never a yes: at the deadline, or if nobody can be asked,
 * the answer is none, and says why. */
#include "run/ask.h"
#include "run/life.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "gate/people.h"

#include <stdio.h>
#include <stdlib.h>

struct asked {
    struct enquiry q;
    json_t *args;
    char title[256];
    bool is_asked, is_open;         /* the ASK row is there; people see it */
    int64_t asked_at;
    char *voters[VOTES_MAX];        /* who said yes */
    size_t votes;
};

static const char *kind_of(const struct asked *a)
{
    return json_get_string(a->args, "kind", "question");
}

size_t ask_votes_needed(const json_t *args)
{
    return (size_t)json_get_int(args, "of", 1);
}

/* Of one journal's people: what stands before the @ tells them apart. What is behind it, whoever calls their machine something
 * else can choose. */
static bool is_same_person(const char *a, const char *b)
{
    size_t n = strcspn(a, "@");

    return n == strcspn(b, "@") && strncmp(a, b, n) == 0;
}

/* The one who started the run may confirm, unless more than that was asked for. */
static bool requester_may(const json_t *args)
{
    return !json_get_bool(args, "not_self", false) && ask_votes_needed(args) == 1 &&
           json_array_size(json_object_get(args, "by")) == 0;
}

/* What the operator demands of every approval, for the ASK row: it binds also whoever answers from elsewhere. */
static json_t *ask_payload(const struct call *c)
{
    const struct engine_options *o = engine_opts(c->run->engine);
    const struct approval_rule *rule = o->config && o->state_dir ? &o->config->approvals : NULL;
    json_t *payload = json_pack("{s:i}", "line", c->line);

    if (!rule || strcmp(kind_of(c->asked), "approval") != 0 || !(rule->not_self || rule->of || rule->by))
        return payload;
    json_object_set_new(payload, "operator", json_pack("{s:O? s:b s:I}", "by", rule->by, "not_self", rule->not_self, "of",
                                                       (json_int_t)rule->of));
    return payload;
}

void ask_operator_rules(json_t *args, struct str payload)
{
    json_t *p = NULL, *rule;
    struct err ignored = {0};

    if (json_read(payload, &p, &ignored) < 0 || !(rule = json_object_get(p, "operator"))) {
        json_decref(p);
        return;
    }
    if (json_get_bool(rule, "not_self", false))
        json_object_set_new(args, "not_self", json_true());
    if (json_get_int(rule, "of", 0) > (int64_t)ask_votes_needed(args))
        json_object_set(args, "of", json_object_get(rule, "of"));
    if (json_array_size(json_object_get(args, "by")) == 0 && json_is_array(json_object_get(rule, "by")))
        json_object_set(args, "by", json_object_get(rule, "by"));
    json_decref(p);
}

static void withdraw(struct call *c)
{
    struct people *p = engine_opts(c->run->engine)->people;

    if (c->asked->is_open && p)
        p->ops->withdraw(p, &c->asked->q);
    c->asked->is_open = false;
}

void ask_drop(struct call *c)
{
    struct asked *a = c->asked;
    size_t i;

    if (!a)
        return;
    withdraw(c);
    for (i = 0; i < a->votes; i++)
        free(a->voters[i]);
    json_decref(a->args);
    free(a);
    c->asked = NULL;
}

int ask_begin(struct call *c, struct err *e)
{
    c->asked = xcalloc(1, sizeof(*c->asked));
    if (json_read(c->parts[0].args, &c->asked->args, e) < 0)
        return e->code;
    if (ask_votes_needed(c->asked->args) > VOTES_MAX)
        return err_set(e, ERR_LIMIT, "line %d: approve.of is at most %d", c->line, VOTES_MAX);
    return 0;
}

int64_t ask_good_for(const json_t *args, const char *answer)
{
    if (strcmp(json_get_string(args, "kind", ""), "approval") != 0 || strcmp(answer, "yes") != 0)
        return 0;
    return json_get_string(args, "once", NULL) ? -1 : (int64_t)json_array_size(json_object_get(args, "effects"));
}

void ask_answer_payload(const json_t *args, const char *requester, const struct reply *w, bool more, struct buf *out)
{
    json_t *payload = json_pack("{s:s s:s s:s}", "answer", w->answer, "by", w->by, "via", w->via);

    if (is_same_person(w->by, requester) && strcmp(json_get_string(args, "kind", ""), "approval") == 0)
        json_object_set_new(payload, "confirmed_by_requester", json_true());
    if (more)
        json_object_set_new(payload, "more", json_true());
    else if (ask_good_for(args, w->answer))
        json_object_set_new(payload, "good_for", json_integer(ask_good_for(args, w->answer)));
    json_add_value(out, payload);
    json_decref(payload);
}

/* w NULL: no answer, because of `why`; refused: by that of policy. */
static void answer_row(struct call *c, const struct reply *w, const char *refused, const char *why, bool more)
{
    struct run *r = c->run;
    struct part *p = &c->parts[0];
    struct buf b = BUF_INIT(16 * KIB);
    struct json_object o;

    if (w) {
        ask_answer_payload(c->asked->args, json_get_string(r->start, "requester", ""), w, more, &b);
    } else {
        json_open(&o, &b);
        if (refused)
            json_put_string(&o, "refused", str_of(refused));
        json_put_string(&o, "why", str_of(why));
        json_close(&o);
    }
    if (!more)
        withdraw(c);
    run_row(r, c, p, ROW_ANSWER, p->name, STR(""), (struct str){b.data, b.len});
    buf_free(&b);
}

/* Whole names only: anna of another machine or service is somebody else. */
static bool is_named(const struct reply *w, const json_t *by)
{
    const json_t *name;
    size_t i, g;

    json_array_foreach((json_t *)by, i, name) {
        const char *s = json_string_value(name);

        if (s && strcmp(w->by, s) == 0)
            return true;
        for (g = 0; s && w->groups && w->groups[g]; g++) {
            if (strcmp(w->groups[g], s) == 0)
                return true;
        }
    }
    return false;
}

static const char *may_not(const json_t *args, const char *requester, char *const *voters, size_t votes,
                           const struct reply *w)
{
    const json_t *by = json_object_get(args, "by");
    size_t i;

    if (strcmp(json_get_string(args, "kind", ""), "approval") != 0)
        return NULL;
    if (!requester_may(args) && is_same_person(w->by, requester))
        return "whoever started the run may not approve it here; somebody else must";
    if (json_array_size(by) > 0 && !is_named(w, by))
        return "it has to be one of those named in approve.by";
    for (i = 0; i < votes; i++) {
        if (is_same_person(voters[i], w->by))
            return "the same person counts once";
    }
    return NULL;
}

static bool is_choice(const json_t *args, const char *word)
{
    const json_t *choice;
    size_t i;

    json_array_foreach(json_object_get(args, "choices"), i, choice) {
        if (strcmp(json_string_value(choice), word) == 0)
            return true;
    }
    return false;
}

const char *ask_refuses(const json_t *args, const char *requester, char *const *voters, size_t votes, const struct reply *w)
{
    const char *wrong = may_not(args, requester, voters, votes, w);

    return wrong || is_choice(args, w->answer) ? wrong : "that is none of the choices";
}

int answer_refused(const json_t *args, int64_t run, const char *path, const struct reply *word, const char *wrong, struct err *e)
{
    struct buf choices = BUF_INIT(64 * KIB);
    const json_t *choice;
    size_t i;

    json_array_foreach(json_object_get(args, "choices"), i, choice)
        buf_addf(&choices, "%s\"%s\"", i ? ", " : "", json_string_value(choice));
    if (is_choice(args, word->answer)) {
        err_set(e, ERR_INVALID, "%s", wrong);
    } else {
        err_set(e, ERR_INVALID, "%s; the choices are %s", wrong, buf_text(&choices));
        err_hint(e, "midwatch answer %lld %s%sCHOICE", (long long)run, path ? path : "", path ? " " : "");
    }
    buf_free(&choices);
    return ERR_INVALID;
}

static const char *answered(void *ctx, const struct reply *w)
{
    struct call *c = ctx;
    const struct asked *a = c->asked;
    const char *wrong = ask_refuses(a->args, json_get_string(c->run->start, "requester", ""), a->voters, a->votes, w);

    if (!wrong)
        answer_row(c, w, NULL, NULL, strcmp(w->answer, "yes") == 0 && a->votes + 1 < ask_votes_needed(a->args));
    return wrong;
}

static void expired(void *ctx)
{
    struct call *c = ctx;

    c->timer = NULL;
    answer_row(c, NULL, NULL, "expired", false);
}

static int64_t deadline_of(const struct asked *a)
{
    return a->asked_at + (int64_t)(json_number_value(json_object_get(a->args, "within")) * 1000);
}

int64_t ask_wakes(const struct call *c)
{
    return c->asked && c->asked->is_open ? deadline_of(c->asked) : -1;
}

/* It is durable that it was asked: show it. */
static void show(struct run *r, void *ctx, const struct row *row, const char *refusal)
{
    struct call *c = ctx;
    struct asked *a = c->asked;
    struct people *people = engine_opts(r->engine)->people;
    struct host *h = engine_host(r->engine);
    struct err e = {0};
    int64_t left;

    (void)row, (void)refusal;
    a->q = (struct enquiry){.run = r->id, .path = c->path, .title = a->title, .args = a->args, .asked_at = a->asked_at,
                            .deadline = deadline_of(a),
                            .requester_may = requester_may(a->args), .answer = answered, .ctx = c};
    a->q.votes = a->votes;
    left = a->q.deadline - run_now(r);
    if (left <= 0) {
        answer_row(c, NULL, NULL, "expired", false);
    } else if (!people || people->ops->ask(people, &a->q, &e) < 0) {
        answer_row(c, NULL, NULL, people ? e.msg : "nobody can be asked", false);
    } else {
        a->is_open = true;
        if (h->ops->timer(h, left, expired, c, &c->timer, &e) < 0)
            run_fail(r, &e);
    }
}

/* Policy refuses one of the effects whatever people say: then nobody is asked. */
static const char *refused_anyway(const struct call *c, struct buf *why)
{
    const json_t *args = c->asked->args, *x;
    const char *refusal = NULL;
    size_t i;

    if (strcmp(kind_of(c->asked), "approval") != 0)
        return NULL;
    json_array_foreach(json_object_get(args, "effects"), i, x) {
        struct wish w = {.run = c->run, .target = json_get_string(x, "target", ""),
                         .remedy = json_get_int(args, "remedy", 1), .approval = ""};

        if (!refusal && w.target[0] && !json_get_bool(x, "already", false))
            refusal = refusal_now(&w, why);
    }
    return refusal;
}

void ask_live(struct call *c)
{
    struct run *r = c->run;
    struct part *p = &c->parts[0];
    struct buf b = BUF_INIT(64 * KIB), why = BUF_INIT(2048);
    const char *refused = NULL;
    struct change *change;
    json_t *payload;
    bool again = c->asked->is_asked;        /* by the run before it was rebuilt: that is durable */

    if (r->finish.wanted)                   /* cancelled as it was taken up: it does not end for want of an answer */
        return;
    if (!again && r->barrier.active) {
        c->stalled = true;
        return;
    }
    if (!again) {
        payload = ask_payload(c);
        json_add_value(&b, payload);
        json_decref(payload);
        run_row(r, c, p, ROW_ASK, p->name, p->args, (struct str){b.data, b.len});
        buf_free(&b);
        refused = refused_anyway(c, &why);
    }
    if (refused)
        answer_row(c, NULL, refused, buf_text(&why), false);
    buf_free(&why);
    if (refused)
        return;
    change = run_change(r, CHANGE_RUN_STATE);
    change->run_state = RUN_WAITING_PERSON;
    change->n = deadline_of(c->asked);
    if (again)
        show(r, c, NULL, NULL);
    else
        run_commit(r, NULL, 0, 0, show, c);
}

/* While people are waited for, limits.time stands still. Their words may have a time before the question. */
static void waiting(struct run *r, bool begins)
{
    if (begins && r->questions++ == 0)
        r->waiting_since = r->last_at;
    if (!begins && --r->questions == 0)
        r->waited_ms += r->last_at - r->waiting_since;
}

static void close_enquiry(struct call *c, const json_t *payload)
{
    struct run *r = c->run;
    struct asked *a = c->asked;
    struct change *change;
    struct buf b = BUF_INIT(16 * KIB);
    const char *answer = json_get_string(payload, "answer", NULL);
    json_t *v = json_pack("{s:s* s:s* s:s s:s* s:s*}", "answer", answer, "by", json_get_string(payload, "by", NULL), "path",
                          c->path, "refused", json_get_string(payload, "refused", NULL), "why",
                          json_get_string(payload, "why", NULL));

    waiting(r, false);
    if (r->phase == PHASE_LIVE && r->questions == 0)
        run_change(r, CHANGE_RUN_STATE)->run_state = RUN_RUNNING;
    if (json_get_int(payload, "good_for", 0) && r->phase == PHASE_LIVE) {
        change = run_change(r, CHANGE_APPROVED);
        change->path = run_keep(r, str_of(c->path));
        change->n = json_get_int(payload, "good_for", 0);
    }
    if (answer && strcmp(answer, "yes") == 0 && strcmp(kind_of(a), "approval") == 0)
        approval_add(r, c->path, json_object_get(a->args, "effects"));
    json_add_value(&b, v);
    json_decref(v);
    call_answer(c, (struct str){b.data, b.len});
    buf_free(&b);
}

static int answer_consumed(struct call *c, const struct row *row, struct err *e)
{
    struct asked *a = c->asked;
    json_t *payload = NULL;

    if (json_read(row->payload, &payload, e) < 0)
        return e->code;
    if (!json_get_bool(payload, "more", false))
        close_enquiry(c, payload);
    else if (a->votes < VOTES_MAX)
        a->voters[a->votes++] = xstrdup(json_get_string(payload, "by", "?"));
    json_decref(payload);
    return 0;
}

int ask_row(struct call *c, struct part *p, const struct row *row, struct err *e)
{
    struct asked *a = c->asked;

    if (row->kind == ROW_ANSWER && a->is_asked)
        return answer_consumed(c, row, e);
    if (a->is_asked || op_same_call(c, p, row, ROW_ASK, e) < 0)
        return a->is_asked ? op_unexpected(c, row, e) : e->code;
    a->is_asked = true;
    ask_operator_rules(a->args, row->payload);
    a->asked_at = row->at;
    snprintf(a->title, sizeof(a->title), "%.*s", (int)p->name.n, p->name.p);
    waiting(c->run, true);
    return 0;
}

/* Approvals: what people agreed to */

void approval_add(struct run *r, const char *path, const json_t *effects)
{
    struct approval *x = xcalloc(1, sizeof(*x));

    snprintf(x->path, sizeof(x->path), "%s", path);
    x->effects = json_deep_copy(effects);
    x->next = r->approvals;
    r->approvals = x;
}

void approval_free_all(struct run *r)
{
    struct approval *x, *next;

    for (x = r->approvals; x; x = next) {
        next = x->next;
        json_decref(x->effects);
        free(x);
    }
    r->approvals = NULL;
}

/* The place of the effect in what was approved, or -1. */
static ssize_t place_in(const struct approval *x, const char *target, const json_t *from, const json_t *to)
{
    const json_t *v;
    size_t i;

    json_array_foreach(x->effects, i, v) {
        const json_t *f = json_object_get(v, "from");

        if (strcmp(json_get_string(v, "target", ""), target) == 0 && json_equal(json_object_get(v, "to"), to) &&
            (json_equal(f, from) || (!f && json_is_null(from)) || (!f && !from)))
            return (ssize_t)i;
    }
    return -1;
}

static struct approval *approval_find(struct run *r, const char *path)
{
    struct approval *x;

    for (x = r->approvals; x && strcmp(x->path, path) != 0; x = x->next)
        continue;
    return x;
}

bool approval_covers(struct run *r, const char *path, const char *target, const json_t *from, const json_t *to)
{
    const struct approval *x = approval_find(r, path);

    return x && place_in(x, target, from, to) >= 0;
}

void approval_use(struct run *r, const char *path, const char *target, const json_t *from, const json_t *to)
{
    struct approval *x = approval_find(r, path);
    ssize_t i = x ? place_in(x, target, from, to) : -1;

    if (i >= 0)
        json_array_remove(x->effects, (size_t)i);
}
