/* SPDX-License-Identifier: Apache-2.0 */
/* Drives lua/explore.lua: makes the state, answers what it asks the host (how an effect stands to `may` and policy, what
 * somebody knows of a call), bounds it, and collects the map. A path that does not end, or takes all memory, kills the state;
 * then all is explored again up to it, watching what it passes, and once more with that path cut where it went on alone. */
#include "check/explore.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"
#include "check/explore_code.h"
#include "gate/gate.h"
#include "gate/policy.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATHS_MAX 50000
#define TIME_MS 20000
#define STARTED_MS 1767225600000    /* 2026-01-01 */
#define BUDGET_MS 1000              /* of one path */
#define MEMORY_MAX (256 * MIB)
#define DEATHS_MAX 8
#define DECISIONS_MAX 200           /* that a plan tells */

struct explorer {
    const struct explore_options *o;
    struct explore_code code;
    struct vm *vm;
    json_t *map, *params, *uses;
    bool *may_used;                 /* entries of `may` that permit what was reached */
    json_t *stops;                  /* paths that do not end: [{path, depth, why, line, file}] */
    int64_t watch;                  /* paths from this number on say what they pass; 0 = none */
    int64_t depth;                  /* what the path has passed that is watched */
    int64_t runs;                   /* over: of paths, and of ways through a part of one */
    int64_t following, follow_max;  /* of the paths that joined another: which is followed to its end, and up to which */
    int64_t end_ms;
};

static int64_t cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A value for a parameter that has none: its first word, or its name. */
static json_t *sample(const struct param *p)
{
    char name[128];

    if (p->optional)
        return NULL;
    if (p->is_list)
        return json_array();
    if (p->type == PARAM_BOOLEAN)
        return json_false();
    if (p->type != PARAM_STRING)
        return json_integer(p->has_min ? (json_int_t)p->min : 1);
    snprintf(name, sizeof(name), "<%s>", p->name);
    return json_string(p->none_of ? p->one_of[0] : name);
}

static json_t *fill_params(const struct explore_options *o)
{
    json_t *out = o->params ? json_copy((json_t *)o->params) : json_object();
    size_t i;

    for (i = 0; i < o->book->nparams; i++) {
        const struct param *p = &o->book->params[i];
        json_t *v;

        if (json_object_get(out, p->name))
            continue;
        v = p->absent ? json_incref(p->absent) : sample(p);
        if (v)
            json_object_set_new(out, p->name, v);
    }
    return out;
}

/* The operator says what instances there are; else an alias is a plugin's name. */
static bool is_configured(const struct explorer *x)
{
    const struct config *c = registry_config(x->o->registry);

    return c && c->file;
}

static json_t *use_entry(struct explorer *x, const struct use *u, struct err *e)
{
    static const char *const durations[] = {"interval", "window"};
    struct buf instance = BUF_INIT(256);
    const json_t *declared;
    json_t *entry = NULL;
    size_t i;

    if (template_fill(str_of(u->instance), x->params, true, &instance, e) == 0 &&
        registry_describe(x->o->registry, buf_text(&instance), is_configured(x) ? NULL : u->alias, &declared, e) == 0) {
        entry = json_pack("{s:s s:s s:O}", "alias", u->alias, "instance", buf_text(&instance), "declared", declared);
        for (i = 0; i < 2; i++) {
            double s = registry_seconds(x->o->registry, buf_text(&instance), durations[i]);

            if (s > 0)
                json_object_set_new(entry, durations[i], json_real(s));
        }
    } else if (e->where[0] == '\0') {
        snprintf(e->where, sizeof(e->where), "%s:%d:%d", x->o->book->file, u->line, u->column);
    }
    buf_free(&instance);
    return entry;
}

static const char *const type_names[] = {"string", "integer", "number", "boolean", "duration", "size", "time"};

/* Parameters that the code branches on and nobody has fixed. */
static json_t *branched(const struct explorer *x)
{
    const struct explore_options *o = x->o;
    json_t *out = json_array(), *p_json;
    size_t i, k;

    for (i = 0; i < o->book->nparams; i++) {
        const struct param *p = &o->book->params[i];

        if (!o->given || json_object_get(o->given, p->name) || p->is_list || !json_object_get(x->code.branched, p->name))
            continue;
        p_json = json_pack("{s:s s:s s:b}", "name", p->name, "type", type_names[p->type], "optional", p->optional);
        if (p->has_min)
            json_object_set_new(p_json, "min", json_real(p->min));
        if (p->has_max)
            json_object_set_new(p_json, "max", json_real(p->max));
        for (k = 0; k < p->none_of; k++) {
            if (k == 0)
                json_object_set_new(p_json, "one_of", json_array());
            json_array_append_new(json_object_get(p_json, "one_of"), json_string(p->one_of[k]));
        }
        json_array_append_new(out, p_json);
    }
    return out;
}

