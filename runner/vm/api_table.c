/* SPDX-License-Identifier: Apache-2.0 */
/* table: the stock functions behind guards. They are C loops that no hook
 * interrupts, so the table must be plain (or a marked array), and every index
 * at most VM_INDEX_MAX. concat and unpack also look through read-only views. */
#include "vm/readonly.h"
#include "vm/sandbox.h"
#include "vm/state.h"
#include "vm/stock.h"

#include "base/limits.h"

RAISES static void check_plain(lua_State *L, int index, const char *name)
{
    luaL_checktype(L, index, LUA_TTABLE);
    if (!lua_getmetatable(L, index))
        return;
    const void *mt = lua_topointer(L, -1);
    lua_pop(L, 1);
    struct vm *vm = vm_of(L);
    if (mt == vm->mt_readonly)
        vm_fail(L, "table.%s: the table is read-only", name);
    if (mt != vm->mt_array)
        vm_fail(L, "table.%s: the table has a metatable; it works on plain tables only", name);
}

RAISES static void check_index(lua_State *L, lua_Integer i, const char *name)
{
    if (i > (lua_Integer)VM_INDEX_MAX || i < -(lua_Integer)VM_INDEX_MAX)
        vm_fail(L, "table.%s: index %lld is beyond %d", name, (long long)i, VM_INDEX_MAX);
}

/* The length of the list at `index`, checked. */
RAISES static lua_Integer length_of(lua_State *L, int index, const char *name)
{
    lua_Unsigned n = lua_rawlen(L, index);
    if (n > VM_INDEX_MAX)
        vm_fail(L, "table.%s: the list is longer than %d", name, VM_INDEX_MAX);
    return (lua_Integer)n;
}

RAISES static int table_insert(lua_State *L)
{
    check_plain(L, 1, "insert");
    lua_Integer n = length_of(L, 1, "insert");
    vm_charge(L, lua_gettop(L) > 2 ? (size_t)n : 1);
    return stock(STOCK_INSERT)(L);
}

RAISES static int table_remove(lua_State *L)
{
    check_plain(L, 1, "remove");
    lua_Integer n = length_of(L, 1, "remove");
    vm_charge(L, lua_gettop(L) > 1 ? (size_t)n : 1);
    return stock(STOCK_REMOVE)(L);
}

RAISES static int table_move(lua_State *L)
{
    readonly_open_at(L, 1);
    check_plain(L, 1, "move");
    if (!lua_isnoneornil(L, 5))
        check_plain(L, 5, "move");
    lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
    check_index(L, from, "move");
    check_index(L, to, "move");
    check_index(L, luaL_checkinteger(L, 4), "move");
    vm_charge(L, to > from ? (size_t)(to - from) : 1);
    return stock(STOCK_MOVE)(L);
}

RAISES static int table_concat(lua_State *L)
{
    if (!readonly_open_at(L, 1))
        check_plain(L, 1, "concat");
    lua_Integer from = luaL_optinteger(L, 3, 1);
    lua_Integer to = lua_isnoneornil(L, 4) ? length_of(L, 1, "concat") : luaL_checkinteger(L, 4);
    check_index(L, from, "concat");
    check_index(L, to, "concat");
    vm_charge(L, to > from ? (size_t)(to - from) : 1);
    return stock(STOCK_CONCAT)(L);
}

RAISES static int table_unpack(lua_State *L)
{
    if (!readonly_open_at(L, 1))
        check_plain(L, 1, "unpack");
    lua_Integer from = luaL_optinteger(L, 2, 1);
    lua_Integer to = lua_isnoneornil(L, 3) ? length_of(L, 1, "unpack") : luaL_checkinteger(L, 3);
    check_index(L, from, "unpack");
    check_index(L, to, "unpack");
    vm_charge(L, to > from ? (size_t)(to - from) : 1);
    return stock(STOCK_UNPACK)(L);
}

const luaL_Reg table_table[] = {
    {"concat", table_concat}, {"insert", table_insert}, {"move", table_move},
    {"remove", table_remove}, {"unpack", table_unpack}, {NULL, NULL},
};
