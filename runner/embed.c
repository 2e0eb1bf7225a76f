/* SPDX-License-Identifier: Apache-2.0 */
/* Build tool: puts the project's Lua files into one C file (base/embedded.h), as
 * text with its hash and as the bytecode of the Lua this build links. The language (lua/) loses
 * its debug information, so that it is small in every run's state; plugins keep
 * theirs, because their errors should say where.
 *
 * midwatch_embed OUTPUT SOURCE_DIR FILE... */
#include "base/crypto.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    unsigned char *p;
    size_t n;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "midwatch_embed: %s: %s\n", what, why);
    exit(1);
}

static struct bytes read_file(const char *dir, const char *file)
{
    struct bytes b = {NULL, 0};
    char path[4096];
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    f = fopen(path, "rb");
    if (!f)
        die(path, "cannot be read");
    b.p = malloc(1 << 20);
    while ((n = fread(b.p + b.n, 1, (1 << 20) - b.n, f)) > 0)
        b.n += n;
    if (!feof(f))
        die(path, "is larger than 1 MiB");
    fclose(f);
    return b;
}

static int append(lua_State *L, const void *p, size_t n, void *to)
{
    struct bytes *b = to;

    (void)L;
    b->p = realloc(b->p, b->n + n);
    if (!b->p)
        return 1;
    memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}

static void *grow(void *ud, void *p, size_t old, size_t n)
{
    (void)ud, (void)old;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, n);
}

static struct bytes compile(const char *file, struct bytes text)
{
    lua_State *L = lua_newstate(grow, NULL);
    struct bytes code = {NULL, 0};
    char name[512];

    snprintf(name, sizeof(name), "@%s", file);
    if (!L || luaL_loadbufferx(L, (const char *)text.p, text.n, name, "t") != LUA_OK)
        die(file, L ? lua_tostring(L, -1) : "out of memory");
    if (lua_dump(L, append, &code, strncmp(file, "lua/", 4) == 0) != 0)
        die(file, "cannot be dumped");
    lua_close(L);
    return code;
}

/* Declarations of process plugins, runbooks and types are text only. */
static int is_lua(const char *file)
{
    size_t n = strlen(file);

    return n > 4 && strcmp(file + n - 4, ".lua") == 0 && !strstr(file, ".d.lua");
}

static void write_bytes(FILE *out, const char *kind, int i, struct bytes b)
{
    size_t k;

    fprintf(out, "static const unsigned char %s_%d[] = {", kind, i);
    for (k = 0; k < b.n; k++)
        fprintf(out, "%s%u,", k % 32 ? "" : "\n", b.p[k]);
    fprintf(out, "0};\n");
}

static void write_hash(FILE *out, int i, struct bytes text)
{
    struct hash h = hash_of((struct str){(const char *)text.p, text.n});
    size_t k;

    fprintf(out, "#define HASH_%d {{", i);
    for (k = 0; k < HASH_BYTES; k++)
        fprintf(out, "%u,", h.bytes[k]);
    fprintf(out, "}}\n");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char tail[] =
    "};\n\n"
    "const struct embedded *embedded_all(size_t *n)\n{\n    *n = sizeof(files) / sizeof(files[0]);\n    return files;\n}\n\n"
    "static int by_path(const void *path, const void *file)\n{\n    return strcmp(path, ((const struct embedded *)file)->path);\n}\n\n"
    "const struct embedded *embedded_find(const char *path)\n{\n"
    "    return bsearch(path, files, sizeof(files) / sizeof(files[0]), sizeof(files[0]), by_path);\n}\n";

int main(int argc, char **argv)
{
    FILE *out;
    int i;

    if (argc < 4)
        die("usage", "midwatch_embed OUTPUT SOURCE_DIR FILE...");
    out = fopen(argv[1], "wb");
    if (!out)
        die(argv[1], "cannot be written");
    qsort(argv + 3, (size_t)argc - 3, sizeof(*argv), compare);
    fprintf(out, "/* Made by midwatch_embed. */\n#include \"base/embedded.h\"\n\n#include <stdlib.h>\n#include <string.h>\n\n");
    for (i = 3; i < argc; i++) {
        struct bytes text = read_file(argv[2], argv[i]),
                     code = is_lua(argv[i]) ? compile(argv[i], text) : (struct bytes){NULL, 0};

        write_bytes(out, "text", i, text);
        write_bytes(out, "code", i, code);
        write_hash(out, i, text);
        free(text.p);
        free(code.p);
    }
    fprintf(out, "\nstatic const struct embedded files[] = {\n");
    for (i = 3; i < argc; i++)
        fprintf(out,
                "    {.path = \"%s\", .text = {(const char *)text_%d, sizeof(text_%d) - 1}, "
                ".sha256 = HASH_%d, .code = {(const char *)code_%d, sizeof(code_%d) - 1}},\n",
                argv[i], i, i, i, i, i);
    fputs(tail, out);
    return fclose(out) == 0 ? 0 : 1;
}
