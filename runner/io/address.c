/* SPDX-License-Identifier: Apache-2.0 */
/* Address ranges, first match wins. An IPv6 address that carries an IPv4 one is
 * judged by both: packets to it may come out as IPv4. */
#include "io/address.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range4 {
    uint32_t net;
    int bits;
    const char *what;
};

struct range6 {
    uint8_t net[16];
    int bits;
    int v4_at;              /* where an IPv4 address starts that decides, or 0 */
    const char *what;       /* NULL: public unless its IPv4 address is not */
};

static const char metadata[] = "a metadata service's address";

static const struct range4 ranges4[] = {
    {0xa9fea9fe, 32, metadata},                         /* 169.254.169.254 */
    {0xa9feaa02, 32, metadata},                         /* 169.254.170.2 */
    {0x646464c8, 32, metadata},                         /* 100.100.100.200 */
    {0xc0000000, 24, "a reserved address"},             /* 192.0.0.0 */
    {0x7f000000, 8, "a loopback address"},
    {0xa9fe0000, 16, "a link-local address"},
    {0x00000000, 8, "an address of this machine"},
    {0x0a000000, 8, "a private address"},
    {0xac100000, 12, "a private address"},
    {0xc0a80000, 16, "a private address"},
    {0x64400000, 10, "a carrier's private address"},    /* 100.64.0.0 */
    {0xc6120000, 15, "a test network's address"},       /* 198.18.0.0 */
    {0xe0000000, 4, "a multicast address"},
    {0xf0000000, 4, "a reserved address"},              /* with broadcast */
};

static const struct range6 ranges6[] = {
    {{[15] = 1}, 128, 0, "a loopback address"},
    {{0}, 128, 0, "an address of this machine"},
    {{[10] = 0xff, [11] = 0xff}, 96, 12, NULL},                                 /* mapped */
    {{[8] = 0xff, [9] = 0xff}, 96, 12, NULL},                          /* translated (SIIT) */
    {{0}, 96, 12, "a reserved address"},                                        /* compatible */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12, NULL},                                   /* NAT64 */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, 0, "a private address"},         /* local NAT64 */
    {{0x20, 0x02}, 16, 2, NULL},                                                /* 6to4 */
    {{0x20, 0x01, 0x00, 0x00}, 32, 0, "a tunnel's address"},                    /* Teredo */
    {{0xfd, 0x00, 0x0e, 0xc2}, 32, 0, metadata},                                /* fd00:ec2::254 and its net */
    {{0xfe, 0x80}, 10, 0, "a link-local address"},
    {{0xfe, 0xc0}, 10, 0, "a private address"},                                 /* site-local */
    {{0xfc, 0x00}, 7, 0, "a private address"},
    {{0xff, 0x00}, 8, 0, "a multicast address"},
};

static const char *judge4(uint32_t a)
{
    for (size_t i = 0; i < sizeof ranges4 / sizeof ranges4[0]; i++)
        if ((a ^ ranges4[i].net) >> (32 - ranges4[i].bits) == 0)
            return ranges4[i].what;
    return NULL;
}

static bool in_range6(const uint8_t a[16], const struct range6 *r)
{
    int whole = r->bits / 8;
    int rest = r->bits % 8;

    if (memcmp(a, r->net, (size_t)whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ r->net[whole]) >> (8 - rest) == 0;
}

static const char *judge6(const uint8_t a[16])
{
    for (size_t i = 0; i < sizeof ranges6 / sizeof ranges6[0]; i++) {
        const struct range6 *r = &ranges6[i];
        const char *what = r->what;

        if (!in_range6(a, r))
            continue;
        if (r->v4_at) {
            const uint8_t *p = a + r->v4_at;
            const char *v4 = judge4((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);

            what = v4 ? v4 : what;
        }
        return what;
    }
    return NULL;
}

const char *address_not_public(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return judge4(ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr));
    if (sa->sa_family == AF_INET6)
        return judge6(((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr);
    return "not an internet address";
}
