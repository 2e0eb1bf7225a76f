/* SPDX-License-Identifier: Apache-2.0 */
/* A person's answer to a question of a run that nobody executes now: an ANSWER row at
 * the question's path, which the next resume replays. The same rules hold as when
 * the run is there (run/ask.c). */
#include "run/ask.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

/* The open questions of a run, from its rows. */
struct open_question {
    char path[96];
    json_t *args;
    char *voters[VOTES_MAX];
    size_t votes;
    int64_t deadline;
    char name[256];
    struct open_question *next;
};

struct search {
    struct open_question *open;
    char requester[300];
};

static void question_free(struct open_question *q)
{
    size_t i;

    for (i = 0; i < q->votes; i++)
        free(q->voters[i]);
    json_decref(q->args);
    free(q);
}

static void opened(struct search *s, const struct row *row)
{
    struct open_question *q = xcalloc(1, sizeof(*q));

    snprintf(q->path, sizeof(q->path), "%.*s", (int)row->path.n, row->path.p);
    snprintf(q->name, sizeof(q->name), "%.*s", (int)row->name.n, row->name.p);
    if (json_read(row->args, &q->args, NULL) == 0)
        ask_operator_rules(q->args, row->payload);
    q->deadline = row->at + (int64_t)(json_number_value(json_object_get(q->args, "within")) * 1000);
    q->next = s->open;
    s->open = q;
}

static void answered(struct search *s, const struct row *row)
{
    struct open_question **at = &s->open, *q;
    json_t *payload = NULL;

    while (*at && !str_is(row->path, (*at)->path))
        at = &(*at)->next;
    q = *at;
    if (!q || json_read(row->payload, &payload, NULL) < 0)
        return;
    if (json_get_bool(payload, "more", false) && q->votes < VOTES_MAX) {
        q->voters[q->votes++] = xstrdup(json_get_string(payload, "by", ""));
    } else {
        *at = q->next;
        question_free(q);
    }
    json_decref(payload);
}

static bool look_at(void *ctx, const struct row *row)
{
    struct search *s = ctx;
    json_t *start = NULL;

    if (row->kind == ROW_ASK)
        opened(s, row);
    else if (row->kind == ROW_ANSWER)
        answered(s, row);
    else if (row->kind == ROW_START && json_read(row->payload, &start, NULL) == 0)
        snprintf(s->requester, sizeof(s->requester), "%s", json_get_string(start, "requester", ""));
    json_decref(start);
    return true;
}

static const struct open_question *choose(const struct search *s, int64_t run, const char *path, struct err *e)
{
    const struct open_question *q, *found = NULL;

    for (q = s->open; q; q = q->next) {
        if (path && strcmp(path, q->path) != 0)
            continue;
        if (found) {
            err_set(e, ERR_INVALID, "run %lld asks several things at once; say which: %s or %s", (long long)run,
                    found->path, q->path);
            return NULL;
        }
        found = q;
    }
    if (!found)
        err_set(e, ERR_NOT_FOUND, "run %lld asks nothing now", (long long)run);
    return found;
}

static int write_answer(struct writer *w, struct host *host, const struct run_info *info, const struct search *s,
                        const struct open_question *q, const struct reply *word, bool more, struct err *e)
{
    struct buf payload = BUF_INIT(16 * KIB);
    struct change changes[2] = {{.kind = CHANGE_RUN_STATE, .run_state = RUN_LEFT},
                                {.kind = CHANGE_APPROVED, .path = str_of(q->path), .n = ask_good_for(q->args, word->answer)}};
    struct row row = {.seq = info->next_seq, .epoch = info->epoch, .kind = ROW_ANSWER, .path = str_of(q->path),
                      .name = str_of(q->name), .at = host->ops->wall_ms(host)};
    struct journal_item item = {.run = info->id, .epoch = info->epoch, .rows = &row, .nrows = 1, .changes = changes,
                                .nchanges = more ? 0 : changes[1].n ? 2 : 1, .at = row.at};
    int rc;

    ask_answer_payload(q->args, s->requester, word, more, &payload);
    row.payload = (struct str){payload.data, payload.len};
    rc = writer_submit(w, &item, NULL, NULL, e);
    if (rc == 0)
        rc = writer_flush(w, e);
    buf_free(&payload);
    return rc;
}

int answer_question(struct writer *w, struct host *host, int64_t run, const char *path, const struct reply *word,
                    bool *more, struct err *e)
{
    struct journal *j = writer_journal(w);
    struct run_info info = {0};
    struct search s = {0};
    const struct open_question *q = NULL;
    const char *wrong;
    int rc = writer_flush(w, e);

    if (rc == 0)
        rc = j->ops->get_run(j, run, &info, e);

    if (rc == 0 && info.state == RUN_ENDED)
        rc = err_set(e, ERR_INVALID, "run %lld has ended (%s); see midwatch show %lld", (long long)run, info.outcome,
                     (long long)run);
    if (rc == 0 && info.state == RUN_QUARANTINED) {
        rc = err_set(e, ERR_DENIED, "run %lld is set aside, and an answer would let it go on", (long long)run);
        err_hint(e, "when the cause is known: midwatch resume %lld, and answer then", (long long)run);
    }
    if (rc == 0)
        rc = j->ops->rows(j, run, 1, look_at, &s, e);
    if (rc == 0)
        rc = (q = choose(&s, run, path, e)) ? 0 : e->code;
    if (rc == 0 && q->deadline < host->ops->wall_ms(host))
        rc = err_set(e, ERR_INVALID, "the time for an answer is over; midwatch resume %lld goes on without", (long long)run);
    if (rc == 0 && (wrong = ask_refuses(q->args, s.requester, q->voters, q->votes, word)))
        rc = answer_refused(q->args, run, path, word, wrong, e);
    if (rc == 0) {
        *more = strcmp(word->answer, "yes") == 0 && q->votes + 1 < ask_votes_needed(q->args);
        rc = write_answer(w, host, &info, &s, q, word, *more, e);
    }
    while (s.open) {
        struct open_question *next = s.open->next;

        question_free(s.open);
        s.open = next;
    }
    run_info_deinit(&info);
    return rc;
}
