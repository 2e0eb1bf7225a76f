/* SPDX-License-Identifier: Apache-2.0 */
/* The front matter's strict schema: what is read, and for everything else one error
 * with its place and what would be right. */
#include "book_test.h"

#define BODY "---\n```lua\na()\n```\n"
#define HEAD "---\nrunbook: t\nuses: { kubernetes: prod-eu }\n"

static void test_a_whole_front_matter(void **state)
{
    struct runbook *b = read_good(STR(
        "---\nrunbook: t\nsummary: a test\nowner: team\nseverity: P1\ntriggers:\n"
        "  - alert: { alertname: HighLatency, service: =~api.* }\n  - chat: \"latency {{service}}\"\n  - schedule: \"0 3 * * *\"\n"
        "params:\n  service: { type: string, from: labels.service, match: \"[a-z-]+\" }\n"
        "  where: { type: string, default: prod-eu, one_of: [prod-eu, prod-us] }\n"
        "uses: { kubernetes: \"{{where}}\", prometheus: metrics }\nmay:\n"
        "  - { effect: kubernetes.scale, target: \"deployment/prod/{{service}}\", replicas: { min: 1, max: 10 } }\n"
        "  - { effect: kubernetes.restart, target: \"deployment/prod/*\", at_most: 2, how: { one_of: [fast, slow] } }\n"
        "limits: { time: 45m, remedies: 4, targets: 5, cooldown: 0s }\nescalate: { to: team, after: 30m }\n" BODY));

    (void)state;
    assert_string_equal(b->name, "t");
    assert_string_equal(b->summary, "a test");
    assert_string_equal(b->owner, "team");
    assert_string_equal(b->severity, "P1");
    assert_int_equal(b->ntriggers, 3);
    assert_int_equal(b->triggers[0].kind, OFFER_ALERT);
    assert_string_equal(json_get_string(b->triggers[0].what, "alertname", ""), "HighLatency");
    assert_int_equal(b->triggers[2].kind, OFFER_SCHEDULE);
    assert_int_equal(b->nparams, 2);
    assert_int_equal(b->nuses, 2);
    assert_string_equal(b->uses[0].alias, "kubernetes");
    assert_string_equal(b->uses[0].instance, "{{where}}");
    assert_int_equal(b->nmay, 2);
    assert_string_equal(b->may[0].effect, "kubernetes.scale");
    assert_true(b->may[0].bounds[0].has_min && b->may[0].bounds[0].has_max);
    assert_true(b->may[0].bounds[0].max == 10);
    assert_int_equal(b->may[1].at_most, 2);
    assert_string_equal(b->may[1].bounds[0].one_of[1], "slow");
    assert_int_equal(b->may[1].line, 16);
    assert_int_equal(b->may[1].column, 5);
    assert_int_equal(b->time_ms, 45 * 60000);
    assert_int_equal(b->remedies, 4);
    assert_int_equal(b->targets, 5);
    assert_int_equal(b->cooldown_ms, 0);
    assert_string_equal(b->escalate_to, "team");
    assert_int_equal(b->escalate_after_ms, 30 * 60000);
    book_free(b);
}

static void test_defaults(void **state)
{
    struct runbook *b = read_good(STR("---\nrunbook: t\nuses: [sh]\n" BODY));

    (void)state;
    assert_null(b->summary);
    assert_string_equal(b->uses[0].alias, "sh");
    assert_string_equal(b->uses[0].instance, "sh");
    assert_int_equal(b->time_ms, 3600000);
    assert_int_equal(b->remedies, 3);
    assert_int_equal(b->targets, 3);
    assert_int_equal(b->cooldown_ms, 1800000);
    assert_null(b->escalate_to);
    assert_int_equal(b->escalate_after_ms, 0);
    book_free(b);
}

struct bad {
    const char *yaml, *where, *says;
};

static void refuse_all(const char *head, const struct bad *cases, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        struct buf b = BUF_INIT(MIB);

        buf_addf(&b, "%s%s\n%s", head, cases[i].yaml, BODY);
        assert_refused((struct str){b.data, b.len}, cases[i].where, cases[i].says);
        buf_free(&b);
    }
}
#define REFUSE(head, cases) refuse_all(head, cases, sizeof(cases) / sizeof(cases[0]))

