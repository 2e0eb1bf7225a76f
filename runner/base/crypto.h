/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, HMAC and hex. */
#ifndef MIDWATCH_BASE_CRYPTO_H
#define MIDWATCH_BASE_CRYPTO_H

#include "base/str.h"

#define HASH_BYTES 32

struct hash {
    unsigned char bytes[HASH_BYTES];
};

struct hash hash_of(struct str data);
/* Hash over the parts, each preceded by its length as 8 bytes little endian, so
 * that ("ab","c") and ("a","bc") differ. */
struct hash hash_parts(const struct str *parts, size_t n);
#define HMAC_BYTES_MAX 64
/* HMAC (RFC 2104) with SHA-256, or with SHA-512 if `wide`. Returns its length. */
size_t hash_hmac(bool wide, struct str key, struct str message, unsigned char mac[HMAC_BYTES_MAX]);
bool hash_eq(const struct hash *a, const struct hash *b);
/* 64 lower-case hex digits and NUL into out. Returns out. */
const char *hash_hex(const struct hash *h, char out[2 * HASH_BYTES + 1]);
/* Exactly 64 lower-case digits, else ERR_INVALID. */
int hash_from_hex(struct str hex, struct hash *out);
/* The id that git gives a file of these bytes: 40 digits (SHA-1), or 64 where hex_digits is 64. Returns out. */
const char *hash_git_blob(struct str data, size_t hex_digits, char out[2 * HASH_BYTES + 1]);
/* Lower-case base32 without padding of the first 20 bytes: keys of effects (32 characters and NUL). */
const char *hash_key(const struct hash *h, char out[33]);

#endif
