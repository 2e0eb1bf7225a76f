/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the real host share. */
#ifndef MIDWATCH_TESTS_IO_TEST_H
#define MIDWATCH_TESTS_IO_TEST_H

#include "io/host.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

#endif
