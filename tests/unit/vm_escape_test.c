/* SPDX-License-Identifier: Apache-2.0 */
/* The escape corpus against the bare sandbox: as a chunk, and as a module that a chunk requires. */
#include "escape_test.h"

static const char language[] =
    "return { table = { sort = host.module('prelude').sort }, try = function(f, ...) return host.pcall(f, ...) end,\n"
    "  look = function(x) return host.gate('read', {{ name = 'look', args = x }}) end }\n";

static struct vm *make(const struct escape_mode *m, bool is_killer)
{
    struct vm *vm = vm_make((struct vm_options){
        .seed = 1,
        .memory_limit = m->memory_limit,
        .alloc_fault = m->alloc_fault,
        .hook_count = m->hook_count,
        .budget_ms = is_killer ? KILL_BUDGET_MS : 60000,
    });
    offer(vm, "prelude");
    load_module(vm, "m", language);
    return vm;
}

static struct outcome run_chunk(struct vm *vm, const char *name, struct str text)
{
    struct outcome out = {.outcome = VM_NOMEM};
    struct err e = {0};
    uint32_t branch;
    int rc = vm_start_chunk(vm, name, text, &branch, &e);
    if (rc == 0)
        out = vm_finish(vm, "[1,2]");
    else if (rc != ERR_LIMIT)
        fail_msg("%s: %s", name, e.msg);
    return out;
}

static struct outcome as_chunk(const struct escape_file *f, const struct escape_mode *m)
{
    struct vm *vm = make(m, f->is_killer);
    struct outcome out = run_chunk(vm, f->name, f->text);
    vm_free(vm);
    return out;
}

static struct outcome as_required(const struct escape_file *f, const struct escape_mode *m)
{
    struct vm *vm = make(m, f->is_killer);
    struct err e = {0};
    if (vm_offer_required(vm, "it", f->name, f->text, &e) < 0)
        fail_msg("%s: %s", f->name, e.msg);
    struct outcome out = run_chunk(vm, "t.md", STR("require 'it'"));
    vm_free(vm);
    return out;
}

static void corpus(void **state)
{
    (void)state;
    escape_folder("", false, escape_modes, ESCAPE_MODES, 130, as_chunk);
}

/* Gate calls are refused while a module is loaded. */
static void corpus_in_a_module(void **state)
{
    (void)state;
    escape_folder("", true, ESCAPE_NORMAL, 1, 130, as_required);
}

static void reachable(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct buf out = BUF_INIT(65536);
    struct err e = {0};
    assert_int_equal(vm_reachable(vm, false, &out, &e), 0);
    escape_golden("reachable.txt", &out);
    buf_free(&out);
    vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reachable),
        cmocka_unit_test(corpus_in_a_module),
        cmocka_unit_test(corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
