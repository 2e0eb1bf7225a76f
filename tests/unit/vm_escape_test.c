/* SPDX-License-Identifier: Apache-2.0 */
/* The escape corpus: every file of tests/escape is run in a fresh state, under
 * four allocator modes and two hook counts. The first line says what must
 * happen: KILLED (out of time or memory), REFUSED (an error) or OK. When memory
 * is made scarce a script may also die of that, but never get further. */
#include "vm_test.h"

#include "base/limits.h"

#include <dirent.h>
#include <stdlib.h>

static const char language[] =
    "local sort = host.module('prelude').sort\n"
    "return { table = { sort = sort }, try = function(f, ...) return host.pcall(f, ...) end,\n"
    "  look = function(x) return host.gate('read', {{ name = 'look', args = x }}) end }\n";

static const struct mode {
    const char *name;
    size_t memory_limit;
    int alloc_fault;
} modes[] = {
    {"normal", 0, 0},
    {"limit", 1 * MIB, 0},
    {"refuse once", 2 * MIB, 1},
    {"fail the 50th", 0, 50},
};

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: cannot be read", path);
    char *text = xmalloc(1 * MIB);
    *n = fread(text, 1, 1 * MIB, f);
    fclose(f);
    return text;
}

static struct vm *make(const struct mode *m, int hook_count, bool is_killer, struct str prelude)
{
    struct err e = {0};
    struct vm *vm = vm_make((struct vm_options){
        .seed = 1,
        .memory_limit = m->memory_limit,
        .alloc_fault = m->alloc_fault,
        .hook_count = hook_count,
        .budget_ms = is_killer ? 40 : 60000,
    });
    if (vm_load_trusted(vm, "prelude", prelude, (struct str){0}, &e) < 0)
        fail_msg("lua/prelude.lua: %s", e.msg);
    load_module(vm, "m", language);
    return vm;
}

static const char *name_of(enum vm_outcome o)
{
    return o == VM_DONE ? "OK" : o == VM_ERROR ? "REFUSED" : o == VM_PARKED ? "PARKED" : "KILLED";
}

static int run_file(const char *name, struct str text, struct str prelude)
{
    char expect[16] = "";
    int bad = 0;
    if (sscanf(text.p, "-- expect: %15s", expect) != 1)
        fail_msg("%s: the first line must be '-- expect: KILLED|REFUSED|OK'", name);
    bool is_killer = strcmp(expect, "KILLED") == 0;
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        for (int hook_count = 1; hook_count <= 1000; hook_count *= 1000) {
            struct vm *vm = make(&modes[m], hook_count, is_killer, prelude);
            struct err e = {0};
            struct outcome out = {.outcome = VM_NOMEM};
            uint32_t branch;
            int rc = vm_start_chunk(vm, name, text, &branch, &e);
            if (rc == 0)
                out = vm_finish(vm, "[1,2]");
            else if (rc != ERR_LIMIT)
                fail_msg("%s: %s", name, e.msg);
            bool died_of_scarcity = m > 0 && out.outcome == VM_NOMEM;
            if (strcmp(name_of(out.outcome), expect) != 0 && !died_of_scarcity) {
                print_error("%s (%s, hook %d): expected %s, was %s: %s\n", name, modes[m].name, hook_count, expect,
                            name_of(out.outcome), out.text);
                bad++;
            }
            vm_free(vm);
        }
    }
    return bad;
}

static void corpus(void **state)
{
    (void)state;
    const char *only = getenv("ESCAPE_ONLY");
    struct dirent **files;
    struct str prelude;
    int bad = 0, ran = 0;
    char *prelude_text = read_file(MIDWATCH_SOURCE_DIR "/lua/prelude.lua", &prelude.n);
    prelude.p = prelude_text;
    int n = scandir(MIDWATCH_SOURCE_DIR "/tests/escape", &files, NULL, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        const char *name = files[i]->d_name;
        size_t len = strlen(name);
        if (len > 4 && strcmp(name + len - 4, ".lua") == 0 && (!only || strstr(name, only))) {
            char path[1024];
            struct str text;
            snprintf(path, sizeof path, "%s/tests/escape/%s", MIDWATCH_SOURCE_DIR, name);
            char *p = read_file(path, &text.n);
            text.p = p;
            bad += run_file(name, text, prelude);
            ran++;
            free(p);
        }
        free(files[i]);
    }
    free(files);
    free(prelude_text);
    assert_true(only || ran >= 100);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(corpus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
