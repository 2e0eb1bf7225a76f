/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration that must be read, and one that must be refused where it stands. */
#ifndef MIDWATCH_TESTS_CONFIG_TEST_H
#define MIDWATCH_TESTS_CONFIG_TEST_H

#include "config/config.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct config *good(const char *text)
{
    struct config *c = NULL;
    struct err e = {0};
    char why[1400];

    if (config_read(str_of(text), "/etc/m/midwatch.yaml", &c, &e) < 0)
        fail_msg("%s: %s", text, err_text(&e, why, sizeof(why)));
    return c;
}

static void bad(const char *text, const char *where, const char *what, const char *hint)
{
    struct config *c = NULL;
    struct err e = {0};

    if (config_read(str_of(text), "f", &c, &e) == 0)
        fail_msg("accepted: %s", text);
    if (strcmp(e.where, where) != 0 || !strstr(e.msg, what) || !strstr(e.hint, hint))
        fail_msg("%s: got %s: %s (%s)", text, e.where, e.msg, e.hint);
}

#endif
