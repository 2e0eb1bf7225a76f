/* SPDX-License-Identifier: Apache-2.0 */
/* Records whose fields are decoded when they are looked at (vm_record): a table with
 * the record under a private key. What was decoded stays in it as a plain field; once
 * somebody goes through all of them it is a plain table. */
#include "vm/sandbox.h"
#include "vm/state.h"
#include "vm/value.h"

#include <stdlib.h>

static int by_name(const void *name, const void *field)
{
    return strcmp(name, ((const struct vm_field *)field)->name);
}

static const struct vm_record *record_of(lua_State *L, int index)
{
    lua_rawgetp(L, index, vm_key(KEY_FIELDS));
    const struct vm_record *r = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return r;
}

/* Pushes the decoded field. */
RAISES static void push_field(lua_State *L, const struct vm_field *f)
{
    const char *bad = value_decode(L, f->json);
    if (bad)
        luaL_error(L, "field %s: %s", f->name, bad);
}

RAISES static int on_index(lua_State *L)
{
    const struct vm_record *r = record_of(L, 1);
    if (!r || r->n == 0 || lua_type(L, 2) != LUA_TSTRING)
        return 0;
    const struct vm_field *f = bsearch(lua_tostring(L, 2), r->fields, r->n, sizeof *r->fields, by_name);
    if (!f)
        return 0;
    push_field(L, f);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

RAISES static int on_pairs(lua_State *L)
{
    const struct vm_record *r = record_of(L, 1);
    lua_settop(L, 1);
    for (size_t i = 0; i < r->n; i++) {
        lua_pushstring(L, r->fields[i].name);
        if (lua_rawget(L, 1) == LUA_TNIL) {
            push_field(L, &r->fields[i]);
            lua_setfield(L, 1, r->fields[i].name);
        }
        lua_settop(L, 1);
    }
    lua_pushnil(L);
    lua_rawsetp(L, 1, vm_key(KEY_FIELDS));
    lua_pushnil(L);
    lua_setmetatable(L, 1);
    return determinism_pairs(L);
}

void fields_push(lua_State *L, const struct vm_record *r)
{
    lua_createtable(L, 0, 4);
    lua_pushlightuserdata(L, (void *)(uintptr_t)r);
    lua_rawsetp(L, -2, vm_key(KEY_FIELDS));
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_FIELDS)) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 2);
        lua_pushcfunction(L, on_index);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, on_pairs);
        lua_setfield(L, -2, "__pairs");
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_FIELDS));
    }
    lua_setmetatable(L, -2);
}
