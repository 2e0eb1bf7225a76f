/* SPDX-License-Identifier: Apache-2.0 */
/* How a child begins, whether it answers once (proc.c) or stays (child.c): argv
 * only, a process group of its own, default signals, no descriptor but its three. */
#ifndef MIDWATCH_IO_SPAWN_H
#define MIDWATCH_IO_SPAWN_H

#include "base/err.h"

#include <sys/types.h>

/* A close-on-exec pipe whose ends are above stderr: lower numbers are overwritten on the way into the child. 0 or
 * -1 with errno. */
int spawn_pipe(int ends[2]);
/* env NULL = PATH, HOME and LANG=C; cwd may be NULL; theirs: the child's ends of stdin (-1 = /dev/null), stdout and
 * stderr, which stay open here. 0 or an errno; the child is not reaped. */
int spawn_child(const char *const *argv, const char *const *env, const char *cwd, const int theirs[3], pid_t *pid);
/* The error for an errno of spawn_child, in words. Returns its code. */
int spawn_failed(const char *name, const char *cwd, int errnum, struct err *e);

#endif
