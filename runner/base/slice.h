/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of canonical JSON without parsing it: the journal's hot path looks at
 * one or two fields of documents that this program wrote itself. */
#ifndef MIDWATCH_BASE_SLICE_H
#define MIDWATCH_BASE_SLICE_H

#include "base/str.h"

/* The raw text of the value under key of a canonical object; empty if there is none. Borrowed. */
struct str json_slice(struct str object, const char *key);
/* The same as an integer, or `absent`. */
int64_t json_slice_int(struct str object, const char *key, int64_t absent);

#endif
