/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch.yaml: every section read and refused where it stands; which file counts; what the operator allows. */
#include "config_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_the_whole(void **state)
{
    struct config *c = good("instances: { prod: { plugin: kubernetes, context: x } }\n"
                            "commands: { up: { argv: [uptime], read: true, env: { A: b, N: 3 } } }\n"
                            "hosts: [\"*.example.org\", \"db:5432\"]\n"
                            "secrets: { s: { env: S, programs: [x] } }\n"
                            "allow: [{ effect: \"kubernetes.*\", target: \"prod:deployment/*/*\", replicas: { max: 9 } }]\n"
                            "routes: [{ accept: front_matter }]\n"
                            "state: var\nplugins: /opt/plugins\n");

    (void)state;
    assert_string_equal(c->state_dir, "/etc/m/var");
    assert_string_equal(c->plugin_dir, "/opt/plugins");
    assert_string_equal(c->hosts[1], "db:5432");
    assert_null(c->hosts[2]);
    assert_string_equal(config_plugin(c, STR("prod")), "kubernetes");
    assert_null(config_plugin(c, STR("pro")));
    assert_true(c->has_allow);
    assert_non_null(config_accepts(c, "anything"));
    config_free(c);
}

static void test_refusals(void **state)
{
    (void)state;
    bad("[]", "f:1:1", "must be a map", "");
    bad("instance: {}", "f:1:1", "unknown key 'instance'", "did you mean 'instances'?");
    bad("state: [x]", "f:1:8", "state must be a directory", "");
    bad("plugins: ''", "f:1:10", "plugins must be a directory", "");
    bad("hosts: x", "f:1:8", "hosts must be a list", "");
    bad("instances: { a: {} }", "f:1:17", "must say its plugin", "plugin: kubernetes");
    bad("instances: { 'a b': { plugin: x } }", "f:1:14", "no name for an instance", "");
    bad("instances: { a: { plugin: x }, a: { plugin: y } }", "f:1:32", "a", "");
    bad("commands: { up: { argv: uptime, read: true } }", "f:1:25", "argv must be a list", "");
    bad("commands: { up: { argv: [uptime] } }", "f:1:17", "either a read or an effect", "");
    bad("commands: { up: { argv: [uptime], raed: true } }", "f:1:35", "unknown key 'raed'", "did you mean 'read'?");
    bad("allow: { a: b }", "f:1:8", "allow must be a list", "");
    bad("allow: [{ effect: a.b }]", "f:1:9", "has an effect and a target", "prod-eu:deployment");
    bad("allow: [{ effect: scale, target: 'a:b' }]", "f:1:19", "must be plugin.effect", "");
    bad("allow: [{ effect: a.b, target: deployment/x }]", "f:1:32", "does not say of which instance", "*:deployment/x");
    bad("allow: [{ effect: a.b, target: 'x:{{y}}' }]", "f:1:32", "no templates", "");
    bad("allow: [{ effect: a.b, target: 'x:y', replicas: 3 }]", "f:1:49", "must be a bound", "arguments");
    bad("allow: [{ effect: a.b, target: 'x:y', replicas: { maks: 3 } }]", "f:1:51", "unknown key 'maks'", "'max'");
    bad("allow: [{ effect: a.b, target: 'x:y', approval: no }]", "f:1:49", "approval can only be none", "");
    bad("routes: {}", "f:1:9", "routes must be a list", "");
    bad("routes: [{ runbook: a }]", "f:1:10", "says what it accepts", "alert:");
    bad("routes: [{ alert: { a: b } }]", "f:1:10", "which runbook", "");
    bad("routes: [{ alert: {}, runbook: a }]", "f:1:19", "label matchers", "");
    bad("routes: [{ alert: { a: 3 }, runbook: a }]", "f:1:24", "must be a text, not an integer", "");
    bad("routes: [{ alert: { a: '=~(' }, runbook: a }]", "f:1:24", "no regular expression", "");
    bad("routes: [{ alert: { a: b }, chat: x, runbook: a }]", "f:1:35", "a route has one trigger: alert or chat", "");
    bad("routes: [{ alart: { a: b }, runbook: a }]", "f:1:12", "unknown key 'alart'", "did you mean 'alert'?");
    bad("routes: [{ accept: all }]", "f:1:20", "can only be front_matter", "");
    bad("routes: [{ accept: front_matter, params: { a: b } }]", "f:1:42", "its own parameters", "");
    bad("routes: [{ chat: x, runbook: a, zone: UTC }]", "f:1:39", "only a schedule", "");
    bad("routes: [{ chat: x, runbook: a, params: { p: { q: r } } }]", "f:1:46", "parameter 'p' must be a value", "");
}

