/* SPDX-License-Identifier: Apache-2.0 */
/* A person says what is true of an effect that nothing could read back. The word is
 * a row of the run, at the effect's path, so that the next resume replays it; a
 * release ends the run instead and frees what it holds; one that has ended is only freed. */
#include "run/engine.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdio.h>

struct search {
    const char *path;           /* wanted, or NULL */
    struct effect_info found;
    size_t n;
    struct buf *names;
};

static bool is_unknown(const struct effect_info *x)
{
    return x->state == EFFECT_UNKNOWN || x->state == EFFECT_INTENDED;
}

static bool look_at(void *ctx, const struct effect_info *x)
{
    struct search *s = ctx;

    if (!is_unknown(x))
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
    struct row rows[2];
    struct change changes[4];
    size_t nrows, nchanges;
    struct buf texts[2];        /* what the rows borrow */
    int64_t at;
};

static void add_row(struct word *w, const struct run_info *info, enum row_kind kind, struct str path, struct str name,
                    struct str args, struct str payload)
{
    w->rows[w->nrows] = (struct row){.seq = info->next_seq + (int64_t)w->nrows, .epoch = info->epoch, .kind = kind,
                                     .path = path, .name = name, .args = args, .payload = payload, .at = w->at};
    w->nrows++;
}

/* What the end of a released run says: how it was ending already, and what was for a while and is not put back. */
struct standing {
    struct buf *text;
    json_t *for_a_while;        /* path -> name of the effect */
    struct buf ending;
    bool unknown;
};

static bool see_row(void *ctx, const struct row *row)
{
    struct standing *s = ctx;
    char path[96];

    if (row->kind == ROW_ENDING) {
        buf_reset(&s->ending);
        json_add_text(&s->ending, json_slice(row->args, "text"));
    } else if (row->kind == ROW_INTENT && json_slice(row->args, "within").n) {
        snprintf(path, sizeof(path), "%.*s", (int)row->path.n, row->path.p);
        json_object_set_new(s->for_a_while, path, json_stringn(row->name.p, row->name.n));
    }
    return true;
}

static bool see_effect(void *ctx, const struct effect_info *x)
{
    struct standing *s = ctx;
    const char *name = json_get_string(s->for_a_while, x->path, NULL);

    s->unknown = s->unknown || is_unknown(x);
    if (name && (is_unknown(x) || effect_in_force(x->state)))
        buf_addf(s->text, "; %s on %s was for a while and could NOT be undone", name, x->target);
    return true;
}

static int release(struct word *w, struct journal *j, const struct run_info *info, const char *who, struct err *e)
{
    struct buf left = BUF_INIT(16 * KIB), text = BUF_INIT(64 * KIB);
    struct standing s = {.text = &left, .for_a_while = json_object(), .ending = BUF_INIT(32 * KIB)};
    struct json_object o;
    int rc = j->ops->rows(j, info->id, 1, see_row, &s, e);

    if (rc == 0)
        rc = j->ops->effects(j, info->id, see_effect, &s, e);
    buf_addf(&text, "%s%sreleased by %s%s%s", buf_text(&s.ending), s.ending.len ? "; " : "", who,
             s.unknown ? ": the outcome of an effect stays unknown" : "", buf_text(&left));
    json_open(&o, &w->texts[0]);
    json_put_string(&o, "reason", s.unknown ? STR("unknown_effect") : STR("error"));
    json_put_string(&o, "text", (struct str){buf_text(&text), text.len});
    json_close(&o);
    json_open(&o, &w->texts[1]);
    json_put_string(&o, "released_by", str_of(who));
    if (s.unknown)
        json_put_bool(&o, "unverified", true);
    json_close(&o);
    add_row(w, info, ROW_END, STR(""), STR("escalated"), (struct str){w->texts[0].data, w->texts[0].len},
            (struct str){w->texts[1].data, w->texts[1].len});
    w->changes[w->nchanges++] = (struct change){.kind = CHANGE_RUN_END, .outcome = STR("escalated"),
                                                .reason = s.unknown ? STR("unknown_effect") : STR("error")};
    w->changes[w->nchanges++] = (struct change){.kind = CHANGE_UNLOCK_ALL};
    if (s.unknown)
        w->changes[w->nchanges++] = (struct change){.kind = CHANGE_VERDICT, .runbook = str_of(info->runbook)};
    w->changes[w->nchanges++] = (struct change){
        .kind = CHANGE_ESCALATION, .n = 1, .text = json_slice((struct str){w->texts[0].data, w->texts[0].len}, "text")};
    json_decref(s.for_a_while);
    buf_free(&s.ending);
    buf_free(&left);
    buf_free(&text);
    return rc;
}

static bool see_last(void *ctx, const struct row *row)
{
    *(int64_t *)ctx = row->seq + 1;
    return true;
}