static int last_line(const struct runbook *b)
{
    int line = 1, last = 1;
    size_t i;

    for (i = 0; i < b->chunk_len; i++) {
        if (b->chunk[i] == '\n')
            line++;
        else if (b->chunk[i] != ' ')
            last = line;
    }
    return last;
}

static json_t *setup_json(struct explorer *x)
{
    const struct runbook *b = x->o->book;
    json_t *names = json_array(), *modules = json_object(), *setup;
    json_t *trigger = x->o->trigger ? json_incref((json_t *)x->o->trigger) : json_pack("{s:s s:{}}", "kind", "cli", "labels");
    int64_t started = x->o->started_ms ? x->o->started_ms : STARTED_MS;
    bool is_plan = x->o->answer != NULL;
    size_t i;

    for (i = 0; i < b->nparams; i++)
        json_array_append_new(names, json_string(b->params[i].name));
    for (i = 0; i < b->nmodules; i++)
        json_object_set_new(modules, b->modules[i].name, json_true());
    setup = json_pack("{s:o s:b s:b s:i s:s s:b s:b s:i s:o s:i s:O s:o s:{s:i s:s s:f} s:I s:O s:O}", "branched",
                      branched(x), "can_join", b->nmodules == 0 && !x->o->separate && !is_plan, "can_merge",
                      !x->code.changes, "decisions_max", DECISIONS_MAX, "file", b->file, "is_answered",
                      is_plan, "is_plan", is_plan, "last_line", last_line(b), "modules", modules, "one_look_s", 366 * 86400,
                      "params", x->params, "param_names", names, "run", "id", 0, "requester",
                      x->o->requester ? x->o->requester : "", "started", (double)started / 1000, "started_ms",
                      (json_int_t)started, "trigger", trigger, "uses", x->uses);
    json_decref(trigger);
    if (x->o->witness)
        json_object_set(setup, "witness", (json_t *)x->o->witness);
    if (x->watch || json_array_size(x->stops))
        json_object_set_new(setup, "watch", json_pack("{s:I s:O}", "from", x->watch ? (json_int_t)x->watch : INT32_MAX,
                                                      "stops", x->stops));
    return setup;
}

static int load(struct explorer *x, struct err *e)
{
    struct vm_options vo = {.seed = 1, .memory_limit = MEMORY_MAX, .budget_ms = BUDGET_MS, .slice_us = 100000, .gc_mode = 2,
                            .hook_count = 10000};
    struct buf setup = BUF_INIT(16 * MIB);
    json_t *s = setup_json(x);
    int rc = vm_new(&vo, &x->vm, e);

    json_add_value(&setup, s);
    json_decref(s);
    if (rc == 0)
        rc = explore_code_load(&x->code, x->vm, (struct str){setup.data, setup.len}, e);
    buf_free(&setup);
    return rc;
}

/* "effect": what the host says of an effect with these arguments. */

static const json_t *declared_effect(struct explorer *x, const struct vm_call *c, const char *instance, struct err *e)
{
    const json_t *declared, *effect;
    char verb[128], alias[128];
    struct str v = gate_verb(c->name), a = gate_alias(c->name);

    snprintf(verb, sizeof(verb), "%.*s", (int)v.n, v.p);
    snprintf(alias, sizeof(alias), "%.*s", (int)a.n, a.p);
    if (registry_describe(x->o->registry, instance, is_configured(x) ? NULL : alias, &declared, e) < 0)
        return NULL;
    effect = json_object_get(json_object_get(declared, "effects"), verb);
    if (!effect)
        err_set(e, ERR_INVALID, "%s has no effect '%s'", instance, verb);
    return effect;
}

/* True if the arguments hold the name of a text that is not known. */
static bool is_open(const json_t *args)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)args, key, v) {
        if (json_is_string(v) && strchr(json_string_value(v), '<'))
            return true;
    }
    return false;
}

/* Which entries of `may` permit it, or could for some text. */
static void see_may(struct explorer *x, const struct policy_effect *p, bool open)
{
    struct runbook one = *x->o->book;
    struct buf why = BUF_INIT(2048);
    size_t i;

    for (i = 0; i < x->o->book->nmay; i++) {
        one.may = &x->o->book->may[i];
        one.nmay = 1;
        buf_reset(&why);
        if (!policy_refuses(&one, x->params, p, &why) || (open && str_is(p->name, one.may->effect)))
            x->may_used[i] = true;
    }
    buf_free(&why);
}

