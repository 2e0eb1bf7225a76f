/* SPDX-License-Identifier: Apache-2.0 */
/* The primitive http. Secrets enter a request here, as headers, and nowhere else. */
#include "plugin/pick.h"
#include "plugin/secret.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
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
    struct buf credential;              /* the value of the header that proves who asks */
    char *key;                          /* PEM, of the client's certificate */
    const char *const *origins;
};

static void parts_deinit(struct request_parts *p)
{
    if (p->credential.data)
        explicit_bzero(p->credential.data, p->credential.cap);
    buf_free(&p->credential);
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

static int add_basic(const char *user, struct str secret, struct buf *out, struct err *e)
{
    size_t n = strlen(user) + 1 + secret.n;
    unsigned char *pair, *text;

    if (!user[0] || strchr(user, ':'))
        return err_set(e, ERR_INVALID, "auth: basic wants a user without ':'");
    pair = xmalloc(n + 1);
    text = xmalloc(4 * (n / 3 + 1) + 1);
    memcpy(pair, user, n - 1 - secret.n);
    pair[n - 1 - secret.n] = ':';
    memcpy(pair + n - secret.n, secret.p, secret.n);
    EVP_EncodeBlock(text, pair, (int)n);
    log_secret(str_of((char *)text));
    buf_addf(out, "Basic %s", (char *)text);
    explicit_bzero(pair, n);
    explicit_bzero(text, strlen((char *)text));
    free(pair);
    free(text);
    return 0;
}

/* HMAC-SHA256 over the body, in hex. */
static void add_hmac(const json_t *args, struct str secret, const char *prefix, struct buf *out)
{
    const json_t *body = json_object_get(args, "body");
    const char *text = json_is_string(body) ? json_string_value(body) : "";
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0, i;

    HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)text, json_string_length(body), mac, &n);
    buf_adds(out, prefix);
    for (i = 0; i < n; i++)
        buf_addf(out, "%02x", mac[i]);
}

static int add_credential(const json_t *args, const json_t *auth, struct str secret, struct buf *out, struct err *e)
{
    const char *kind = json_get_string(auth, "kind", ""), *prefix = json_get_string(auth, "prefix", "");

    buf_reserve(out, 2 * secret.n + 1024);
    if (strcmp(kind, "bearer") == 0)
        buf_addf(out, "Bearer %s", secret.p);
    else if (strcmp(kind, "basic") == 0)
        return add_basic(json_get_string(auth, "user", ""), secret, out, e);
    else if (strcmp(kind, "header") == 0)
        buf_addf(out, "%s%s", prefix, secret.p);
    else if (strcmp(kind, "hmac") == 0)
        add_hmac(args, secret, prefix, out);
    else
        return err_set(e, ERR_INVALID, "auth: kind must be bearer, basic, header or hmac, not '%.40s'", kind);
    return 0;
}

/* auth = {kind, secret, user, header, prefix}; bearer and basic take a handle for a text of the body's own. */
static int add_auth(struct body_call *c, const json_t *args, struct request_parts *out, struct err *e)
{
    const json_t *auth = json_object_get(args, "auth");
    const char *bearer = json_get_string(args, "bearer", NULL), *basic = json_get_string(args, "basic", NULL);
    const char *name = auth ? json_get_string(auth, "secret", "") : bearer ? bearer : basic;
    struct secret_value secret;
    int rc;

    if (!name)
        return 0;
    rc = secret_get(c->body, name, NULL, &secret, primitive_again, c, e);
    if (rc != 0)
        return rc;
    snprintf(c->secret, sizeof(c->secret), "%s", name);
    out->origins = secret.origins;
    if (auth)
        rc = add_credential(args, auth, secret.value, &out->credential, e);
    else
        buf_addf(&out->credential, "%s %s", bearer ? "Bearer" : "Basic", secret.value.p);
    if (rc == 0)
        out->headers[out->nheaders++] =
            (struct http_header){json_get_string(auth, "header", "Authorization"), buf_text(&out->credential)};
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

static int send(struct body_call *c, const json_t *args, size_t method, const struct request_parts *p, struct err *e)
{
    struct host *h = c->body->registry->o.host;
    const struct config *config = c->body->registry->o.config;
    const json_t *body = json_object_get(args, "body");
    struct http_request q = {
        .method = methods[method].method, .url = json_get_string(args, "url", ""), .headers = p->headers,
        .nheaders = p->nheaders, .origins = p->origins,
        .hosts = config ? (const char *const *)config->hosts : NULL,
        .timeout_ms = (int64_t)(primitive_number(args, "timeout", 10) * 1000),
        .max_body = (size_t)primitive_number(args, "max_body", 0), .allow_private = true,
        .ca_pem = json_get_string(args, "ca", NULL), .client_cert_pem = json_get_string(args, "cert", NULL),
        .client_key_pem = p->key, .tls_server_name = json_get_string(args, "server_name", NULL),
        .insecure_tls = json_get_bool(args, "insecure", false),
        .body = {json_is_string(body) ? json_string_value(body) : "", json_string_length(body)},
    };

    return h->ops->http(h, &q, http_answered, c, &c->op, e);
}

int http_begin(struct body_call *c, const json_t *args, struct err *e)
{
    struct request_parts parts = {.credential = BUF_INIT(64 * KIB)};
    bool changes;
    size_t m = 0;
    int rc = find_method(args, &m, e);

    changes = rc == 0 && methods[m].changes && !json_get_bool(args, "stores_nothing", false);
    if (rc == 0 && changes && (c->kind != BODY_APPLY || c->body->registry->o.reads_only))
        rc = err_set(e, ERR_DENIED, "only an effect may send %s", methods[m].name);
    if (rc == 0)
        rc = add_headers(args, &parts, e);
    if (rc == 0)
        rc = add_auth(c, args, &parts, e);
    if (rc == 0)
        rc = add_key(c, args, &parts, e);
    if (rc == 0) {
        c->may_have_sent |= changes;
        rc = send(c, args, m, &parts, e);
    }
    parts_deinit(&parts);
    return rc;
}
