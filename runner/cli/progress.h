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
/* What the redrawn line says of Ctrl-C, instead of "Ctrl-C to stop". Borrowed. */
void progress_hint(struct progress *p, const char *hint);
/* engine_watch.row */
void progress_row(void *ctx, const struct run *r, const struct row *row, bool replayed);
/* One row of a run whose runbook is book (NULL = not known). */
void progress_show(struct progress *p, const struct runbook *book, const struct row *row);
/* Takes the redrawn line away, before something else is printed. */
void progress_clear(struct progress *p);

#endif
