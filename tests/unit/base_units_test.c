/* SPDX-License-Identifier: Apache-2.0 */
/* Durations, sizes and times as people write them: exact or refused. */
#include "base/err.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"90s", 90000},      {"10m", 600000},        {"1h30m", 5400000}, {"250ms", 250},    {"2d", 172800000},
        {"1w", 604800000},   {"0s", 0},              {"0.3s", 300},      {"1.5h", 5400000}, {"1m500ms", 60500},
        {"1w1d", 691200000}, {"007s", 7000},         {"0.001s", 1},      {"1m0s", 60000},
        {"9000000000000s", 9000000000000000},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = -1;

        if (str_duration_ms(str_of(good[i].text), &ms) != 0 || ms != good[i].ms)
            fail_msg("%s: %lld", good[i].text, (long long)ms);
    }
}

static void test_bad_durations_change_nothing(void **state)
{
    static const char *const bad[] = {
        "", "5", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "5x", "5S", "5M", "5MS", "1h30", "30m1h", "1h1h", "1s1s",
        "1.s",
        ".5s", "1.5.5s", "0.5ms", "0.0001s", "1e3s", "0x10s", "1.0000001h", "9000000000001s", "15000000000000w",
        "9223372036854775808ms", "99999999999999999999999999s", "1mss", "1sm", "\xe2\x82\xac", "5minutesandmore",
    };
    int64_t ms = 42;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (str_duration_ms(str_of(bad[i]), &ms) != ERR_INVALID || ms != 42)
            fail_msg("'%s' was taken as %lld", bad[i], (long long)ms);
    }
    assert_int_equal(str_duration_ms(STR("5s\0"), &ms), ERR_INVALID);
}

static void test_durations_are_shown_in_their_shortest_form(void **state)
{
    char out[64], tiny[4];

    (void)state;
    assert_string_equal(str_duration(5400000, out, sizeof(out)), "1h30m");
    assert_string_equal(str_duration(0, out, sizeof(out)), "0s");
    assert_string_equal(str_duration(1, out, sizeof(out)), "1ms");
    assert_string_equal(str_duration(90000, out, sizeof(out)), "1m30s");
    assert_string_equal(str_duration(694861001, out, sizeof(out)), "1w1d1h1m1s1ms");
    assert_string_equal(str_duration(-90000, out, sizeof(out)), "-1m30s");
    assert_string_equal(str_duration(INT64_MAX, out, sizeof(out)), "15250284452w3d7h12m55s807ms");
    assert_string_equal(str_duration(INT64_MIN, out, sizeof(out)), "-15250284452w3d7h12m55s808ms");
    assert_string_equal(str_duration(5400000, tiny, sizeof(tiny)), "1h3");
}

static void test_shown_durations_read_back(void **state)
{
    char out[64];
    int64_t ms, back;
    int i;

    (void)state;
    srand(3);
    for (i = 0; i < 20000; i++) {
        ms = ((int64_t)rand() << 22 ^ rand()) % 9000000000000000 >> i % 50;
        assert_int_equal(str_duration_ms(str_of(str_duration(ms, out, sizeof(out))), &back), 0);
        assert_true(back == ms);
    }
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {
        {"512", 512},          {"10kib", 10240},        {"4 MiB", 4194304}, {"1gb", 1000000000},     {"0", 0},
        {"1.5 GiB", 1610612736}, {"1KB", 1000},         {"7b", 7},          {"2tib", 2199023255552}, {"0.5kb", 500},
        {"9223372036854775807", INT64_MAX},
    };
    static const char *const bad[] = {
        "", " 1", "1 ", "1  kib", "-1", "1k", "1mi", "kib", "1.kib", "1.3", "0.0001kb", "1kibb", "9223372036854775808",
        "8388608tib", "99999999999tb", "1 kib ", "1e3",
    };
    int64_t bytes;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        bytes = -1;
        if (str_size_bytes(str_of(good[i].text), &bytes) != 0 || bytes != good[i].bytes)
            fail_msg("%s: %lld", good[i].text, (long long)bytes);
    }
    bytes = 42;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (str_size_bytes(str_of(bad[i]), &bytes) != ERR_INVALID || bytes != 42)
            fail_msg("'%s' was taken as %lld", bad[i], (long long)bytes);
    }
}

