/* SPDX-License-Identifier: Apache-2.0 */
/* A request as curl's options. Refused before anything is sent: other schemes,
 * credentials in the URL, headers that would break the framing. */
#include "io/module_request.h"

#include "base/limits.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    TIMEOUT_MS = 30 * 1000,
    HEADERS_MAX = 128,
    HEADERS_BYTES_MAX = 64 * KIB,
    URL_BYTES_MAX = 64 * KIB,
    HOST_BYTES_MAX = 255,
    RESOLVE_BYTES_MAX = 4096,
};

static const char *const method_names[] = {
    [HTTP_GET] = "GET",
    [HTTP_HEAD] = "HEAD",
    [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH",
    [HTTP_DELETE] = "DELETE",
};

/* Curl frames the message; these would contradict it. */
static const char *const framing_headers[] = {
    "Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "TE", "Trailer",
};

static void set_label(struct request *rq, enum http_method method)
{
    char *path = NULL;

    curl_url_get(rq->url, CURLUPART_PATH, &path, 0);
    snprintf(rq->label, sizeof rq->label, "%s %s://%s%s%s:%s%s", method_names[method], rq->scheme,
             strchr(rq->host, ':') ? "[" : "", rq->host, strchr(rq->host, ':') ? "]" : "", rq->port,
             path ? path : "");
    curl_free(path);
}

/* Letters, digits, dots, dashes, underscores: what curl looks up is then what was resolved and checked here. */
static bool is_host_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

    return n > 0 && n <= HOST_BYTES_MAX && s[n] == '\0';
}

