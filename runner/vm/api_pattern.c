/* SPDX-License-Identifier: Apache-2.0 */
/* string.find, match, gmatch and gsub over the matcher with a budget; the same
 * results as Lua's own. A gsub callback runs inside C, so no gate call is
 * possible in it, and it says so. */
#include "vm/pattern.h"
#include "vm/readonly.h"
#include "vm/sandbox.h"
#include "vm/state.h"

#include <ctype.h>
#include <stdio.h>

/* A start position as Lua counts it -> an offset; beyond the end if there is none. */
static size_t offset_of(lua_Integer init, size_t n)
{
    if (init > 0)
        return (lua_Unsigned)init - 1 > n ? n + 1 : (size_t)init - 1;
    if (init == 0 || init < -(lua_Integer)n)
        return 0;
    return n - (size_t)-init;
}

static void push_capture(struct matcher *m, int i)
{
    const struct capture *c = &m->captures[i];
    if (c->n == CAPTURE_POSITION)
        lua_pushinteger(m->L, c->p - m->subject + 1);
    else
        lua_pushlstring(m->L, c->p, c->n);
}

/* All captures, or the whole match if the pattern has none. Returns how many. */
RAISES static int push_captures(struct matcher *m, const char *from, const char *to)
{
    luaL_checkstack(m->L, m->ncaptures + 1, "too many captures");
    if (m->ncaptures == 0 && from) {
        lua_pushlstring(m->L, from, (size_t)(to - from));
        return 1;
    }
    for (int i = 0; i < m->ncaptures; i++)
        push_capture(m, i);
    return m->ncaptures;
}

/* The first match from `at` on. */
RAISES static const char *search(struct matcher *m, const char **at, bool anchored)
{
    if (anchored)
        return pattern_match(m, *at);
    for (const char *s = *at; (s = pattern_skip(m, s)) != NULL; s++) {
        const char *end = pattern_match(m, s);
        if (end) {
            *at = s;
            return end;
        }
        if (s == m->end)
            break;
    }
    return NULL;
}

RAISES static int find_plain(lua_State *L, const char *s, size_t n, const char *p, size_t np, size_t init)
{
    vm_charge(L, n / 16);
    const char *at = np == 0 ? s + init : memmem(s + init, n - init, p, np);
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - s + 1);
    lua_pushinteger(L, at - s + (lua_Integer)np);
    return 2;
}

RAISES static int find_or_match(lua_State *L, bool find)
{
    size_t n, np;
    const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &np);
    size_t init = offset_of(luaL_optinteger(L, 3, 1), n);
    if (init > n) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || pattern_is_plain(p, np)))
        return find_plain(L, s, n, p, np, init);
    struct matcher m;
    bool anchored = np > 0 && *p == '^';
    pattern_compile(&m, L, p + anchored, np - anchored);
    pattern_subject(&m, s, n);
    const char *at = s + init, *end = search(&m, &at, anchored);
    vm_charge(L, m.steps & 0xffff);
    if (!end) {
        lua_pushnil(L);
        return 1;
    }
    if (!find)
        return push_captures(&m, at, end);
    lua_pushinteger(L, at - s + 1);
    lua_pushinteger(L, end - s);
    return 2 + push_captures(&m, NULL, NULL);
}

RAISES static int str_find(lua_State *L)
{
    return find_or_match(L, true);
}

RAISES static int str_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* upvalues: subject, pattern, offset to go on from, end of the last match or -1 */
RAISES static int gmatch_next(lua_State *L)
{
    size_t n, np;
    const char *s = lua_tolstring(L, lua_upvalueindex(1), &n), *p = lua_tolstring(L, lua_upvalueindex(2), &np);
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    struct matcher m;
    if (from > n)
        return 0;
    pattern_compile(&m, L, p, np);
    pattern_subject(&m, s, n);
    for (const char *at = s + from; at <= m.end; at++) {
        const char *end = search(&m, &at, false);
        if (!end)
            break;
        if (end - s == last)
            continue;
        vm_charge(L, m.steps & 0xffff);
        lua_pushinteger(L, end - s);
        lua_pushvalue(L, -1);
        lua_replace(L, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(&m, at, end);
    }
    vm_charge(L, m.steps & 0xffff);
    lua_pushinteger(L, (lua_Integer)n + 1);
    lua_replace(L, lua_upvalueindex(3));
    return 0;
}

RAISES static int str_gmatch(lua_State *L)
{
    size_t n;
    luaL_checklstring(L, 1, &n);
    luaL_checkstring(L, 2);
    size_t init = offset_of(luaL_optinteger(L, 3, 1), n);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)init);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

