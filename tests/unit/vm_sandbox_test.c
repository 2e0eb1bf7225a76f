/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxed code sees: base functions, libraries, views, sealed metatables,
 * order and text without hidden input. */
#include "vm_test.h"

#include <stdlib.h>

static void globals_are_strict(void **state)
{
    (void)state;
    expect_error("\nprnt(1)", "t.md:2: no global 'prnt'");
    expect_error("local x = tostrin(1)", "no global 'tostrin' (did you mean 'tostring'?)");
    expect_error("x = 1", "t.md:1: assign to undeclared 'x': use local");
    expect_error("function helper() end", "assign to undeclared 'helper': use local");
    expect_error("tostring = nil", "assign to 'tostring', which is part of the language: use local");
    expect_error("rawset(_ENV, 'x', 1)", "rawset: the table is read-only");
    expect_error("setmetatable(_ENV, {})", "has a metatable, which cannot be changed");
    expect_error("local _ENV = {} x = 1 return y.z", "attempt to index a nil value (global 'y')");
    expect_results("local _ENV = {} x = 1 return x", "[1]");
}

static void absent_names(void **state)
{
    (void)state;
    static const char *const absent[] = {
        "io", "os", "package", "debug", "coroutine", "collectgarbage", "pcall", "xpcall", "print", "dofile",
        "loadfile", "warn", "_G", "_VERSION", "host", "module",
    };
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        char text[64], want[64];
        snprintf(text, sizeof text, "return %s", absent[i]);
        snprintf(want, sizeof want, "no global '%s'", absent[i]);
        expect_error(text, want);
    }
    expect_error("return string.dump", "string has no field 'dump'");
    expect_error("return table.sort", "table has no field 'sort'");
    expect_error("return math.randomseed", "math has no field 'randomseed'");
    expect_error("return string.pack", "string has no field 'pack'");
}

static void libraries_are_read_only(void **state)
{
    (void)state;
    expect_error("string.rep = 1", "string is read-only: cannot set 'rep'");
    expect_error("string.evil = 1", "string is read-only: cannot set 'evil'");
    expect_error("rawset(string, 'rep', 1)", "rawset: the table is read-only");
    expect_error("table.insert(string, 1)", "table.insert: the table is read-only");
    expect_error("('').rep = 1", "attempt to index a string value");
    expect_error("return string.formt", "string has no field 'formt' (did you mean 'format'?)");
    expect_results("return getmetatable(''), getmetatable(string), getmetatable(_ENV)", "[false,false,false]");
    expect_results("return rawget(string, 'rep') == string.rep, ('a').rep == string.rep, #string", "[true,true,0]");
    expect_results("local n = 0 for k in pairs(math) do n = n + 1 end return n > 20", "[true]");
}

static void pairs_is_sorted(void **state)
{
    (void)state;
    expect_results("local t = {z=1, a=2, m=3, [2]=4, [1]=5, [-1.5]=6, [true]=7, [false]=8, [10]=9, [2^53]=1}\n"
                   "local o = {} for k, v in pairs(t) do o[#o + 1] = tostring(k) .. '=' .. v end return o",
                   "[[\"-1.5=6\",\"1=5\",\"2=4\",\"10=9\",\"9007199254740992=1\",\"a=2\",\"m=3\",\"z=1\",\"false=8\","
                   "\"true=7\"]]");
    expect_results("local o = {} for k, v in pairs({10, 20, 30}) do o[#o + 1] = k * v end return o", "[[10,40,90]]");
    expect_results("local o = {} for k in pairs({10, 20, nil, 30, x = 1}) do o[#o + 1] = k end return o", "[[1,2,4,\"x\"]]");
    expect_results("for k in pairs({}) do return 'no' end return 'yes'", "[\"yes\"]");
    expect_error("for k in pairs({[{}] = 1}) do end", "t.md:1: pairs: unordered key: a table cannot be put in order");
    expect_error("for k in pairs(nil) do end", "table expected, got nil");
    /* what is removed is not visited, what is added is not either */
    expect_results("local t = {a=1, b=2, c=3} local o = {}\n"
                   "for k in pairs(t) do o[#o + 1] = k t.b = nil t[k .. 'x'] = 1 end return o",
                   "[[\"a\",\"c\"]]");
    expect_results("local t = setmetatable({}, {__pairs = function(t) return function(_, k) if not k then return 1, 2 end "
                   "end, t, nil end}) local o = {} for k, v in pairs(t) do o[#o + 1] = k + v end return o", "[[3]]");
}

