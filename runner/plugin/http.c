/* SPDX-License-Identifier: Apache-2.0 */
/* The primitive http. Secrets enter a request here, as headers, and nowhere else. */
#include "plugin/auth.h"
#include "plugin/pick.h"
#include "plugin/secret.h"

#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    enum http_method method;
    bool changes;
} methods[] = {
    {"GET", HTTP_GET, false},   {"HEAD", HTTP_HEAD, false},  {"POST", HTTP_POST, true},
    {"PUT", HTTP_PUT, true},    {"PATCH", HTTP_PATCH, true}, {"DELETE", HTTP_DELETE, true},
};

/* The same value with secrets struck out of its texts. Takes v. */
static json_t *struck(json_t *v)
{
    const char *key;
    json_t *inner, *clean;
    void *next;
    size_t i;

    if (json_is_string(v)) {
        clean = primitive_text((struct str){json_string_value(v), json_string_length(v)}, false, false);
        json_decref(v);
        return clean;
    }
    json_object_foreach_safe(v, next, key, inner)
        json_object_set_new_nocheck(v, key, struck(json_incref(inner)));
    if (json_is_array(v)) {
        json_array_foreach(v, i, inner)
            json_array_set_new(v, i, struck(json_incref(inner)));
    }
    return v;
}

/* What the request wants to keep of the answer, and its name; the whole body where it wants nothing or the answer is no
 * success. NULL: it cannot be read so. */
static json_t *kept_of(struct body_call *c, const struct http_answer *a, const char **name, struct err *e)
{
    const json_t *pick = json_object_get(c->args, "pick"), *list = json_object_get(pick, "list");
    const json_t *lines = json_object_get(pick, "lines");
    json_t *kept = NULL;

    *name = "body";
    if (!pick || a->status != 200)
        return primitive_text(a->body, json_get_bool(c->args, "raw", false), false);
    *name = list ? "list" : lines ? "lines" : "object";
    if (list)
        pick_list(a->body, list, &kept, e);
    else if (lines)
        pick_lines(a->body, lines, &kept, e);
    else
        pick_object(a->body, &kept, e);
    return kept && log_has_secrets() ? struck(kept) : kept;
}

static void http_answered(void *ctx, const struct http_answer *a)
{
    struct body_call *c = ctx;
    bool raw = json_get_bool(c->args, "raw", false);
    json_t *headers, *kept;
    struct err e = {0};
    const char *name;
    size_t i;

    if (a->err) {
        primitive_answer(c, json_pack("{s:s s:s}", "error", a->err->msg, "sent",
                                      a->sent == HTTP_MAYBE_SENT ? "maybe" : "no"));
        return;
    }
    /* Who is not known has changed nothing, so this may be sent again. */
    if (a->status == 401 && c->secret[0] && !c->renewed && secret_renew(c->body->registry, c->secret)) {
        c->op = NULL;
        c->renewed = true;
        primitive_again(c, NULL);
        return;
    }
    headers = json_object();
    for (i = 0; i < a->nheaders; i++)
        json_object_set_new(headers, a->headers[i].name, primitive_text(str_of(a->headers[i].value), raw, false));
    kept = kept_of(c, a, &name, &e);
    if (kept)
        primitive_answer(c, json_pack("{s:o s:o s:i}", "headers", headers, name, kept, "status", a->status));
    else
        primitive_answer(c, json_pack("{s:o s:i s:s}", "headers", headers, "status", a->status, "unreadable", e.msg));
}

struct request_parts {
    struct http_header headers[64];
    size_t nheaders;
    struct auth auth;
    char *key;                          /* PEM, of the client's certificate */
    const char *const *origins;
};

static void parts_deinit(struct request_parts *p)
{
    auth_deinit(&p->auth);
    if (p->key)
        explicit_bzero(p->key, strlen(p->key));
    free(p->key);
}

static int add_headers(const json_t *args, struct request_parts *out, struct err *e)
{
    const char *name;
    json_t *v;

    json_object_foreach(json_object_get(args, "headers"), name, v) {
        size_t i, n = json_is_array(v) ? json_array_size(v) : 1;

        for (i = 0; i < n; i++) {
            const json_t *text = json_is_array(v) ? json_array_get(v, i) : v;

            if (out->nheaders == 60 || !json_is_string(text))
                return err_set(e, ERR_INVALID, "headers: at most 60 texts");
            out->headers[out->nheaders++] = (struct http_header){name, json_string_value(text)};
        }
    }
    return 0;
}

