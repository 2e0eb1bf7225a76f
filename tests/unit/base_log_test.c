/* SPDX-License-Identifier: Apache-2.0 */
/* The log: one short line per event in both formats; no form of a secret gets through. */
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char written[64 * 1024];
static int ends[2];

/* What was logged since the last call, as text. */
static const char *logged(void)
{
    ssize_t n;

    assert_int_equal(write(ends[1], "", 1), 1);
    n = read(ends[0], written, sizeof(written));
    assert_true(n > 0 && written[n - 1] == '\0');
    return written;
}

static int open_pipe(void **state)
{
    (void)state;
    return pipe(ends);
}

/* Behind the time, which differs: "at=... " or {"at":"..." , */
static const char *behind_time(const char *line)
{
    const char *p = strstr(line, "Z");

    assert_non_null(p);
    return p + 1;
}

static void assert_redacted(struct str from, const char *want)
{
    struct buf b;

    buf_init(&b, from.n);
    log_redact(&b, from);
    assert_false(b.failed);
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

static void test_without_secrets_nothing_changes(void **state)
{
    (void)state;
    assert_false(log_has_secrets());
    log_secret(STR("short"));
    log_secret(STR("\n\n\n\n\n\n\n"));
    log_secret((struct str){NULL, 0});
    assert_false(log_has_secrets());
    assert_redacted(STR("a short text"), "a short text");
    assert_redacted((struct str){NULL, 0}, "");
}

static void test_events_are_logfmt(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, ends[1]);
    log_event(LOG_WARN, "journal", "opened path=%s rows=%d", "/x", 7);
    logged();
    assert_memory_equal(written, "at=20", 5);
    assert_string_equal(behind_time(written), " level=warn subsystem=journal msg=\"opened path=/x rows=7\"\n");
    log_event(LOG_ERROR, "io", "a \"b\" \\ \x1b[31m\nc\xff");
    assert_string_equal(behind_time(logged()),
                        " level=error subsystem=io msg=\"a \\\"b\\\" \\\\ \\x1b[31m\\nc\\xff\"\n");
    log_event(LOG_INFO, "io", "%s", "");
    assert_string_equal(behind_time(logged()), " level=info subsystem=io msg=\"\"\n");
}

static void test_events_are_json(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_JSON, ends[1]);
    log_event(LOG_INFO, "io", "a \"b\"\n\x1b\xff");
    logged();
    assert_memory_equal(written, "{\"at\":\"20", 9);
    assert_string_equal(behind_time(written),
                        "\",\"level\":\"info\",\"msg\":\"a \\\"b\\\"\\n\\u001b\xef\xbf\xbd\",\"subsystem\":\"io\"}\n");
}

static void test_levels_above_the_setting_are_silent(void **state)
{
    (void)state;
    log_setup(LOG_WARN, LOG_TEXT, ends[1]);
    log_event(LOG_DEBUG, "io", "x");
    log_event(LOG_INFO, "io", "x");
    assert_string_equal(logged(), "");
    log_setup(LOG_DEBUG, LOG_TEXT, ends[1]);
    log_event(LOG_DEBUG, "io", "x");
    assert_string_equal(behind_time(logged()), " level=debug subsystem=io msg=\"x\"\n");
}

static void check_line(enum log_format format, const char *text)
{
    const char *line;
    size_t n;

    log_setup(LOG_INFO, format, ends[1]);
    log_event(LOG_INFO, "io", "%s", text);
    line = logged();
    n = strlen(line);
    assert_true(n > LOG_LINE_MAX - 32 && n <= LOG_LINE_MAX);
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    assert_true(str_is_utf8(line, n));
    if (str_is_utf8(text, strlen(text)))    /* no half character at the cut */
        assert_true(!strstr(line, "\\xe2") && !strstr(line, "\\xf0") && !strstr(line, "\xef\xbf\xbd"));
    if (format == LOG_JSON) {
        struct err e = {0};
        json_t *v = NULL;
        const char *msg;

        assert_int_equal(json_read((struct str){line, n}, &v, &e), 0);
        msg = json_get_string(v, "msg", "");
        assert_string_equal(msg + strlen(msg) - 3, "...");
        assert_string_equal(json_get_string(v, "subsystem", ""), "io");
        json_decref(v);
    } else {
        assert_string_equal(line + n - 5, "...\"\n");
    }
}

static void test_no_line_is_longer_than_its_maximum(void **state)
{
    static const char *const pieces[] = {"x", "\"", "\\", "\n", "\x1b", "\xff", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                         "a\xc3\xa9\n"};
    struct buf b = BUF_INIT(100 * KIB);
    size_t i, lead;

    (void)state;
    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        for (lead = 0; lead < 4; lead++) {
            buf_reset(&b);
            buf_add(&b, "abc", lead);
            while (b.len < 90 * KIB)
                buf_adds(&b, pieces[i]);
            check_line(LOG_TEXT, buf_text(&b));
            check_line(LOG_JSON, buf_text(&b));
        }
    }
    buf_free(&b);
}

