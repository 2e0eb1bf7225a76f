/* SPDX-License-Identifier: Apache-2.0 */
/* Values to canonical JSON and back. */
#include "vm_test.h"

#include "base/limits.h"

#include <stdlib.h>

static void encodes(void **state)
{
    (void)state;
    expect_results("return nil, true, false, 1, -0.0, 1.5, 2^53, 'a', math.mininteger, math.maxinteger",
                   "[null,true,false,1,-0.0,1.5,9007199254740992.0,\"a\",-9223372036854775808,9223372036854775807]");
    expect_results("return {}, {1,2,3}, {x={}}, {{},{1}}", "[{},[1,2,3],{\"x\":{}},[{},[1]]]");
    expect_results("return {b=1, a=2, ['a b']=3, A=4, ['']=5, aa=6}",
                   "[{\"\":5,\"A\":4,\"a\":2,\"a b\":3,\"aa\":6,\"b\":1}]");
    expect_results("return 'q\"\\\\\\n\\0\\255'", "[\"q\\\"\\\\\\n\\u0000\xEF\xBF\xBD\"]");
    expect_results("local t = {1, 2, 3}; t[2] = nil; t[3] = nil; return t", "[[1]]");
    /* shared tables are written twice */
    expect_results("local t = {1} return {t, t}", "[[[1],[1]]]");
}

static void refuses_with_path(void **state)
{
    (void)state;
    expect_error("return {a={b={1, print2=1}}}", "result 1.a.b: a mix of list and record");
    expect_error("return {a={1, {c=tostring}}}", "result 1.a[2].c: a function cannot be stored");
    expect_error("return 1, {x=0/0}", "result 2.x: not a finite number");
    expect_error("return {x=math.huge}", "result 1.x: not a finite number");
    expect_error("local t = {} t.a = {t} return t", "result 1.a[1]: the table contains itself");
    expect_error("return {[true]=1}", "a key of the table is neither");
    expect_error("return {[{}]=1}", "a key of the table is neither");
    expect_error("return {[2]=1}", "a table with number keys");
    expect_error("return {[1.5]=1}", "a table with number keys");
    expect_error("return {1, nil, 3, nil, 5, nil, 7, nil, nil, 10}", "list with holes");
    expect_error("return {['\\255']=1}", "the key is not UTF-8");
    expect_error("local t = {} for i = 1, 100 do t = {t} end return t", "nested more than 64 deep");
    expect_error("return ('x'):rep(2^20)", "larger than 1 MiB");
    expect_error("local t = {} for i = 1, 300000 do t['k' .. i] = 1 end return t", "larger than 1 MiB");
    /* sharing must not multiply without bound */
    expect_error("local t = {1} for i = 1, 40 do t = {t, t} end return t", "larger than 1 MiB");
}

static void depth_limit_is_exact(void **state)
{
    (void)state;
    struct outcome out = run_text("local t = {} for i = 1, 63 do t = {t} end return t");
    assert_int_equal(out.outcome, VM_DONE);
    expect_error("local t = {} for i = 1, 64 do t = {t} end return t", "nested more than 64 deep");
}

/* Decodes in the vm and encodes what came out. */
static struct outcome round_trip(const char *json)
{
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct err e = {0};
    uint32_t branch;
    struct buf args = BUF_INIT(4 * MIB);
    struct outcome out = {.outcome = VM_ERROR};
    load_module(vm, "echo", "return { echo = function(...) return ... end }");
    buf_addf(&args, "[%s]", json);
    if (vm_start_call(vm, "echo", "echo", (struct str){buf_text(&args), args.len}, &branch, &e) < 0)
        snprintf(out.text, sizeof out.text, "%s", e.msg);
    else
        out = vm_finish(vm, "null");
    buf_free(&args);
    vm_free(vm);
    return out;
}

