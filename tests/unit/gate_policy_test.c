/* SPDX-License-Identifier: Apache-2.0 */
/* What `may` permits, and everything it does not: other effects, other targets, values
 * outside of bounds, and parameters that would widen a pattern. */
#include "gate/policy.h"

#include "base/json.h"
#include "base/limits.h"
#include "io/host_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char text[] =
    "---\nrunbook: t\nparams:\n  ns: { type: string, one_of: [prod, staging], default: prod }\n"
    "  svc: { type: string, default: api, match: \".*\" }\nuses: { k: prod-eu, sh: sh }\nmay:\n"
    "  - { effect: k.rollback, target: \"deployment/{{ns}}/{{svc}}\" }\n"
    "  - { effect: k.scale, target: \"deployment/{{ns}}/{{svc}}\", replicas: { min: 1, max: 10 } }\n"
    "  - { effect: k.scale, target: \"statefulset/{{ns}}/db\", replicas: { max: 5 } }\n"
    "  - { effect: k.restart, target: \"deployment/{{ns}}/{{svc}}-*\", at_most: 2 }\n"
    "  - { effect: k.drain, target: \"node/?\", at_most: 1, mode: { one_of: [soft, 7] } }\n"
    "  - { effect: sh.touch, target: \"file\" }\n---\n```lua\na()\n```\n";

static int setup(void **state)
{
    struct runbook *b = NULL;
    struct err e = {0};

    if (book_read(str_of(text), "t.md", &b, &e) < 0)
        fprintf(stderr, "%s %s\n", e.where, e.msg);
    *state = b;
    return b ? 0 : -1;
}

static int teardown(void **state)
{
    book_free(*state);
    return 0;
}

/* refusal NULL: permitted. */
static void assert_policy(const struct runbook *b, const char *svc, const char *effect, const char *target, const char *args,
                          const char *refusal, const char *says)
{
    json_t *params = json_pack("{s:s s:s}", "ns", "prod", "svc", svc), *a = NULL, *declared = json_object();
    struct buf why = BUF_INIT(2048);
    struct err e = {0};
    const char *got;

    assert_int_equal(json_read(str_of(args), &a, &e), 0);
    got = policy_refuses(b, params, &(struct policy_effect){.name = str_of(effect), .target = str_of(target), .args = a,
                                                            .declared = declared}, &why);
    if (refusal ? !got || strcmp(got, refusal) != 0 || !strstr(buf_text(&why), says) : got != NULL)
        fail_msg("svc '%s': %s on %s with %s: %s, %s", svc, effect, target, args, got ? got : "permitted", buf_text(&why));
    if (got)
        assert_true(policy_is_refusal(got));
    buf_free(&why);
    json_decref(params);
    json_decref(a);
    json_decref(declared);
}

static void test_what_may_permits(void **state)
{
    const struct runbook *b = *state;

    assert_policy(b, "api", "k.rollback", "deployment/prod/api", "{}", NULL, NULL);
    assert_policy(b, "web", "k.rollback", "deployment/prod/web", "{}", NULL, NULL);
    assert_policy(b, "api", "k.scale", "deployment/prod/api", "{\"replicas\":1}", NULL, NULL);
    assert_policy(b, "api", "k.scale", "deployment/prod/api", "{\"replicas\":10}", NULL, NULL);
    assert_policy(b, "api", "k.scale", "statefulset/prod/db", "{\"replicas\":0}", NULL, NULL);
    assert_policy(b, "api", "k.restart", "deployment/prod/api-canary", "{}", NULL, NULL);
    assert_policy(b, "api", "k.restart", "deployment/prod/api-", "{}", NULL, NULL);
    assert_policy(b, "api", "k.drain", "node/a", "{\"mode\":\"soft\"}", NULL, NULL);
    assert_policy(b, "api", "k.drain", "node/a", "{\"mode\":7}", NULL, NULL);
}

