/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas of plugins: "integer >= 0", "string?", {field: schema}, {"list": schema}. */
#ifndef MIDWATCH_PLUGIN_SCHEMA_H
#define MIDWATCH_PLUGIN_SCHEMA_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The names of the types; returns their number. */
size_t schema_types(const char *const **out);
/* "integer >= 0", "string?": the type's name into word, which need not be a known one; false if it is no schema. */
bool schema_parse(const char *text, char word[16], bool *optional);
/* Whether a value is what a schema promises; `where` begins the message ("value[3].name: must be string"). A record
 * has no other fields than the declared ones, and all but the optional ones. */
int schema_fits(const json_t *schema, const json_t *value, const char *where, struct err *e);

#endif
