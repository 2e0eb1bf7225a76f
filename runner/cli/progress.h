/* SPDX-License-Identifier: Apache-2.0 */
/* Live progress: a line for everything seen, decided and changed; on a terminal also
 * one line, redrawn, that says what the run is waiting for and how to stop it. */
#ifndef MIDWATCH_CLI_PROGRESS_H
#define MIDWATCH_CLI_PROGRESS_H

#include "run/engine.h"

struct progress;
/* json: nothing is printed while it runs. */
struct progress *progress_new(bool json);
void progress_free(struct progress *p);
/* engine_watch.row */
void progress_row(void *ctx, const struct run *r, const struct row *row, bool replayed);
/* Takes the redrawn line away, before something else is printed. */
void progress_clear(struct progress *p);

#endif
