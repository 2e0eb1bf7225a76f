/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one request: check it, resolve the name on the pool, check the
 * addresses, hand it to curl, collect a bounded answer, follow a redirect to
 * the same server, and say of a failure whether a byte may have left. It may
 * have from the moment curl has a connection and is about to use it
 * (`on_request`), never before. */
#include "io/module_http.h"

#include "base/limits.h"
#include "io/address.h"
#include "io/module_request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    HEAD_BYTES_MAX = 64 * KIB,
    HEADERS_MAX = 512,
    REDIRECTS_MAX = 20,
};

struct net_transfer {
    struct net_client *client;
    host_http_fn done;              /* NULL once answered or cancelled */
    void *ctx;
    struct request rq;
    CURL *easy;
    bool in_multi;
    bool resolving;
    uv_getaddrinfo_t dns;
    uv_timer_t deadline;
    bool deadline_closed;
    int requests;                   /* that curl has begun to send, redirects not counted again */
    int redirects;
    bool sent;                      /* a byte may have left */
    size_t head_bytes;
    bool head_ended;
    struct buf head;                /* name NUL value NUL ... */
    size_t nheaders;
    struct buf body;
    struct err err;                 /* why we made curl stop */
    char curl_error[CURL_ERROR_SIZE];
};

/* The memory goes when neither the pool nor the loop points into it any more. */
static void free_if_unused(struct net_transfer *t)
{
    if (t->done || t->resolving || !t->deadline_closed)
        return;
    buf_free(&t->head);
    buf_free(&t->body);
    free(t);
}

static void on_deadline_closed(uv_handle_t *handle)
{
    struct net_transfer *t = handle->data;

    t->deadline_closed = true;
    free_if_unused(t);
}

static void leave_multi(struct net_transfer *t)
{
    if (t->in_multi)
        curl_multi_remove_handle(t->client->multi, t->easy);
    t->in_multi = false;
}

static void release(struct net_transfer *t)
{
    leave_multi(t);
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
    request_free(&t->rq);
    if (t->resolving)
        uv_cancel((uv_req_t *)&t->dns);
    uv_close((uv_handle_t *)&t->deadline, on_deadline_closed);
}

static void answer(struct net_transfer *t, const struct http_answer *a)
{
    host_http_fn done = t->done;

    leave_multi(t);
    t->done = NULL;
    done(t->ctx, a);
    release(t);
}

static void answer_error(struct net_transfer *t)
{
    answer(t, &(struct http_answer){.sent = t->sent ? HTTP_MAYBE_SENT : HTTP_NOT_SENT, .err = &t->err});
}

static void answer_whole(struct net_transfer *t, int status)
{
    struct http_header *headers = xcalloc(t->nheaders + 1, sizeof *headers);
    const char *p = buf_text(&t->head);

    for (size_t i = 0; i < t->nheaders; i++) {
        headers[i].name = p;
        p += strlen(p) + 1;
        headers[i].value = p;
        p += strlen(p) + 1;
    }
    answer(t, &(struct http_answer){
        .status = status,
        .body = {buf_text(&t->body), t->body.len},
        .headers = headers,
        .nheaders = t->nheaders});
    free(headers);
}

/* --- called by curl --- */

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct net_transfer *t = ctx;

    if (buf_add(&t->body, data, size * n) == 0)
        return size * n;
    err_set(&t->err, ERR_LIMIT, "%s: answer larger than %zu bytes", t->rq.label, t->body.max);
    return 0;
}

static struct str trim(struct str s)
{
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static int add_header(struct net_transfer *t, struct str line)
{
    const char *colon = memchr(line.p, ':', line.n);
    struct str value;

    if (!colon || colon == line.p || memchr(line.p, '\0', line.n) || line.p[0] == ' ' || line.p[0] == '\t')
        return err_set(&t->err, ERR_IO, "%s: malformed header in the answer", t->rq.label);
    if (t->nheaders == HEADERS_MAX)
        return err_set(&t->err, ERR_LIMIT, "%s: more than %d headers in the answer", t->rq.label, HEADERS_MAX);
    for (const char *p = line.p; p < colon; p++)
        buf_addc(&t->head, *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p);
    value = trim((struct str){colon + 1, line.n - (size_t)(colon + 1 - line.p)});
    buf_addc(&t->head, '\0');
    buf_add(&t->head, value.p, value.n);
    buf_addc(&t->head, '\0');
    t->nheaders++;
    return 0;
}

/* One line of a head, of an interim head (1xx), or of trailers, which are counted and dropped. */
static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    struct net_transfer *t = ctx;
    struct str line = {data, size * n};

