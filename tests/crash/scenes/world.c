/* SPDX-License-Identifier: Apache-2.0 */
/* The world of a scenario, which goes on while the processes of a run die. */
#include "scenes.h"

#include <stdio.h>
#include <stdlib.h>

static void took(void *ctx, struct str answer)
{
    struct buf *b = ctx;

    buf_add(b, answer.p, answer.n);
}

/* Owned. */
static json_t *ask_script(struct world *w)
{
    struct buf answer = BUF_INIT(sizeof(life->answer));
    struct question q = life->q;
    struct err e = {0};
    json_t *out = NULL;

    q.registry = NULL;
    q.done = took;
    q.ctx = &answer;
    host_sim_step_clock(w->host, life->wall_ms - w->host->ops->wall_ms(w->host));
    if (w->script->ops->ask(w->script, &q, &e) < 0 || w->host->ops->run(w->host, NULL, NULL, &e) < 0 ||
        json_read((struct str){answer.data, answer.len}, &out, &e) < 0)
        abort();
    buf_free(&answer);
    return out;
}

static char *read_name(void)
{
    struct buf name = BUF_INIT(sizeof(life->text));

    buf_add(&name, life->q.name.p, life->q.name.n);
    buf_addc(&name, ' ');
    buf_add(&name, life->q.args.p, life->q.args.n);
    return buf_take(&name, NULL);
}

/* What a life saw that was killed before it was durable, the next one sees again: a scenario goes on by what was answered. */
static json_t *answer_read(struct world *w, bool known)
{
    char *name = read_name();
    json_t *all = json_object_get(w->answers, name), *out = NULL;
    int64_t n = json_get_int(w->known, name, 0);

    if (!all)
        json_object_set_new(w->answers, name, all = json_array());
    json_object_set_new(w->known, name, json_integer(n + 1));
    if (!known && (size_t)n >= json_array_size(all))
        json_array_append_new(all, ask_script(w));
    if (!known)
        out = json_incref(json_array_get(all, (size_t)n));
    free(name);
    return out;
}

static char *key_of_question(void)
{
    struct err e = {0};
    json_t *extra = NULL;
    char *key;

    if (json_read(life->q.extra, &extra, &e) < 0)
        abort();
    key = xstrdup(json_get_string(extra, "key", ""));
    json_decref(extra);
    return key;
}

static void insert_sorted(json_t *list, const char *text)
{
    size_t i = 0;

    while (i < json_array_size(list) && strcmp(json_string_value(json_array_get(list, i)), text) <= 0)
        i++;
    json_array_insert_new(list, i, json_string(text));
}

/* What was refused, and nobody heard it, is refused again. */
static json_t *answer_apply(struct world *w)
{
    char *key = key_of_question(), text[700];
    const json_t *before = json_object_get(w->sent, key), *refused = json_array_get(before, 2);
    json_t *out = json_is_null(refused) || !refused ? ask_script(w) : json_deep_copy(refused);
    const char *said = json_get_string(out, "outcome", "");
    bool taken = strcmp(said, "sent") == 0 || strcmp(said, "unknown") == 0;

    snprintf(text, sizeof(text), "%.*s %.*s", (int)life->q.name.n, life->q.name.p, (int)life->q.target.n, life->q.target.p);
    if (before && json_is_null(refused))
        buf_addf(&w->wrong, "%s was sent again under its key; ", text);
    if (taken)
        insert_sorted(w->effects, text);
    json_object_set_new(w->sent, key, json_pack("[i,s,O]", w->lives, said, taken ? json_null() : out));
    free(key);
    return out;
}

/* Such an effect is not sent again even if it did not arrive. */
static bool is_never_twice(const struct world *w)
{
    struct str alias = gate_alias(life->q.name), verb = gate_verb(life->q.name);
    char *of[] = {xstrndup(life->q.instance.p, life->q.instance.n), xstrndup(alias.p, alias.n), xstrndup(verb.p, verb.n)};
    const json_t *declared = NULL, *effect;
    bool never;

    if (registry_describe(w->registry, of[0], of[1], &declared, &(struct err){0}) < 0)
        abort();
    effect = json_object_get(json_object_get(declared, "effects"), of[2]);
    never = strcmp(json_get_string(effect, "class", "never_twice"), "never_twice") == 0;
    for (int i = 0; i < 3; i++)
        free(of[i]);
    return never;
}

/* What became of an effect whose answer a killed life did not get, the world knows; of the others, the scenario does. */
static json_t *answer_check(struct world *w)
{
    char *key = key_of_question();
    const json_t *sent = json_object_get(w->sent, key);
    const char *said = json_string_value(json_array_get(sent, 1)), *verdict = NULL;
    bool killed = json_integer_value(json_array_get(sent, 0)) != w->lives;
    json_t *out;

    w->given_up += !sent && is_never_twice(w);
    if (!sent)
        verdict = "absent";
    else if (killed && strcmp(said, "unknown") != 0)
        verdict = strcmp(said, "sent") == 0 ? "applied" : strcmp(said, "moved") == 0 ? "moved" : "absent";
    out = verdict ? json_pack("{s:s}", "verdict", verdict) : ask_script(w);
    w->unsure += json_object_get(out, "unknown") != NULL;
    if (!verdict && strcmp(json_get_string(out, "verdict", ""), "absent") == 0)
        json_object_del(w->sent, key);
    free(key);
    return out;
}

void world_serve(struct world *w, char what)
{
    struct buf b = BUF_INIT(sizeof(life->answer));
    json_t *answer = what == '!' || life->q.kind == ASK_READ ? answer_read(w, what == '!')
                     : life->q.kind == ASK_APPLY             ? answer_apply(w)
                     : life->q.kind == ASK_CHECK             ? answer_check(w)
                                                             : ask_script(w);

    if (answer)
        json_add_value(&b, answer);
    memcpy(life->answer, buf_text(&b), b.len);
    life->nanswer = b.len;
    json_decref(answer);
    buf_free(&b);
}

void world_init(struct world *w, const struct scene *x)
{
    struct host_sim_options ho = {.wall_ms = STARTED_MS, .seed = 1};

    *w = (struct world){.answers = json_object(), .sent = json_object(), .effects = json_array(), .wrong = BUF_INIT(64 * KIB)};
    host_sim_new(&ho, &w->host, &(struct err){0});
    w->registry = x->registry;
    w->script = answer_script_new(x->scenario, w->host, x->registry);
    life->wall_ms = STARTED_MS;
}

void world_deinit(struct world *w)
{
    w->script->ops->free(w->script);
    w->host->ops->free(w->host);
    json_decref(w->answers);
    json_decref(w->known);
    json_decref(w->sent);
    json_decref(w->effects);
    buf_free(&w->wrong);
}
