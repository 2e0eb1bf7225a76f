/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDv7: the example of RFC 9562, the fixed bits, the order. */
#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_the_example_of_the_rfc(void **state)
{
    const unsigned char random[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
    char text[UUID_TEXT];

    (void)state;
    assert_ptr_equal(uuid_v7(0x017f22e279b0, random, text), text);
    assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void test_version_and_variant_stand_over_any_randomness(void **state)
{
    unsigned char random[10];
    char text[UUID_TEXT];

    (void)state;
    memset(random, 0xff, sizeof(random));
    assert_string_equal(uuid_v7(0, random, text), "00000000-0000-7fff-bfff-ffffffffffff");
    memset(random, 0, sizeof(random));
    assert_string_equal(uuid_v7((1LL << 48) - 1, random, text), "ffffffff-ffff-7000-8000-000000000000");
}

static void test_later_ids_sort_behind(void **state)
{
    const unsigned char high[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, low[10] = {0};
    char a[UUID_TEXT], b[UUID_TEXT];
    int64_t ms;

    (void)state;
    for (ms = 1; ms < 1LL << 47; ms *= 3)
        assert_true(strcmp(uuid_v7(ms, high, a), uuid_v7(ms + 1, low, b)) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_of_the_rfc),
        cmocka_unit_test(test_version_and_variant_stand_over_any_randomness),
        cmocka_unit_test(test_later_ids_sort_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