static void test_policy_refusals(void **state)
{
    (void)state;
    bad("freezes: {}", "f:1:10", "freezes must be a list", "");
    bad("freezes: [x]", "f:1:11", "a freeze is a map", "");
    bad("freezes: [{ zone: UTC, weekdays: [sat] }]", "f:1:11", "a freeze has a name", "");
    bad("freezes: [{ name: x, weekdays: [sat] }]", "f:1:11", "by which clock", "zone: Europe/Berlin");
    bad("freezes: [{ name: x, zone: Europe/Berln, weekdays: [sat] }]", "f:1:28",
        "'Europe/Berln' is no time zone", "Europe/Berlin");
    bad("freezes: [{ name: x, zone: UTC }]", "f:1:11", "says when it is", "weekdays");
    bad("freezes: [{ name: x, zone: UTC, weekdays: [sunday] }]", "f:1:44", "'sunday' is no weekday", "mon-fri");
    bad("freezes: [{ name: x, zone: UTC, hours: '22-6' }]", "f:1:40", "'22-6' are no hours", "22:00-06:00");
    bad("freezes: [{ name: x, zone: UTC, hours: '25:00-26:00' }]", "f:1:40", "are no hours", "");
    bad("freezes: [{ name: x, zone: UTC, hours: '08:00-08:00' }]", "f:1:40", "are no hours", "a whole day");
    bad("freezes: [{ name: x, zone: UTC, from: 2026-02-30 }]", "f:1:39", "'2026-02-30' is no day", "2026-12-24");
    bad("freezes: [{ name: x, zone: UTC, from: 2026-03-02, to: 2026-03-01 }]", "f:1:55", "end before it begins", "");
    bad("freezes: [{ name: x, zone: UTC, weekday: [sat] }]", "f:1:33", "unknown key 'weekday'", "'weekdays'");
    bad("freezes: [{ name: x, zone: UTC, weekdays: [sat], except: t }]", "f:1:58", "except must be a list", "");
    bad("budgets: [{ effects: 1 }]", "f:1:11", "in which time", "");
    bad("budgets: [{ per: 1h }]", "f:1:11", "how much it permits", "effects: 20");
    bad("budgets: [{ effects: 1, targets: 2, per: 1h }]", "f:1:34", "counts one thing", "");
    bad("budgets: [{ effects: 0, per: 1h }]", "f:1:22", "a number from 1", "");
    bad("budgets: [{ effects: 1, per: 1 }]", "f:1:30", "per must be a duration", "30m");
    bad("budgets: [{ percent: 10, per: 1h }]", "f:1:11", "of how many", "");
    bad("budgets: [{ percent: 10, of: 9, per: 1h, target: 'p:node/*' }]", "f:1:22", "10 % of 9 is not one target", "");
    bad("budgets: [{ effects: 10, of: 9, per: 1h }]", "f:1:30", "only a percentage", "");
    bad("budgets: [{ targets: 1, per: 1h, target: 'node/*' }]", "f:1:42", "of which instance", "prod-eu:node/*");
    bad("budgets: [{ effects: 1, per: 1h, runbok: x }]", "f:1:34", "unknown key 'runbok'", "'runbook'");
    bad("ineffective: 0", "f:1:14", "a number from 1", "");
    bad("stale_trigger: 30", "f:1:16", "must be a duration", "30m");
    bad("approvals: { of: 17 }", "f:1:18", "a number from 1 to 16", "");
    bad("approvals: { not_self: sometimes }", "f:1:24", "true or false", "");
    bad("routes: [{ schedule: '0 3 * * *', runbook: a, zone: Mars/Base }]", "f:1:53", "'Mars/Base' is no time zone", "");
}

