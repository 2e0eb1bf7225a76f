/* SPDX-License-Identifier: Apache-2.0 */
/* What a state read back says about an effect, and what an ending means as an exit code. */
#include "run/engine.h"
#include "run/run.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Applied: every wanted field has its value. Absent: every field has the value that it had before. Else somebody
 * else was there. Fields that nobody asked for say nothing; missing ones are never equal. */
static void test_verdicts(void **state)
{
    static const struct {
        const char *state, *from, *to, *verdict;
    } cases[] = {
        {"{\"n\":5}", "{\"n\":3}", "{\"n\":5}", "applied"},
        {"{\"n\":3}", "{\"n\":3}", "{\"n\":5}", "absent"},
        {"{\"n\":4}", "{\"n\":3}", "{\"n\":5}", "moved"},
        {"{\"n\":5,\"x\":1}", "{\"n\":3}", "{\"n\":5}", "applied"},
        {"{\"n\":3,\"x\":1}", "{\"n\":3,\"x\":2}", "{\"n\":5}", "moved"},
        {"{\"a\":1,\"b\":2}", "{\"a\":0,\"b\":0}", "{\"a\":1,\"b\":2}", "applied"},
        {"{\"a\":1,\"b\":0}", "{\"a\":0,\"b\":0}", "{\"a\":1,\"b\":2}", "moved"},
        {"{\"a\":0,\"b\":0}", "{\"a\":0,\"b\":0}", "{\"a\":1,\"b\":2}", "absent"},
        {"{}", "{\"n\":3}", "{\"n\":5}", "moved"},
        {"{\"n\":null}", "{\"n\":3}", "{\"n\":5}", "moved"},
        {"{\"n\":5.0}", "{\"n\":3}", "{\"n\":5}", "moved"},
        {"{\"n\":\"5\"}", "{\"n\":3}", "{\"n\":5}", "moved"},
        {"{\"l\":[1,2]}", "{\"l\":[]}", "{\"l\":[1,2]}", "applied"},
        {"{\"l\":[2,1]}", "{\"l\":[]}", "{\"l\":[1,2]}", "moved"},
        {"{\"o\":{\"x\":1}}", "{}", "{\"o\":{\"x\":1}}", "applied"},
        {"{\"n\":5}", "{\"n\":5}", "{\"n\":5}", "applied"},
        /* What nothing is known about is never applied and never absent. */
        {"{\"n\":5}", "{}", "{}", "moved"},
        {"{}", "{}", "{}", "moved"},
        {"{\"n\":3}", "{}", "{\"n\":5}", "moved"},
        {"{\"n\":3}", "null", "{\"n\":5}", "moved"},
        {"{\"n\":5}", "null", "{\"n\":5}", "applied"},
        {"{\"n\":3}", "{\"n\":3}", "{}", "absent"},
        {"null", "{\"n\":3}", "{\"n\":5}", "moved"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *s = json_loads(cases[i].state, JSON_DECODE_ANY, NULL), *from = json_loads(cases[i].from, JSON_DECODE_ANY, NULL);
        json_t *to = json_loads(cases[i].to, JSON_DECODE_ANY, NULL);
        const char *got = state_verdict(s, json_is_null(from) ? NULL : from, to);

        if (strcmp(got, cases[i].verdict) != 0)
            fail_msg("%s from %s to %s: %s instead of %s", cases[i].state, cases[i].from, cases[i].to, got, cases[i].verdict);
        json_decref(s);
        json_decref(from);
        json_decref(to);
    }
    assert_string_equal(state_verdict(NULL, NULL, NULL), "moved");
}

static void test_exit_codes(void **state)
{
    static const struct {
        enum run_state state;
        const char *outcome, *reason;
        size_t unknown;
        int code;
    } cases[] = {
        {RUN_ENDED, "resolved", "verified", 0, 0},        {RUN_ENDED, "no_action", "runbook", 0, 0},
        {RUN_ENDED, "no_action", "refused", 0, 2},        {RUN_ENDED, "escalated", "error", 0, 3},
        {RUN_ENDED, "escalated", "unverified", 0, 3},     {RUN_ENDED, "escalated", "no_data", 0, 3},
        {RUN_ENDED, "escalated", "fell_off_end", 0, 3},   {RUN_ENDED, "escalated", "not_allowed", 0, 4},
        {RUN_ENDED, "escalated", "halted", 0, 4},         {RUN_ENDED, "escalated", "target_busy", 0, 4},
        {RUN_ENDED, "escalated", "cooling_down", 0, 4},   {RUN_ENDED, "escalated", "over_budget", 0, 4},
        {RUN_ENDED, "cancelled", "cancelled_by", 0, 7},   {RUN_RUNNING, "", "", 0, 5},
        {RUN_LEFT, "", "", 0, 5},                         {RUN_WAITING_TIME, "", "", 0, 5},
        {RUN_WAITING_PERSON, "", "", 0, 5},               {RUN_WAITING_PERSON, "", "", 1, 6},
        {RUN_ENDED, "resolved", "verified", 1, 6},        {RUN_ENDED, "escalated", "unknown_effect", 2, 6},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int code = outcome_exit_code(cases[i].state, cases[i].outcome, cases[i].reason, cases[i].unknown);

        if (code != cases[i].code)
            fail_msg("%s, %s (%s), %zu unknown: %d instead of %d", run_state_name(cases[i].state), cases[i].outcome,
                     cases[i].reason, cases[i].unknown, code, cases[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_exit_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