static void many_keys_in_order(void **state)
{
    (void)state;
    expect_results("local t = {} for i = 1, 5000 do t['k' .. (i * 7919) % 100003] = i end\n"
                   "local last, n, ok = '', 0, true for k in pairs(t) do n = n + 1 ok = ok and last < k last = k end\n"
                   "return n, ok", "[5000,true]");
    /* integers and floats beyond 2^53 are told apart */
    expect_results("local t = {[2^53] = 'f', [math.maxinteger] = 'max', [2^63] = 'big', [math.mininteger] = 'min'}\n"
                   "local o = {} for k, v in pairs(t) do o[#o + 1] = v end return o",
                   "[[\"min\",\"f\",\"max\",\"big\"]]");
}

static void next_and_ipairs(void **state)
{
    (void)state;
    expect_results("return next({}), next({b=1, a=2})", "[null,\"a\",2]");
    expect_error("return next({a=1}, 'a')", "use pairs");
    expect_results("local n = 0 for i, v in ipairs({1, 2, nil, 4}) do n = n + v end return n", "[3]");
    expect_error("for i in ipairs(nil) do end", "table expected, got nil");
}

static void text_without_addresses(void **state)
{
    (void)state;
    expect_results("local t, f = {}, function() end\n"
                   "return tostring(t), tostring(f), tostring(t), tostring(nil), tostring(1), tostring(1.0), tostring(0/0)",
                   "[\"table: #1\",\"function: #2\",\"table: #1\",\"nil\",\"1\",\"1.0\",\"nan\"]");
    expect_results("return string.format('%s %s %5.1f %d%% %q %-5s|', {}, true, 1.25, 7, 'x', 'a')",
                   "[\"table: #1 true   1.2 7% \\\"x\\\" a    |\"]");
    expect_error("return string.format('%p', {})", "%p would show an address");
    expect_error("return string.format('%d', 'x')", "number expected, got string");
    expect_error("return string.format('%y', 1)", "invalid conversion");
    expect_results("return #string.format('%99.99f', 1e308) > 300", "[true]");
    expect_results("return tostring(setmetatable({}, {__tostring = function() return 'me' end})), "
                   "string.format('%s', setmetatable({}, {__tostring = function() return 'me' end}))", "[\"me\",\"me\"]");
    expect_error("return tostring(setmetatable({}, {__tostring = function() return 1 end}))", "must return a string");
    expect_results("return tostring(setmetatable({}, {__name = 'Pod'}))", "[\"Pod: #1\"]");
    expect_results("return tostring(string)", "[\"string: #1\"]");
}

static void random_is_seeded(void **state)
{
    (void)state;
    const char *text = "local o = {} for i = 1, 20 do o[i] = math.random(1000) end o[21] = math.random() o[22] = math.random(0) "
                       "return o";
    struct outcome a = run_text(text), b = run_text(text);
    assert_string_equal(a.text, b.text);
    struct vm *vm = vm_make((struct vm_options){.seed = 8});
    assert_string_not_equal(vm_run(vm, text).text, a.text);
    vm_free(vm);
    expect_results("for i = 1, 10000 do local r = math.random(3, 5) if r < 3 or r > 5 then return r end end return 'in range'",
                   "[\"in range\"]");
    expect_results("return math.type(math.random(math.mininteger, math.maxinteger))", "[\"integer\"]");
    expect_error("math.random(2, 1)", "interval is empty");
    expect_error("math.random(1, 2, 3)", "wrong number of arguments");
}

