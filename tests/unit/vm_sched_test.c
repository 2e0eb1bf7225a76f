/* SPDX-License-Identifier: Apache-2.0 */
/* Branches: requests and answers, preemption, endings, errors and their places. */
#include "vm_test.h"

#include <stdlib.h>

static const char language[] =
    "local m = {}\n"
    "function m.look(x) return host.gate('read', {{label = 'l', name = 'n.m', instance = 'i', args = {x = x}}}) end\n"
    "function m.finish(x) host.finish('end', {{name = x}}) error('resumed') end\n"
    "function m.try(f, ...) local ok, e = host.pcall(f, ...) return ok, e end\n"
    "function m.fail(x) host.fail(x) end\n"
    "function m.where() return host.where() end\n"
    "function m.forbidden(f) local outer = host.forbid('inside table.sort') local ok, e = host.pcall(f)\n"
    "  host.forbid(outer) if not ok then host.error(e, 0) end end\n"
    "function m.calls(t) return host.gate('read', t) end\n"
    "function m.now() return host.now() end\n"
    "return m\n";

static struct vm *make(void)
{
    struct vm *vm = vm_make((struct vm_options){.seed = 3});
    load_module(vm, "m", language);
    return vm;
}

static uint32_t start(struct vm *vm, const char *text)
{
    struct err e = {0};
    uint32_t branch = 0;
    if (vm_start_chunk(vm, "run.md", str_of(text), &branch, &e) < 0)
        fail_msg("%s", e.msg);
    return branch;
}

/* The next event; slices do not count. */
static struct vm_event next_event(struct vm *vm)
{
    struct vm_event ev = {0};
    int rc;
    while ((rc = vm_step(vm, &ev)) == 2)
        continue;
    assert_int_equal(rc, 1);
    return ev;
}

static void request_says_what_and_where(void **state)
{
    (void)state;
    struct vm *vm = make();
    struct err e = {0};
    uint32_t branch = start(vm, "\n\nlocal a = look(5)\nreturn a.y, look('z')");
    struct vm_event ev = next_event(vm);
    assert_int_equal(ev.outcome, VM_PARKED);
    assert_int_equal(ev.request.branch, branch);
    assert_true(str_is(ev.request.op, "read"));
    assert_int_equal(ev.request.ncalls, 1);
    assert_true(str_is(ev.request.calls[0].label, "l"));
    assert_true(str_is(ev.request.calls[0].name, "n.m"));
    assert_true(str_is(ev.request.calls[0].instance, "i"));
    assert_true(str_is(ev.request.calls[0].args, "{\"x\":5}"));
    assert_int_equal(ev.request.line, 3);
    assert_int_equal(vm_step(vm, &ev), 0);
    assert_int_equal(vm_answer(vm, branch, ev.request.generation + 1, STR("1"), &e), ERR_NOT_FOUND);
    assert_int_equal(vm_answer(vm, branch, 1, STR("{bad"), &e), ERR_INVALID);
    assert_int_equal(vm_answer(vm, branch, 1, STR("{\"y\":7}"), &e), 0);
    assert_int_equal(vm_answer(vm, branch, 1, STR("{\"y\":8}"), &e), ERR_NOT_FOUND);
    ev = next_event(vm);
    assert_int_equal(ev.outcome, VM_PARKED);
    assert_int_equal(vm_answer(vm, branch, ev.request.generation, STR("[]"), &e), 0);
    ev = next_event(vm);
    assert_int_equal(ev.outcome, VM_DONE);
    assert_true(str_eq(ev.json, STR("[7,[]]")));
    assert_int_equal(vm_answer(vm, branch, ev.request.generation, STR("1"), &e), ERR_NOT_FOUND);
    vm_free(vm);
}

