/* SPDX-License-Identifier: Apache-2.0 */
/* Two environments, built by addition. Trusted modules share one table: base
 * functions, libraries, `host`. Sandboxed code has an empty table in front of
 * KEY_GLOBALS: reading a name that is not there and assigning any global are
 * errors that say what to write. Libraries are one table per state; the sandbox
 * sees them through read-only views, and ("x"):m() finds them through a metatable
 * that cannot be reached. */
#include "vm/sandbox.h"

#include "vm/readonly.h"
#include "vm/state.h"
#include "vm/stock.h"
#include "vm/value.h"

#include <math.h>

static const struct {
    const char *name;
    int fields;                 /* how many there will be: tables are made to measure */
    const luaL_Reg *own[2];
} libraries[] = {
    {"string", 16, {string_string, pattern_string}},
    {"table", 8, {table_table, NULL}},
    {"math", 32, {determinism_math, NULL}},
    {"utf8", 8, {string_utf8, NULL}},
};
enum { NLIBRARIES = sizeof libraries / sizeof libraries[0] };

/* True for a plain table that holds a function: a library, which needs a view. */
static bool is_library(lua_State *L, int index)
{
    if (!lua_istable(L, index))
        return false;
    if (lua_getmetatable(L, index)) {
        lua_pop(L, 1);
        return false;
    }
    bool found = false;
    lua_pushnil(L);
    while (!found && lua_next(L, index)) {
        found = lua_isfunction(L, -1);
        lua_pop(L, found ? 2 : 1);
    }
    return found;
}

/* Sets global `name` to the value at the top, behind a view if it is a library. [-1, +0, m] */
static void set_global(lua_State *L, int globals, const char *name)
{
    int value = lua_gettop(L);
    if (is_library(L, value)) {
        readonly_push(L, value, name);
        lua_replace(L, value);
    }
    lua_pushstring(L, name);
    lua_insert(L, value);
    lua_rawset(L, globals);
}

/* If the global at index 2 is one of host.later, loads its module and pushes its value. */
RAISES static bool load_later(lua_State *L, int globals)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_LATER));
    lua_pushvalue(L, 2);
    if (!lua_rawequal(L, 1, globals) || lua_rawget(L, -2) != LUA_TSTRING)
        return false;
    const char *name = lua_tostring(L, 2);
    loader_push_module(L, lua_tostring(L, -1));
    if (!lua_istable(L, -1))
        return false;
    lua_pushliteral(L, "public");
    if (lua_rawget(L, -2) == LUA_TTABLE)
        lua_getfield(L, -1, name);
    else
        lua_pop(L, 1);
    if (lua_isnil(L, -1))
        return false;
    set_global(L, globals, name);
    lua_pushvalue(L, 2);
    lua_rawget(L, globals);
    return true;
}

RAISES static int no_global(lua_State *L)
{
    char near[128];
    if (lua_type(L, 2) != LUA_TSTRING)
        return vm_fail(L, "no global of that name");
    const char *name = lua_tostring(L, 2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_GLOBALS));
    if (load_later(L, 3))
        return 1;
    vm_suggest(L, 3, name, near, sizeof near);
    if (!*near)
        vm_suggest(L, 4, name, near, sizeof near);
    return vm_fail(L, "no global '%.80s'%s", name, near);
}

/* True if the table at the registry key has the name at index 2. */
static bool has_name(lua_State *L, enum vm_key key)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(key));
    lua_pushvalue(L, 2);
    return lua_rawget(L, -2) != LUA_TNIL;
}

RAISES static int no_assignment(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return vm_fail(L, "globals cannot be assigned: use local");
    const char *name = lua_tostring(L, 2);
    if (has_name(L, KEY_GLOBALS) || has_name(L, KEY_LATER))
        return vm_fail(L, "assign to '%.80s', which is part of the language: use local", name);
    return vm_fail(L, "assign to undeclared '%.80s': use local", name);
}

static void set_math_constants(lua_State *L)
{
    lua_pushnumber(L, 3.141592653589793238462643383279502884);
    lua_setfield(L, -2, "pi");
    lua_pushnumber(L, HUGE_VAL);
    lua_setfield(L, -2, "huge");
    lua_pushinteger(L, LUA_MAXINTEGER);
    lua_setfield(L, -2, "maxinteger");
    lua_pushinteger(L, LUA_MININTEGER);
    lua_setfield(L, -2, "mininteger");
}

static void push_library(lua_State *L, int i)
{
    lua_createtable(L, 0, libraries[i].fields);
    stock_set(L, libraries[i].name);
    for (int k = 0; k < 2 && libraries[i].own[k]; k++)
        luaL_setfuncs(L, libraries[i].own[k], 0);
    if (strcmp(libraries[i].name, "math") == 0)
        set_math_constants(L);
    if (strcmp(libraries[i].name, "utf8") == 0) {
        lua_pushliteral(L, "[\0-\x7F\xC2-\xFD][\x80-\xBF]*");
        lua_setfield(L, -2, "charpattern");
    }
}