static void test_yaml_that_is_none(void **state)
{
    static const struct bad cases[] = {
        {"runbook: t\nrunbook: t", "t.md:3:1", "runbook"},
        {"runbook: t\nuses: { a: b, a: c }", "t.md:3:15", "'a'"},
        {"runbook: t\nx: &a [1]\ny: [*a, *a]", "t.md:3:4", "anchor"},
        {"runbook: t\nuses: *a", "t.md:3:7", "alias"},
        {"runbook: t\nlimits:\n\ttime: 5m", "t.md:4:1", "tab"},
        {"runbook: !!str t", "t.md:2:10", "tag"},
        {"runbook: t\n<<: { a: 1 }", "t.md:3:1", "<<"},
        {"runbook: t\nuses: { a: b", "t.md:4:1", ""},
        {"runbook: \"t", "t.md:3:1", "quoted"},
        {"runbook: t\n1: x", "t.md:3:1", "1"},
        {"- runbook: t", "t.md:2:1", "must be a map"},
        {"", "t.md:2:1", "the YAML is empty"},
        {"just a text", "t.md:2:1", "must be a map"},
    };

    (void)state;
    REFUSE("---\n", cases);
}

static void test_keys_and_types(void **state)
{
    static const struct bad cases[] = {
        {"sumary: x", "t.md:4:1", "did you mean 'summary'"},
        {"parms: {}", "t.md:4:1", "did you mean 'params'"},
        {"zzz: {}", "t.md:4:1", "'zzz'"},
        {"summary: [x]", "t.md:4:10", "summary must be a text, not a list"},
        {"summary: 7", "t.md:4:10", "summary must be a text"},
        {"summary: ''", "t.md:4:10", "summary must be a text"},
        {"owner: { a: b }", "t.md:4:8", "owner must be a text"},
        {"severity: 1", "t.md:4:11", "severity must be a text"},
        {"triggers: {}", "t.md:4:11", "triggers must be a list"},
        {"triggers: [{ alert: { a: b }, chat: c }]", "t.md:4:12", "one of alert, chat or schedule"},
        {"triggers: [{ alrt: { a: b } }]", "t.md:4:14", "did you mean 'alert'"},
        {"triggers: [{ alert: [] }]", "t.md:4:21", "label matchers"},
        {"triggers: [{ alert: { a: [b] } }]", "t.md:4:26", "the matcher of 'a'"},
        {"triggers: [{ chat: 5 }]", "t.md:4:20", "a phrase"},
        {"limits: { tme: 5m }", "t.md:4:11", "did you mean 'time'"},
        {"limits: { time: 5 }", "t.md:4:17", "must be a duration, not '5'"},
        {"limits: { time: soon }", "t.md:4:17", "write 90s, 10m or 1h30m"},
        {"limits: { remedies: -1 }", "t.md:4:21", "at least 0"},
        {"limits: { targets: 1.5 }", "t.md:4:20", "must be a number"},
        {"limits: 5m", "t.md:4:9", "limits must be a map"},
        {"escalate: team", "t.md:4:11", "escalate must be a map"},
        {"escalate: { two: x }", "t.md:4:13", "'two'"},
        {"escalate: { after: -5m }", "t.md:4:20", "duration"},
    };

    (void)state;
    REFUSE(HEAD, cases);
}

static void test_names(void **state)
{
    static const struct bad cases[] = {
        {"summary: x", "t.md:2:1", "the key 'runbook' (its name) is missing"},
        {"runbook: T", "t.md:2:10", "is no name"},
        {"runbook: ../t", "t.md:2:10", "is no name"},
        {"runbook: other", "t.md:2:10", "is not the name of its file, t.md"},
        {"runbook: [t]", "t.md:2:10", "runbook must be a text, not a list"},
        {"runbook: t\nuses: kubernetes", "t.md:3:7", "uses must be a list of instances"},
        {"runbook: t\nuses: [prod-eu]", "t.md:3:8", "is no name for Lua"},
        {"runbook: t\nuses: { 2x: a }", "t.md:3:9", "is no name for Lua"},
        {"runbook: t\nuses: { a: [b] }", "t.md:3:12", "must be a name"},
        {"runbook: t\nuses: [{ a: b }]", "t.md:3:8", "must be a name"},
        {"runbook: t\nuses: { a: \"{{where}}\" }", "t.md:3:9", "{{where}} is no parameter"},
        {"runbook: t\nuses: { a: \"{{where\" }", "t.md:3:9", "does not close it"},
    };

    (void)state;
    REFUSE("---\n", cases);
}

