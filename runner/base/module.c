/* SPDX-License-Identifier: Apache-2.0 */
#include "base/module.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

/* The directory of the program, with the file's name added; empty if it cannot be told. */
static void beside_program(const char *file, char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size);
    char *slash = NULL;

    if (n > 0 && (size_t)n < size) {
        out[n] = '\0';
        slash = strrchr(out, '/');
    }
    if (!slash || (size_t)(slash + 1 - out) + strlen(file) + 1 > size)
        out[0] = '\0';
    else
        memcpy(slash + 1, file, strlen(file) + 1);
}

static void *open_file(const char *file, char *path, size_t size, struct err *e)
{
    void *lib = NULL;

    beside_program(file, path, size);
    if (path[0] && access(path, F_OK) == 0) {
        lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    } else {
#ifdef MIDWATCH_LIBDIR
        snprintf(path, size, "%s/%s", MIDWATCH_LIBDIR, file);
        lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
#else
        err_set(e, ERR_INTERNAL, "load %s: not found beside the program", file);
        return NULL;
#endif
    }
    if (!lib)
        err_set(e, ERR_INTERNAL, "load %s: %s", file, dlerror());
    return lib;
}

const void *module_load(const char *file, const char *symbol, unsigned abi, struct err *e)
{
    char path[PATH_BYTES_MAX];
    void *lib = open_file(file, path, sizeof path, e);
    const unsigned *table;

    if (!lib)
        return NULL;
    table = dlsym(lib, symbol);
    if (table && *table == abi)
        return table;
    dlclose(lib);
    err_set(e, ERR_INTERNAL, "load %s: it belongs to another release of the program", path);
    return NULL;
}
