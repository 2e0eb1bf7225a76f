/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of whom: the checked URL and headers of one request, as curl's
 * options. The URL is parsed once, by curl's own parser, so that what is checked
 * and what is connected to cannot differ. */
#ifndef MIDWATCH_IO_MODULE_REQUEST_H
#define MIDWATCH_IO_MODULE_REQUEST_H

#include "io/host.h"

#include <curl/curl.h>

enum { ADDRESSES_MAX = 16, ADDRESS_TEXT = 46 };

struct request {
    CURLU *url;
    char *scheme, *host, *port;     /* of url; host without brackets */
    char *wire_host;                /* what TLS and curl's pool call the server: tls_server_name, or host */
    bool own_tls_name;              /* the two differ */
    char label[256];                /* "GET http://host:80/path": for messages; no query, it may hold secrets */
    char addresses[ADDRESSES_MAX][ADDRESS_TEXT];    /* of the server, that it may reach */
    size_t naddresses;
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
/* Makes curl look nothing up: the server's name stands for rq->addresses. */
void request_pin(struct request *rq);
bool request_has_address(const struct request *rq, const char *text);
/* URL and addresses, before every transfer. */
int request_apply_url(struct request *rq, CURL *easy);
/* Moves on to `location` if that is the same server. ERR_DENIED, ERR_INVALID. */
int request_redirect(struct request *rq, const char *location, struct err *e);
void request_free(struct request *rq);

#endif