static void test_a_text_that_just_fits_is_whole(void **state)
{
    char text[LOG_LINE_MAX];
    size_t n;

    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, ends[1]);
    memset(text, 'x', sizeof(text));
    for (n = LOG_LINE_MAX - 80; n < LOG_LINE_MAX - 40; n++) {
        size_t len;

        log_event(LOG_INFO, "io", "%.*s", (int)n, text);
        len = strlen(logged());
        assert_true(len <= LOG_LINE_MAX);
        assert_int_equal(strstr(written, "...") == NULL, strchr(written, 'x') + n == strrchr(written, '"'));
        if (len < LOG_LINE_MAX)
            assert_null(strstr(written, "..."));
    }
    assert_non_null(strstr(written, "..."));
}

/* From here on the process has secrets. */
static void test_a_secret_is_struck_out_wherever_it_stands(void **state)
{
    (void)state;
    log_secret(STR("s3cr3t-token\n"));
    assert_true(log_has_secrets());
    assert_redacted(STR("s3cr3t-token"), "***");
    assert_redacted(STR("a s3cr3t-token b s3cr3t-tokens3cr3t-token"), "a *** b ***" "***");
    assert_redacted(STR("s3cr3t-toke"), "s3cr3t-toke");
    assert_redacted(STR("s3cr3t-tokenX"), "***X");
    assert_redacted(STR("s3cr3ts3cr3t-token"), "s3cr3t***");
    assert_redacted(STR("\xff" "s3cr3t-token\n"), "\xff***\n");
}

static void test_secrets_that_overlap(void **state)
{
    (void)state;
    log_secret(STR("overlapping-one"));
    log_secret(STR("one-after-the-other"));
    log_secret(STR("overlapping"));
    assert_redacted(STR("<overlapping-one-after-the-other>"), "<***>");
    assert_redacted(STR("<overlapping>"), "<***>");
    assert_redacted(STR("<overlapping-on>"), "<***-on>");
}

static void test_base64_at_every_alignment(void **state)
{
    static const char *const texts[] = {
        /* "hunter2-hunter2" alone and behind 1, 2, 3 ("u:", "me:") bytes of other text, with text behind it. */
        "aHVudGVyMi1odW50ZXIy", "eGh1bnRlcjItaHVudGVyMg==", "dTpodW50ZXIyLWh1bnRlcjI=", "bWU6aHVudGVyMi1odW50ZXIy",
        "aHVudGVyMi1odW50ZXIyeHl6", "eGh1bnRlcjItaHVudGVyMnh5eg==", "dTpodW50ZXIyLWh1bnRlcjJ4eXo=",
    };
    size_t i;

    (void)state;
    log_secret(STR("hunter2-hunter2"));
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf b = BUF_INIT(100);

        log_redact(&b, str_of(texts[i]));
        if (!strstr(buf_text(&b), "***") || b.len > 16)
            fail_msg("%s shows as %s", texts[i], buf_text(&b));
        buf_free(&b);
    }
}

static void test_other_forms_in_which_systems_echo(void **state)
{
    (void)state;
    log_secret(STR("a/b+c d&<\"\xc3\xa9>?~~"));
    assert_redacted(STR("u=a%2Fb%2Bc%20d%26%3C%22%C3%A9%3E%3F~~;"), "u=***;");
    assert_redacted(STR("u=a%2fb%2bc%20d%26%3c%22%c3%a9%3e%3f~~;"), "u=***;");
    assert_redacted(STR("u=a%2Fb%2Bc+d%26%3C%22%C3%A9%3E%3F~~;"), "u=***;");
    assert_redacted(STR("{\"p\":\"a/b+c d&<\\\"\xc3\xa9>?~~\"}"), "{\"p\":\"***\"}");
    assert_redacted(STR("{\"p\":\"a/b+c d\\u0026\\u003c\\\"\xc3\xa9\\u003e?~~\"}"), "{\"p\":\"***\"}");
    assert_redacted(STR("612f622b63206426" "3c22c3a93e3f7e7e"), "***");
    assert_redacted(STR("612F622B63206426" "3C22C3A93E3F7E7E"), "***");
    assert_redacted(STR("YS9iK2MgZCY8IsOpPj9-fg=="), "***g==");
    assert_redacted(STR("YS9iK2MgZCY8IsOpPj9+fg=="), "***g==");
}

