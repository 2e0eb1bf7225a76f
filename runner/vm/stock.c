/* SPDX-License-Identifier: Apache-2.0 */
/* Taking C functions out of a scratch state (see stock.h). What is not listed
 * cannot be reached; what is listed with `guarded` is only called by our own
 * function of that name. None of these functions has upvalues. */
#include "vm/stock.h"

#include "base/buf.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

static const struct {
    const char *library, *name;
    bool guarded;
} wanted[STOCK_COUNT] = {
    [STOCK_ASSERT] = {"_G", "assert", false},
    [STOCK_ERROR] = {"_G", "error", false},
    [STOCK_GETMETATABLE] = {"_G", "getmetatable", false},
    [STOCK_RAWEQUAL] = {"_G", "rawequal", false},
    [STOCK_SELECT] = {"_G", "select", false},
    [STOCK_TONUMBER] = {"_G", "tonumber", true},
    [STOCK_TYPE] = {"_G", "type", false},
    [STOCK_RAWSET] = {"_G", "rawset", true},
    [STOCK_BYTE] = {"string", "byte", false},
    [STOCK_CHAR] = {"string", "char", false},
    [STOCK_FORMAT] = {"string", "format", true},
    [STOCK_LEN] = {"string", "len", false},
    [STOCK_LOWER] = {"string", "lower", false},
    [STOCK_REVERSE] = {"string", "reverse", false},
    [STOCK_SUB] = {"string", "sub", false},
    [STOCK_UPPER] = {"string", "upper", false},
    [STOCK_CONCAT] = {"table", "concat", true},
    [STOCK_INSERT] = {"table", "insert", true},
    [STOCK_MOVE] = {"table", "move", true},
    [STOCK_PACK] = {"table", "pack", false},
    [STOCK_REMOVE] = {"table", "remove", true},
    [STOCK_UNPACK] = {"table", "unpack", true},
    [STOCK_ABS] = {"math", "abs", false},
    [STOCK_ACOS] = {"math", "acos", false},
    [STOCK_ASIN] = {"math", "asin", false},
    [STOCK_ATAN] = {"math", "atan", false},
    [STOCK_CEIL] = {"math", "ceil", false},
    [STOCK_COS] = {"math", "cos", false},
    [STOCK_DEG] = {"math", "deg", false},
    [STOCK_EXP] = {"math", "exp", false},
    [STOCK_FLOOR] = {"math", "floor", false},
    [STOCK_FMOD] = {"math", "fmod", false},
    [STOCK_LOG] = {"math", "log", false},
    [STOCK_MAX] = {"math", "max", false},
    [STOCK_MIN] = {"math", "min", false},
    [STOCK_MODF] = {"math", "modf", false},
    [STOCK_RAD] = {"math", "rad", false},
    [STOCK_SIN] = {"math", "sin", false},
    [STOCK_SQRT] = {"math", "sqrt", false},
    [STOCK_TAN] = {"math", "tan", false},
    [STOCK_TOINTEGER] = {"math", "tointeger", false},
    [STOCK_MATH_TYPE] = {"math", "type", false},
    [STOCK_ULT] = {"math", "ult", false},
    [STOCK_UTF8_CHAR] = {"utf8", "char", false},
    [STOCK_CODEPOINT] = {"utf8", "codepoint", false},
    [STOCK_CODES] = {"utf8", "codes", false},
    [STOCK_UTF8_LEN] = {"utf8", "len", true},
    [STOCK_OFFSET] = {"utf8", "offset", true},
};

static const char *const arithmetic[] = {
    "__add", "__sub", "__mul", "__mod", "__pow", "__div", "__idiv", "__unm",
};
enum { NARITHMETIC = sizeof arithmetic / sizeof arithmetic[0] };

static lua_CFunction taken[STOCK_COUNT];
static lua_CFunction taken_arithmetic[NARITHMETIC];
static once_flag once = ONCE_FLAG_INIT;

static void *allocate(void *ud, void *block, size_t old_size, size_t size)
{
    (void)ud;
    (void)old_size;
    if (size > 0 && !(block = realloc(block, size)))
        out_of_memory();
    if (size > 0)
        return block;
    free(block);
    return NULL;
}

static void take_all(void)
{
    lua_State *L = lua_newstate(allocate, NULL);
    if (!L)
        out_of_memory();
    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "string", luaopen_string, 1);
    luaL_requiref(L, "table", luaopen_table, 1);
    luaL_requiref(L, "math", luaopen_math, 1);
    luaL_requiref(L, "utf8", luaopen_utf8, 1);
    for (int i = 0; i < STOCK_COUNT; i++) {
        lua_getglobal(L, wanted[i].library);
        lua_getfield(L, -1, wanted[i].name);
        taken[i] = lua_tocfunction(L, -1);
        if (!taken[i])
            abort();
        lua_settop(L, 0);
    }
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    for (int i = 0; i < NARITHMETIC; i++) {
        lua_getfield(L, 2, arithmetic[i]);
        taken_arithmetic[i] = lua_tocfunction(L, -1);
        if (!taken_arithmetic[i])
            abort();
        lua_settop(L, 2);
    }
    lua_close(L);
}

lua_CFunction stock(enum stock_id id)
{
    return taken[id];
}

void stock_set(lua_State *L, const char *library)
{
    call_once(&once, take_all);
    for (int i = 0; i < STOCK_COUNT; i++) {
        if (wanted[i].guarded || strcmp(wanted[i].library, library) != 0)
            continue;
        lua_pushcfunction(L, taken[i]);
        lua_setfield(L, -2, wanted[i].name);
    }
}

void stock_set_arithmetic(lua_State *L)
{
    for (int i = 0; i < NARITHMETIC; i++) {
        lua_pushcfunction(L, taken_arithmetic[i]);
        lua_setfield(L, -2, arithmetic[i]);
    }
}
