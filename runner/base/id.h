/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDv7 (RFC 9562): time-ordered run ids. Randomness comes from the caller, so
 * that a simulated host gives the same ids every time. */
#ifndef MIDWATCH_BASE_ID_H
#define MIDWATCH_BASE_ID_H

#include <stdint.h>

#define UUID_TEXT 37    /* with NUL */

/* unix_ms: wall time; random: 10 bytes. Returns out. */
const char *uuid_v7(int64_t unix_ms, const unsigned char random[10], char out[UUID_TEXT]);

#endif
