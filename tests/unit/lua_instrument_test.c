/* SPDX-License-Identifier: Apache-2.0 */
/* The checked form of a program computes what the program computes: the same results, and the same errors at the same
 * lines. On programs from a grammar, on the escape corpus, and on single cases. MIDWATCH_FUZZ=N: N times as many. */
#include "lua_test.h"

#include <dirent.h>
#include <time.h>

static const char language[] =
    "local prelude = host.module('prelude')\n"
    "return { table = { sort = prelude.sort }, try = prelude.try,\n"
    "  look = function(x) return host.gate('read', {{ name = 'look', args = x }}) end }\n";

#define PROGRAM_MS 100      /* of a generated program; the two forms need not reach it together */
#define ATTACK_MS 40        /* of one that is to be killed */
#define LONG_MS 60000

struct result {
    enum vm_outcome outcome;
    int line;
    char *text;
};

static struct vm *make_maker(uint64_t seed)
{
    struct vm *vm = vm_make((struct vm_options){.seed = seed, .memory_limit = 256 * MIB, .budget_ms = 600000});
    static const char *const modules[] = {"prelude", "syntax_lexer", "syntax_scope", "syntax", "syntax_walk", "instrument_join",
        "instrument_steps", "instrument"};
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        offer(vm, modules[i]);
    load_test(vm, "programs");
    load_test(vm, "instrument_test");
    return vm;
}

/* Two results of a test module: texts, owned. */
static json_t *make_call(struct vm *vm, const char *function, const char *args)
{
    struct err e = {0};
    struct vm_event ev = {0};
    uint32_t branch;
    int rc;
    if (vm_start_call(vm, "instrument_test", function, str_of(args), &branch, &e) < 0)
        fail_msg("%s: %s", function, e.msg);
    while ((rc = vm_step(vm, &ev)) == 2)
        ;
    if (ev.outcome != VM_DONE)
        fail_msg("%s: %s", function, ev.error);
    return json_loadb(ev.json.p, ev.json.n, 0, NULL);
}

static struct result take(struct vm *vm)
{
    struct result r = {.outcome = VM_PARKED};
    struct vm_event ev;
    struct err e = {0};
    int rc, parked = 0;
    while ((rc = vm_step(vm, &ev)) != 0 && parked < 1000) {
        if (rc == 2)
            continue;
        parked++;
        r.outcome = ev.outcome;
        r.line = ev.line;
        if (ev.outcome != VM_PARKED) {
            r.text = ev.outcome == VM_DONE ? xstrndup(ev.json.p, ev.json.n) : xstrdup(ev.error ? ev.error : "");
            break;
        }
        if (vm_answer(vm, ev.request.branch, ev.request.generation, str_of("[1,2]"), &e) < 0)
            break;
    }
    if (!r.text)
        r.text = xstrdup("");
    return r;
}

static struct result run_form(const char *text, bool is_checked, int budget_ms)
{
    struct vm *vm = vm_make((struct vm_options){.seed = 7, .budget_ms = budget_ms});
    struct result r = {.outcome = VM_ERROR};
    struct err e = {0};
    uint32_t branch;
    offer(vm, "prelude");
    offer(vm, "steps");
    load_module(vm, "m", language);
    if (is_checked) {
        const struct embedded *m = embedded_find("lua/checked.lua");
        if (!m || vm_load_trusted(vm, "checked", m->code, (struct str){0}, &e) < 0)
            fail_msg("checked: %s", e.msg);
    }
    int rc = is_checked ? vm_start_checked(vm, "t.md", str_of(text), "checked", &branch, &e)
                        : vm_start_chunk(vm, "t.md", str_of(text), &branch, &e);
    if (rc == 0) {
        r = take(vm);
    } else {
        char why[1400];
        r.text = xstrdup(err_text(&e, why, sizeof why));
    }
    vm_free(vm);
    return r;
}

/* Of itself it goes on for ever: it is killed, or looks at the world again and again. How far it comes first is a matter of time. */
static bool is_endless(enum vm_outcome o)
{
    return o == VM_KILLED || o == VM_NOMEM || o == VM_PARKED;
}

/* Runs both forms; where they differ, says so. Returns the outcome. */
static enum vm_outcome compare(const char *what, const char *plain, const char *checked, int budget_ms)
{
    struct result a = run_form(plain, false, budget_ms), b = run_form(checked, true, budget_ms);
    bool killed = a.outcome == VM_KILLED || a.outcome == VM_NOMEM || (b.outcome == VM_KILLED && budget_ms < LONG_MS);
    /* The line of the event is that of the innermost frame, which is a checked call's where it has more lines than one. */
    bool has_place = strncmp(a.text, "t.md:", 5) == 0 || strstr(a.text, "C stack overflow");
    bool same = killed ? (is_endless(a.outcome) && is_endless(b.outcome)) || budget_ms == PROGRAM_MS
                       : a.outcome == b.outcome && (has_place || a.line == b.line) && strcmp(a.text, b.text) == 0;
    if (!same) {
        printf("--- plain\n%s\n--- checked\n%s\n", plain, checked);
        fail_msg("%s\nplain (%d, line %d): %s\nchecked (%d, line %d): %s", what, a.outcome, a.line, a.text, b.outcome, b.line,
                 b.text);
    }
    free(a.text);
    free(b.text);
    return a.outcome;
}

