/* SPDX-License-Identifier: Apache-2.0 */
/* Branches: making one, parking it with a request. Resuming is vm_step alone. */
#ifndef MIDWATCH_VM_SCHED_H
#define MIDWATCH_VM_SCHED_H

#include "vm/state.h"

/* A branch whose coroutine has an empty stack; NULL at the maximum. Push the function and its
 * arguments on b->co, then sched_ready(vm, b, nargs). */
struct branch *sched_new(struct vm *vm, struct err *e);
void sched_ready(struct vm *vm, struct branch *b, int nargs);

#endif
