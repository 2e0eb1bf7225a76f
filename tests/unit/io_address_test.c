/* SPDX-License-Identifier: Apache-2.0 */
/* The address policy, at the edges of its ranges. */
#include "io/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

struct expected {
    const char *address;
    const char *what;       /* NULL = public; else a part of the answer */
};

static const struct expected cases[] = {
    {"127.0.0.1", "loopback"},
    {"127.255.255.255", "loopback"},
    {"126.255.255.255", NULL},
    {"128.0.0.0", NULL},
    {"0.0.0.0", "this machine"},
    {"0.255.0.1", "this machine"},
    {"1.0.0.0", NULL},
    {"169.254.169.254", "metadata"},
    {"169.254.170.2", "metadata"},
    {"100.100.100.200", "metadata"},
    {"169.254.0.0", "link-local"},
    {"169.254.255.255", "link-local"},
    {"169.253.255.255", NULL},
    {"169.255.0.0", NULL},
    {"10.0.0.0", "private"},
    {"10.255.255.255", "private"},
    {"11.0.0.0", NULL},
    {"172.15.255.255", NULL},
    {"172.16.0.0", "private"},
    {"172.31.255.255", "private"},
    {"172.32.0.0", NULL},
    {"192.167.255.255", NULL},
    {"192.168.0.0", "private"},
    {"192.169.0.0", NULL},
    {"192.0.0.8", "reserved"},
    {"192.0.1.0", NULL},
    {"100.63.255.255", NULL},
    {"100.64.0.0", "private"},
    {"100.127.255.255", "private"},
    {"100.128.0.0", NULL},
    {"198.17.255.255", NULL},
    {"198.18.0.1", "test network"},
    {"198.20.0.0", NULL},
    {"224.0.0.1", "multicast"},
    {"240.0.0.1", "reserved"},
    {"255.255.255.255", "reserved"},
    {"8.8.8.8", NULL},
    {"::", "this machine"},
    {"::1", "loopback"},
    {"::2", "this machine"},
    {"::127.0.0.1", "loopback"},
    {"::8.8.8.8", "reserved"},
    {"::ffff:127.0.0.1", "loopback"},
    {"::ffff:10.1.2.3", "private"},
    {"::ffff:169.254.169.254", "metadata"},
    {"::ffff:8.8.8.8", NULL},
    {"::ffff:0:127.0.0.1", "loopback"},
    {"64:ff9b::10.0.0.1", "private"},
    {"64:ff9b::8.8.8.8", NULL},
    {"64:ff9b:1::8.8.8.8", "private"},
    {"2002:7f00:1::1", "loopback"},
    {"2002:808:808::1", NULL},
    {"2001::1", "tunnel"},
    {"2001:4860:4860::8888", NULL},
    {"fe80::1", "link-local"},
    {"febf::1", "link-local"},
    {"fec0::1", "private"},
    {"fc00::1", "private"},
    {"fdff::1", "private"},
    {"fbff::1", NULL},
    {"fd00:ec2::254", "metadata"},
    {"ff02::1", "multicast"},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        const struct sockaddr *sa = (const struct sockaddr *)&v4;
        const char *what;

        if (inet_pton(AF_INET, cases[i].address, &v4.sin_addr) != 1) {
            assert_int_equal(inet_pton(AF_INET6, cases[i].address, &v6.sin6_addr), 1);
            sa = (const struct sockaddr *)&v6;
        }
        what = address_not_public(sa);
        if (!cases[i].what != !what || (what && !strstr(what, cases[i].what)))
            fail_msg("%s: %s, expected %s", cases[i].address, what ? what : "public",
                     cases[i].what ? cases[i].what : "public");
    }
}

static void test_other_families_are_refused(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    (void)state;
    assert_non_null(address_not_public((const struct sockaddr *)&un));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_other_families_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
