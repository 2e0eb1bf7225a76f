/* SPDX-License-Identifier: Apache-2.0 */
/* The run, its rows and its effects as one canonical JSON object. */
#include "base/json.h"
#include "report/report.h"

struct list {
    struct buf *out;
    size_t n;
};

static bool add_row(void *ctx, const struct row *row)
{
    struct list *l = ctx;
    struct json_object o;

    if (l->n++)
        buf_addc(l->out, ',');
    json_open(&o, l->out);
    json_put_raw(&o, "args", row->args);
    json_put_int(&o, "at", row->at);
    json_put_string(&o, "kind", str_of(row_kind_name(row->kind)));
    json_put_string(&o, "name", row->name);
    json_put_string(&o, "path", row->path);
    json_put_raw(&o, "payload", row->payload);
    json_put_int(&o, "seq", row->seq);
    json_close(&o);
    return !l->out->failed;
}

static bool add_effect(void *ctx, const struct effect_info *x)
{
    struct list *l = ctx;
    struct json_object o;

    if (l->n++)
        buf_addc(l->out, ',');
    json_open(&o, l->out);
    json_put_string(&o, "action", str_of(x->action));
    json_put_int(&o, "intent", x->intent_seq);
    json_put_string(&o, "key", str_of(x->key));
    json_put_string(&o, "path", str_of(x->path));
    json_put_int(&o, "result", x->result_seq);
    json_put_string(&o, "state", str_of(effect_state_name(x->state)));
    json_put_string(&o, "target", str_of(x->target));
    json_close(&o);
    return !l->out->failed;
}

int report_json(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    struct list effects = {.out = out}, rows = {.out = out};
    struct run_info info = {0};
    struct json_object o;
    char chain[65];
    int rc = j->ops->get_run(j, run, &info, e);

    if (rc < 0)
        return rc;
    json_open(&o, out);
    json_put_string(&o, "chain", str_of(hash_hex(&info.chain, chain)));
    json_put_int(&o, "created_at", info.created_at);
    buf_adds(out, ",\"effects\":[");
    rc = j->ops->effects(j, run, add_effect, &effects, e);
    buf_addc(out, ']');
    o.last_key = "effects";
    json_put_int(&o, "ended_at", info.ended_at);
    json_put_int(&o, "id", info.id);
    json_put_string(&o, "outcome", str_of(info.outcome));
    json_put_raw(&o, "params", str_of(info.params));
    json_put_string(&o, "reason", str_of(info.reason));
    buf_adds(out, ",\"rows\":[");
    if (rc == 0)
        rc = j->ops->rows(j, run, 1, add_row, &rows, e);
    buf_addc(out, ']');
    o.last_key = "rows";
    json_put_string(&o, "runbook", str_of(info.runbook));
    json_put_string(&o, "state", str_of(run_state_name(info.state)));
    json_put_raw(&o, "trigger", str_of(info.trigger));
    json_put_string(&o, "uuid", str_of(info.uuid));
    json_close(&o);
    buf_addc(out, '\n');
    run_info_deinit(&info);
    return rc < 0 ? rc : out->failed ? err_set(e, ERR_LIMIT, "the report is larger than %zu bytes", out->max) : 0;
}
