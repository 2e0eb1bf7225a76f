/* SPDX-License-Identifier: Apache-2.0 */
/* The files inside the binary: the language (lua/) and the shipped plugins
 * (plugins/), each as text, which travels with a run, and as the bytecode that
 * this very build made of it, which starts fast and is never stored; and, as text
 * alone, runbooks to begin from (runbooks/) and types for editors (lua/types/). */
#ifndef MIDWATCH_BASE_EMBEDDED_H
#define MIDWATCH_BASE_EMBEDDED_H

#include "base/crypto.h"

struct embedded {
    const char *path;       /* "lua/remedy.lua" */
    struct str text;
    struct hash sha256;     /* of the text */
    struct str code;        /* bytecode; empty where the file is no code */
};

/* By path, or NULL. Borrowed for ever. */
const struct embedded *embedded_find(const char *path);
/* All, sorted by path. */
const struct embedded *embedded_all(size_t *n);

#endif