static void decodes(void **state)
{
    (void)state;
    static const char *const same[] = {
        "null", "true", "1", "-1", "1.0", "-0.0", "0.1", "1e+300", "9223372036854775807", "-9223372036854775808",
        "\"\"", "[]", "{}", "[[],{}]", "[null,null]", "{\"a\":null,\"b\":[]}", "\"\\u0000\\u001f\"",
        "\"\xC3\xA9\xF0\x9F\x98\x80\"", "123456789.123", "1e-07", "2.2250738585072014e-308", "[1,[2,[3,[4]]]]",
    };
    static const struct {
        const char *from, *to;
    } other[] = {
        {"  [ 1 , 2 ]\n", "[[1,2]]"}, {"\"\\u00e9\\ud83d\\ude00\"", "[\"\xC3\xA9\xF0\x9F\x98\x80\"]"},
        {"\"\\ud83d\"", "[\"\xEF\xBF\xBD\"]"}, {"\"\\ud83d\\u0041\"", "[\"\xEF\xBF\xBD" "A\"]"},
        {"9223372036854775808", "[\"9223372036854775808\"]"}, {"-9223372036854775809", "[\"-9223372036854775809\"]"},
        {"1E2", "[100.0]"}, {"{\"a\":1,\"a\":2}", "[{\"a\":2}]"}, {"\"\\/\\b\\f\"", "[\"/\\b\\f\"]"}, {"-0", "[0]"},
        {"123456789012345678901234567890.0", "[1.2345678901234568e+29]"},
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        char want[256];
        snprintf(want, sizeof want, "[%s]", same[i]);
        assert_string_equal(round_trip(same[i]).text, want);
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_string_equal(round_trip(other[i].from).text, other[i].to);
}

static void refuses_bad_json(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "[", "]", "[1,]", "{", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "tru", "nul", "01", "1.", ".5", "1e",
        "+1", "-", "\"", "\"\\x\"", "\"\\u12\"", "\"\n\"", "1e999", "NaN", "Infinity", "[1 2]", "{\"a\" 1}", "'a'",
        "1,2]extra", "@0", "\"\\", "\"\\u", "--1", "1.e5", "[\x01]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct outcome out = round_trip(bad[i]);
        if (i > 0 && !strstr(out.text, "json: "))
            fail_msg("'%s' gave (%d) %s", bad[i], out.outcome, out.text);
    }
    char deep[300] = "";
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    assert_non_null(strstr(round_trip(deep).text, "nested more than 64 deep"));
}

static void what_comes_in_is_no_deeper(void **state)
{
    (void)state;
    for (int depth = 64; depth <= 65; depth++) {
        struct vm *vm = vm_make((struct vm_options){0});
        char text[100];
        load_module(vm, "m", "return { decode = host.decode }");
        snprintf(text, sizeof text, "decode(('['):rep(%d) .. (']'):rep(%d)) return 'taken'", depth, depth);
        struct outcome out = vm_run(vm, text);
        assert_int_equal(out.outcome, depth == 64 ? VM_DONE : VM_ERROR);
        assert_non_null(strstr(out.text, depth == 64 ? "taken" : "nested more than 64 deep"));
        vm_free(vm);
    }
}

static uint64_t dice_state;

static uint32_t dice(uint32_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice_state >> 33) % n;
}

/* Adds a random value as canonical JSON. */
static void add_random(struct buf *out, int depth)
{
    static const char *const scalars[] = {"null", "true", "false", "0", "-7", "12345678901", "0.5", "-2.25", "1e+100",
                                          "\"\"", "\"text\"", "\"\\n\\\"\"", "\"\xC3\xBC\"", "3.0", "0.1"};
    uint32_t kind = depth > 4 ? 0 : dice(4), n = dice(5);
    if (kind < 2) {
        buf_adds(out, scalars[dice(sizeof scalars / sizeof scalars[0])]);
    } else if (kind == 2) {
        buf_addc(out, '[');
        for (uint32_t i = 0; i < n; i++) {
            buf_adds(out, i ? "," : "");
            add_random(out, depth + 1);
        }
        buf_addc(out, ']');
    } else {
        buf_addc(out, '{');
        for (uint32_t i = 0; i < n; i++) {
            buf_addf(out, "%s\"%c%u\":", i ? "," : "", (int)('A' + 7 * i), dice(1000));
            add_random(out, depth + 1);
        }
        buf_addc(out, '}');
    }
}