static json_t *judge_effect(struct explorer *x, const struct vm_call *c, const json_t *args, const char *instance,
                            const json_t *declared, struct err *e)
{
    struct buf target = BUF_INIT(1024), why = BUF_INIT(2048);
    struct policy_effect p = {.name = c->name, .instance = c->instance, .args = args, .declared = declared,
                              .config = x->o->config};
    const char *refusal, *undo = json_get_string(declared, "undo", "derived");
    json_t *out = NULL;

    if (template_fill(str_of(json_get_string(declared, "target", "")), args, true, &target, e) == 0) {
        p.target = (struct str){target.data, target.len};
        refusal = policy_refuses(x->o->book, x->params, &p, &why);
        see_may(x, &p, is_open(args));
        if (json_get_bool(declared, "irreversible", false))
            undo = "irreversible";
        out = json_pack("{s:b s:s s:O* s:b s:s* s:s* s:s++ s:s s:s*}", "maybe", refusal && is_open(args),
                        "class", json_get_string(declared, "class", "never_twice"), "finds", json_object_get(declared, "finds"),
                        "has_state", json_get_bool(declared, "has_state", false), "needs_approval",
                        policy_needs_approval(&p), "refused", refusal, "target", instance, ":", buf_text(&target), "undo",
                        undo, "why", refusal ? buf_text(&why) : NULL);
    }
    buf_free(&target);
    buf_free(&why);
    return out;
}

static void answer_effect(struct explorer *x, const struct vm_call *c, struct buf *out)
{
    char instance[256];
    const json_t *declared;
    json_t *args = NULL, *answer = NULL;
    struct err e = {0};

    snprintf(instance, sizeof(instance), "%.*s", (int)c->instance.n, c->instance.p);
    declared = declared_effect(x, c, instance, &e);
    if (declared && json_read(c->args, &args, &e) == 0)
        answer = judge_effect(x, c, args, instance, declared, &e);
    if (!answer)
        answer = json_pack("{s:s s:s s:s s:b s:s}", "class", "never_twice", "refused", "error", "target", instance,
                           "has_state", 0, "why", e.msg);
    json_add_value(out, answer);
    json_decref(answer);
    json_decref(args);
}

/* "answer": what somebody knows. */
static int answer_call(struct explorer *x, const struct vm_request *q, struct buf *out, struct err *e)
{
    const struct vm_call *c = &q->calls[0];
    struct buf args = BUF_INIT(4 * MIB);
    json_t *a = NULL;
    int rc = json_read(c->args, &a, e);

    if (rc == 0) {
        struct explore_call call = {.op = str_of(json_get_string(a, "op", "")), .path = str_of(json_get_string(a, "path", "")),
                                    .label = c->label, .name = c->name, .instance = c->instance, .line = q->line,
                                    .text = str_of(json_get_string(a, "text", "")),
                                    .symbolic = json_get_bool(a, "symbolic", false),
                                    .part = (int)json_get_int(a, "part", 1),
                                    .effects = (size_t)json_get_int(a, "effects", 0),
                                    .waited_ms = json_get_int(a, "waited", 0)};

        call.changed = json_object_get(a, "changed");
        json_add_value(&args, json_object_get(a, "args"));
        call.args = (struct str){args.data, args.len};
        rc = x->o->answer(x->o->ctx, &call, out, e);
        if (rc == 0)
            buf_adds(out, "null");
    }
    json_decref(a);
    buf_free(&args);
    return rc < 0 ? rc : 0;
}

static void take_part(struct explorer *x, const struct vm_call *c)
{
    char name[32];
    json_t *part = NULL, *list;
    struct err e = {0};

    snprintf(name, sizeof(name), "%.*s", (int)c->name.n, c->name.p);
    if (json_read(c->args, &part, &e) < 0)
        return;
    if (name[0]) {
        list = json_object_get(x->map, name);
        json_array_extend(list, part);
    } else {
        json_object_update(x->map, part);
    }
    json_decref(part);
}

/* Why no further path is taken, or NULL. */
static const char *enough(struct explorer *x, const struct vm_call *c)
{
    size_t max = x->o->paths_max ? x->o->paths_max : PATHS_MAX;
    char *end;

    x->runs = strtoll(c->args.p + 1, &end, 10);     /* [runs,paths] */
    x->depth = 1;
    if (strtoull(end + 1, NULL, 10) >= max)
        return "paths";
    return cpu_ms() > x->end_ms ? "time" : NULL;
}

static const char *no_further(struct explorer *x, const struct vm_call *c)
{
    x->following = strtoll(c->args.p, NULL, 10);
    return x->following > x->follow_max || cpu_ms() > x->end_ms ? "time" : NULL;
}

