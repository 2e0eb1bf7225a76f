/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations, schemas and templates of plugins: what holds, and the one error of what does not. */
#include "base/buf.h"
#include "base/json.h"
#include "plugin/declaration.h"
#include "plugin/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GOOD \
    "{\"abi\":1,\"name\":\"p\",\"settings\":{\"url\":\"string\",\"password\":\"secret\"}," \
    "\"things\":{\"flag\":{\"is\":\"flag\",\"args\":[\"name\"],\"params\":{\"name\":\"string\"}}}," \
    "\"reads\":{\"v\":{\"on\":\"flag\",\"returns\":{\"list\":{\"a\":\"integer\",\"b\":\"string?\"}}}}," \
    "\"effects\":{\"put\":{\"on\":\"flag\",\"args\":[\"value\"],\"params\":{\"value\":\"integer >= 0\"},\"class\":\"ensure\"," \
    "\"target\":\"flag/{{name}}\",\"want\":{\"value\":\"{{value}}\",\"by\":\"{{name}}-{{state.owner}}\",\"on\":true}}}}"

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &error);

    if (!v)
        fail_msg("%s: %s", error.text, text);
    return v;
}

static void test_good(void **state)
{
    json_t *d = parse(GOOD), *put;
    struct err e = {0};

    (void)state;
    assert_int_equal(declaration_of_process(d, "p", &e), 0);
    put = json_object_get(json_object_get(d, "effects"), "put");
    assert_true(json_get_bool(put, "has_state", false));
    assert_false(json_get_bool(put, "has_check", true));
    json_decref(d);
}

/* What is replaced, by what, and what the error must hold. */
static void test_bad(void **state)
{
    static const struct {
        const char *old, *new, *message;
    } cases[] = {
        {"\"abi\":1", "\"abi\":\"1\"", "abi: this program speaks abi 1, the plugin 0"},
        {"\"name\":\"p\"", "\"name\":\"q\"", "name: it calls itself 'q' but is 'p'"},
        {"\"url\":\"string\"", "\"url\":\"strin\"", "settings.url: must be string"},
        {"\"settings\":", "\"setings\":", "unknown key 'setings' (did you mean 'settings'?)"},
        {"\"args\":[\"name\"]", "\"args\":[\"nam\"]", "things.flag.args: 'nam' is not in params"},
        {"\"name\":\"string\"", "\"name\":\"text\"", "things.flag.params.name: 'text' is no schema"},
        {"\"is\":\"flag\"", "\"is\":\"flags\"", "effects.put.on: no thing is a 'flag'"},
        {"\"returns\":{\"list\":{\"a\":\"integer\",\"b\":\"string?\"}}", "\"unit\":\"s\"", "reads.v.returns: must be a schema"},
        {"\"a\":\"integer\"", "\"a\":\"integer >\"", "reads.v.returns.list.a: 'integer >' is no schema"},
        {"\"string?\"}}", "\"string?\"}},\"known\":[\"c\"]", "reads.v.known: 'c' is no field of the answer"},
        {"\"string?\"}}", "\"string?\"}},\"known\":\"b\"", "reads.v.known: must be a list"},
        {"\"a\":\"integer\"", "\"a\":7", "reads.v.returns.list.a: must be a schema"},
        {"\"class\":\"ensure\"", "\"class\":\"once\"", "effects.put.class: must be ensure, keyed or never_twice"},
        {"\"class\":\"ensure\"", "\"class\":\"ensure\",\"state\":false", "effects.put.class: ensure states an end state"},
        {"flag/{{name}}", "", "effects.put.target: must be a text"},
        {"flag/{{name}}", "flag/{{nme}}", "effects.put.target: {{nme}} is no argument"},
        {"flag/{{name}}", "flag/{{name", "effects.put.target: opens {{ and does not close it"},
        {"\"{{value}}\"", "\"{{valu}}\"", "effects.put.want.value: {{valu}} is no argument"},
        {"\"want\":", "\"wants\":", "effects.put.want: must be \"args\""},
        {"\"put\":", "\"p u t\":", "effects.p u t: is no name"},
        {"\"settings\":", "\"says\":{\"w\":\"x\"},\"settings\":", "says.w: there is no such thing, read or effect"},
        {"\"settings\":", "\"says\":{\"v\":\"x\\u001by\"},\"settings\":", "says.v: must be a text of one line"},
        {"\"settings\":", "\"means\":{\"w.a\":\"x\"},\"settings\":", "means.w.a: there is no such thing, read or effect"},
        {"\"settings\":", "\"means\":7,\"settings\":", "means: must be an object of texts"},
        {"\"class\":\"ensure\"", "\"class\":\"ensure\",\"finds\":{\"a\":\"int\"}", "effects.put.finds.a: 'int' is no schema"},
        {"\"reads\":{\"v\":", "\"reads\":7,\"effects2\":{\"v\":", "unknown key 'effects2'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b = BUF_INIT(1 << 16);
        const char *at = strstr(GOOD, cases[i].old);
        struct err e = {0};
        char text[1400];
        json_t *d;

        assert_non_null(at);
        buf_add(&b, GOOD, (size_t)(at - GOOD));
        buf_adds(&b, cases[i].new);
        buf_adds(&b, at + strlen(cases[i].old));
        d = parse(buf_text(&b));
        assert_int_equal(declaration_of_process(d, "p", &e), ERR_INVALID);
        err_text(&e, text, sizeof(text));
        if (!strstr(text, cases[i].message))
            fail_msg("'%s' is not in '%s'", cases[i].message, text);
        json_decref(d);
        buf_free(&b);
    }
}

/* No bytes may crash it: every node of the declaration replaced by every kind of value. */
static void replace_each(json_t *root, json_t *at, json_t *by)
{
    const char *key;
    void *next;
    json_t *v;

    json_object_foreach_safe(at, next, key, v) {
        json_t *copy;
        struct err e = {0};

        json_incref(v);
        json_object_set(at, key, by);
        copy = json_deep_copy(root);
        declaration_of_process(copy, "p", &e);
        json_decref(copy);
        json_object_set(at, key, v);
        replace_each(root, v, by);
        json_decref(v);
    }
}

static void test_any_kind_of_value(void **state)
{
    static const char *const values[] = {"null", "7", "\"x\"", "[]", "{}", "[[]]", "{\"x\":{}}", "true", "\"{{\"", "[null]"};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        json_t *root = parse(GOOD), *by = parse(values[i]);

        replace_each(root, root, by);
        json_decref(by);
        json_decref(root);
    }
}

