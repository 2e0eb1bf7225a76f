/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch.yaml: instances and commands as they are read, and one error with its place
 * for everything else. */
#include "config/config.h"

#include "base/json.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *read_good(const char *text)
{
    struct config *c = NULL;
    struct err e = {0};
    char why[1400];

    if (config_read(str_of(text), "etc/m.yaml", &c, &e) < 0)
        fail_msg("%s\n%s", text, err_text(&e, why, sizeof(why)));
    return c;
}

static void test_instances_and_commands(void **state)
{
    struct config *c = read_good(
        "state: s\ninstances:\n  prod-eu: { plugin: kubernetes, context: prod, list: [1] }\n  sh: { plugin: shell }\n"
        "commands:\n  size: { argv: [du, -s, \"{{dir}}\"], params: { dir: { type: string } }, read: { returns: integer } }\n"
        "  go: { argv: [go], effect: { class: keyed, target: \"x/y\", undo: not needed }, timeout: 5s }\n");
    const struct instance *x = config_instance(c, "prod-eu");

    (void)state;
    assert_string_equal(c->state_dir, "etc/s");
    assert_string_equal(c->dir, "etc");
    assert_int_equal(c->ninstances, 2);
    assert_string_equal(x->plugin, "kubernetes");
    assert_string_equal(json_get_string(x->settings, "context", ""), "prod");
    assert_null(json_object_get(x->settings, "plugin"));
    assert_int_equal(x->line, 3);
    assert_int_equal(x->column, 3);
    assert_false(x->implicit);
    assert_int_equal(json_object_size(c->commands), 2);
    assert_string_equal(json_get_string(json_object_get(json_object_get(c->commands, "go"), "effect"), "class", ""), "keyed");
    config_free(c);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *yaml, *where, *says;
    } cases[] = {
        {"instanes: {}", "m.yaml:1:1", "did you mean 'instances'"},
        {"[]", "m.yaml:1:1", "must be a map"},
        {"a: &x 1", "m.yaml:1:4", "anchor"},
        {"instances: {}\ninstances: {}", "m.yaml:2:1", "instances"},
        {"state: [x]", "m.yaml:1:8", "state must be a directory"},
        {"instances: [a]", "m.yaml:1:12", "instances must be a map of names"},
        {"instances: { a: kubernetes }", "m.yaml:1:17", "instance 'a' must say its plugin"},
        {"instances: { a: {} }", "m.yaml:1:17", "a: { plugin: kubernetes, ... }"},
        {"instances: { a: { plugin: 5 } }", "m.yaml:1:17", "must say its plugin"},
        {"instances: { a/b: { plugin: x } }", "m.yaml:1:14", "'a/b' is no name for an instance"},
        {"instances: { \"a:b\": { plugin: x } }", "m.yaml:1:14", "is no name for an instance"},
        {"instances: { \"*\": { plugin: x } }", "m.yaml:1:14", "is no name for an instance"},
        {"instances: { '': { plugin: x } }", "m.yaml:1:14", "is no name for an instance"},
        {"instances: { a: { plugin: x }, a: { plugin: y } }", "m.yaml:1:32", "'a'"},
        {"commands: []", "m.yaml:1:11", "commands must be a map of names"},
        {"commands: { a: [ls] }", "m.yaml:1:16", "must be a map with argv"},
        {"commands: { A: { argv: [ls], read: true } }", "m.yaml:1:13", "is no name for a command"},
        {"commands: { a-b: { argv: [ls], read: true } }", "m.yaml:1:13", "is no name for a command"},
        {"commands: { a: { read: true } }", "m.yaml:1:13", "argv must be a list of words, never a shell line"},
        {"commands: { a: { argv: ls -l, read: true } }", "m.yaml:1:24", "never a shell line"},
        {"commands: { a: { argv: [], read: true } }", "m.yaml:1:24", "argv must be a list of words"},
        {"commands: { a: { argv: [[ls]], read: true } }", "m.yaml:1:25", "a word of argv must be a text"},
        {"commands: { a: { argv: [ls], raed: true } }", "m.yaml:1:30", "did you mean 'read'"},
        {"commands: { a: { argv: [ls] } }", "m.yaml:1:16", "either a read or an effect"},
        {"commands: { a: { argv: [ls], read: true, effect: { target: x } } }", "m.yaml:1:16", "either a read or an effect"},
        {"commands: { a: { argv: [ls], read: false } }", "m.yaml:1:36", "read must be true or a map"},
        {"commands: { a: { argv: [ls], read: yes } }", "m.yaml:1:36", "read must be true or a map"},
        {"commands: { a: { argv: [ls], read: { returns: int } } }", "m.yaml:1:47", "'int' is none of string, integer"},
        {"commands: { a: { argv: [ls], read: { retuns: integer } } }", "m.yaml:1:38", "did you mean 'returns'"},
        {"commands: { a: { argv: [ls], effect: true } }", "m.yaml:1:38", "effect must be a map like"},
        {"commands: { a: { argv: [ls], effect: {} } }", "m.yaml:1:38", "the target is missing"},
        {"commands: { a: { argv: [ls], effect: { target: x, class: once } } }", "m.yaml:1:58", "is not ensure, keyed"},
        {"commands: { a: { argv: [ls], effect: { target: x, undo: b } } }", "m.yaml:1:57", "undo can only be: not needed"},
        {"commands: { a: { argv: [ls], effect: { target: x, check: b } } }", "m.yaml:1:58", "no read 'b'"},
        {"commands: { a: { argv: [ls], effect: { target: x, check: a } } }", "m.yaml:1:58", "no read 'a'"},
        {"commands: { a: { argv: [ls], effect: { target: x, clas: keyed } } }", "m.yaml:1:51", "did you mean 'class'"},
        {"commands: { a: { argv: [ls], read: true, timeout: 5 } }", "m.yaml:1:51", "a duration like 10s"},
        {"commands: { a: { argv: [ls], read: true, timeout: soon } }", "m.yaml:1:51", "a duration like 10s"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *c = NULL;
        struct err e = {0};
        char why[1400];
        int rc = config_read(str_of(cases[i].yaml), "m.yaml", &c, &e);

        if (rc != ERR_INVALID || c || strcmp(e.where, cases[i].where) != 0 ||
            !strstr(err_text(&e, why, sizeof(why)), cases[i].says))
            fail_msg("%s\n%d: %s\ninstead of %s: %s", cases[i].yaml, rc, why, cases[i].where, cases[i].says);
        assert_int_equal(config_read(str_of(cases[i].yaml), "m.yaml", &c, NULL), ERR_INVALID);
    }
}

