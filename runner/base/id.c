/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDv7: 48 bits of milliseconds, version, 74 random bits with the variant. */
#include "base/id.h"

#include <stdio.h>
#include <string.h>

const char *uuid_v7(int64_t unix_ms, const unsigned char random[10], char out[UUID_TEXT])
{
    unsigned char b[16];
    int i;

    for (i = 0; i < 6; i++)
        b[i] = (unsigned char)((uint64_t)unix_ms >> (40 - 8 * i));
    memcpy(b + 6, random, 10);
    b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    snprintf(out, UUID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
             b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return out;
}
