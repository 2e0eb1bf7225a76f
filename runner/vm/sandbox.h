/* SPDX-License-Identifier: Apache-2.0 */
/* The environment, by addition: each file contributes the functions of its idea,
 * sandbox.c puts them together. Nothing else is reachable. */
#ifndef MIDWATCH_VM_SANDBOX_H
#define MIDWATCH_VM_SANDBOX_H

#include "vm/vm.h"

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

/* Fills a new state: registry tables, both environments, the string metatable. */
void sandbox_open(lua_State *L);

extern const luaL_Reg determinism_base[];   /* determinism.c: next pairs ipairs tostring */
extern const luaL_Reg determinism_math[];   /* random */
extern const luaL_Reg metatable_base[];     /* metatable.c: setmetatable rawset rawget rawlen */
extern const luaL_Reg loader_base[];        /* loader.c: load */
extern const luaL_Reg require_base[];       /* require.c: require; for the sandbox only */
extern const luaL_Reg string_base[];        /* api_string.c: tonumber */
extern const luaL_Reg string_string[];
extern const luaL_Reg string_utf8[];
extern const luaL_Reg pattern_string[];     /* api_pattern.c: find match gmatch gsub */
extern const luaL_Reg table_table[];        /* api_table.c */
extern const luaL_Reg primitives_host[];    /* primitives.c: the host table */

/* metatable.c: proxy(mt): an empty table with this metatable, which no rawset of a script writes. */
int metatable_proxy(lua_State *L);
/* determinism.c: a table that holds its keys weakly; it is looked up, never iterated. [-0, +1, m] */
void determinism_weak(lua_State *L);
/* determinism.c: pairs in a sorted order. */
int determinism_pairs(lua_State *L);
/* fields.c: pushes the record. [-0, +1, m] */
void fields_push(lua_State *L, const struct vm_record *r);
/* determinism.c: raw iteration for trusted modules, without private keys. */
int determinism_rawnext(lua_State *L);
/* Pushes the text of any value without addresses; may call __tostring. [-0, +1, e] */
const char *determinism_tostring(lua_State *L, int index, size_t *len);

#endif