static int serve(struct explorer *x, const struct vm_request *q, struct err *e)
{
    const struct vm_call *c = &q->calls[0];
    struct buf out = BUF_INIT(4 * MIB);
    const char *word = NULL;
    int rc = 0;

    if (str_is(q->op, "path"))
        word = enough(x, c);
    else if (str_is(q->op, "follow"))
        word = no_further(x, c);
    else if (str_is(q->op, "passed"))
        x->depth = strtoll(c->args.p, NULL, 10);
    else if (str_is(q->op, "part"))
        take_part(x, c);
    else if (str_is(q->op, "effect"))
        answer_effect(x, c, &out);
    else if (str_is(q->op, "answer"))
        rc = answer_call(x, q, &out, e);
    if (out.len == 0)
        buf_addf(&out, word ? "\"%s\"" : "false", word);
    if (rc == 0)
        rc = vm_answer(x->vm, q->branch, q->generation, (struct str){out.data, out.len}, e);
    buf_free(&out);
    return rc;
}

/* The state is dead: 0 if it may be tried again. */
static int died(struct explorer *x, const struct vm_event *ev, struct err *e)
{
    json_int_t path = (json_int_t)x->runs + 1;

    if (json_array_size(x->stops) >= DEATHS_MAX)
        return err_at(e, ERR_LIMIT, ev->chunk ? ev->chunk : x->o->book->file, ev->line, 0,
                      "too many paths do not end: %s", ev->error);
    if (x->following) {
        x->follow_max = x->following - 1;
        return 0;
    }
    if (x->watch == 0) {
        x->watch = path;
        return 0;
    }
    json_array_append_new(x->stops, json_pack("{s:I s:I s:s s:i s:s}", "path", path, "depth", (json_int_t)x->depth, "why",
                                              ev->error, "line", ev->line, "file",
                                              ev->chunk && ev->chunk[0] ? ev->chunk : x->o->book->file));
    x->watch = 0;
    return 0;
}

/* 0 = explored, 1 = the state died and it is to be tried again. */
static int attempt(struct explorer *x, struct err *e)
{
    static const char *const lists[] = {"nodes", "paths", "notes", "hypotheses", "unknown", "by_default", "decisions",
                                        "witnesses"};
    struct vm_event ev = {0};
    uint32_t branch;
    size_t i, n = sizeof(lists) / sizeof(lists[0]) - (x->o->witness ? 0 : 1);
    int rc = load(x, e), step = 1;

    for (i = 0; i < n; i++)
        json_object_set_new(x->map, lists[i], json_array());
    x->runs = 0;
    x->following = 0;
    x->depth = 1;
    if (rc == 0)
        rc = vm_start_call(x->vm, "explore", "run", STR("[]"), &branch, e);
    while (rc == 0 && (step = vm_step(x->vm, &ev)) != 0) {
        if (step == 2)
            continue;
        if (ev.outcome != VM_PARKED)
            break;
        rc = serve(x, &ev.request, e);
    }
    if (rc == 0 && (ev.outcome == VM_KILLED || ev.outcome == VM_NOMEM))
        rc = died(x, &ev, e) < 0 ? e->code : 1;
    else if (rc == 0 && ev.outcome != VM_DONE)
        rc = err_set(e, ERR_INTERNAL, "exploring failed: %s", ev.error ? ev.error : "nothing was left to do");
    vm_free(x->vm);
    x->vm = NULL;
    return rc;
}

int explore(const struct explore_options *o, json_t **map, struct err *e)
{
    struct explorer x = {.o = o, .stops = json_array(), .uses = json_array(), .map = json_object(),
                         .follow_max = INT64_MAX, .end_ms = cpu_ms() + (o->time_ms ? o->time_ms : TIME_MS)};
    size_t i;
    int rc = explore_code_read(&x.code, o->book, o->program, e);

    x.params = fill_params(o);
    x.may_used = xcalloc(o->book->nmay + 1, sizeof(bool));
    for (i = 0; rc == 0 && i < o->book->nuses; i++) {
        json_t *use = use_entry(&x, &o->book->uses[i], e);

        rc = use ? json_array_append_new(x.uses, use) : e->code;
    }
    json_object_set_new(x.map, "runbook", json_string(o->book->name));
    json_object_set_new(x.map, "file", json_string(o->book->file));
    json_object_set(x.map, "params", x.params);
    if (rc == 0)
        do
            rc = attempt(&x, e);
        while (rc == 1);
    json_object_set_new(x.map, "may_unused", json_array());
    for (i = 0; rc == 0 && i < o->book->nmay; i++) {
        if (!x.may_used[i])
            json_array_append_new(json_object_get(x.map, "may_unused"), json_integer((json_int_t)i));
    }
    free(x.may_used);
    explore_code_free(&x.code);
    json_decref(x.params);
    json_decref(x.uses);
    json_decref(x.stops);
    if (rc < 0)
        json_decref(x.map);
    else
        *map = x.map;
    return rc;
}
