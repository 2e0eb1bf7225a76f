/* SPDX-License-Identifier: Apache-2.0 */
/* The one order of table keys: numbers, then strings by bytes, then booleans.
 * Sorted `pairs` and canonical JSON both use it. Keys point into strings of the
 * table they were taken from: valid while that table is not changed. */
#ifndef MIDWATCH_VM_KEYS_H
#define MIDWATCH_VM_KEYS_H

#include "base/str.h"

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_MAX (1u << 20)

enum key_kind { KEY_INTEGER, KEY_FLOAT, KEY_STRING, KEY_BOOLEAN };

struct key {
    enum key_kind kind;
    int slot;               /* free for the caller */
    union {
        lua_Integer i;      /* also booleans */
        lua_Number d;
        struct str s;
    } u;
};

/* A stack of keys, so that nested tables share one block. */
struct keys {
    struct key *v;
    size_t n, cap;
};

/* Appends room for one key; NULL at KEYS_MAX. */
struct key *keys_add(struct keys *k);
/* Takes the key at the top of the Lua stack; false if it has no place in the order. [-0, +0] */
bool keys_read(lua_State *L, struct key *out);
/* [-0, +1, m] */
void keys_push(lua_State *L, const struct key *k);
void keys_sort(struct key *v, size_t n);
/* Back to n = 0, and back to a small block. */
void keys_reset(struct keys *k);
void keys_free(struct keys *k);

#endif
