/* SPDX-License-Identifier: Apache-2.0 */
/* The table `host` that trusted modules see. A gate call copies what it asks
 * for into the branch's own block, as canonical JSON, and yields; nothing of it
 * is a Lua value any more, so the owner can read it at leisure. */
#include "vm/readonly.h"
#include "vm/sandbox.h"
#include "vm/state.h"
#include "vm/stock.h"
#include "vm/value.h"

#include "base/limits.h"

#include <stdio.h>

/* Adds the text of field `name` of the table at the top. While the block may still move,
 * str.p holds the offset. */
RAISES static struct str add_text(lua_State *L, struct branch *b, const char *name)
{
    size_t n = 0, at = b->request.len;
    lua_pushstring(L, name);
    int type = lua_rawget(L, -2);
    if (type == LUA_TSTRING) {
        const char *s = lua_tolstring(L, -1, &n);
        buf_add(&b->request, s, n);
    } else if (type != LUA_TNIL) {
        luaL_error(L, "host.gate: %s must be a string", name);
    }
    lua_pop(L, 1);
    return (struct str){(const char *)(uintptr_t)at, n};
}

/* The call described by the table at the top of the stack. */
RAISES static void add_call(lua_State *L, struct branch *b, struct vm_call *call)
{
    if (!lua_istable(L, -1))
        luaL_error(L, "host.gate: each call must be a table");
    call->label = add_text(L, b, "label");
    call->name = add_text(L, b, "name");
    call->instance = add_text(L, b, "instance");
    call->lossy = false;
    size_t at = b->request.len;
    lua_pushliteral(L, "args");
    lua_rawget(L, -2);
    char path[61];
    struct str name = {buf_text(&b->request) + (uintptr_t)call->name.p, call->name.n};
    str_copy(path, sizeof path, name.n ? name : STR("args"));
    const char *bad = value_encode(L, -1, path, &b->request, &call->lossy);
    if (b->request.failed)
        vm_fail(L, "%s: all calls together are larger than 4 MiB", lua_tostring(L, 1));
    if (bad)
        vm_fail(L, "%s", bad);
    lua_pop(L, 1);
    call->args = (struct str){(const char *)(uintptr_t)at, b->request.len - at};
}

static void settle(struct str *s, const struct buf *block)
{
    s->p = buf_text(block) + (uintptr_t)s->p;
}

RAISES static void build_request(lua_State *L, struct branch *b)
{
    size_t n;
    const char *op = luaL_checklstring(L, 1, &n);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Unsigned ncalls = lua_rawlen(L, 2);
    if (ncalls > GATE_READS_MAX)
        vm_fail(L, "%s: %llu at once, at most %d", op, (unsigned long long)ncalls, GATE_READS_MAX);
    if (ncalls > b->calls_cap) {
        b->calls = xrealloc(b->calls, ncalls * sizeof *b->calls);
        b->calls_cap = ncalls;
    }
    buf_reset(&b->request);
    buf_add(&b->request, op, n);
    b->op_len = n;
    b->ncalls = 0;
    for (lua_Unsigned i = 0; i < ncalls; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        add_call(L, b, &b->calls[i]);
        lua_pop(L, 1);
    }
    for (lua_Unsigned i = 0; i < ncalls; i++) {
        settle(&b->calls[i].label, &b->request);
        settle(&b->calls[i].name, &b->request);
        settle(&b->calls[i].instance, &b->request);
        settle(&b->calls[i].args, &b->request);
    }
    b->ncalls = ncalls;
}

RAISES static int park(lua_State *L, enum branch_state state)
{
    struct vm *vm = vm_of(L);
    struct branch *b = vm_running(vm);
    const char *op = luaL_checkstring(L, 1);
    const char *verb = strcmp(op, "read") == 0 ? "observe" : op;
    if (vm->dead)
        vm_die(L);
    if (!b)
        return luaL_error(L, "%s while a module is being loaded", verb);
    if (b->forbid[0])
        return vm_fail(L, "%s %s: not possible there, do it before", verb, b->forbid);
    if (!lua_isyieldable(L))
        return vm_fail(L, "%s inside a metamethod or callback of the library: not possible there, do it before", verb);
    build_request(L, b);
    b->line = vm_runbook_line(L);
    b->state = state;
    return lua_yield(L, 0);
}

RAISES static int host_gate(lua_State *L)
{
    return park(L, BRANCH_PARKED);
}

RAISES static int host_finish(lua_State *L)
{
    return park(L, BRANCH_ENDED);
}

/* fork(list of functions): each becomes a branch; goes on when all have returned. The branches are made
 * by the scheduler, outside of the limits of this one. */
RAISES static int host_fork(lua_State *L)
{
    struct branch *b = vm_running(vm_of(L));
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Unsigned n = lua_rawlen(L, 1);
    if (vm_of(L)->dead)
        vm_die(L);
    if (!b || b->forbid[0] || !lua_isyieldable(L))
        return vm_fail(L, "branches %s: not possible there, do it before", b && b->forbid[0] ? b->forbid : "in a callback");
    if (n == 0 || n > GATE_READS_MAX)
        return vm_fail(L, "%llu branches at once, 1 to %d are possible", (unsigned long long)n, GATE_READS_MAX);
    for (lua_Unsigned i = 1; i <= n; i++, lua_pop(L, 1))
        if (lua_rawgeti(L, 1, (lua_Integer)i) != LUA_TFUNCTION)
            return luaL_error(L, "host.fork: entry %d is no function", (int)i);
    lua_settop(L, 1);
    b->line = vm_runbook_line(L);
    b->state = BRANCH_FORKING;
    return lua_yield(L, 1);
}

