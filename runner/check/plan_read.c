/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of a plan: looked at once for all paths, those of a group at the same time; what an effect or a wait may have changed
 * is not known. */
#include "check/plan_world.h"

#include "base/json.h"
#include "base/limits.h"
#include "run/engine.h"

#include <stdlib.h>

static void see_verify(struct planner *p, const struct explore_call *c)
{
    json_t *list = json_object_get(plan_remedy(p, p->verifying), "verify"), *one;
    json_t *entry = json_pack("{s:i s:s%}", "line", c->line, "text", c->text.p, c->text.n);
    size_t i;

    json_array_foreach(list, i, one) {
        if (json_equal(one, entry)) {
            json_decref(entry);
            return;
        }
    }
    json_array_append_new(list, entry);
}

static void record_read(struct planner *p, const struct explore_call *c, const json_t *a)
{
    json_t *entry = json_pack("{s:s% s:s% s:s% s:s% s:i}", "label", c->label.p ? c->label.p : "", c->label.n, "name", c->name.p,
                              c->name.n, "instance", c->instance.p ? c->instance.p : "", c->instance.n, "text",
                              c->text.p, c->text.n, "line", c->line);
    const char *unit = json_get_string(world_declared(p, c, "reads", &(struct err){0}), "unit", NULL);

    if (unit)
        json_object_set_new(entry, "unit", json_string(unit));
    json_object_update(entry, (json_t *)a);
    json_array_append_new(p->reads, entry);
}

/* What is kept of a read is found by its name, instance and arguments. */
static void read_key(const struct explore_call *c, struct buf *key)
{
    buf_addf(key, "read %.*s %.*s ", (int)c->name.n, c->name.p, (int)c->instance.n, c->instance.p ? c->instance.p : "");
    buf_add(key, c->args.p, c->args.n);
}

static json_t *kept_read(struct planner *p, const struct explore_call *c)
{
    struct buf key = BUF_INIT(VALUE_BYTES_MAX);
    json_t *a;

    read_key(c, &key);
    a = json_object_getn(p->kept, key.data, key.len);
    buf_free(&key);
    return a;
}

/* Takes the answer, which the run would see as unknown if it is too old or too large. */
static json_t *keep_read(struct planner *p, const struct explore_call *c, json_t *a)
{
    struct buf key = BUF_INIT(VALUE_BYTES_MAX), text = BUF_INIT(PAYLOAD_BYTES_MAX);

    if (json_add_value(&text, a) < 0) {
        json_decref(a);
        a = json_pack("{s:s s:s}", "unknown", "error", "why", "the answer is larger than a journal takes");
    } else if (!json_object_get(a, "unknown") &&
               engine_is_stale(c->args, (struct str){text.data, text.len}, p->q->host->ops->wall_ms(p->q->host))) {
        json_decref(a);
        a = json_pack("{s:s s:s}", "unknown", "stale", "why", "the sample is older than max_age allows");
    }
    read_key(c, &key);
    json_object_setn_new(p->kept, key.data, key.len, a);
    record_read(p, c, a);
    buf_free(&key);
    buf_free(&text);
    return a;
}

/* One read that is looked up: what it borrows, and its answer. */
struct look {
    struct explore_call call;
    struct buf request, args;
    struct world_call world;
};

static void look_begin(struct planner *p, struct look *l, const struct explore_call *c, const json_t *request)
{
    buf_init(&l->request, VALUE_BYTES_MAX);
    buf_init(&l->args, VALUE_BYTES_MAX);
    l->call = *c;
    json_add_value(&l->request, request);
    json_add_value(&l->args, json_object_get(request, "args"));
    l->call.args = (struct str){l->request.data, l->request.len};
    l->world.answer = NULL;
    if (!kept_read(p, &l->call))
        world_start(p, &l->world, BODY_READ, &l->call, (struct str){l->args.data, l->args.len}, STR(""));
}

static void look_end(struct planner *p, struct look *l)
{
    if (l->world.answer && kept_read(p, &l->call))
        json_decref(l->world.answer);           /* twice in one group */
    else if (l->world.answer)
        keep_read(p, &l->call, l->world.answer);
    buf_free(&l->request);
    buf_free(&l->args);
}

int plan_reads(struct planner *p, const struct explore_call *c, struct err *e)
{
    json_t *list = NULL, *one;
    struct look *looks;
    size_t i, n = 0;

    if (c->effects > 0 || c->waited_ms > 0)
        return 0;
    if (json_read(c->args, &list, e) < 0)
        return e->code;
    looks = xcalloc(json_array_size(list) + 1, sizeof(*looks));
    json_array_foreach(list, i, one) {
        const json_t *request = json_object_get(one, "args");
        struct explore_call read = *c;

        read.name = str_of(json_get_string(one, "name", ""));
        read.instance = str_of(json_get_string(one, "instance", ""));
        read.label = str_of(json_get_string(one, "label", ""));
        read.text = str_of(json_get_string(request, "text", ""));
        if (world_may_ask(p, &read))
            look_begin(p, &looks[n++], &read, request);
    }
    world_wait(p);
    for (i = 0; i < n; i++)
        look_end(p, &looks[i]);
    free(looks);
    json_decref(list);
    return 0;
}

int plan_read(struct planner *p, const struct explore_call *c, struct buf *out, struct err *e)
{
    json_t *a, *request = NULL;
    struct look l;

    if (c->effects > 0 || c->waited_ms > 0 || c->symbolic || !world_may_ask(p, c)) {
        if (p->verifying[0])
            see_verify(p, c);
        return 0;
    }
    a = kept_read(p, c);
    if (!a) {
        if (json_read(c->args, &request, e) < 0)
            return e->code;
        look_begin(p, &l, c, request);
        world_wait(p);
        look_end(p, &l);
        json_decref(request);
        a = kept_read(p, c);
    }
    if (!a)
        return err_set(e, p->broken.code ? p->broken.code : ERR_INTERNAL, "a read got no answer: %s", p->broken.msg);
    buf_adds(out, "{\"o\":");
    json_add_value(out, a);
    buf_addf(out, ",\"row\":%zu}", json_array_size(p->reads));
    return 1;
}
