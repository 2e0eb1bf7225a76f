/* SPDX-License-Identifier: Apache-2.0 */
/* What a process may answer to which call, and what becomes of everything else. */
#include "base/json.h"
#include "plugin/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (!v)
        fail_msg("%s: %s", error.text, text);
    return v;
}

static char verb[] = "size";

static struct body_call call_of(struct body *b, enum body_kind kind)
{
    b->declared = parse("{\"reads\":{\"size\":{\"returns\":\"integer\"}}}");
    return (struct body_call){.body = b, .kind = kind, .verb = verb};
}

/* Kind, what is said, what it comes to (NULL: an error that holds `message`). */
static void test_answers(void **state)
{
    static const struct {
        enum body_kind kind;
        const char *said, *answer, *message;
    } cases[] = {
        {BODY_READ, "{\"id\":3,\"value\":5}", "{\"value\":5}", NULL},
        {BODY_READ, "{\"id\":3,\"value\":5,\"at\":1.5,\"unit\":\"s\",\"source\":\"x\"}",
         "{\"at\":1500,\"source\":\"x\",\"unit\":\"s\",\"value\":5}", NULL},
        {BODY_READ, "{\"id\":3,\"value\":null}", "{\"unknown\":\"no_data\",\"why\":\"no answer\"}", NULL},
        {BODY_READ, "{\"id\":3}", NULL, "an answer without a value"},
        {BODY_READ, "{\"id\":3,\"value\":\"5\"}", NULL, "value must be integer"},
        {BODY_READ, "{\"id\":3,\"value\":5,\"at\":\"now\"}", NULL, "at must be Unix seconds"},
        {BODY_READ, "{\"id\":3,\"value\":5,\"verdict\":\"applied\"}", NULL, "'verdict' is in no answer to read"},
        {BODY_READ, "{\"id\":3,\"unknown\":\"stale\",\"why\":\"old\"}", "{\"unknown\":\"stale\",\"why\":\"old\"}", NULL},
        {BODY_READ, "{\"id\":3,\"unknown\":\"maybe\"}", NULL, "unknown must be no_data"},
        {BODY_READ, "{\"id\":3,\"unknown\":7}", NULL, "unknown must be no_data"},
        {BODY_READ, "{\"id\":3,\"error\":\"x\",\"value\":5}", "{\"unknown\":\"error\",\"why\":\"x\"}", NULL},
        {BODY_READ, "{\"id\":3,\"error\":{}}", "{\"unknown\":\"error\",\"why\":\"no reason given\"}", NULL},
        {BODY_READ, "{\"id\":3,\"error\":\"x\",\"why\":7}", NULL, "why must be a text"},
        {BODY_STATE, "{\"id\":3,\"value\":{\"a\":1}}", "{\"value\":{\"a\":1}}", NULL},
        {BODY_STATE, "{\"id\":3,\"value\":{}}", NULL, "a state must be an object"},
        {BODY_STATE, "{\"id\":3,\"value\":[1]}", NULL, "a state must be an object"},
        {BODY_STATE, "{\"id\":3,\"refused\":\"never\"}", "{\"refused\":\"error\",\"why\":\"never\"}", NULL},
        {BODY_STATE, "{\"id\":3,\"refused\":true}", NULL, "a state must be an object"},
        {BODY_CHECK, "{\"id\":3,\"verdict\":\"moved\"}", "{\"verdict\":\"moved\"}", NULL},
        {BODY_CHECK, "{\"id\":3,\"verdict\":\"done\"}", NULL, "verdict must be applied, absent or moved"},
        {BODY_CHECK, "{\"id\":3,\"verdict\":true}", NULL, "verdict must be"},
        {BODY_CHECK, "{\"id\":3,\"value\":\"applied\"}", NULL, "'value' is in no answer to check"},
        {BODY_APPLY, "{\"id\":3,\"outcome\":\"sent\"}", "{\"outcome\":\"sent\",\"why\":\"no reason given\"}", NULL},
        {BODY_APPLY, "{\"id\":3,\"outcome\":\"refused\",\"why\":\"no\"}", "{\"outcome\":\"refused\",\"why\":\"no\"}", NULL},
        {BODY_APPLY, "{\"id\":3,\"outcome\":\"applied\"}", NULL, "outcome must be sent, refused, moved or unknown"},
        {BODY_APPLY, "{\"id\":3,\"value\":true}", NULL, "'value' is in no answer to apply"},
        {BODY_APPLY, "{\"id\":3,\"error\":\"x\"}", "{\"outcome\":\"unknown\",\"why\":\"x\"}", NULL},
        {BODY_APPLY, "{\"id\":3,\"error\":\"x\",\"outcome\":\"refused\"}", "{\"outcome\":\"unknown\",\"why\":\"x\"}", NULL},
        {BODY_PROBE, "{\"id\":3,\"value\":\"here\"}", "{\"value\":\"here\"}", NULL},
        {BODY_PROBE, "{\"id\":3,\"value\":true}", NULL, "a probe answers a text"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct body b = {0};
        struct body_call c = call_of(&b, cases[i].kind);
        struct buf out = BUF_INIT(1 << 16);
        json_t *said = parse(cases[i].said);
        struct err e = {0};
        int rc = process_answer(&c, said, &out, &e);

        if (cases[i].answer) {
            if (rc != 0)
                fail_msg("%s: %s", cases[i].said, e.msg);
            assert_string_equal(buf_text(&out), cases[i].answer);
        } else if (rc != ERR_INVALID || !strstr(e.msg, cases[i].message)) {
            fail_msg("%s: %d, '%s' instead of '%s'", cases[i].said, rc, e.msg, cases[i].message);
        }
        json_decref(said);
        json_decref(b.declared);
        buf_free(&out);
    }
}

/* Keys and values at random: never a crash, and an apply is never called sent unless that was said. */
static void test_random(void **state)
{
    static const char *const keys[] = {"id", "value", "at", "source", "unit", "unknown", "why", "error", "refused", "verdict",
                                       "outcome", "result", "x", ""};
    static const char *const values[] = {"null", "true", "7", "-0.5", "\"sent\"", "\"applied\"", "\"no_data\"", "\"\\u0000\"",
                                         "[]", "{}", "{\"a\":1}", "\"\"", "1e300", "[[[]]]"};
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct body b = {0};
        struct body_call c = call_of(&b, (enum body_kind)(round % 5));
        struct buf out = BUF_INIT(1 << 16);
        json_t *said = json_object();
        struct err e = {0};

        for (int n = 0; n < 3; n++) {
            seed = seed * 1103515245u + 12345u;
            json_object_set_new(said, keys[(seed >> 16) % 14], parse(values[(seed >> 8) % 14]));
        }
        if (process_answer(&c, said, &out, &e) == 0) {
            json_t *a = parse(buf_text(&out));

            assert_true(json_is_object(a));
            if (strcmp(json_get_string(a, "outcome", ""), "sent") == 0)
                assert_string_equal(json_get_string(said, "outcome", ""), "sent");
            json_decref(a);
        } else {
            assert_true(e.msg[0] != '\0');
        }
        json_decref(said);
        json_decref(b.declared);
        buf_free(&out);
    }
}

static void test_request(void **state)
{
    struct body b = {0};
    struct body_call c = call_of(&b, BODY_APPLY);
    struct body_request q = {.args = STR("{\"a\":1}"), .extra = STR("{\"from\":{\"x\":1},\"key\":\"k\",\"to\":{\"x\":2}}")};
    struct buf out = BUF_INIT(1 << 12);
    struct err e = {0};

    (void)state;
    assert_int_equal(process_request(&c, &q, 9, &out, &e), 0);
    assert_string_equal(buf_text(&out), "{\"args\":{\"a\":1},\"call\":\"apply\",\"from\":{\"x\":1},\"id\":9,\"key\":\"k\","
                                        "\"to\":{\"x\":2},\"verb\":\"size\"}\n");
    buf_free(&out);
    buf_init(&out, 20);
    assert_int_equal(process_request(&c, &q, 9, &out, &e), ERR_LIMIT);
    buf_free(&out);
    json_decref(b.declared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_request)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
