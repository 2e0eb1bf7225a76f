/* SPDX-License-Identifier: Apache-2.0 */
/* The run, its rows and its effects as one canonical JSON object; beside the rows as they
 * are, what the model makes of them. */
#include "base/json.h"
#include "report/report.h"
#include "report/source.h"
#include "report/timeline.h"

#include "base/log.h"

struct list {
    const struct timeline *t;
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

/* The run that has put it back; 0 = none. */
static int64_t put_back_by(const struct timeline *t, const char *path)
{
    size_t i;

    for (i = 0; i < t->neffects; i++) {
        if (strcmp(t->effects[i].path, path) == 0)
            return t->effects[i].put_back_by;
    }
    return 0;
}

static bool add_effect(void *ctx, const struct effect_info *x)
{
    struct list *l = ctx;
    int64_t undo = put_back_by(l->t, x->path);
    struct json_object o;

    if (l->n++)
        buf_addc(l->out, ',');
    json_open(&o, l->out);
    json_put_string(&o, "action", str_of(x->action));
    json_put_int(&o, "intent", x->intent_seq);
    json_put_string(&o, "key", str_of(x->key));
    json_put_string(&o, "path", str_of(x->path));
    if (undo)
        json_put_int(&o, "put_back_by", undo);
    json_put_int(&o, "result", x->result_seq);
    json_put_string(&o, "state", str_of(effect_state_name(x->state)));
    json_put_string(&o, "target", str_of(x->target));
    json_close(&o);
    return !l->out->failed;
}

static void add_series(struct buf *out, const struct timeline *t)
{
    struct json_object o;
    size_t i, k;

    for (i = 0; i < t->nseries; i++) {
        buf_adds(out, i ? "," : "");
        json_open(&o, out);
        json_put_string(&o, "name", str_of(t->series[i].name));
        buf_adds(out, ",\"points\":[");
        for (k = 0; k < t->series[i].n; k++) {
            const struct point *p = &t->series[i].points[k];
            struct json_object q;

            buf_adds(out, k ? "," : "");
            json_open(&q, out);
            json_put_int(&q, "at", p->at);
            json_put_bool(&q, "known", p->known);
            json_put_string(&q, "text", str_of(p->text));
            if (p->number) {
                buf_adds(out, ",\"value\":");
                json_add_double(out, p->value);
            }
            json_close(&q);
        }
        buf_addc(out, ']');
        json_close(&o);
    }
}

static void add_follow_ups(struct buf *out, const struct timeline *t)
{
    size_t i;

    for (i = 0; i < t->nfollow_ups; i++) {
        buf_adds(out, i ? "," : "");
        json_add_string(out, t->follow_ups[i], strlen(t->follow_ups[i]));
    }
}

/* Writes key and opens its list; the list's text follows. */
static void open_list(struct json_object *o, const char *key)
{
    buf_addf(o->out, ",\"%s\":[", key);
    o->last_key = key;
}

static int write_run(struct journal *j, const struct timeline *t, struct buf *out, struct err *e)
{
    struct list effects = {.t = t, .out = out}, rows = {.out = out};
    const struct run_info *info = &t->info;
    struct buf summary = BUF_INIT(64 * 1024);
    struct json_object o;
    char chain[65];
    int rc;

    json_open(&o, out);
    if (t->plan)
        json_put_bool(&o, "as_planned", !t->differs);
    json_put_string(&o, "chain", str_of(hash_hex(&info->chain, chain)));
    json_put_int(&o, "created_at", info->created_at);
    open_list(&o, "effects");
    rc = j->ops->effects(j, info->id, add_effect, &effects, e);
    buf_addc(out, ']');
    json_put_int(&o, "ended_at", info->ended_at);
    open_list(&o, "follow_ups");
    add_follow_ups(out, t);
    buf_addc(out, ']');
    json_put_int(&o, "id", info->id);
    json_put_string(&o, "outcome", str_of(info->outcome));
    json_put_raw(&o, "params", str_of(info->params));
    json_put_string(&o, "reason", str_of(info->reason));
    open_list(&o, "rows");
    if (rc == 0)
        rc = j->ops->rows(j, info->id, 1, add_row, &rows, e);
    buf_addc(out, ']');
    json_put_string(&o, "runbook", str_of(info->runbook));
    open_list(&o, "series");
    add_series(out, t);
    buf_addc(out, ']');
    buf_adds(out, ",\"source\":");
    report_source_json(j, info->bundle, out);
    o.last_key = "source";
    json_put_string(&o, "state", str_of(run_state_name(info->state)));
    timeline_summary(t, &summary);
    json_put_string(&o, "summary", str_of(buf_text(&summary)));
    json_put_raw(&o, "trigger", str_of(info->trigger));
    json_put_string(&o, "uuid", str_of(info->uuid));
    json_close(&o);
    buf_addc(out, '\n');
    buf_free(&summary);
    return rc < 0 ? rc : out->failed ? err_set(e, ERR_LIMIT, "the report is larger than %zu bytes", out->max) : 0;
}

int report_json(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    struct buf plain;
    struct timeline *t;
    int rc = timeline_read(j, run, &t, e);

    if (rc < 0)
        return rc;
    buf_init(&plain, out->max);
    rc = write_run(j, t, &plain, e);
    log_redact(out, (struct str){buf_text(&plain), plain.len});
    buf_free(&plain);
    timeline_free(t);
    return rc;
}
