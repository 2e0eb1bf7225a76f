/* SPDX-License-Identifier: Apache-2.0 */
/* What a body can do: http, exec, file, secret, pause, now, yaml, base64, matches.
 * Each takes one table and answers one; a failure is {"error": why}. Who may do what
 * is decided here: only an apply may send what changes something, and a request
 * that may have left is remembered before it leaves. */
#include "plugin/internal.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/yaml.h"

#include <openssl/evp.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

static void answer(struct body_call *c, json_t *take)
{
    buf_reset(&c->answer);
    if (json_add_value(&c->answer, take) < 0) {
        buf_reset(&c->answer);
        buf_adds(&c->answer, "{\"error\":\"the answer is too large\"}");
    }
    json_decref(take);
    c->op = NULL;
    c->answered = true;
}

static void answer_error(struct body_call *c, const char *why)
{
    answer(c, json_pack("{s:s}", "error", why));
}

/* Bytes of somebody else as a JSON string; what is not UTF-8 becomes U+FFFD. */
static json_t *text_of(struct str s)
{
    struct buf b;
    json_t *v;

    if (str_is_utf8(s.p, s.n))
        return json_stringn(s.p, s.n);
    buf_init(&b, 3 * s.n + 8);
    str_add_utf8(&b, s.p, s.n);
    v = json_stringn(b.data, b.len);
    buf_free(&b);
    return v;
}

/* http */

static const struct {
    const char *name;
    enum http_method method;
    bool changes;
} methods[] = {
    {"GET", HTTP_GET, false},   {"HEAD", HTTP_HEAD, false},  {"POST", HTTP_POST, true},
    {"PUT", HTTP_PUT, true},    {"PATCH", HTTP_PATCH, true}, {"DELETE", HTTP_DELETE, true},
};

static void http_answered(void *ctx, const struct http_answer *a)
{
    struct body_call *c = ctx;
    json_t *headers = json_object();
    size_t i;

    if (a->err) {
        json_decref(headers);
        answer(c, json_pack("{s:s s:s}", "error", a->err->msg, "sent", a->sent == HTTP_MAYBE_SENT ? "maybe" : "no"));
        return;
    }
    for (i = 0; i < a->nheaders; i++)
        json_object_set_new(headers, a->headers[i].name, text_of(str_of(a->headers[i].value)));
    answer(c, json_pack("{s:o s:o s:i}", "body", text_of(a->body), "headers", headers, "status", a->status));
}

struct header_list {
    struct http_header list[64];
    struct buf authorization;
    size_t n;
};

static const char *secret_of(struct registry *r, const char *handle)
{
    long n = strncmp(handle, "secret:", 7) == 0 ? strtol(handle + 7, NULL, 10) : 0;

    return n > 0 && (size_t)n <= r->nsecrets ? r->secrets[n - 1] : NULL;
}

static int add_headers(struct body_call *c, const json_t *args, struct header_list *out, struct err *e)
{
    const char *name, *bearer = json_get_string(args, "bearer", NULL), *basic = json_get_string(args, "basic", NULL);
    const char *secret;
    json_t *v;

    json_object_foreach(json_object_get(args, "headers"), name, v) {
        if (out->n == 60 || !json_is_string(v))
            return err_set(e, ERR_INVALID, "headers: at most 60 texts");
        out->list[out->n++] = (struct http_header){name, json_string_value(v)};
    }
    if (!bearer && !basic)
        return 0;
    secret = secret_of(c->body->registry, bearer ? bearer : basic);
    if (!secret)
        return err_set(e, ERR_INVALID, "no such secret");
    buf_addf(&out->authorization, "%s %s", bearer ? "Bearer" : "Basic", secret);
    out->list[out->n++] = (struct http_header){"Authorization", buf_text(&out->authorization)};
    return 0;
}

static int find_method(const json_t *args, size_t *out, struct err *e)
{
    const char *name = json_get_string(args, "method", "GET");
    size_t i;

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(name, methods[i].name) == 0) {
            *out = i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "http: no method '%s'", name);
}

static double number(const json_t *args, const char *key, double absent)
{
    const json_t *v = json_object_get(args, key);

    return json_is_number(v) ? json_number_value(v) : absent;
}

