/* SPDX-License-Identifier: Apache-2.0 */
/* No hidden input: iteration in key order, text without addresses, random
 * numbers from the run's seed. The order of Lua's own tables depends on a seed
 * of time and addresses; nothing here lets it through. `next` answers only with
 * the first key, as the question whether a table is empty. */
#include "vm/readonly.h"
#include "vm/sandbox.h"
#include "vm/state.h"

#include <math.h>

/* True for keys that a metatable keeps its sealed copy under. */
static bool is_private(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == vm_key(KEY_SEALED);
}

RAISES static void unordered(lua_State *L, const char *what)
{
    vm_fail(L, "%s: unordered key: a %s cannot be put in order (only numbers, strings and booleans)", what,
            luaL_typename(L, -1));
}

/* upvalues: table, its length, position */
static int next_of_list(lua_State *L)
{
    lua_Integer n = lua_tointeger(L, lua_upvalueindex(2));
    for (lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1; i <= n; i++) {
        if (lua_rawgeti(L, lua_upvalueindex(1), i) != LUA_TNIL) {
            lua_pushinteger(L, i);
            lua_pushvalue(L, -1);
            lua_replace(L, lua_upvalueindex(3));
            lua_insert(L, -2);
            return 2;
        }
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    return 1;
}

/* upvalues: table, sorted keys, position */
static int next_of_keys(lua_State *L)
{
    for (lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1;; i++) {
        if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL)
            return 1;
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
            lua_pushinteger(L, i);
            lua_replace(L, lua_upvalueindex(3));
            return 2;
        }
        lua_pop(L, 2);
    }
}

RAISES static struct key *add_key(lua_State *L, struct keys *keys)
{
    struct key *k = keys_add(keys);
    if (!k)
        vm_fail(L, "pairs: more than %u keys", KEYS_MAX);
    return k;
}

/* Reads the keys of the table at index 1. Returns n >= 0 if they are just 1..n in that order,
 * else -1 with the keys in `keys`. */
RAISES static lua_Integer collect(lua_State *L, struct keys *keys)
{
    lua_Integer listed = 0;
    bool is_list = true;
    keys_reset(keys);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        if (is_private(L, -1))
            continue;
        if (is_list && lua_isinteger(L, -1) && lua_tointeger(L, -1) == listed + 1) {
            listed++;
            continue;
        }
        for (lua_Integer i = 1; is_list && i <= listed; i++)
            *add_key(L, keys) = (struct key){.kind = KEY_INTEGER, .u.i = i};
        is_list = false;
        if (!keys_read(L, add_key(L, keys)))
            unordered(L, "pairs");
    }
    vm_charge(L, 4 * (size_t)listed + 16 * keys->n);
    return is_list ? listed : -1;
}

/* What is in a weak table depends on the collector, except for who has the key. */
RAISES static void check_not_weak(lua_State *L, int index, const char *what)
{
    if (!lua_getmetatable(L, index))
        return;
    if (lua_topointer(L, -1) == vm_of(L)->mt_weak)
        luaL_error(L, "%s: a weak table is only looked up", what);
    lua_pop(L, 1);
}

static int pairs_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 3;
}

RAISES int determinism_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!readonly_open_at(L, 1) && luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_callk(L, 1, 3, 0, pairs_k);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    check_not_weak(L, 1, "pairs");
    struct keys *keys = &vm_of(L)->keys;
    lua_Integer listed = collect(L, keys);
    if (listed >= 0) {
        lua_pushinteger(L, listed);
        lua_pushinteger(L, 0);
        lua_pushcclosure(L, next_of_list, 3);
        return 1;
    }
    keys_sort(keys->v, keys->n);
    lua_createtable(L, (int)keys->n, 0);
    for (size_t i = 0; i < keys->n; i++) {
        keys_push(L, &keys->v[i]);
        lua_rawseti(L, 2, (lua_Integer)i + 1);
    }
    keys_reset(keys);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_of_keys, 3);
    return 1;
}

RAISES static int base_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnoneornil(L, 2))
        return vm_fail(L, "next(t, key): tables have no order of their own; use pairs, or next(t) == nil");
    lua_settop(L, 1);
    readonly_open_at(L, 1);
    check_not_weak(L, 1, "next");
    struct key pair[2];
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        if (is_private(L, -1))
            continue;
        if (!keys_read(L, &pair[n]))
            unordered(L, "next");
        if (n == 1)
            keys_sort(pair, 2);
        n = 1;
        vm_charge(L, 1);
    }
    if (n == 0) {
        lua_pushnil(L);
        return 1;
    }
    keys_push(L, &pair[0]);
    lua_pushvalue(L, -1);
    lua_rawget(L, 1);
    return 2;
}

static int ipairs_next(lua_State *L)
{
    lua_Integer i = luaL_checkinteger(L, 2) + 1;
    lua_pushinteger(L, i);
    return lua_geti(L, 1, i) == LUA_TNIL ? 1 : 2;
}