/* Nothing of a run comes behind its END: who freed what it kept is a row of the system's own. */
static int free_ended(struct writer *writer, const struct run_info *info, struct word *w, const char *who, struct err *e)
{
    struct change change = {.kind = CHANGE_UNLOCK_ALL};
    struct journal_item item = {.run = info->id, .epoch = info->epoch, .changes = &change, .nchanges = 1, .at = w->at};
    struct journal_item own = {.rows = w->rows, .nrows = 1, .at = w->at};
    struct run_info system = {.id = 0, .next_seq = 1};
    struct json_object o;
    struct journal *j = writer_journal(writer);
    int rc = j->ops->rows(j, 0, 1, see_last, &system.next_seq, e);

    json_open(&o, &w->texts[0]);
    json_put_string(&o, "by", str_of(who));
    json_put_int(&o, "run", info->id);
    json_close(&o);
    add_row(w, &system, ROW_SYSTEM, STR(""), STR("unlock"), STR(""), (struct str){w->texts[0].data, w->texts[0].len});
    if (rc == 0)
        rc = writer_submit(writer, &own, NULL, NULL, e);
    return rc ? rc : writer_submit(writer, &item, NULL, NULL, e);
}

/* The crash that cut an effect off is recorded before the word on it, as a resume would. */
static void settle(struct word *w, const struct run_info *info, const struct effect_info *x, const char *verdict,
                   const char *who)
{
    struct json_object o;

    if (x->state == EFFECT_INTENDED) {
        w->changes[w->nchanges++] = (struct change){.kind = CHANGE_EFFECT_STATE, .path = str_of(x->path),
                                                    .effect_state = EFFECT_UNKNOWN};
        buf_adds(&w->texts[1], "{\"lost\":true,\"why\":\"the process ended before the answer came\"}");
        add_row(w, info, ROW_UNKNOWN, str_of(x->path), str_of(x->action), STR(""),
                (struct str){w->texts[1].data, w->texts[1].len});
    }
    json_open(&o, &w->texts[0]);
    json_put_string(&o, "by", str_of(who));
    json_put_string(&o, "verdict", str_of(verdict));
    json_close(&o);
    add_row(w, info, ROW_SETTLE, str_of(x->path), str_of(x->action), STR(""),
            (struct str){w->texts[0].data, w->texts[0].len});
    if (info->state != RUN_QUARANTINED)     /* a word on its effect is none on what ended the process */
        w->changes[w->nchanges++] = (struct change){.kind = CHANGE_RUN_STATE, .run_state = RUN_LEFT};
}

static int settle_ended(struct writer *writer, const struct run_info *info, struct word *w, const char *verdict,
                        const char *who, struct err *e)
{
    if (strcmp(verdict, "release") == 0)
        return free_ended(writer, info, w, who, e);
    return err_set(e, ERR_INVALID, "run %lld has ended (%s); only its locks can be released: midwatch settle %lld release",
                   (long long)info->id, info->outcome, (long long)info->id);
}

static int settle_open(struct writer *writer, const struct run_info *info, struct word *w, const char *effect_path,
                       const char *verdict, const char *who, struct err *e)
{
    struct journal *j = writer_journal(writer);
    struct effect_info x = {0};
    struct journal_item item;
    int rc;

    if (strcmp(verdict, "release") == 0) {
        rc = release(w, j, info, who, e);
    } else {
        rc = find_unknown(j, info->id, effect_path, &x, e);
        if (rc == 0)
            settle(w, info, &x, verdict, who);
    }
    if (rc < 0)
        return rc;
    item = (struct journal_item){.run = info->id, .epoch = info->epoch, .rows = w->rows, .nrows = w->nrows,
                                 .changes = w->changes, .nchanges = w->nchanges, .at = w->at};
    return writer_submit(writer, &item, NULL, NULL, e);
}

int settle_effect(struct writer *writer, struct host *host, int64_t run, const char *effect_path, const char *verdict,
                  const char *who, struct err *e)
{
    struct run_info info = {0};
    struct word w = {.at = host->ops->wall_ms(host), .texts = {BUF_INIT(64 * KIB), BUF_INIT(4 * KIB)}};
    struct journal *j = writer_journal(writer);
    int rc = writer_flush(writer, e);

    if (rc == 0)
        rc = j->ops->get_run(j, run, &info, e);
    if (rc == 0 && strcmp(verdict, "release") != 0 && strcmp(verdict, "applied") != 0 && strcmp(verdict, "absent") != 0)
        rc = err_set(e, ERR_INVALID, "'%s' is no answer (applied, absent or release)", verdict);
    if (rc == 0)
        rc = info.state == RUN_ENDED ? settle_ended(writer, &info, &w, verdict, who, e)
                                     : settle_open(writer, &info, &w, effect_path, verdict, who, e);
    if (rc == 0)
        rc = writer_flush(writer, e);
    run_info_deinit(&info);
    buf_free(&w.texts[0]);
    buf_free(&w.texts[1]);
    return rc;
}
