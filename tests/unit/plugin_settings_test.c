/* SPDX-License-Identifier: Apache-2.0 */
/* Which changes of a configuration make an instance another one for the runs that are under way, and which do not. */
#include "plugin/plugin.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The hash of the instance `box` in this configuration. */
static void hash(const char *text, char out[65])
{
    struct registry_options o = {0};
    struct registry *r;
    struct err e = {0};
    char why[1400];

    assert_int_equal(config_read(str_of(text), "/etc/m/midwatch.yaml", &o.config, &e), 0);
    assert_int_equal(registry_new(&o, &r, &e), 0);
    if (registry_settings_hash(r, "box", out, &e) < 0)
        fail_msg("%s: %s", text, err_text(&e, why, sizeof(why)));
    registry_free(r);
    config_free(o.config);
}

#define SHELL "instances: { box: { plugin: shell } }\ncommands: "
#define HTTP "instances: { box: { plugin: http, url: 'http://localhost', requests: "
#define SSH "instances: { box: { plugin: ssh, known_hosts: k, hosts: { web: {} }, commands: "

static void changes(void **state)
{
    static const struct {
        const char *before, *after;
        bool same;
    } cases[] = {
        {SHELL "{ a: { argv: [x], read: true, says: old } }", SHELL "{ a: { argv: [x], read: true, says: new } }", true},
        {SHELL "{ a: { argv: [x], read: true, says: old } }", SHELL "{ a: { argv: [x], read: true } }", true},
        {SHELL "{ a: { argv: [x, '{{p}}'], params: { p: { says: old } }, read: true } }",
         SHELL "{ a: { argv: [x, '{{p}}'], params: { p: { says: new } }, read: true } }", true},
        {SHELL "{ a: { argv: [x], read: true } }", SHELL "{ a: { argv: [y], read: true } }", false},
        {SHELL "{ a: { argv: [x, '{{says}}'], params: { says: { max: 1, type: integer } }, read: true } }",
         SHELL "{ a: { argv: [x, '{{says}}'], params: { says: { max: 2, type: integer } }, read: true } }", false},
        {SHELL "{ a: { argv: [x], read: true, env: { says: old } } }",
         SHELL "{ a: { argv: [x], read: true, env: { says: new } } }", false},
        {HTTP "{ a: { path: /x, read: true, says: old } } } }", HTTP "{ a: { path: /x, read: true, says: new } } } }", true},
        {HTTP "{ a: { path: /x, read: true } } } }", HTTP "{ a: { path: /y, read: true } } } }", false},
        {HTTP "{ a: { method: POST, path: /x, read: { stores_nothing: true }, body: { says: old } } } } }",
         HTTP "{ a: { method: POST, path: /x, read: { stores_nothing: true }, body: { says: new } } } } }", false},
        {SSH "{ a: { argv: [x], read: true, says: old } } } }", SSH "{ a: { argv: [x], read: true, says: new } } } }", true},
        {SSH "{ a: { argv: [x], read: true } } } }", SSH "{ a: { argv: [y], read: true } } } }", false},
    };
    char before[65], after[65];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hash(cases[i].before, before);
        hash(cases[i].after, after);
        if ((strcmp(before, after) == 0) != cases[i].same)
            fail_msg("%s the same: %s and %s", cases[i].same ? "not" : "still", cases[i].before, cases[i].after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(changes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
