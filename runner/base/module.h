/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the program that are linked on first use, because their libraries cost
 * more to link than the rest of the program takes to start. A module is never
 * unloaded: its libraries keep handlers that run at the end of the process. */
#ifndef MIDWATCH_BASE_MODULE_H
#define MIDWATCH_BASE_MODULE_H

#include "base/err.h"

/* The table that `file` ("midwatch_net.so") exports as `symbol`; it begins with its number, which must be `abi`.
 * Looked for beside the program, then in the library directory. NULL with ERR_INTERNAL. */
const void *module_load(const char *file, const char *symbol, unsigned abi, struct err *e);

#endif
