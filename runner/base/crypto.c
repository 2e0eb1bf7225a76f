/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 by libcrypto, with the algorithm fetched once and a context kept per thread. */
#include "base/crypto.h"
#include "base/err.h"

#include <openssl/evp.h>
#include <stdlib.h>

static _Thread_local EVP_MD_CTX *context;
static EVP_MD *sha256;

static EVP_MD_CTX *start(void)
{
    if (!sha256) {
        EVP_MD *fetched = EVP_MD_fetch(NULL, "SHA256", NULL), *none = NULL;

        if (!fetched)
            abort();
        /* Two threads may come here first; one fetch wins. */
        if (!__atomic_compare_exchange_n(&sha256, &none, fetched, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            EVP_MD_free(fetched);
    }
    if (!context)
        context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex2(context, sha256, NULL) != 1)
        abort();
    return context;
}

struct hash hash_of(struct str data)
{
    struct hash h;
    EVP_MD_CTX *c = start();

    EVP_DigestUpdate(c, data.p, data.n);
    EVP_DigestFinal_ex(c, h.bytes, NULL);
    return h;
}

struct hash hash_parts(const struct str *parts, size_t n)
{
    struct hash h;
    EVP_MD_CTX *c = start();
    size_t i, k;

    for (i = 0; i < n; i++) {
        unsigned char len[8];

        for (k = 0; k < 8; k++)
            len[k] = (unsigned char)((uint64_t)parts[i].n >> (8 * k));
        EVP_DigestUpdate(c, len, sizeof(len));
        EVP_DigestUpdate(c, parts[i].p, parts[i].n);
    }
    EVP_DigestFinal_ex(c, h.bytes, NULL);
    return h;
}

bool hash_eq(const struct hash *a, const struct hash *b)
{
    return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

const char *hash_hex(const struct hash *h, char out[2 * HASH_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < HASH_BYTES; i++) {
        out[2 * i] = digits[h->bytes[i] >> 4];
        out[2 * i + 1] = digits[h->bytes[i] & 15];
    }
    out[2 * HASH_BYTES] = '\0';
    return out;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hash_from_hex(struct str hex, struct hash *out)
{
    size_t i;

    if (hex.n != 2 * HASH_BYTES)
        return ERR_INVALID;
    for (i = 0; i < HASH_BYTES; i++) {
        int high = nibble(hex.p[2 * i]), low = nibble(hex.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return ERR_INVALID;
        out->bytes[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

const char *hash_key(const struct hash *h, char out[33])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t bits = 0;
    int have = 0;
    size_t i, n = 0;

    for (i = 0; i < 20; i++) {
        bits = bits << 8 | h->bytes[i];
        for (have += 8; have >= 5; have -= 5)
            out[n++] = letters[bits >> (have - 5) & 31];
    }
    out[n] = '\0';
    return out;
}