static int begin_http(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;
    struct header_list headers = {.authorization = BUF_INIT(64 * KIB)};
    const json_t *body = json_object_get(args, "body");
    struct http_request q;
    bool changes;
    size_t m = 0;
    int rc = find_method(args, &m, e);

    changes = rc == 0 && methods[m].changes && !json_get_bool(args, "stores_nothing", false);
    if (rc == 0 && changes && (c->kind != BODY_APPLY || c->body->registry->o.reads_only))
        rc = err_set(e, ERR_DENIED, "only an effect may send %s", methods[m].name);
    if (rc == 0)
        rc = add_headers(c, args, &headers, e);
    if (rc == 0) {
        q = (struct http_request){
            .method = methods[m].method, .url = json_get_string(args, "url", ""), .headers = headers.list,
            .nheaders = headers.n, .timeout_ms = (int64_t)(number(args, "timeout", 10) * 1000),
            .max_body = (size_t)number(args, "max_body", 0), .allow_private = true,
            .ca_pem = json_get_string(args, "ca", NULL), .client_cert_pem = json_get_string(args, "cert", NULL),
            .client_key_pem = json_get_string(args, "key", NULL),
            .tls_server_name = json_get_string(args, "server_name", NULL),
            .insecure_tls = json_get_bool(args, "insecure", false),
            .body = {json_is_string(body) ? json_string_value(body) : "", json_string_length(body)},
        };
        c->may_have_sent |= changes;
        rc = h->ops->http(h, &q, http_answered, c, &c->op, e);
    }
    buf_free(&headers.authorization);
    return rc;
}

/* exec */

static void exec_answered(void *ctx, const struct spawn_answer *a)
{
    struct body_call *c = ctx;

    if (a->err) {
        answer_error(c, a->err->msg);
        return;
    }
    answer(c, json_pack("{s:i s:o s:o s:i s:b s:b}", "code", a->exit_code, "err", text_of(a->errout), "out",
                        text_of(a->out), "signal", a->signal, "timed_out", a->timed_out, "truncated", a->truncated));
}

static int words_of(const json_t *list, const char **out, size_t max, struct err *e)
{
    size_t i;
    json_t *v;

    if (json_array_size(list) == 0 || json_array_size(list) >= max)
        return err_set(e, ERR_INVALID, "exec: argv must be a list of 1 to %zu texts", max - 1);
    json_array_foreach(list, i, v) {
        if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
            return err_set(e, ERR_INVALID, "exec: word %zu is no text", i + 1);
        out[i] = json_string_value(v);
    }
    out[json_array_size(list)] = NULL;
    return 0;
}

static int begin_exec(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;
    const char *argv[128], *env[64];
    const json_t *input = json_object_get(args, "input"), *environment = json_object_get(args, "env");
    struct spawn_request q = {.argv = argv, .cwd = json_get_string(args, "cwd", NULL),
                              .timeout_ms = (int64_t)(number(args, "timeout", 20) * 1000)};
    bool changes = json_get_bool(args, "changes", false);
    int rc = words_of(json_object_get(args, "argv"), argv, 128, e);

    if (rc == 0 && environment) {
        rc = words_of(environment, env, 64, e);
        q.env = env;
    }
    if (rc == 0 && changes && (c->kind != BODY_APPLY || c->body->registry->o.reads_only))
        rc = err_set(e, ERR_DENIED, "only an effect may run what changes something");
    if (rc < 0)
        return rc;
    if (json_is_string(input))
        q.input = (struct str){json_string_value(input), json_string_length(input)};
    c->may_have_sent |= changes;
    return h->ops->spawn(h, &q, exec_answered, c, &c->op, e);
}

/* The small ones */

static int begin_file(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;
    const char *path = json_get_string(args, "path", ""), *dir = json_get_string(args, "dir", ".");
    struct buf text = BUF_INIT(MIB);
    char full[4096];

    snprintf(full, sizeof(full), "%s%s%s", path[0] == '/' ? "" : dir, path[0] == '/' ? "" : "/", path);
    if (h->ops->read_file(h, full, MIB, &text, e) == 0)
        answer(c, json_pack("{s:o}", "text", text_of((struct str){text.data ? text.data : "", text.len})));
    buf_free(&text);
    return e->code;
}