/* Takes scheme, host and port out of rq->url. */
static int read_server(struct request *rq, struct err *e)
{
    size_t n;

    if (curl_url_get(rq->url, CURLUPART_SCHEME, &rq->scheme, 0) != CURLUE_OK ||
        (strcmp(rq->scheme, "http") != 0 && strcmp(rq->scheme, "https") != 0))
        return err_set(e, ERR_INVALID, "url: only http:// and https://");
    if (curl_url_get(rq->url, CURLUPART_HOST, &rq->host, 0) != CURLUE_OK ||
        curl_url_get(rq->url, CURLUPART_PORT, &rq->port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return err_set(e, ERR_INVALID, "url: no host");
    n = strlen(rq->host);
    if (rq->host[0] == '[' && rq->host[n - 1] == ']') {
        memmove(rq->host, rq->host + 1, n - 2);
        rq->host[n - 2] = '\0';
    } else if (!is_host_name(rq->host)) {
        return err_set(e, ERR_INVALID, "url: not a host name (international names are written xn--...)");
    }
    return 0;
}

static bool is_token(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
            return false;
    return true;
}

static int check_header(const struct http_header *h, struct err *e)
{
    if (!is_token(h->name))
        return err_set(e, ERR_INVALID, "header %.60s: not a header name", h->name);
    for (size_t i = 0; i < sizeof framing_headers / sizeof framing_headers[0]; i++)
        if (strcasecmp(h->name, framing_headers[i]) == 0)
            return err_set(e, ERR_INVALID, "header %s: cannot be set", h->name);
    for (const char *p = h->value; *p; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return err_set(e, ERR_INVALID, "header %s: control character in the value", h->name);
    return 0;
}

static void add_line(struct request *rq, const char *line)
{
    struct curl_slist *l = curl_slist_append(rq->headers, line);

    if (l)
        rq->headers = l;
}

static int add_header(struct request *rq, const struct http_header *h, size_t *bytes, struct err *e)
{
    struct buf line;
    int r = check_header(h, e);

    if (r != 0)
        return r;
    buf_init(&line, HEADERS_BYTES_MAX);
    /* "Name:" would remove the header, "Name;" sends it empty. */
    buf_addf(&line, h->value[0] ? "%s: %s" : "%s;", h->name, h->value);
    *bytes += line.len;
    if (line.failed || *bytes > HEADERS_BYTES_MAX)
        r = err_set(e, ERR_LIMIT, "headers: more than %u bytes", (unsigned)HEADERS_BYTES_MAX);
    else
        add_line(rq, buf_text(&line));
    buf_free(&line);
    return r;
}

static int add_headers(struct request *rq, const struct http_request *r, struct err *e)
{
    bool has_type = false, has_host = false, has_agent = false;
    size_t bytes = 0;
    char host[300];

    if (r->nheaders > HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "headers: more than %d", HEADERS_MAX);
    for (size_t i = 0; i < r->nheaders; i++) {
        int rc = add_header(rq, &r->headers[i], &bytes, e);

        if (rc != 0)
            return rc;
        has_type = has_type || strcasecmp(r->headers[i].name, "Content-Type") == 0;
        has_host = has_host || strcasecmp(r->headers[i].name, "Host") == 0;
        has_agent = has_agent || strcasecmp(r->headers[i].name, "User-Agent") == 0;
    }
    /* Curl would sign what these lines take away. */
    if (!r->aws_sigv4)
        add_line(rq, "Expect:");
    if (!has_type && !r->aws_sigv4)
        add_line(rq, "Content-Type:");
    if (!has_agent)
        add_line(rq, "User-Agent: midwatch/" MIDWATCH_VERSION);
    if (!has_host && rq->own_tls_name) {
        snprintf(host, sizeof host, strchr(rq->host, ':') ? "Host: [%s]:%s" : "Host: %s:%s", rq->host, rq->port);
        add_line(rq, host);
    }
    return 0;
}

/* Told by the parse that also connects: what is checked and what is reached cannot differ. */
static int check_origin(const struct request *rq, const char *const *allowed, struct err *e)
{
    struct buf own;
    bool listed = false;

    buf_init(&own, 512);
    buf_addf(&own, strchr(rq->host, ':') ? "%s://[%s]:%s" : "%s://%s:%s", rq->scheme, rq->host, rq->port);
    for (; *allowed && !listed; allowed++)
        listed = strcasecmp(*allowed, buf_text(&own)) == 0;
    if (!listed)
        err_set(e, ERR_DENIED, "the secret is not for %.300s (its hosts do not name it)", buf_text(&own));
    buf_free(&own);
    return listed ? 0 : ERR_DENIED;
}

/* The operator's `hosts`. */
static int check_host(const struct request *rq, const char *const *globs, struct err *e)
{
    char with_port[300];

    snprintf(with_port, sizeof with_port, "%s:%s", rq->host, rq->port);
    for (; *globs; globs++) {
        if (fnmatch(*globs, rq->host, FNM_CASEFOLD) == 0 || fnmatch(*globs, with_port, FNM_CASEFOLD) == 0)
            return 0;
    }
    return err_set(e, ERR_DENIED, "%s is none of the hosts of the configuration", with_port);
}

int request_init(struct request *rq, const struct http_request *r, struct err *e)
{
    CURLUcode uc;
    int rc;

    rq->is_read = r->method == HTTP_GET || r->method == HTTP_HEAD;
    rq->allow_private = r->allow_private;
    rq->max_redirects = r->max_redirects;
    rq->timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : TIMEOUT_MS;
    if (!r->url || !r->url[0] || strlen(r->url) > URL_BYTES_MAX)
        return err_set(e, ERR_INVALID, "url: %s", r->url && r->url[0] ? "too long" : "missing");
    if (r->method == HTTP_HEAD && r->body.n > 0)
        return err_set(e, ERR_INVALID, "HEAD: has no body");
    if (!r->client_cert_pem != !r->client_key_pem)
        return err_set(e, ERR_INVALID, "client certificate: needs both the certificate and its key");
    if (r->tls_server_name && !is_host_name(r->tls_server_name))
        return err_set(e, ERR_INVALID, "tls server name: not a host name");
    rq->url = curl_url();
    if (!rq->url)
        return err_set(e, ERR_INTERNAL, "url: curl is out of memory");
    uc = curl_url_set(rq->url, CURLUPART_URL, r->url, CURLU_DISALLOW_USER);
    if (uc == CURLUE_USER_NOT_ALLOWED)
        return err_set(e, ERR_INVALID, "url: credentials do not belong in it");
    if (uc == CURLUE_UNSUPPORTED_SCHEME || uc == CURLUE_BAD_SCHEME)
        return err_set(e, ERR_INVALID, "url: only http:// and https://");
    if (uc != CURLUE_OK)
        return err_set(e, ERR_INVALID, "url: %s", curl_url_strerror(uc));
    rc = read_server(rq, e);
    if (rc == 0 && r->hosts)
        rc = check_host(rq, r->hosts, e);
    if (rc == 0 && r->origins)
        rc = check_origin(rq, r->origins, e);
    if (rc != 0)
        return rc;
    rq->wire_host = xstrdup(r->tls_server_name && strcmp(rq->scheme, "https") == 0 ? r->tls_server_name : rq->host);
    rq->own_tls_name = strcasecmp(rq->wire_host, rq->host) != 0;
    set_label(rq, r->method);
    return add_headers(rq, r, e);
}

static CURLcode set_pem(CURL *c, CURLoption option, const char *pem)
{
    struct curl_blob blob = {.data = (void *)pem, .len = strlen(pem), .flags = CURL_BLOB_COPY};

    return curl_easy_setopt(c, option, &blob);
}

static CURLcode apply_tls(const struct http_request *r, CURL *c)
{
    CURLcode bad = CURLE_OK;

    bad |= curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, r->insecure_tls ? 0L : 1L);
    bad |= curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, r->insecure_tls ? 0L : 2L);
    bad |= curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (r->ca_pem) {
        bad |= set_pem(c, CURLOPT_CAINFO_BLOB, r->ca_pem);
        /* Else the system's directory of authorities would be trusted beside it. */
        bad |= curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    }
    if (r->client_cert_pem) {
        bad |= curl_easy_setopt(c, CURLOPT_SSLCERTTYPE, "PEM");
        bad |= curl_easy_setopt(c, CURLOPT_SSLKEYTYPE, "PEM");
        bad |= set_pem(c, CURLOPT_SSLCERT_BLOB, r->client_cert_pem);
        bad |= set_pem(c, CURLOPT_SSLKEY_BLOB, r->client_key_pem);
    }
    return bad;
}

static CURLcode apply_method(const struct http_request *r, CURL *c)
{
    CURLcode bad = CURLE_OK;

    if (r->method == HTTP_HEAD)
        return curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    if (r->body.n > 0 || r->method == HTTP_POST || r->method == HTTP_PUT || r->method == HTTP_PATCH) {
        bad |= curl_easy_setopt(c, CURLOPT_POST, 1L);
        bad |= curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        bad |= curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, r->body.n ? r->body.p : "");
    }
    return bad | curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method_names[r->method]);
}

