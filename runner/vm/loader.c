/* SPDX-License-Identifier: Apache-2.0 */
/* Turning text into functions. Trusted modules may be bytecode (of this very
 * build) and get the trusted environment; chunks are text only, whatever their
 * first byte, and get the sandbox. A chunk is named "@file", text of a trusted
 * module "=file": vm_place tells them apart by that. */
#include "vm/chain.h"
#include "vm/sandbox.h"
#include "vm/sched.h"
#include "vm/state.h"
#include "vm/value.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define LOAD_BYTES_MAX (64 * KIB)   /* one text given to load() */
#define ARGUMENTS_MAX 200
#define OFFERS_MAX 48

/* "file:12: message" -> the place and the message. */
static int syntax_error(struct err *e, const char *chunk, const char *text)
{
    const char *p = text;
    while ((p = strchr(p, ':')) != NULL) {
        char *end;
        long line = strtol(++p, &end, 10);
        if (end > p && end[0] == ':' && end[1] == ' ')
            return err_at(e, ERR_INVALID, chunk, (int)line, 0, "%s", end + 2);
    }
    return err_at(e, ERR_INVALID, chunk, 0, 0, "%s", text);
}

/* Pushes the sandboxed function of `text` on the main stack. [-0, +(1|0)] */
static int compile_chunk(struct vm *vm, const char *chunk, struct str text, struct err *e)
{
    lua_State *L = vm->L;
    char name[256];
    int line = 0;
    if (vm->dead)
        return err_set(e, ERR_LIMIT, "%s: the lua state is dead", chunk);
    if (text.n > RUNBOOK_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "%s: more than %u KiB of code", chunk, RUNBOOK_BYTES_MAX / KIB);
    const char *bad = chain_check(text, &line);
    if (bad)
        return err_at(e, ERR_INVALID, chunk, line, 0, "%s", bad);
    snprintf(name, sizeof name, "@%s", chunk);
    state_enter(vm, NULL);
    int status = luaL_loadbufferx(L, text.p, text.n, name, "t");
    state_leave(vm, NULL);
    if (status == LUA_OK) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_SANDBOX));
        lua_setupvalue(L, -2, 1);
        return 0;
    }
    int rc;
    if (state_is_dead(vm, status))
        rc = err_set(e, ERR_LIMIT, "%s: compiling it takes more memory or time than a run may have", chunk);
    else
        rc = syntax_error(e, chunk, lua_tostring(L, -1));
    lua_pop(L, 1);
    return rc;
}

int vm_check_chunk(struct vm *vm, const char *chunk, struct str text, struct err *e)
{
    int rc = compile_chunk(vm, chunk, text, e);
    lua_settop(vm->L, 0);
    return rc;
}

/* Starts a branch with the function at the top of the main stack. */
static int start_function(struct vm *vm, const char *chunk, uint32_t *branch, struct err *e)
{
    snprintf(vm->main, sizeof vm->main, "@%s", chunk);
    struct branch *b = sched_new(vm, e);
    if (b) {
        lua_xmove(vm->L, b->co, 1);
        sched_ready(vm, b, 0);
        *branch = b->id;
    }
    lua_settop(vm->L, 0);
    return b ? 0 : ERR_LIMIT;
}

int vm_start_chunk(struct vm *vm, const char *chunk, struct str text, uint32_t *branch, struct err *e)
{
    int rc = compile_chunk(vm, chunk, text, e);
    return rc < 0 ? rc : start_function(vm, chunk, branch, e);
}

/* Pushes the program of a checked form on the main stack, and nothing else is there. */
static int push_checked(struct vm *vm, const char *chunk, struct str text, const char *module, struct err *e)
{
    lua_State *L = vm->L;
    lua_settop(L, 0);
    int rc = compile_chunk(vm, chunk, text, e);
    if (rc < 0)
        return rc;
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_MODULES));
    if (lua_getfield(L, -1, module) != LUA_TTABLE || lua_getfield(L, -1, "ops") != LUA_TTABLE) {
        lua_settop(L, 0);
        return err_set(e, ERR_NOT_FOUND, "module %s has no table 'ops'", module);
    }
    lua_insert(L, 2);
    lua_settop(L, 2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK || !lua_isfunction(L, -1)) {
        lua_settop(L, 0);
        return err_set(e, ERR_INVALID, "%s: no checked form of a program", chunk);
    }
    return 0;
}