static void canonical_text_survives(void **state)
{
    (void)state;
    dice_state = 42;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    load_module(vm, "echo", "return { echo = function(...) return ... end }");
    for (int i = 0; i < 3000; i++) {
        struct buf args = BUF_INIT(1 * MIB);
        struct err e = {0};
        struct vm_event ev;
        uint32_t branch;
        buf_addc(&args, '[');
        add_random(&args, 0);
        buf_addc(&args, ']');
        assert_int_equal(vm_start_call(vm, "echo", "echo", (struct str){args.data, args.len}, &branch, &e), 0);
        int rc;
        while ((rc = vm_step(vm, &ev)) == 2)
            continue;
        assert_int_equal(rc, 1);
        assert_int_equal(ev.outcome, VM_DONE);
        if (ev.json.n != args.len || memcmp(ev.json.p, args.data, args.len) != 0)
            fail_msg("%s\n  came back as %.*s", args.data, (int)ev.json.n, ev.json.p);
        buf_free(&args);
    }
    vm_free(vm);
}

static void lossy_is_reported(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct err e = {0};
    struct vm_event ev;
    uint32_t branch;
    load_module(vm, "m", "return { say = function(x) return host.gate('read', {{args = x}, {args = 'ok'}}) end }");
    assert_int_equal(vm_start_chunk(vm, "t.md", STR("say('a\\255')"), &branch, &e), 0);
    assert_int_equal(vm_step(vm, &ev), 1);
    assert_int_equal(ev.outcome, VM_PARKED);
    assert_true(ev.request.calls[0].lossy);
    assert_false(ev.request.calls[1].lossy);
    assert_true(str_is(ev.request.calls[0].args, "\"a\xEF\xBF\xBD\""));
    vm_free(vm);
}

static void empty_list_stays_a_list(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct err e = {0};
    uint32_t branch;
    load_module(vm, "m", "return { f = function(l) table.insert(l, 1) table.remove(l) table.insert(l, 5) table.remove(l) "
                         "return l, host.array({}), host.is_array(l), host.is_array({}), #l end }");
    assert_int_equal(vm_start_call(vm, "m", "f", STR("[[]]"), &branch, &e), 0);
    assert_string_equal(vm_finish(vm, "null").text, "[[],[],true,false,0]");
    vm_free(vm);
}

/* Fields are decoded where they are looked at, all of them for whoever goes through them, and no other text has such records. */
static void records_are_decoded_by_field(void **state)
{
    const struct vm_field fields[] = {{"a", STR("{\"x\":[1,2]}")}, {"b", STR("3")}, {"broken", STR("{")}};
    const struct vm_record records[] = {{fields, 2}, {fields, 0}, {fields, 3}};
    static const char text[] = "local r = ... local one, none, broken = r[1], r[2], r[3]\n"
                               "assert(one.b == 3 and one.a.x[2] == 2 and one.a == one.a and one.c == nil and one[1] == nil)\n"
                               "assert(none.a == nil and broken.b == 3)\n"
                               "local ok, e = host.pcall(function() return broken.broken end)\n"
                               "assert(not ok and string.find(e, 'field broken: json', 1, true))\n"
                               "one.a.x[3] = 7\n"
                               "local seen = ''\n"
                               "for k, v in pairs(one) do seen = seen .. k .. type(v) end\n"
                               "assert(seen == 'atablebnumber' and one.a.x[3] == 7 and getmetatable(one) == nil)\n"
                               "for _ in pairs(none) do error('none') end\n"
                               "return {}";
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    struct err e = {0};

    (void)state;
    vm_argument_records(vm, records, 3);
    assert_int_equal(vm_load_trusted(vm, "late", str_of(text), STR("[@0,@1,@2]"), &e), 0);
    assert_int_equal(vm_load_trusted(vm, "late", str_of(text), STR("[@0]"), &e), ERR_INVALID);
    vm_argument_records(vm, records, 3);
    assert_int_equal(vm_load_trusted(vm, "late", str_of(text), STR("[@3]"), &e), ERR_INVALID);
    vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_in_is_no_deeper),
        cmocka_unit_test(encodes),
        cmocka_unit_test(refuses_with_path),
        cmocka_unit_test(depth_limit_is_exact),
        cmocka_unit_test(decodes),
        cmocka_unit_test(refuses_bad_json),
        cmocka_unit_test(records_are_decoded_by_field),
        cmocka_unit_test(canonical_text_survives),
        cmocka_unit_test(lossy_is_reported),
        cmocka_unit_test(empty_list_stays_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