/* auth = {kind, secret, ...}, plugin/auth.h; session = {secret} may name a second one. bearer = name or handle is short
 * for {kind = "bearer"}. */
static int add_auth(struct body_call *c, const json_t *args, struct http_request *q, struct request_parts *out, struct err *e)
{
    json_t *how = json_incref(json_object_get(args, "auth"));
    const char *bearer = json_get_string(args, "bearer", NULL), *basic = json_get_string(args, "basic", NULL), *session;
    struct host *h = c->body->registry->o.host;
    struct secret_value secret, token = {0};
    size_t i;
    int rc;

    if (!how && bearer)
        how = json_pack("{s:s s:s}", "kind", "bearer", "secret", bearer);
    else if (!how && basic)
        how = json_pack("{s:s s:s s:s}", "kind", "header", "prefix", "Basic ", "secret", basic);
    if (!how)
        return 0;
    session = json_get_string(json_object_get(how, "session"), "secret", NULL);
    rc = secret_get(c->body, json_get_string(how, "secret", ""), NULL, &secret, primitive_again, c, e);
    if (rc == 0 && session)
        rc = secret_get(c->body, session, NULL, &token, primitive_again, c, e);
    if (rc == 0)
        rc = auth_make(how, secret.value, token.value, q, h->ops->wall_ms(h), &out->auth, e);
    if (rc == 0) {
        snprintf(c->secret, sizeof(c->secret), "%s", json_get_string(how, "secret", ""));
        out->origins = secret.origins;
        for (i = 0; i < out->auth.nheaders; i++)
            out->headers[out->nheaders++] = out->auth.headers[i];
        q->aws_sigv4 = out->auth.sigv4;
        q->user_password = out->auth.user_password;
    }
    json_decref(how);
    return rc;
}

/* key = PEM, or {secret = name}. */
static int add_key(struct body_call *c, const json_t *args, struct request_parts *out, struct err *e)
{
    const json_t *key = json_object_get(args, "key");
    struct secret_value secret;
    int rc;

    if (json_is_string(key))
        out->key = xstrdup(json_string_value(key));
    if (!json_is_object(key))
        return 0;
    rc = secret_get(c->body, json_get_string(key, "secret", ""), NULL, &secret, primitive_again, c, e);
    if (rc != 0)
        return rc;
    out->key = xstrndup(secret.value.p, secret.value.n);
    out->origins = out->origins ? out->origins : secret.origins;
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

static struct http_request request_of(const json_t *args, size_t method)
{
    const json_t *body = json_object_get(args, "body");

    return (struct http_request){
        .method = methods[method].method, .url = json_get_string(args, "url", ""),
        .timeout_ms = (int64_t)(primitive_number(args, "timeout", 10) * 1000),
        .max_body = (size_t)primitive_number(args, "max_body", 0), .allow_private = true,
        .ca_pem = json_get_string(args, "ca", NULL), .client_cert_pem = json_get_string(args, "cert", NULL),
        .tls_server_name = json_get_string(args, "server_name", NULL),
        .insecure_tls = json_get_bool(args, "insecure", false),
        .body = {json_is_string(body) ? json_string_value(body) : "", json_string_length(body)},
    };
}

int http_begin(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;
    const struct config *config = c->body->registry->o.config;
    struct request_parts parts = {0};
    struct http_request q;
    bool changes;
    size_t m = 0;
    int rc = find_method(args, &m, e);

    changes = rc == 0 && methods[m].changes && !json_get_bool(args, "stores_nothing", false);
    if (rc == 0 && changes && c->kind != BODY_APPLY)
        rc = err_set(e, ERR_DENIED, "only an effect may send %s", methods[m].name);
    q = request_of(args, m);
    if (rc == 0)
        rc = add_headers(args, &parts, e);
    if (rc == 0)
        rc = add_auth(c, args, &q, &parts, e);
    if (rc == 0)
        rc = add_key(c, args, &parts, e);
    if (rc == 0) {
        q.headers = parts.headers;
        q.nheaders = parts.nheaders;
        q.origins = parts.origins;
        q.hosts = config ? (const char *const *)config->hosts : NULL;
        q.client_key_pem = parts.key;
        c->may_have_sent |= changes;
        rc = h->ops->http(h, &q, http_answered, c, &c->op, e);
    }
    parts_deinit(&parts);
    return rc;
}
