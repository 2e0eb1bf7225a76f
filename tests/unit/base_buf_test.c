/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer: never above its maximum, always ended by NUL, failed until reset. */
#include "base/buf.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_additions_follow_each_other(void **state)
{
    struct buf b = BUF_INIT(100);

    (void)state;
    assert_string_equal(buf_text(&b), "");
    assert_int_equal(buf_add(&b, "a\0b", 3), 0);
    assert_int_equal(buf_addc(&b, 'c'), 0);
    assert_int_equal(buf_adds(&b, "de"), 0);
    assert_int_equal(buf_addf(&b, "%d-%s", 42, "x"), 0);
    assert_int_equal(buf_add(&b, NULL, 0), 0);
    assert_int_equal(b.len, 10);
    assert_memory_equal(b.data, "a\0bcde42-x", 11);
    buf_free(&b);
    assert_null(b.data);
}

static void test_the_maximum_is_exact_and_failure_stays(void **state)
{
    struct buf b = BUF_INIT(4);

    (void)state;
    assert_int_equal(buf_adds(&b, "abcd"), 0);
    assert_false(b.failed);
    assert_int_equal(buf_addc(&b, 'e'), ERR_LIMIT);
    assert_true(b.failed);
    assert_string_equal(buf_text(&b), "abcd");
    b.len = 0;
    assert_int_equal(buf_addc(&b, 'x'), ERR_LIMIT);
    assert_int_equal(buf_add(&b, "", 0), ERR_LIMIT);
    assert_int_equal(buf_addf(&b, "x"), ERR_LIMIT);
    assert_null(buf_reserve(&b, 0));
    buf_reset(&b);
    assert_string_equal(buf_text(&b), "");
    assert_int_equal(buf_adds(&b, "wxyz"), 0);
    assert_int_equal(buf_addf(&b, "%s", "a"), ERR_LIMIT);
    assert_string_equal(buf_text(&b), "wxyz");
    buf_free(&b);
}

static void test_every_way_to_the_maximum(void **state)
{
    size_t max, n, i;

    (void)state;
    for (max = 0; max <= 200; max += 1 + max / 16) {
        for (n = 1; n <= 70; n += 3) {
            struct buf b = BUF_INIT(max);
            char piece[70];

            memset(piece, 'p', sizeof(piece));
            for (i = 0; buf_add(&b, piece, n) == 0; i++) {
                assert_true(b.len <= max && b.cap <= max + 1);
                assert_int_equal(b.data[b.len], '\0');
            }
            assert_int_equal(i, max / n);
            assert_int_equal(b.len, i * n);
            buf_free(&b);
        }
    }
}

static void test_single_characters_reach_the_maximum(void **state)
{
    struct buf b = BUF_INIT(1000);
    size_t i;

    (void)state;
    for (i = 0; buf_addc(&b, (char)('a' + i % 26)) == 0; i++)
        assert_int_equal(b.data[b.len], '\0');
    assert_int_equal(i, 1000);
    assert_int_equal(b.data[999], 'a' + 999 % 26);
    buf_free(&b);
}

static void test_absurd_sizes_fail_without_overflow(void **state)
{
    struct buf b = BUF_INIT(SIZE_MAX);

    (void)state;
    assert_null(buf_reserve(&b, SIZE_MAX));
    buf_reset(&b);
    assert_int_equal(buf_adds(&b, "x"), 0);
    assert_null(buf_reserve(&b, SIZE_MAX - 1));
    assert_true(b.failed);
    assert_string_equal(buf_text(&b), "x");
    buf_free(&b);
}

static void test_reserved_room_is_ended_by_nul(void **state)
{
    struct buf b;
    char *to;

    (void)state;
    buf_init(&b, 64);
    to = buf_reserve(&b, 10);
    assert_non_null(to);
    memset(to, 'x', 10);
    b.len += 10;
    assert_int_equal(b.data[10], '\0');
    to = buf_reserve(&b, 20);
    memset(to, 'y', 20);
    b.len += 3;
    assert_string_equal(buf_text(&b), "xxxxxxxxxxyyy");
    buf_free(&b);
}

static void test_take_hands_the_memory_over(void **state)
{
    struct buf b = BUF_INIT(64);
    size_t n = 99;
    char *text = buf_take(&b, &n);

    (void)state;
    assert_string_equal(text, "");
    assert_int_equal(n, 0);
    free(text);
    buf_adds(&b, "hello");
    text = buf_take(&b, &n);
    assert_string_equal(text, "hello");
    assert_int_equal(n, 5);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_text(&b), "");
    buf_adds(&b, "next");
    assert_string_equal(buf_text(&b), "next");
    assert_string_equal(text, "hello");
    free(text);
    buf_free(&b);
}

static void test_copies(void **state)
{
    char *s = xstrndup("a\0b", 3), *t = xstrdup(""), *m = xmemdup("xyz", 2);
    int *zeros = xcalloc(0, 0);

    (void)state;
    assert_memory_equal(s, "a\0b", 4);
    assert_string_equal(t, "");
    assert_memory_equal(m, "xy", 2);
    assert_non_null(zeros);
    m = xrealloc(m, 100);
    assert_memory_equal(m, "xy", 2);
    free(s);
    free(t);
    free(m);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_additions_follow_each_other),
        cmocka_unit_test(test_the_maximum_is_exact_and_failure_stays),
        cmocka_unit_test(test_every_way_to_the_maximum),
        cmocka_unit_test(test_single_characters_reach_the_maximum),
        cmocka_unit_test(test_absurd_sizes_fail_without_overflow),
        cmocka_unit_test(test_reserved_room_is_ended_by_nul),
        cmocka_unit_test(test_take_hands_the_memory_over),
        cmocka_unit_test(test_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