static void many_calls_at_once(void **state)
{
    (void)state;
    struct vm *vm = make();
    start(vm, "local t = {} for i = 1, 256 do t[i] = {label = 'l' .. i, args = {i, ('x'):rep(i)}} end calls(t)\n"
              "t[257] = {} calls(t)");
    struct vm_event ev = next_event(vm);
    struct err e = {0};
    assert_int_equal(ev.request.ncalls, 256);
    for (size_t i = 0; i < 256; i++) {
        char want[400];
        snprintf(want, sizeof want, "l%zu", i + 1);
        assert_true(str_is(ev.request.calls[i].label, want));
        assert_int_equal(ev.request.calls[i].args.n, strlen(want) - 1 + 5 + i + 1);
    }
    assert_int_equal(vm_answer(vm, ev.request.branch, ev.request.generation, STR("1"), &e), 0);
    ev = next_event(vm);
    assert_string_equal(ev.error, "run.md:2: read: 257 at once, at most 256");
    vm_free(vm);
}

static void wrong_calls_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"calls(5)", "table expected"},
        {"calls({5})", "each call must be a table"},
        {"calls({{label = 5}})", "label must be a string"},
        {"calls({{name = 'shell.x', args = {f = function() end}}})", "run.md:1: shell.x.f: a function cannot be stored"},
        {"calls({{args = {f = 0/0}}})", "args.f: not a finite number"},
        {"local t = {} for i = 1, 20 do t[i] = {args = ('x'):rep(1000000)} end calls(t)", "larger than 4 MiB"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct vm *vm = make();
        start(vm, bad[i].text);
        struct vm_event ev = next_event(vm);
        if (ev.outcome != VM_ERROR || !strstr(ev.error, bad[i].part))
            fail_msg("%s\n  gave (%d) %s", bad[i].text, ev.outcome, ev.error);
        vm_free(vm);
    }
}

static void endings_are_never_resumed(void **state)
{
    (void)state;
    struct vm *vm = make();
    struct err e = {0};
    uint32_t branch = start(vm, "try(function() finish('resolved') end)\nfinish('twice')");
    struct vm_event ev = next_event(vm);
    assert_int_equal(ev.outcome, VM_PARKED);
    assert_true(str_is(ev.request.calls[0].name, "resolved"));
    assert_true(str_is(ev.request.calls[0].args, "null"));
    assert_int_equal(ev.request.line, 1);
    assert_int_equal(vm_answer(vm, branch, ev.request.generation, STR("1"), &e), ERR_NOT_FOUND);
    assert_int_equal(vm_step(vm, &ev), 0);
    vm_drop(vm, branch);
    vm_free(vm);
}

static void order_of_branches(void **state)
{
    (void)state;
    struct vm *vm = make();
    struct err e = {0};
    uint32_t a = start(vm, "look('a') look('a2')"), b = start(vm, "look('b')"), c = start(vm, "look('c')");
    struct vm_event ea = next_event(vm), eb = next_event(vm), ec = next_event(vm);
    assert_int_equal(ea.branch, a);
    assert_int_equal(eb.branch, b);
    assert_int_equal(ec.branch, c);
    /* answers decide the order */
    vm_answer(vm, c, ec.request.generation, STR("1"), &e);
    vm_answer(vm, a, ea.request.generation, STR("1"), &e);
    vm_answer(vm, b, eb.request.generation, STR("1"), &e);
    assert_int_equal(next_event(vm).branch, c);
    assert_int_equal(next_event(vm).branch, a);
    assert_int_equal(next_event(vm).branch, b);
    vm_free(vm);
}

static void preempted_before_siblings(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.slice_us = 1, .hook_count = 1});
    load_module(vm, "m", language);
    uint32_t a = start(vm, "local n = 0 for i = 1, 3000 do n = n + i end look(n)"), b = start(vm, "look('b')");
    struct vm_event ev;
    int slices = 0, rc;
    while ((rc = vm_step(vm, &ev)) == 2)
        slices++;
    assert_int_equal(rc, 1);
    assert_true(slices > 0);
    assert_int_equal(ev.branch, a);
    assert_true(str_is(ev.request.calls[0].args, "{\"x\":4501500}"));
    assert_int_equal(next_event(vm).branch, b);
    vm_free(vm);
}

