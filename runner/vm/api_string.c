/* SPDX-License-Identifier: Apache-2.0 */
/* string, utf8 and tonumber where the stock functions need a guard: rep is
 * bounded, format shows no addresses, and functions that walk a whole subject
 * in C report the work, so that calls in a row cannot hide from the clock. */
#include "vm/sandbox.h"
#include "vm/state.h"
#include "vm/stock.h"

#include "base/limits.h"

RAISES static int str_rep(lua_State *L)
{
    size_t n, nsep;
    const char *s = luaL_checklstring(L, 1, &n);
    lua_Integer count = luaL_checkinteger(L, 2);
    const char *sep = luaL_optlstring(L, 3, "", &nsep);
    if (count <= 0 || n + nsep == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((lua_Unsigned)count > VM_STRING_REP_MAX / (n + nsep) + 1 ||
        (size_t)count * (n + nsep) - nsep > VM_STRING_REP_MAX)
        return vm_fail(L, "string.rep: %lld times %zu bytes is more than %u MiB", (long long)count, n + nsep,
                       VM_STRING_REP_MAX / MIB);
    size_t total = (size_t)count * (n + nsep) - nsep;
    vm_charge(L, total / 16);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, total);
    memcpy(out, s, n);
    if (count > 1)
        memcpy(out + n, sep, nsep);
    for (size_t done = n + nsep; done < total; done *= 2)
        memcpy(out + done, out, done < total - done ? done : total - done);
    luaL_pushresultsize(&b, total);
    return 1;
}

RAISES static int str_format(lua_State *L)
{
    size_t n;
    const char *p = luaL_checklstring(L, 1, &n);
    const char *end = p + n;
    int argument = 1, top = lua_gettop(L);
    while (p < end) {
        if (*p++ != '%')
            continue;
        if (p < end && *p == '%') {
            p++;
            continue;
        }
        argument++;
        p += strspn(p, "-+ #0123456789.");
        if (p < end && *p == 'p')
            return vm_fail(L, "string.format: %%p would show an address; use %%s");
        if (p < end && *p == 's' && argument <= top && lua_type(L, argument) != LUA_TSTRING) {
            determinism_tostring(L, argument, NULL);
            lua_replace(L, argument);
        }
    }
    return stock(STOCK_FORMAT)(L);
}

/* For stock functions that walk their first argument. */
RAISES static int charged(lua_State *L, enum stock_id id)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        vm_charge(L, lua_rawlen(L, 1) / 4);
    return stock(id)(L);
}

RAISES static int base_tonumber(lua_State *L)
{
    return charged(L, STOCK_TONUMBER);
}

RAISES static int utf8_len(lua_State *L)
{
    return charged(L, STOCK_UTF8_LEN);
}

RAISES static int utf8_offset(lua_State *L)
{
    return charged(L, STOCK_OFFSET);
}

const luaL_Reg string_base[] = {{"tonumber", base_tonumber}, {NULL, NULL}};
const luaL_Reg string_string[] = {{"rep", str_rep}, {"format", str_format}, {NULL, NULL}};
const luaL_Reg string_utf8[] = {{"len", utf8_len}, {"offset", utf8_offset}, {NULL, NULL}};