static void metatables_are_sealed(void **state)
{
    (void)state;
    expect_results("local C = {} C.__index = C\nfunction C.new(x) return setmetatable({x = x}, C) end\n"
                   "function C:get() return self.x end\nlocal o = C.new(7)\nC.late = function(self) return self.x + 1 end\n"
                   "return o:get(), o:late(), getmetatable(o)", "[7,8,false]");
    expect_results("local mt = {__add = function(a, b) return 'sum' end, __len = function() return 9 end,\n"
                   "__eq = function() return true end, __lt = function() return true end, __call = function(_, x) return x end,\n"
                   "__unm = function() return 'neg' end}\n"
                   "local a, b = setmetatable({}, mt), setmetatable({}, mt)\n"
                   "return a + b, #a, a == b, a < b, a(5), -a", "[\"sum\",9,true,true,5,\"neg\"]");
    /* what was allowed when it was set counts; a change before the next setmetatable counts for that one */
    expect_results("local mt = {} local a = setmetatable({}, mt) mt.__len = function() return 5 end\n"
                   "local b = setmetatable({}, mt) return #a, #b", "[0,5]");
    expect_error("local t = setmetatable({}, {}) setmetatable(t, {})", "cannot be changed");
    expect_error("local t = setmetatable({}, {}) setmetatable(t, nil)", "cannot be changed");
    expect_error("local t = setmetatable({}, {__concat = function() return 'cat' end}) return t .. t", "attempt to concatenate");
    expect_error("setmetatable({}, 1)", "nil or table expected");
    expect_error("setmetatable(1, {})", "table expected");
    expect_error("local x <close> = setmetatable({}, {__close = function() end})", "got a non-closable value");
    /* the private copy is not a visible field */
    expect_results("local mt = {__len = function() return 1 end} setmetatable({}, mt)\n"
                   "local o = {} for k in pairs(mt) do o[#o + 1] = k end return o, (next(mt))", "[[\"__len\"],\"__len\"]");
    expect_results("local mt = {a = 1} setmetatable({}, mt) return mt", "[{\"a\":1}]");
}

static void table_guards(void **state)
{
    (void)state;
    expect_results("local t = {1, 2} table.insert(t, 3) table.insert(t, 1, 0) return t, table.remove(t), table.remove(t, 1), t",
                   "[[1,2],3,0,[1,2]]");
    expect_results("return table.concat({1, 2, 'x'}, ', '), table.unpack({1, 2, 3}, 2), select('#', table.unpack({}, 1, 3))",
                   "[\"1, 2, x\",2,3]");
    expect_results("return table.move({1, 2, 3}, 2, 3, 1), table.pack(1, nil).n", "[[2,3,3],2]");
    expect_error("table.insert(setmetatable({}, {__len = function() return 2^40 end}), 1)", "has a metatable");
    expect_error("table.move({}, 1, 1 << 40, 2)", "beyond 16777216");
    expect_error("table.concat({}, '', 1, 1 << 40)", "beyond 16777216");
    expect_error("table.unpack({}, 1, 1 << 40)", "beyond 16777216");
    expect_error("table.unpack({}, math.mininteger, math.maxinteger)", "beyond 16777216");
    expect_error("table.unpack({}, 1, 10000000)", "too many results to unpack");
    expect_error("table.insert(nil, 1)", "table expected, got nil");
    expect_error("local t = {} for i = 0, 40 do t[1 << i] = 1 end for i = 1, 40 do t[i] = 1 end table.insert(t, 1, 1) "
                 "error('done')", "t.md:1: ");
}

static void rep_is_bounded(void **state)
{
    (void)state;
    expect_results("return ('ab'):rep(3), ('ab'):rep(3, '-'), ('x'):rep(0), ('x'):rep(-5), (''):rep(1 << 40), ('x'):rep(1, 'yy')",
                   "[\"ababab\",\"ab-ab-ab\",\"\",\"\",\"\",\"x\"]");
    expect_results("return #('x'):rep(1 << 24), #('xy'):rep(1000, ',')", "[16777216,2999]");
    expect_error("('x'):rep((1 << 24) + 1)", "string.rep: 16777217 times 1 bytes is more than 16 MiB");
    expect_error("('x'):rep(math.maxinteger)", "more than 16 MiB");
    expect_error("('x'):rep(1 << 23, 'ab')", "more than 16 MiB");
}

