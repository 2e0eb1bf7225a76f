/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP of the real host against a server in a thread that behaves as badly as it
 * is told: what comes whole, what is refused, and what is known of a failure. */
#include "io_test.h"

#include "io_server.h"

#include <unistd.h>

struct got {
    struct host *h;
    struct server s;
    int calls;
    int wanted;
    int status;
    size_t body_len;
    char body[4096];
    char type[64];
    size_t nheaders;
    struct err err;
    enum http_sent sent;
};

static void on_answer(void *ctx, const struct http_answer *a)
{
    struct got *g = ctx;

    g->status = a->status;
    g->sent = a->sent;
    g->body_len = a->body.n;
    snprintf(g->body, sizeof g->body, "%.*s", (int)a->body.n, a->body.p ? a->body.p : "");
    g->nheaders = a->nheaders;
    g->type[0] = '\0';
    for (size_t i = 0; i < a->nheaders; i++)
        if (strcmp(a->headers[i].name, "content-type") == 0)
            snprintf(g->type, sizeof g->type, "%s", a->headers[i].value);
    err_clear(&g->err);
    if (a->err)
        g->err = *a->err;
    if (++g->calls == g->wanted)
        g->h->ops->stop(g->h);
}

static int send_to(struct got *g, const char *base, const char *path, struct http_request r, struct host_op **op,
                   struct err *e)
{
    char url[512];

    snprintf(url, sizeof url, "%s:%d%s", base, g->s.port, path);
    r.url = url;
    return g->h->ops->http(g->h, &r, on_answer, g, op, e);
}

static void get_from(struct got *g, const char *base, const char *path, struct http_request r)
{
    struct host_op *op = NULL;
    struct err e = {0};
    int rc;

    g->calls = 0;
    g->wanted = 1;
    rc = send_to(g, base, path, r, &op, &e);
    if (rc != 0)
        fail_msg("%s", e.msg);
    assert_int_equal(g->calls, 0);
    assert_int_equal(g->h->ops->run(g->h, NULL, NULL, &e), 0);
    assert_int_equal(g->calls, 1);
}

static void get(struct got *g, struct http_request r)
{
    r.allow_private = true;
    get_from(g, "http://127.0.0.1", "/p?q=secret", r);
}

static void assert_failed(const struct got *g, int code, enum http_sent sent, const char *part)
{
    if (g->err.code != code || g->sent != sent || !strstr(g->err.msg, part))
        fail_msg("%s, %s: %s (expected %s)", err_code_name(g->err.code),
                 g->sent == HTTP_NOT_SENT ? "not sent" : "maybe sent", g->err.msg, part);
    assert_int_equal(g->status, 0);
    assert_null(strstr(g->err.msg, "secret"));
}

static int setup(void **state)
{
    struct got *g = xcalloc(1, sizeof *g);
    struct err e = {0};

    if (host_real_new(&g->h, &e) != 0)
        return -1;
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    struct got *g = *state;

    if (g->s.running)
        server_stop(&g->s);
    g->h->ops->free(g->h);
    free(g);
    return 0;
}

static void test_an_answer_comes_whole(void **state)
{
    struct got *g = *state;

    server_start(&g->s, SAY, "HTTP/1.1 201 Created\r\nContent-Type:  application/json \r\nX-Empty:\r\n"
                             "Content-Length: 9\r\n\r\n{\"a\": 1}\n");
    get(g, (struct http_request){.headers = (struct http_header[]){{"Authorization", "Bearer t"}, {"X-None", ""}},
                                 .nheaders = 2});
    assert_int_equal(g->err.code, 0);
    assert_int_equal(g->status, 201);
    assert_string_equal(g->body, "{\"a\": 1}\n");
    assert_string_equal(g->type, "application/json");
    assert_int_equal(g->nheaders, 3);
    assert_int_equal(strncmp(g->s.request, "GET /p?q=secret HTTP/1.1\r\n", 26), 0);
    assert_non_null(strstr(g->s.request, "\r\nAuthorization: Bearer t\r\n"));
    assert_non_null(strstr(g->s.request, "\r\nX-None:\r\n"));
    assert_non_null(strstr(g->s.request, "\r\nUser-Agent: midwatch/"));
    server_stop(&g->s);
}

