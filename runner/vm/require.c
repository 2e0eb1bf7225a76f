/* SPDX-License-Identifier: Apache-2.0 */
/* `require`: only what was offered to the state, by name; there is no path, no
 * searcher and no file. A module is run once, in the sandbox and under the limits
 * of whoever requires it first. While it runs no gate call is possible: a module
 * defines, the runbook acts, so it does not matter which branch comes first. */
#include "vm/chain.h"
#include "vm/sandbox.h"
#include "vm/state.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUIRED_MAX 64

int vm_offer_required(struct vm *vm, const char *name, const char *file, struct str text, struct err *e)
{
    if (!vm->required)
        vm->required = xcalloc(REQUIRED_MAX, sizeof *vm->required);
    if (vm->nrequired == REQUIRED_MAX)
        return err_set(e, ERR_LIMIT, "module %s: more than %d modules", name, REQUIRED_MAX);
    vm->required[vm->nrequired++] = (struct required){name, file, text};
    return vm_check_chunk(vm, file, text, e);
}

/* The name is at index 1; a zero byte in it makes it another name. */
RAISES static const struct required *find(lua_State *L)
{
    const char *names[REQUIRED_MAX];
    struct vm *vm = vm_of(L);
    size_t n;
    const char *name = lua_tolstring(L, 1, &n);
    for (size_t i = 0; i < vm->nrequired; i++) {
        if (str_is((struct str){name, n}, vm->required[i].name))
            return &vm->required[i];
        names[i] = vm->required[i].name;
    }
    const char *near = str_nearest(str_of(name), names, vm->nrequired);
    vm_fail(L, "no module '%.80s' in this run%s%s%s: require takes the literal name of a Lua file in lib/ or beside the runbook",
            name, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Pushes the module's function. [-0, +1, e] */
RAISES static void compile(lua_State *L, const struct required *r)
{
    int line = 0;
    vm_charge(L, r->text.n * 4);
    const char *bad = chain_check(r->text, &line);
    if (bad)
        vm_fail(L, "%s:%d: %s", r->file, line, bad);
    lua_pushfstring(L, "@%s", r->file);
    int status = luaL_loadbufferx(L, r->text.p, r->text.n, lua_tostring(L, -1), "t");
    if (state_is_dead(vm_of(L), status))
        vm_die(L);
    if (status != LUA_OK)
        lua_error(L);
    lua_remove(L, -2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_SANDBOX));
    lua_setupvalue(L, -2, 1);
}

/* Stack: name, what was forbidden before, the table of loaded modules, the module's value. */
RAISES static int loaded(lua_State *L, int status, lua_KContext ctx)
{
    (void)status, (void)ctx;
    struct branch *b = vm_running(vm_of(L));
    if (b)
        snprintf(b->forbid, sizeof b->forbid, "%s", lua_tostring(L, 2));
    if (!lua_toboolean(L, 4)) {
        lua_pushboolean(L, 1);
        lua_replace(L, 4);
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 4);
    lua_rawset(L, 3);
    return 1;
}

RAISES static int base_require(lua_State *L)
{
    struct branch *b = vm_running(vm_of(L));
    if (lua_type(L, 1) != LUA_TSTRING)
        return vm_fail(L, "require takes the name of a module, not a %s", luaL_typename(L, 1));
    lua_settop(L, 1);
    lua_pushstring(L, b ? b->forbid : "");
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_REQUIRED));
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 3) != LUA_TNIL) {
        if (!lua_toboolean(L, 4))
            return vm_fail(L, "module '%.80s' is being loaded, or has failed", lua_tostring(L, 1));
        return 1;
    }
    lua_settop(L, 3);
    compile(L, find(L));
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 0);
    lua_rawset(L, 3);
    if (b)
        snprintf(b->forbid, sizeof b->forbid, "while a module is being loaded");
    lua_callk(L, 0, 1, 0, loaded);
    return loaded(L, LUA_OK, 0);
}

const luaL_Reg require_base[] = {{"require", base_require}, {NULL, NULL}};