static void set_base(lua_State *L)
{
    stock_set(L, "_G");
    luaL_setfuncs(L, determinism_base, 0);
    luaL_setfuncs(L, metatable_base, 0);
    luaL_setfuncs(L, string_base, 0);
    luaL_setfuncs(L, loader_base, 0);
}

/* The trusted environment is at index 1, the sandbox's globals at 2. */
static void set_libraries(lua_State *L)
{
    for (int i = 0; i < NLIBRARIES; i++) {
        push_library(L, i);
        readonly_push(L, -1, libraries[i].name);
        lua_setfield(L, 2, libraries[i].name);
        lua_setfield(L, 1, libraries[i].name);
    }
}

static void seal_strings(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 10);
    stock_set_arithmetic(L);
    lua_getfield(L, 1, "string");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* Pushes the metatable of an environment. [-0, +1, m] */
static void push_strict(lua_State *L, bool sandbox)
{
    lua_createtable(L, 0, 4);
    if (sandbox) {
        lua_pushcfunction(L, no_assignment);
        lua_setfield(L, -2, "__newindex");
        lua_pushvalue(L, 2);
    } else {
        lua_pushcfunction(L, no_global);
    }
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

void sandbox_open(lua_State *L)
{
    value_open(L);
    readonly_open(L);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_MODULES));
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_LATER));
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_THREADS));
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_REQUIRED));

    lua_createtable(L, 0, 24);
    set_base(L);
    lua_createtable(L, 0, 64);
    set_base(L);
    luaL_setfuncs(L, require_base, 0);
    set_libraries(L);
    seal_strings(L);
    lua_createtable(L, 0, 20);
    luaL_setfuncs(L, primitives_host, 0);
    lua_pushlightuserdata(L, vm_key(KEY_NULL));
    lua_setfield(L, -2, "null");
    for (const luaL_Reg *f = pattern_string; f->name; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, -2, f->name);
    }
    lua_setfield(L, 1, "host");

    push_strict(L, false);
    lua_pushvalue(L, -1);
    lua_setmetatable(L, 1);
    lua_setmetatable(L, 2);
    lua_newtable(L);
    push_strict(L, true);
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_SANDBOX));
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_GLOBALS));
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_TRUSTED));
    lua_gc(L, LUA_GCSTOP);
}

/* Fields of the library at `from` go into the library of that name, if there is one. */
static bool extend_library(lua_State *L, int globals, const char *name, int from)
{
    lua_pushstring(L, name);
    lua_rawget(L, globals);
    if (!readonly_data(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    int library = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, from)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, library);
    }
    lua_pop(L, 2);
    return true;
}

/* The name is at index 4, its value at 5. */
static void publish_field(lua_State *L)
{
    const char *name = lua_tostring(L, 4);
    bool is_later = lua_istable(L, 5) && lua_rawgetp(L, 5, vm_key(KEY_LATER)) == LUA_TSTRING;
    if (is_later) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_LATER));
        lua_pushvalue(L, -2);
        lua_setfield(L, -2, name);
        return;
    }
    lua_settop(L, 5);
    if (!is_library(L, 5) || !extend_library(L, 1, name, 5))
        set_global(L, 1, name);
}

int vm_publish(struct vm *vm, const char *name, struct err *e)
{
    lua_State *L = vm->L;
    int rc = 0;
    lua_settop(L, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_GLOBALS));
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_MODULES));
    if (lua_getfield(L, 2, name) != LUA_TTABLE) {
        rc = err_set(e, ERR_INVALID, "module %s: cannot be published, it returned no table", name);
        goto out;
    }
    readonly_open_at(L, 3);
    lua_pushnil(L);
    while (lua_next(L, 3)) {
        if (lua_type(L, 4) != LUA_TSTRING) {
            rc = err_set(e, ERR_INVALID, "module %s: a published name is a %s", name, luaL_typename(L, 4));
            goto out;
        }
        publish_field(L);
        lua_settop(L, 4);
    }
out:
    lua_settop(L, 0);
    return rc;
}

int vm_set_global(struct vm *vm, const char *name, struct str json, struct err *e)
{
    lua_State *L = vm->L;
    lua_settop(L, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_GLOBALS));
    lua_pushstring(L, name);
    const char *bad = value_decode_readonly(L, json, name);
    if (bad)
        err_set(e, ERR_INVALID, "global %s: %s", name, bad);
    else
        lua_rawset(L, 1);
    lua_settop(L, 0);
    return bad ? ERR_INVALID : 0;
}
