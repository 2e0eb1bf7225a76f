/* SPDX-License-Identifier: Apache-2.0 */
/* The script answerer: a scenario stands for the world. A read is answered under the
 * name it has in a group, else under the name that the same read had before, else
 * under its printed text; `after` changes the answers once an effect was applied. */
#include "gate/fixture.h"
#include "gate/pending.h"

#include "base/json.h"
#include "base/limits.h"
#include "gate/policy.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMES_MAX 1024

struct named {
    struct hash hash;
    char *label;
};

struct script {
    struct answerer base;
    struct host *host;
    json_t *given;              /* what holds now: file, scenario, then each `after` */
    json_t *after, *effects, *state;
    json_t *counts;             /* how often a {then: [..]} was asked */
    json_t *checked;            /* keys of `given` that hold to what their read returns */
    struct registry *registry;
    struct named names[NAMES_MAX];
    size_t nnames;
    int64_t started;            /* for {at: {10m: ..}} */
    struct fixture_fault fault; /* the first one */
};

static json_t *unknown(const char *kind, const char *why)
{
    return json_pack("{s:s s:s}", "unknown", kind, "why", why);
}

/* Which of {then: [a, b, c]} it is this time; the last one stays. */
static const json_t *one_of_then(struct script *s, const char *key, const json_t *list)
{
    int64_t n = json_get_int(s->counts, key, 0);

    json_object_set_new(s->counts, key, json_integer(n + 1));
    if ((size_t)n >= json_array_size(list))
        n = (int64_t)json_array_size(list) - 1;
    return json_array_get(list, (size_t)n);
}

/* {at: {0s: a, 10m: b}}: the latest that has begun. */
static const json_t *one_of_at(struct script *s, const json_t *times)
{
    int64_t passed = s->host->ops->wall_ms(s->host) - s->started, best = -1, at;
    const json_t *found = NULL;
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)times, key, v) {
        if (str_duration_ms(str_of(key), &at) == 0 && at <= passed && at > best) {
            best = at;
            found = v;
        }
    }
    return found;
}

static const json_t *resolve(struct script *s, const char *key, const json_t *v)
{
    const json_t *then = json_object_get(v, "then"), *at = json_object_get(v, "at");

    if (json_object_size(v) == 1 && json_is_array(then))
        return one_of_then(s, key, then);
    if (json_object_size(v) == 1 && json_is_object(at))
        return one_of_at(s, at);
    return v;
}

static json_t *observation(const json_t *v)
{
    return fixture_is_unknown(v) ? unknown(json_string_value(v), "the scenario says so") : json_pack("{s:O}", "value", v);
}

static void remember_label(struct script *s, const struct question *q)
{
    if (q->label.n == 0 || s->nnames == NAMES_MAX)
        return;
    s->names[s->nnames++] = (struct named){q->args_hash, xstrndup(q->label.p, q->label.n)};
}

static const char *label_of(const struct script *s, const struct hash *h)
{
    size_t i;

    for (i = s->nnames; i > 0; i--) {
        if (hash_eq(&s->names[i - 1].hash, h))
            return s->names[i - 1].label;
    }
    return NULL;
}

/* The printed text of a read arrives as JSON, quotes and all. */
static char *plain(struct str json)
{
    struct buf text = BUF_INIT(VALUE_BYTES_MAX);

    json_add_text(&text, json);
    return buf_take(&text, NULL);
}

/* Once for each key: an answer that the plugin could not give would test something else. */
static bool is_possible(struct script *s, const struct question *q, const char *key)
{
    struct fixture_fault f = {0};

    if (json_object_get(s->checked, key))
        return true;
    json_object_set_new(s->checked, key, json_true());
    if (fixture_check_answers(s->registry, q, key, s->given, s->after, &f) == 0)
        return true;
    if (!s->fault.e.code)
        s->fault = f;
    return false;
}

static void not_given(struct script *s, const char *text, const char *label)
{
    const char *quote = label ? "" : "'";

    if (s->fault.e.code)
        return;
    if (strcmp(text, "trigger.firing()") == 0)
        err_set(&s->fault.e, ERR_NOT_FOUND, "the scenario does not say whether its trigger is firing; add:  %s",
                "trigger: { firing: true }");
    else
        err_set(&s->fault.e, ERR_NOT_FOUND, "the scenario does not answer the read %.300s; add under given:  %s%.300s%s: ...",
                text, quote, label ? label : text, quote);
}

static json_t *answer_read(struct script *s, struct question *q)
{
    char *text = plain(q->text), *label = q->label.n ? xstrndup(q->label.p, q->label.n) : NULL;
    const char *earlier = label ? NULL : label_of(s, &q->args_hash);
    const char *key = label ? label : earlier ? earlier : text;
    const json_t *v = json_object_get(s->given, key);
    json_t *answer;

    if (!v && !label)
        v = json_object_get(s->given, key = text);
    remember_label(s, q);
    if (v && !is_possible(s, q, key)) {
        answer = unknown("error", "the scenario gives what this read never returns");
    } else if (v && (v = resolve(s, key, v))) {
        answer = observation(v);
    } else {
        not_given(s, text, label);
        answer = unknown("error", "the scenario does not answer this read");
    }
    free(text);
    free(label);
    return answer;
}

static json_t *answer_state(struct script *s, struct question *q)
{
    char *full = xstrndup(q->target.p, q->target.n), *target = strchr(full, ':');
    const char *key = target ? target + 1 : full;
    const json_t *v = json_object_get(s->state, key);
    struct fixture_fault f = {0};

    if (!v)
        v = json_object_get(s->state, key = full);
    if (v && !fixture_is_unknown(v) && fixture_check_state(s->registry, q, key, v, &f) < 0 && !s->fault.e.code)
        s->fault = f;
    free(full);
    return v ? observation(v) : json_pack("{s:b s:{}}", "assumed", 1, "value");
}

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (strcmp(word, words[i]) == 0)
            return true;
    }
    return false;
}