int vm_start_checked(struct vm *vm, const char *chunk, struct str text, const char *module, uint32_t *branch, struct err *e)
{
    int rc = push_checked(vm, chunk, text, module, e);
    return rc < 0 ? rc : start_function(vm, chunk, branch, e);
}

int vm_load_checked(struct vm *vm, const char *name, const char *chunk, struct str text, const char *module, struct err *e)
{
    lua_State *L = vm->L;
    int rc = push_checked(vm, chunk, text, module, e);
    if (rc < 0)
        return rc;
    if (!vm->main[0])
        snprintf(vm->main, sizeof vm->main, "@%s", chunk);
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_MODULES));
    lua_insert(L, 1);
    lua_setfield(L, 1, name);
    lua_settop(L, 0);
    return 0;
}

/* Pushes the function of a trusted module, or an error message. Returns the status. */
static int compile_trusted(lua_State *L, const char *name, struct str code)
{
    char chunk[256];
    bool is_bytecode = code.n > 0 && code.p[0] == LUA_SIGNATURE[0];
    snprintf(chunk, sizeof chunk, "=%s", name);
    int status = luaL_loadbufferx(L, code.p, code.n, chunk, is_bytecode ? "b" : "t");
    if (status == LUA_OK) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_TRUSTED));
        if (!lua_setupvalue(L, -2, 1))
            lua_pop(L, 1);
    }
    return status;
}

void vm_argument_records(struct vm *vm, const struct vm_record *records, size_t n)
{
    vm->records = records;
    vm->nrecords = n;
}

int vm_load_trusted(struct vm *vm, const char *name, struct str code, struct str arg, struct err *e)
{
    lua_State *L = vm->L;
    int rc = 0;
    lua_settop(L, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_MODULES));
    if (compile_trusted(L, name, code) != LUA_OK) {
        rc = syntax_error(e, name, lua_tostring(L, -1));
        goto out;
    }
    const char *bad = arg.n ? value_decode_argument(L, arg, vm->records, vm->nrecords) : NULL;
    vm->nrecords = 0;
    if (bad) {
        rc = err_set(e, ERR_INVALID, "argument of module %s: %s", name, bad);
        goto out;
    }
    vm->loading = true;
    state_enter(vm, NULL);
    int status = lua_pcall(L, arg.n > 0, 1, 0);
    state_leave(vm, NULL);
    vm->loading = false;
    if (state_is_dead(vm, status)) {
        rc = err_set(e, ERR_LIMIT, "module %s: loading it takes more memory or time than it may have", name);
        goto out;
    }
    if (status != LUA_OK) {
        const char *text = lua_tostring(L, -1);
        rc = err_set(e, ERR_INVALID, "module %s: %s", name, text ? text : "an error that is no text");
        goto out;
    }
    lua_setfield(L, 1, name);
out:
    lua_settop(L, 0);
    return rc;
}

int vm_offer_trusted(struct vm *vm, const char *name, struct str code, struct err *e)
{
    if (!vm->offers)
        vm->offers = xcalloc(OFFERS_MAX, sizeof *vm->offers);
    if (vm->noffers == OFFERS_MAX || strlen(name) >= sizeof vm->offers->name)
        return err_set(e, ERR_LIMIT, "module %s: more than %d offered, or its name is too long", name, OFFERS_MAX);
    struct offer *o = &vm->offers[vm->noffers++];
    snprintf(o->name, sizeof o->name, "%s", name);
    o->code = code;
    return 0;
}

