/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream.h"

#include "io/proc.h"

#include <errno.h>
#include <unistd.h>

enum { READ_CHUNK = 64 * 1024 };

static char read_chunk[READ_CHUNK];     /* loop thread only */

void handle_close(uv_handle_t *handle, uv_close_cb closed)
{
    if (!uv_is_closing(handle))
        uv_close(handle, closed);
}

int stream_open(struct stream *s, bool to_child, uv_loop_t *loop, void *owner, uv_close_cb closed, int *theirs)
{
    int ends[2];

    if (proc_pipe(ends) != 0)
        return -1;
    s->fd = ends[to_child ? 1 : 0];
    *theirs = ends[to_child ? 0 : 1];
    s->poll.data = owner;
    s->closed = closed;
    if (uv_poll_init(loop, &s->poll, s->fd) != 0) {
        close(s->fd);
        s->fd = -1;
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

void stream_close(struct stream *s)
{
    if (s->fd < 0)
        return;
    handle_close((uv_handle_t *)&s->poll, s->closed);
    close(s->fd);
    s->fd = -1;
}

int stream_read(struct stream *s, struct str *bytes)
{
    ssize_t n;

    do
        n = read(s->fd, read_chunk, sizeof read_chunk);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return -1;
    if (n <= 0)
        stream_close(s);
    *bytes = (struct str){read_chunk, n > 0 ? (size_t)n : 0};
    return n > 0;
}