/* Preempting at any instruction changes no result: metamethods, varargs, sort, gsub, pcall, iterators. */
static void preemption_changes_nothing(void **state)
{
    (void)state;
    static const char text[] =
        "local mt = {__index = function(t, k) return k .. '!' end, __add = function(a, b) return 'sum' end,\n"
        "  __eq = function() return true end, __lt = function() return true end,\n"
        "  __le = function() return false end, __call = function(_, ...) return select('#', ...) end,\n"
        "  __len = function() return 3 end, __unm = function() return 'neg' end, __tostring = function() return 'T' end}\n"
        "local function new() return setmetatable({}, mt) end\n"
        "local out = {}\n"
        "local function add(...) for i = 1, select('#', ...) do out[#out + 1] = (select(i, ...)) end end\n"
        "for i = 1, 15 do\n"
        "  local a, b = new(), new()\n"
        "  add(a.x, a + b, a == b, a < b, a <= b, a(1, 2), #a, -a, tostring(a))\n"
        "  add(try(function(x) if x > 7 then error('big', 0) end return x end, i))\n"
        "  for k, v in pairs({b = i, a = 2}) do add(k, v) end\n"
        "  add((('a b c'):gsub('%w', function(c) return c .. i end)))\n"
        "end\n"
        "return out";
    struct vm *plain = make(), *chopped = vm_make((struct vm_options){.slice_us = 1, .hook_count = 1, .gc_mode = 1, .seed = 3});
    load_module(chopped, "m", language);
    start(plain, text);
    start(chopped, text);
    struct outcome a = vm_finish(plain, "1"), b = vm_finish(chopped, "1");
    assert_int_equal(a.outcome, VM_DONE);
    assert_true(b.slices > 10);
    assert_string_equal(a.text, b.text);
    vm_free(plain);
    vm_free(chopped);
}

static void errors_carry_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
        int line;
    } bad[] = {
        {"\nlocal x = nil\nx.y = 1", "run.md:3: attempt to index a nil value (local 'x')", 3},
        {"\nfail('no such thing')", "run.md:2: no such thing", 2},
        {"local function f()\n  fail('inner')\nend\nf()", "run.md:2: inner", 2},
        {"error('text', 0)", "text", 1},
        {"error({message = 'from a table', code = 3})", "from a table", 1},
        {"error({1, 2})", "an error that is a table", 1},
        {"error(nil)", "an error that is a nil value", 1},
        {"error(setmetatable({}, {__tostring = function() while true do end end}))", "an error that is a table", 1},
        {"error('two\\nlines')", "run.md:1: two lines", 1},
        {"try(5)\nlook(1)\nfail('after')", "run.md:3: after", 3},
        {"local function f(a, b, c) local x = f(a, b, c) return x end f()", "run.md:1: stack overflow", 1},
        {"assert(false)", "run.md:1: assertion failed!", 1},
        {"assert(nil, 'said')", "run.md:1: said", 1},
        {"return where", "result 1: a function cannot be stored", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct vm *vm = make();
        start(vm, bad[i].text);
        struct outcome out = vm_finish(vm, "1");
        if (out.outcome != VM_ERROR || strncmp(out.text, bad[i].error, strlen(bad[i].error)) != 0 || out.line != bad[i].line)
            fail_msg("%s\n  gave (%d) line %d %s", bad[i].text, out.outcome, out.line, out.text);
        if (i == 4)
            assert_string_equal(out.json, "{\"code\":3,\"message\":\"from a table\"}");
        vm_free(vm);
    }
}

