/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of a runbook's repository inside a state. */
#include "vm_test.h"

#include "base/embedded.h"

static struct outcome run_with(struct vm_options o, const char *module, const char *text)
{
    struct vm *vm = vm_make(o);
    struct outcome out = {.outcome = VM_ERROR};
    struct err e = {0};
    uint32_t branch;

    load_module(vm, "m", "return { try = function(f) return host.pcall(f) end,\n"
                         "  look = function(x) return host.gate('read', {{ name = 'look', args = x }}) end }\n");
    assert_int_equal(vm_offer_required(vm, "other", "lib/other.lua", STR("return { n = 2 }"), &e), 0);
    if (vm_offer_required(vm, "mod", "lib/mod.lua", str_of(module), &e) < 0) {
        snprintf(out.text, sizeof out.text, "%s: %s", e.where, e.msg);
    } else {
        assert_int_equal(vm_start_chunk(vm, "t.md", str_of(text), &branch, &e), 0);
        out = vm_finish(vm, "[1]");
    }
    vm_free(vm);
    return out;
}

static const struct {
    const char *name, *module, *text, *result;
    enum vm_outcome outcome;
} cases[] = {
    {"value", "return { f = function() return 7 end }", "return require('mod').f()", "[7]", VM_DONE},
    {"once", "local n = 0 return { f = function() n = n + 1 return n end }",
     "require('mod').f() return require('mod').f(), require('mod') == require('mod')", "[2,true]", VM_DONE},
    {"no value is true", "local x = 1", "return require 'mod', require 'mod'", "[true,true]", VM_DONE},
    {"false is true", "return false", "return require 'mod'", "[true]", VM_DONE},
    {"of a module", "return require('other').n + 1", "return require 'mod'", "[3]", VM_DONE},
    {"the language is there", "return string.rep('x', 3)", "return require 'mod'", "[\"xxx\"]", VM_DONE},
    {"no arguments", "return select('#', ...)", "return require 'mod'", "[0]", VM_DONE},
    {"gate call of its function", "return { f = function() return look(1) end }", "return require('mod').f()", "[[1]]", VM_DONE},
    {"no global can be set", "\nx = 1", "return require 'mod'", "lib/mod.lua:2: assign to undeclared 'x'", VM_ERROR},
    {"no host", "return host", "return require 'mod'", "lib/mod.lua:1: no global 'host'", VM_ERROR},
    {"error in it", "return {}, error('bad')", "return require 'mod'", "lib/mod.lua:1: bad", VM_ERROR},
    {"error of its function", "return { f = function()\n local x = nil\n return x.y end }", "return require('mod').f()",
     "lib/mod.lua:3: attempt to index a nil value", VM_ERROR},
    {"gate call while loading", "look(1)", "return require 'mod'",
     "lib/mod.lua:1: observe while a module is being loaded", VM_ERROR},
    {"allowed again after it failed", "look(1)", "try(function() return require 'mod' end) return look(1)", "[[1]]", VM_DONE},
    {"failed once, failed always", "error('bad')",
     "try(function() return require 'mod' end) return require 'mod'", "module 'mod' is being loaded, or has failed", VM_ERROR},
    {"circle", "return require 'mod'", "return require 'mod'", "lib/mod.lua:1: module 'mod' is being loaded", VM_ERROR},
    {"not offered", "return 1", "\nreturn require('mo' .. 't')",
     "t.md:2: no module 'mot' in this run (did you mean 'mod'?)", VM_ERROR},
    {"through load", "return 1", "return load('return require(\"mod\")')()", "[1]", VM_DONE},
    {"through load, not offered", "return 1", "return load('return require(\"os\")')()", "no module 'os'", VM_ERROR},
    {"no name", "return 1", "return require(1)", "require takes the name of a module, not a number", VM_ERROR},
    {"inside a metamethod", "return 5",
     "return setmetatable({}, { __index = function() return require 'mod' end }).x", "[5]", VM_DONE},
    {"syntax error", "\n\nreturn +", "return 1", "lib/mod.lua:3", VM_ERROR},
    {"bytecode", "\x1bLua", "return 1", "lib/mod.lua", VM_ERROR},
    {"loops for ever", "while true do end", "return require 'mod'", "", VM_KILLED},
};

static void all_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int hook_count = 1; hook_count <= 1000; hook_count *= 1000) {
            struct vm_options o = {.seed = 1, .hook_count = hook_count, .slice_us = 1, .budget_ms = 100};
            struct outcome out = run_with(o, cases[i].module, cases[i].text);
            bool same = out.outcome == VM_DONE ? strcmp(out.text, cases[i].result) == 0
                                                    : strstr(out.text, cases[i].result) != NULL;
            if (out.outcome != cases[i].outcome || !same)
                fail_msg("%s (hook %d): %d %s", cases[i].name, hook_count, out.outcome, out.text);
        }
    }
}

/* A gate call inside a module is told by the line of the runbook that led there. */
static void line_of_the_runbook(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct vm_event ev;
    struct err e = {0};
    uint32_t branch;

    load_module(vm, "m", "return { look = function(x) return host.gate('read', {{ name = 'look', args = x }}) end }");
    assert_int_equal(vm_offer_required(vm, "mod", "lib/mod.lua", STR("return function() return (look(1)) end"), &e), 0);
    assert_int_equal(vm_start_chunk(vm, "t.md", STR("local f = require 'mod'\n\nlocal x = f()\nerror('x')"), &branch, &e), 0);
    assert_int_equal(vm_step(vm, &ev), 1);
    assert_int_equal(ev.outcome, VM_PARKED);
    assert_int_equal(ev.request.line, 3);
    assert_int_equal(vm_answer(vm, branch, ev.request.generation, STR("1"), &e), 0);
    assert_int_equal(vm_step(vm, &ev), 1);
    assert_int_equal(ev.outcome, VM_ERROR);
    assert_string_equal(ev.chunk, "t.md");
    assert_int_equal(ev.line, 4);
    vm_free(vm);
}

/* Bytecode is no runbook; it is refused when it is offered, and whoever requires it all the same does not run it. */
static void bytecode_is_not_run(void **state)
{
    (void)state;
    const struct embedded *code = embedded_find("lua/prelude.lua");
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct err e = {0};
    uint32_t branch;

    assert_int_equal(code->code.p[0], '\x1b');
    assert_int_equal(vm_start_chunk(vm, "t.md", code->code, &branch, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "attempt to load a binary chunk"));
    assert_int_equal(vm_offer_required(vm, "mod", "lib/mod.lua", code->code, &e), ERR_INVALID);
    struct outcome out = vm_run(vm, "return require 'mod'");
    assert_int_equal(out.outcome, VM_ERROR);
    assert_non_null(strstr(out.text, "attempt to load a binary chunk"));
    vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_cases), cmocka_unit_test(line_of_the_runbook),
                                       cmocka_unit_test(bytecode_is_not_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
