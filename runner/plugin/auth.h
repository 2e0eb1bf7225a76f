/* SPDX-License-Identifier: Apache-2.0 */
/* How a request proves who asks: from the secret and the request, without I/O. */
#ifndef MIDWATCH_PLUGIN_AUTH_H
#define MIDWATCH_PLUGIN_AUTH_H

#include "base/buf.h"
#include "base/err.h"
#include "io/host.h"

#include <jansson.h>

/* What is added to a request. Texts hold secrets: auth_deinit wipes them. */
struct auth {
    struct http_header headers[3];      /* values are the buffers' */
    size_t nheaders;
    struct buf value, stamp, scope, user;
    const char *sigv4, *user_password;  /* http_request.aws_sigv4 and user_password, or NULL */
};

/* how = {kind, secret, ...}:
 *   bearer; basic {user}; header {header, prefix};
 *   hmac {header, prefix, algorithm: sha256|sha512, encoding: hex|base64, message, timestamp_header}: message is a text
 *     with {{method}} {{path}} {{timestamp}} {{body}}, "{{body}}" by default; the path has its query;
 *   sigv4 {key_id, region, service}: the client signs; for s3 the hash of the body is sent too.
 * session: the token of temporary keys (sigv4), or empty. ERR_INVALID says what is missing. */
int auth_make(const json_t *how, struct str secret, struct str session, const struct http_request *q, int64_t now_ms,
              struct auth *out, struct err *e);
void auth_deinit(struct auth *a);

#endif
