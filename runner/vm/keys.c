/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting and sorting table keys (see keys.h). Numbers compare by value
 * across the two subtypes: a long double holds every int64 and every double. */
#include "vm/keys.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_KEPT 4096      /* keys; a larger block is given back */
#define INSERTION_MAX 12

static int rank(const struct key *k)
{
    return k->kind == KEY_FLOAT ? KEY_INTEGER : (int)k->kind;
}

static int compare_numbers(const struct key *a, const struct key *b)
{
    if (a->kind == KEY_INTEGER && b->kind == KEY_INTEGER)
        return (a->u.i > b->u.i) - (a->u.i < b->u.i);
    long double x = a->kind == KEY_INTEGER ? (long double)a->u.i : (long double)a->u.d;
    long double y = b->kind == KEY_INTEGER ? (long double)b->u.i : (long double)b->u.d;
    return (x > y) - (x < y);
}

static int compare(const struct key *a, const struct key *b)
{
    int by_rank = rank(a) - rank(b);
    if (by_rank != 0)
        return by_rank;
    if (a->kind == KEY_BOOLEAN)
        return (int)(a->u.i - b->u.i);
    if (a->kind != KEY_STRING)
        return compare_numbers(a, b);
    size_t n = a->u.s.n < b->u.s.n ? a->u.s.n : b->u.s.n;
    int c = n ? memcmp(a->u.s.p, b->u.s.p, n) : 0;
    return c != 0 ? c : (a->u.s.n > b->u.s.n) - (a->u.s.n < b->u.s.n);
}

static int compare_void(const void *a, const void *b)
{
    return compare(a, b);
}

struct key *keys_add(struct keys *k)
{
    if (k->n == k->cap) {
        if (k->cap >= KEYS_MAX)
            return NULL;
        k->cap = k->cap ? 2 * k->cap : 64;
        k->v = xrealloc(k->v, k->cap * sizeof *k->v);
    }
    return &k->v[k->n++];
}

bool keys_read(lua_State *L, struct key *out)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        out->kind = KEY_STRING;
        out->u.s.p = lua_tolstring(L, -1, &out->u.s.n);
        return true;
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1)) {
            out->kind = KEY_INTEGER;
            out->u.i = lua_tointeger(L, -1);
        } else {
            out->kind = KEY_FLOAT;
            out->u.d = lua_tonumber(L, -1);
        }
        return true;
    case LUA_TBOOLEAN:
        out->kind = KEY_BOOLEAN;
        out->u.i = lua_toboolean(L, -1);
        return true;
    default:
        return false;
    }
}

void keys_push(lua_State *L, const struct key *k)
{
    switch (k->kind) {
    case KEY_INTEGER: lua_pushinteger(L, k->u.i); break;
    case KEY_FLOAT: lua_pushnumber(L, k->u.d); break;
    case KEY_STRING: lua_pushlstring(L, k->u.s.p, k->u.s.n); break;
    case KEY_BOOLEAN: lua_pushboolean(L, (int)k->u.i); break;
    }
}

void keys_sort(struct key *v, size_t n)
{
    if (n > INSERTION_MAX) {
        qsort(v, n, sizeof *v, compare_void);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct key moved = v[i];
        size_t j = i;
        for (; j > 0 && compare(&v[j - 1], &moved) > 0; j--)
            v[j] = v[j - 1];
        v[j] = moved;
    }
}

void keys_reset(struct keys *k)
{
    k->n = 0;
    if (k->cap > KEYS_KEPT)
        keys_free(k);
}

void keys_free(struct keys *k)
{
    free(k->v);
    *k = (struct keys){0};
}
