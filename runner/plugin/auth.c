/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/auth.h"

#include "base/base64.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/log.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const method_names[] = {
    [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

static void wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_free(b);
}

void auth_deinit(struct auth *a)
{
    wipe(&a->value);
    wipe(&a->stamp);
    wipe(&a->scope);
    wipe(&a->user);
}

static void add_header(struct auth *a, const char *name, const struct buf *value)
{
    a->headers[a->nheaders++] = (struct http_header){name, buf_text(value)};
}

static int make_basic(const json_t *how, struct str secret, struct auth *a, struct err *e)
{
    const char *user = json_get_string(how, "user", "");
    struct buf pair = BUF_INIT(64 * KIB);

    if (!user[0] || strchr(user, ':'))
        return err_set(e, ERR_INVALID, "auth: basic wants a user without ':'");
    buf_reserve(&pair, strlen(user) + secret.n + 2);
    buf_addf(&pair, "%s:", user);
    buf_add(&pair, secret.p, secret.n);
    buf_adds(&a->value, "Basic ");
    base64_add(&a->value, pair.data, pair.len);
    log_secret(str_of(buf_text(&a->value) + 6));
    wipe(&pair);
    return 0;
}

/* --- hmac --- */

/* Path and query of the URL, as the request line has them. */
static struct str target_of(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host ? strpbrk(host + 3, "/?#") : NULL;

    return path && *path == '/' ? (struct str){path, strcspn(path, "#")} : STR("/");
}

static int add_message(const char *text, const struct http_request *q, const char *stamp, struct buf *out, struct err *e)
{
    const struct {
        struct str name, value;
    } parts[] = {
        {STR("{{method}}"), str_of(method_names[q->method])},
        {STR("{{path}}"), target_of(q->url)},
        {STR("{{timestamp}}"), str_of(stamp)},
        {STR("{{body}}"), q->body},
    };
    size_t i;

    while (*text) {
        for (i = 0; i < 4 && strncmp(text, parts[i].name.p, parts[i].name.n) != 0; i++)
            ;
        if (i < 4) {
            buf_add(out, parts[i].value.p, parts[i].value.n);
            text += parts[i].name.n;
        } else if (strncmp(text, "{{", 2) == 0) {
            return err_set(e, ERR_INVALID, "auth: message: {{method}}, {{path}}, {{timestamp}} or {{body}}, not %.40s", text);
        } else {
            buf_addc(out, *text++);
        }
    }
    return out->failed ? err_set(e, ERR_LIMIT, "auth: the message to sign is too large") : 0;
}

static int make_hmac(const json_t *how, struct str secret, const struct http_request *q, int64_t now_ms, struct auth *a,
                     struct err *e)
{
    const char *algorithm = json_get_string(how, "algorithm", "sha256"), *encoding = json_get_string(how, "encoding", "hex");
    const char *stamp_header = json_get_string(how, "timestamp_header", NULL);
    bool wide = strcmp(algorithm, "sha512") == 0;
    struct buf message = BUF_INIT(HTTP_BODY_MAX);
    unsigned char mac[HMAC_BYTES_MAX];
    size_t n, i;
    int rc;

    if (!wide && strcmp(algorithm, "sha256") != 0)
        return err_set(e, ERR_INVALID, "auth: algorithm is sha256 or sha512, not '%.40s'", algorithm);
    if (strcmp(encoding, "hex") != 0 && strcmp(encoding, "base64") != 0)
        return err_set(e, ERR_INVALID, "auth: encoding is hex or base64, not '%.40s'", encoding);
    buf_addf(&a->stamp, "%lld", (long long)(now_ms / 1000));
    rc = add_message(json_get_string(how, "message", "{{body}}"), q, buf_text(&a->stamp), &message, e);
    if (rc == 0) {
        n = hash_hmac(wide, secret, (struct str){message.data, message.len}, mac);
        buf_adds(&a->value, json_get_string(how, "prefix", ""));
        if (encoding[0] == 'b')
            base64_add(&a->value, mac, n);
        for (i = 0; encoding[0] == 'h' && i < n; i++)
            buf_addf(&a->value, "%02x", mac[i]);
        if (stamp_header)
            add_header(a, stamp_header, &a->stamp);
    }
    buf_free(&message);
    return rc;
}

/* --- sigv4 --- */

static bool is_word(const char *s)
{
    return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] == '\0';
}

static int make_sigv4(const json_t *how, struct str secret, struct str session, const struct http_request *q, struct auth *a,
                      struct err *e)
{
    const char *id = json_get_string(how, "key_id", ""), *region = json_get_string(how, "region", "");
    const char *service = json_get_string(how, "service", "");
    char hex[2 * HASH_BYTES + 1];
    struct hash body;

    if (!is_word(id) || !is_word(region) || !is_word(service))
        return err_set(e, ERR_INVALID, "auth: sigv4 wants key_id, region and service");
    buf_addf(&a->scope, "aws:amz:%s:%s", region, service);
    buf_addf(&a->user, "%s:%s", id, secret.p);
    a->sigv4 = buf_text(&a->scope);
    a->user_password = buf_text(&a->user);
    if (session.n) {
        buf_add(&a->value, session.p, session.n);
        add_header(a, "X-Amz-Security-Token", &a->value);
    }
    if (strcmp(service, "s3") == 0) {
        body = hash_of(q->body);
        buf_adds(&a->stamp, hash_hex(&body, hex));
        add_header(a, "X-Amz-Content-Sha256", &a->stamp);
    }
    return 0;
}

int auth_make(const json_t *how, struct str secret, struct str session, const struct http_request *q, int64_t now_ms,
              struct auth *out, struct err *e)
{
    const char *kind = json_get_string(how, "kind", "");
    int rc = 0;

    *out = (struct auth){.value = BUF_INIT(64 * KIB), .stamp = BUF_INIT(256), .scope = BUF_INIT(256),
                         .user = BUF_INIT(32 * KIB)};
    /* No buffer with a secret in it may move: what is left behind is not wiped. */
    buf_reserve(&out->value, 2 * secret.n + session.n + 1024);
    buf_reserve(&out->user, secret.n + 256);
    if (strcmp(kind, "sigv4") == 0)
        return make_sigv4(how, secret, session, q, out, e);
    if (strcmp(kind, "bearer") == 0)
        buf_addf(&out->value, "Bearer %s", secret.p);
    else if (strcmp(kind, "basic") == 0)
        rc = make_basic(how, secret, out, e);
    else if (strcmp(kind, "header") == 0)
        buf_addf(&out->value, "%s%s", json_get_string(how, "prefix", ""), secret.p);
    else if (strcmp(kind, "hmac") == 0)
        rc = make_hmac(how, secret, q, now_ms, out, e);
    else
        rc = err_set(e, ERR_INVALID, "auth: kind must be basic, bearer, header, hmac or sigv4, not '%.40s'", kind);
    if (rc == 0)
        add_header(out, json_get_string(how, "header", "Authorization"), &out->value);
    return rc;
}
