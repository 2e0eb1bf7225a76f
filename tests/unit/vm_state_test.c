/* SPDX-License-Identifier: Apache-2.0 */
/* Memory accounting, limits, clocks, allocator faults, and the same results
 * whatever the garbage collector does. */
#include "vm_test.h"

#include "base/limits.h"

#include <stdlib.h>
#include <time.h>

static void a_new_state_is_small(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){0});
    assert_true(vm_memory(vm) < 24 * KIB);
    vm_free(vm);
    vm_free(NULL);
}

static void limit_kills_and_stays(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.memory_limit = 1 * MIB});
    struct err e = {0};
    struct vm_event ev;
    uint32_t branch;
    struct outcome out = vm_run(vm, "local t = {}\nfor i = 1, 1e9 do\n  t[i] = {}\nend");
    assert_int_equal(out.outcome, VM_NOMEM);
    assert_string_equal(out.text, "more than 1024 KiB of memory");
    assert_int_equal(out.line, 3);
    assert_true(vm_memory(vm) <= 1 * MIB);
    assert_int_equal(vm_start_chunk(vm, "t.md", STR("return 1"), &branch, &e), ERR_LIMIT);
    assert_int_equal(vm_step(vm, &ev), 0);
    vm_free(vm);
}

static void what_was_ready_dies_with_the_state(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.memory_limit = 1 * MIB});
    struct err e = {0};
    struct vm_event ev;
    uint32_t branch;
    assert_int_equal(vm_start_chunk(vm, "a.md", STR("local t = {} for i = 1, 1e9 do t[i] = {} end"), &branch, &e), 0);
    assert_int_equal(vm_start_chunk(vm, "b.md", STR("return 'ran'"), &branch, &e), 0);
    assert_int_equal(vm_finish(vm, "null").outcome, VM_NOMEM);
    assert_false(vm_is_ready(vm));
    assert_int_equal(vm_step(vm, &ev), 0);
    vm_free(vm);
}

static void memory_death_is_not_caught(void **state)
{
    (void)state;
    static const char *const bombs[] = {
        "for i = 1, 1e9 do try(function() local t = {} for k = 1, 1e9 do t[k] = {} end end) end return 'survived'",
        "while true do try(function() local s = 'x' while true do s = s .. s end end) end",
        "while true do try(function() return ('x'):rep(1 << 23):rep(2) end) end",
    };
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        struct vm *vm = vm_make((struct vm_options){.memory_limit = 4 * MIB});
        load_module(vm, "m", "return { try = function(f) return host.pcall(f) end }");
        struct outcome out = vm_run(vm, bombs[i]);
        if (out.outcome != VM_NOMEM)
            fail_msg("%s\n  gave (%d) %s", bombs[i], out.outcome, out.text);
        vm_free(vm);
    }
}

static void endless_recursion_is_named(void **state)
{
    (void)state;
    struct outcome out = run_text("local function f() return 1 + f() end\nf()");
    assert_int_equal(out.outcome, VM_NOMEM);
    assert_string_equal(out.text, "more than 65536 KiB of memory (a function that calls itself for ever?)");
}

static void budget_kills_and_stays(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.budget_ms = 30});
    struct err e = {0};
    uint32_t branch;
    load_module(vm, "m", "return { try = function(f) return host.pcall(f) end }");
    struct outcome out = vm_run(vm, "\nwhile true do try(function() while true do end end) end");
    assert_int_equal(out.outcome, VM_KILLED);
    assert_int_equal(out.line, 2);
    assert_string_equal(out.text, "more than 30 ms of computing between two looks at the world");
    assert_int_equal(vm_start_chunk(vm, "t.md", STR("return 1"), &branch, &e), ERR_LIMIT);
    vm_free(vm);
}

/* Time is counted between two requests: many short stretches are no long one. */
static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The hook that counts instructions never comes: growing memory and work in C look at the clock by themselves, and one
 * call in C does not outlive its time. */
