/* SPDX-License-Identifier: Apache-2.0 */
/* Read-only, strict views: an empty table whose metatable forwards to a table
 * that only the host can name. Reading a field that is not there is an error
 * that lists the fields there are. pairs, ipairs, #, next, concat, unpack and
 * the encoder look through the view. */
#ifndef MIDWATCH_VM_READONLY_H
#define MIDWATCH_VM_READONLY_H

#include <lua.h>
#include <stdbool.h>

void readonly_open(lua_State *L);
/* Pushes a view of the table at `index`; `what` is its name in messages. A view of a view is the view. [-0, +1, m] */
void readonly_push(lua_State *L, int index, const char *what);
/* Gives the view at the top of the stack the names that read as nil while they have no value: the
 * string keys, or the elements, of the table at `index`. [-0, +0, m] */
void readonly_names(lua_State *L, int index);
/* If the value at `index` is a view, pushes the table behind it. [-0, +(0|1), -] */
bool readonly_data(lua_State *L, int index);
/* The same, but the table takes the place of the view in the stack. [-0, +0, -] */
bool readonly_open_at(lua_State *L, int index);

#endif