/* A collection may shrink the stack between the overflow and the answer; the place is told all the same. */
static void overflow_has_its_place_whatever_is_collected(void **state)
{
    (void)state;
    static const char *const params[] = {"a, b, c", "a, b, c, d", "a, b, c, d, e", "a, b, c, d, e, g", "a, b, c, d, e, g, h"};
    for (int i = 0; i < 35; i++) {
        struct vm *vm = vm_make((struct vm_options){.seed = 3, .hook_count = 1 + i % 7});
        char text[300];
        snprintf(text, sizeof text,
                 "for i = 1, %d do local t = {{}, {}} end local function f(%s) local x = f(%s) return x end f()", i * 50,
                 params[i % 5], params[i % 5]);
        start(vm, text);
        struct outcome out = vm_finish(vm, "1");
        if (strncmp(out.text, "run.md:1: stack overflow", 24) != 0 || out.line != 1)
            fail_msg("%s\n  gave (%d) line %d %s", text, out.outcome, out.line, out.text);
        vm_free(vm);
    }
}

static void syntax_errors_have_a_place(void **state)
{
    (void)state;
    struct vm *vm = make();
    struct err e = {0};
    uint32_t branch;
    assert_int_equal(vm_start_chunk(vm, "run.md", STR("\n\nlocal x ="), &branch, &e), ERR_INVALID);
    assert_string_equal(e.where, "run.md:3");
    assert_string_equal(e.msg, "unexpected symbol near <eof>");
    assert_int_equal(vm_check_chunk(vm, "run.md", STR("local x = 1"), &e), 0);
    assert_int_equal(vm_check_chunk(vm, "run.md", STR("\x1bLua"), &e), ERR_INVALID);
    vm_free(vm);
}

/* What the compiler cannot be trusted with is refused in every text: a chain of accesses costs time by its square. */
static void long_chains_are_refused(void **state)
{
    (void)state;
    struct vm *vm = make();
    struct buf text = BUF_INIT(1 << 16);
    struct err e = {0};
    uint32_t branch;
    buf_adds(&text, "local a = {}\nreturn a");
    for (int i = 0; i < 1000; i++)
        buf_adds(&text, ".b");
    struct str all = {text.data, text.len};
    assert_int_equal(vm_start_chunk(vm, "run.md", all, &branch, &e), ERR_INVALID);
    assert_string_equal(e.where, "run.md:2");
    assert_int_equal(vm_offer_required(vm, "it", "it.lua", all, &e), ERR_INVALID);
    assert_string_equal(e.where, "it.lua:2");
    buf_free(&text);
    vm_free(vm);
}

static void pcall_and_gate(void **state)
{
    (void)state;
    struct vm *vm = make();
    start(vm, "local ok, v = try(function() return look(1) end)\n"
              "local bad, e = try(function() look(2) error('later', 0) end)\n"
              "local t, e2 = try(function() error({a = 1}) end)\n"
              "return ok, v, bad, e, t, e2.a, try(look, 3)");
    struct outcome out = vm_finish(vm, "42");
    assert_string_equal(out.text, "[true,42,false,\"later\",false,1,true,42]");
    assert_int_equal(out.requests, 3);
    vm_free(vm);
}

static void forbidden_sections(void **state)
{
    (void)state;
    struct vm *vm = make();
    start(vm, "local ok, e = try(function() forbidden(function() look(1) end) end)\nlook(2)\nreturn ok, e");
    struct outcome out = vm_finish(vm, "1");
    assert_string_equal(out.text, "[false,\"run.md:1: observe inside table.sort: not possible there, do it before\"]");
    assert_int_equal(out.requests, 1);
    vm_free(vm);
}

static void drop_and_reuse(void **state)
{
    (void)state;
    struct vm *vm = make();
    struct err e = {0};
    uint32_t a = start(vm, "look(1)"), b = start(vm, "look(2)");
    struct vm_event ev = next_event(vm);
    assert_int_equal(ev.branch, a);
    vm_drop(vm, a);
    vm_drop(vm, b);
    vm_drop(vm, b);
    vm_drop(vm, 12345);
    assert_int_equal(vm_step(vm, &ev), 0);
    assert_int_equal(vm_answer(vm, a, 1, STR("1"), &e), ERR_NOT_FOUND);
    for (int i = 0; i < 1000; i++) {
        uint32_t c = start(vm, "return 1");
        assert_int_not_equal(c, a);
        assert_int_not_equal(c, b);
        assert_int_equal(next_event(vm).outcome, VM_DONE);
    }
    vm_free(vm);
}

