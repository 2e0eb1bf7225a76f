/* SPDX-License-Identifier: Apache-2.0 */
#include "check/plan.h"

#include "base/json.h"
#include "base/limits.h"
#include "check/plan_world.h"
#include "gate/gate.h"
#include "gate/policy.h"
#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPUTE_MS 10000
#define PATHS_MAX 2000

json_t *plan_remedy(struct planner *p, const char *title)
{
    json_t *r = json_object_get(p->remedies, title);

    if (!r) {
        r = json_pack("{s:[]}", "verify");
        json_object_set_new(p->remedies, title, r);
    }
    return r;
}

static int apply_answer(const struct explore_call *c, const struct planner *p, json_t *more, struct buf *out)
{
    json_object_set_new(more, "at", json_integer((json_int_t)(p->now + c->waited_ms)));
    json_object_set_new(more, "path", json_stringn(c->path.p, c->path.n));
    json_object_set_new(more, "row", json_integer(0));
    json_add_value(out, more);
    json_decref(more);
    return 1;
}

static int answer_apply(struct planner *p, const struct explore_call *c, const json_t *args, struct buf *out)
{
    json_t *entry = plan_find_effect(p, c, args);
    const json_t *within = json_object_get(args, "within");
    struct buf why = BUF_INIT(4096), refusal = BUF_INIT(64);
    int rc = 0;

    if (entry) {
        json_object_set_new(entry, "title", json_string(json_get_string(args, "title", "")));
        json_object_set_new(entry, "line", json_integer(c->line));
        if (json_is_number(within))
            json_object_set(entry, "temporary_s", (json_t *)within);
    }
    if (entry && json_get_bool(entry, "already", false)) {
        rc = apply_answer(c, p, json_pack("{s:s}", "outcome", "already"), out);
    } else if (world_refuses(p, c, args, &refusal, &why)) {
        if (entry) {
            json_object_set_new(entry, "refused", json_string(buf_text(&refusal)));
            json_object_set_new(entry, "why", json_string(buf_text(&why)));
        }
        rc = apply_answer(c, p, json_pack("{s:s s:s s:s}", "outcome", "refused", "refused", buf_text(&refusal), "why",
                                        buf_text(&why)), out);
    } else if (entry && json_object_get(entry, "denied_by")) {
        buf_addf(&why, "%s says no: %s", json_get_string(entry, "denied_by", ""), json_get_string(entry, "denied_why", ""));
        rc = apply_answer(c, p, json_pack("{s:s s:s}", "outcome", "failed", "why", buf_text(&why)), out);
    }
    buf_free(&why);
    buf_free(&refusal);
    return rc;
}

static void see_approval(struct planner *p, const struct explore_call *c, const json_t *args)
{
    static const char *const keys[] = {"by", "of", "within", "text", "why"};
    json_t *approval = json_object(), *v;
    char title[256];
    size_t i;

    if (strcmp(json_get_string(args, "kind", ""), "approval") == 0) {
        snprintf(title, sizeof(title), "%.*s", (int)c->name.n, c->name.p);
        for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            v = json_object_get(args, keys[i]);
            if (v && !json_is_null(v))
                json_object_set(approval, keys[i], v);
        }
        json_object_set(plan_remedy(p, title), "approval", approval);
    }
    json_decref(approval);
}

/* A remedy begins to be verified, or is. */
static void see_wait(struct planner *p, const struct explore_call *c, const json_t *args)
{
    static const char lead[] = "verify: ";

    if (c->name.n <= strlen(lead) || strncmp(c->name.p, lead, strlen(lead)) != 0)
        return;
    snprintf(p->verifying, sizeof(p->verifying), "%.*s", (int)(c->name.n - strlen(lead)), c->name.p + strlen(lead));
    json_object_set(plan_remedy(p, p->verifying), "within_s", json_object_get(args, "within"));
}

