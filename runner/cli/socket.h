/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's socket, DIR/owner.sock: other processes hand in what only the owner of
 * the journal may write. One JSON object in a line, one line back. Who asks is what
 * the kernel says of the peer. */
#ifndef MIDWATCH_CLI_SOCKET_H
#define MIDWATCH_CLI_SOCKET_H

#include "base/buf.h"
#include "base/err.h"
#include "io/host.h"

#include <jansson.h>
#include <sys/types.h>

struct peer {
    char name[300];                 /* "anna@host" */
    const char *const *groups;      /* NULL-ended */
};

struct socket;
/* Answers a request of `who` by text (0) or an error. On the loop thread. */
typedef int (*socket_fn)(void *ctx, const struct peer *who, const json_t *request, struct buf *text, struct err *e);
/* ERR_IO where it cannot listen: the run goes on without. */
int socket_listen(struct host *h, const char *state_dir, socket_fn fn, void *ctx, struct socket **out, struct err *e);
void socket_free(struct socket *s);

/* Who stands behind a process of root: whoever logged in, as the kernel says, else whom sudo names (NULL: nobody). Other users
 * are who they are. */
uid_t socket_person(uid_t uid, pid_t pid, const char *sudo_uid);
/* The groups of a user of this machine, by name, into names[GROUPS_MAX + 1] (their text in `text`); NULL-ended. */
#define GROUPS_MAX 64
void socket_groups(uid_t uid, struct buf *text, const char **names);

/* Asks the owner of state_dir. ERR_NOT_FOUND: nobody owns it now. Blocks, at most within_s seconds. */
int socket_ask(const char *state_dir, const json_t *request, int within_s, struct buf *text, struct err *e);

#endif
