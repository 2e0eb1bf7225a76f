/* SPDX-License-Identifier: Apache-2.0 */
/* Every renderer over small recorded runs: what must be there, and what must never get through. */
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "report/report.h"
#include "report/sentence.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "report_journal.h"

static report_fn *const forms[] = {report_text, report_markdown, report_html, report_json, report_evidence, report_brief};
#define NFORMS (sizeof(forms) / sizeof(forms[0]))

static char *render(struct journal *j, report_fn *form)
{
    struct buf out = BUF_INIT(64 * MIB);
    struct err e = {0};

    assert_int_equal(form(j, 1, &out, &e), 0);
    assert_false(out.failed);
    return buf_take(&out, NULL);
}

static void has(report_fn *form, struct journal *j, const char *text)
{
    char *out = render(j, form);

    if (!strstr(out, text))
        fail_msg("no '%s' in:\n%s", text, out);
    free(out);
}

static void repair(void **state)
{
    struct journal *j = record_repair(3);
    size_t i;

    (void)state;
    has(report_html, j, "<del>replicas 3</del> &rarr; <ins>replicas 6</ins>");
    has(report_html, j, "holds: p95 = 875 ms");
    has(report_html, j, "3.5 s &rarr; <ins>875 ms</ins>");
    has(report_html, j, "<b>queue</b>");
    has(report_html, j, "Cause: too small. 1 change is in place and verified.");
    has(report_html, j, "<li>add an alert</li>");
    has(report_markdown, j, "replicas 3 -> replicas 6; verified");
    has(report_evidence, j, "- p95: 3.5 s -> 875 ms");
    has(report_brief, j, "changed: kubernetes.scale prod:deployment/api: replicas 3 -> replicas 6");
    has(report_text, j, "#:._");
    has(report_json, j, "\"name\":\"queue\",\"points\":[{");
    for (i = 0; i < NFORMS; i++)
        has(forms[i], j, i == 5 ? "midwatch show 1" : i == 4 ? "midwatch list" : "fast again");
    j->ops->free(j);
}

static void no_such_run(void **state)
{
    struct journal *j = record_repair(0);
    struct buf out = BUF_INIT(MIB);
    size_t i;

    (void)state;
    for (i = 0; i < NFORMS; i++) {
        struct err e = {0};

        assert_int_equal(forms[i](j, 99, &out, &e), ERR_NOT_FOUND);
    }
    buf_free(&out);
    j->ops->free(j);
}

static void only_unknown_effects_are_settled(void **state)
{
    struct journal *j = record_begin();

    (void)state;
    record(j, ROW_INTENT, "4", "sh.touch", "{\"target\":\"x\",\"to\":{}}", "{\"line\":3}");
    record(j, ROW_UNKNOWN, "4", "sh.touch", "", "{\"why\":\"cut\"}");
    record_state(j, "4", EFFECT_UNKNOWN);
    has(report_brief, j, "midwatch settle 1 4 applied");
    has(report_evidence, j, "### What is unknown");
    has(report_html, j, "<h2>Unknown</h2>");
    j->ops->free(j);
}

/* Each attack comes as value, name of a hypothesis, reason of an end and requester. */
static const char *const attacks[] = {"<script>alert(1)</script>", "]]></svg><img src=x onerror=alert(1)>", "\" onload=\"x",
                                      "\x1b[2J\x07", "a\xe2\x80\xae" "b", "\xff\xfe bad", "' style='x"};

