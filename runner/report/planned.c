/* SPDX-License-Identifier: Apache-2.0 */
#include "report/planned.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdio.h>
#include <string.h>

struct reader {
    struct planned *out;
    json_t *plan;               /* of START */
};

static void say(struct planned *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct planned *p, const char *fmt, ...)
{
    va_list ap;

    p->differs = true;
    buf_adds(&p->why, p->why.len ? "; " : "");
    va_start(ap, fmt);
    buf_addv(&p->why, fmt, ap);
    va_end(ap);
}

static bool is_planned(const struct reader *r, struct str name, const json_t *args)
{
    const json_t *x;
    size_t i;

    json_array_foreach(json_object_get(r->plan, "effects"), i, x) {
        const json_t *to = json_object_get(x, "to");

        if (str_is(name, json_get_string(x, "effect", "")) &&
            strcmp(json_get_string(x, "target", ""), json_get_string(args, "target", "")) == 0 &&
            (!to || json_equal(to, json_object_get(args, "to"))))
            return true;
    }
    return false;
}

static void see_intent(struct reader *r, const struct row *row)
{
    struct buf to = BUF_INIT(4 * KIB);
    json_t *args = NULL;
    struct err e = {0};

    if (json_slice(row->payload, "undo_of").n || json_slice_int(row->payload, "attempt", 1) > 1 ||
        json_read(row->args, &args, &e) < 0)
        return;
    if (!is_planned(r, row->name, args)) {
        json_add_value(&to, json_object_get(args, "to"));
        say(r->out, "%.*s on %s to %.200s was not planned", (int)row->name.n, row->name.p, json_get_string(args, "target", "?"),
            buf_text(&to));
    }
    json_decref(args);
    buf_free(&to);
}

static bool see(void *ctx, const struct row *row)
{
    struct reader *r = ctx;
    struct str plan;
    struct err e = {0};

    if (row->kind == ROW_START) {
        plan = json_slice(row->payload, "plan");
        return plan.n > 0 && json_read(plan, &r->plan, &e) == 0;
    }
    if (row->kind == ROW_INTENT)
        see_intent(r, row);
    return true;
}

static bool is_an_end(const json_t *plan, const struct run_info *run)
{
    const json_t *end;
    size_t i;

    json_array_foreach(json_object_get(plan, "ends"), i, end) {
        const char *outcome = json_string_value(json_array_get(end, 0)), *reason = json_string_value(json_array_get(end, 1));

        if (outcome && reason && strcmp(outcome, run->outcome) == 0 && strcmp(reason, run->reason) == 0)
            return true;
    }
    return false;
}

int planned_read(struct journal *j, const struct run_info *run, struct planned *out, struct err *e)
{
    struct reader r = {.out = out};
    int rc;

    *out = (struct planned){.why = BUF_INIT(64 * KIB)};
    rc = j->ops->rows(j, run->id, 1, see, &r, e);
    out->there = rc == 0 && r.plan;
    if (out->there) {
        snprintf(out->id, sizeof(out->id), "%s", json_get_string(r.plan, "plan_id", ""));
        if (strcmp(json_get_string(r.plan, "bundle", ""), run->bundle) != 0)
            say(out, "its sources are not those of the plan");
        if (run->state == RUN_ENDED && !is_an_end(r.plan, run))
            say(out, "it ended as %s (%s), which none of the planned ways does", run->outcome, run->reason);
    }
    json_decref(r.plan);
    return rc;
}

void planned_deinit(struct planned *p)
{
    buf_free(&p->why);
}
