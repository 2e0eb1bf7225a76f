/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"
#include "base/err.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buf *out, const void *data, size_t n)
{
    const unsigned char *in = data;
    char *to = buf_reserve(out, (n + 2) / 3 * 4);
    size_t i, k;

    for (i = 0; to && i < n; i += 3, to += 4, out->len += 4) {
        uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)(i + 1 < n ? in[i + 1] : 0) << 8 | (i + 2 < n ? in[i + 2] : 0);

        for (k = 0; k < 4; k++)
            to[k] = i + k > n ? '=' : alphabet[bits >> (18 - 6 * k) & 63];
    }
}

static int sextet(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

int base64_read(struct str text, struct buf *out)
{
    size_t n = text.n, i, k, len = out->len;
    uint32_t bits;

    if (n % 4)
        return ERR_INVALID;
    for (i = 0; i < 2 && n && text.p[n - 1] == '='; i++)
        n--;
    for (i = 0; i < n; i += 4) {
        for (k = 0, bits = 0; k < 4; k++) {
            int six = i + k < n ? sextet(text.p[i + k]) : 0;

            if (six < 0) {
                out->len = len;
                return ERR_INVALID;
            }
            bits = bits << 6 | (uint32_t)six;
        }
        for (k = 0; k < 3 && i + k + 1 < n; k++)
            buf_addc(out, (char)(bits >> (16 - 8 * k)));
    }
    return out->failed ? ERR_LIMIT : 0;
}
