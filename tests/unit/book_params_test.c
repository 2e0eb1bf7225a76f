/* SPDX-License-Identifier: Apache-2.0 */
/* Values for parameters: from the command line and from labels; a value that fails its
 * check is an error and never the default. Templates over them. */
#include "book_test.h"

#define PARAMS                                                                                                          \
    "name: { type: string }\nn: { type: integer, min: 1, max: 5, default: 2 }\nratio: { type: number, default: 0.5 }\n"  \
    "on: { type: boolean, default: false }\nd: { type: duration, default: 5m, max: 1h }\nz: { type: size, default: 1kib }\n" \
    "at: { type: time, optional: true }\nkind: { type: string, one_of: [a, b], default: a }\n"                           \
    "svc: { type: string, from: labels.service, match: \"[a-z0-9-]+\", default: api }\n"                                 \
    "why: { type: string, from: annotations.summary, optional: true }\nids: { type: [integer], default: [1, 2] }\n"      \
    "port: { type: integer, one_of: [80, 443], default: 80 }\n"

struct world {
    struct param *params;
    size_t n;
};

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    struct yaml *y = NULL;
    struct err e = {0};

    if (yaml_read(STR(PARAMS), "p.yaml", 1, &y, &e) < 0 || params_read(y, "p.yaml", &w->params, &w->n, &e) < 0) {
        fprintf(stderr, "%s %s\n", e.where, e.msg);
        return -1;
    }
    yaml_tree_free(y);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    params_free(w->params, w->n);
    free(w);
    return 0;
}

/* pairs are separated by spaces; trigger is JSON or NULL. The result as JSON, or the error. */
static void assert_resolves(const struct world *w, const char *pairs, const char *trigger, const char *key, const char *want)
{
    char words[400], *list[8], *save = NULL, *p, text[1400];
    struct buf got = BUF_INIT(MIB);
    json_t *values = NULL, *from = NULL;
    struct err e = {0};
    size_t n = 0;
    int rc;

    snprintf(words, sizeof(words), "%s", pairs);
    for (p = strtok_r(words, " ", &save); p; p = strtok_r(NULL, " ", &save))
        list[n++] = p;
    if (trigger)
        assert_int_equal(json_read(str_of(trigger), &from, &e), 0);
    rc = params_resolve(w->params, w->n, (const char *const *)list, n, from, &values, &e);
    if (rc == 0)
        json_add_value(&got, key ? json_object_get(values, key) : values);
    err_text(&e, text, sizeof(text));
    if (rc == 0 ? !key || strcmp(buf_text(&got), want) != 0 : key || !strstr(text, want) || rc != ERR_INVALID)
        fail_msg("'%s' and %s: %s%s instead of %s", pairs, trigger ? trigger : "nothing", buf_text(&got), text, want);
    json_decref(values);
    json_decref(from);
    buf_free(&got);
}

