/* SPDX-License-Identifier: Apache-2.0 */
/* Where the texts of a run come from, out of its bundle's manifest. */
#ifndef MIDWATCH_REPORT_SOURCE_H
#define MIDWATCH_REPORT_SOURCE_H

#include "base/buf.h"
#include "journal/journal.h"

/* {"commit","dirty","repo","tree"}: what is not known is null; the whole is null if it was no repository. */
void report_source_json(struct journal *j, const char *bundle, struct buf *out);
/* "commit 9feaf3a3a8a0 of /srv/ops, with changes that are in no commit"; nothing if it was no repository. */
void report_source_text(struct journal *j, const char *bundle, struct buf *out);

#endif
