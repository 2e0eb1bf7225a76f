/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses a request may not reach unless its instance says that it may:
 * what answers there trusts whoever is on this machine or in this network. */
#ifndef MIDWATCH_IO_ADDRESS_H
#define MIDWATCH_IO_ADDRESS_H

#include <sys/socket.h>

/* What is not public about the address ("a loopback address"), or NULL if it is public. Pure. */
const char *address_not_public(const struct sockaddr *sa);

#endif