static void test_the_lines_of_a_key(void **state)
{
    (void)state;
    log_secret(STR("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\r\nBKcwggSjAgEAAoIBAQ\nshort\n"
                   "-----END PRIVATE KEY-----\n"));
    assert_redacted(STR("<BKcwggSjAgEAAoIBAQ>"), "<***>");
    assert_redacted(STR("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n"), "***\n");
    assert_redacted(STR("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
    assert_redacted(STR("a short story"), "a short story");
}

static void test_escaped_and_cut(void **state)
{
    struct buf b = BUF_INIT(100);

    (void)state;
    log_secret(STR("/p&'q\"<r>/tail-of-it"));
    assert_redacted(STR("\\/p&'q\\\"<r>\\/tail-of-it"), "***");
    assert_redacted(STR("/p&amp;&#39;q&quot;&lt;r&gt;/tail-of-it"), "***");
    assert_redacted(STR("/p&amp;&#x27;q&quot;&lt;r&gt;/tail-of-it"), "***");
    assert_redacted(STR("a /p&'q"), "a /p&'q");
    log_redact_cut(&b, STR("a /p&'q\"<r>/tail-of-it b /p&'q"));
    assert_string_equal(buf_text(&b), "a *** b ***");
    buf_reset(&b);
    log_redact_cut(&b, STR("a /p&"));
    assert_string_equal(buf_text(&b), "a /p&");
    buf_free(&b);
}

static void test_events_are_redacted_before_they_are_cut(void **state)
{
    char text[LOG_LINE_MAX + 200];
    size_t lead;

    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, ends[1]);
    log_event(LOG_INFO, "io", "password=%s", "hunter2-hunter2");
    assert_string_equal(behind_time(logged()), " level=info subsystem=io msg=\"password=***\"\n");
    for (lead = LOG_LINE_MAX - 120; lead < LOG_LINE_MAX; lead++) {
        memset(text, 'x', sizeof(text));
        memcpy(text + lead, "hunter2-hunter2", 15);
        log_event(LOG_INFO, "io", "%.*s", (int)sizeof(text), text);
        assert_null(strstr(logged(), "xh"));
    }
}

static void *log_and_redact(void *ctx)
{
    struct buf b = BUF_INIT(1000);
    int i;

    for (i = 0; i < 500; i++) {
        char secret[32];
        int n = snprintf(secret, sizeof(secret), "%s-secret-%d", (const char *)ctx, i % 20);

        log_secret((struct str){secret, (size_t)n});
        buf_reset(&b);
        log_redact(&b, (struct str){secret, (size_t)n});
        if (strcmp(buf_text(&b), "***") != 0)
            return ctx;
    }
    buf_free(&b);
    return NULL;
}

static void test_threads(void **state)
{
    static char names[3][6] = {"alpha", "bravo", "delta"};
    pthread_t threads[3];
    void *failed;
    int i;

    (void)state;
    for (i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_and_redact, names[i]), 0);
    for (i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void test_random_texts_never_show_a_secret(void **state)
{
    static const char *const secrets[] = {"aabaab", "abaaba", "babbab", "aaaaaaa"};
    struct buf b = BUF_INIT(100);
    char text[60];
    int round;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++)
        log_secret(str_of(secrets[i]));
    srand(9);
    for (round = 0; round < 20000; round++) {
        for (i = 0; i < sizeof(text); i++)
            text[i] = rand() >> 7 & 1 ? 'a' : 'b';
        buf_reset(&b);
        log_redact(&b, (struct str){text, sizeof(text)});
        assert_false(b.failed);
        for (i = 0; i < 4; i++)
            assert_null(strstr(buf_text(&b), secrets[i]));
    }
    buf_free(&b);
}

/* Last: it fills the table for good. */
static void test_a_full_table_lets_nothing_through(void **state)
{
    char secret[32];
    int i;

    (void)state;
    assert_redacted(STR("harmless"), "harmless");
    for (i = 0; i < 20000; i++) {
        int n = snprintf(secret, sizeof(secret), "many-secrets-%d", i);

        log_secret((struct str){secret, (size_t)n});
    }
    assert_redacted(STR("harmless"), "***");
    assert_redacted(STR("many-secrets-19999"), "***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_secrets_nothing_changes),
        cmocka_unit_test(test_events_are_logfmt),
        cmocka_unit_test(test_events_are_json),
        cmocka_unit_test(test_levels_above_the_setting_are_silent),
        cmocka_unit_test(test_no_line_is_longer_than_its_maximum),
        cmocka_unit_test(test_a_text_that_just_fits_is_whole),
        cmocka_unit_test(test_a_secret_is_struck_out_wherever_it_stands),
        cmocka_unit_test(test_secrets_that_overlap),
        cmocka_unit_test(test_base64_at_every_alignment),
        cmocka_unit_test(test_other_forms_in_which_systems_echo),
        cmocka_unit_test(test_the_lines_of_a_key),
        cmocka_unit_test(test_escaped_and_cut),
        cmocka_unit_test(test_events_are_redacted_before_they_are_cut),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_random_texts_never_show_a_secret),
        cmocka_unit_test(test_a_full_table_lets_nothing_through),
    };

    return cmocka_run_group_tests(tests, open_pipe, NULL);
}
