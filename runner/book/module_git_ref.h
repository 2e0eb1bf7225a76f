/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the module with libgit2: what a person calls a commit. */
#ifndef MIDWATCH_BOOK_MODULE_GIT_REF_H
#define MIDWATCH_BOOK_MODULE_GIT_REF_H

#include "book/module_git.h"

#include <git2.h>

/* *out is owned. */
int git_ref_commit(git_repository *repo, const char *ref, git_commit **out, struct err *e);
/* "a symbolic link", for messages. */
const char *git_kind(git_filemode_t mode);
/* The library's last error on this thread. */
const char *git_why(void);

#endif
