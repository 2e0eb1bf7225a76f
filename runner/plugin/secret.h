/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets as bodies use them: by name, never by value. A value is read when it is first
 * needed, kept for the process, known to the redaction before anybody gets it, and given
 * only to the servers and programs that the operator bound it to. Loop thread only. */
#ifndef MIDWATCH_PLUGIN_SECRET_H
#define MIDWATCH_PLUGIN_SECRET_H

#include "plugin/internal.h"

#define SECRET_LATER 1      /* its command runs: `again` comes */

/* err NULL: the value is there now; ask again. Never before secret_get has returned. */
typedef void (*secret_fn)(void *ctx, const struct err *err);

struct secret_value {
    struct str value;               /* borrowed until the next turn of the loop */
    const char *const *origins;     /* the only servers that may get it (http_request.origins); NULL = any */
};

/* The value of `name` for the body: 0, SECRET_LATER, or an error. The instance's settings must name it, or it is
 * a handle that the body got for a text of its own. program: argv[0] of the command that gets it; NULL = a request. */
int secret_get(struct body *b, const char *name, const char *program, struct secret_value *out, secret_fn again, void *ctx,
               struct err *e);
/* Nobody waits as ctx any more. */
void secret_forget(struct registry *r, void *ctx);
/* The other side did not accept it: true if it is worth asking again, since a newer one may be there. */
bool secret_renew(struct registry *r, const char *name);
/* Reads every secret that needs no command, so that it is struck out wherever it turns up. Once; errors come at use. */
void secret_learn(struct registry *r);
/* A handle for a text that the body itself has. */
void secret_handle(struct registry *r, const char *text, char *out, size_t size);
/* ERR_INVALID if the instance's settings name a secret that is not configured. */
int secret_check_settings(struct body *b, struct err *e);
void secret_free_all(struct registry *r);

#endif
