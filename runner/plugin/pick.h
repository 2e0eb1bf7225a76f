/* SPDX-License-Identifier: Apache-2.0 */
/* What a body keeps of an answer: large documents of other systems are cut down here, so that only what
 * was asked for is ever seen by Lua. Nulls are dropped: in these documents null is absent. */
#ifndef MIDWATCH_PLUGIN_PICK_H
#define MIDWATCH_PLUGIN_PICK_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>

/* Bytes of somebody else as a JSON string; what is not UTF-8 becomes U+FFFD. */
json_t *pick_text(struct str s);
/* One page of a list: {"continue", "rows": [{name: value}], "version"} out of {"items": [...], "metadata": {...}}.
 * `fields` maps names to paths into an item; what an item does not have is left out of its row. A path is keys
 * with dots between them; key[] goes into every element of a list and gives a list, key[] at the end the list
 * itself; key[k=v] is the first element whose k is v; ["a.b/c"] is a key of other letters.
 * ERR_INVALID: no JSON, no list, no path. */
int pick_list(struct str body, const json_t *fields, json_t **out, struct err *e);
/* One document without nulls and metadata.managedFields. ERR_INVALID: no JSON object. */
int pick_object(struct str body, json_t **out, struct err *e);
/* Lines of a text: {"bytes": n, "lines": [...], "matched": n, "total": n}. how: {"match": POSIX extended expression searched for in
 * each line, or absent; "at_most": keep the last so many of those that match}. ERR_INVALID: the expression is none. */
int pick_lines(struct str body, const json_t *how, json_t **out, struct err *e);

#endif