static void no_clock_needs_the_hook(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "for i = 1, 3e6 do local t = {{}, {}} end return 'survived'",
        "local s = ('x'):rep(1 << 16) for i = 1, 1e5 do s:find('y', 1, true) end",
        "local s = ('x'):rep(1 << 10) for i = 1, 2e5 do s:find('[y]+') end",
        "local s = ('x'):rep(1 << 10) for i = 1, 2e5 do s:gsub('[y]', '') end",
        "local s = ('x'):rep(1 << 10) for i = 1, 2e5 do for _ in s:gmatch('[y]') do end end",
        "local s = (('y'):rep(1 << 10) .. 'x'):rep(1 << 10) for i = 1, 300 do for _ in s:gmatch('[y]*()x') do end end",
        "return (('x'):rep(1 << 24):find('.-.-y'))",
        "return (('('):rep(1 << 24):gsub('%b()', ''))",
        "local t = list() for i = 1, 3e3 do table.move(t, 1, 1e5, 2) end",
        "local t = list() for i = 1, 3e3 do table.concat(t) end",
        "local t = list() for i = 1, 1e6 do table.unpack(t, 1, 250) end",
        "local t = list() for i = 1, 3e3 do table.insert(t, 1, '') table.remove(t) end",
        "local t = list() for i = 1, 3e3 do table.insert(t, '') table.remove(t, 1) end",
        "local t = list() for i = 1, 3e3 do pairs(t) end",
        "local t = list() t.x = 1 for i = 1, 3e3 do pairs(t) end",
        "local t = list() for i = 1, 3e3 do next(t) end",
        "local s = ('0'):rep(1 << 16) for i = 1, 2e4 do tonumber(s) end",
        "local s = ('x'):rep(1 << 16) for i = 1, 2e4 do utf8.len(s) end",
        "local s = ('x'):rep(1 << 16) for i = 1, 5e4 do utf8.offset(s, 1 << 15) end",
        "local s = (' '):rep(1 << 15) for i = 1, 5e4 do load(s) end",
        "for i = 1, 3e4 do ('x'):rep(1 << 20) end",
        "local t = list() for i = 1, 1e3 do encode(t) end",
        "local t = list() t[#t + 1] = encode for i = 1, 1e3 do try(encode, t) end",
        "local s = '[' .. ('1,'):rep(1 << 14) .. '1]' for i = 1, 1e4 do decode(s) end",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct vm *vm = vm_make((struct vm_options){.budget_ms = 30, .hook_count = 1 << 30});
        load_module(vm, "m", "return { encode = host.encode, decode = host.decode, try = host.pcall,\n"
                             "  list = function() local t = {} for i = 1, 1e5 do t[i] = '' end return t end }");
        int64_t begun = cpu_ms();
        struct outcome out = vm_run(vm, texts[i]);
        if (out.outcome != VM_KILLED || cpu_ms() - begun > 300)
            fail_msg("%s\n  gave (%d) %s after %lld ms", texts[i], out.outcome, out.text, (long long)(cpu_ms() - begun));
        vm_free(vm);
    }
}

static void requests_begin_a_new_budget(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.budget_ms = 150, .slice_us = 100});
    load_module(vm, "m", "return { look = function() return host.gate('read', {}) end }");
    struct outcome out = vm_run(vm, "for i = 1, 200 do local n = 0 for k = 1, 100000 do n = n + k end look() end return 'done'");
    assert_string_equal(out.text, "[\"done\"]");
    vm_free(vm);
}

static const char program[] =
    "local C = {} C.__index = C\n"
    "local all, out = {}, {}\n"
    "for i = 1, 60 do\n"
    "  local o = setmetatable({name = 'n' .. i, list = {}}, C)\n"
    "  for k = 1, i % 7 do o.list[k] = ('x'):rep(k) .. tostring(o) end\n"
    "  all[o.name] = o\n"
    "end\n"
    "for name, o in pairs(all) do\n"
    "  out[#out + 1] = name .. ':' .. table.concat(o.list, ','):gsub('x+', function(x) return #x end)\n"
    "end\n"
    "local packed = load('return {' .. ('1,'):rep(50) .. '}')()\n"
    "return out, string.format('%s %d %q', {}, 12, 'quoted'), #packed, look({out[1], packed}), math.random(1000)";

static struct outcome run_program(struct vm_options o)
{
    struct vm *vm = vm_make(o);
    load_module(vm, "m", "return { look = function(x) return host.gate('read', {{args = x}}) end }");
    struct outcome out = vm_run(vm, program);
    vm_free(vm);
    return out;
}

static void same_under_every_collector(void **state)
{
    (void)state;
    struct outcome plain = run_program((struct vm_options){.seed = 5});
    assert_int_equal(plain.outcome, VM_DONE);
    assert_true(strlen(plain.text) > 1000);
    assert_string_equal(run_program((struct vm_options){.seed = 5, .gc_mode = 1}).text, plain.text);
    assert_string_equal(run_program((struct vm_options){.seed = 5, .gc_mode = 1, .hook_count = 1}).text, plain.text);
    assert_string_equal(run_program((struct vm_options){.seed = 5, .alloc_fault = 1}).text, plain.text);
}

/* Failing the nth growth, for every n until the program passes untouched: it ends as it should or dead, never else. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct outcome plain = run_program((struct vm_options){.seed = 5});
    int dead = 0, done = 0;
    for (int n = 2; done < 3 && n < 100000; n += n < 300 ? 1 : 17) {
        struct outcome out = run_program((struct vm_options){.seed = 5, .alloc_fault = n});
        if (out.outcome == VM_DONE) {
            assert_string_equal(out.text, plain.text);
            done++;
        } else {
            if (out.outcome != VM_NOMEM)
                fail_msg("growth %d failed: (%d) %s", n, out.outcome, out.text);
            dead++;
        }
    }
    assert_int_equal(done, 3);
    assert_true(dead > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_state_is_small),        cmocka_unit_test(limit_kills_and_stays),
        cmocka_unit_test(memory_death_is_not_caught),  cmocka_unit_test(endless_recursion_is_named),
        cmocka_unit_test(budget_kills_and_stays),      cmocka_unit_test(requests_begin_a_new_budget),
        cmocka_unit_test(same_under_every_collector),  cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(no_clock_needs_the_hook),     cmocka_unit_test(what_was_ready_dies_with_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
