/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes by libcrypto's plain functions. The EVP interface first reads the library's
 * configuration and loads its providers, which takes longer than all hashes of a short
 * run; and whatever leads to it (HMAC, base64, a digest in one call) links all
 * algorithms, whose tables every start would relocate. A digest that fails is a broken
 * library: nothing may go on with a wrong hash, so it aborts. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/crypto.h"
#include "base/err.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

static void start(SHA256_CTX *c)
{
    if (SHA256_Init(c) != 1)
        abort();
}

static void add(SHA256_CTX *c, const void *p, size_t n)
{
    if (n && SHA256_Update(c, p, n) != 1)
        abort();
}

static struct hash finish(SHA256_CTX *c)
{
    struct hash h;

    if (SHA256_Final(h.bytes, c) != 1)
        abort();
    return h;
}

struct hash hash_of(struct str data)
{
    SHA256_CTX c;

    start(&c);
    add(&c, data.p, data.n);
    return finish(&c);
}

/* Short parts are put together first: each update costs as much as a block of the hash. */
struct hash hash_parts(const struct str *parts, size_t n)
{
    unsigned char together[512];
    SHA256_CTX c;
    size_t i, k, used = 0;

    start(&c);
    for (i = 0; i < n; i++) {
        struct str part = parts[i];

        if (part.n > sizeof(together) - 8 || used > sizeof(together) - 8 - part.n) {
            add(&c, together, used);
            used = 0;
        }
        for (k = 0; k < 8; k++)
            together[used++] = (unsigned char)((uint64_t)part.n >> (8 * k));
        if (part.n > sizeof(together) - used) {
            add(&c, together, used);
            add(&c, part.p, part.n);
            used = 0;
        } else if (part.n) {
            memcpy(together + used, part.p, part.n);
            used += part.n;
        }
    }
    add(&c, together, used);
    return finish(&c);
}

/* One of the two digests of an HMAC. */
static void digest(bool wide, struct str a, struct str b, unsigned char *out)
{
    SHA512_CTX c;
    struct hash h;
    SHA256_CTX narrow;

    if (!wide) {
        start(&narrow);
        add(&narrow, a.p, a.n);
        add(&narrow, b.p, b.n);
        h = finish(&narrow);
        memcpy(out, h.bytes, HASH_BYTES);
    } else if (SHA512_Init(&c) != 1 || SHA512_Update(&c, a.p, a.n) != 1 || (b.n && SHA512_Update(&c, b.p, b.n) != 1) ||
               SHA512_Final(out, &c) != 1) {
        abort();
    }
}

size_t hash_hmac(bool wide, struct str key, struct str message, unsigned char mac[HMAC_BYTES_MAX])
{
    size_t size = wide ? SHA512_DIGEST_LENGTH : HASH_BYTES, block = wide ? SHA512_CBLOCK : SHA256_CBLOCK, i;
    unsigned char pad[SHA512_CBLOCK] = {0};

    if (key.n > block)
        digest(wide, key, STR(""), pad);
    else if (key.n)
        memcpy(pad, key.p, key.n);
    for (i = 0; i < block; i++)
        pad[i] ^= 0x36;
    digest(wide, (struct str){(char *)pad, block}, message, mac);
    for (i = 0; i < block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    digest(wide, (struct str){(char *)pad, block}, (struct str){(char *)mac, size}, mac);
    explicit_bzero(pad, sizeof(pad));
    return size;
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
    struct hash h;
    size_t i;

    if (hex.n != 2 * HASH_BYTES)
        return ERR_INVALID;
    for (i = 0; i < HASH_BYTES; i++) {
        int high = nibble(hex.p[2 * i]), low = nibble(hex.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return ERR_INVALID;
        h.bytes[i] = (unsigned char)(high << 4 | low);
    }
    *out = h;
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

const char *hash_git_blob(struct str data, size_t hex_digits, char out[2 * HASH_BYTES + 1])
{
    struct hash h = {{0}};
    char head[40];
    size_t n = (size_t)snprintf(head, sizeof(head), "blob %zu", data.n) + 1;
    SHA256_CTX wide;
    SHA_CTX c;

    if (hex_digits == 64) {
        start(&wide);
        add(&wide, head, n);
        add(&wide, data.p, data.n);
        h = finish(&wide);
    } else if (SHA1_Init(&c) != 1 || SHA1_Update(&c, head, n) != 1 || (data.n && SHA1_Update(&c, data.p, data.n) != 1) ||
               SHA1_Final(h.bytes, &c) != 1) {
        abort();
    }
    hash_hex(&h, out);
    out[hex_digits == 64 ? 64 : 40] = '\0';
    return out;
}
