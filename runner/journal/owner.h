/* SPDX-License-Identifier: Apache-2.0 */
/* One owner per journal: an flock on DIR/journal.lock for the life of the process,
 * and in the file who it is, so that the next one can say whom to ask. */
#ifndef MIDWATCH_JOURNAL_OWNER_H
#define MIDWATCH_JOURNAL_OWNER_H

#include "base/err.h"

/* Makes dir (0700) if needed. *fd is kept open as long as the lock is held. ERR_BUSY names the owner. */
int owner_lock(const char *dir, const char *what_for, int *fd, struct err *e);
void owner_unlock(int fd);

#endif
