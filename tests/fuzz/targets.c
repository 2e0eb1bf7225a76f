/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers under libFuzzer: one program per target (FUZZ names it), each with what must
 * hold of every input, not only that nothing breaks. Corpora lie in corpus/TARGET, what was
 * found in found/TARGET; run.py feeds both, and the project's own files. */
#include "base/json.h"
#include "base/limits.h"
#include "book/front_matter.h"
#include "book/lua_words.h"
#include "book/markdown.h"
#include "book/require.h"
#include "config/config.h"
#include "journal/journal.h"
#include "plugin/internal.h"
#include "plugin/process.h"
#include "plugin/schema.h"
#include "vm/state.h"
#include "vm/pattern.h"
#include "vm/value.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise about the input; libFuzzer keeps what breaks it. */
#define MUST(holds) ((holds) ? (void)0 : (fprintf(stderr, "broken: %s\n", #holds), abort()))

static bool says_why(const struct err *e)
{
    return e->code < 0 && e->msg[0] != '\0';
}

static struct str text_of(const struct buf *b)
{
    return (struct str){buf_text(b), b->len};
}

/* Canonical text reads back as itself; what is read here jansson reads, too. */
static void json(struct str in)
{
    struct buf once = BUF_INIT(8 * MIB), twice = BUF_INIT(8 * MIB);
    json_t *v = NULL, *again = NULL, *theirs;
    struct err e = {0};

    if (json_read(in, &v, &e) < 0) {
        MUST(says_why(&e) && v == NULL);
        return;
    }
    theirs = json_loadb(in.p, in.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    MUST(theirs && json_equal(v, theirs));
    json_decref(theirs);
    if (json_add_value(&once, v) == 0) {
        MUST(json_read(text_of(&once), &again, &e) == 0);
        MUST(json_add_value(&twice, again) == 0 && str_eq(text_of(&once), text_of(&twice)));
    }
    json_decref(v);
    json_decref(again);
    buf_free(&once);
    buf_free(&twice);
}

/* An error has its place; every node of a tree has one. */
static void check_places(const struct yaml *y)
{
    size_t i;

    MUST(y->line >= 7 && y->column >= 1);
    for (i = 0; i < y->n; i++) {
        if (y->type == YAML_MAP)
            MUST(y->keys[i]->type == YAML_STRING && yaml_get(y, y->keys[i]->text.p) != NULL);
        check_places(y->items[i]);
    }
}

static void yaml(struct str in)
{
    struct yaml *y = NULL;
    struct err e = {0};

    if (yaml_read(in, "f.yaml", 7, &y, &e) < 0) {
        MUST(says_why(&e) && y == NULL);
        return;
    }
    check_places(y);
    json_decref(yaml_to_json(y));
    yaml_tree_free(y);
}

/* What people write as a duration, size or time reads back from its shortest form. */
static void units(struct str in)
{
    char text[64];
    int64_t v, again;

    if (str_duration_ms(in, &v) == 0)
        MUST(v >= 0 && str_duration_ms(str_of(str_duration(v, text, sizeof(text))), &again) == 0 && again == v);
    if (str_parse_time(in, &v) == 0)
        MUST(str_parse_time(str_of(str_time(v, text, sizeof(text))), &again) == 0 && again == v);
    if (str_size_bytes(in, &v) == 0)
        MUST(v >= 0);
}

static size_t lines_of(const char *s, size_t n)
{
    size_t lines = 0, i;

    for (i = 0; i < n; i++)
        lines += s[i] == '\n';
    return lines;
}

/* Code stands in the lines where the file has it, and nothing else does. */
static void book(struct str in)
{
    struct runbook *b = NULL;
    struct err e = {0};
    const char *code, *file;

    if (book_read(in, "f.md", &b, &e) < 0) {
        MUST(says_why(&e) && b == NULL);
        return;
    }
    MUST(b->name && b->text_len == in.n && lines_of(b->chunk, b->chunk_len) <= lines_of(b->text, b->text_len));
    code = b->chunk;
    file = b->text;
    while (code < b->chunk + b->chunk_len) {
        size_t n = strcspn(code, "\n"), m = strcspn(file, "\n");

        MUST(n == 0 || (n == m && memcmp(code, file, n) == 0));
        code += n + 1;
        file += m + 1;
    }
    book_section(b, 1);
    book_free(b);
}

static void config(struct str in)
{
    struct config *c = NULL;
    struct err e = {0};

    if (config_read(in, "f.yaml", &c, &e) < 0)
        MUST(says_why(&e) && c == NULL);
    else
        config_free(c);
}

static int count(void *ctx, const char *name, int line, int column, struct err *e)
{
    (void)e;
    MUST(name[0] && line >= 1 && column >= 1);
    return ++*(int *)ctx > 1000 ? ERR_LIMIT : 0;
}

static void name_of(void *ctx, struct str name)
{
    *(size_t *)ctx += name.n;
}

/* Scans over code and templates: they end, and stay inside. */
static void words(struct str in)
{
    struct buf out = BUF_INIT(64 * KIB);
    json_t *values = json_pack("{s:s s:i}", "a", "x", "bc", 7);
    struct err e = {0};
    size_t i, n, names = 0;
    int seen = 0;

    for (i = 0; i < in.n; i += n ? n : 1) {
        n = lua_skip(in.p + i, in.n - i);
        MUST(n <= in.n - i);
    }
    require_scan(in, "f.lua", count, &seen, &e);
    template_names(in, name_of, &names, &e);
    MUST(names <= in.n);
    template_fill(in, values, true, &out, &e);
    json_decref(values);
    buf_free(&out);
}

/* The first line is a schema, the rest a value. */
static void schema(struct str in)
{
    size_t n = strnlen(in.p, in.n);
    const char *end = memchr(in.p, '\n', n);
    json_t *declared = NULL, *value = NULL;
    struct err e = {0};

    if (!end)
        return;
    if (json_read((struct str){in.p, (size_t)(end - in.p)}, &declared, &e) == 0 &&
        json_read((struct str){end + 1, n - (size_t)(end - in.p) - 1}, &value, &e) == 0) {
        e = (struct err){0};
        if (schema_fits(declared, value, "value", &e) < 0)
            MUST(says_why(&e));
    }
    json_decref(declared);
    json_decref(value);
}

/* A line of a process, as the answer to each kind of call. What is accepted is canonical. */
static void process(struct str in)
{
    json_t *said = NULL, *again;
    struct err e = {0};
    struct buf out = BUF_INIT(8 * MIB);
    struct body body = {.declared = json_pack("{s:{s:{s:{s:s}}}}", "reads", "set", "returns", "list", "integer?")};
    struct body_call call = {.verb = "set", .body = &body};
    int kind;

    json_read(in, &said, &e);
    for (kind = BODY_READ; json_is_object(said) && kind <= BODY_PROBE; kind++) {
        call.kind = (enum body_kind)kind;
        buf_reset(&out);
        e = (struct err){0};
        if (process_answer(&call, said, &out, &e) < 0) {
            MUST(says_why(&e));
            continue;
        }
        MUST(json_read(text_of(&out), &again, &e) == 0);
        json_decref(again);
    }
    json_decref(said);
    json_decref(body.declared);
    buf_free(&out);
}

/* A sealed state with Lua's own library of strings beside ours, to compare with. */
static lua_State *bare(void)
{
    static struct vm *vm;
    struct vm_options o = {.seed = 1};
    struct err e = {0};

    if (!vm) {
        MUST(vm_new(&o, &vm, &e) == 0);
        luaL_requiref(vm->L, "string", luaopen_string, 1);
    }
    lua_settop(vm->L, 0);
    return vm->L;
}

/* JSON on the Lua stack and back: canonical text is a fixed point. */
static void value(struct str in)
{
    lua_State *L = bare();
    struct buf once = BUF_INIT(VALUE_BYTES_MAX), twice = BUF_INIT(VALUE_BYTES_MAX);
    bool lossy = false;

    if (value_decode(L, in) == NULL) {
        if (value_encode(L, 1, "v", &once, &lossy) == NULL) {
            MUST(value_decode(L, text_of(&once)) == NULL);
            MUST(value_encode(L, 2, "v", &twice, &lossy) == NULL && str_eq(text_of(&once), text_of(&twice)));
        }
    } else {
        MUST(lua_gettop(L) == 0);
    }
    lua_settop(L, 0);
    buf_free(&once);
    buf_free(&twice);
}

static int compile_and_match(lua_State *L)
{
    struct matcher m = {0};
    const char *end = NULL, *at, *subject;
    size_t pn, sn;
    const char *pattern = lua_tolstring(L, 1, &pn);

    subject = lua_tolstring(L, 2, &sn);
    pattern_compile(&m, L, pattern, pn);
    pattern_subject(&m, subject, sn);
    for (at = subject; (at = pattern_skip(&m, at)) != NULL && !(end = pattern_match(&m, at)) && at < subject + sn; at++)
        ;
    MUST(!end || (end >= subject && end <= subject + sn));
    lua_pushboolean(L, end != NULL);
    return 1;
}

static void too_long(lua_State *L, lua_Debug *d)
{
    (void)d;
    luaL_error(L, "too long");
}

/* The first line is a pattern, the rest the subject: our matcher finds what Lua's own finds. Only short subjects, because
 * Lua's own cannot be stopped. */
static void pattern(struct str in)
{
    lua_State *L = bare();
    const char *end = memchr(in.p, '\n', in.n);
    size_t pn = end ? (size_t)(end - in.p) : 0, quantifiers = 0, i;
    bool ours, theirs;

    for (i = 0; i < pn; i++)
        quantifiers += strchr("*+-?", in.p[i]) != NULL;
    if (!end || pn == 0 || in.p[0] == '^' || quantifiers > 3 || in.n - pn > 60)
        return;
    lua_sethook(L, too_long, LUA_MASKCOUNT, 1000000);
    lua_pushcfunction(L, compile_and_match);
    lua_pushlstring(L, in.p, pn);
    lua_pushlstring(L, end + 1, in.n - pn - 1);
    ours = lua_pcall(L, 2, 1, 0) == LUA_OK;
    if (ours) {
        lua_getglobal(L, "string");
        lua_getfield(L, -1, "find");
        lua_pushlstring(L, in.p, pn);
        lua_pushlstring(L, end + 1, in.n - pn - 1);
        lua_insert(L, -2);
        theirs = lua_pcall(L, 2, 1, 0) == LUA_OK;
        MUST(theirs && (lua_toboolean(L, 1) != 0) == !lua_isnil(L, -1));
    }
    lua_settop(L, 0);
}

static bool row(void *ctx, const struct row *r)
{
    (void)r;
    return ++*(int *)ctx < 1000;
}

static bool one(void *ctx, const struct run_info *r)
{
    (void)r;
    return ++*(int *)ctx < 1000;
}

/* A file that claims to be a journal: opened and read, or refused by name. */
static void journal(struct str in)
{
    static char dir[64], file[96];
    struct journal_options o = {.read_only = true};
    struct journal *j = NULL;
    struct err e = {0};
    int seen = 0;
    int64_t id;
    FILE *f;

    if (!dir[0]) {
        snprintf(dir, sizeof(dir), "/dev/shm/midwatch-fuzz-%d", (int)getpid());
        snprintf(file, sizeof(file), "%s/journal.db", dir);
        mkdir(dir, 0700);
    }
    f = fopen(file, "wb");
    MUST(f && fwrite(in.p, 1, in.n, f) == in.n);
    fclose(f);
    if (journal_sqlite_open(dir, "fuzz", &o, &j, &e) < 0) {
        MUST(says_why(&e));
    } else {
        j->ops->runs(j, false, one, &seen, &e);
        for (id = 0; id < 3; id++)
            j->ops->rows(j, id, 0, row, &seen, &e);
        j->ops->free(j);
    }
    unlink(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy that ends where the input ends, and a NUL that no parser may need: reading it is seen. */
    char *copy = malloc(size ? size : 1);

    MUST(copy != NULL);
    memcpy(copy, data, size);
    FUZZ((struct str){copy, size});
    free(copy);
    return 0;
}

/* Every target is in every program; one is called. */
void (*const fuzz_targets[])(struct str) = {json, yaml, units, book, config, words, schema, process, value, pattern, journal};
