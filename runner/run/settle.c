/* SPDX-License-Identifier: Apache-2.0 */
/* A person says what is true of an effect that nothing could read back. The word is
 * a row of the run, at the effect's path, so that the next resume replays it; a
 * release ends the run instead and frees what it holds. */
#include "run/engine.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>

struct search {
    const char *path;           /* wanted, or NULL */
    struct effect_info found;
    size_t n;
    struct buf *names;
};

static bool look_at(void *ctx, const struct effect_info *x)
{
    struct search *s = ctx;

    if (x->state != EFFECT_UNKNOWN && x->state != EFFECT_INTENDED)
        return true;
    buf_addf(s->names, "%s%s", s->names->len ? ", " : "", x->path);
    if (s->path && strcmp(s->path, x->path) != 0)
        return true;
    s->found = *x;
    s->n++;
    return true;
}

static int find_unknown(struct journal *j, int64_t run, const char *path, struct effect_info *out, struct err *e)
{
    struct buf names = BUF_INIT(4096);
    struct search s = {.path = path, .names = &names};
    int rc = j->ops->effects(j, run, look_at, &s, e);

    if (rc == 0 && s.n == 1)
        *out = s.found;
    else if (rc == 0 && names.len == 0)
        rc = err_set(e, ERR_NOT_FOUND, "run %lld has no effect whose outcome is unknown", (long long)run);
    else if (rc == 0 && s.n == 0)
        rc = err_set(e, ERR_NOT_FOUND, "run %lld has no unknown effect '%s' (unknown: %s)", (long long)run, path,
                     buf_text(&names));
    else if (rc == 0)
        rc = err_set(e, ERR_INVALID, "run %lld has several unknown effects: say which (%s)", (long long)run,
                     buf_text(&names));
    buf_free(&names);
    return rc;
}

struct word {
    struct row rows[3];
    struct change changes[4];
    size_t nrows, nchanges;
    struct buf by, settle, end;
    int64_t at;
};

static void add_row(struct word *w, const struct run_info *info, enum row_kind kind, struct str path, struct str name,
                    struct str args, struct str payload)
{
    w->rows[w->nrows] = (struct row){.seq = info->next_seq + (int64_t)w->nrows, .epoch = info->epoch, .kind = kind,
                                     .path = path, .name = name, .args = args, .payload = payload, .at = w->at};
    w->nrows++;
}

static void release(struct word *w, const struct run_info *info, const char *who)
{
    buf_addf(&w->end, "{\"reason\":\"unknown_effect\",\"text\":");
    buf_addf(&w->by, "released by %s: the outcome of an effect stays unknown", who);
    json_add_string(&w->end, w->by.data, w->by.len);
    buf_addc(&w->end, '}');
    add_row(w, info, ROW_END, STR(""), STR("escalated"), (struct str){w->end.data, w->end.len}, STR(""));
    w->changes[w->nchanges++] = (struct change){.kind = CHANGE_RUN_END, .outcome = STR("escalated"),
                                                .reason = STR("unknown_effect")};
    w->changes[w->nchanges++] = (struct change){.kind = CHANGE_UNLOCK_ALL};
}

static void settle(struct word *w, const struct run_info *info, const struct effect_info *x, const char *verdict,
                   const char *who)
{
    struct json_object o;

    json_open(&o, &w->settle);
    json_put_string(&o, "by", str_of(who));
    json_put_string(&o, "verdict", str_of(verdict));
    json_close(&o);
    add_row(w, info, ROW_SETTLE, str_of(x->path), str_of(x->action), STR(""), (struct str){w->settle.data, w->settle.len});
    w->changes[w->nchanges++] = (struct change){.kind = CHANGE_RUN_STATE, .run_state = RUN_LEFT};
}

int settle_effect(struct writer *writer, struct host *host, int64_t run, const char *effect_path, const char *verdict,
                  const char *who, struct err *e)
{
    struct journal *j = writer_journal(writer);
    struct run_info info = {0};
    struct effect_info x = {0};
    struct word w = {.at = host->ops->wall_ms(host)};
    struct journal_item item;
    bool releases = strcmp(verdict, "release") == 0;
    int rc;

    buf_init(&w.by, KIB);
    buf_init(&w.settle, 4 * KIB);
    buf_init(&w.end, 4 * KIB);
    rc = j->ops->get_run(j, run, &info, e);
    if (rc == 0 && !releases && strcmp(verdict, "applied") != 0 && strcmp(verdict, "absent") != 0)
        rc = err_set(e, ERR_INVALID, "'%s' is no answer (applied, absent or release)", verdict);
    if (rc == 0 && !releases)
        rc = find_unknown(j, run, effect_path, &x, e);
    if (rc == 0 && releases)
        release(&w, &info, who);
    else if (rc == 0)
        settle(&w, &info, &x, verdict, who);
    if (rc == 0) {
        item = (struct journal_item){.run = run, .epoch = info.epoch, .rows = w.rows, .nrows = w.nrows,
                                     .changes = w.changes, .nchanges = w.nchanges, .at = w.at};
        rc = writer_submit(writer, &item, NULL, NULL, e);
    }
    if (rc == 0)
        rc = writer_flush(writer, e);
    run_info_deinit(&info);
    buf_free(&w.by);
    buf_free(&w.settle);
    buf_free(&w.end);
    return rc;
}
