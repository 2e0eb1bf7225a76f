/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a recorded run, in memory, as questions and answers. */
#include "gate/answer_recorded.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *record_text(const json_t *o, const char *key)
{
    return json_get_string(o, key, "");
}

/* The instance that an alias meant in this run; "" for what the program answers itself. */
static const char *instance_of(const struct record *rec, struct str alias)
{
    const json_t *use;
    size_t i;

    json_array_foreach(json_object_get(rec->start, "uses"), i, use) {
        if (str_is(alias, record_text(use, "alias")))
            return record_text(use, "instance");
    }
    return "";
}

static struct hash question_of(const struct record *rec, const struct row *row)
{
    struct str parts[] = {str_of(instance_of(rec, gate_alias(row->name))), gate_verb(row->name), json_slice(row->args, "args")};

    return hash_parts(parts, 3);
}

/* "1" of "1.p95"; nothing of "7". */
static size_t call_length(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot ? (size_t)(dot - path) : 0;
}

/* When the row was asked for: when the one before it was there, unless both are answers to one call. */
static int64_t asked_at(const struct record *rec, const struct record_row *row)
{
    const struct record_row *before = rec->n ? &rec->rows[rec->n - 1] : NULL;
    size_t n = call_length(row->path);

    if (!before)
        return row->at;
    if (n && before->kind == ROW_OBS && call_length(before->path) == n && strncmp(before->path, row->path, n) == 0)
        return before->asked_at;
    return before->at;
}

static bool is_first_intent(const struct record_row *row)
{
    return row->kind == ROW_INTENT && json_get_int(row->payload, "attempt", 1) == 1;
}

struct loading {
    struct record *rec;
    struct err *e;
    int rc;
};

static int parse(struct str text, json_t **out, struct err *e)
{
    return text.n ? json_read(text, out, e) : 0;
}

static bool load_row(void *ctx, const struct row *row)
{
    struct loading *l = ctx;
    struct record *rec = l->rec;
    struct record_row *r;

    if (rec->n == rec->cap) {
        rec->cap = rec->cap ? 2 * rec->cap : 64;
        rec->rows = xrealloc(rec->rows, rec->cap * sizeof(*rec->rows));
    }
    r = &rec->rows[rec->n];
    *r = (struct record_row){.kind = row->kind, .seq = row->seq, .at = row->at, .args_hash = row->args_hash};
    r->path = xstrndup(row->path.p, row->path.n);
    r->name = xstrndup(row->name.p, row->name.n);
    r->asked_at = asked_at(rec, r);
    if (rec->n)
        r->segment = rec->rows[rec->n - 1].segment + is_first_intent(&rec->rows[rec->n - 1]);
    l->rc = parse(row->args, &r->args, l->e);
    if (l->rc == 0)
        l->rc = parse(row->payload, &r->payload, l->e);
    r->line = (int)json_get_int(r->payload, "line", 0);
    if (row->kind == ROW_START && !rec->start)
        rec->start = json_incref(r->payload);
    if (row->kind == ROW_OBS)
        r->question = question_of(rec, row);
    rec->n++;
    return l->rc == 0 && rec->n < RUN_ROWS_MAX;
}

int record_load(struct journal *j, int64_t run, struct record **out, struct err *e)
{
    struct record *rec = xcalloc(1, sizeof(*rec));
    struct loading l = {.rec = rec, .e = e};
    int rc = j->ops->rows(j, run, 1, load_row, &l, e);

    if (rc == 0)
        rc = l.rc;
    if (rc == 0 && !rec->start)
        rc = err_set(e, ERR_CORRUPT, "run %lld: its journal does not begin with START", (long long)run);
    if (rc < 0) {
        record_free(rec);
        return rc;
    }
    *out = rec;
    return 0;
}

void record_free(struct record *rec)
{
    size_t i;

    if (!rec)
        return;
    for (i = 0; i < rec->n; i++) {
        free(rec->rows[i].path);
        free(rec->rows[i].name);
        json_decref(rec->rows[i].args);
        json_decref(rec->rows[i].payload);
    }
    json_decref(rec->start);
    free(rec->rows);
    free(rec);
}

void record_stop(struct record *rec, struct host *h, enum record_stop_kind kind, const char *fmt, ...)
{
    va_list ap;

    if (rec->stop == RECORD_GOES_ON) {
        rec->stop = kind;
        va_start(ap, fmt);
        vsnprintf(rec->why, sizeof(rec->why), fmt, ap);
        va_end(ap);
    }
    h->ops->stop(h);
}