static void load_is_guarded(void **state)
{
    (void)state;
    expect_results("return load('return 1 + 1')(), load('return ...', 'n', 't', {})(5)", "[2,5]");
    expect_results("local env = {} load('x = 1', 'n', 't', env)() return env", "[{\"x\":1}]");
    expect_results("return load('x =')", "[null,\"load(text):1: unexpected symbol near <eof>\"]");
    expect_results("return load('\\27Lua')", "[null,\"attempt to load a binary chunk (mode is 't')\"]");
    expect_error("load('x = 1')()", "load(text):1: assign to undeclared 'x'");
    expect_error("load(function() return 'x' end)", "load: takes a text, not a function");
    expect_error("load('', 'n', 'b')", "only text can be loaded");
    expect_error("load((' '):rep(70000))", "load: more than 64 KiB");
    expect_error("load('', 'n', 't', 5)", "table expected");
}

static void views(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct err e = {0};
    load_module(vm, "m",
                "local t = {ready = 1, name = 'a', sub = host.readonly({x = 1}, 'sub'), l = host.readonly(host.array({1, 2}), 'l')}\n"
                "return { pod = host.readonly(t, 'pod'), opt = host.readonly({a = 1}, 'opt', {'a', 'b'}),\n"
                "opt2 = host.readonly({a = 1}, 'opt2', {a = true, b = true}),\n"
                "set = function(k, v) t[k] = v end, same = function(v) return host.readonly(v, 'x') == v end }");
    assert_int_equal(vm_set_global(vm, "params", STR("{\"n\":1,\"l\":[1,{\"x\":2}],\"e\":[]}"), &e), 0);
    static const struct {
        const char *text, *result;
    } good[] = {
        {"return pod.ready, pod.sub.x, #pod.l, pod.l[2], pod.l[3], rawlen(pod.l), rawget(pod, 'name')", "[1,1,2,2,null,2,\"a\"]"},
        {"return pod", "[{\"l\":[1,2],\"name\":\"a\",\"ready\":1,\"sub\":{\"x\":1}}]"},
        {"local o = {} for k in pairs(pod) do o[#o + 1] = k end return o", "[[\"l\",\"name\",\"ready\",\"sub\"]]"},
        {"local n = 0 for i, v in ipairs(pod.l) do n = n + v end return n, table.concat(pod.l, '+'), table.unpack(pod.l)",
         "[3,\"1+2\",1,2]"},
        {"set('new', 5) return pod.new, same(pod), next(params.e)", "[5,true,null]"},
        {"return params.n, params.l[1], params.l[2].x, #params.l, params.e", "[1,1,2,2,[]]"},
        {"return opt.a, opt.b, opt2.b", "[1,null,null]"},
        {"return (('ready name'):gsub('%w+', pod))", "[\"1 a\"]"},
        {"return #table.move(pod.l, 1, 2, 1, {})", "[2]"},
    };
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"return pod.redy", "t.md:1: pod has no field 'redy' (did you mean 'ready'?) (has: l, name, new, ready, sub)"},
        {"pod.ready = 2", "pod is read-only: cannot set 'ready'"},
        {"pod.l[1] = 2", "l is read-only: cannot set 'number'"},
        {"return params.nothing", "params has no field 'nothing' (has: e, l, n)"},
        {"params.l[2].x = 1", "params is read-only"},
        {"return opt.c", "opt has no field 'c' (has: a, b)"},
        {"return opt2.c", "opt2 has no field 'c' (has: a, b)"},
        {"table.insert(pod.l, 1)", "table.insert: the table is read-only"},
        {"rawset(pod, 'a', 1)", "rawset: the table is read-only"},
        {"setmetatable(pod, {})", "cannot be changed"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct outcome out = vm_run(vm, good[i].text);
        if (strcmp(out.text, good[i].result) != 0)
            fail_msg("%s\n  gave %s\n  not %s", good[i].text, out.text, good[i].result);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct outcome out = vm_run(vm, bad[i].text);
        if (!strstr(out.text, bad[i].part))
            fail_msg("%s\n  gave %s\n  not %s", bad[i].text, out.text, bad[i].part);
    }
    vm_free(vm);
}