/* A number that no other branch of this state has, has had or will have. */
static int host_branch(lua_State *L)
{
    const struct branch *b = vm_running(vm_of(L));
    lua_pushinteger(L, b ? b->id : 0);
    return 1;
}

/* How deep C frames nest when this error comes depends on when the branch was preempted, which
 * unwinds them; no code may take a branch on it. */
static bool is_c_overflow(lua_State *L)
{
    return lua_type(L, -1) == LUA_TSTRING && strstr(lua_tostring(L, -1), "C stack overflow") != NULL;
}

/* Stack: what was forbidden before, true, results or error. */
RAISES static int pcall_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - 1;
    struct vm *vm = vm_of(L);
    if (state_is_dead(vm, status))
        vm_die(L);
    if (is_c_overflow(L) || status == LUA_ERRERR)
        return lua_error(L);
    struct branch *b = vm_running(vm);
    if (b)
        str_copy(b->forbid, sizeof b->forbid, str_of(lua_tostring(L, 1)));
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

RAISES static int host_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    const struct branch *b = vm_running(vm_of(L));
    lua_pushstring(L, b ? b->forbid : "");
    lua_insert(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 2);
    return pcall_k(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, 0, pcall_k), 0);
}

RAISES static int host_fail(lua_State *L)
{
    return vm_fail(L, "%s", luaL_checkstring(L, 1));
}

static int host_where(lua_State *L)
{
    struct str chunk;
    int line = vm_place(L, &chunk);
    lua_pushlstring(L, chunk.p, chunk.n);
    lua_pushinteger(L, line);
    return 2;
}

RAISES static int host_forbid(lua_State *L)
{
    const char *what = luaL_optstring(L, 1, "");
    struct branch *b = vm_running(vm_of(L));
    if (!b || !b->forbid[0])
        lua_pushnil(L);
    else
        lua_pushstring(L, b->forbid);
    if (b)
        str_copy(b->forbid, sizeof b->forbid, str_of(what));
    return 1;
}

static int host_now(lua_State *L)
{
    const struct branch *b = vm_running(vm_of(L));
    lua_pushinteger(L, b ? b->now_ms : vm_of(L)->now_ms);
    return 1;
}

RAISES static int host_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (value_is_array(L, 1))
        return 1;
    if (lua_getmetatable(L, 1))
        return luaL_error(L, "host.array: the table has a metatable");
    value_mark_array(L);
    return 1;
}

static int host_is_array(lua_State *L)
{
    lua_pushboolean(L, value_is_array(L, 1));
    return 1;
}

RAISES static int host_readonly(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    bool has_names = !lua_isnoneornil(L, 3);
    if (has_names)
        luaL_checktype(L, 3, LUA_TTABLE);
    readonly_push(L, 1, luaL_optstring(L, 2, "record"));
    if (has_names && !lua_rawequal(L, 1, -1)) {
        readonly_open_at(L, 3);
        readonly_names(L, 3);
    }
    return 1;
}

RAISES static int host_encode(lua_State *L)
{
    struct vm *vm = vm_of(L);
    bool lossy = false;
    luaL_checkany(L, 1);
    buf_reset(&vm->json);
    const char *bad = value_encode(L, 1, "value", &vm->json, &lossy);
    if (bad)
        return vm_fail(L, "%s", bad);
    lua_pushlstring(L, buf_text(&vm->json), vm->json.len);
    return 1;
}

RAISES static int host_decode(lua_State *L)
{
    struct str json;
    json.p = luaL_checklstring(L, 1, &json.n);
    const char *bad = value_decode(L, json);
    return bad ? vm_fail(L, "%s", bad) : 1;
}

RAISES static int host_module(lua_State *L)
{
    loader_push_module(L, luaL_checkstring(L, 1));
    return 1;
}

RAISES static int host_later(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, -2, vm_key(KEY_LATER));
    return 1;
}

RAISES static int host_rawpairs(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushcfunction(L, determinism_rawnext);
    lua_insert(L, 1);
    lua_pushnil(L);
    return 3;
}

/* A table for data of objects: an entry lives as long as its key does elsewhere. */
RAISES static int host_weak(lua_State *L)
{
    determinism_weak(L);
    return 1;
}

RAISES static int host_nearest(lua_State *L)
{
    const char *names[256];
    size_t n = 0;
    struct str name;
    name.p = luaL_checklstring(L, 1, &name.n);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    readonly_open_at(L, 2);
    for (lua_Integer i = 1; n < 256 && lua_rawgeti(L, 2, i) == LUA_TSTRING; i++, lua_pop(L, 1))
        names[n++] = lua_tostring(L, -1);
    const char *near = str_nearest(name, names, n);
    lua_settop(L, 0);
    lua_pushstring(L, near);
    return 1;
}

RAISES static int host_rawset(lua_State *L)
{
    return stock(STOCK_RAWSET)(L);
}

RAISES static int host_error(lua_State *L)
{
    return stock(STOCK_ERROR)(L);
}

const luaL_Reg primitives_host[] = {
    {"array", host_array},   {"branch", host_branch},     {"decode", host_decode},     {"encode", host_encode},
    {"error", host_error},   {"fail", host_fail},         {"finish", host_finish},     {"forbid", host_forbid},
    {"fork", host_fork},     {"gate", host_gate},         {"later", host_later},       {"is_array", host_is_array},
    {"module", host_module}, {"nearest", host_nearest},   {"proxy", metatable_proxy},  {"weak", host_weak},
    {"now", host_now},       {"pcall", host_pcall},       {"rawpairs", host_rawpairs}, {"rawset", host_rawset},
    {"where", host_where},   {"readonly", host_readonly}, {NULL, NULL},
};
