/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas of plugins: "integer >= 0", "string?", one of "up|down?", {field: schema}, {"list": schema}. */
#ifndef MIDWATCH_PLUGIN_SCHEMA_H
#define MIDWATCH_PLUGIN_SCHEMA_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The names of the types; returns their number. */
size_t schema_types(const char *const **out);
/* "integer >= 0", "string?": the type's name into word, which need not be a known one; false if it is no schema. */
bool schema_parse(const char *text, char word[16], bool *optional);
/* "up|down|unknown", "up|down?": a text that is one of these words. For answers, not for parameters. */
bool schema_is_enum(const char *text);
/* Whether a value is what a schema promises; `where` begins the message ("value[3].name must be string"), the hint has
 * the nearest name. A record has no other fields than the declared ones, and all but the optional ones. */
int schema_fits(const json_t *schema, const json_t *value, const char *where, struct err *e);

#define FAULT_MAX 256
/* The same for the answer of a read with its declaration and arguments: fields that `known` lists may be missing, fields
 * that an argument names may be anything. partial: records need not be whole. The way to the spot
 * that is wrong goes to path (as yaml_at takes it; FAULT_MAX bytes, or NULL). */
int schema_answer(const json_t *read, const json_t *args, const json_t *value, bool partial, const char *where, char *path,
                  struct err *e);
/* Whether an argument names the fields of the answer. */
bool schema_names_fields(const json_t *read);
/* True if the canonical text of an answer is seen to fit at a glance: a scalar, by its first byte. The hot path; what it does not
 * know it leaves to schema_answer. */
bool schema_scalar(const json_t *read, struct str value);

#endif
