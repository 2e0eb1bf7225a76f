/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder (see value.h). A table is a list if it is marked, or if its keys
 * are exactly 1..n with n > 0; it is a record if all its keys are strings;
 * anything else is an error that names the path. One scratch stack holds the
 * sorted keys of all depths: they point into strings of tables that nothing
 * changes meanwhile, because encoding runs no Lua code. */
#include "vm/value.h"

#include "base/json.h"
#include "base/limits.h"
#include "vm/readonly.h"
#include "vm/state.h"

#include <math.h>
#include <stdio.h>

#define KEPT_KEYS 16

struct step {
    struct str key;     /* of a record; p NULL: a list index */
    lua_Integer i;
    const void *table;
};

struct encoder {
    lua_State *L;
    struct vm *vm;
    struct buf *out;
    size_t end;         /* out->len may not pass it */
    const char *name;
    int depth;
    bool lossy;
    struct step path[JSON_DEPTH_MAX];
};

static const char too_large[] = "larger than 1 MiB as JSON";

static const char *wrong(struct encoder *e, const char *what)
{
    char *p = e->vm->error, *end = p + sizeof e->vm->error;
    p += snprintf(p, 128, "%.100s", e->name);
    for (int i = 0; i < e->depth && end - p > 300; i++) {
        const struct step *s = &e->path[i];
        if (!s->key.p && s->i == 0)     /* the table itself is wrong */
            continue;
        p += s->key.p ? snprintf(p, 48, ".%.*s", s->key.n < 40 ? (int)s->key.n : 40, s->key.p)
                      : snprintf(p, 48, "[%lld]", (long long)s->i);
    }
    snprintf(p, (size_t)(end - p), ": %s", what);
    return e->vm->error;
}

static const char *encode(struct encoder *e, int index);

static const char *encode_list(struct encoder *e, int table, lua_Integer n)
{
    struct step *step = &e->path[e->depth - 1];
    buf_addc(e->out, '[');
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1)
            buf_addc(e->out, ',');
        step->i = i;
        lua_rawgeti(e->L, table, i);
        const char *bad = encode(e, table + 1);
        if (bad)
            return bad;
        lua_pop(e->L, 1);
    }
    buf_addc(e->out, ']');
    return NULL;
}

/* Takes the keys of the record at `table`. Those of small ones stay on the stack, where `slot` says: looking a text up
 * among all others again costs more than the rest. */
static const char *collect_fields(struct encoder *e, int table)
{
    lua_State *L = e->L;
    struct keys *keys = &e->vm->keys;
    size_t first = keys->n;
    bool has_room = lua_checkstack(L, KEPT_KEYS + 8);
    size_t most = keys->n + (e->end - e->out->len) / 4;     /* a field takes 4 bytes: "":0 */
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        int type = lua_type(L, -1);
        if (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, -1) == vm_key(KEY_SEALED))
            continue;
        if (type == LUA_TNUMBER)
            return wrong(e, "a table with number keys that is no list from 1 to n without holes");
        if (type != LUA_TSTRING)
            return wrong(e, "a key of the table is neither a string nor a list index");
        struct key *k = keys->n < most ? keys_add(keys) : NULL;
        if (!k)
            return wrong(e, too_large);
        keys_read(L, k);
        k->slot = 0;
        if (has_room && keys->n - first <= KEPT_KEYS) {
            lua_pushvalue(L, -1);
            k->slot = lua_gettop(L) - 1;
        }
    }
    return NULL;
}

static void push_key(lua_State *L, const struct key *k)
{
    if (k->slot)
        lua_pushvalue(L, k->slot);
    else
        lua_pushlstring(L, k->u.s.p, k->u.s.n);
}

static const char *encode_record(struct encoder *e, int table)
{
    struct keys *keys = &e->vm->keys;
    size_t first = keys->n;
    const char *bad = collect_fields(e, table);
    if (bad)
        return bad;
    size_t n = keys->n - first;
    int top = lua_gettop(e->L);
    keys_sort(keys->v + first, n);
    buf_addc(e->out, '{');
    for (size_t i = 0; i < n; i++) {
        struct str key = keys->v[first + i].u.s;
        if (i > 0)
            buf_addc(e->out, ',');
        e->path[e->depth - 1].key = key;
        if (json_add_string(e->out, key.p, key.n))
            return wrong(e, "the key is not UTF-8");
        buf_addc(e->out, ':');
        push_key(e->L, &keys->v[first + i]);
        lua_rawget(e->L, table);
        bad = encode(e, top + 1);
        if (bad)
            return bad;
        lua_pop(e->L, 1);
    }
    lua_settop(e->L, table);
    buf_addc(e->out, '}');
    keys->n = first;
    return NULL;
}

