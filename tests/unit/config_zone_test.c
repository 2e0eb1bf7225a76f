/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones against libc, which is asked here where nothing else runs; gaps, overlaps, and files that are none. */
#include "config/zone.h"
#include "config/zone_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct zone *open_zone(const char *name)
{
    struct zone *z = NULL;
    struct err e = {0};

    if (zone_open(name, &z, &e) < 0)
        fail_msg("%s: %s", name, e.msg);
    return z;
}

static void test_as_libc(void **state)
{
    static const char *const names[] = {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin",
                                        "Africa/Casablanca", "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo",
                                        "Antarctica/Troll", "Asia/Gaza", "America/Nuuk", "Asia/Tehran", "Etc/GMT+5", "UTC"};
    uint64_t dice = 1;
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct zone *z = open_zone(names[i]);

        assert_string_equal(zone_name(z), names[i]);
        setenv("TZ", names[i], 1);
        tzset();
        for (k = 0; k < 4000; k++) {
            struct tm tm;
            time_t at;

            dice = dice * 6364136223846793005u + 1442695040888963407u;
            /* 1970 to 2100, and every hour of the changes of 2026 */
            at = k < 3000 ? (time_t)((dice >> 33) % 4102444800u) : 1767225600 + (k - 3000) * 31500;
            localtime_r(&at, &tm);
            if (zone_offset(z, at) != tm.tm_gmtoff)
                fail_msg("%s at %lld: %lld instead of %ld", names[i], (long long)at, (long long)zone_offset(z, at), tm.tm_gmtoff);
        }
        zone_free(z);
    }
}

static int64_t local(int year, int month, int day, int hour, int minute)
{
    return 86400 * zone_days(year, month, day) + 3600 * hour + 60 * minute;
}

static void test_gaps_and_overlaps(void **state)
{
    struct zone *z = open_zone("Europe/Berlin");
    int64_t a, b;

    (void)state;
    zone_instants(z, local(2026, 7, 1, 12, 0), &a, &b);
    assert_int_equal(a, local(2026, 7, 1, 10, 0));
    assert_int_equal(b, a);
    zone_instants(z, local(2026, 3, 29, 2, 30), &a, &b);     /* 02:00 is 03:00 */
    assert_int_equal(a, local(2026, 3, 29, 0, 30));
    assert_int_equal(b, local(2026, 3, 29, 1, 30));
    zone_instants(z, local(2026, 3, 29, 3, 0), &a, &b);
    assert_int_equal(a, local(2026, 3, 29, 1, 0));
    assert_int_equal(b, a);
    zone_instants(z, local(2026, 10, 25, 2, 30), &a, &b);    /* 03:00 is 02:00 */
    assert_int_equal(a, local(2026, 10, 25, 0, 30));
    assert_int_equal(b, local(2026, 10, 25, 1, 30));
    zone_instants(z, local(2050, 10, 30, 2, 30), &a, &b);    /* by the rule */
    assert_int_equal(b - a, 3600);
    zone_free(z);
    z = open_zone("Australia/Lord_Howe");
    zone_instants(z, local(2026, 4, 5, 1, 45), &a, &b);
    assert_int_equal(b - a, 1800);
    zone_free(z);
}

static void test_calendar(void **state)
{
    int64_t d, year;
    int month, day;

    (void)state;
    assert_int_equal(zone_days(1970, 1, 1), 0);
    assert_int_equal(zone_days(2000, 3, 1), 11017);
    assert_int_equal(zone_weekday(0), 4);
    assert_int_equal(zone_weekday(-5), 6);
    for (d = -200000; d < 200000; d += 13) {
        zone_date(d, &year, &month, &day);
        assert_int_equal(zone_days(year, month, day), d);
    }
}

static void test_no_zones(void **state)
{
    static const char *const names[] = {"", "Europe/Berln", "../../../etc/passwd", "/etc/passwd", "Europe", "zone.tab",
                                        "Europe//Berlin", "a b"};
    static const char *const rules[] = {"", "C-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
                                        "CET-1CEST,M3.6.0,M10.5.0", "CET-1x,", "CET-200", "<+03-3", "CET-1CEST,M3.5.0,M10.5.0x"};
    struct zone_rule r;
    struct zone *z;
    struct err e;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        e = (struct err){0};
        if (zone_open(names[i], &z, &e) == 0)
            fail_msg("%s is a zone", names[i]);
        assert_true(e.msg[0]);
    }
    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (zone_rule_read(str_of(rules[i]), &r) == 0)
            fail_msg("%s is a rule", rules[i]);
    }
    assert_int_equal(zone_rule_read(STR("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"), &r), 0);
    assert_int_equal(zone_rule_offset(&r, local(2026, 7, 1, 0, 0)), -3600);
    assert_int_equal(zone_rule_read(STR("AEST-10AEDT,J60/2,J300"), &r), 0);
    assert_int_equal(zone_rule_offset(&r, local(2028, 2, 29, 23, 0)), 36000 + 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_libc),
        cmocka_unit_test(test_gaps_and_overlaps),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_no_zones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
