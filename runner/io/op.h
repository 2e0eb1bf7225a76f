/* SPDX-License-Identifier: Apache-2.0 */
/* A call in flight of the real host, as the first member of whatever keeps it
 * going. The host lists them so that it can end them all; a call takes itself
 * off the list before its callback or in its cancel. */
#ifndef MIDWATCH_IO_OP_H
#define MIDWATCH_IO_OP_H

struct host_op {
    void (*cancel)(struct host_op *op);     /* ends it without a callback; op is dead afterwards */
    struct host_op *next;
    struct host_op **link;                  /* what points here; NULL while not listed */
};

void op_add(struct host_op **list, struct host_op *op);
void op_remove(struct host_op *op);

#endif