static void test_methods_and_bodies(void **state)
{
    static const struct {
        enum http_method method;
        const char *line;
    } methods[] = {{HTTP_POST, "POST /p"}, {HTTP_PUT, "PUT /p"}, {HTTP_PATCH, "PATCH /p"}, {HTTP_DELETE, "DELETE /p"},
                   {HTTP_GET, "GET /p"}};
    struct got *g = *state;

    server_start(&g->s, SAY, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        get(g, (struct http_request){.method = methods[i].method, .body = STR("a\0b")});
        assert_int_equal(g->status, 200);
        assert_int_equal(strncmp(g->s.request, methods[i].line, strlen(methods[i].line)), 0);
        assert_non_null(strstr(g->s.request, "\r\nContent-Length: 3\r\n"));
        assert_null(strstr(g->s.request, "Content-Type"));
        assert_null(strstr(g->s.request, "Expect"));
        assert_memory_equal(strstr(g->s.request, "\r\n\r\n") + 4, "a\0b", 3);
    }
    get(g, (struct http_request){.method = HTTP_POST});
    assert_non_null(strstr(g->s.request, "\r\nContent-Length: 0\r\n"));
    server_stop(&g->s);
    server_start(&g->s, SAY, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    get(g, (struct http_request){.method = HTTP_HEAD});
    assert_int_equal(g->status, 200);
    assert_int_equal(g->body_len, 0);
    server_stop(&g->s);
}

static void test_chunked_and_interim_answers(void **state)
{
    struct got *g = *state;

    server_start(&g->s, SAY, "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
                             "Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"
                             "5\r\nhello\r\n6\r\n there\r\n0\r\nContent-Type: text/late\r\n\r\n");
    get(g, (struct http_request){0});
    assert_int_equal(g->err.code, 0);
    assert_string_equal(g->body, "hello there");
    assert_int_equal(g->nheaders, 2);
    assert_string_equal(g->type, "");
    server_stop(&g->s);
}

static void test_html_is_an_answer_like_others(void **state)
{
    struct got *g = *state;

    server_start(&g->s, SAY_AND_CLOSE, "HTTP/1.0 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<h1>sorry</h1>");
    get(g, (struct http_request){0});
    assert_int_equal(g->status, 502);
    assert_string_equal(g->type, "text/html");
    assert_string_equal(g->body, "<h1>sorry</h1>");
    server_stop(&g->s);
}

static void test_a_slow_answer_times_out(void **state)
{
    struct got *g = *state;

    server_start(&g->s, DRIP, NULL);
    get(g, (struct http_request){.timeout_ms = 200});
    assert_failed(g, ERR_TIMEOUT, HTTP_MAYBE_SENT, "no whole answer within 200 ms");
    server_stop(&g->s);
    server_start(&g->s, SILENT, NULL);
    get(g, (struct http_request){.method = HTTP_POST, .timeout_ms = 200});
    assert_failed(g, ERR_TIMEOUT, HTTP_MAYBE_SENT, "POST http://127.0.0.1:");
    server_stop(&g->s);
}

static void test_floods_are_cut(void **state)
{
    struct got *g = *state;

    server_start(&g->s, ENDLESS_BODY, NULL);
    get(g, (struct http_request){.max_body = 100000});
    assert_failed(g, ERR_LIMIT, HTTP_MAYBE_SENT, "answer larger than 100000 bytes");
    server_stop(&g->s);
    server_start(&g->s, ENDLESS_HEAD, NULL);
    get(g, (struct http_request){0});
    assert_failed(g, ERR_LIMIT, HTTP_MAYBE_SENT, "headers in the answer");
    server_stop(&g->s);
    server_start(&g->s, ENDLESS_INTERIM, NULL);
    get(g, (struct http_request){0});
    assert_failed(g, ERR_LIMIT, HTTP_MAYBE_SENT, "bytes of headers in the answer");
    server_stop(&g->s);
}

static void test_cut_and_broken_answers_are_unknown(void **state)
{
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", "cut in the middle"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", ""},
        /* Curl itself calls these three whole. */
        {"HTTP/1.1 200 OK\r\nConte", "cut in the middle"},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", "cut in the middle"},
        {"HTTP/1.1 103 Early Hints\r\n\r\n", ""},
        {"", "without an answer"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"},
        {"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n", "not HTTP"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", ""},
        {"HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 0\r\n\r\n", "malformed header"},
    };
    struct got *g = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        server_start(&g->s, SAY_AND_CLOSE, cases[i].text);
        get(g, (struct http_request){.method = HTTP_POST});
        if (g->err.code == 0)
            fail_msg("taken for whole: %s", cases[i].text);
        assert_failed(g, ERR_IO, HTTP_MAYBE_SENT, cases[i].part);
        assert_int_equal(g->s.requests, 1);
        server_stop(&g->s);
    }
    server_start(&g->s, RESET, NULL);
    get(g, (struct http_request){.method = HTTP_POST});
    assert_failed(g, ERR_IO, HTTP_MAYBE_SENT, "");
    server_stop(&g->s);
}

