/* SPDX-License-Identifier: Apache-2.0 */
/* How often an alert began. It is known again by its labels, a beginning by its
 * startsAt: however many runs one beginning started, it counts once. */
#include "run/run.h"

#include "base/json.h"
#include "base/limits.h"

struct count {
    const json_t *labels;
    json_t *seen;               /* {startsAt: true} */
    int64_t since, n;
};

static bool see_run(void *ctx, const struct run_info *info)
{
    struct count *c = ctx;
    json_t *trigger = NULL;
    struct err not_ours = {0};
    const char *began;

    if (info->created_at < c->since)
        return false;
    if (info->trigger && json_read(str_of(info->trigger), &trigger, &not_ours) == 0 &&
        json_equal(json_object_get(trigger, "labels"), c->labels)) {
        began = json_get_string(trigger, "startsAt", "");
        c->n += !began[0] || !json_object_get(c->seen, began);
        json_object_set_new(c->seen, began, json_true());
    }
    json_decref(trigger);
    return c->n < EPISODES_MAX;
}

int episodes_count(struct run *r, json_t *trigger, struct err *e)
{
    const struct engine_options *o = engine_opts(r->engine);
    const char *began = json_get_string(trigger, "startsAt", "");
    struct count c = {.labels = json_object_get(trigger, "labels"), .n = 1};
    struct journal *j;
    int rc;

    if (!o->state_dir || !o->config || o->config->flapping == 0 || strcmp(json_get_string(trigger, "kind", ""), "alert") != 0)
        return 0;
    j = writer_reader(o->writer, e);
    if (!j)
        return e->code;
    c.since = r->started_at - o->config->flapping_ms;
    c.seen = json_pack("{s:b}", began, true);
    rc = j->ops->runs(j, false, see_run, &c, e);
    json_object_set_new(trigger, "episodes", json_integer(c.n));
    json_decref(c.seen);
    return rc;
}
