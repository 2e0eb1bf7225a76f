/* SPDX-License-Identifier: Apache-2.0 */
/* Slices, UTF-8 against a slow decoder, what a terminal may see, nearest names. */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_slices_compare_by_bytes(void **state)
{
    const struct str none = {NULL, 0};

    (void)state;
    assert_int_equal(str_of(NULL).n, 0);
    assert_non_null(str_of(NULL).p);
    assert_int_equal(str_of("abc").n, 3);
    assert_true(str_eq(none, STR("")));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_true(str_is(STR("abc"), "abc"));
    assert_false(str_is(STR("abc"), "ab"));
    assert_false(str_is(STR("ab\0"), "ab"));
    assert_true(str_is(none, ""));
    assert_true(str_starts(STR("abc"), "ab"));
    assert_true(str_starts(STR("abc"), "abc"));
    assert_true(str_starts(none, ""));
    assert_false(str_starts(STR("ab"), "abc"));
    assert_false(str_starts(none, "a"));
}

/* The length that a decoder by the book finds: decode, then reject overlong, surrogates, above U+10FFFF. */
static size_t slow_length(const unsigned char *s, size_t n)
{
    static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0, i;
    unsigned code = len ? s[0] & (0xff >> (len + 1)) : 0;

    if (len == 1)
        return 1;
    if (len == 0 || len > n)
        return 0;
    for (i = 1; i < len; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    return code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : len;
}

static bool slow_is_utf8(const unsigned char *s, size_t n)
{
    size_t i, len;

    for (i = 0; i < n; i += len) {
        len = slow_length(s + i, n - i);
        if (len == 0)
            return false;
    }
    return true;
}

static void test_utf8_agrees_with_a_decoder_by_the_book(void **state)
{
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
                                          0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff};
    const size_t n = sizeof(edges);
    unsigned char s[4];
    size_t i, len;

    (void)state;
    for (i = 0; i < n * n * n * n; i++) {
        s[0] = edges[i % n];
        s[1] = edges[i / n % n];
        s[2] = edges[i / n / n % n];
        s[3] = edges[i / n / n / n];
        for (len = i < n * n * n ? 1 : 4; len <= 4; len++) {
            if (str_is_utf8((char *)s, len) != slow_is_utf8(s, len))
                fail_msg("%02x %02x %02x %02x, first %zu bytes", s[0], s[1], s[2], s[3], len);
        }
    }
    assert_true(str_is_utf8("", 0));
    assert_true(str_is_utf8(NULL, 0));
}

static void assert_repaired(struct str from, const char *want, bool bad)
{
    struct buf b = BUF_INIT(1000);

    assert_int_equal(str_add_utf8(&b, from.p, from.n), bad);
    assert_string_equal(buf_text(&b), want);
    assert_int_equal(b.len, strlen(want));
    assert_true(str_is_utf8(b.data, b.len));
    buf_free(&b);
}

