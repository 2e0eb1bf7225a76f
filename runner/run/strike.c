/* SPDX-License-Identifier: Apache-2.0 */
/* A strike: the last owner of the journal died while it was at work for this run. The
 * strike is a RESUME row with the place, durable before the run is touched again. Where
 * strikes with no other row in between name one place as often as is too often, the run
 * is set aside until a person resumes it. So is a run whose rows its code contradicts:
 * nothing of it is on its way. */
#include "run/run.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdio.h>
#include <string.h>

/* Of deaths at one place. One that the process saw itself is the run's doing. Of any other it is only likely: somebody may
 * have killed the process, and the run was there by chance. */
enum { SEEN_MAX = 2, DEATHS_MAX = 5 };

struct tail {
    struct str place;           /* as JSON */
    int strikes, seen;          /* at that place, since the last row that is none */
    int64_t at;
};

static bool see_row(void *ctx, const struct row *row)
{
    struct tail *t = ctx;
    struct str place = row->kind == ROW_RESUME ? json_slice(row->payload, "strike") : STR("");

    if (place.n == 0)
        t->strikes = t->seen = 0;
    if (place.n && str_eq(place, t->place)) {
        t->strikes++;
        t->seen += str_eq(json_slice(row->payload, "seen"), STR("true"));
    }
    t->at = row->at;
    return true;
}

/* text NULL: a strike; else the run is set aside. */
static int write_row(struct engine *n, const struct run_info *info, int64_t at, const char *who, const struct inside *died,
                     const char *text, struct err *e)
{
    bool set_aside = text != NULL;
    struct buf b = BUF_INIT(4 * KIB);
    struct json_object o;
    struct change changes[3] = {
        {.kind = CHANGE_RUN_EPOCH, .n = info->epoch + 1},
        {.kind = CHANGE_RUN_STATE, .run_state = set_aside ? RUN_QUARANTINED : RUN_RUNNING},
        {.kind = CHANGE_ESCALATION, .n = 1, .text = str_of(set_aside ? text : "")},
    };
    int64_t now = n->o.host->ops->wall_ms(n->o.host);
    struct row row = {.seq = info->next_seq, .epoch = info->epoch + 1, .kind = set_aside ? ROW_QUARANTINE : ROW_RESUME,
                      .name = set_aside ? STR("set aside") : STR("resume"), .at = now > at ? now : at};
    struct journal_item item = {.run = info->id, .epoch = row.epoch, .rows = &row, .nrows = 1, .changes = changes,
                                .nchanges = set_aside ? 3 : 2, .at = row.at};
    int rc;

    json_open(&o, &b);
    json_put_string(&o, "by", str_of(who));
    if (!set_aside)
        json_put_bool(&o, "seen", died->seen);
    json_put_string(&o, set_aside ? "text" : "strike", str_of(set_aside ? text : died->place));
    json_close(&o);
    row.payload = (struct str){b.data, b.len};
    rc = writer_submit(n->o.writer, &item, NULL, NULL, e);
    buf_free(&b);
    return rc;
}

int run_strike(struct engine *n, const struct inside *died, const char *who, bool *set_aside, struct err *e)
{
    struct journal *j = writer_journal(n->o.writer);
    struct run_info info = {0};
    struct buf place = BUF_INIT(4 * KIB);
    struct tail tail = {0};
    char text[256], often[32] = "twice";
    int rc = writer_flush(n->o.writer, e);

    json_add_string(&place, died->place, strlen(died->place));
    tail.place = (struct str){place.data, place.len};
    if (rc == 0)
        rc = j->ops->get_run(j, died->run, &info, e);
    if (rc == 0)
        rc = j->ops->rows(j, died->run, 1, see_row, &tail, e);
    buf_free(&place);
    tail.strikes++;
    tail.seen += died->seen;
    *set_aside = tail.seen >= SEEN_MAX || tail.strikes >= DEATHS_MAX;
    if (tail.strikes > 2)
        snprintf(often, sizeof(often), "%d times", tail.strikes);
    snprintf(text, sizeof(text), "it ended the process %s at one place (%s) and is set aside", often, died->place);
    if (rc == 0)
        rc = write_row(n, &info, tail.at, who, died, *set_aside ? text : NULL, e);
    if (rc == 0)
        rc = writer_flush(n->o.writer, e);
    if (rc == 0 && *set_aside) {
        err_set(e, ERR_DENIED, "%s", text);
        err_hint(e, "when the cause is known, a person takes it up again: midwatch resume %lld", (long long)died->run);
    }
    run_info_deinit(&info);
    return rc;
}

int engine_strike(struct engine *n, const struct inside *died, const char *who, enum strike *out, struct err *e)
{
    struct journal *j = writer_journal(n->o.writer);
    struct run_info info = {0};
    bool over, set_aside = false;

    *out = STRIKE_NONE;
    if (died->run == 0)
        return 0;
    if (j->ops->get_run(j, died->run, &info, e) < 0)
        return e->code == ERR_NOT_FOUND ? 0 : e->code;
    over = info.state == RUN_ENDED;
    set_aside = info.state == RUN_QUARANTINED;      /* whoever took it up again did not come as far as a durable RESUME */
    run_info_deinit(&info);
    if (set_aside) {
        *out = STRIKE_SET_ASIDE;
        return err_set(e, ERR_DENIED, "it ended the process again before anything new of it was written, and stays set aside"), 0;
    }
    if (!over && run_strike(n, died, who, &set_aside, e) < 0)
        return e->code;
    *out = over ? STRIKE_NONE : set_aside ? STRIKE_SET_ASIDE : STRIKE_GIVEN;
    return 0;
}

void run_set_aside(struct run *r, const struct err *why)
{
    struct engine *n = r->engine;
    struct run_info info = {.id = r->id, .epoch = r->epoch, .next_seq = r->next_seq};
    struct err e = {0}, told = *why;
    char text[1400];

    batch_reset(&r->pending);       /* that it is running */
    snprintf(text, sizeof(text), "%s", why->msg);
    if (write_row(n, &info, r->recorded.rows[r->recorded.n - 1].at, "midwatch", NULL, text, &e) < 0 ||
        writer_flush(n->o.writer, &e) < 0) {
        engine_fatal(n, &e);
        return;
    }
    r->state = RUN_QUARANTINED;
    err_hint(&told, "it keeps what it locked; midwatch settle %lld release ends it", (long long)r->id);
    tend_refuse(n, r->id, &told);
    run_settle_phase(r);
}
