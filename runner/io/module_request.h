/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of whom: the checked URL and headers of one request, as curl's
 * options. The URL is parsed once, by curl's own parser, so that what is checked
 * and what is connected to cannot differ. */
#ifndef MIDWATCH_IO_MODULE_REQUEST_H
#define MIDWATCH_IO_MODULE_REQUEST_H

#include "io/host.h"

#include <curl/curl.h>

struct request {
    CURLU *url;
    char *scheme, *host, *port;     /* of url; host without brackets */
    char *wire_host;                /* what TLS and curl's pool call the server: tls_server_name, or host */
    bool own_tls_name;              /* the two differ */
    char label[256];                /* "GET http://host:80/path": for messages; no query, it may hold secrets */
    struct curl_slist *headers;
    struct curl_slist *resolve;
    bool is_read;                   /* GET or HEAD */
    bool allow_private;
    int max_redirects;
    int64_t timeout_ms;
};

/* ERR_INVALID names what is wrong. On failure rq still wants request_free. */
int request_init(struct request *rq, const struct http_request *r, struct err *e);
/* All options but the URL. Nonzero if curl refused one. */
int request_apply(struct request *rq, const struct http_request *r, CURL *easy);
/* The addresses that curl may use for the server; n > 0. */
void request_pin_addresses(struct request *rq, const char *const *addresses, size_t n);
/* URL and addresses, before every transfer. */
int request_apply_url(struct request *rq, CURL *easy);
/* Moves on to `location` if that is the same server. ERR_DENIED, ERR_INVALID. */
int request_redirect(struct request *rq, const char *location, struct err *e);
void request_free(struct request *rq);

#endif