static int64_t at(int month, int day, int hour, int minute)
{
    return 86400 * zone_days(2026, month, day) + 3600 * hour + 60 * minute;
}

/* Berlin is an hour ahead of UTC, two from 2026-03-29 01:00 to 2026-10-25 01:00. */
static void test_freezes(void **state)
{
    struct config *c = good("freezes:\n"
                            "  - { name: nights, zone: Europe/Berlin, hours: \"22:00-06:00\", weekdays: [fri] }\n"
                            "  - { name: gap, zone: Europe/Berlin, hours: \"02:00-03:00\" }\n"
                            "  - { name: dated, zone: Europe/Berlin, from: 2026-12-24, to: 2026-12-26, runbooks: [\"high-*\"],\n"
                            "      instances: [prod-eu], targets: [\"*:deployment/*/*\"], except: [high-error-rate] }\n"
                            "  - { name: overlap, zone: Europe/Berlin, from: \"2026-10-25 02:30\", to: \"2026-10-25 02:30\" }\n"
                            "  - { name: weekend, zone: America/New_York, weekdays: [sat, sun] }\n");
    const struct freeze *f = c->freezes;

    (void)state;
    /* 2026-07-03 is a Friday. The window ends on Saturday morning; that of Thursday night is none. */
    assert_false(freeze_holds(&f[0], at(7, 3, 2, 0)));
    assert_false(freeze_holds(&f[0], at(7, 3, 19, 59)));
    assert_true(freeze_holds(&f[0], at(7, 3, 20, 0)));
    assert_true(freeze_holds(&f[0], at(7, 4, 3, 59)));
    assert_false(freeze_holds(&f[0], at(7, 4, 4, 0)));
    assert_false(freeze_holds(&f[0], at(7, 4, 21, 0)));
    assert_int_equal(freeze_changes(&f[0], at(7, 3, 12, 0)), at(7, 3, 20, 0));
    assert_int_equal(freeze_changes(&f[0], at(7, 3, 20, 0)), at(7, 4, 4, 0));
    assert_int_equal(freeze_changes(&f[0], at(7, 4, 4, 0)), at(7, 10, 20, 0));
    /* No such hour on the day that clocks are set forward, two of them when they are set back. */
    assert_int_equal(freeze_changes(&f[1], at(3, 28, 2, 0)), at(3, 30, 0, 0));
    assert_false(freeze_holds(&f[1], at(3, 29, 0, 59)));
    assert_false(freeze_holds(&f[1], at(3, 29, 1, 0)));
    assert_int_equal(freeze_changes(&f[1], at(10, 24, 12, 0)), at(10, 25, 0, 0));
    assert_int_equal(freeze_changes(&f[1], at(10, 25, 0, 0)), at(10, 25, 2, 0));
    /* Whole days of Berlin. */
    assert_false(freeze_holds(&f[2], at(12, 23, 22, 59)));
    assert_true(freeze_holds(&f[2], at(12, 23, 23, 0)));
    assert_true(freeze_holds(&f[2], at(12, 26, 22, 59)));
    assert_false(freeze_holds(&f[2], at(12, 26, 23, 0)));
    assert_int_equal(freeze_changes(&f[2], at(1, 1, 0, 0)), at(12, 23, 23, 0));
    assert_int_equal(freeze_changes(&f[2], at(12, 27, 0, 0)), 0);
    assert_true(freeze_concerns(&f[2], "high-latency", "prod-eu:deployment/prod/api"));
    assert_true(freeze_concerns(&f[2], "high-latency", NULL));
    assert_false(freeze_concerns(&f[2], "high-latency", "prod-us:deployment/prod/api"));
    assert_false(freeze_concerns(&f[2], "high-latency", "prod-eu:node/n1"));
    assert_false(freeze_concerns(&f[2], "high-error-rate", "prod-eu:deployment/prod/api"));
    assert_false(freeze_concerns(&f[2], "disk-full", "prod-eu:deployment/prod/api"));
    /* The hour that comes twice: from its first to its last. */
    assert_int_equal(f[3].from, at(10, 25, 0, 30));
    assert_int_equal(f[3].to, at(10, 25, 1, 30));
    assert_true(freeze_holds(&f[4], at(7, 4, 4, 0)));
    assert_false(freeze_holds(&f[4], at(7, 4, 3, 59)));
    assert_int_equal(freeze_changes(&f[4], at(7, 4, 4, 0)), at(7, 6, 4, 0));
    config_free(c);
}

