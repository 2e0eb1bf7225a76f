/* SPDX-License-Identifier: Apache-2.0 */
/* The matcher against Lua's own string library on random patterns and subjects,
 * and the budget that the library does not have. */
#include "vm_test.h"

#include "vm/sandbox.h"
#include "vm/state.h"

#include <lauxlib.h>
#include <lualib.h>

static uint64_t dice_state;

static uint32_t dice(uint32_t n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice_state >> 33) % n;
}

static const char *const pieces[] = {
    "a", "b", "ab", ".", "%a", "%d", "%s", "%w", "%A", "%S", "%p", "%x", "[ab]", "[^a]", "[a-c]", "[%d_]", "[]]", "[^]]",
    "[a-]", "[%a-z]", "*", "+", "-", "?", "(", ")", "()", "%1", "%2", "%b()", "%bab", "%f[%w]", "%f[^a]", "^", "$", "%.",
    "%%", "%(", " ", "1", "-", "x", "(a*)", "(.-)", "(%w+)", "[%w%s]", "%z", "\xE9", "[\x80-\xFF]", "%",  "[", "%b", "%f",
};
enum { NPIECES = sizeof pieces / sizeof pieces[0] };

static void random_pattern(char *out, size_t size)
{
    out[0] = '\0';
    size_t n = 1 + dice(6);
    for (size_t i = 0; i < n; i++) {
        /* the last four are malformed: rarely */
        const char *piece = pieces[dice(dice(20) ? NPIECES - 4 : NPIECES)];
        if (strlen(out) + strlen(piece) + 1 < size)
            strncat(out, piece, size - strlen(out) - 1);
    }
}

static void random_subject(char *out)
{
    static const char bytes[] = "aaabbc01 _.()%x-^$]\xE9";
    size_t n = dice(24);
    for (size_t i = 0; i < n; i++)
        out[i] = bytes[dice(sizeof bytes - 1)];
    out[n] = '\0';
}

/* A call in a state, as one text: "ok|result|result" or "error". */
static void call(lua_State *L, const char *code, const char *s, const char *p, char *out, size_t size, bool *failed)
{
    lua_settop(L, 0);
    luaL_loadstring(L, code);
    lua_pushstring(L, s);
    lua_pushstring(L, p);
    *failed = lua_pcall(L, 2, 1, 0) != LUA_OK;
    snprintf(out, size, "%s", lua_tostring(L, -1) ? lua_tostring(L, -1) : "?");
    lua_settop(L, 0);
}

static const char *const calls[] = {
    "local s, p = ... local r = {string.find(s, p)} for i = 1, 40 do r[i] = tostring(r[i]) end return table.concat(r, '|')",
    "local s, p = ... local r = {string.find(s, p, 3)} for i = 1, 40 do r[i] = tostring(r[i]) end "
    "return table.concat(r, '|')",
    "local s, p = ... local r = {string.match(s, p, -4)} for i = 1, 40 do r[i] = tostring(r[i]) end "
    "return table.concat(r, '|')",
    "local s, p = ... local r = {} for a, b in string.gmatch(s, p) do r[#r + 1] = tostring(a) .. ',' .. tostring(b) end "
    "return table.concat(r, '|')",
    "local s, p = ... local r, n = string.gsub(s, p, '<%0>') return r .. n",
    "local s, p = ... local r, n = string.gsub(s, p, '<%1>', 2) return r .. n",
    "local s, p = ... local r, n = string.gsub(s, p, function(a, b) return a ~= 'b' and '{' .. tostring(a) .. tostring(b) "
    ".. '}' end) return r .. n",
    "local s, p = ... local r, n = string.gsub(s, p, {a = 'A', b = false, ab = 1, [1] = 'one'}) return r .. n",
};

/* The main thread of a state, with Lua's own libraries. */
static lua_State *stock_state(struct vm *vm)
{
    luaL_requiref(vm->L, "_G", luaopen_base, 1);
    luaL_requiref(vm->L, "table", luaopen_table, 1);
    luaL_requiref(vm->L, "string", luaopen_string, 1);
    lua_settop(vm->L, 0);
    return vm->L;
}

/* The same with our four functions in place of Lua's. */
static lua_State *our_state(struct vm *vm)
{
    lua_State *L = stock_state(vm);
    lua_getglobal(L, "string");
    luaL_setfuncs(L, pattern_string, 0);
    lua_settop(L, 0);
    return L;
}