static void test_times_are_shown(void **state)
{
    char out[32];

    (void)state;
    assert_string_equal(str_time(1795489200250, out, sizeof(out)), "2026-11-24T03:00:00.250Z");
    assert_string_equal(str_time(0, out, sizeof(out)), "1970-01-01T00:00:00.000Z");
    assert_string_equal(str_time(-1, out, sizeof(out)), "1969-12-31T23:59:59.999Z");
    assert_string_equal(str_time(253402300799999, out, sizeof(out)), "9999-12-31T23:59:59.999Z");
    assert_true(strlen(str_time(INT64_MAX, out, sizeof(out))) < sizeof(out));
    assert_true(strlen(str_time(INT64_MIN, out, sizeof(out))) < sizeof(out));
}

static void test_times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"2026-11-24T03:00:00.250Z", 1795489200250},      {"2026-11-24T03:00:00Z", 1795489200000},
        {"2026-11-24t03:00:00z", 1795489200000},          {"2026-11-24 03:00:00Z", 1795489200000},
        {"2026-11-24T05:30:00+02:30", 1795489200000},     {"2026-11-23T22:00:00-05:00", 1795489200000},
        {"2026-11-24T03:00:00.2509999Z", 1795489200250},  {"2026-11-24T03:00:00.2Z", 1795489200200},
        {"2024-02-29T00:00:00Z", 1709164800000},          {"2000-02-29T00:00:00Z", 951782400000},
        {"0001-01-01T00:00:00Z", -62135596800000},        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"1969-12-31T23:59:59.999Z", -1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = 42;

        if (str_parse_time(str_of(good[i].text), &ms) != 0 || ms != good[i].ms)
            fail_msg("%s: %lld", good[i].text, (long long)ms);
    }
}

static void test_bad_times_change_nothing(void **state)
{
    static const char *const bad[] = {
        "", "2026-11-24", "2026-11-24T03:00:00", "2026-11-24T03:00:00.Z", "2026-11-24T03:00:00.5",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+02:60", "2026-01-01T00:00:00+0230", "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00Z ", " 2026-01-01T00:00:00Z", "2026/01/01T00:00:00Z", "2026-1-01T00:00:00ZZ",
        "-026-01-01T00:00:00Z", "20260101T000000Z00000", "2026-01-01T00:00:00 UTC", "1795489200000000000000",
    };
    const struct str whole = STR("2026-11-24T03:00:00.250+01:00");
    int64_t ms = 42;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (str_parse_time(str_of(bad[i]), &ms) != ERR_INVALID || ms != 42)
            fail_msg("'%s' was taken as %lld", bad[i], (long long)ms);
    }
    for (i = 0; i < whole.n; i++) {
        char *cut = xmemdup(whole.p, i);    /* so that a sanitizer sees a byte too far */

        assert_int_equal(str_parse_time((struct str){cut, i}, &ms), ERR_INVALID);
        free(cut);
    }
    assert_int_equal(str_parse_time(whole, &ms), 0);
}

static void test_shown_times_read_back(void **state)
{
    char out[32];
    int64_t ms, back;

    (void)state;
    for (ms = -62135596800000; ms < 253402300800000; ms += 7654321987) {
        assert_int_equal(str_parse_time(str_of(str_time(ms, out, sizeof(out))), &back), 0);
        assert_true(back == ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_bad_durations_change_nothing),
        cmocka_unit_test(test_durations_are_shown_in_their_shortest_form),
        cmocka_unit_test(test_shown_durations_read_back),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_times_are_shown),
        cmocka_unit_test(test_times_are_read),
        cmocka_unit_test(test_bad_times_change_nothing),
        cmocka_unit_test(test_shown_times_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
