/* SPDX-License-Identifier: Apache-2.0 */
/* invariants_check over small journals: nothing is said of a run that is right, and each violation that is planted is found. */
#include "check/check.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "report_journal.h"

#define ROWS_MAX 8
#define INTENT(args, payload) {ROW_INTENT, "5", "k.scale", "{" args "\"target\":\"prod:deployment/api\"}", payload}
#define ASK {ROW_ASK, "4", "scale out", "{\"kind\":\"approval\"}", "{}"}
#define YES {ROW_ANSWER, "4", "scale out", "", "{\"answer\":\"yes\",\"by\":\"ann\"}"}
#define APPLIED {ROW_RESULT, "5", "k.scale", "", "{\"outcome\":\"applied\"}"}
#define HOLDS {ROW_VERIFY, "6", "scale out", "{\"effects\":[\"5\"],\"verdict\":\"holds\"}", ""}
#define END(outcome) {ROW_END, "", outcome, "{\"reason\":\"runbook\",\"text\":\"\"}", ""}
#define APPROVED "\"approval\":\"4\","

static const struct {
    const char *name;
    struct {
        enum row_kind kind;
        const char *path, *name, *args, *payload;
    } rows[ROWS_MAX];
    const char *found;          /* NULL: nothing is wrong */
} runs[] = {
    {"approved, applied, proven", {ASK, YES, INTENT(APPROVED, "{}"), APPLIED, HOLDS, END("resolved")}, NULL},
    {"no approval was needed", {INTENT("", "{}"), APPLIED, HOLDS, END("resolved")}, NULL},
    {"denied, and sent",
     {ASK, {ROW_ANSWER, "4", "scale out", "", "{\"answer\":\"no\",\"by\":\"ann\"}"}, INTENT(APPROVED, "{}"), APPLIED, HOLDS,
      END("resolved")},
     "an approval that nobody gave"},
    {"expired, and sent",
     {ASK, {ROW_ANSWER, "4", "scale out", "", "{\"why\":\"expired\"}"}, INTENT(APPROVED, "{}"), APPLIED, HOLDS, END("resolved")},
     "an approval that nobody gave"},
    {"approved by one of two",
     {ASK, {ROW_ANSWER, "4", "scale out", "", "{\"answer\":\"yes\",\"by\":\"ann\",\"more\":true}"}, INTENT(APPROVED, "{}"),
      APPLIED, HOLDS, END("resolved")},
     "an approval that nobody gave"},
    {"sent twice while nobody knows", {INTENT("", "{}"), {ROW_UNKNOWN, "5", "k.scale", "", "{}"}, INTENT("", "{\"attempt\":2}")},
     "sent again before it was known to be absent"},
    {"a result of nothing", {APPLIED}, "there was no intent"},
    {"proven without being applied", {HOLDS}, "it verifies what was not applied"},
    {"resolved and not proven", {INTENT("", "{}"), APPLIED, END("resolved")}, "ended resolved with 5 in force"},
    {"cancelled with a change in force", {INTENT("", "{}"), APPLIED, HOLDS, END("cancelled")}, "ended cancelled with 5 in force"},
    {"nobody knows, and it ends", {INTENT("", "{}"), {ROW_UNKNOWN, "5", "k.scale", "", "{}"}, END("escalated")},
     "nobody knows what became of 5"},
    {"something behind the end", {END("no_action"), {ROW_OBS, "7", "p.value", "{}", "{}"}}, "it is behind the end"},
    {"no end", {INTENT("", "{}"), APPLIED, HOLDS}, "ended without an END"},
};

static void every_violation_is_found(void **state)
{
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        struct journal *j = record_begin();
        struct buf why = BUF_INIT(64 * KIB);
        struct err e = {0};

        for (k = 0; k < ROWS_MAX && runs[i].rows[k].name; k++)
            record(j, runs[i].rows[k].kind, runs[i].rows[k].path, runs[i].rows[k].name, runs[i].rows[k].args,
                   runs[i].rows[k].payload);
        assert_int_equal(invariants_check(j, 1, true, &why, &e), 0);
        if (runs[i].found ? !strstr(buf_text(&why), runs[i].found) : why.len > 0)
            fail_msg("%s: %s", runs[i].name, why.len ? buf_text(&why) : "nothing was found");
        buf_free(&why);
        j->ops->free(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_violation_is_found)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