int request_apply(struct request *rq, const struct http_request *r, CURL *c)
{
    CURLcode bad = CURLE_OK;

    bad |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
    bad |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(c, CURLOPT_PROXY, "");
    /* The deadline is ours: it also covers the name and redirects. */
    bad |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(rq->timeout_ms + 1000));
    bad |= curl_easy_setopt(c, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
    /* A kept connection may be dead already. Curl then sends the request again on a new one, which is wrong for a
     * change; and two clusters may go by one TLS name, so such connections are nobody else's. */
    bad |= curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, rq->own_tls_name || !rq->is_read ? 1L : 0L);
    bad |= curl_easy_setopt(c, CURLOPT_FORBID_REUSE, rq->own_tls_name ? 1L : 0L);
    bad |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, rq->headers);
    bad |= apply_method(r, c);
    bad |= apply_tls(r, c);
    if (r->aws_sigv4) {
        bad |= curl_easy_setopt(c, CURLOPT_AWS_SIGV4, r->aws_sigv4);
        bad |= curl_easy_setopt(c, CURLOPT_USERPWD, r->user_password);
    }
    return bad == CURLE_OK ? 0 : -1;
}

void request_pin(struct request *rq)
{
    struct buf line;

    buf_init(&line, RESOLVE_BYTES_MAX);
    buf_addf(&line, "%s:%s:", rq->wire_host, rq->port);
    for (size_t i = 0; i < rq->naddresses; i++)
        buf_addf(&line, strchr(rq->addresses[i], ':') ? "%s[%s]" : "%s%s", i ? "," : "", rq->addresses[i]);
    curl_slist_free_all(rq->resolve);
    rq->resolve = curl_slist_append(NULL, buf_text(&line));
    buf_free(&line);
}

bool request_has_address(const struct request *rq, const char *text)
{
    for (size_t i = 0; i < rq->naddresses; i++)
        if (strcmp(rq->addresses[i], text) == 0)
            return true;
    return false;
}

int request_apply_url(struct request *rq, CURL *easy)
{
    CURLU *wire = NULL;
    char *text = NULL;
    CURLcode rc = CURLE_OUT_OF_MEMORY;

    wire = curl_url_dup(rq->url);
    if (!wire)
        goto out;
    if (rq->own_tls_name && curl_url_set(wire, CURLUPART_HOST, rq->wire_host, 0) != CURLUE_OK)
        goto out;
    if (curl_url_get(wire, CURLUPART_URL, &text, 0) != CURLUE_OK)
        goto out;
    rc = curl_easy_setopt(easy, CURLOPT_URL, text);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_RESOLVE, rq->resolve);
out:
    curl_free(text);
    curl_url_cleanup(wire);
    return rc == CURLE_OK ? 0 : -1;
}

int request_redirect(struct request *rq, const char *location, struct err *e)
{
    struct request to = {.url = curl_url_dup(rq->url)};
    int r = 0;

    if (!to.url || curl_url_set(to.url, CURLUPART_URL, location, CURLU_DISALLOW_USER) != CURLUE_OK ||
        read_server(&to, e) != 0) {
        r = err_set(e, ERR_INVALID, "%s: redirect to a place that is no http URL", rq->label);
    } else if (strcmp(to.scheme, rq->scheme) != 0 || strcasecmp(to.host, rq->host) != 0 ||
               strcmp(to.port, rq->port) != 0) {
        r = err_set(e, ERR_DENIED, "%s: redirect to another server (%s://%.100s:%s) refused", rq->label, to.scheme,
                    to.host, to.port);
    } else {
        curl_url_cleanup(rq->url);
        rq->url = to.url;
        to.url = NULL;
    }
    request_free(&to);
    return r;
}

void request_free(struct request *rq)
{
    curl_url_cleanup(rq->url);
    curl_free(rq->scheme);
    curl_free(rq->host);
    curl_free(rq->port);
    free(rq->wire_host);
    curl_slist_free_all(rq->headers);
    curl_slist_free_all(rq->resolve);
    rq->url = NULL;
    rq->scheme = rq->host = rq->port = rq->wire_host = NULL;
    rq->headers = rq->resolve = NULL;
}
