/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded run in a memory journal, built row by row. */
#ifndef MIDWATCH_REPORT_JOURNAL_H
#define MIDWATCH_REPORT_JOURNAL_H

#include "journal/journal.h"

#include <stdlib.h>

#define AT 1700000000000

static int64_t recorded_seq;

static inline void record(struct journal *j, enum row_kind kind, const char *path, const char *name, const char *args,
                          const char *payload)
{
    struct row row = {.seq = ++recorded_seq, .epoch = 1, .kind = kind, .path = str_of(path), .name = str_of(name),
                      .args = str_of(args), .payload = str_of(payload), .at = AT + recorded_seq * 100};
    struct change changes[] = {
        {.kind = kind == ROW_START ? CHANGE_RUN_NEW : CHANGE_EFFECT_NEW, .uuid = STR("u"), .runbook = STR("hostile"),
         .command = STR("run"), .bundle = STR("b"), .params = STR("{}"), .trigger = STR("{}"), .path = row.path,
         .action = STR("scale"), .target = STR("prod:deployment/api"), .key = STR("k"), .seq = row.seq},
    };
    struct journal_item item = {.run = 1, .epoch = 1, .rows = &row, .nrows = 1, .changes = changes,
                                .nchanges = kind == ROW_START || kind == ROW_INTENT, .at = row.at};
    struct err e = {0};

    if (j->ops->commit(j, &item, 1, &e) < 0 || item.result != ITEM_COMMITTED)
        abort();
}

static inline void record_state(struct journal *j, const char *path, enum effect_state state)
{
    struct change change = {.kind = CHANGE_EFFECT_STATE, .path = str_of(path), .effect_state = state};
    struct journal_item item = {.run = 1, .epoch = 1, .changes = &change, .nchanges = 1, .at = AT};
    struct err e = {0};

    if (j->ops->commit(j, &item, 1, &e) < 0 || item.result != ITEM_COMMITTED)
        abort();
}

static inline struct journal *record_begin(void)
{
    struct journal *j;
    struct err e = {0};

    if (journal_memory_open(NULL, &j, &e) < 0)
        abort();
    recorded_seq = 0;
    record(j, ROW_START, "", "hostile", "", "{\"params\":{\"service\":\"api\"},\"requester\":\"ann@host\"}");
    return j;
}

/* An observation p95, a change 3 -> 6 that is proved, and an ending. */
static inline struct journal *record_repair(size_t looks)
{
    struct journal *j = record_begin();
    char o[80];
    size_t i;

    record(j, ROW_OBS, "1.p95", "prometheus.value", "{\"unit\":\"s\"}", "{\"line\":9,\"o\":{\"value\":3.5}}");
    record(j, ROW_VERDICT, "2", "too small", "{\"evidence\":[{\"name\":\"p95\",\"row\":2}],\"impact\":\"high\","
           "\"likelihood\":\"low\",\"verdict\":\"supported\"}", "{\"line\":10}");
    record(j, ROW_CAUSE, "3", "too small", "{}", "{\"line\":11}");
    record(j, ROW_INTENT, "4", "kubernetes.scale", "{\"from\":{\"generation\":7,\"replicas\":3},\"target\":\"prod:deployment/api\","
           "\"to\":{\"replicas\":6}}", "{\"attempt\":1,\"line\":12}");
    record(j, ROW_RESULT, "4", "kubernetes.scale", "", "{\"how\":\"answered\",\"line\":12,\"outcome\":\"applied\"}");
    record(j, ROW_WAIT, "5", "verify: scale", "{\"every\":1,\"within\":600}", "{\"line\":12}");
    for (i = 0; i < looks; i++) {
        snprintf(o, sizeof(o), "{\"line\":13,\"o\":{\"value\":%.3f}}", 3.5 / (double)(i + 2));
        record(j, ROW_TIMER, "6", "timer", "{\"ms\":100}", "{\"line\":12}");
        record(j, ROW_OBS, "7.p95", "prometheus.value", "{\"unit\":\"s\"}", o);
    }
    record(j, ROW_VERIFY, "8", "scale", "{\"effects\":[\"4\"],\"verdict\":\"holds\"}", "{\"line\":12}");
    record_state(j, "4", EFFECT_VERIFIED);
    record(j, ROW_NOTE, "9", "measure", "{\"text\":\"queue\",\"value\":17}", "{\"line\":14}");
    record(j, ROW_NOTE, "10", "follow_up", "{\"text\":\"add an alert\"}", "{\"line\":15}");
    record(j, ROW_END, "11", "resolved", "{\"reason\":\"verified\",\"text\":\"fast again\"}", "{\"line\":16}");
    return j;
}

#endif