static void test_budgets(void **state)
{
    struct config *c = good("budgets:\n  - { effects: 20, per: 1h }\n  - { percent: 10, of: 39, per: 1d, target: \"p:node/*\" }\n"
                            "  - { targets: 2, per: 1d, runbook: \"high-*\" }\nineffective: 5\nstale_trigger: 2h\n"
                            "approvals: { not_self: true, of: 2, by: [sre] }\n");

    (void)state;
    assert_false(c->budgets[0].targets);
    assert_int_equal(c->budgets[1].max, 3);
    assert_true(c->budgets[1].targets);
    assert_true(budget_concerns(&c->budgets[1], "x", "p:node/a"));
    assert_false(budget_concerns(&c->budgets[1], "x", "p:node/a/b"));
    assert_true(budget_concerns(&c->budgets[2], "high-latency", "q:z"));
    assert_false(budget_concerns(&c->budgets[2], "disk-full", "q:z"));
    assert_int_equal(c->off_after, 5);
    assert_int_equal(c->stale_ms, 7200000);
    assert_true(c->approvals.not_self && c->approvals.of == 2);
    config_free(c);
    c = good("state: x");
    assert_int_equal(c->off_after, OFF_AFTER);
    config_free(c);
}

static void test_schedules(void **state)
{
    static const char *const fine[] = {"* * * * *", "0 3 * * 1-5", "*/15 0,12 1-31/2 1,6,12 0-7", "59 23 31 12 7"};
    static const char *const wrong[] = {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
                                        "* * * * 8", "5-1 * * * *", "*/0 * * * *", "1, * * * *", "a * * * *", "1- * * * *",
                                        "-1 * * * *", "1/ * * * *", "@daily", "** * * * *"};
    struct buf b = BUF_INIT(1000);
    struct config *c;
    struct err e = {0};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        buf_reset(&b);
        buf_addf(&b, "routes: [{ schedule: \"%s\", runbook: a, zone: Europe/Berlin, params: { deep: true } }]", fine[i]);
        config_free(good(buf_text(&b)));
    }
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        buf_reset(&b);
        buf_addf(&b, "routes: [{ schedule: \"%s\", runbook: a }]", wrong[i]);
        if (config_read((struct str){b.data, b.len}, "f", &c, &e) == 0)
            fail_msg("accepted: %s", wrong[i]);
        assert_non_null(strstr(e.msg, "schedule"));
    }
    buf_free(&b);
}

static bool allows(const struct config *c, const char *effect, const char *instance, const char *target, int replicas,
                   struct buf *why)
{
    json_t *args = json_pack("{s:i}", "replicas", replicas);
    bool yes;

    buf_reset(why);
    yes = config_allows(c, effect, str_of(instance), str_of(target), args, why) != NULL;
    json_decref(args);
    return yes;
}