static int answer(void *ctx, const struct explore_call *c, struct buf *out, struct err *e)
{
    struct planner *p = ctx;
    json_t *args = NULL;
    int rc = 0;

    if (c->effects == 0 || str_is(c->op, "verify"))
        p->verifying[0] = '\0';
    if (str_is(c->op, "read"))
        return plan_read(p, c, out, e);
    if (str_is(c->op, "reads"))
        return plan_reads(p, c, e);
    if (str_is(c->op, "plan"))
        return plan_effect(p, c, out, e);
    if (json_read(c->args, &args, e) < 0)
        return e->code;
    if (str_is(c->op, "apply"))
        rc = answer_apply(p, c, args, out);
    else if (str_is(c->op, "ask"))
        see_approval(p, c, args);
    else if (str_is(c->op, "wait"))
        see_wait(p, c, args);
    json_decref(args);
    return rc;
}

/* From here: what is made of it. */

static bool is_change(const json_t *effect)
{
    static const char *const nothing[] = {"refused", "skipped", "moved", "failed", "already"};
    const char *outcome = json_get_string(effect, "outcome", "");
    size_t i;

    for (i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        if (strcmp(outcome, nothing[i]) == 0)
            return false;
    }
    return true;
}

/* The exit code of all paths, if it is one and none of them changes anything; else 0. */
static int sure_exit(const json_t *paths)
{
    const json_t *path, *effect;
    int code = -1;
    size_t i, k;

    json_array_foreach(paths, i, path) {
        int one = outcome_exit_code(RUN_ENDED, json_get_string(path, "outcome", ""), json_get_string(path, "reason", ""), 0);

        json_array_foreach(json_object_get(path, "effects"), k, effect) {
            if (is_change(effect))
                return 0;
        }
        if (code >= 0 && code != one)
            return 0;
        code = one;
    }
    return code < 0 ? 0 : code;
}

/* Over the sources, the effects with what is there before, and the decisions; not over what was looked at, nor texts. */
static void set_id(json_t *plan)
{
    struct buf effects = BUF_INIT(64 * MIB), nodes = BUF_INIT(64 * MIB);
    json_t *bare = json_deep_copy(json_object_get(plan, "nodes")), *node;
    json_t *named = json_deep_copy(json_object_get(plan, "effects"));
    struct str parts[3];
    struct hash h;
    char hex[65];
    size_t i;

    json_array_foreach(bare, i, node) {
        if (strcmp(json_get_string(node, "kind", ""), "leaf") == 0)
            json_object_del(node, "text");
    }
    json_add_value(&nodes, bare);
    json_array_foreach(named, i, node) {        /* words of others may say the time */
        json_object_del(node, "why");
        json_object_del(node, "denied_why");
    }
    json_add_value(&effects, named);
    json_add_value(&effects, json_object_get(plan, "remedies"));
    parts[0] = str_of(json_get_string(plan, "bundle", ""));
    parts[1] = (struct str){effects.data, effects.len};
    parts[2] = (struct str){nodes.data, nodes.len};
    h = hash_parts(parts, 3);
    json_object_set_new(plan, "plan_id", json_string(hash_hex(&h, hex)));
    json_decref(bare);
    json_decref(named);
    buf_free(&effects);
    buf_free(&nodes);
}

static int set_bundle(const struct plan_request *q, json_t *plan, struct err *e)
{
    json_t *uses = json_array();
    struct bundle *b = NULL;
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < q->book->nuses; i++) {
        struct buf instance = BUF_INIT(256);

        rc = template_fill(str_of(q->book->uses[i].instance), q->params, true, &instance, e);
        json_array_append_new(uses, json_pack("{s:s}", "instance", buf_text(&instance)));
        buf_free(&instance);
    }
    if (rc == 0 && (b = engine_bundle(q->registry, q->book, uses, e)) == NULL)
        rc = e->code;
    if (rc == 0) {
        json_object_set_new(plan, "bundle", json_string(b->id));
        json_object_set_new(plan, "commit", b->commit ? json_string(b->commit) : json_null());
        json_object_set_new(plan, "dirty", json_boolean(b->dirty));
    }
    bundle_free(b);
    json_decref(uses);
    return rc;
}

