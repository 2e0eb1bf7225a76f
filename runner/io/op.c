/* SPDX-License-Identifier: Apache-2.0 */
/* The list of calls in flight. */
#include "io/op.h"

#include <stddef.h>

void op_add(struct host_op **list, struct host_op *op)
{
    op->next = *list;
    op->link = list;
    if (op->next)
        op->next->link = &op->next;
    *list = op;
}

void op_remove(struct host_op *op)
{
    if (!op->link)
        return;
    *op->link = op->next;
    if (op->next)
        op->next->link = op->link;
    op->next = NULL;
    op->link = NULL;
}