static void test_may(void **state)
{
    static const struct bad cases[] = {
        {"may: {}", "t.md:4:6", "may must be a list"},
        {"may: [kubernetes.scale]", "t.md:4:7", "has an effect and a target"},
        {"may: [{ effect: kubernetes.scale }]", "t.md:4:7", "has an effect and a target"},
        {"may: [{ effect: scale, target: x }]", "t.md:4:17", "must be name.effect"},
        {"may: [{ effect: [a], target: x }]", "t.md:4:17", "effect must be a text"},
        {"may: [{ effect: kubernetes.scale, target: '' }]", "t.md:4:43", "target must be a text"},
        {"may: [{ effect: kubernets.scale, target: x }]", "t.md:4:7", "'kubernets' is not in uses"},
        {"may: [{ effect: kubernetes.scale, target: 'x/*' }]", "t.md:4:7", "add at_most: N"},
        {"may: [{ effect: kubernetes.scale, target: 'x/[ab]' }]", "t.md:4:7", "a pattern without a bound"},
        {"may: [{ effect: kubernetes.scale, target: x, at_most: many }]", "t.md:4:55", "at_most must be a number"},
        {"may: [{ effect: kubernetes.scale, target: x, replicas: 10 }]", "t.md:4:56", "must be a bound like { max: 10 }"},
        {"may: [{ effect: kubernetes.scale, target: x, replicas: { mx: 10 } }]", "t.md:4:58", "did you mean 'max'"},
        {"may: [{ effect: kubernetes.scale, target: x, replicas: { max: ten } }]", "t.md:4:56", "must be numbers"},
        {"may: [{ effect: kubernetes.scale, target: x, replicas: { min: 5, max: 1 } }]", "t.md:4:56", "above max"},
        {"may: [{ effect: kubernetes.scale, target: x, how: { one_of: a } }]", "t.md:4:61", "must be a list"},
        {"may: [{ effect: kubernetes.scale, target: 'x/{{y}}' }]", "t.md:4:7", "{{y}} is no parameter"},
        {"may: [{ effect: kubernetes.scale, target: 'x/{{y' }]", "t.md:4:7", "does not close it"},
        {"params: { y: { type: string, from: labels.y } }\nmay: [{ effect: kubernetes.scale, target: 'x/{{y}}' }]", "t.md:5:7",
         "'y' comes from an alert; it needs match or one_of"},
    };

    (void)state;
    REFUSE(HEAD, cases);
}

static void test_params(void **state)
{
    static const struct bad cases[] = {
        {"params: [a]", "t.md:4:9", "params must be a map of names, not a list"},
        {"params: { a: string }", "t.md:4:14", "'a' must be a map like"},
        {"params: { a: {} }", "t.md:4:14", "'a' has no type"},
        {"params: { a-b: { type: string } }", "t.md:4:11", "is no name for a parameter"},
        {"params: { 1a: { type: string } }", "t.md:4:11", "is no name for a parameter"},
        {"params: { a: { type: strng } }", "t.md:4:22", "did you mean 'string'"},
        {"params: { a: { type: [string, integer] } }", "t.md:4:22", "type"},
        {"params: { a: { typ: string } }", "t.md:4:16", "did you mean 'type'"},
        {"params: { a: { type: integer, min: x } }", "t.md:4:36", "must be of type integer"},
        {"params: { a: { type: string, max: 5 } }", "t.md:4:35", "a string has no min or max"},
        {"params: { a: { type: boolean, one_of: [x] } }", "t.md:4:39", "a boolean has no one_of"},
        {"params: { a: { type: integer, match: x } }", "t.md:4:38", "match is for texts"},
        {"params: { a: { type: size, min: 2kib, max: 1kib } }", "t.md:4:33", "min is above max"},
        {"params: { a: { type: string, match: '[' } }", "t.md:4:37", "is no regular expression"},
        {"params: { a: { type: string, match: [x] } }", "t.md:4:37", "match must be a text"},
        {"params: { a: { type: string, one_of: x } }", "t.md:4:38", "one_of must be a list"},
        {"params: { a: { type: string, one_of: [[x]] } }", "t.md:4:39", "a plain value is wanted"},
        {"params: { a: { type: string, from: label.x } }", "t.md:4:36", "must begin with labels. or annotations."},
        {"params: { a: { type: string, optional: maybe } }", "t.md:4:40", "true or false"},
        {"params: { a: { type: integer, default: ten } }", "t.md:4:40", "the default 'ten' is no integer"},
        {"params: { a: { type: integer, default: 11, max: 10 } }", "t.md:4:40", "the maximum is 10"},
        {"params: { a: { type: string, default: c, one_of: [a, b] } }", "t.md:4:39", "it must be one of a, b"},
        {"params: { a: { type: string, default: X, match: '[a-z]+' } }", "t.md:4:39", "it must match [a-z]+"},
        {"params: { a: { type: string, default: --force } }", "t.md:4:39", "looks like a flag"},
        {"params: { a: { type: duration, default: soon } }", "t.md:4:41", "is no duration"},
        {"params: { a: { type: boolean, default: 'yes' } }", "t.md:4:40", "is no boolean"},
        {"params: { a: { type: [integer], default: 3 } }", "t.md:4:42", "wants a list"},
        {"params: { a: { type: string, default: [x] } }", "t.md:4:39", "wants a text"},
    };

    (void)state;
    REFUSE(HEAD, cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_front_matter), cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_yaml_that_is_none),    cmocka_unit_test(test_keys_and_types),
        cmocka_unit_test(test_names),                cmocka_unit_test(test_may),
        cmocka_unit_test(test_params),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
