/* SPDX-License-Identifier: Apache-2.0 */
/* Views (see readonly.h). All views share one metatable; what differs sits in
 * the view under private keys, so a view costs a hundred bytes. */
#include "vm/readonly.h"

#include "vm/state.h"

#include <stdio.h>

#define LISTED_MAX 24   /* fields named in a message */

/* The names in the table at `from`: its string keys, with `elements` also its strings. */
static void collect_names(lua_State *L, int from, struct keys *keys, bool elements)
{
    lua_pushnil(L);
    while (lua_next(L, from)) {
        bool is_key = lua_type(L, -2) == LUA_TSTRING;
        lua_pushvalue(L, is_key ? -2 : -1);
        struct key *k = (is_key || elements) && lua_type(L, -1) == LUA_TSTRING ? keys_add(keys) : NULL;
        if (k)
            keys_read(L, k);
        lua_pop(L, 2);
    }
}

/* Adds the names of the fields, known or there; returns the one nearest to `field`, or NULL. */
static const char *list_fields(lua_State *L, const char *field, struct keys *keys, struct buf *out)
{
    const char *names[LISTED_MAX * 4];
    size_t n = 0;
    keys_reset(keys);
    if (lua_rawgetp(L, 1, vm_key(KEY_NAMES)) == LUA_TTABLE)
        collect_names(L, lua_gettop(L), keys, true);
    else
        collect_names(L, 3, keys, false);
    keys_sort(keys->v, keys->n);
    for (size_t i = 0; i < keys->n; i++) {
        if (n < sizeof names / sizeof names[0])
            names[n++] = keys->v[i].u.s.p;
        if (i < LISTED_MAX) {
            buf_adds(out, i ? ", " : "");
            buf_add(out, keys->v[i].u.s.p, keys->v[i].u.s.n);
        }
    }
    if (keys->n > LISTED_MAX)
        buf_addf(out, ", and %zu more", keys->n - LISTED_MAX);
    if (keys->n == 0)
        buf_adds(out, "nothing");
    keys_reset(keys);
    return strlen(field) > 1 ? str_nearest(str_of(field), names, n) : NULL;
}

static const char *name_of(lua_State *L, int view)
{
    return lua_rawgetp(L, view, vm_key(KEY_WHAT)) == LUA_TSTRING ? lua_tostring(L, -1) : "record";
}

/* True if the string at index 2 is a name that may be absent. */
static bool may_be_absent(lua_State *L)
{
    if (lua_rawgetp(L, 1, vm_key(KEY_NAMES)) != LUA_TTABLE)
        return false;
    int names = lua_gettop(L);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, names) != LUA_TNIL)
        return true;
    for (lua_Integer i = 1; lua_rawgeti(L, names, i) != LUA_TNIL; i++, lua_pop(L, 1))
        if (lua_rawequal(L, -1, 2))
            return true;
    return false;
}

RAISES static int no_field(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const char *field = lua_tostring(L, 2);
    buf_reset(&vm->scratch);
    const char *near = list_fields(L, field, &vm->keys, &vm->scratch);
    return vm_fail(L, "%s has no field '%.80s'%s%.80s%s (has: %.500s)", name_of(L, 1), field,
                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", buf_text(&vm->scratch));
}

RAISES static int on_index(lua_State *L)
{
    if (!readonly_data(L, 1))
        return 0;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, 3) != LUA_TNIL)
        return 1;
    bool has_own = lua_getmetatable(L, 3);
    lua_settop(L, 3);
    if (has_own) {
        lua_pushvalue(L, 2);
        if (lua_gettable(L, 3) != LUA_TNIL)
            return 1;
    }
    if (lua_type(L, 2) == LUA_TSTRING && !may_be_absent(L))
        return no_field(L);
    lua_pushnil(L);
    return 1;
}

RAISES static int on_newindex(lua_State *L)
{
    const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    return vm_fail(L, "%s is read-only: cannot set '%.80s'", name_of(L, 1), field);
}

static int on_len(lua_State *L)
{
    lua_pushinteger(L, readonly_data(L, 1) ? (lua_Integer)lua_rawlen(L, -1) : 0);
    return 1;
}

void readonly_open(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__index", on_index}, {"__newindex", on_newindex}, {"__len", on_len}, {NULL, NULL},
    };
    lua_createtable(L, 0, 4);
    luaL_setfuncs(L, metamethods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    vm_of(L)->mt_readonly = lua_topointer(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_READONLY));
}

void readonly_push(lua_State *L, int index, const char *what)
{
    index = lua_absindex(L, index);
    if (readonly_data(L, index)) {
        lua_pop(L, 1);
        lua_pushvalue(L, index);
        return;
    }
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, index);
    lua_rawsetp(L, -2, vm_key(KEY_DATA));
    lua_pushstring(L, what);
    lua_rawsetp(L, -2, vm_key(KEY_WHAT));
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_READONLY));
    lua_setmetatable(L, -2);
}

void readonly_names(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_rawsetp(L, -2, vm_key(KEY_NAMES));
}

bool readonly_data(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
        return false;
    bool is_view = lua_topointer(L, -1) == vm_of(L)->mt_readonly;
    lua_pop(L, 1);
    if (is_view)
        lua_rawgetp(L, index, vm_key(KEY_DATA));
    return is_view;
}

bool readonly_open_at(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (!readonly_data(L, index))
        return false;
    lua_replace(L, index);
    return true;
}
