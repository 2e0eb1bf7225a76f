/* SPDX-License-Identifier: Apache-2.0 */
/* What a request carries to prove who asks; values from RFC 7617, RFC 4231 and openssl. */
#include "plugin/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct http_request request = {
    .method = HTTP_POST, .url = "https://api.example.net:8443/v1/jobs?a=1&b=2#part", .body = {"{\"n\":1}", 7},
};

static int make(const char *how, const char *secret, struct auth *a, struct err *e)
{
    json_t *v = json_loads(how, 0, NULL);
    int rc;

    assert_non_null(v);
    rc = auth_make(v, str_of(secret), STR(""), &request, 1795374000512, a, e);
    json_decref(v);
    return rc;
}

static void one_header(const char *how, const char *secret, const char *name, const char *value)
{
    struct auth a;
    struct err e = {0};

    assert_int_equal(make(how, secret, &a, &e), 0);
    assert_int_equal(a.nheaders, 1);
    assert_string_equal(a.headers[0].value, value);
    /* Its name may be the description's, which is gone here, unless it is ours. */
    if (name)
        assert_string_equal(a.headers[0].name, name);
    assert_null(a.sigv4);
    auth_deinit(&a);
}

static void test_texts(void **state)
{
    (void)state;
    one_header("{\"kind\":\"bearer\"}", "mF_9.B5f", "Authorization", "Bearer mF_9.B5f");
    one_header("{\"kind\":\"basic\",\"user\":\"Aladdin\"}", "open sesame", "Authorization",
               "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    one_header("{\"kind\":\"header\",\"header\":\"X-Key\",\"prefix\":\"Key=\"}", "abc", NULL, "Key=abc");
}

static void test_hmac(void **state)
{
    (void)state;
    /* RFC 4231, case 2. */
    one_header("{\"kind\":\"hmac\",\"message\":\"what do ya want for nothing?\",\"prefix\":\"sha256=\"}", "Jefe", NULL,
               "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    one_header("{\"kind\":\"hmac\",\"message\":\"what do ya want for nothing?\",\"algorithm\":\"sha512\"}", "Jefe", NULL,
               "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
               "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
    one_header("{\"kind\":\"hmac\",\"message\":\"what do ya want for nothing?\",\"encoding\":\"base64\"}", "Jefe", NULL,
               "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
}

/* printf 'POST\n/v1/jobs?a=1&b=2\n1795374000\n{"n":1}' | openssl dgst -sha256 -hmac key */
static void test_hmac_of_request(void **state)
{
    static const char how[] = "{\"kind\":\"hmac\",\"message\":\"{{method}}\\n{{path}}\\n{{timestamp}}\\n{{body}}\","
                              "\"timestamp_header\":\"X-Time\"}";
    struct auth a;
    struct err e = {0};

    (void)state;
    assert_int_equal(make(how, "key", &a, &e), 0);
    assert_int_equal(a.nheaders, 2);
    assert_string_equal(a.headers[0].value, "1795374000");
    assert_string_equal(a.headers[1].value, "8727523a74754606e209c85fcde88fa9abf485086342109b38a79f0aa8ee8cad");
    auth_deinit(&a);
}

static void test_sigv4(void **state)
{
    static const char how[] = "{\"kind\":\"sigv4\",\"key_id\":\"AKID\",\"region\":\"eu-west-1\",\"service\":\"s3\"}";
    json_t *v = json_loads(how, 0, NULL);
    struct auth a;
    struct err e = {0};

    (void)state;
    assert_int_equal(auth_make(v, STR("sk"), STR("token"), &request, 0, &a, &e), 0);
    assert_string_equal(a.sigv4, "aws:amz:eu-west-1:s3");
    assert_string_equal(a.user_password, "AKID:sk");
    assert_int_equal(a.nheaders, 2);
    assert_string_equal(a.headers[0].name, "X-Amz-Security-Token");
    assert_string_equal(a.headers[0].value, "token");
    assert_string_equal(a.headers[1].value, "2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd");
    auth_deinit(&a);
    json_decref(v);
}

static void test_refuses(void **state)
{
    static const char *const bad[][2] = {
        {"{}", "kind must be"},
        {"{\"kind\":\"digest\"}", "'digest'"},
        {"{\"kind\":\"basic\"}", "user"},
        {"{\"kind\":\"basic\",\"user\":\"a:b\"}", "user"},
        {"{\"kind\":\"hmac\",\"algorithm\":\"md5\"}", "md5"},
        {"{\"kind\":\"hmac\",\"encoding\":\"url\"}", "url"},
        {"{\"kind\":\"hmac\",\"message\":\"{{secret}}\"}", "{{secret}}"},
        {"{\"kind\":\"sigv4\",\"key_id\":\"A\",\"region\":\"r\"}", "service"},
        {"{\"kind\":\"sigv4\",\"key_id\":\"A\",\"region\":\"r:x\",\"service\":\"s\"}", "region"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct auth a;
        struct err e = {0};

        assert_true(make(bad[i][0], "s3cret", &a, &e) < 0);
        assert_non_null(strstr(e.msg, bad[i][1]));
        assert_null(strstr(e.msg, "s3cret"));
        auth_deinit(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),  cmocka_unit_test(test_hmac),    cmocka_unit_test(test_hmac_of_request),
        cmocka_unit_test(test_sigv4),  cmocka_unit_test(test_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