static void many_ready_branches(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.memory_limit = 512u << 20});
    struct err e = {0};
    uint32_t branch;
    load_module(vm, "m", "return { f = function(x) return host.gate('read', {{args = x}}) end }");
    int started = 0;
    for (int i = 0; i < 100000; i++, started++)
        if (vm_start_call(vm, "m", "f", STR("[1]"), &branch, &e) < 0)
            break;
    assert_int_equal(started, 100000);
    for (int i = 0; i < 100000; i++) {
        struct vm_event ev = next_event(vm);
        assert_int_equal(ev.outcome, VM_PARKED);
        assert_int_equal(vm_answer(vm, ev.branch, ev.request.generation, STR("1"), &e), 0);
    }
    for (int i = 0; i < 100000; i++)
        assert_int_equal(next_event(vm).outcome, VM_DONE);
    vm_free(vm);
}

static void calls_of_modules(void **state)
{
    (void)state;
    struct vm *vm = make();
    struct err e = {0};
    uint32_t branch;
    assert_int_equal(vm_start_call(vm, "m", "lok", STR("[]"), &branch, &e), ERR_NOT_FOUND);
    assert_string_equal(e.msg, "module m has no function 'lok' (did you mean 'look'?)");
    assert_int_equal(vm_start_call(vm, "n", "look", STR("[]"), &branch, &e), ERR_NOT_FOUND);
    assert_int_equal(vm_start_call(vm, "m", "look", STR("{}"), &branch, &e), ERR_INVALID);
    assert_int_equal(vm_start_call(vm, "m", "look", STR("[1"), &branch, &e), ERR_INVALID);
    assert_int_equal(vm_start_call(vm, "m", "look", STR("[1,2,3]"), &branch, &e), 0);
    assert_string_equal(vm_finish(vm, "[true]").text, "[[true]]");
    vm_set_now(vm, 1234567890123);
    assert_int_equal(vm_start_call(vm, "m", "now", STR("[]"), &branch, &e), 0);
    assert_string_equal(vm_finish(vm, "1").text, "[1234567890123]");
    vm_free(vm);
}

/* Whatever the language lets through. */
static void branches_at_once_are_bounded(void **state)
{
    static const struct { int n; enum vm_outcome outcome; const char *text; } cases[] = {
        {0, VM_ERROR, "0 branches at once, 1 to 256 are possible"},
        {256, VM_FORKED, ""},
        {257, VM_ERROR, "257 branches at once, 1 to 256 are possible"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vm *vm = vm_make((struct vm_options){0});
        char text[128];
        load_module(vm, "m", "return { fork = function(list) host.fork(list) end }");
        snprintf(text, sizeof text, "local l = {} for i = 1, %d do l[i] = function() end end fork(l)", cases[i].n);
        struct outcome out = vm_run(vm, text);
        if (out.outcome != cases[i].outcome || !strstr(out.text, cases[i].text))
            fail_msg("%d: (%d) %s", cases[i].n, out.outcome, out.text);
        vm_free(vm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_says_what_and_where), cmocka_unit_test(many_calls_at_once),
        cmocka_unit_test(wrong_calls_are_refused),     cmocka_unit_test(endings_are_never_resumed),
        cmocka_unit_test(order_of_branches),           cmocka_unit_test(preempted_before_siblings),
        cmocka_unit_test(preemption_changes_nothing),  cmocka_unit_test(errors_carry_their_place),
        cmocka_unit_test(overflow_has_its_place_whatever_is_collected),
        cmocka_unit_test(syntax_errors_have_a_place),  cmocka_unit_test(pcall_and_gate),
        cmocka_unit_test(forbidden_sections),          cmocka_unit_test(drop_and_reuse),
        cmocka_unit_test(many_ready_branches),         cmocka_unit_test(calls_of_modules),
        cmocka_unit_test(branches_at_once_are_bounded), cmocka_unit_test(long_chains_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
