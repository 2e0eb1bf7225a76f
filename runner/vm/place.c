/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the runbook: sandboxed chunks have names that begin with '@',
 * trusted modules with '=', so the nearest '@' frame is the line a person has to
 * look at, however deep in the language the error was noticed. */
#include "vm/state.h"

#include <stdarg.h>
#include <stdio.h>

#define SUGGEST_MAX 256     /* names looked at */

/* True if the frame is at a line; then its source is asked for, too, which costs more. */
static bool has_line(lua_State *L, lua_Debug *ar)
{
    return lua_getinfo(L, "l", ar) && ar->currentline > 0 && lua_getinfo(L, "S", ar);
}

int vm_place(lua_State *L, struct str *chunk)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        if (has_line(L, &ar) && ar.source[0] == '@') {
            *chunk = (struct str){ar.source + 1, ar.srclen - 1};
            return ar.currentline;
        }
    }
    *chunk = STR("");
    return 0;
}

int vm_runbook_line(lua_State *L)
{
    const char *name = vm_of(L)->main;
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        if (has_line(L, &ar) && strcmp(ar.source, name) == 0)
            return ar.currentline;
    }
    return 0;
}

int vm_fail(lua_State *L, const char *fmt, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct str chunk;
    int line = vm_place(L, &chunk);
    if (line > 0) {
        lua_pushlstring(L, chunk.p, chunk.n);
        lua_pushfstring(L, "%s:%d: %s", lua_tostring(L, -1), line, text);
    } else {
        luaL_where(L, 1);
        lua_pushstring(L, text);
        lua_concat(L, 2);
    }
    lua_error(L);
    __builtin_unreachable();
}

void vm_suggest(lua_State *L, int index, const char *name, char *out, size_t size)
{
    const char *names[SUGGEST_MAX];
    size_t n = 0;
    int top = lua_gettop(L);
    out[0] = '\0';
    index = lua_absindex(L, index);
    lua_pushnil(L);
    while (n < SUGGEST_MAX && lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            names[n++] = lua_tostring(L, -1);
    }
    lua_settop(L, top);
    /* Hash order must not decide between two equally near names. */
    for (size_t i = 1; i < n; i++) {
        const char *moved = names[i];
        size_t j = i;
        for (; j > 0 && strcmp(names[j - 1], moved) > 0; j--)
            names[j] = names[j - 1];
        names[j] = moved;
    }
    if (strlen(name) < 2)       /* every letter is near to every other */
        return;
    const char *near = str_nearest(str_of(name), names, n);
    if (near)
        snprintf(out, size, " (did you mean '%s'?)", near);
}