static void test_what_cannot_connect_is_not_sent(void **state)
{
    struct got *g = *state;

    server_start(&g->s, SILENT, NULL);
    server_stop(&g->s);
    get(g, (struct http_request){.method = HTTP_POST});
    assert_failed(g, ERR_IO, HTTP_NOT_SENT, "Connection refused");
    get_from(g, "http://no-such-host.invalid", "/", (struct http_request){.method = HTTP_POST});
    assert_failed(g, ERR_IO, HTTP_NOT_SENT, "name not resolved");
    /* TLS to a port that speaks something else. */
    server_start(&g->s, SAY_AND_CLOSE, "HTTP/1.1 400 Bad Request\r\n\r\n");
    get_from(g, "https://127.0.0.1", "/", (struct http_request){.allow_private = true, .timeout_ms = 2000});
    assert_int_equal(g->status, 0);
    assert_int_equal(g->sent, HTTP_NOT_SENT);
    server_stop(&g->s);
}

static void test_a_handshake_that_hangs_is_not_sent(void **state)
{
    struct got *g = *state;

    server_start(&g->s, SILENT, NULL);
    get_from(g, "https://127.0.0.1", "/",
             (struct http_request){.method = HTTP_POST, .allow_private = true, .timeout_ms = 200});
    assert_failed(g, ERR_TIMEOUT, HTTP_NOT_SENT, "not connected");
    server_stop(&g->s);
}

static void test_redirects(void **state)
{
    struct got *g = *state;

    server_start(&g->s, SAY, "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
    get(g, (struct http_request){0});
    assert_int_equal(g->status, 302);
    get(g, (struct http_request){.method = HTTP_POST, .max_redirects = 5});
    assert_int_equal(g->status, 302);
    g->s.requests = 0;
    get(g, (struct http_request){.max_redirects = 5});
    assert_failed(g, ERR_LIMIT, HTTP_MAYBE_SENT, "more than 5 redirects");
    assert_int_equal(g->s.requests, 6);
    assert_non_null(strstr(g->s.request, "GET /again HTTP/1.1"));
    server_stop(&g->s);
}

static void test_redirects_to_other_servers_are_refused(void **state)
{
    static const char *const places[] = {
        "http://169.254.169.254/latest", "//localhost/", "http://127.0.0.1:1/", "https://127.0.0.1/",
        "file:///etc/passwd", "gopher://127.0.0.1/", "http://user:secret@127.0.0.1/", "http://127.0.0.1.evil.example/",
    };
    struct got *g = *state;
    char text[256];

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(text, sizeof text, "HTTP/1.1 301 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", places[i]);
        server_start(&g->s, SAY, text);
        get(g, (struct http_request){.max_redirects = 5});
        if (g->err.code != ERR_DENIED && g->err.code != ERR_INVALID)
            fail_msg("%s: %s", places[i], g->err.msg);
        assert_failed(g, g->err.code, HTTP_MAYBE_SENT, "redirect to");
        assert_int_equal(g->s.requests, 1);
        server_stop(&g->s);
    }
}