static void programs_of_a_grammar(void **state)
{
    (void)state;
    const char *fuzz = getenv("MIDWATCH_FUZZ");
    unsigned long rounds = fuzz ? strtoul(fuzz, NULL, 10) : 1, base = fuzz ? (unsigned long)time(NULL) : 1;
    unsigned long done = 0, failed = 0;
    for (unsigned long seed = base; seed < base + rounds; seed++) {
        struct vm *vm = make_maker(seed);
        for (int i = 0; i < 200; i++) {
            char what[64];
            json_t *pair = make_call(vm, "pair", "[]");
            snprintf(what, sizeof what, "seed %lu, program %d", seed, i);
            assert_non_null(json_string_value(json_array_get(pair, 1)));
            enum vm_outcome o = compare(what, json_string_value(json_array_get(pair, 0)),
                                        json_string_value(json_array_get(pair, 1)), PROGRAM_MS);
            done += o == VM_DONE;
            failed += o == VM_ERROR;
            json_decref(pair);
        }
        vm_free(vm);
    }
    if (fuzz)
        printf("%lu programs ended, %lu failed\n", done, failed);
    assert_true(done > 50 * rounds && failed > 5 * rounds);
}

/* A local that functions change is declared in front of the steps: there, and only there, an error calls it an upvalue. */
static void forget_where(char *text)
{
    static const char word[] = "upvalue '";
    char *at;
    while ((at = strstr(text, word)) != NULL) {
        memcpy(at, "local '", 7);
        memmove(at + 7, at + sizeof word - 1, strlen(at + sizeof word - 1) + 1);
    }
}

static void programs_in_steps(void **state)
{
    (void)state;
    struct vm *vm = make_maker(3);
    int divided = 0, done = 0, failed = 0;
    for (int i = 0; i < 300; i++) {
        json_t *pair = make_call(vm, "steps", "[]");
        const char *plain = json_string_value(json_array_get(pair, 0)), *steps = json_string_value(json_array_get(pair, 1));
        struct result a = run_form(plain, false, LONG_MS), b = run_form(steps, true, LONG_MS);
        forget_where(a.text);
        forget_where(b.text);
        if (a.outcome != b.outcome || strcmp(a.text, b.text) != 0) {
            printf("--- plain\n%s\n--- steps\n%s\n", plain, steps);
            fail_msg("plain (%d): %s\nsteps (%d): %s", a.outcome, a.text, b.outcome, b.text);
        }
        divided += strstr(steps, ".run({") != NULL;
        done += a.outcome == VM_DONE;
        failed += a.outcome == VM_ERROR;
        free(a.text);
        free(b.text);
        json_decref(pair);
    }
    vm_free(vm);
    assert_true(divided > 150 && done > 50 && failed > 50);
}

static void compare_text(struct vm *maker, const char *what, const char *text, size_t n, int budget_ms)
{
    struct buf args = BUF_INIT(2 * MIB);
    buf_addc(&args, '[');
    json_add_string(&args, text, n);
    buf_addc(&args, ']');
    json_t *pair = make_call(maker, "checked", buf_text(&args));
    const char *checked = json_string_value(json_array_get(pair, 0));
    if (checked)
        compare(what, text, checked, budget_ms);
    json_decref(pair);
    buf_free(&args);
}

static void escape_corpus(void **state)
{
    (void)state;
    struct vm *maker = make_maker(1);
    DIR *d = opendir(MIDWATCH_SOURCE_DIR "/tests/escape");
    struct dirent *entry;
    int ran = 0;
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        char name[300];
        size_t n, len = strlen(entry->d_name);
        if (len < 5 || strcmp(entry->d_name + len - 4, ".lua") != 0)
            continue;
        snprintf(name, sizeof name, "tests/escape/%s", entry->d_name);
        char *text = file_text(name, &n);
        if (strlen(text) == n)
            compare_text(maker, name, text, n, strstr(text, "KILLED") ? ATTACK_MS : LONG_MS);
        free(text);
        ran++;
    }
    closedir(d);
    assert_true(ran >= 100);
    vm_free(maker);
}

/* What a program may try to get at the functions that its checked form calls. */
static void unreachable_ops(void **state)
{
    (void)state;
    static const char *const attacks[] = {
        "return tostring(...), select('#', ...)",
        "return __op",
        "return _ENV.__op",
        "return load('return __op')()",
        "return load('local a = ... return a')()",
        "local __op = 1 return __op < 2",
        "local function f() return __op end return 1 < 2 and f()",
        "return getmetatable(''), rawget(_ENV, '__op')",
        "local seen = {} for k in pairs(_ENV) do seen[#seen + 1] = k end return table.concat(seen, ' ')",
        "local t = setmetatable({}, { __lt = function(...) return select('#', ...) end }) return t < t, 1 < 2",
        "local m = { __eq = function(...) return select('#', ...) > 2 end } return setmetatable({}, m) == setmetatable({}, m)",
        "goto __op ::__op:: return 1",
        "local a <const> = 1 return a.__op",
        "return string.gsub('x', '.', function(...) return select('#', ...) end)",
    };
    struct vm *maker = make_maker(1);
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++)
        compare_text(maker, attacks[i], attacks[i], strlen(attacks[i]), 60000);
    vm_free(maker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unreachable_ops),
        cmocka_unit_test(escape_corpus),
        cmocka_unit_test(programs_of_a_grammar),
        cmocka_unit_test(programs_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
