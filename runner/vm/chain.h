/* SPDX-License-Identifier: Apache-2.0 */
/* Before Lua compiles text: long chains of field accesses make its error
 * messages quadratic and recursive in C (5.4.4: seconds for 40,000 fields, a
 * crash for 60,000), so they are refused here. Nothing a person writes comes near. */
#ifndef MIDWATCH_VM_CHAIN_H
#define MIDWATCH_VM_CHAIN_H

#include "base/str.h"

/* NULL, or what is wrong and on which line. Text that is not Lua is left to the compiler. */
const char *chain_check(struct str text, int *line);

#endif