/* Origins are compared with what curl itself parsed. */
static void test_origins(void **state)
{
    static const char *const others[] = {"https://127.0.0.1:80", "http://127.0.0.1:1", "http://localhost:80", NULL};
    struct got *g = *state;
    char own[64], want[64];
    const char *const allowed[] = {"https://example.org:443", own, NULL};
    struct host_op *op = NULL;
    struct err e = {0};

    server_start(&g->s, SAY, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    snprintf(own, sizeof own, "HTTP://127.0.0.1:%d", g->s.port);
    snprintf(want, sizeof want, "not for http://127.0.0.1:%d ", g->s.port);
    get(g, (struct http_request){.origins = allowed});
    get_from(g, "http://2130706433", "/", (struct http_request){.origins = allowed, .allow_private = true});
    assert_int_equal(g->status, 200);
    assert_int_equal(send_to(g, "http://127.0.0.1", "/", (struct http_request){.origins = others}, &op, &e), ERR_DENIED);
    assert_non_null(strstr(e.msg, want));
    assert_int_equal(send_to(g, "http://example.org@127.0.0.1", "/", (struct http_request){.origins = others}, &op, &e),
                     ERR_INVALID);
    assert_int_equal(g->s.requests, 2);
    server_stop(&g->s);
}

static void test_private_addresses_are_refused(void **state)
{
    static const char *const places[] = {
        "http://127.0.0.1", "http://[::1]", "http://[::ffff:127.0.0.1]", "http://2130706433", "http://0x7f.1",
        "http://169.254.169.254", "http://10.0.0.1", "http://0",
    };
    struct got *g = *state;
    struct host_op *op = NULL;
    struct err e = {0};

    server_start(&g->s, SAY, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (send_to(g, places[i], "/", (struct http_request){0}, &op, &e) != ERR_DENIED)
            fail_msg("%s: not refused", places[i]);
        assert_non_null(strstr(e.msg, "which this instance may not reach"));
    }
    /* A name is judged by what it resolves to. */
    get_from(g, "http://localhost", "/", (struct http_request){0});
    assert_failed(g, ERR_DENIED, HTTP_NOT_SENT, "a loopback address");
    assert_int_equal(g->s.connections, 0);
    get_from(g, "http://localhost", "/", (struct http_request){.allow_private = true});
    assert_int_equal(g->status, 200);
    assert_int_equal(g->s.connections, 1);
    get_from(g, "http://localhost", "/", (struct http_request){0});
    assert_failed(g, ERR_DENIED, HTTP_NOT_SENT, "a loopback address");
    assert_int_equal(g->s.requests, 1);
    server_stop(&g->s);
}

static void test_bad_requests_are_refused_at_once(void **state)
{
    static const char *const urls[] = {
        "", "ftp://a/", "file:///etc/passwd", "a/b", "http://", "http://u:p@a/", "http://a b/", "http://a:99999/",
        "http://\xc3\xa9.example/", "http://a%0d%0ab/",
    };
    static const struct http_header headers[] = {
        {"X-A", "a\r\nX-B: b"}, {"X-A: b\r\nX", "1"}, {"", "1"}, {"Content-Length", "3"},
        {"transfer-encoding", "chunked"},
    };
    struct got *g = *state;
    struct host_op *op = NULL;
    struct err e = {0};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        if (g->h->ops->http(g->h, &(struct http_request){.url = urls[i]}, on_answer, g, &op, &e) != ERR_INVALID)
            fail_msg("%s: not refused", urls[i]);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        if (g->h->ops->http(g->h, &(struct http_request){.url = "http://a/", .headers = &headers[i], .nheaders = 1},
                            on_answer, g, &op, &e) != ERR_INVALID)
            fail_msg("%s: not refused", headers[i].name);
    assert_null(op);
    assert_int_equal(g->calls, 0);
}

static void test_connections_are_kept_for_reads(void **state)
{
    struct got *g = *state;

    server_start(&g->s, SAY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for (int i = 0; i < 5; i++)
        get(g, (struct http_request){0});
    assert_int_equal(g->s.requests, 5);
    assert_int_equal(g->s.connections, 1);
    server_stop(&g->s);
}

/* A kept connection that dies under a request: a read is repeated, a change never is. */
static void test_a_change_is_never_sent_twice(void **state)
{
    struct got *g = *state;

    server_start(&g->s, CLOSE_SECOND, NULL);
    get(g, (struct http_request){0});
    get(g, (struct http_request){0});
    assert_int_equal(g->status, 200);
    assert_int_equal(g->s.requests, 3);
    get(g, (struct http_request){.method = HTTP_POST});
    assert_int_equal(g->status, 200);
    assert_int_equal(g->s.requests, 4);
    server_stop(&g->s);
}

static void on_never(void *ctx, const struct http_answer *a)
{
    (void)ctx;
    (void)a;
    fail_msg("a callback after cancel");
}

static void test_cancel_and_free_are_silent(void **state)
{
    struct got *g = *state;
    struct host_op *op = NULL;
    struct err e = {0};
    char url[64];

    server_start(&g->s, SAY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", g->s.port);
    assert_int_equal(g->h->ops->http(g->h, &(struct http_request){.url = url, .allow_private = true}, on_never, NULL,
                                     &op, &e), 0);
    g->h->ops->cancel(g->h, op);
    snprintf(url, sizeof url, "http://localhost:%d/", g->s.port);
    assert_int_equal(g->h->ops->http(g->h, &(struct http_request){.url = url}, on_never, NULL, &op, &e), 0);
    g->h->ops->cancel(g->h, op);
    get(g, (struct http_request){0});
    assert_int_equal(g->status, 200);
    assert_int_equal(g->h->ops->http(g->h, &(struct http_request){.url = url}, on_never, NULL, &op, &e), 0);
    server_stop(&g->s);
}

static void test_many_at_once(void **state)
{
    enum { MANY = 20 };
    struct got *g = *state;
    struct host_op *op = NULL;
    struct err e = {0};

    server_start(&g->s, SAY_AND_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    g->wanted = MANY;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(send_to(g, "http://localhost", "/", (struct http_request){.allow_private = true}, &op, &e), 0);
    assert_int_equal(g->h->ops->run(g->h, NULL, NULL, &e), 0);
    assert_int_equal(g->calls, MANY);
    assert_int_equal(g->status, 200);
    server_stop(&g->s);
}

static void test_no_descriptor_is_left(void **state)
{
    struct got *g = *state;
    int before;

    for (int i = 0; i < 3; i++) {
        struct err e = {0};

        g->h->ops->free(g->h);
        before = open_fds();
        assert_int_equal(host_real_new(&g->h, &e), 0);
        server_start(&g->s, SAY, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        get_from(g, "http://localhost", "/", (struct http_request){.allow_private = true});
        server_stop(&g->s);
        g->h->ops->free(g->h);
        if (i > 0)
            assert_int_equal(open_fds(), before);
        assert_int_equal(host_real_new(&g->h, &e), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_answer_comes_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_methods_and_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chunked_and_interim_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_html_is_an_answer_like_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_slow_answer_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_floods_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_and_broken_answers_are_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_connect_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_handshake_that_hangs_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_redirects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_redirects_to_other_servers_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_origins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_private_addresses_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests_are_refused_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connections_are_kept_for_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_change_is_never_sent_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_and_free_are_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptor_is_left, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
