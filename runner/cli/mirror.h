/* SPDX-License-Identifier: Apache-2.0 */
/* A bare mirror of a remote repository below the state directory: fetched by the
 * `git` program, which can be killed and has the user's keys and known hosts, and
 * read by libgit2. What was fetched once stays readable by its commit. */
#ifndef MIDWATCH_CLI_MIRROR_H
#define MIDWATCH_CLI_MIRROR_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* True for an address of another machine (or file://), false for a path. */
bool mirror_is_remote(const char *repo);
/* Brings branches and tags up to date, within $MIDWATCH_FETCH_TIMEOUT (60s) and $MIDWATCH_FETCH_MAX (1GiB), and puts the
 * mirror's path into dir. If `at` is a full commit id that the mirror has, nothing is fetched. ERR_INVALID for an address
 * that is not allowed (http only from this machine or with such an id), ERR_IO, ERR_TIMEOUT or ERR_LIMIT if it cannot be
 * fetched: then nothing old is used in its place. */
int mirror_update(const char *state_dir, const char *repo, const char *at, struct buf *dir, struct err *e);

#endif