static void test_allow(void **state)
{
    struct config *c = good("allow:\n"
                            "  - { effect: kubernetes.scale, target: \"prod:deployment/web/*\", replicas: { min: 1, max: 9 } }\n"
                            "  - { effect: \"shell.*\", target: \"*:service/*\", approval: none }\n");
    struct buf why = BUF_INIT(1000);

    (void)state;
    assert_true(allows(c, "kubernetes.scale", "prod", "deployment/web/api", 9, &why));
    assert_false(allows(c, "kubernetes.scale", "prod", "deployment/web/api", 10, &why));
    assert_non_null(strstr(buf_text(&why), "midwatch.yaml:2: replicas = 10 is above the maximum 9 in allow"));
    assert_false(allows(c, "kubernetes.scale", "prod", "deployment/web/api", 0, &why));
    assert_false(allows(c, "kubernetes.scale", "prod", "deployment/web/api/x", 3, &why));
    assert_int_equal(why.len, 0);
    assert_false(allows(c, "kubernetes.scale", "prod-eu", "deployment/web/api", 3, &why));
    assert_false(allows(c, "kubernetes.rollback", "prod", "deployment/web/api", 3, &why));
    assert_true(allows(c, "shell.restart", "any", "service/x", 0, &why));
    assert_true(config_allows(c, "shell.restart", STR("any"), STR("service/x"), NULL, &why)->unattended);
    config_free(c);
    c = good("allow: []");
    assert_true(c->has_allow);
    assert_false(allows(c, "shell.restart", "any", "service/x", 0, &why));
    config_free(c);
    c = good("state: x");
    assert_false(c->has_allow);
    config_free(c);
    buf_free(&why);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* Loads, and gives which one counted and where its state is. */
static void loads(const char *named, int code, enum config_found found, const char *state_dir)
{
    struct config *c = NULL;
    struct err e = {0};
    int rc = config_load(named, &c, &e);

    if (rc != code)
        fail_msg("%d instead of %d: %s", rc, code, e.msg);
    if (rc < 0)
        return;
    assert_int_equal(c->found, found);
    if (state_dir)
        assert_string_equal(c->state_dir, state_dir);
    config_free(c);
}

static void test_lookup(void **state)
{
    char dir[] = "/tmp/midwatch-config-XXXXXX", home[64], path[128];

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    snprintf(home, sizeof(home), "%s/home", dir);
    assert_int_equal(mkdir(home, 0700), 0);
    setenv("HOME", home, 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("MIDWATCH_CONFIG");
    loads(NULL, 0, CONFIG_NONE, NULL);
    snprintf(path, sizeof(path), "%s/.config", home);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/.config/midwatch", home);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/.config/midwatch/midwatch.yaml", home);
    write_file(path, "state: /user\n", 0600);
    loads(NULL, 0, CONFIG_USER, "/user");
    write_file("midwatch.yaml", "state: /here\n", 0600);
    loads(NULL, 0, CONFIG_HERE, "/here");
    write_file("other.yaml", "state: /env\n", 0600);
    setenv("MIDWATCH_CONFIG", "other.yaml", 1);
    loads(NULL, 0, CONFIG_ENV, "/env");
    loads("midwatch.yaml", 0, CONFIG_NAMED, "/here");
    loads("nowhere.yaml", ERR_NOT_FOUND, CONFIG_NONE, NULL);
    setenv("MIDWATCH_CONFIG", "nowhere.yaml", 1);
    loads(NULL, ERR_NOT_FOUND, CONFIG_NONE, NULL);
    unsetenv("MIDWATCH_CONFIG");
    write_file("midwatch.yaml", "state: /here\n", 0606);
    loads(NULL, ERR_DENIED, CONFIG_NONE, NULL);
    write_file("midwatch.yaml", "stat: /here\n", 0600);
    loads(NULL, ERR_INVALID, CONFIG_NONE, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_whole),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_schedules), cmocka_unit_test(test_policy_refusals), cmocka_unit_test(test_freezes),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_allow),
        cmocka_unit_test(test_lookup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
