/* SPDX-License-Identifier: Apache-2.0 */
/* The scan for `require`: what it finds, what it steps over, what it refuses. */
#include "book/require.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

struct found {
    char text[512];
};

static int add(void *ctx, const char *name, int line, int column, struct err *e)
{
    struct found *f = ctx;
    size_t n = strlen(f->text);

    (void)e;
    snprintf(f->text + n, sizeof(f->text) - n, "%s%s@%d:%d", n ? " " : "", name, line, column);
    return 0;
}

static const struct {
    const char *code, *found;
} good[] = {
    {"", ""},
    {"local a = require 'a'", "a@1:11"},
    {"local a = require \"a\"\n  local b = require(\"b.c_2\")", "a@1:11 b.c_2@2:13"},
    {"require ( -- why\n 'x' )", "x@1:1"},
    {"require [[x]] require [==[y]==]", "x@1:1 y@1:15"},
    {"require'x'.f()", "x@1:1"},
    {"return require 'x', require 'y'", "x@1:8 y@1:21"},
    {"-- require(x)\n--[[ require(x) ]] --[==[ ]] require(x) ]==] require 'y'", "y@2:46"},
    {"local s = 'require(x)' .. \"require \\\" require(x)\" .. [[ require(x) ]]", ""},
    {"t.require(x) t:require(x) t . require(x)", ""},
    {"s = 'a'..require 'x'", "x@1:10"},
    {"local t = { require = 1 }", ""},
    {"required(x) _require(x) require_2(x)", ""},
    {"local s = 'not closed\nrequire 'x'", "x@2:1"},
    {"t[[[x]]] = require 'y'", "y@1:12"},
};

static void finds(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct found f = {""};
        struct err e = {0};

        if (require_scan(str_of(good[i].code), "t.md", add, &f, &e) != 0)
            fail_msg("%s: %s", good[i].code, e.msg);
        assert_string_equal(f.text, good[i].found);
    }
}

static const struct {
    const char *code, *where, *what;
} bad[] = {
    {"\n  require(x)", "t.md:2:3", "literal"},
    {"require('a' .. b)", "t.md:1:1", "literal"},
    {"require('a', b)", "t.md:1:1", "literal"},
    {"local r = require\nr(x)", "t.md:1:11", "literal"},
    {"f(require)", "t.md:1:3", "literal"},
    {"require == x", "t.md:1:1", "literal"},
    {"require", "t.md:1:1", "literal"},
    {"require(", "t.md:1:1", "literal"},
    {"require 'x\\x2e'", "t.md:1:1", "literal"},
    {"require ''", "t.md:1:1", "lower-case"},
    {"require '../x'", "t.md:1:1", "lower-case"},
    {"require 'a..b'", "t.md:1:1", "lower-case"},
    {"require '.a'", "t.md:1:1", "lower-case"},
    {"require 'a.'", "t.md:1:1", "lower-case"},
    {"require 'A'", "t.md:1:1", "lower-case"},
    {"require 'a/b'", "t.md:1:1", "lower-case"},
    {"require '/etc/passwd'", "t.md:1:1", "lower-case"},
};

static void refuses(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct found f = {""};
        struct err e = {0};

        assert_int_equal(require_scan(str_of(bad[i].code), "t.md", add, &f, &e), ERR_INVALID);
        if (!strstr(e.msg, bad[i].what) || strcmp(e.where, bad[i].where) != 0)
            fail_msg("%s: %s: %s", bad[i].code, e.where, e.msg);
    }
}

/* Every beginning of a text is a text: nothing is read behind its end. */
static void cut_anywhere(void **state)
{
    static const char code[] = "x = require [==[a]==] --[[ c ]] 'a\\'b' require ( \"b\" ) [[ z ]] require 'c'";
    size_t n;

    (void)state;
    for (n = 0; n < sizeof(code); n++) {
        char *copy = xmemdup(code, n);
        struct found f = {""};
        struct err e = {0};

        require_scan((struct str){copy, n}, "t.md", add, &f, &e);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds), cmocka_unit_test(refuses), cmocka_unit_test(cut_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