static int finish(struct planner *p, json_t *plan, struct err *e)
{
    json_object_set(plan, "reads", p->reads);
    json_object_set(plan, "effects", p->effects);
    json_object_set(plan, "remedies", p->remedies);
    json_array_extend(json_object_get(plan, "notes"), p->notes);
    json_object_set_new(plan, "exit", json_integer(sure_exit(json_object_get(plan, "paths"))));
    json_object_del(plan, "paths");
    if (set_bundle(p->q, plan, e) < 0)
        return e->code;
    set_id(plan);
    return 0;
}

int plan_make(const struct plan_request *q, json_t **plan, struct err *e)
{
    struct planner p = {.q = q, .now = q->host->ops->wall_ms(q->host), .kept = json_object(), .reads = json_array(),
                        .effects = json_array(), .remedies = json_object(), .planned = json_array(), .notes = json_array()};
    struct explore_options o = {.book = q->book, .registry = q->registry, .config = q->config, .params = q->params,
                                .trigger = q->trigger, .requester = q->requester, .started_ms = p.now, .paths_max = PATHS_MAX,
                                .time_ms = COMPUTE_MS, .answer = answer, .ctx = &p};
    json_t *made = NULL;
    int rc = explore(&o, &made, e);

    if (rc == 0)
        rc = finish(&p, made, e);
    if (rc == 0)
        *plan = made;
    else
        json_decref(made);
    json_decref(p.kept);
    json_decref(p.reads);
    json_decref(p.effects);
    json_decref(p.remedies);
    json_decref(p.planned);
    json_decref(p.notes);
    return rc;
}

int plan_exit_code(const json_t *plan, bool strict)
{
    const json_t *effect;
    size_t i;

    if (strict) {
        json_array_foreach(json_object_get(plan, "effects"), i, effect) {
            if (json_object_get(effect, "unknown"))
                return 6;
        }
        if (json_array_size(json_object_get(plan, "notes")) > 0 || strcmp(json_get_string(plan, "ended", ""), "all") != 0)
            return 6;
    }
    return (int)json_get_int(plan, "exit", 0);
}

int plan_expected(struct str text, const struct runbook *book, json_t **out, struct err *e)
{
    json_t *plan = NULL, *effects, *ends;
    const json_t *x;
    size_t i;

    if (json_read(text, &plan, e) < 0)
        return err_wrap(e, "no plan (midwatch plan -o json prints one)");
    if (strcmp(json_get_string(plan, "runbook", ""), book->name) != 0 || !json_get_string(plan, "plan_id", "")[0]) {
        err_set(e, ERR_INVALID, "no plan of %s (midwatch plan -o json prints one)", book->name);
        json_decref(plan);
        return e->code;
    }
    effects = json_array();
    json_array_foreach(json_object_get(plan, "effects"), i, x)
        json_array_append_new(effects, json_pack("{s:s s:s s:O*}", "effect", json_get_string(x, "effect", ""), "target",
                                                 json_get_string(x, "target", ""), "to", json_object_get(x, "to")));
    ends = json_array();
    json_array_foreach(json_object_get(plan, "nodes"), i, x) {
        if (strcmp(json_get_string(x, "kind", ""), "leaf") == 0)
            json_array_append_new(ends, json_pack("[s,s]", json_get_string(x, "outcome", ""), json_get_string(x, "reason", "")));
    }
    *out = json_pack("{s:s s:o s:o s:s}", "bundle", json_get_string(plan, "bundle", ""), "effects", effects, "ends", ends,
                     "plan_id", json_get_string(plan, "plan_id", ""));
    json_decref(plan);
    return 0;
}
