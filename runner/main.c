/* SPDX-License-Identifier: Apache-2.0 */
/* The program: standard descriptors are open, output is flushed, and the process
 * ends without waiting for threads that a slow name server may hold. */
#include "base/json.h"
#include "cli/cli.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

int main(int argc, char **argv)
{
    int fd = 0, rc;

    while (fd >= 0 && fd <= 2)
        fd = open("/dev/null", O_RDWR);
    if (fd > 2)
        close(fd);
    umask(077);
    mallopt(M_ARENA_MAX, 1);    /* the journal thread allocates little: an arena of its own costs more than it saves */
    /* Without memory jansson leaves a value out, and an allow-list without its bounds allows more; libuv aborts without a word. */
    json_set_alloc_funcs(xmalloc, free);
    uv_replace_allocator(xmalloc, xrealloc, xcalloc, free);
    /* A full pipe or a file that may not grow is an error where it happens, not the end of the program. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    rc = cli_main(argc, argv);
    if (fflush(stdout) != 0 && rc == 0)
        rc = 1;
    _exit(rc);
}