RAISES static int base_ipairs(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    readonly_open_at(L, 1);
    lua_pushcfunction(L, ipairs_next);
    lua_insert(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

void determinism_weak(lua_State *L)
{
    lua_createtable(L, 0, 4);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_WEAK)) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "k");
        lua_setfield(L, -2, "__mode");
        vm_of(L)->mt_weak = lua_topointer(L, -1);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_WEAK));
    }
    lua_setmetatable(L, -2);
}

/* The number of an object in this run: counted, so it says "the same one" without an address. */
static lua_Integer id_of(lua_State *L, int index)
{
    struct vm *vm = vm_of(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_IDS)) != LUA_TTABLE) {
        lua_pop(L, 1);
        determinism_weak(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_IDS));
    }
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushvalue(L, index);
        lua_pushinteger(L, ++vm->last_id);
        lua_rawset(L, -3);
        lua_pushinteger(L, vm->last_id);
    }
    lua_Integer id = lua_tointeger(L, -1);
    lua_pop(L, 2);
    return id;
}

static void push_object(lua_State *L, int index)
{
    const char *name = luaL_typename(L, index);
    int top = lua_gettop(L);
    if (lua_islightuserdata(L, index)) {
        lua_pushstring(L, lua_touserdata(L, index) == vm_key(KEY_NULL) ? "null" : "userdata");
        return;
    }
    if (readonly_data(L, index)) {
        if (lua_rawgetp(L, index, vm_key(KEY_WHAT)) == LUA_TSTRING)
            name = lua_tostring(L, -1);
    } else if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
        name = lua_tostring(L, -1);
    }
    lua_pushfstring(L, "%s: #%I", name, (LUAI_UACINT)id_of(L, index));
    lua_insert(L, top + 1);
    lua_settop(L, top + 1);
}

/* Text of a value that has no __tostring. [-0, +1, m] */
static void push_plain(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        lua_pushvalue(L, index);
        break;
    case LUA_TNUMBER:
        if (!lua_isinteger(L, index) && isnan(lua_tonumber(L, index))) {
            lua_pushliteral(L, "nan");      /* its sign depends on the machine */
            break;
        }
        lua_pushvalue(L, index);
        lua_tolstring(L, -1, NULL);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TNIL:
        lua_pushliteral(L, "nil");
        break;
    default:
        push_object(L, index);
        break;
    }
}

static int tostring_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    if (lua_type(L, -1) != LUA_TSTRING)
        return vm_fail(L, "'__tostring' must return a string");
    return 1;
}

RAISES static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_callk(L, 1, 1, 0, tostring_k);
        return tostring_k(L, LUA_OK, 0);
    }
    push_plain(L, 1);
    return 1;
}

const char *determinism_tostring(lua_State *L, int index, size_t *len)
{
    index = lua_absindex(L, index);
    if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
        lua_pushvalue(L, index);
        lua_callk(L, 1, 1, 0, NULL);
        tostring_k(L, LUA_OK, 0);
    } else {
        push_plain(L, index);
    }
    return lua_tolstring(L, -1, len);
}

int determinism_rawnext(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    readonly_open_at(L, 1);
    check_not_weak(L, 1, "host.rawpairs");
    while (lua_next(L, 1)) {
        if (!is_private(L, -2))
            return 2;
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    return 1;
}

static uint64_t rotate(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

/* xoshiro256** */
static uint64_t random_bits(uint64_t s[4])
{
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

RAISES static int math_random(lua_State *L)
{
    uint64_t *state = vm_of(L)->random;
    lua_Integer low = 1, high = 0;
    switch (lua_gettop(L)) {
    case 0:
        lua_pushnumber(L, (lua_Number)(random_bits(state) >> 11) * 0x1p-53);
        return 1;
    case 1:
        high = luaL_checkinteger(L, 1);
        if (high == 0) {
            lua_pushinteger(L, (lua_Integer)random_bits(state));
            return 1;
        }
        break;
    case 2:
        low = luaL_checkinteger(L, 1);
        high = luaL_checkinteger(L, 2);
        break;
    default:
        return luaL_error(L, "wrong number of arguments");
    }
    luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
    uint64_t span = (uint64_t)high - (uint64_t)low;
    uint64_t mask = span;
    for (int shift = 1; shift < 64; shift *= 2)
        mask |= mask >> shift;
    uint64_t r = random_bits(state) & mask;
    while (r > span)        /* at least half of all draws fit */
        r = random_bits(state) & mask;
    lua_pushinteger(L, (lua_Integer)(r + (uint64_t)low));
    return 1;
}

const luaL_Reg determinism_base[] = {
    {"next", base_next}, {"pairs", determinism_pairs}, {"ipairs", base_ipairs}, {"tostring", base_tostring}, {NULL, NULL},
};

const luaL_Reg determinism_math[] = {{"random", math_random}, {NULL, NULL}};
