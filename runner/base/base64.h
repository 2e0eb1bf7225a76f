/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 of RFC 4648, with padding. */
#ifndef MIDWATCH_BASE_BASE64_H
#define MIDWATCH_BASE_BASE64_H

#include "base/buf.h"
#include "base/str.h"

/* Adds the text of n bytes; where out has room for all of it, in its place. */
void base64_add(struct buf *out, const void *data, size_t n);
/* Adds the bytes that the text stands for. ERR_INVALID, and nothing is added, for anything that base64_add does not write but
 * for bits of the last character that belong to no byte; ERR_LIMIT. */
int base64_read(struct str text, struct buf *out);

#endif
