/* SPDX-License-Identifier: Apache-2.0 */
/* Our end of a pipe to or from a child, watched on the loop, and the closing of what
 * is open on the loop for it. */
#ifndef MIDWATCH_IO_STREAM_H
#define MIDWATCH_IO_STREAM_H

#include "base/str.h"

#include <stdbool.h>
#include <uv.h>

struct stream {
    uv_poll_t poll;             /* its data is the owner */
    int fd;                     /* -1 when closed */
    uv_close_cb closed;
};

/* A pipe; the child's end goes to *theirs, for the caller to close. `closed` is called once the loop has let go of s,
 * with the handle, whose data is `owner`. 0, or -1 with errno. */
int stream_open(struct stream *s, bool to_child, uv_loop_t *loop, void *owner, uv_close_cb closed, int *theirs);
/* Also of one that was never opened (fd -1). */
void stream_close(struct stream *s);
/* > 0: there is more, in bytes until the next call; 0: it ended (bytes is empty), and s is closed; < 0: nothing now.
 * Loop thread only. */
int stream_read(struct stream *s, struct str *bytes);

/* Closes a handle that may be closing already. */
void handle_close(uv_handle_t *handle, uv_close_cb closed);

#endif
