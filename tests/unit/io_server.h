/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server in a thread of the test that behaves as badly as it is told. It
 * serves one connection at a time and drops an idle one when somebody else calls. */
#ifndef MIDWATCH_TESTS_IO_SERVER_H
#define MIDWATCH_TESTS_IO_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { REQUEST_MAX = 256 * 1024, ENDLESS_BYTES = 64 << 20 };

enum manner {
    SAY,            /* sends `text`, keeps the connection */
    SAY_AND_CLOSE,
    DRIP,           /* a head, then a byte of body now and then, for ever */
    ENDLESS_BODY,
    ENDLESS_HEAD,
    ENDLESS_INTERIM,
    SILENT,         /* reads the request, says nothing */
    RESET,          /* reads the request, resets the connection */
    CLOSE_SECOND,   /* answers once per connection, closes it when a second request comes */
};

struct server {
    int listener;
    int port;
    int stop[2];            /* closed end = stop */
    pthread_t thread;
    enum manner manner;
    const char *text;
    atomic_int connections;
    atomic_int requests;
    bool running;
    char incoming[REQUEST_MAX];     /* the thread's */
    char request[REQUEST_MAX];      /* the last whole one; look at it only after its answer */
};

/* No assertions up to `serve`: this is not the test's thread. */

/* True if fd is readable; false if the server shall stop, or if it is `idle` and somebody else calls. */
static bool wait_readable(struct server *s, int fd, bool idle)
{
    struct pollfd p[3] = {
        {.fd = fd, .events = POLLIN},
        {.fd = s->stop[0], .events = POLLIN},
        {.fd = idle ? s->listener : -1, .events = POLLIN},
    };

    poll(p, 3, -1);
    return !p[1].revents && (p[0].revents || !p[2].revents);
}

/* One request with its body. False at the end of the connection. */
static bool read_request(struct server *s, int fd)
{
    size_t n = 0;

    for (;;) {
        char *end, *length;
        ssize_t r;

        s->incoming[n] = '\0';
        end = strstr(s->incoming, "\r\n\r\n");
        if (end) {
            length = strstr(s->incoming, "Content-Length: ");
            if (!length || n >= (size_t)(end + 4 - s->incoming) + strtoul(length + 16, NULL, 10)) {
                memcpy(s->request, s->incoming, n + 1);
                return true;
            }
        }
        if (n == REQUEST_MAX - 1 || !wait_readable(s, fd, n == 0))
            return false;
        r = read(fd, s->incoming + n, REQUEST_MAX - 1 - n);
        if (r <= 0)
            return false;
        n += (size_t)r;
    }
}

static bool put(int fd, const char *text)
{
    size_t n = strlen(text);

    return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void flood(int fd, const char *head, const char *piece)
{
    size_t sent = 0;

    if (!put(fd, head))
        return;
    while (sent < ENDLESS_BYTES && put(fd, piece))
        sent += strlen(piece);
}

static void drip(struct server *s, int fd)
{
    struct pollfd p = {.fd = s->stop[0], .events = POLLIN};

    put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (poll(&p, 1, 10) == 0 && put(fd, "x"))
        ;
}

/* Returns true to keep the connection. */
static bool respond(struct server *s, int fd, int nth)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct linger hard = {.l_onoff = 1};

    switch (s->manner) {
    case SAY:
        return put(fd, s->text);
    case SAY_AND_CLOSE:
        put(fd, s->text);
        return false;
    case DRIP:
        drip(s, fd);
        return false;
    case ENDLESS_BODY:
        flood(fd, "HTTP/1.1 200 OK\r\n\r\n", "0123456789abcdef0123456789abcdef");
        return false;
    case ENDLESS_HEAD:
        flood(fd, "HTTP/1.1 200 OK\r\n", "X-Filler: 0123456789abcdef0123456789abcdef\r\n");
        return false;
    case ENDLESS_INTERIM:
        flood(fd, "", "HTTP/1.1 102 Processing\r\n\r\n");
        return false;
    case SILENT:
        return read(s->stop[0], &(char){0}, 1) > 0;
    case RESET:
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        return false;
    case CLOSE_SECOND:
        return nth == 0 && put(fd, ok);
    }
    return false;
}

static void *serve(void *ctx)
{
    struct server *s = ctx;

    while (wait_readable(s, s->listener, false)) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        int nth = 0;

        if (fd < 0)
            break;
        s->connections++;
        while (read_request(s, fd)) {
            s->requests++;
            if (!respond(s, fd, nth++))
                break;
        }
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *s, enum manner manner, const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;

    memset(s, 0, sizeof *s);
    s->manner = manner;
    s->text = text;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(s->listener, 16), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pipe(s->stop), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    s->running = true;
}

static void server_stop(struct server *s)
{
    s->running = false;
    close(s->stop[1]);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->listener);
}

#endif