static void test_types(void **state)
{
    static const struct {
        const char *pairs, *key, *want;
    } cases[] = {
        {"name=x", "n", "2"},             {"name=x n=5", "n", "5"},          {"name=x ratio=-1.5e2", "ratio", "-150.0"},
        {"name=x ratio=3", "ratio", "3.0"}, {"name=x", "ratio", "0.5"},      {"name=x on=true", "on", "true"},
        {"name=x", "on", "false"},        {"name=x", "d", "300"},            {"name=x d=1h", "d", "3600"},
        {"name=x d=250ms", "d", "0.25"},  {"name=x z=2mib", "z", "2097152"}, {"name=x", "z", "1024"},
        {"name=x at=2026-11-25T03:00:00Z", "at", "1795575600"},              {"name=x", "ids", "[1,2]"},
        {"name=x ids=7", "ids", "[7]"},   {"name=x ids=7,8,9", "ids", "[7,8,9]"}, {"name=x ids=", "ids", "[]"},
        {"name=x kind=b", "kind", "\"b\""}, {"name=x port=443", "port", "443"}, {"name=a=b", "name", "\"a=b\""},
        {"name=na\xc3\xafve", "name", "\"na\xc3\xafve\""}, {"name=", "name", "\"\""},
        {"name=a.b/c:d@e,f", "name", "\"a.b/c:d@e,f\""},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_resolves(*state, cases[i].pairs, NULL, cases[i].key, cases[i].want);
}

static void test_bad_values(void **state)
{
    static const struct {
        const char *pairs, *says;
    } cases[] = {
        {"", "parameter 'name' is missing (give it with -p name=...)"},
        {"name", "'name' is no parameter (write name=value)"},
        {"name=x nam=y", "did you mean 'name'"},
        {"name=x name=y", "'name': is given twice"},
        {"name=x n=two", "'two' is no integer"},
        {"name=x n=", "'' is no integer"},
        {"name=x n=1.5", "'1.5' is no integer"},
        {"name=x n=0x3", "'0x3' is no integer"},
        {"name=x n=3x", "'3x' is no integer"},
        {"name=x n=99999999999999999999", "is no integer"},
        {"name=x n=0", "is 0, the minimum is 1"},
        {"name=x n=6", "is 6, the maximum is 5"},
        {"name=x ratio=nan", "'nan' is no number"},
        {"name=x ratio=inf", "'inf' is no number"},
        {"name=x ratio=-inf", "'-inf' is no number"},
        {"name=x ratio=1e999", "is no number"},
        {"name=x ratio=0x10", "is no number"},
        {"name=x on=yes", "'yes' is no boolean"},
        {"name=x on=True", "'True' is no boolean"},
        {"name=x d=5", "'5' is no duration"},
        {"name=x d=-5m", "is no duration"},
        {"name=x d=2h", "is 7200, the maximum is 3600"},
        {"name=x z=big", "'big' is no size"},
        {"name=x at=yesterday", "'yesterday' is no time"},
        {"name=x kind=c", "'c' is none of those allowed (it must be one of a, b)"},
        {"name=x port=8080", "'8080' is none of those allowed"},
        {"name=x ids=1,x", "'1,x' is no integer"},
        {"name=x ids=1,,2", "is no integer"},
        {"name=x svc=API", "'API' does not match (it must match [a-z0-9-]+)"},
        {"name=x svc=api;rm", "does not match"},
        {"name=x svc=", "does not match"},
        {"name=--force", "looks like a flag"},
        {"name=-", "looks like a flag"},
        {"name=api-*", "globs, queries or shells"},
        {"name=a?", "globs, queries or shells"},
        {"name=[ab]", "globs, queries or shells"},
        {"name={a}", "globs, queries or shells"},
        {"name=x\"}", "globs, queries or shells"},
        {"name=$(id)", "globs, queries or shells"},
        {"name=`id`", "globs, queries or shells"},
        {"name=a|b", "globs, queries or shells"},
        {"name=a;b", "globs, queries or shells"},
        {"name=a\\b", "globs, queries or shells"},
        {"name=a\nb", "a control character"},
        {"name=\x1b[2J", "a control character"},
        {"name=\xff", "is not UTF-8"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_resolves(*state, cases[i].pairs, NULL, NULL, cases[i].says);
}

/* A match stands for the whole value, over its lines too. */
static void test_a_match_is_anchored(void **state)
{
    static const char *const hostile[] = {"svc=api\n--force", "svc=api\n", "svc=\napi", "svc=api/../x", "svc=api*"};
    size_t i;

    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct buf pairs = BUF_INIT(KIB);

        buf_addf(&pairs, "name=x %s", hostile[i]);
        assert_resolves(*state, buf_text(&pairs), NULL, NULL, "does not match");
        buf_free(&pairs);
    }
}

static void test_values_from_a_trigger(void **state)
{
    const struct world *w = *state;

    assert_resolves(w, "name=x", "{\"labels\":{\"service\":\"web\"}}", "svc", "\"web\"");
    assert_resolves(w, "name=x", "{\"labels\":{}}", "svc", "\"api\"");
    assert_resolves(w, "name=x", NULL, "svc", "\"api\"");
    assert_resolves(w, "name=x svc=cli", "{\"labels\":{\"service\":\"web\"}}", "svc", "\"cli\"");
    assert_resolves(w, "name=x", "{\"annotations\":{\"summary\":\"it is slow\"}}", "why", "\"it is slow\"");
    /* Never the default instead of a label that is wrong. */
    assert_resolves(w, "name=x", "{\"labels\":{\"service\":\"../etc\"}}", NULL, "labels.service: parameter 'svc': '../etc'");
    assert_resolves(w, "name=x", "{\"labels\":{\"service\":\"\"}}", NULL, "does not match");
    assert_resolves(w, "name=x", "{\"annotations\":{\"summary\":\"--now\"}}", NULL, "looks like a flag");
    assert_resolves(w, "name=x", "{\"labels\":{\"service\":\"api\\u0000x\"}}", NULL, "NUL");
}

static void test_optional_is_absent(void **state)
{
    const struct world *w = *state;
    const char *pairs[] = {"name=x"};
    json_t *values = NULL;

    assert_int_equal(params_resolve(w->params, w->n, pairs, 1, NULL, &values, NULL), 0);
    assert_null(json_object_get(values, "at"));
    assert_null(json_object_get(values, "why"));
    assert_int_equal(json_object_size(values), 10);
    json_decref(values);
}

static void assert_filled(const char *text, bool one_segment, const char *want, const char *error)
{
    json_t *values = json_pack("{s:s s:i s:f s:b s:s s:s s:s s:s s:[i] s:s s:s}", "name", "api", "n", 7, "f", 0.5, "on", 1,
                               "slash", "a/b", "star", "*", "empty", "", "braces", "{{name}}", "list", 1, "dots", "..", "nl",
                               "a\nb");
    struct buf out = BUF_INIT(KIB);
    struct err e = {0};
    int rc = template_fill(str_of(text), values, one_segment, &out, &e);

    if (want ? rc != 0 || strcmp(buf_text(&out), want) != 0 : rc >= 0 || !strstr(e.msg, error))
        fail_msg("'%s': %d '%s' %s", text, rc, buf_text(&out), e.msg);
    buf_free(&out);
    json_decref(values);
}

static void test_templates(void **state)
{
    (void)state;
    assert_filled("deployment/prod/{{name}}", true, "deployment/prod/api", NULL);
    assert_filled("{{ name }}-{{n}}-{{f}}-{{on}}", true, "api-7-0.5-true", NULL);
    assert_filled("no names } }} {", true, "no names } }} {", NULL);
    assert_filled("", false, "", NULL);
    assert_filled("{{slash}}|{{star}}|{{empty}}|{{nl}}", false, "a/b|*||a\nb", NULL);
    assert_filled("{{braces}}", false, "{{name}}", NULL);      /* never filled a second time */
    assert_filled("x/{{slash}}", true, NULL, "'a/b' holds a '/', which a target's part may not");
    assert_filled("x/{{star}}", true, NULL, "'*' holds a '*'");
    assert_filled("x/{{empty}}", true, NULL, "{{empty}} is empty");
    assert_filled("x/{{nl}}", true, NULL, "which a target's part may not");
    assert_filled("x/{{dots}}", true, NULL, "is no name for a target's part");
    assert_filled("{{list}}", false, NULL, "a list or a missing value cannot be filled in");
    assert_filled("{{nope}}", false, NULL, "{{nope}} has no value");
    assert_filled("{{}}", false, NULL, "has no value");
    assert_filled("a {{name", false, NULL, "opens {{ and does not close it");
    assert_filled("{{name}} {{", false, NULL, "opens {{ and does not close it");
    assert_filled("{{   ", false, NULL, "does not close it");
}

static void count(void *ctx, struct str name)
{
    buf_addf(ctx, "[%.*s]", (int)name.n, name.p);
}

static void test_template_names(void **state)
{
    struct buf out = BUF_INIT(KIB);
    struct err e = {0};

    (void)state;
    assert_int_equal(template_names(STR("a {{x}} b {{ y }}{{x}}{{}}"), count, &out, &e), 0);
    assert_string_equal(buf_text(&out), "[x][y][x][]");
    assert_int_equal(template_names(STR("a {{x}} {{y"), count, &out, &e), ERR_INVALID);
    buf_free(&out);
}

/* A filled-in text that does not fit is an error, never a shorter target. */
static void test_a_template_too_long(void **state)
{
    json_t *values = json_pack("{s:s}", "x", "0123456789");
    struct buf out = BUF_INIT(16);
    struct err e = {0};

    (void)state;
    assert_int_equal(template_fill(STR("{{x}}{{x}}"), values, true, &out, &e), ERR_LIMIT);
    buf_free(&out);
    json_decref(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_a_match_is_anchored),
        cmocka_unit_test(test_values_from_a_trigger),
        cmocka_unit_test(test_optional_is_absent),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_template_names),
        cmocka_unit_test(test_a_template_too_long),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
