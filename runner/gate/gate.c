/* SPDX-License-Identifier: Apache-2.0 */
/* Names at the gate: "alias.verb". */
#include "gate/gate.h"

struct str gate_verb(struct str name)
{
    const char *dot = memrchr(name.p, '.', name.n);

    if (!dot)
        return name;
    return (struct str){dot + 1, (size_t)(name.p + name.n - dot - 1)};
}

struct str gate_alias(struct str name)
{
    const char *dot = memrchr(name.p, '.', name.n);

    return (struct str){name.p, dot ? (size_t)(dot - name.p) : 0};
}
