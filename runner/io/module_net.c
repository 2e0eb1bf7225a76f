/* SPDX-License-Identifier: Apache-2.0 */
/* Curl's multi handle on the loop: a uv_poll for each of its sockets, one timer,
 * and the queue of what ended. A handle of the loop is freed in its close callback. */
#include "io/module_http.h"

#include <stdlib.h>

enum { CONNECTIONS_KEPT = 16, CONNECTIONS_MAX = 64 };

struct sock {
    uv_poll_t poll;
    struct net_client *client;
    curl_socket_t fd;
};

static void take_ended(struct net_client *c)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(c->multi, &left)) != NULL)
        if (m->msg == CURLMSG_DONE)
            transfer_ended(m->easy_handle, m->data.result);
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct sock *s = poll->data;
    struct net_client *c = s->client;
    int flags = 0;
    int running;

    if (status < 0)
        flags |= CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(c->multi, s->fd, flags, &running);
    take_ended(c);
}

static void on_socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct sock *watch_new(struct net_client *c, curl_socket_t fd)
{
    struct sock *s = xcalloc(1, sizeof *s);

    s->client = c;
    s->fd = fd;
    s->poll.data = s;
    if (uv_poll_init_socket(c->loop, &s->poll, fd) != 0) {
        free(s);
        return NULL;
    }
    return s;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct net_client *c = ctx;
    struct sock *s = socket_ctx;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            curl_multi_assign(c->multi, fd, NULL);
            uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        }
        return 0;
    }
    if (!s) {
        s = watch_new(c, fd);
        if (!s)
            return -1;
        curl_multi_assign(c->multi, fd, s);
    }
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    return uv_poll_start(&s->poll, events, on_socket_ready) == 0 ? 0 : -1;
}

static void on_timer(uv_timer_t *timer)
{
    struct net_client *c = timer->data;
    int running;

    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_ended(c);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *ctx)
{
    struct net_client *c = ctx;

    (void)multi;
    if (c->closing)
        return 0;
    if (timeout_ms < 0) {
        uv_timer_stop(&c->timer);
    } else {
        uv_update_time(c->loop);
        uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static void on_client_closed(uv_handle_t *handle)
{
    free(handle->data);
    curl_global_cleanup();
}

static int client_open(uv_loop_t *loop, struct net_client **out, struct err *e)
{
    struct net_client *c;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ERR_INTERNAL, "http: curl cannot start");
    c = xcalloc(1, sizeof *c);
    c->loop = loop;
    c->multi = curl_multi_init();
    if (!c->multi) {
        free(c);
        curl_global_cleanup();
        return err_set(e, ERR_INTERNAL, "http: curl cannot start");
    }
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
    *out = c;
    return 0;
}

static void client_close(struct net_client *c)
{
    c->closing = true;
    curl_multi_cleanup(c->multi);
    uv_close((uv_handle_t *)&c->timer, on_client_closed);
}

extern const struct net_module midwatch_net_module;

__attribute__((visibility("default"))) const struct net_module midwatch_net_module = {
    .abi = MIDWATCH_NET_ABI,
    .request_size = sizeof(struct http_request),
    .open = client_open,
    .start = transfer_start,
    .cancel = transfer_cancel,
    .close = client_close,
};