static void same_as_stock(void **state)
{
    (void)state;
    struct vm *theirs = vm_make((struct vm_options){0}), *vm = vm_make((struct vm_options){0});
    lua_State *stock = stock_state(theirs), *ours = our_state(vm);
    int compared = 0, stricter = 0;
    dice_state = 20240607;
    for (int i = 0; i < 40000; i++) {
        char p[64], s[32], want[4096], got[4096];
        bool want_failed, got_failed;
        random_pattern(p, sizeof p);
        random_subject(s);
        const char *code = calls[dice(sizeof calls / sizeof calls[0])];
        call(stock, code, s, p, want, sizeof want, &want_failed);
        call(ours, code, s, p, got, sizeof got, &got_failed);
        if (got_failed && !want_failed) {
            /* Lua notices a malformed pattern only when it comes to that part of it. */
            if (!strstr(got, "malformed") && !strstr(got, "capture"))
                fail_msg("subject '%s' pattern '%s': %s\n  but Lua: %s", s, p, got, want);
            stricter++;
            continue;
        }
        if (want_failed != got_failed || (!want_failed && strcmp(want, got) != 0))
            fail_msg("subject '%s' pattern '%s'\n  %s\n  gave %s\n  not  %s", s, p, code, got, want);
        compared++;
    }
    assert_true(compared > 20000);
    assert_true(stricter < 20000);
    vm_free(theirs);
    vm_free(vm);
}

static void errors_name_the_pattern(void **state)
{
    (void)state;
    expect_error("('x'):match('(')", "unfinished capture: '('");
    expect_error("('x'):match('%')", "malformed pattern (ends with '%'): '%'");
    expect_error("('x'):match('[a')", "malformed pattern (missing ']')");
    expect_error("('x'):match('%1')", "invalid capture index %1");
    expect_error("('x'):match('(%1)')", "invalid capture index %1");
    expect_error("('x'):match(')')", "invalid pattern capture");
    expect_error("('x'):match(('()'):rep(33))", "too many captures");
    expect_error("('x'):gsub('x', '%2')", "invalid capture index %2 in replacement string");
    expect_error("('x'):gsub('x', '%a')", "invalid use of '%' in replacement string");
    expect_error("('x'):gsub('x', function() return {} end)", "invalid replacement value (a table)");
    expect_error("return (('x'):rep(300)):match(('x?'):rep(300))", "pattern too complex");
}

static void budget(void **state)
{
    (void)state;
    expect_error("local s = ('a'):rep(40) return s:find(('a*'):rep(20) .. 'b')", "needs more than 4000640 steps");
    expect_error("return (('a'):rep(1 << 18):find('^(a+)%1b'))", "needs more than 8194304 steps");
    expect_error("return (('x'):rep(1000)):match(('.-'):rep(8) .. 'y')", "make it more exact");
    expect_error("return (('x'):rep(100000)):gsub('x*x*x*y', '')", "make it more exact");
    expect_error("for a in (('x'):rep(100000)):gmatch('x*x*x*y') do end", "make it more exact");
}

static void large_subjects(void **state)
{
    (void)state;
    expect_results("local s = ('line of a log\\n'):rep(100000) .. 'ERROR 42' return s:match('ERROR (%d+)$'), #s",
                   "[\"42\",1400008]");
    expect_results("local s = ('a,'):rep(50000) local n = 0 for w in s:gmatch('[^,]+') do n = n + 1 end return n", "[50000]");
    expect_results("return (('a'):rep(200000) .. 'b'):match('a-b$') ~= nil", "[true]");
    expect_results("return #(('a'):rep(300000)):gsub('a', 'bb')", "[600000]");
    expect_results("return (('x'):rep(1000000) .. 'y'):find('y', 1, true)", "[1000001,1000001]");
}

static void literal_search_is_linear(void **state)
{
    (void)state;
    /* a search that compares at every place would need 10^11 steps */
    expect_results("local s = ('a'):rep(1000000) return s:find(('a'):rep(500000) .. 'b', 1, true)", "[null]");
}

static void callbacks_cannot_pass_the_gate(void **state)
{
    (void)state;
    struct vm *vm = vm_make((struct vm_options){.seed = 1});
    load_module(vm, "m", "return { look = function() return host.gate('read', {}) end,"
                         " try = function(f) local ok, e = host.pcall(f) return e end }");
    struct outcome out = vm_run(vm, "local e = try(function() return ('a'):gsub('a', look) end)\nlook()\nreturn e");
    assert_int_equal(out.outcome, VM_DONE);
    assert_int_equal(out.requests, 1);
    assert_string_equal(out.text, "[\"t.md:1: observe inside string.gsub: not possible there, do it before\"]");
    vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_stock),
        cmocka_unit_test(errors_name_the_pattern),
        cmocka_unit_test(budget),
        cmocka_unit_test(large_subjects),
        cmocka_unit_test(literal_search_is_linear),
        cmocka_unit_test(callbacks_cannot_pass_the_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
