/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in C. Two kinds: documents of other systems are read with jansson under
 * limits; canonical JSON (DESIGN section 4: keys sorted by bytes, no spaces,
 * shortest numbers that read back equal, integers stay integers, bad UTF-8 as
 * U+FFFD) is what the journal stores and hashes. vm/value writes the same form
 * from the Lua stack with the json_add_ functions below, so there is one
 * spelling of every value. */
#ifndef MIDWATCH_BASE_JSON_H
#define MIDWATCH_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A quoted string; returns true if bytes were replaced (the value is lossy). */
bool json_add_string(struct buf *out, const char *s, size_t n);
void json_add_int(struct buf *out, int64_t v);
/* Finite only: 3.0 is written "3.0" so that floats stay floats. Returns ERR_INVALID for NaN and infinity. */
int json_add_double(struct buf *out, double v);
/* Writes `v` canonically; NULL is null. ERR_INVALID for a number that is not finite, ERR_LIMIT
 * if the buffer is full or `v` is nested deeper than JSON_DEPTH_MAX; `out` is then half written. */
int json_add_value(struct buf *out, const json_t *v);

/* Reads one document: at most JSON_DEPTH_MAX deep and JSON_NODES_MAX values (ERR_LIMIT), no
 * duplicate keys, nothing behind it, integers of 64 bits, finite numbers, well-formed UTF-8
 * without BOM (ERR_INVALID). *out is a new reference, set only on success. */
int json_read(struct str text, json_t **out, struct err *e);

/* Adds the text that a JSON string stands for; of anything else nothing. */
void json_add_text(struct buf *out, struct str json);

/* Field access without surprises: the default if absent or of another type. Borrowed. */
const char *json_get_string(const json_t *o, const char *key, const char *absent);
int64_t json_get_int(const json_t *o, const char *key, int64_t absent);
bool json_get_bool(const json_t *o, const char *key, bool absent);

/* An object writer for payloads built in C. Keys must be added in ascending byte order
 * (asserted), so that the result is canonical. */
struct json_object {
    struct buf *out;
    const char *last_key;
};
void json_open(struct json_object *o, struct buf *out);
void json_put_string(struct json_object *o, const char *key, struct str v);
void json_put_int(struct json_object *o, const char *key, int64_t v);
void json_put_bool(struct json_object *o, const char *key, bool v);
/* v as json_add_value writes it: what was read, or packed here, never fails but for the size of the buffer. */
void json_put_value(struct json_object *o, const char *key, const json_t *v);
/* v is canonical JSON already; an empty v is written as null. */
void json_put_raw(struct json_object *o, const char *key, struct str v);
void json_close(struct json_object *o);

#endif