struct spot {
    char dir[64], old[4096];
};

static void clear_environment(void)
{
    static const char *const names[] = {"MIDWATCH_CONFIG", "MIDWATCH_STATE", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "KUBECONFIG",
                                        "PROMETHEUS_URL"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
}

static int enter(void **state)
{
    struct spot *p = xcalloc(1, sizeof(*p));

    *state = p;
    snprintf(p->dir, sizeof(p->dir), "/tmp/midwatch-config-XXXXXX");
    clear_environment();
    if (!getcwd(p->old, sizeof(p->old)) || !mkdtemp(p->dir) || chdir(p->dir) < 0)
        return -1;
    return setenv("HOME", p->dir, 1);
}

static int leave(void **state)
{
    struct spot *p = *state;
    int rc;

    remove("midwatch.yaml");
    rc = chdir(p->old) < 0 || rmdir(p->dir) < 0 ? -1 : 0;
    free(p);
    clear_environment();
    return rc;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(name, mode), 0);
}

static void assert_loads(const char *name, const char *plugin)
{
    struct config *c = NULL;
    struct err e = {0};

    assert_int_equal(config_load(name, &c, &e), 0);
    assert_int_equal(c->ninstances, plugin ? 1 : 0);
    if (plugin)
        assert_string_equal(c->instances[0].plugin, plugin);
    config_free(c);
}

