/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed metatables. setmetatable(t, mt) copies the allowed metamethods of mt
 * into a private table that no script ever holds, so __gc, __mode and __close
 * cannot be added afterwards, and __metatable = false hides it. The copy is kept
 * in mt under a private key and used again while mt's metamethods are the same.
 * Differences to Lua: set metamethods before setmetatable, and there is no __concat.
 * Lua 5.4.4 as Debian has it (0005-cve-2022-33099.patch, in luaV_concat) remembers
 * where the stack was and goes on there; if the metamethod, or the collector under
 * it, has moved the stack, that is freed memory, which any script could bring about.
 * The call alone may move it, so no form of metamethod is safe. Symbols are joined
 * by the checked form of the code (lua/instrument.lua) instead. */
#include "vm/readonly.h"
#include "vm/sandbox.h"
#include "vm/state.h"

static const char *const allowed[] = {
    "__index", "__newindex", "__call", "__tostring", "__len", "__eq", "__lt", "__le", "__pairs",
    "__add", "__sub", "__mul", "__div", "__mod", "__pow", "__unm", "__idiv",
    "__band", "__bor", "__bxor", "__shl", "__shr", "__bnot", "__name",
};
enum { NALLOWED = sizeof allowed / sizeof allowed[0] };

/* Pushes field `name` of the metatable at index 2 as it may be used. */
static void push_metamethod(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    int type = lua_rawget(L, 2);
    if (name[2] == 'n' && name[3] == 'a' && type != LUA_TSTRING) {  /* __name */
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}

/* True if the sealed table at index 3 says what the metatable at index 2 says now. */
static bool is_current(lua_State *L)
{
    for (int i = 0; i < NALLOWED; i++) {
        push_metamethod(L, allowed[i]);
        lua_pushstring(L, allowed[i]);
        lua_rawget(L, 3);
        bool same = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (!same)
            return false;
    }
    return true;
}

RAISES static void push_sealed(lua_State *L)
{
    lua_createtable(L, 0, 4);
    for (int i = 0; i < NALLOWED; i++) {
        push_metamethod(L, allowed[i]);
        if (lua_isnil(L, -1))
            lua_pop(L, 1);
        else
            lua_setfield(L, -2, allowed[i]);
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, 2, vm_key(KEY_SEALED));
}

RAISES static int base_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    lua_settop(L, 2);
    if (lua_getmetatable(L, 1))
        return vm_fail(L, "setmetatable: the table has a metatable, which cannot be changed");
    if (lua_isnil(L, 2)) {
        lua_settop(L, 1);
        return 1;
    }
    readonly_open_at(L, 2);
    if (lua_rawgetp(L, 2, vm_key(KEY_SEALED)) != LUA_TTABLE || !is_current(L)) {
        lua_settop(L, 2);
        push_sealed(L);
    }
    lua_setmetatable(L, 1);
    lua_settop(L, 1);
    return 1;
}

int metatable_proxy(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_newtable(L);
    lua_insert(L, 1);
    base_setmetatable(L);
    lua_getmetatable(L, 1);
    lua_pushboolean(L, 1);
    lua_rawsetp(L, 2, vm_key(KEY_PROXY));
    lua_settop(L, 1);
    return 1;
}

/* Writing behind a view, a proxy or the globals would undo what they promise. */
RAISES static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (lua_getmetatable(L, 1)) {
        const void *mt = lua_topointer(L, -1);
        struct vm *vm = vm_of(L);
        lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_SANDBOX));
        if (mt == vm->mt_readonly || lua_rawequal(L, -1, 1) || lua_rawgetp(L, 4, vm_key(KEY_PROXY)) != LUA_TNIL)
            return vm_fail(L, "rawset: the table is read-only");
    }
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

RAISES static int base_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    readonly_open_at(L, 1);
    lua_rawget(L, 1);
    return 1;
}

RAISES static int base_rawlen(lua_State *L)
{
    int type = lua_type(L, 1);
    luaL_argexpected(L, type == LUA_TTABLE || type == LUA_TSTRING, 1, "table or string");
    readonly_open_at(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

const luaL_Reg metatable_base[] = {
    {"setmetatable", base_setmetatable},
    {"rawset", base_rawset},
    {"rawget", base_rawget},
    {"rawlen", base_rawlen},
    {NULL, NULL},
};
