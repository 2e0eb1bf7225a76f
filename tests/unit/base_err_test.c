/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: one line, bounded, nothing cut in the middle of a character. */
#include "base/err.h"
#include "base/str.h"

#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_set_returns_the_code_and_overwrites(void **state)
{
    struct err e = {0};
    char text[2000];

    (void)state;
    assert_int_equal(err_at(&e, ERR_IO, "a.md", 3, 7, "first"), ERR_IO);
    err_hint(&e, "a hint");
    assert_int_equal(err_set(&e, ERR_LIMIT, "fetch %s: %d", "main", 7), ERR_LIMIT);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_string_equal(err_text(&e, text, sizeof(text)), "fetch main: 7");
}

static void test_places_and_hints_are_printed_around_the_message(void **state)
{
    struct err e = {0};
    char text[2000];

    (void)state;
    err_at(&e, ERR_INVALID, "a.md", 3, 7, "unknown key");
    assert_int_equal(err_hint(&e, "did you mean '%s'?", "may"), ERR_INVALID);
    assert_string_equal(err_text(&e, text, sizeof(text)), "a.md:3:7: unknown key (did you mean 'may'?)");
    err_at(&e, ERR_INVALID, "a.md", 3, 0, "x");
    assert_string_equal(e.where, "a.md:3");
    assert_string_equal(e.hint, "");
    err_at(&e, ERR_INVALID, "a.md", 0, 0, "x");
    assert_string_equal(e.where, "a.md");
    err_at(&e, ERR_INVALID, NULL, 0, 0, "x");
    assert_string_equal(err_text(&e, text, sizeof(text)), "x");
}

static void test_wrap_puts_the_context_in_front(void **state)
{
    struct err e = {0};

    (void)state;
    err_at(&e, ERR_IO, "f", 1, 1, "refused");
    assert_int_equal(err_wrap(&e, "fetch %s", "main"), ERR_IO);
    assert_string_equal(e.msg, "fetch main: refused");
    assert_string_equal(e.where, "f:1:1");
}

static void test_an_error_may_quote_itself(void **state)
{
    struct err e = {0};

    (void)state;
    err_set(&e, ERR_IO, "inner");
    err_set(&e, ERR_INVALID, "outer: %s", e.msg);
    assert_string_equal(e.msg, "outer: inner");
    err_wrap(&e, "%s again", e.msg);
    assert_string_equal(e.msg, "outer: inner again: outer: inner");
}

static void test_a_message_is_one_line(void **state)
{
    struct err e = {0};

    (void)state;
    err_at(&e, ERR_IO, "a\nb", 1, 2, "one\ntwo\r\nthree");
    err_hint(&e, "x\ny");
    assert_string_equal(e.msg, "one two  three");
    assert_string_equal(e.where, "a b:1:2");
    assert_string_equal(e.hint, "x y");
}

static void test_a_long_text_is_cut_between_characters(void **state)
{
    char euros[3 * 400 + 1];
    struct err e = {0};
    size_t lead;

    (void)state;
    for (lead = 0; lead < sizeof(euros) - 1; lead += 3)
        memcpy(euros + lead, "\xe2\x82\xac", 3);
    euros[sizeof(euros) - 1] = '\0';
    for (lead = 0; lead < 3; lead++) {
        err_at(&e, ERR_IO, euros, 0, 0, "%.*s%s", (int)lead, "xxx", euros);
        err_hint(&e, "%.*s%s", (int)lead, "xxx", euros);
        assert_true(strlen(e.msg) > sizeof(e.msg) - 4 && str_is_utf8(e.msg, strlen(e.msg)));
        assert_true(strlen(e.hint) > sizeof(e.hint) - 4 && str_is_utf8(e.hint, strlen(e.hint)));
        assert_true(strlen(e.where) > sizeof(e.where) - 4 && str_is_utf8(e.where, strlen(e.where)));
        err_wrap(&e, "%s", euros);
        assert_true(str_is_utf8(e.msg, strlen(e.msg)));
    }
}

static void test_a_text_that_just_fits_is_whole(void **state)
{
    char fits[sizeof(((struct err *)0)->msg)];
    struct err e = {0};

    (void)state;
    memset(fits, 'x', sizeof(fits));
    memcpy(fits + sizeof(fits) - 4, "\xe2\x82\xac", 4);
    err_set(&e, ERR_IO, "%s", fits);
    assert_string_equal(e.msg, fits);
}

static void test_a_long_path_keeps_its_line(void **state)
{
    char path[1000];
    struct err e = {0};

    (void)state;
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    err_at(&e, ERR_IO, path, INT_MAX, INT_MAX, "x");
    assert_string_equal(e.where + strlen(e.where) - 22, ":2147483647:2147483647");
}

static void test_without_an_error_only_the_code_is_returned(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(err_at(NULL, ERR_DISK, "f", 1, 1, "x"), ERR_DISK);
    assert_int_equal(err_hint(NULL, "x"), 0);
    assert_int_equal(err_wrap(NULL, "x"), 0);
    err_clear(NULL);
}

static void test_text_fits_any_room(void **state)
{
    struct err e = {0};
    char small[6], none[1];

    (void)state;
    err_set(&e, ERR_IO, "message");
    assert_string_equal(err_text(&e, small, sizeof(small)), "messa");
    assert_string_equal(err_text(&e, none, sizeof(none)), "");
    err_clear(&e);
    assert_int_equal(e.code, 0);
    assert_string_equal(err_text(&e, small, sizeof(small)), "");
}

static void test_codes_have_names(void **state)
{
    int code, other;

    (void)state;
    assert_string_equal(err_code_name(0), "ok");
    assert_string_equal(err_code_name(ERR_NOT_FOUND), "not_found");
    assert_string_equal(err_code_name(ERR_DISK), "disk");
    for (code = ERR_DISK; code <= 0; code++) {
        assert_string_not_equal(err_code_name(code), "unknown");
        for (other = ERR_DISK; other < code; other++)
            assert_string_not_equal(err_code_name(code), err_code_name(other));
    }
    assert_string_equal(err_code_name(ERR_DISK - 1), "unknown");
    assert_string_equal(err_code_name(1), "unknown");
    assert_string_equal(err_code_name(INT_MIN), "unknown");
    assert_string_equal(err_code_name(INT_MAX), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_returns_the_code_and_overwrites),
        cmocka_unit_test(test_places_and_hints_are_printed_around_the_message),
        cmocka_unit_test(test_wrap_puts_the_context_in_front),
        cmocka_unit_test(test_an_error_may_quote_itself),
        cmocka_unit_test(test_a_message_is_one_line),
        cmocka_unit_test(test_a_long_text_is_cut_between_characters),
        cmocka_unit_test(test_a_text_that_just_fits_is_whole),
        cmocka_unit_test(test_a_long_path_keeps_its_line),
        cmocka_unit_test(test_without_an_error_only_the_code_is_returned),
        cmocka_unit_test(test_text_fits_any_room),
        cmocka_unit_test(test_codes_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
