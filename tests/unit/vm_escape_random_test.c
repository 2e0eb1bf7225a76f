/* SPDX-License-Identifier: Apache-2.0 */
/* Random programs against the bare sandbox: the files of the escape corpus called from inside each other, and programs of
 * jumps, attributes, closures and metamethods. Whatever they do, the state ends as it may, in the time that it has.
 * ESCAPE_FUZZ=N: N times as many, from seeds of now. */
#include "escape_test.h"

#define BUDGET_MS 10
#define FILES_MAX 400

static const char language[] =
    "return { table = { sort = host.module('prelude').sort }, try = function(f, ...) return host.pcall(f, ...) end,\n"
    "  look = function(x) return host.gate('read', {{ name = 'look', args = x }}) end }\n";

static char *files[FILES_MAX];
static size_t nfiles;
static uint64_t state_of_random;

static unsigned below(unsigned n)
{
    state_of_random = state_of_random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state_of_random >> 33) % n;
}

static const char *one_of(const char *const *words, size_t n)
{
    return words[below((unsigned)n)];
}
#define ONE_OF(words) one_of(words, sizeof(words) / sizeof(words)[0])

static int read_files(void **state)
{
    struct dirent **entries;
    int n = scandir(MIDWATCH_SOURCE_DIR "/tests/escape", &entries, NULL, alphasort);
    (void)state;
    for (int i = 0; i < n; i++) {
        char path[300];
        size_t size;
        snprintf(path, sizeof path, "tests/escape/%s", entries[i]->d_name);
        if (strstr(path, ".lua") && nfiles < FILES_MAX)
            files[nfiles++] = file_text(path, &size);
        free(entries[i]);
    }
    free(entries);
    return nfiles > 100 ? 0 : -1;
}

static int free_files(void **state)
{
    (void)state;
    while (nfiles > 0)
        free(files[--nfiles]);
    return 0;
}

/* Functions of the corpus, and where they are called from. */
static void of_files(struct buf *out)
{
    static const char *const calls[] = {
        "try(f%u, f%u)\n", "try(table.sort, { 3, 1, 2 }, f%u, f%u)\n", "try(string.gsub, 'xyz', '.', f%u, f%u)\n",
        "try(function() return setmetatable({}, { __index = f%u, __len = f%u }).x end)\n",
        "try(function() for _ in pairs(setmetatable({}, { __pairs = f%u })) do try(f%u) end end)\n",
        "try(tostring, setmetatable({}, { __tostring = f%u, __concat = f%u }))\n",
        "try(function() for _ in f%u do f%u() end end)\n", "try(error, setmetatable({ f%u }, { __tostring = f%u }))\n",
        "try(function() return f%u() + f%u() end)\n",
    };
    unsigned n = 2 + below(3);
    for (unsigned i = 0; i < n; i++)
        buf_addf(out, "local f%u = function(...)\n%s\nend\n", i, files[below((unsigned)nfiles)]);
    for (unsigned i = 0; i < 4; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buf_addf(out, ONE_OF(calls), below(n), below(n));
#pragma GCC diagnostic pop
    }
}

static void statement(struct buf *out, int depth);

static void block(struct buf *out, int depth)
{
    for (unsigned n = 1 + below(4); n > 0; n--)
        statement(out, depth - 1);
}

static void expression(struct buf *out, int depth)
{
    static const char *const plain[] = {"a", "b", "nil", "1", "0.5", "{}", "'x'", "...", "a.b", "a[b]", "#a", "not b", "{ a, b }",
                                        "a .. b", "a + b", "a < b", "a == b", "setmetatable({}, { __index = a, __close = b })"};
    if (depth <= 0 || below(3)) {
        buf_adds(out, ONE_OF(plain));
        return;
    }
    buf_adds(out, "function(...) ");
    block(out, depth);
    buf_adds(out, " end");
}

static void statement(struct buf *out, int depth)
{
    /* A '$' stands for an expression, a '#' for a block. */
    static const char *const shapes[] = {
        "local a <const> = $ ", "local b <close> = $ ", "local a, b = $, $ ", "a = $ ", "goto l%u ", "do goto k%u # ::k%u:: end ",
        "while $ do # break end ", "repeat # until $ ", "for a = 1, 3 do # end ", "for b in pairs($) do # end ",
        "if $ then # else # end ", "local function a(...) # return $ end ", "try($, $) ",
        "do local _ENV <const> = { a = $ } # end ",
        "do # return $ end ", "b[$] = $ ", "try(function(...) goto k1 # ::k1:: end) ",
    };
    const char *shape = depth <= 0 ? shapes[below(5)] : ONE_OF(shapes);
    for (const char *p = shape; *p; p++) {
        if (*p == '$')
            expression(out, depth - 1);
        else if (*p == '#')
            block(out, depth);
        else if (*p == '%')
            buf_addf(out, "%u", p[-1] == 'l' ? below(3) : 0), p++;
        else
            buf_addc(out, *p);
    }
}

static void of_statements(struct buf *out)
{
    buf_adds(out, "::l0:: ::l1:: ::l2:: local a, b = ... ");
    block(out, 4);
}

/* Runs one in a random mode. Returns its outcome; VM_PARKED if it is no program. */
static enum vm_outcome run(struct str text, const char *what, unsigned long seed)
{
    const struct escape_mode *m = &escape_modes[below(ESCAPE_MODES)];
    struct vm *vm = vm_make((struct vm_options){.seed = seed, .memory_limit = m->memory_limit, .alloc_fault = m->alloc_fault,
                                                .hook_count = m->hook_count, .budget_ms = BUDGET_MS});
    struct outcome out = {.outcome = VM_PARKED};
    struct err e = {0};
    uint32_t branch;
    offer(vm, "prelude");
    load_module(vm, "m", language);
    int64_t begun = cpu_ms();
    if (vm_start_chunk(vm, "t.md", text, &branch, &e) == 0)
        out = vm_finish(vm, "[1,2]");
    if (cpu_ms() - begun > KILLED_WITHIN_MS && !m->alloc_fault)
        fail_msg("%s, seed %lu (%s) took %lld ms:\n%s", what, seed, m->name, (long long)(cpu_ms() - begun), text.p);
    vm_free(vm);
    return out.outcome;
}

static void programs(const char *what, unsigned long n, void (*make)(struct buf *out))
{
    const char *fuzz = getenv("ESCAPE_FUZZ");
    unsigned long first = fuzz ? (unsigned long)time(NULL) : 1, ran[VM_KILLED + 1] = {0};
    n *= fuzz ? strtoul(fuzz, NULL, 10) : 1;
    for (unsigned long seed = first; seed < first + n; seed++) {
        struct buf text = BUF_INIT(MIB);
        state_of_random = seed * 0x9e3779b97f4a7c15u;
        make(&text);
        buf_addc(&text, '\0');
        ran[run((struct str){text.data, text.len - 1}, what, seed)]++;
        buf_free(&text);
    }
    print_message("%s: %lu ended, %lu failed, %lu killed, %lu no programs\n", what, ran[VM_DONE], ran[VM_ERROR],
                  ran[VM_KILLED] + ran[VM_NOMEM], ran[VM_PARKED]);
    assert_true(ran[VM_DONE] + ran[VM_KILLED] > n / 20);
}

static void programs_of_files(void **state)
{
    (void)state;
    programs("files", 200, of_files);
}

static void programs_of_statements(void **state)
{
    (void)state;
    programs("statements", 4000, of_statements);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(programs_of_statements), cmocka_unit_test(programs_of_files)};
    return cmocka_run_group_tests(tests, read_files, free_files);
}
