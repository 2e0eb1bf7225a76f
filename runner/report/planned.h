/* SPDX-License-Identifier: Apache-2.0 */
/* A run beside the plan it was started with. */
#ifndef MIDWATCH_REPORT_PLANNED_H
#define MIDWATCH_REPORT_PLANNED_H

#include "base/buf.h"
#include "journal/journal.h"

struct planned {
    bool there;                 /* the run has a plan */
    bool differs;               /* it did, or came to, what no way of the plan has */
    char id[13];                /* the beginning of plan_id */
    struct buf why;             /* what differs, in words, in the order in which it happened */
};
/* Compares what was intended, and how the run ended, if it has. planned_deinit in any case. */
int planned_read(struct journal *j, const struct run_info *run, struct planned *out, struct err *e);
void planned_deinit(struct planned *p);

#endif