static void test_want(void **state)
{
    json_t *d = parse(GOOD), *args = parse("{\"name\":\"a{{value}}\",\"value\":7}"), *now = parse("{\"owner\":\"ann\"}");
    const json_t *put;
    json_t *to = NULL;
    struct err e = {0};
    struct buf b = BUF_INIT(4096);

    (void)state;
    assert_int_equal(declaration_of_process(d, "p", &e), 0);
    put = json_object_get(json_object_get(d, "effects"), "put");
    assert_int_equal(declaration_want(put, args, now, &to, &e), 0);
    json_add_value(&b, to);
    assert_string_equal(buf_text(&b), "{\"by\":\"a{{value}}-ann\",\"on\":true,\"value\":7}");
    json_decref(to);
    assert_int_equal(declaration_want(put, args, NULL, &to, &e), ERR_INVALID);
    assert_string_equal(e.msg, "want: {{state.owner}} has no value");
    buf_free(&b);
    json_decref(now);
    json_decref(args);
    json_decref(d);
}

static void test_fits(void **state)
{
    static const struct {
        const char *schema, *value, *message;   /* NULL: it fits */
    } cases[] = {
        {"\"integer\"", "7", NULL},
        {"\"integer\"", "7.0", "value must be integer"},
        {"\"integer\"", "\"7\"", "value must be integer"},
        {"\"integer >= 0\"", "0", NULL},
        {"\"integer >= 0\"", "-1", "value must be integer >= 0"},
        {"\"number < 1\"", "1", "value must be number < 1"},
        {"\"number < 1\"", "0.99", NULL},
        {"\"string?\"", "null", NULL},
        {"\"string\"", "null", "value is missing (string)"},
        {"\"any\"", "[1]", NULL},
        {"\"boolean\"", "0", "value must be boolean"},
        {"{\"a\":\"integer\",\"b\":\"string?\"}", "{\"a\":1}", NULL},
        {"{\"a\":\"integer\",\"b\":\"string?\"}", "{\"b\":\"x\"}", "value.a is missing (integer)"},
        {"{\"a\":\"integer\"}", "{\"a\":1,\"c\":2}", "value.c is no declared field"},
        {"{\"a\":\"integer\"}", "[]", "value must be an object"},
        {"{\"list\":\"string\"}", "[]", NULL},
        {"{\"list\":\"string\"}", "{}", "value must be a list"},
        {"{\"list\":\"string\"}", "[\"a\",2]", "value[2] must be string"},
        {"{\"list\":{\"a\":{\"list\":\"integer\"}}}", "[{\"a\":[1,2]},{\"a\":[1,\"2\"]}]", "value[2].a[2] must be integer"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *schema = parse(cases[i].schema), *value = parse(cases[i].value);
        struct err e = {0};

        assert_int_equal(schema_fits(schema, value, "value", &e), cases[i].message ? ERR_INVALID : 0);
        assert_string_equal(e.msg, cases[i].message ? cases[i].message : "");
        json_decref(schema);
        json_decref(value);
    }
}

static void test_settings(void **state)
{
    static const struct {
        const char *settings, *message;
    } cases[] = {
        {"{}", NULL},
        {"{\"url\":\"x\",\"password\":\"y\"}", NULL},
        {"{\"password_file\":\"y\"}", "p has no setting 'password_file'"},
        {"{\"password\":7}", "password: must be the name of a secret"},
        {"{\"url_file\":\"y\"}", "p has no setting 'url_file'"},
        {"{\"urll\":\"x\"}", "p has no setting 'urll'"},
        {"{\"url\":7}", "url: must be string"},
        {"{\"_file\":\"x\"}", "p has no setting '_file'"},
    };
    json_t *d = parse(GOOD);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *settings = parse(cases[i].settings);
        struct err e = {0};
        char setting[64];

        assert_int_equal(declaration_settings(d, settings, setting, &e), cases[i].message ? ERR_INVALID : 0);
        assert_string_equal(e.msg, cases[i].message ? cases[i].message : "");
        json_decref(settings);
    }
    json_decref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_any_kind_of_value),
        cmocka_unit_test(test_want), cmocka_unit_test(test_fits), cmocka_unit_test(test_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