static void assert_does_not_load(const char *name, int code, const char *says)
{
    struct config *c = NULL;
    struct err e = {0};
    char why[1400];

    assert_int_equal(config_load(name, &c, &e), code);
    if (!strstr(err_text(&e, why, sizeof(why)), says))
        fail_msg("%s instead of %s", why, says);
    assert_null(c);
}

static void test_where_it_is_found(void **state)
{
    (void)state;
    assert_loads(NULL, NULL);
    assert_int_equal(mkdir(".config", 0700), 0);
    assert_int_equal(mkdir(".config/midwatch", 0700), 0);
    write_file(".config/midwatch/midwatch.yaml", "instances: { a: { plugin: home } }\n", 0600);
    assert_loads(NULL, "home");
    write_file("midwatch.yaml", "instances: { a: { plugin: here } }\n", 0600);
    assert_loads(NULL, "here");
    write_file("named.yaml", "instances: { a: { plugin: named } }\n", 0600);
    setenv("MIDWATCH_CONFIG", "named.yaml", 1);
    assert_loads(NULL, "named");
    assert_loads("midwatch.yaml", "here");
    setenv("MIDWATCH_CONFIG", "gone.yaml", 1);
    assert_does_not_load(NULL, ERR_NOT_FOUND, "gone.yaml");
    assert_does_not_load("also-gone.yaml", ERR_NOT_FOUND, "also-gone.yaml");
    write_file("midwatch.yaml", "instances: { a: here }\n", 0600);
    unsetenv("MIDWATCH_CONFIG");
    assert_does_not_load(NULL, ERR_INVALID, "./midwatch.yaml:1:17");
    write_file("midwatch.yaml", "", 0606);
    assert_does_not_load(NULL, ERR_DENIED, "anybody may write it");
    assert_does_not_load(".config", ERR_INVALID, "not a regular file");
    remove("named.yaml");
    remove(".config/midwatch/midwatch.yaml");
    rmdir(".config/midwatch");
    rmdir(".config");
}

static void test_instances_of_the_environment(void **state)
{
    struct config *c = read_good("instances: { prometheus: { plugin: written } }\n");
    const struct instance *x;

    (void)state;
    assert_null(config_instance(c, "kubernetes"));
    assert_null(config_instance(c, "other"));
    setenv("PROMETHEUS_URL", "http://127.0.0.1:9090", 1);
    assert_string_equal(config_instance(c, "prometheus")->plugin, "written");
    setenv("KUBECONFIG", "/etc/kube", 1);
    x = config_instance(c, "kubernetes");
    assert_true(x->implicit);
    assert_string_equal(json_get_string(x->settings, "kubeconfig", ""), "/etc/kube");
    assert_ptr_equal(config_instance(c, "kubernetes"), x);
    assert_true(config_instance(c, "shell")->implicit);
    config_free(c);
    c = read_good("commands: {}\n");
    assert_string_equal(json_get_string(config_instance(c, "prometheus")->settings, "url", ""), "http://127.0.0.1:9090");
    config_free(c);
}

static void assert_state_dir(const struct config *c, const char *given, const char *want)
{
    char *dir = config_state_dir(c, given);

    assert_string_equal(dir, want);
    free(dir);
}

static void test_where_the_state_is(void **state)
{
    struct config *c = read_good("state: /var/s\n"), *none = read_good("commands: {}\n");

    (void)state;
    setenv("MIDWATCH_STATE", "/env/s", 1);
    assert_state_dir(c, "given", "given");
    assert_state_dir(c, NULL, "/var/s");
    assert_state_dir(none, NULL, "/env/s");
    assert_state_dir(NULL, NULL, "/env/s");
    config_free(c);
    config_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instances_and_commands),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test_setup_teardown(test_where_it_is_found, enter, leave),
        cmocka_unit_test_setup_teardown(test_instances_of_the_environment, enter, leave),
        cmocka_unit_test_setup_teardown(test_where_the_state_is, enter, leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