static void publishing(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    load_module(vm, "prelude", "local function sort(t) return 'sorted' end\n"
                               "return { table = { sort = sort }, lib = { f = function() return 1 end }, plain = { 1 } }");
    load_module(vm, "second", "return { g = function() return host.module('prelude').lib.f() end, ours = table.sort }");
    assert_string_equal(vm_run(vm, "return table.sort({}), table.concat({1}), lib.f(), g(), ours(), plain[1]").text,
                        "[\"sorted\",\"1\",1,1,\"sorted\",1]");
    assert_non_null(strstr(vm_run(vm, "lib.f = nil").text, "lib is read-only"));
    assert_non_null(strstr(vm_run(vm, "return lib.ff").text, "lib has no field 'ff' (did you mean 'f'?)"));
    assert_non_null(strstr(vm_run(vm, "return host").text, "no global 'host'"));
    assert_non_null(strstr(vm_run(vm, "return lob").text, "did you mean 'lib'?"));
    struct err e = {0};
    assert_int_equal(vm_load_trusted(vm, "bad", STR("return 5"), (struct str){0}, &e), 0);
    assert_int_equal(vm_publish(vm, "bad", &e), ERR_INVALID);
    assert_int_equal(vm_publish(vm, "nothing", &e), ERR_INVALID);
    assert_int_equal(vm_load_trusted(vm, "bad", STR("x ="), (struct str){0}, &e), ERR_INVALID);
    assert_string_equal(e.where, "bad:1");
    assert_int_equal(vm_load_trusted(vm, "bad", STR("error('no')"), (struct str){0}, &e), ERR_INVALID);
    assert_int_equal(vm_load_trusted(vm, "bad", STR("host.gate('read', {})"), (struct str){0}, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "observe while a module is being loaded"));
    assert_int_equal(vm_load_trusted(vm, "arg", STR("local a = ... return { arg = a }"), STR("{\"x\":[1]}"), &e), 0);
    assert_int_equal(vm_publish(vm, "arg", &e), 0);
    assert_string_equal(vm_run(vm, "return arg.x[1]").text, "[1]");
    vm_free(vm);
}

static void offered_modules(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct err e = {0};
    assert_int_equal(vm_offer_trusted(vm, "verbs", STR("host.module('count').n = host.module('count').n + 1\n"
                                                        "return { public = { act = function() return 'acted' end } }"), &e), 0);
    assert_int_equal(vm_offer_trusted(vm, "tools", STR("return { f = function() return 'f' end }"), &e), 0);
    assert_int_equal(vm_offer_trusted(vm, "broken", STR("error('is broken')"), &e), 0);
    assert_int_equal(vm_offer_trusted(vm, "cycle", STR("return host.module('cycle')"), &e), 0);
    load_module(vm, "count", "return { n = 0 }");
    load_module(vm, "m", "return { act = host.later('verbs'), also = host.later('verbs'), tools = host.later('tools'),\n"
                         "b = host.later('broken'), c = host.later('cycle'), d = host.later('nothing'),\n"
                         "n = function() return host.module('count').n end }");
    size_t before = vm_memory(vm);
    assert_string_equal(vm_run(vm, "return n(), act(), act(), n(), tools.f()").text, "[0,\"acted\",\"acted\",1,\"f\"]");
    assert_true(vm_memory(vm) > before);
    assert_non_null(strstr(vm_run(vm, "tools.f = 1").text, "tools is read-only"));
    assert_non_null(strstr(vm_run(vm, "return also").text, "no global 'also'"));
    assert_non_null(strstr(vm_run(vm, "return too1s").text, "no global 'too1s' (did you mean 'tools'?)"));
    assert_non_null(strstr(vm_run(vm, "tools = 1").text, "part of the language"));
    assert_non_null(strstr(vm_run(vm, "b()").text, "is broken"));
    assert_non_null(strstr(vm_run(vm, "c()").text, "module 'cycle' needs itself"));
    assert_non_null(strstr(vm_run(vm, "d()").text, "no module 'nothing'"));
    vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globals_are_strict),     cmocka_unit_test(absent_names),
        cmocka_unit_test(libraries_are_read_only), cmocka_unit_test(pairs_is_sorted),
        cmocka_unit_test(many_keys_in_order),     cmocka_unit_test(next_and_ipairs),
        cmocka_unit_test(text_without_addresses), cmocka_unit_test(random_is_seeded),
        cmocka_unit_test(metatables_are_sealed),  cmocka_unit_test(table_guards),
        cmocka_unit_test(rep_is_bounded),         cmocka_unit_test(load_is_guarded),
        cmocka_unit_test(views),                  cmocka_unit_test(publishing),
        cmocka_unit_test(offered_modules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
