/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxed code can get hold of: a walk over the globals, through views,
 * fields, hidden metatables of values and upvalues of C functions. Names that are
 * loaded at their first use are loaded first. A test compares it with a golden
 * list, so that nothing becomes reachable unnoticed. Upvalues of Lua functions are
 * not walked: no debug library can reach them. */
#include "vm/readonly.h"
#include "vm/state.h"

#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 8
#define PATH_MAX_BYTES 200
#define LINES_MAX 4096

struct walk {
    lua_State *L;
    int seen;               /* stack index of the set of tables walked */
    char *lines[LINES_MAX];
    size_t n;
};

static void add_line(struct walk *w, const char *path, const char *type)
{
    if (w->n == LINES_MAX)
        return;
    struct buf b = BUF_INIT(PATH_MAX_BYTES + 64);
    buf_addf(&b, "%s %s", path, type);
    w->lines[w->n++] = buf_take(&b, NULL);
}

static void visit(struct walk *w, const char *path, int depth);

static void visit_fields(struct walk *w, const char *path, int table, int depth)
{
    lua_State *L = w->L;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        char name[PATH_MAX_BYTES];
        const char *dot = *path ? "." : "";
        if (lua_type(L, -2) == LUA_TSTRING)
            snprintf(name, sizeof name, "%s%s%s", path, dot, lua_tostring(L, -2));
        else
            snprintf(name, sizeof name, "%s[%s]", path, luaL_typename(L, -2));
        if (lua_type(L, -2) != LUA_TLIGHTUSERDATA)
            visit(w, name, depth + 1);
        lua_pop(L, 1);
    }
}

static void visit_upvalues(struct walk *w, const char *path, int depth)
{
    lua_State *L = w->L;
    int function = lua_gettop(L);
    for (int i = 1; lua_iscfunction(L, function) && lua_getupvalue(L, function, i); i++) {
        char name[PATH_MAX_BYTES];
        snprintf(name, sizeof name, "%s^%d", path, i);
        visit(w, name, depth + 1);
        lua_pop(L, 1);
    }
}

/* Of a table that is no view: what using it calls. */
static void visit_metamethods(struct walk *w, const char *path, int table, int depth)
{
    char name[PATH_MAX_BYTES];
    if (readonly_data(w->L, table)) {
        lua_pop(w->L, 1);
    } else if (lua_getmetatable(w->L, table)) {
        snprintf(name, sizeof name, "(%s)", path);
        visit_fields(w, name, lua_gettop(w->L), depth);
        lua_pop(w->L, 1);
    }
}

/* The value at the top of the stack. */
static void visit(struct walk *w, const char *path, int depth)
{
    lua_State *L = w->L;
    int value = lua_gettop(L);
    add_line(w, path, readonly_data(L, value) ? "view" : luaL_typename(L, value));
    lua_settop(L, value);
    if (depth > DEPTH_MAX || !lua_checkstack(L, 16))
        return;
    if (lua_isfunction(L, value)) {
        visit_upvalues(w, path, depth);
    } else if (lua_istable(L, value)) {
        lua_pushvalue(L, value);
        readonly_open_at(L, value + 1);
        lua_pushvalue(L, value + 1);
        bool known = lua_rawget(L, w->seen) != LUA_TNIL;
        lua_pushvalue(L, value + 1);
        lua_pushboolean(L, 1);
        lua_rawset(L, w->seen);
        if (!known) {
            visit_fields(w, path, value + 1, depth);
            visit_metamethods(w, path, value, depth);
        }
    }
    lua_settop(L, value);
}

/* Hidden tables are listed by what they hold: a script reaches it by using the value. */
static void visit_hidden(struct walk *w, const char *path)
{
    if (lua_getmetatable(w->L, -1)) {
        visit_fields(w, path, lua_gettop(w->L), 0);
        lua_pop(w->L, 1);
    }
    lua_pop(w->L, 1);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Loads what is published but not loaded yet. Runs under lua_pcall. */
RAISES static int load_all(lua_State *L)
{
    lua_settop(L, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_LATER));
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(KEY_SANDBOX));
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_gettable(L, 2);
        lua_pop(L, 1);
    }
    return 0;
}

int vm_reachable(struct vm *vm, bool trusted, struct buf *out, struct err *e)
{
    struct walk *w = xcalloc(1, sizeof *w);
    lua_State *L = w->L = vm->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, load_all);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        int bad = err_set(e, ERR_INVALID, "reachable names: %s", luaL_tolstring(L, -1, NULL));
        lua_settop(L, 0);
        free(w);
        return bad;
    }
    lua_newtable(L);
    w->seen = 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(trusted ? KEY_TRUSTED : KEY_GLOBALS));
    visit_fields(w, "", 2, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, vm_key(trusted ? KEY_TRUSTED : KEY_SANDBOX));
    visit_hidden(w, "(_ENV)");
    lua_pushliteral(L, "");
    visit_hidden(w, "(string)");
    lua_newtable(L);
    readonly_push(L, -1, "view");
    visit_hidden(w, "(view)");
    lua_settop(L, 0);
    qsort(w->lines, w->n, sizeof *w->lines, compare_lines);
    for (size_t i = 0; i < w->n; i++) {
        buf_addf(out, "%s\n", w->lines[i]);
        free(w->lines[i]);
    }
    int rc = w->n == LINES_MAX || out->failed ? err_set(e, ERR_LIMIT, "reachable names: too many to list") : 0;
    free(w);
    return rc;
}
