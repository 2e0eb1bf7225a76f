/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the distribution's Lua libraries that the sandbox uses, by
 * name. Their libraries are never opened in a run's state: a scratch state is
 * opened once per process, and what is listed here is taken from it. */
#ifndef MIDWATCH_VM_STOCK_H
#define MIDWATCH_VM_STOCK_H

#include <lua.h>

enum stock_id {
    STOCK_ASSERT, STOCK_ERROR, STOCK_GETMETATABLE, STOCK_RAWEQUAL, STOCK_SELECT, STOCK_TONUMBER, STOCK_TYPE,
    STOCK_RAWSET,
    STOCK_BYTE, STOCK_CHAR, STOCK_FORMAT, STOCK_LEN, STOCK_LOWER, STOCK_REVERSE, STOCK_SUB, STOCK_UPPER,
    STOCK_CONCAT, STOCK_INSERT, STOCK_MOVE, STOCK_PACK, STOCK_REMOVE, STOCK_UNPACK,
    STOCK_ABS, STOCK_ACOS, STOCK_ASIN, STOCK_ATAN, STOCK_CEIL, STOCK_COS, STOCK_DEG, STOCK_EXP, STOCK_FLOOR,
    STOCK_FMOD, STOCK_LOG, STOCK_MAX, STOCK_MIN, STOCK_MODF, STOCK_RAD, STOCK_SIN, STOCK_SQRT, STOCK_TAN,
    STOCK_TOINTEGER, STOCK_MATH_TYPE, STOCK_ULT,
    STOCK_UTF8_CHAR, STOCK_CODEPOINT, STOCK_CODES, STOCK_UTF8_LEN, STOCK_OFFSET,
    STOCK_COUNT
};

lua_CFunction stock(enum stock_id id);
/* Sets the functions of `library` ("_G", "string", "table", "math", "utf8") that need no guard
 * in the table at the top of the stack. [-0, +0, m] */
void stock_set(lua_State *L, const char *library);
/* The arithmetic of strings ("10" + 1), for the string metatable. [-0, +0, m] */
void stock_set_arithmetic(lua_State *L);

#endif