static void test_other_effects_and_targets(void **state)
{
    const struct runbook *b = *state;
    static const struct {
        const char *effect, *target;
    } cases[] = {
        {"k.delete", "deployment/prod/api"},      {"k.rollbac", "deployment/prod/api"},
        {"k.rollback ", "deployment/prod/api"},   {"prod-eu.rollback", "deployment/prod/api"},
        {"", "deployment/prod/api"},              {"k.rollback", "deployment/prod/web"},
        {"k.rollback", "deployment/staging/api"}, {"k.rollback", "deployment/prod/api "},
        {"k.rollback", "deployment/prod/api/x"},  {"k.rollback", "deployment/prod/"},
        {"k.rollback", "deployment/prod"},        {"k.rollback", ""},
        {"k.rollback", "statefulset/prod/api"},   {"k.rollback", "deployment/prod/ap*"},
        {"k.rollback", "deployment/*/api"},       {"k.rollback", "deployment/prod/api\nx"},
        {"k.restart", "deployment/prod/api"},     {"k.restart", "deployment/prod/api-a/b"},
        {"k.restart", "deployment/prod/web-a"},   {"k.restart", "deployment/prod/x/api-a"},
        {"k.drain", "node/ab"},                   {"k.drain", "node//"},
        {"k.drain", "node/"},                     {"sh.touch", "files"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_policy(b, "api", cases[i].effect, cases[i].target, "{\"mode\":\"soft\"}", "not_allowed", "may has no { effect: ");
}

static void test_bounds(void **state)
{
    const struct runbook *b = *state;
    static const struct {
        const char *effect, *target, *args, *says;
    } cases[] = {
        {"k.scale", "deployment/prod/api", "{\"replicas\":11}", "replicas = 11 is above the maximum 10 in may"},
        {"k.scale", "deployment/prod/api", "{\"replicas\":10.5}", "above the maximum"},
        {"k.scale", "deployment/prod/api", "{\"replicas\":0}", "replicas = 0 is below the minimum 1 in may"},
        {"k.scale", "deployment/prod/api", "{\"replicas\":-1}", "below the minimum"},
        {"k.scale", "deployment/prod/api", "{\"replicas\":9223372036854775807}", "above the maximum"},
        {"k.scale", "deployment/prod/api", "{\"replicas\":\"5\"}", "'replicas' is not a number"},
        {"k.scale", "deployment/prod/api", "{\"replicas\":null}", "'replicas' is not a number"},
        {"k.scale", "deployment/prod/api", "{\"replicas\":[5]}", "'replicas' is not a number"},
        {"k.scale", "deployment/prod/api", "{}", "may bounds 'replicas', which the effect does not have"},
        {"k.scale", "statefulset/prod/db", "{\"replicas\":6}", "above the maximum 5"},
        {"k.drain", "node/a", "{\"mode\":\"hard\"}", "'mode' is not one of those in may"},
        {"k.drain", "node/a", "{\"mode\":8}", "'mode' is not one of those in may"},
        {"k.drain", "node/a", "{\"mode\":true}", "'mode' is not one of those in may"},
        {"k.drain", "node/a", "{}", "may bounds 'mode'"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_policy(b, "api", cases[i].effect, cases[i].target, cases[i].args, "not_allowed", cases[i].says);
}

/* A parameter never widens a pattern, whatever it holds, and not even where the target looks the same. */
static void test_hostile_parameters(void **state)
{
    const struct runbook *b = *state;
    static const struct {
        const char *svc, *effect, *target, *says;
    } cases[] = {
        {"*", "k.restart", "deployment/prod/web-a", "'*' holds a '*'"},
        {"*", "k.rollback", "deployment/prod/web", "'*' holds a '*'"},
        {"*", "k.rollback", "deployment/prod/*", "'*' holds a '*'"},
        {"?pi", "k.restart", "deployment/prod/api-a", "holds a '?'"},
        {"[a-z]", "k.restart", "deployment/prod/a-a", "holds a '['"},
        {"x]", "k.restart", "deployment/prod/x]-a", "holds a ']'"},
        {"\\", "k.restart", "deployment/prod/-a", "holds a '\\'"},
        {"api/../../kube-system/x", "k.rollback", "deployment/prod/api/../../kube-system/x", "holds a '/'"},
        {"/", "k.rollback", "deployment/prod//", "holds a '/'"},
        {"..", "k.rollback", "deployment/prod/..", "is no name for a target's part"},
        {".", "k.rollback", "deployment/prod/.", "is no name for a target's part"},
        {"", "k.rollback", "deployment/prod/", "{{svc}} is empty"},
        {"", "k.restart", "deployment/prod/-a", "{{svc}} is empty"},
        {"a\nb", "k.rollback", "deployment/prod/a\nb", "which a target's part may not"},
        {"{{ns}}", "k.rollback", "deployment/prod/prod", "may has no"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_policy(b, cases[i].svc, cases[i].effect, cases[i].target, "{}", "not_allowed", cases[i].says);
}

static void test_what_does_not_fit(void **state)
{
    char *svc = xcalloc(1, 3001);
    struct buf target = BUF_INIT(4 * KIB);

    memset(svc, 'a', 3000);
    buf_addf(&target, "deployment/prod/%s", svc);
    assert_policy(*state, svc, "k.rollback", buf_text(&target), "{}", "not_allowed", "longer than");
    assert_policy(*state, svc, "k.rollback", "deployment/prod/", "{}", "not_allowed", "longer than");
    assert_policy(*state, svc, "k.restart", "", "{}", "not_allowed", "longer than");
    buf_free(&target);
    free(svc);
}

static void test_what_cannot_be_undone_needs_approval(void **state)
{
    json_t *declared = json_pack("{s:b}", "irreversible", 1);

    (void)state;
    assert_string_equal(policy_needs_approval(&(struct policy_effect){.declared = declared}), "it cannot be undone");
    json_object_set_new(declared, "irreversible", json_false());
    assert_null(policy_needs_approval(&(struct policy_effect){.declared = declared}));
    json_object_clear(declared);
    assert_null(policy_needs_approval(&(struct policy_effect){.declared = declared}));
    json_decref(declared);
}

/* at_most counts the targets of one run that the entry has let through. */
static void test_at_most(void **state)
{
    static const struct {
        const char *touched[3], *target;
        bool permitted;
    } cases[] = {
        {{"deployment/prod/api-a"}, "deployment/prod/api-b", true},
        {{"deployment/prod/api-a", "deployment/prod/api-b"}, "deployment/prod/api-c", false},
        {{"deployment/prod/api-a", "deployment/prod/api-b"}, "deployment/prod/api-a", true},
        {{"deployment/prod/api-a", "deployment/prod/api-a"}, "deployment/prod/api-b", true},
        {{"deployment/prod/api-a", "deployment/prod/web-x", "statefulset/prod/db"}, "deployment/prod/api-b", true},
        {{"deployment/prod/api-a", "deployment/prod/web-x", "deployment/prod/api-b"}, "deployment/prod/api-c", false},
    };
    json_t *params = json_pack("{s:s s:s}", "ns", "prod", "svc", "api");
    size_t i, n;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str touched[3];
        struct buf why = BUF_INIT(2048);
        const char *got;

        for (n = 0; n < 3 && cases[i].touched[n]; n++)
            touched[n] = str_of(cases[i].touched[n]);
        got = policy_refuses(*state, params, &(struct policy_effect){.name = STR("k.restart"), .target = str_of(cases[i].target),
                                                                     .touched = touched, .ntouched = n}, &why);
        if (cases[i].permitted ? got != NULL : !got || !strstr(buf_text(&why), "permits 2 targets"))
            fail_msg("case %zu: %s %s", i, got ? got : "permitted", buf_text(&why));
        buf_free(&why);
    }
    json_decref(params);
}

static void test_the_names_of_refusals(void **state)
{
    static const char *const no[] = {"", "error", "verified", "refused", "unverified", "moved", "deadline", "Halted", "halted "};
    static const char *const yes[] = {"halted", "revoked", "not_allowed", "target_busy", "cooling_down", "over_budget",
                                      "needs_approval"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(policy_is_refusal(no[i]));
    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(policy_is_refusal(yes[i]));
}

static void test_the_halt_file(void **state)
{
    struct host_sim_options o = {.seed = 1, .real_files = true};
    char dir[] = "/tmp/midwatch-halt-XXXXXX", file[64], *deep = xcalloc(1, 5000);
    struct host *h = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(host_sim_new(&o, &h, &e), 0);
    assert_non_null(mkdtemp(dir));
    assert_false(policy_halted(h, NULL));
    assert_false(policy_halted(h, dir));
    snprintf(file, sizeof(file), "%s/halt", dir);
    fclose(fopen(file, "w"));
    assert_true(policy_halted(h, dir));
    remove(file);
    assert_int_equal(symlink("/nowhere", file), 0);
    assert_true(policy_halted(h, dir));     /* somebody meant something */
    remove(file);
    assert_false(policy_halted(h, dir));
    memset(deep, 'd', 4999);
    assert_true(policy_halted(h, deep));    /* cannot be looked at */
    rmdir(dir);
    free(deep);
    h->ops->free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_may_permits),
        cmocka_unit_test(test_other_effects_and_targets),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_hostile_parameters),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_what_cannot_be_undone_needs_approval),
        cmocka_unit_test(test_at_most),
        cmocka_unit_test(test_the_names_of_refusals),
        cmocka_unit_test(test_the_halt_file),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