static void test_each_bad_byte_is_replaced(void **state)
{
    (void)state;
    assert_repaired(STR("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", false);
    assert_repaired(STR("a\xff"), "a\xef\xbf\xbd", true);
    assert_repaired(STR("\xff"
                        "a\xe2\x82"),
                    "\xef\xbf\xbd"
                    "a\xef\xbf\xbd\xef\xbf\xbd",
                    true);
    assert_repaired(STR("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", true);
    assert_repaired(STR("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd", true);
}

static void test_random_bytes_become_utf8_that_stays_as_it_is(void **state)
{
    struct buf once = BUF_INIT(1000), twice = BUF_INIT(1000);
    unsigned char s[64];
    int round, i;

    (void)state;
    srand(7);
    for (round = 0; round < 5000; round++) {
        bool was_good;

        for (i = 0; i < 64; i++)
            s[i] = (unsigned char)(rand() >> 7 & (round % 2 ? 0xff : 0xbf));
        buf_reset(&once);
        buf_reset(&twice);
        was_good = str_is_utf8((char *)s, sizeof(s));
        assert_int_equal(str_add_utf8(&once, (char *)s, sizeof(s)), !was_good);
        assert_false(str_add_utf8(&twice, once.data, once.len));
        assert_int_equal(once.len, twice.len);
        assert_memory_equal(once.data, twice.data, once.len);
    }
    buf_free(&once);
    buf_free(&twice);
}

static void assert_printed(struct str from, const char *want)
{
    struct buf b = BUF_INIT(1000);

    str_add_printable(&b, from.p, from.n);
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

static void test_what_steers_a_terminal_is_made_visible(void **state)
{
    (void)state;
    assert_printed(STR("plain \xc3\xa9 \xe2\x82\xac"), "plain \xc3\xa9 \xe2\x82\xac");
    assert_printed(STR("\x1b[31mred\x1b]52;c;x\a"), "\\x1b[31mred\\x1b]52;c;x\\x07");
    assert_printed(STR("a\nb\tc\rd\0e\x7f"), "a\\nb\\tc\\x0dd\\x00e\\x7f");
    assert_printed(STR("\xc2\x9b"
                       "31m\xc2\xa0"),
                   "\\x9b31m\xc2\xa0");
    assert_printed(STR("\x9b\xff"), "\\x9b\\xff");
    assert_printed(STR("txt\xe2\x80\xaegpj.exe\xe2\x80\xa8\xe2\x81\xa6x"), "txt\\u202egpj.exe\\u2028\\u2066x");
    assert_printed((struct str){NULL, 0}, "");
}

static void test_lines_stay_lines(void **state)
{
    struct buf lines = BUF_INIT(1000), b = BUF_INIT(1000);

    (void)state;
    str_add_lines(&lines, "a\tb\x1b\r\n\n\rc\n", 10);
    assert_string_equal(buf_text(&lines), "a b\\x1b\n\n\\x0dc\n");
    str_add_indented(&b, buf_text(&lines), 3);
    assert_string_equal(buf_text(&b), "a b\\x1b\n\n   \\x0dc\n");
    buf_reset(&b);
    str_add_lines(&b, "", 0);
    str_add_indented(&b, "one", 3);
    assert_string_equal(buf_text(&b), "one");
    buf_free(&b);
    buf_free(&lines);
}

static void test_no_text_prints_a_control_byte(void **state)
{
    struct buf b = BUF_INIT(4000);
    unsigned char s[200];
    int round, i;
    size_t k;

    (void)state;
    srand(11);
    for (round = 0; round < 2000; round++) {
        for (i = 0; i < 200; i++)
            s[i] = (unsigned char)(rand() >> 7);
        buf_reset(&b);
        str_add_printable(&b, (char *)s, sizeof(s));
        assert_false(b.failed);
        assert_true(str_is_utf8(b.data, b.len));
        for (k = 0; k < b.len; k++)
            assert_true((unsigned char)b.data[k] >= 0x20 && b.data[k] != 0x7f);
    }
    buf_free(&b);
}

static void test_the_nearest_name(void **state)
{
    static const char *const names[] = {"escalate", "limits", "may", "params", "runbook", "uses"};
    const size_t n = sizeof(names) / sizeof(names[0]);
    char longest[500];

    (void)state;
    assert_string_equal(str_nearest(STR("limit"), names, n), "limits");
    assert_string_equal(str_nearest(STR("parms"), names, n), "params");
    assert_string_equal(str_nearest(STR("runbok"), names, n), "runbook");
    assert_string_equal(str_nearest(STR("may"), names, n), "may");
    assert_string_equal(str_nearest(STR("mya"), names, n), "may");
    assert_null(str_nearest(STR("kubernetes"), names, n));
    assert_null(str_nearest(STR("xyzzy"), names, n));
    assert_null(str_nearest(STR("may"), names, 0));
    memset(longest, 'x', sizeof(longest));
    assert_null(str_nearest((struct str){longest, sizeof(longest)}, names, n));
    longest[sizeof(longest) - 1] = '\0';
    assert_null(str_nearest(STR("may"), (const char *const[]){longest}, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_compare_by_bytes),
        cmocka_unit_test(test_utf8_agrees_with_a_decoder_by_the_book),
        cmocka_unit_test(test_each_bad_byte_is_replaced),
        cmocka_unit_test(test_random_bytes_become_utf8_that_stays_as_it_is),
        cmocka_unit_test(test_what_steers_a_terminal_is_made_visible),
        cmocka_unit_test(test_lines_stay_lines),
        cmocka_unit_test(test_no_text_prints_a_control_byte),
        cmocka_unit_test(test_the_nearest_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
