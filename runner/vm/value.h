/* SPDX-License-Identifier: Apache-2.0 */
/* Lua values to canonical JSON and back, directly on the stack. Lists carry a
 * private metatable, so an empty list stays a list; null is a sentinel. Encoding
 * never runs Lua code: metamethods are not looked at. */
#ifndef MIDWATCH_VM_VALUE_H
#define MIDWATCH_VM_VALUE_H

#include "base/buf.h"
#include "base/str.h"
#include "vm/vm.h"

#include <lua.h>
#include <stdbool.h>

/* Appends the value at `index` to `out`, at most VALUE_BYTES_MAX bytes of it. `name` begins the
 * path in messages ("args.list[3]: ..."). Sets *lossy if bytes were replaced (never clears it).
 * Returns NULL, or what is wrong: borrowed until the next call. Does not raise except for
 * memory. [-0, +0, m] */
const char *value_encode(lua_State *L, int index, const char *name, struct buf *out, bool *lossy);
/* Pushes the decoded value; returns NULL, or what is wrong (then nothing is pushed). [-0, +(1|0), m] */
const char *value_decode(lua_State *L, struct str json);
/* Pushes the elements of a list, at most `most`; returns as value_decode. [-0, +(n|0), m] */
const char *value_decode_spread(lua_State *L, struct str json, int most);
/* Like value_decode; @0, @1, ... are the records. */
const char *value_decode_argument(lua_State *L, struct str json, const struct vm_record *records, size_t n);
/* The same as value_decode, each table behind a read-only view called `what`. */
const char *value_decode_readonly(lua_State *L, struct str json, const char *what);
void value_open(lua_State *L);
/* Marks the table at the top of the stack as a list. [-0, +0, -] */
void value_mark_array(lua_State *L);
/* True if the value at `index` is a marked list, also behind a view. */
bool value_is_array(lua_State *L, int index);

#endif
