/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of the module with curl in it: module_net.c drives curl's
 * multi handle on the loop, module_http.c is the life of one request. No
 * curl_multi function is called while curl calls us, except curl_multi_assign. */
#ifndef MIDWATCH_IO_MODULE_HTTP_H
#define MIDWATCH_IO_MODULE_HTTP_H

#include "io/module_net.h"

#include <curl/curl.h>

struct net_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;           /* when curl wants to be called next */
    bool closing;
};

int transfer_start(struct net_client *c, const struct http_request *r, host_http_fn done, void *ctx,
                   struct net_transfer **out, struct err *e);
void transfer_cancel(struct net_transfer *t);
/* Curl is done with it; called by module_net.c outside of any callback of curl's. */
void transfer_ended(CURL *easy, CURLcode result);

#endif