/* n if the keys of the table are exactly 1..n, else -1. */
static lua_Integer list_length(lua_State *L, int table)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, table), seen = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        lua_Integer i = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (i < 1 || i > n) {
            lua_pop(L, 1);
            return -1;
        }
        seen++;
    }
    return seen == n ? n : -1;
}

static bool is_marked(lua_State *L, int table)
{
    if (!lua_getmetatable(L, table))
        return false;
    bool marked = lua_topointer(L, -1) == vm_of(L)->mt_array;
    lua_pop(L, 1);
    return marked;
}

static const char *encode_table(struct encoder *e, int index)
{
    lua_State *L = e->L;
    readonly_open_at(L, index);
    const void *self = lua_topointer(L, index);
    for (int i = 0; i < e->depth; i++)
        if (e->path[i].table == self)
            return wrong(e, "the table contains itself");
    if (e->depth == JSON_DEPTH_MAX || !lua_checkstack(L, 8))
        return wrong(e, "nested more than 64 deep");
    e->path[e->depth++] = (struct step){.table = self};
    const char *bad;
    bool marked = is_marked(L, index);
    if (marked || lua_rawlen(L, index) > 0) {
        lua_Integer n = list_length(L, index);
        if (n >= 0)
            bad = encode_list(e, index, n);
        else if (marked)
            bad = wrong(e, "a list with holes or with fields");
        else
            bad = wrong(e, "a mix of list and record, or a list with holes");
    } else {
        bad = encode_record(e, index);
    }
    e->depth--;
    return bad;
}

/* The value is at the top of the stack, which is `index`. */
static const char *encode(struct encoder *e, int index)
{
    lua_State *L = e->L;
    size_t n;
    const char *bad = NULL;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        buf_adds(e->out, "null");
        break;
    case LUA_TBOOLEAN:
        buf_adds(e->out, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            json_add_int(e->out, lua_tointeger(L, index));
        else if (isfinite(lua_tonumber(L, index)))
            json_add_double(e->out, lua_tonumber(L, index));
        else
            bad = wrong(e, "not a finite number (NaN or infinity)");
        break;
    case LUA_TSTRING: {
        const char *s = lua_tolstring(L, index, &n);
        if (n > e->end - e->out->len)
            bad = wrong(e, too_large);
        else
            e->lossy |= json_add_string(e->out, s, n);
        break;
    }
    case LUA_TTABLE:
        bad = encode_table(e, index);
        break;
    default:
        if (lua_touserdata(L, index) == vm_key(KEY_NULL))
            buf_adds(e->out, "null");
        else
            bad = wrong(e, lua_isfunction(L, index) ? "a function cannot be stored" : "an opaque value cannot be kept");
    }
    return bad ? bad : e->out->failed || e->out->len > e->end ? wrong(e, too_large) : NULL;
}

const char *value_encode(lua_State *L, int index, const char *name, struct buf *out, bool *lossy)
{
    struct vm *vm = vm_of(L);
    struct encoder e;           /* its path is written before it is read */
    int top = lua_gettop(L);
    size_t start = out->len;
    e.L = L;
    e.vm = vm;
    e.out = out;
    e.end = start + VALUE_BYTES_MAX;
    e.name = name;
    e.depth = 0;
    e.lossy = false;
    keys_reset(&vm->keys);
    if (!lua_checkstack(L, 8))
        return wrong(&e, "no room on the stack");
    lua_pushvalue(L, index);
    const char *bad = encode(&e, top + 1);
    lua_settop(L, top);
    keys_reset(&vm->keys);
    *lossy |= e.lossy;
    if (vm->inside)
        vm_charge(L, (out->len - start) / 4);
    return bad;
}

void value_open(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushliteral(L, "list");
    lua_setfield(L, -2, "__name");
    vm_of(L)->mt_array = lua_topointer(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, vm_key(KEY_ARRAY));
}

void value_mark_array(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_ARRAY));
    lua_setmetatable(L, -2);
}

bool value_is_array(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE)
        return false;
    index = lua_absindex(L, index);
    bool is_view = readonly_data(L, index);
    bool marked = is_marked(L, is_view ? -1 : index);
    if (is_view)
        lua_pop(L, 1);
    return marked;
}