void loader_push_module(lua_State *L, const char *name)
{
    struct vm *vm = vm_of(L);
    char near[128];
    size_t i = 0;
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_MODULES));
    int modules = lua_gettop(L), type = lua_getfield(L, modules, name);
    if (type == LUA_TNIL) {
        while (i < vm->noffers && strcmp(vm->offers[i].name, name) != 0)
            i++;
        if (i == vm->noffers) {
            vm_suggest(L, modules, name, near, sizeof near);
            luaL_error(L, "no module '%s'%s", name, near);
        }
        lua_pushboolean(L, 0);
        lua_setfield(L, modules, name);
        bool failed = compile_trusted(L, name, vm->offers[i].code) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK;
        if (failed)
            lua_pushnil(L);
        else
            lua_pushvalue(L, -1);
        lua_setfield(L, modules, name);
        if (failed)
            lua_error(L);
    } else if (type == LUA_TBOOLEAN) {
        luaL_error(L, "module '%s' needs itself", name);
    }
    lua_replace(L, modules);
    lua_settop(L, modules);
}

/* Pushes the function on the main stack, or says what is missing. */
static int find_function(struct vm *vm, const char *module, const char *function, struct err *e)
{
    lua_State *L = vm->L;
    char near[128];
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_MODULES));
    if (lua_getfield(L, -1, module) != LUA_TTABLE) {
        vm_suggest(L, 1, module, near, sizeof near);
        return err_set(e, ERR_NOT_FOUND, "no module '%s'%s", module, near);
    }
    lua_pushstring(L, function);
    if (lua_rawget(L, -2) != LUA_TFUNCTION) {
        vm_suggest(L, 2, function, near, sizeof near);
        return err_set(e, ERR_NOT_FOUND, "module %s has no function '%s'%s", module, function, near);
    }
    return 0;
}

int vm_start_call(struct vm *vm, const char *module, const char *function, struct str args, uint32_t *branch,
                  struct err *e)
{
    lua_State *L = vm->L;
    lua_settop(L, 0);
    int rc = find_function(vm, module, function, e);
    if (rc < 0)
        goto out;
    int top = lua_gettop(L);
    const char *bad = value_decode_spread(L, args, ARGUMENTS_MAX);
    if (bad) {
        rc = err_set(e, ERR_INVALID, "arguments of %s.%s: %s", module, function, bad);
        goto out;
    }
    int n = lua_gettop(L) - top;
    struct branch *b = sched_new(vm, e);
    if (!b) {
        rc = ERR_LIMIT;
        goto out;
    }
    lua_checkstack(b->co, n + 8);
    lua_xmove(L, b->co, n + 1);
    sched_ready(vm, b, n);
    *branch = b->id;
out:
    lua_settop(L, 0);
    return rc;
}

/* load(text [, name [, mode [, env]]]): text only, in the sandbox or in a table of the script. */
RAISES static int base_load(lua_State *L)
{
    struct str text;
    int line = 0;
    if (lua_type(L, 1) != LUA_TSTRING)
        return vm_fail(L, "load: takes a text, not a %s", luaL_typename(L, 1));
    text.p = lua_tolstring(L, 1, &text.n);
    const char *name = luaL_optstring(L, 2, "text");
    const char *mode = luaL_optstring(L, 3, "t");
    bool own_env = !lua_isnone(L, 4);
    lua_settop(L, 4);
    if (!strchr(mode, 't'))
        return vm_fail(L, "load: only text can be loaded (mode \"t\")");
    if (own_env)
        luaL_checktype(L, 4, LUA_TTABLE);
    if (text.n > LOAD_BYTES_MAX)
        return vm_fail(L, "load: more than %u KiB of code", LOAD_BYTES_MAX / KIB);
    vm_charge(L, text.n * 4);
    const char *bad = chain_check(text, &line);
    if (bad) {
        lua_pushnil(L);
        lua_pushfstring(L, "load(%s):%d: %s", name, line, bad);
        return 2;
    }
    lua_pushfstring(L, "@load(%s)", name);
    int status = luaL_loadbufferx(L, text.p, text.n, lua_tostring(L, -1), "t");
    if (state_is_dead(vm_of(L), status))
        vm_die(L);
    if (status != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (own_env)
        lua_pushvalue(L, 4);
    else
        lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_SANDBOX));
    lua_setupvalue(L, -2, 1);
    return 1;
}

const luaL_Reg loader_base[] = {{"load", base_load}, {NULL, NULL}};
