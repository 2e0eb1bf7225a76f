/* SPDX-License-Identifier: Apache-2.0 */
/* A state with the modules of lua/ offered as trusted ones, and test modules of tests/lua that are called with JSON. */
#ifndef MIDWATCH_TESTS_LUA_TEST_H
#define MIDWATCH_TESTS_LUA_TEST_H

#include "vm_test.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>

/* The whole file; freed by the caller. */
static inline char *file_text(const char *name, size_t *n)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", MIDWATCH_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: cannot be read", path);
    char *text = xmalloc(1 * MIB);
    *n = fread(text, 1, 1 * MIB - 1, f);
    text[*n] = '\0';
    fclose(f);
    return text;
}

static inline void offer(struct vm *vm, const char *name)
{
    struct err e = {0};
    char path[128];
    snprintf(path, sizeof path, "lua/%s.lua", name);
    const struct embedded *m = embedded_find(path);
    if (!m || vm_offer_trusted(vm, name, m->code, &e) < 0)
        fail_msg("%s: %s", path, m ? e.msg : "is not in this program");
}

static inline void load_test(struct vm *vm, const char *name)
{
    struct err e = {0};
    char path[128];
    size_t n;
    snprintf(path, sizeof path, "tests/lua/%s.lua", name);
    char *text = file_text(path, &n);
    if (vm_load_trusted(vm, name, (struct str){text, n}, (struct str){0}, &e) < 0)
        fail_msg("%s: %s %s", path, e.where, e.msg);
    free(text);
}

/* Calls a function of a test module; its results as JSON list, or the error. */
static inline struct outcome call_test(struct vm *vm, const char *module, const char *function, const char *args)
{
    struct err e = {0};
    uint32_t branch;
    if (vm_start_call(vm, module, function, str_of(args), &branch, &e) < 0)
        fail_msg("%s.%s: %s", module, function, e.msg);
    return vm_finish(vm, "null");
}

#endif