static void hostile(void **state)
{
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        struct journal *j = record_begin();
        struct buf args = BUF_INIT(MIB);

        buf_adds(&args, "{\"o\":{\"value\":");
        json_add_string(&args, attacks[i], strlen(attacks[i]));
        buf_adds(&args, "}}");
        record(j, ROW_OBS, "1.x", "n", "{}", buf_text(&args));
        record(j, ROW_OBS, attacks[i], "n", "{}", buf_text(&args));
        record(j, ROW_VERDICT, "2", attacks[i], "{}", "{}");
        buf_reset(&args);
        buf_adds(&args, "{\"reason\":\"x\",\"text\":");
        json_add_string(&args, attacks[i], strlen(attacks[i]));
        buf_adds(&args, "}");
        record(j, ROW_END, "3", "escalated", buf_text(&args), "{}");
        for (k = 0; k < NFORMS; k++) {
            char *out = render(j, forms[k]);

            assert_null(strchr(out, '\x1b'));
            assert_true(forms[k] == report_json || !strstr(out, "\xe2\x80\xae"));
            assert_true(str_is_utf8(out, strlen(out)));
            assert_true(forms[k] != report_html || (!strstr(out, "<script") && !strstr(out, "<img") &&
                                                     !strstr(out, "\" onload=")));
            assert_true(forms[k] != report_markdown || !strstr(out, "<script") || strstr(out, "\\<script"));
            free(out);
        }
        buf_free(&args);
        j->ops->free(j);
    }
}

static void huge_text(void **state)
{
    struct journal *j = record_begin();
    struct buf args = BUF_INIT(4 * MIB);
    size_t i;
    char *out;

    (void)state;
    buf_adds(&args, "{\"text\":\"");
    for (i = 0; i < MIB; i++)
        buf_addc(&args, i % 2 ? '<' : 'x');
    buf_adds(&args, "\"}");
    record(j, ROW_NOTE, "1", "note", buf_text(&args), "{}");
    out = render(j, report_html);
    assert_non_null(strstr(out, "(1048576 bytes)"));
    assert_true(strlen(out) < 64 * KIB);
    free(out);
    buf_free(&args);
    j->ops->free(j);
}

static void secrets(void **state)
{
    struct journal *j = record_begin();
    size_t i;

    (void)state;
    record(j, ROW_OBS, "1.x", "n", "{}", "{\"o\":{\"value\":\"pass <hunter2&3> word\"}}");
    record(j, ROW_END, "3", "escalated", "{\"reason\":\"x\",\"text\":\"with <hunter2&3>\"}", "{}");
    log_secret(STR("<hunter2&3>"));
    for (i = 0; i < NFORMS; i++) {
        char *out = render(j, forms[i]);

        assert_null(strstr(out, "hunter2"));
        assert_non_null(strstr(out, forms[i] == report_markdown || forms[i] == report_evidence ? "\\*\\*\\*" : "***"));
        free(out);
    }
    j->ops->free(j);
}

static void every_kind_prints(void **state)
{
    int k;

    (void)state;
    for (k = 0; k < ROW_KINDS; k++) {
        struct buf b = BUF_INIT(KIB);
        struct row row = {.kind = (enum row_kind)k, .name = STR("n"), .path = STR("1"), .args = STR("{}"), .payload = STR("{}")};

        assert_int_equal(sentence_of(&row, &b), k != ROW_TIMER && k != ROW_SENT);
        assert_int_equal(b.len > 0, k != ROW_TIMER && k != ROW_SENT);
        buf_free(&b);
    }
}

static void sparklines(void **state)
{
    const double v[] = {0, NAN, 7, 3.5}, flat[] = {-1e308, 1e308};
    struct buf b = BUF_INIT(KIB);

    (void)state;
    sparkline(v, 4, 10, false, &b);
    assert_string_equal(buf_text(&b), "_?#=");
    buf_reset(&b);
    sparkline(v, 4, 2, true, &b);
    assert_string_equal(buf_text(&b), "\u2581\u2588");
    buf_reset(&b);
    sparkline(flat, 2, 10, false, &b);
    assert_string_equal(buf_text(&b), "_#");
    buf_reset(&b);
    sparkline(v, 0, 10, true, &b);
    assert_string_equal(buf_text(&b), "");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repair), cmocka_unit_test(no_such_run), cmocka_unit_test(only_unknown_effects_are_settled),
        cmocka_unit_test(hostile), cmocka_unit_test(huge_text), cmocka_unit_test(every_kind_prints),
        cmocka_unit_test(sparklines), cmocka_unit_test(secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