RAISES static void add_template(struct matcher *m, luaL_Buffer *b, const char *from, const char *to)
{
    size_t n;
    lua_State *L = m->L;
    const char *p = lua_tolstring(L, 3, &n), *end = p + n;
    for (const char *e; (e = memchr(p, '%', (size_t)(end - p))) != NULL; p = e + 2) {
        luaL_addlstring(b, p, (size_t)(e - p));
        int c = e + 1 < end ? (unsigned char)e[1] : 0;
        int index = c - '1';
        if (c == '%') {
            luaL_addchar(b, '%');
        } else if (c == '0' || (index == 0 && m->ncaptures == 0)) {
            luaL_addlstring(b, from, (size_t)(to - from));
        } else if (!isdigit(c)) {
            vm_fail(L, "invalid use of '%%' in replacement string");
        } else if (index >= m->ncaptures) {
            vm_fail(L, "invalid capture index %%%d in replacement string", index + 1);
        } else {
            push_capture(m, index);
            luaL_tolstring(L, -1, NULL);
            lua_remove(L, -2);
            luaL_addvalue(b);
        }
    }
    luaL_addlstring(b, p, (size_t)(end - p));
}

RAISES static void call_replacement(struct matcher *m, const char *from, const char *to)
{
    lua_State *L = m->L;
    struct branch *b = vm_running(vm_of(L));
    char before[sizeof b->forbid];
    lua_pushvalue(L, 3);
    int n = push_captures(m, from, to);
    if (b) {
        memcpy(before, b->forbid, sizeof before);
        snprintf(b->forbid, sizeof b->forbid, "inside string.gsub");
    }
    lua_callk(L, n, 1, 0, NULL);
    if (b)
        memcpy(vm_running(vm_of(L))->forbid, before, sizeof before);
}

/* Adds what replaces the match from..to; false if it stays as it is. */
RAISES static bool add_replacement(struct matcher *m, luaL_Buffer *b, const char *from, const char *to)
{
    lua_State *L = m->L;
    int type = lua_type(L, 3);
    if (type == LUA_TFUNCTION) {
        call_replacement(m, from, to);
    } else if (type == LUA_TTABLE) {
        if (m->ncaptures)
            push_capture(m, 0);
        else
            lua_pushlstring(L, from, (size_t)(to - from));
        lua_gettable(L, 3);
    } else {
        add_template(m, b, from, to);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(b, from, (size_t)(to - from));
        return false;
    }
    if (!lua_isstring(L, -1))
        vm_fail(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(b);
    return true;
}

RAISES static int str_gsub(lua_State *L)
{
    size_t n, np;
    const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &np);
    int type = lua_type(L, 3);
    luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                     "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)n + 1), count = 0;
    bool anchored = np > 0 && *p == '^', changed = false;
    lua_settop(L, 3);
    readonly_open_at(L, 3);
    struct matcher m;
    pattern_compile(&m, L, p + anchored, np - anchored);
    pattern_subject(&m, s, n);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    const char *at = s, *last = NULL;
    while (count < most) {
        const char *from = at, *end = search(&m, &from, anchored);
        if (end && end == last) {       /* an empty match right behind the last one does not count */
            if (from == m.end)
                break;
            luaL_addlstring(&b, at, (size_t)(from + 1 - at));
            at = from + 1;
        } else if (end) {
            count++;
            luaL_addlstring(&b, at, (size_t)(from - at));
            changed |= add_replacement(&m, &b, from, end);
            at = last = end;
        } else {
            break;
        }
        if (anchored)
            break;
    }
    vm_charge(L, m.steps & 0xffff);
    if (changed) {
        luaL_addlstring(&b, at, (size_t)(m.end - at));
        luaL_pushresult(&b);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, count);
    return 2;
}

const luaL_Reg pattern_string[] = {
    {"find", str_find}, {"match", str_match}, {"gmatch", str_gmatch}, {"gsub", str_gsub}, {NULL, NULL},
};
