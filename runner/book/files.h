/* SPDX-License-Identifier: Apache-2.0 */
/* Inside book/: the files of a source, by path from its root, and the two sources
 * there are. */
#ifndef MIDWATCH_BOOK_FILES_H
#define MIDWATCH_BOOK_FILES_H

#include "book/book.h"

typedef void (*files_name_fn)(void *ctx, const char *name);

struct files {
    /* A regular file reached without symbolic links. ERR_NOT_FOUND; ERR_LIMIT above max. */
    int (*read)(void *ctx, const char *path, size_t max, struct buf *out, struct err *e);
    /* The names in a folder ("" is the root); none if it is not there. */
    void (*list)(void *ctx, const char *folder, files_name_fn fn, void *fn_ctx);
    void *ctx;
};

/* tree.c: the working tree around a runbook. Its root is that of its git repository; without one, the folder above
 * `runbooks`, or the runbook's own. */
struct tree {
    char *root;
    char *path;             /* of the runbook, from the root */
    bool is_git;
    int fd;                 /* of the root */
};
/* ERR_NOT_FOUND if the folder of `file` is not there. */
int tree_open(const char *file, struct tree *t, struct err *e);
void tree_close(struct tree *t);
struct files tree_files(struct tree *t);
/* Any one file as a user names it, the last step not through a symbolic link. */
int tree_read_file(const char *path, size_t max, struct buf *out, struct err *e);

/* modules.c: adds to b every module that its chunk requires, and those that these require. */
int modules_collect(struct runbook *b, const struct files *files, struct err *e);

#endif
