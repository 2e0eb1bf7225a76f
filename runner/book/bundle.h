/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle is a manifest: every source a run was started with (runbook, its
 * modules, the language, the plugins' text) by path and SHA-256, and the abi.
 * Its id is the hash of the manifest. The text goes into the journal, so that
 * a run resumes without git, the working tree or an older program. */
#ifndef MIDWATCH_BOOK_BUNDLE_H
#define MIDWATCH_BOOK_BUNDLE_H

#include "base/crypto.h"
#include "base/err.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Number of the C primitives, the canonical encoding and the Lua release together. A program runs
 * MIDWATCH_ABI and the one before it. The texts of the language and of the plugins are the run's own (setup_vm takes the
 * modules that its bundle has); where C must do something else for an older run, it asks the bundle, and this list says so:
 *   1  the first
 *   2  weak tables and proxies for the language's own modules. No __concat in a runbook's metatables, in older runs either:
 *      it is a hole of the Lua library (vm/metatable.c), so a run that joined by one diverges */
#define MIDWATCH_ABI 2

struct bundle_file {
    char *path;         /* "high-latency.md", "lua/remedy.lua", "plugins/shell.lua", "modules/lib/checks.lua" */
    char *module;       /* name that the runbook requires it by, or NULL */
    struct hash sha256;
    struct str text;    /* of this program where it has the same, else `owned`; p is NULL until it is restored */
    char *owned;
};
struct bundle {
    struct bundle_file *files;      /* sorted by path */
    size_t nfiles;
    char *repo, *commit, *tree;     /* or NULL: recorded for people and for `revoke` */
    bool dirty;                     /* a text is not the commit's */
    int abi;
    char lua_release[32];
    char id[2 * HASH_BYTES + 1];    /* set by bundle_seal */
};

struct bundle *bundle_new(void);
void bundle_free(struct bundle *b);
/* Copies. ERR_LIMIT above MODULE_BYTES_MAX (RUNBOOK_BYTES_MAX for *.md). */
int bundle_add(struct bundle *b, const char *path, struct str data, struct err *e);
/* A module of the runbook's repository; `path` from its root is kept behind "modules/". */
int bundle_add_module(struct bundle *b, const char *name, const char *path, struct str data, struct err *e);
/* The path that bundle_add_module was given. Borrowed. */
const char *bundle_module_path(const struct bundle_file *f);
/* Sorts, hashes, sets id. No files may be added afterwards. */
void bundle_seal(struct bundle *b, const char *lua_release);
/* The manifest as canonical JSON (abi, commit, dirty, files, lua, modules, repo, tree). */
void bundle_manifest(const struct bundle *b, struct buf *out);
/* Borrowed; empty if there is no such file. */
struct str bundle_get(const struct bundle *b, const char *path);
/* From a manifest and its files as the journal gives them; checks every hash and the abi
 * (ERR_INVALID names both abis). What this program has itself, by the manifest's hash, need not be restored. */
int bundle_open(struct str manifest, struct bundle **out, struct err *e);
int bundle_restore_file(struct bundle *b, const char *path, struct str data, struct err *e);

#endif