static int begin_secret(struct body_call *c, const json_t *args, struct err *e)
{
    struct registry *r = c->body->registry;
    const char *value = json_get_string(args, "value", NULL);
    char handle[32];
    size_t i;

    if (!value)
        return err_set(e, ERR_INVALID, "secret wants a text");
    for (i = 0; i < r->nsecrets && strcmp(r->secrets[i], value) != 0; i++)
        ;
    if (i == r->nsecrets) {
        r->secrets = xrealloc(r->secrets, (i + 1) * sizeof(*r->secrets));
        r->secrets[r->nsecrets++] = xstrdup(value);
        log_secret(str_of(value));
    }
    snprintf(handle, sizeof(handle), "secret:%zu", i + 1);
    answer(c, json_pack("{s:s}", "handle", handle));
    return 0;
}

static void paused(void *ctx)
{
    answer(ctx, json_object());
}

static int begin_pause(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;

    return h->ops->timer(h, json_get_int(args, "ms", 0), paused, c, &c->op, e);
}

static int begin_now(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;

    (void)args, (void)e;
    answer(c, json_pack("{s:I}", "ms", (json_int_t)h->ops->wall_ms(h)));
    return 0;
}

static int begin_yaml(struct body_call *c, const json_t *args, struct err *e)
{
    struct yaml *y = NULL;

    if (yaml_read(str_of(json_get_string(args, "text", "")), c->body->plugin, 1, &y, e) == 0)
        answer(c, json_pack("{s:o}", "value", yaml_to_json(y)));
    yaml_free(y);
    return e->code;
}

static int begin_base64(struct body_call *c, const json_t *args, struct err *e)
{
    const char *text = json_get_string(args, "text", "");
    size_t n = strlen(text);
    unsigned char *out;
    int len;

    if (n % 4 || n > MIB)
        return err_set(e, ERR_INVALID, "not base64");
    out = xmalloc(n + 1);
    len = EVP_DecodeBlock(out, (const unsigned char *)text, (int)n);
    while (len > 0 && n > 0 && text[--n] == '=')
        len--;
    if (len >= 0)
        answer(c, json_pack("{s:o}", "text", text_of((struct str){(char *)out, (size_t)len})));
    free(out);
    return len < 0 ? err_set(e, ERR_INVALID, "not base64") : 0;
}

static int begin_matches(struct body_call *c, const json_t *args, struct err *e)
{
    struct buf whole = BUF_INIT(8 * KIB);
    regex_t re;
    bool yes = false;

    buf_addf(&whole, "^(%s)$", json_get_string(args, "pattern", ""));
    if (regcomp(&re, buf_text(&whole), REG_EXTENDED | REG_NOSUB) != 0) {
        buf_free(&whole);
        return err_set(e, ERR_INVALID, "the pattern is no regular expression");
    }
    yes = regexec(&re, json_get_string(args, "text", ""), 0, NULL, 0) == 0;
    regfree(&re);
    buf_free(&whole);
    answer(c, json_pack("{s:b}", "value", yes));
    return 0;
}

static const struct {
    const char *op;
    int (*begin)(struct body_call *c, const json_t *args, struct err *e);
} primitives[] = {
    {"http", begin_http},   {"exec", begin_exec}, {"file", begin_file},     {"secret", begin_secret},
    {"pause", begin_pause}, {"now", begin_now},   {"yaml", begin_yaml},     {"base64", begin_base64},
    {"matches", begin_matches},
};

void primitive_begin(struct body_call *c, const struct vm_request *q)
{
    struct err e = {0};
    json_t *args = NULL;
    size_t i;
    int rc = json_read(q->calls[0].args, &args, &e);

    c->generation = q->generation;
    c->answered = false;
    for (i = 0; rc == 0 && i < sizeof(primitives) / sizeof(primitives[0]); i++) {
        if (str_is(q->op, primitives[i].op)) {
            rc = primitives[i].begin(c, args, &e);
            break;
        }
    }
    if (rc == 0 && i == sizeof(primitives) / sizeof(primitives[0]))
        rc = err_set(&e, ERR_INVALID, "there is no primitive '%.*s'", (int)q->op.n, q->op.p);
    if (rc < 0)
        answer_error(c, e.msg);
    json_decref(args);
}
