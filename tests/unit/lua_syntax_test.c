/* SPDX-License-Identifier: Apache-2.0 */
/* lua/syntax.lua against the compiler (tests/lua/syntax_test.lua). MIDWATCH_FUZZ=N in the environment: N times as many
 * texts, by another seed each time (`./dev fuzz`). */
#include "lua_test.h"

#include "book/book.h"

#include <dirent.h>
#include <time.h>

static struct vm *make(uint64_t seed)
{
    struct vm *vm = vm_make((struct vm_options){.seed = seed, .memory_limit = 512 * MIB, .budget_ms = 600000});
    offer(vm, "syntax_lexer");
    offer(vm, "syntax_scope");
    offer(vm, "syntax");
    load_test(vm, "programs");
    load_test(vm, "syntax_test");
    return vm;
}

static unsigned effort(void)
{
    const char *s = getenv("MIDWATCH_FUZZ");
    return s ? (unsigned)strtoul(s, NULL, 10) : 0;
}

static void add_text(struct buf *list, struct str text)
{
    buf_addc(list, list->len ? ',' : '[');
    json_add_string(list, text.p, text.n);
}

/* Lua files whole, of runbooks the chunk. */
static void add_folder(struct buf *list, const char *folder, const char *ending)
{
    char path[512], name[600];
    snprintf(path, sizeof path, "%s/%s", MIDWATCH_SOURCE_DIR, folder);
    DIR *d = opendir(path);
    struct dirent *entry;
    if (!d)
        fail_msg("%s: cannot be read", path);
    while ((entry = readdir(d)) != NULL) {
        size_t len = strlen(entry->d_name), k = strlen(ending), n;
        struct runbook *book = NULL;
        struct err e = {0};
        if (len < k || strcmp(entry->d_name + len - k, ending) != 0)
            continue;
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        char *text = file_text(name, &n);
        if (strcmp(ending, ".md") != 0)
            add_text(list, (struct str){text, n});
        else if (book_read((struct str){text, n}, name, &book, &e) == 0)
            add_text(list, (struct str){book->chunk, book->chunk_len});
        book_free(book);
        free(text);
    }
    closedir(d);
}

/* As a runbook is compiled, not from inside of Lua. */
static void nested_texts(void **state)
{
    (void)state;
    struct vm *vm = make(1);
    char args[64], name[16];
    int refused = 0, taken = 0;
    for (int way = 1; way < 100; way++) {
        for (int n = 190; n <= 205; n++) {
            snprintf(args, sizeof args, "[%d,%d]", way, n);
            struct outcome out = call_test(vm, "syntax_test", "nested", args);
            json_t *result = json_loads(out.text, 0, NULL);
            const char *text = json_string_value(json_array_get(result, 0));
            struct err e = {0};
            if (!text) {
                json_decref(result);
                assert_true(way > 10 && refused > 50 && taken > 50);
                vm_free(vm);
                return;
            }
            snprintf(name, sizeof name, "%d", n);
            bool compiles = vm_check_chunk(vm, name, str_of(text), &e) == 0;
            refused += !compiles;
            taken += compiles;
            if (compiles != (json_is_true(json_array_get(result, 1)) != 0))
                fail_msg("way %d, %d deep: the compiler says %s", way, n, compiles ? "fine" : e.msg);
            json_decref(result);
        }
    }
}

static struct buf all_texts(void)
{
    struct buf list = BUF_INIT(4 * MIB);
    add_folder(&list, "lua", ".lua");
    add_folder(&list, "plugins", ".lua");
    add_folder(&list, "tests/lua", ".lua");
    add_folder(&list, "tests/escape", ".lua");
    add_folder(&list, "runbooks", ".md");
    add_folder(&list, "tests/flow/verbs", ".md");
    add_folder(&list, "tests/crash", ".md");
    buf_addc(&list, ']');
    return list;
}

static void expect_ok(struct vm *vm, const char *function, const char *args, unsigned long seed)
{
    struct outcome out = call_test(vm, "syntax_test", function, args);
    if (out.outcome != VM_DONE || strncmp(out.text, "[\"ok\"", 5) != 0)
        fail_msg("%s, seed %lu: (%d) %s", function, seed, out.outcome, out.text);
    if (effort())
        printf("%s, seed %lu: %s\n", function, seed, out.text);
}

static void texts_of_the_repository(void **state)
{
    (void)state;
    struct buf list = all_texts(), args = BUF_INIT(5 * MIB);
    struct vm *vm = make(1);
    buf_addf(&args, "[%s]", buf_text(&list));
    expect_ok(vm, "same", buf_text(&args), 0);
    vm_free(vm);
    buf_free(&args);
    buf_free(&list);
}

static void mutated_texts(void **state)
{
    (void)state;
    struct buf list = all_texts();
    unsigned long rounds = effort() ? effort() : 1, base = effort() ? (unsigned long)time(NULL) : 1;
    for (unsigned long seed = base; seed < base + rounds; seed++) {
        struct buf args = BUF_INIT(5 * MIB);
        struct vm *vm = make(seed);
        buf_addf(&args, "[%s,%d]", buf_text(&list), 1500);
        expect_ok(vm, "mutate", buf_text(&args), seed);
        buf_free(&args);
        vm_free(vm);
    }
    buf_free(&list);
}

static void generated_programs(void **state)
{
    (void)state;
    unsigned long rounds = effort() ? effort() : 1, base = effort() ? (unsigned long)time(NULL) : 1;
    for (unsigned long seed = base; seed < base + rounds; seed++) {
        struct vm *vm = make(seed);
        expect_ok(vm, "generate", "[3000]", seed);
        vm_free(vm);
    }
}

static void limits_of_the_compiler(void **state)
{
    (void)state;
    struct vm *vm = make(1);
    expect_ok(vm, "limits", "[]", 0);
    vm_free(vm);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 1,000 lines of our own Lua, also under a sanitizer; `./dev fuzz` prints the number. */
static void speed(void **state)
{
    (void)state;
    struct vm *vm = make(1);
    struct buf source = BUF_INIT(1 * MIB), args = BUF_INIT(1 * MIB);
    size_t lines = 0, n;
    for (int copy = 0; lines < 1000; copy++) {
        char *text = file_text("lua/remedy.lua", &n);
        char *end = strstr(text, "return { public");
        buf_addf(&source, "do\n%.*s\nend\n", (int)(end - text), text);
        for (const char *p = text; p < end; p++)
            lines += *p == '\n';
        free(text);
    }
    buf_addc(&args, '[');
    json_add_string(&args, source.data, source.len);
    buf_addf(&args, ",20]");
    double begun = seconds();
    expect_ok(vm, "parse", buf_text(&args), 0);
    double ms = (seconds() - begun) * 1000 / 20 * 1000 / (double)lines;
    if (effort())
        printf("1,000 lines in %.2f ms\n", ms);
    assert_true(ms < 200);
    buf_free(&args);
    buf_free(&source);
    vm_free(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_the_repository),
        cmocka_unit_test(limits_of_the_compiler),
        cmocka_unit_test(nested_texts),
        cmocka_unit_test(speed),
        cmocka_unit_test(mutated_texts),
        cmocka_unit_test(generated_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
