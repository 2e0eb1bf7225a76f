/* SPDX-License-Identifier: Apache-2.0 */
/* What the module with libgit2 in it gives the program: files of one commit, read
 * from its objects. Nothing is checked out, no hook, filter or command of the
 * repository's configuration is run, and no network is used. */
#ifndef MIDWATCH_BOOK_MODULE_GIT_H
#define MIDWATCH_BOOK_MODULE_GIT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

#define MIDWATCH_GIT_FILE "midwatch_git.so"
#define MIDWATCH_GIT_SYMBOL "midwatch_git_module"

enum { MIDWATCH_GIT_ABI = 1, GIT_HEX_MAX = 65 };

/* One commit of one repository. */
struct git_commit_files;

struct git_facts {
    char *root;             /* of the working tree; of the repository if it is bare. No slash at its end */
    bool bare;
    char commit[GIT_HEX_MAX], tree[GIT_HEX_MAX];
};

typedef void (*git_name_fn)(void *ctx, const char *name);

struct git_module {
    unsigned abi;
    /* The repository that the directory `where` is in, at `ref`: a branch, a tag, a full name below refs/, HEAD,
     * or a commit by at least 7 digits, each with ~N behind it for its N-th ancestor. ERR_NOT_FOUND with the
     * nearest name. */
    int (*open)(const char *where, const char *ref, struct git_commit_files **out, struct err *e);
    const struct git_facts *(*facts)(const struct git_commit_files *g);     /* borrowed */
    /* A file by its path from the root, as stored. Only regular files that git shows as they are stored: symbolic
     * links, submodules, filtered files and Git LFS pointers are ERR_INVALID. ERR_NOT_FOUND; ERR_LIMIT above max. */
    int (*read)(struct git_commit_files *g, const char *path, size_t max, struct buf *out, struct err *e);
    /* The names in a folder, none if there is no such folder. */
    void (*list)(struct git_commit_files *g, const char *folder, git_name_fn fn, void *ctx);
    void (*close)(struct git_commit_files *g);
};

#endif