/* Of {then: [applied, halted]} some words say what policy does, the others what comes of what is sent: one of the other
 * kind stays until it is asked for, and the word is `left`. */
static const char *next_word(struct script *s, struct str effect, bool is_refusal, const char *left)
{
    char *name = xstrndup(effect.p, effect.n);
    int64_t asked = json_get_int(s->counts, name, 0);
    const json_t *v = json_object_get(s->effects, name);
    const char *word;
    size_t n;
    const char *const *refusals = policy_at_send(&n);

    v = v ? resolve(s, name, v) : NULL;
    word = json_is_string(v) ? json_string_value(v) : json_is_integer(v) ? "409" : "applied";
    if (is_one_of(word, refusals, n) != is_refusal) {
        json_object_set_new(s->counts, name, json_integer(asked));
        word = left;
    }
    free(name);
    return word;
}

/* Where policy would speak next, nobody can tell what became of an effect. */
static const char *word_of(struct script *s, struct question *q)
{
    return next_word(s, q->name, false, "timeout");
}

/* What an applied effect changes in the answers. */
static void apply_after(struct script *s, struct question *q)
{
    char *name = xstrndup(q->name.p, q->name.n), *full, *target;
    json_t *to = NULL, *extra = NULL;
    struct err e = {0};

    json_object_update(s->given, json_object_get(s->after, name));
    free(name);
    full = xstrndup(q->target.p, q->target.n);
    target = strchr(full, ':') ? strchr(full, ':') + 1 : full;
    if (json_object_get(s->state, target) && json_read(q->extra, &extra, &e) == 0) {
        to = json_object_get(extra, "to");
        json_object_update(json_object_get(s->state, target), to);
    }
    json_decref(extra);
    free(full);
}

static json_t *answer_apply(struct script *s, struct question *q)
{
    const char *word = word_of(s, q);

    if (strcmp(word, "applied") == 0 || strcmp(word, "cut") == 0)
        apply_after(s, q);
    if (strcmp(word, "applied") == 0)
        return json_pack("{s:s}", "outcome", "sent");
    if (strcmp(word, "409") == 0)
        return json_pack("{s:s s:s}", "outcome", "moved", "why", "409 conflict");
    if (strcmp(word, "refused") == 0)
        return json_pack("{s:s s:s}", "outcome", "refused", "why", "the scenario says so");
    return json_pack("{s:s s:s}", "outcome", "unknown", "why", "no answer came");
}

static json_t *answer_check(struct script *s, struct question *q)
{
    const char *word = word_of(s, q);

    if (strcmp(word, "timeout") == 0)
        return unknown("error", "nothing can be read back");
    return json_pack("{s:s}", "verdict", strcmp(word, "cut") == 0 ? "applied" : word);
}

static json_t *answer_notify(struct script *s, struct question *q)
{
    (void)s, (void)q;
    return json_pack("{s:b}", "sent", 1);
}

/* An undo is exempt from all others (DESIGN section 3). */
static const char *const undo_refusals[] = {"halted", "revoked", "target_busy"};

static const char *refuses(struct answerer *a, struct str effect, bool is_undo)
{
    struct script *s = (struct script *)a;
    const char *word = next_word(s, effect, true, NULL);

    if (!word || !is_undo || is_one_of(word, undo_refusals, 3))
        return word;
    if (!s->fault.e.code)
        err_set(&s->fault.e, ERR_INVALID,
                "effects: policy never refuses an undo as '%s'; it may say halted, revoked or target_busy", word);
    return NULL;
}

static json_t *(*const by_kind[])(struct script *, struct question *) = {
    [ASK_READ] = answer_read,   [ASK_STATE] = answer_state,   [ASK_CHECK] = answer_check,
    [ASK_APPLY] = answer_apply, [ASK_NOTIFY] = answer_notify,
};

static int ask(struct answerer *a, struct question *q, struct err *e)
{
    struct script *s = (struct script *)a;

    return pending_start(s->host, q, by_kind[q->kind](s, q), 0, e);
}

static void cancel(struct answerer *a, struct question *q)
{
    pending_cancel(((struct script *)a)->host, q);
}

static void script_free(struct answerer *a)
{
    struct script *s = (struct script *)a;
    size_t i;

    for (i = 0; i < s->nnames; i++)
        free(s->names[i].label);
    json_decref(s->given);
    json_decref(s->after);
    json_decref(s->effects);
    json_decref(s->state);
    json_decref(s->counts);
    json_decref(s->checked);
    free(s);
}

static const struct answerer_ops script_ops = {
    .name = "script", .answers_checks = true, .ask = ask, .cancel = cancel, .refuses = refuses, .free = script_free,
};

static json_t *section(const json_t *scenario, const char *key)
{
    json_t *v = json_deep_copy(json_object_get(scenario, key));

    return v ? v : json_object();
}

struct answerer *answer_script_new(const json_t *scenario, struct host *host, struct registry *r)
{
    struct script *s = xcalloc(1, sizeof(*s));

    s->base.ops = &script_ops;
    s->host = host;
    s->registry = r;
    s->given = section(scenario, "given");
    s->after = section(scenario, "after");
    s->effects = section(scenario, "effects");
    s->state = section(scenario, "state");
    s->counts = json_object();
    s->checked = json_object();
    s->started = host->ops->wall_ms(host);
    return &s->base;
}

const struct err *answer_script_complaint(const struct answerer *a, const char **path)
{
    const struct script *s = (const struct script *)a;

    *path = s->fault.path;
    return s->fault.e.code ? &s->fault.e : NULL;
}