    t->head_bytes += line.n;
    if (t->head_bytes > HEAD_BYTES_MAX) {
        err_set(&t->err, ERR_LIMIT, "%s: more than %u bytes of headers in the answer", t->rq.label,
                (unsigned)HEAD_BYTES_MAX);
        return 0;
    }
    while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n'))
        line.n--;
    if (line.n >= 5 && strncasecmp(line.p, "HTTP/", 5) == 0 && (t->nheaders == 0 || t->head_ended) &&
        t->body.len == 0) {
        buf_reset(&t->head);
        t->nheaders = 0;
        t->head_ended = false;
    } else if (line.n == 0) {
        t->head_ended = true;
    } else if (!t->head_ended && add_header(t, line) != 0) {
        return 0;
    }
    return size * n;
}

static bool may_reach(struct net_transfer *t, const struct sockaddr *sa, const char *text)
{
    const char *what = t->rq.allow_private ? NULL : address_not_public(sa);

    if (what)
        err_set(&t->err, ERR_DENIED, "%s: %s is %s, which this instance may not reach", t->rq.label, text, what);
    return !what;
}

static void address_text(const struct sockaddr *sa, char *out, size_t size)
{
    if (uv_ip_name(sa, out, size) != 0)
        out[0] = '\0';
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct net_transfer *t = ctx;
    char text[ADDRESS_TEXT];

    (void)purpose;
    address_text(&a->addr, text, sizeof text);
    if (!may_reach(t, &a->addr, text))
        return CURL_SOCKET_BAD;
    /* Curl's table of names is shared: another request may stand in it under the same name. */
    if (!request_has_address(&t->rq, text)) {
        err_set(&t->err, ERR_IO, "%s: %s is none of the server's addresses", t->rq.label, text);
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* The connection stands and the next thing on it is our request. A connection made for somebody else may lead to
 * an address that this request may not reach; and curl asks twice where a kept connection died under the request,
 * which may repeat only what changes nothing. */
static int on_request(void *ctx, char *peer, char *local, int peer_port, int local_port)
{
    struct net_transfer *t = ctx;
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;

    (void)local;
    (void)local_port;
    if (uv_ip4_addr(peer, peer_port, &a.v4) != 0 && uv_ip6_addr(peer, peer_port, &a.v6) != 0) {
        err_set(&t->err, ERR_INTERNAL, "%s: connected to an unknown address", t->rq.label);
        return CURL_PREREQFUNC_ABORT;
    }
    if (!may_reach(t, &a.sa, peer))
        return CURL_PREREQFUNC_ABORT;
    if (t->requests++ > 0 && !t->rq.is_read) {
        err_set(&t->err, ERR_IO, "%s: connection closed without an answer", t->rq.label);
        return CURL_PREREQFUNC_ABORT;
    }
    t->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* --- steps --- */

/* Nonzero with t->err set if curl does not take it; nothing moves before the next turn of the loop. */
static int hand_to_curl(struct net_transfer *t)
{
    t->requests = 0;
    t->head_bytes = 0;
    t->head_ended = false;
    t->nheaders = 0;
    buf_reset(&t->head);
    buf_reset(&t->body);
    if (request_apply_url(&t->rq, t->easy) != 0 || curl_multi_add_handle(t->client->multi, t->easy) != CURLM_OK)
        return err_set(&t->err, ERR_INTERNAL, "%s: curl refused the request", t->rq.label);
    t->in_multi = true;
    return 0;
}

static void use_addresses(struct net_transfer *t, const struct addrinfo *list)
{
    size_t n = 0;

    for (const struct addrinfo *ai = list; ai && n < ADDRESSES_MAX; ai = ai->ai_next) {
        char *text = t->rq.addresses[n];

        address_text(ai->ai_addr, text, ADDRESS_TEXT);
        if (text[0] && may_reach(t, ai->ai_addr, text))
            n++;
    }
    t->rq.naddresses = n;
    if (n == 0) {
        if (t->err.code == 0)
            err_set(&t->err, ERR_IO, "%s: the name has no address", t->rq.label);
        answer_error(t);
        return;
    }
    err_clear(&t->err);
    request_pin(&t->rq);
    if (hand_to_curl(t) != 0)
        answer_error(t);
}

static void on_resolved(uv_getaddrinfo_t *dns, int status, struct addrinfo *list)
{
    struct net_transfer *t = dns->data;

    t->resolving = false;
    if (!t->done) {
        free_if_unused(t);
    } else if (status != 0) {
        err_set(&t->err, ERR_IO, "%s: name not resolved: %s", t->rq.label, uv_strerror(status));
        answer_error(t);
    } else {
        use_addresses(t, list);
    }
    uv_freeaddrinfo(list);
}

/* Without a name to resolve the address is checked here and the request goes to curl at once. */
static int begin(struct net_transfer *t)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    int rc;

    if (uv_ip4_addr(t->rq.host, 0, &a.v4) == 0 || uv_ip6_addr(t->rq.host, 0, &a.v6) == 0) {
        if (!may_reach(t, &a.sa, t->rq.host))
            return t->err.code;
        address_text(&a.sa, t->rq.addresses[0], ADDRESS_TEXT);
        t->rq.naddresses = 1;
        if (t->rq.own_tls_name)
            request_pin(&t->rq);
        return hand_to_curl(t);
    }
    t->dns.data = t;
    rc = uv_getaddrinfo(t->client->loop, &t->dns, on_resolved, t->rq.host, NULL, &hints);
    if (rc != 0)
        return err_set(&t->err, ERR_IO, "%s: name not resolved: %s", t->rq.label, uv_strerror(rc));
    t->resolving = true;
    return 0;
}

static void on_deadline(uv_timer_t *timer)
{
    struct net_transfer *t = timer->data;

    err_set(&t->err, ERR_TIMEOUT, "%s: no whole answer within %lld ms%s", t->rq.label, (long long)t->rq.timeout_ms,
            t->resolving ? " (the name is not resolved)" : t->sent ? "" : " (not connected)");
    answer_error(t);
}

static void set_curl_error(struct net_transfer *t, CURLcode result)
{
    const char *text = t->curl_error[0] ? t->curl_error : curl_easy_strerror(result);
    int code = result == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_IO;
    bool is_http = true;
    long errnum = 0;

    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &errnum);
    if (result == CURLE_COULDNT_CONNECT && errnum != 0)
        text = strerror((int)errnum);
    else if (result == CURLE_GOT_NOTHING)
        text = "connection closed without an answer";
    else if (result == CURLE_PARTIAL_FILE)
        text = "answer cut in the middle";
    else if (result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_WEIRD_SERVER_REPLY)
        is_http = false;
    err_set(&t->err, code, "%s: %s%s", t->rq.label, is_http ? "" : "the answer is not HTTP: ", text);
}

static const char *header_value(const struct net_transfer *t, const char *name)
{
    const char *p = buf_text(&t->head);

    for (size_t i = 0; i < t->nheaders; i++) {
        const char *value = p + strlen(p) + 1;

        if (strcmp(p, name) == 0)
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}

static bool is_redirect(const struct net_transfer *t, long status)
{
    return t->rq.max_redirects > 0 && t->rq.is_read && header_value(t, "location") &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static void follow(struct net_transfer *t)
{
    int max = t->rq.max_redirects < REDIRECTS_MAX ? t->rq.max_redirects : REDIRECTS_MAX;

    leave_multi(t);
    if (t->redirects++ == max)
        err_set(&t->err, ERR_LIMIT, "%s: more than %d redirects", t->rq.label, max);
    else
        request_redirect(&t->rq, header_value(t, "location"), &t->err);
    if (t->err.code != 0 || hand_to_curl(t) != 0)
        answer_error(t);
}

void transfer_ended(CURL *easy, CURLcode result)
{
    struct net_transfer *t = NULL;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK) {
        if (t->err.code == 0)
            set_curl_error(t, result);
        answer_error(t);
    } else if (!t->head_ended || status < 200) {
        /* Curl takes a head that was cut, or an interim answer and no other, for a whole answer. */
        err_set(&t->err, ERR_IO, "%s: answer cut in the middle", t->rq.label);
        answer_error(t);
    } else if (is_redirect(t, status)) {
        follow(t);
    } else {
        answer_whole(t, (int)status);
    }
}

void transfer_cancel(struct net_transfer *t)
{
    t->done = NULL;
    release(t);
}

static CURL *easy_new(struct net_transfer *t, const struct http_request *r)
{
    CURL *c = curl_easy_init();

    if (!c)
        return NULL;
    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->curl_error);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(c, CURLOPT_PREREQDATA, t);
    if (request_apply(&t->rq, r, c) != 0) {
        curl_easy_cleanup(c);
        return NULL;
    }
    return c;
}

int transfer_start(struct net_client *c, const struct http_request *r, host_http_fn done, void *ctx,
                   struct net_transfer **out, struct err *e)
{
    struct net_transfer *t = xcalloc(1, sizeof *t);
    int rc;

    t->client = c;
    buf_init(&t->head, 2 * HEAD_BYTES_MAX);
    buf_init(&t->body, r->max_body ? r->max_body : HTTP_BODY_MAX);
    uv_timer_init(c->loop, &t->deadline);
    t->deadline.data = t;
    rc = request_init(&t->rq, r, &t->err);
    if (rc == 0) {
        t->easy = easy_new(t, r);
        if (!t->easy)
            rc = err_set(&t->err, ERR_INTERNAL, "%s: curl refused the request", t->rq.label);
    }
    if (rc == 0)
        rc = begin(t);
    if (rc != 0) {
        if (e)
            *e = t->err;
        release(t);
        return rc;
    }
    uv_update_time(c->loop);
    uv_timer_start(&t->deadline, on_deadline, (uint64_t)t->rq.timeout_ms, 0);
    t->done = done;
    t->ctx = ctx;
    *out = t;
    return 0;
}
