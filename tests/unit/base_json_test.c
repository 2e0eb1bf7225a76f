/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical JSON: one spelling of every value, and it reads back; hostile documents
 * are refused by name. */
#include "base/json.h"
#include "base/limits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed = 88172645463325252u;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void assert_string_form(struct str from, const char *want, bool lossy)
{
    struct buf b = BUF_INIT(1000);

    assert_int_equal(json_add_string(&b, from.p, from.n), lossy);
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

static void test_strings(void **state)
{
    (void)state;
    assert_string_form(STR(""), "\"\"", false);
    assert_string_form((struct str){NULL, 0}, "\"\"", false);
    assert_string_form(STR("deployment/prod/api-service"), "\"deployment/prod/api-service\"", false);
    assert_string_form(STR("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"", false);
    assert_string_form(STR("\b\f\n\r\t\0\x1f\x7f"), "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\"", false);
    assert_string_form(STR("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"",
                       false);
    assert_string_form(STR("a\xff"
                           "b\xe2\x82"),
                       "\"a\xef\xbf\xbd"
                       "b\xef\xbf\xbd\xef\xbf\xbd\"",
                       true);
    assert_string_form(STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", true);
}

/* The fast path looks at eight bytes at a time: each byte in each place of a long string. */
static void test_every_byte_in_every_place_reads_back(void **state)
{
    struct buf b = BUF_INIT(1000);
    struct err e = {0};
    char s[27];
    size_t at;
    int c;

    (void)state;
    for (c = 0; c < 256; c++) {
        for (at = 0; at < sizeof(s); at++) {
            json_t *v = NULL;

            memset(s, 'x', sizeof(s));
            s[at] = (char)c;
            buf_reset(&b);
            assert_int_equal(json_add_string(&b, s, sizeof(s)), c >= 0x80);
            assert_int_equal(json_read((struct str){b.data, b.len}, &v, &e), 0);
            if (c < 0x80) {
                assert_int_equal(json_string_length(v), sizeof(s));
                assert_memory_equal(json_string_value(v), s, sizeof(s));
            }
            json_decref(v);
        }
    }
    buf_free(&b);
}

static void test_integers(void **state)
{
    static const int64_t values[] = {0, 1, -1, 9, 10, -10, 9007199254740993, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    struct buf b = BUF_INIT(100);
    char want[32];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        buf_reset(&b);
        json_add_int(&b, values[i]);
        snprintf(want, sizeof(want), "%lld", (long long)values[i]);
        assert_string_equal(buf_text(&b), want);
    }
    buf_free(&b);
}

static void assert_number(double v, const char *want)
{
    struct buf b = BUF_INIT(100);

    assert_int_equal(json_add_double(&b, v), 0);
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

static void test_floats_have_one_spelling(void **state)
{
    (void)state;
    assert_number(3.0, "3.0");
    assert_number(0.0, "0.0");
    assert_number(-0.0, "-0.0");
    assert_number(-3.5, "-3.5");
    assert_number(0.1, "0.1");
    assert_number(0.1 + 0.2, "0.30000000000000004");
    assert_number(0.25, "0.25");
    assert_number(100.0, "100.0");
    assert_number(0.05, "0.05");
    assert_number(0.0001, "0.0001");
    assert_number(0.00001, "1e-05");
    assert_number(123456.789012, "123456.789012");
    assert_number(999999999999999.0, "999999999999999.0");
    assert_number(1e15, "1e+15");
    assert_number(-1e15, "-1e+15");
    assert_number(9007199254740993.0, "9007199254740992.0");
    assert_number(1e22, "1e+22");
    assert_number(1.0 / 3, "0.3333333333333333");
    assert_number(1.7976931348623157e308, "1.7976931348623157e+308");
    assert_number(2.2250738585072014e-308, "2.2250738585072014e-308");
    assert_number(5e-324, "4.94065645841247e-324");
}

/* The spelling by its definition, without the short cut for short decimals. */
static void spell(double v, char out[40])
{
    int precision;

    for (precision = 15; precision <= 17; precision++) {
        snprintf(out, 40, "%.*g", precision, v);
        if (strtod(out, NULL) == v)
            break;
    }
    if (!strpbrk(out, ".e"))
        snprintf(out + strlen(out), 3, ".0");
}

static void check_double(struct buf *b, double v)
{
    struct err e = {0};
    json_t *back = NULL;
    char want[40];
    double read;

    if (!isfinite(v))
        return;
    buf_reset(b);
    spell(v, want);
    assert_int_equal(json_add_double(b, v), 0);
    if (strcmp(buf_text(b), want) != 0)
        fail_msg("%a is written %s, not %s", v, buf_text(b), want);
    assert_int_equal(json_read((struct str){b->data, b->len}, &back, &e), 0);
    assert_true(json_is_real(back));
    read = json_real_value(back);
    if (memcmp(&read, &v, sizeof(v)) != 0)
        fail_msg("%a reads back from %s as %a", v, want, read);
    json_decref(back);
}

static void test_every_float_reads_back_bit_by_bit(void **state)
{
    struct buf b = BUF_INIT(100);
    double v;
    int i, k;

    (void)state;
    for (i = 0; i < 40000; i++) {
        uint64_t bits = random64();

        memcpy(&v, &bits, sizeof(v));
        check_double(&b, v);
    }
    for (i = 0; i < 40000; i++) {
        double scale = pow(10, i % 23 - 8);

        v = (double)(int64_t)(random64() >> i % 60) / scale;
        check_double(&b, v);
        for (k = 0; k < 3; k++) {
            v = nextafter(v, k % 2 ? INFINITY : -INFINITY);
            check_double(&b, v);
        }
    }
    for (i = -1100; i < 1100; i++) {
        check_double(&b, ldexp(1, i));
        check_double(&b, -nextafter(ldexp(1, i), 0));
    }
    buf_free(&b);
}

static void test_what_is_no_number_is_refused(void **state)
{
    struct buf b = BUF_INIT(100);

    (void)state;
    assert_int_equal(json_add_double(&b, NAN), ERR_INVALID);
    assert_int_equal(json_add_double(&b, INFINITY), ERR_INVALID);
    assert_int_equal(json_add_double(&b, -INFINITY), ERR_INVALID);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void test_a_full_buffer_is_reported(void **state)
{
    struct buf whole = BUF_INIT(1000);
    struct err e = {0};
    json_t *v = NULL;
    size_t max;

    (void)state;
    assert_int_equal(json_read(STR("{\"a\":[1,2.5,\"x\\n\",true,false,null,{}],\"b\":0.1e-30}"), &v, &e), 0);
    assert_int_equal(json_add_value(&whole, v), 0);
    for (max = 0; max <= whole.len; max++) {
        struct buf b = BUF_INIT(max);

        assert_int_equal(json_add_value(&b, v), max == whole.len ? 0 : ERR_LIMIT);
        assert_true(b.len <= max);
        buf_free(&b);
    }
    json_decref(v);
    buf_free(&whole);
}

static void assert_canonical(const char *from, const char *want)
{
    struct buf b = BUF_INIT(10000);
    struct err e = {0};
    json_t *v = NULL;

    assert_int_equal(json_read(str_of(from), &v, &e), 0);
    assert_int_equal(json_add_value(&b, v), 0);
    assert_string_equal(buf_text(&b), want);
    json_decref(v);
    buf_free(&b);
}

static void test_values_have_one_spelling(void **state)
{
    struct buf b = BUF_INIT(10);

    (void)state;
    assert_canonical(" { \"b\" : 1 , \"a\" : [ ] , \"B\" : { } , \"\" : null } ",
                     "{\"\":null,\"B\":{},\"a\":[],\"b\":1}");
    assert_canonical("{\"\\u00e9\":1,\"z\":2,\"\\ud83d\\ude00\":3,\"\\uffff\":4}",
                     "{\"z\":2,\"\xc3\xa9\":1,\"\xef\xbf\xbf\":4,\"\xf0\x9f\x98\x80\":3}");
    assert_canonical("[1, 1.0, 1e0, -0.0, 1E2, 9223372036854775807, -9223372036854775808]",
                     "[1,1.0,1.0,-0.0,100.0,9223372036854775807,-9223372036854775808]");
    assert_canonical("\"\\u0000\\/\\u001b\"", "\"\\u0000/\\u001b\"");
    assert_canonical("true", "true");
    assert_canonical(" null\n", "null");
    assert_int_equal(json_add_value(&b, NULL), 0);
    assert_string_equal(buf_text(&b), "null");
    buf_free(&b);
}

static void assert_refused(struct str text, int code, const char *reason)
{
    json_t *const untouched = (json_t *)&seed;
    json_t *v = untouched;
    struct err e = {0};
    int rc = json_read(text, &v, &e);

    if (rc != code || e.code != code || v != untouched || !strstr(e.msg, reason))
        fail_msg("%.*s: %d %s", (int)(text.n > 60 ? 60 : text.n), text.p, rc, e.msg);
    assert_int_equal(json_read(text, &v, NULL), code);
}

static void test_bad_documents_are_refused(void **state)
{
    (void)state;
    assert_refused(STR(""), ERR_INVALID, "line");
    assert_refused((struct str){NULL, 0}, ERR_INVALID, "line");
    assert_refused(STR("{\"a\":1,\"a\":2}"), ERR_INVALID, "duplicate");
    assert_refused(STR("{\"a\":1,\"\\u0061\":2}"), ERR_INVALID, "duplicate");
    assert_refused(STR("[1] x"), ERR_INVALID, "end of file");
    assert_refused(STR("[1][2]"), ERR_INVALID, "end of file");
    assert_refused(STR("9223372036854775808"), ERR_INVALID, "integer");
    assert_refused(STR("-9223372036854775809"), ERR_INVALID, "integer");
    assert_refused(STR("1e999"), ERR_INVALID, "overflow");
    assert_refused(STR("[NaN]"), ERR_INVALID, "");
    assert_refused(STR("[Infinity]"), ERR_INVALID, "");
    assert_refused(STR("[01]"), ERR_INVALID, "");
    assert_refused(STR("[+1]"), ERR_INVALID, "");
    assert_refused(STR("[.5]"), ERR_INVALID, "");
    assert_refused(STR("[0x10]"), ERR_INVALID, "");
    assert_refused(STR("[1,]"), ERR_INVALID, "");
    assert_refused(STR("{\"a\":1,}"), ERR_INVALID, "");
    assert_refused(STR("{a:1}"), ERR_INVALID, "");
    assert_refused(STR("['a']"), ERR_INVALID, "");
    assert_refused(STR("[1] // x"), ERR_INVALID, "");
    assert_refused(STR("\"\\ud800\""), ERR_INVALID, "");
    assert_refused(STR("\"\\udc00\\ud800\""), ERR_INVALID, "");
    assert_refused(STR("\"\\ud800\\u0041\""), ERR_INVALID, "");
    assert_refused(STR("\"\xed\xa0\x80\""), ERR_INVALID, "");
    assert_refused(STR("\"\xc0\xaf\""), ERR_INVALID, "");
    assert_refused(STR("\"\xff\""), ERR_INVALID, "");
    assert_refused(STR("\"a\nb\""), ERR_INVALID, "");
    assert_refused(STR("\"a\0b\""), ERR_INVALID, "");
    assert_refused(STR("{\"a\\u0000\":1}"), ERR_INVALID, "");
    assert_refused(STR("[1]\0"), ERR_INVALID, "");
    assert_refused(STR("\xef\xbb\xbf{}"), ERR_INVALID, "byte order mark");
    assert_refused(STR("\xff\xfe{\0}\0"), ERR_INVALID, "");
    assert_refused(STR("<html>"), ERR_INVALID, "");
}

static void test_a_document_cut_anywhere_is_refused(void **state)
{
    const struct str whole =
        STR("{\"a\":[1,-2.5e+3,\"x\\u00e9\\n\xe2\x82\xac\"],\"b\":{\"c\":true,\"d\":null,\"e\":false},\"f\":\"\"}");
    struct err e = {0};
    json_t *v = NULL;
    size_t i;

    (void)state;
    for (i = 0; i < whole.n; i++) {
        char *cut = xmemdup(whole.p, i);    /* so that a sanitizer sees a byte too far */

        assert_refused((struct str){cut, i}, ERR_INVALID, "line");
        free(cut);
    }
    assert_int_equal(json_read(whole, &v, &e), 0);
    json_decref(v);
}

static char *nested(size_t depth, size_t *n)
{
    char *text = xmalloc(2 * depth + 2);

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    *n = 2 * depth;
    text[*n] = '\0';
    return text;
}

static void test_depth_is_bounded_both_ways(void **state)
{
    struct buf b = BUF_INIT(1000);
    struct err e = {0};
    json_t *v = NULL, *deeper = json_array();
    size_t n;
    char *text = nested(JSON_DEPTH_MAX, &n);

    (void)state;
    assert_int_equal(json_read((struct str){text, n}, &v, &e), 0);
    assert_int_equal(json_add_value(&b, v), 0);
    assert_string_equal(buf_text(&b), text);
    json_array_append_new(deeper, v);
    assert_int_equal(json_add_value(&b, deeper), ERR_LIMIT);
    json_decref(deeper);
    free(text);
    text = nested(JSON_DEPTH_MAX + 1, &n);
    assert_refused((struct str){text, n}, ERR_LIMIT, "nested");
    free(text);
    text = nested(1000000, &n);
    assert_refused((struct str){text, n}, ERR_LIMIT, "nested");
    assert_refused((struct str){text, n / 2}, ERR_LIMIT, "nested");
    free(text);
    text = nested(JSON_DEPTH_MAX + 10, &n);     /* brackets in a string are no depth */
    memcpy(text, "\"\\\"", 3);
    text[n - 1] = '"';
    assert_int_equal(json_read((struct str){text, n}, &v, &e), 0);
    assert_int_equal(json_string_length(v), n - 3);
    json_decref(v);
    free(text);
    buf_free(&b);
}

static void test_values_are_bounded(void **state)
{
    struct buf b = BUF_INIT(8 * MIB);
    struct err e = {0};
    json_t *v = NULL;
    int i;

    (void)state;
    buf_adds(&b, "[0");
    for (i = 1; i < VALUE_BYTES_MAX / 2 - 1; i++)
        buf_adds(&b, ",0");
    buf_addc(&b, ']');
    assert_true(b.len <= VALUE_BYTES_MAX);
    assert_int_equal(json_read((struct str){b.data, b.len}, &v, &e), 0);
    json_decref(v);
    for (b.len--; i <= JSON_NODES_MAX; i++)
        buf_adds(&b, ",0");
    buf_addc(&b, ']');
    assert_refused((struct str){b.data, b.len}, ERR_LIMIT, "values");
    buf_free(&b);
}

static void test_many_keys_and_a_long_text(void **state)
{
    struct buf b = BUF_INIT(16 * MIB), back = BUF_INIT(16 * MIB);
    struct err e = {0};
    json_t *v = NULL;
    int i;

    (void)state;
    buf_adds(&b, "{\"0\":\"");
    for (i = 0; i < 100000; i++)
        buf_adds(&b, "0123456789");
    buf_addc(&b, '"');
    for (i = 100000; i < 150000; i++)
        buf_addf(&b, ",\"k%d\":%d", i, i);
    buf_addc(&b, '}');
    assert_int_equal(json_read((struct str){b.data, b.len}, &v, &e), 0);
    assert_int_equal(json_add_value(&back, v), 0);
    assert_int_equal(b.len, back.len);
    assert_memory_equal(b.data, back.data, b.len);
    json_decref(v);
    buf_free(&b);
    buf_free(&back);
}

static void test_fields_have_defaults(void **state)
{
    struct err e = {0};
    json_t *v = NULL;

    (void)state;
    assert_int_equal(json_read(STR("{\"s\":\"x\",\"i\":7,\"f\":7.5,\"b\":true,\"n\":null}"), &v, &e), 0);
    assert_string_equal(json_get_string(v, "s", "no"), "x");
    assert_string_equal(json_get_string(v, "i", "no"), "no");
    assert_null(json_get_string(v, "n", NULL));
    assert_int_equal(json_get_int(v, "i", 1), 7);
    assert_int_equal(json_get_int(v, "f", 1), 1);
    assert_int_equal(json_get_int(v, "absent", -1), -1);
    assert_true(json_get_bool(v, "b", false));
    assert_true(json_get_bool(v, "i", true));
    assert_false(json_get_bool(NULL, "b", false));
    assert_string_equal(json_get_string(NULL, "s", "no"), "no");
    json_decref(v);
}

static void test_objects_written_in_c_are_canonical(void **state)
{
    struct buf b = BUF_INIT(1000), again = BUF_INIT(1000);
    struct json_object o, inner;
    struct err e = {0};
    json_t *v = NULL;

    (void)state;
    json_open(&o, &b);
    json_put_bool(&o, "a", false);
    json_put_int(&o, "b", INT64_MIN);
    json_put_raw(&o, "c", STR("[1,2]"));
    json_put_raw(&o, "d", STR(""));
    json_put_string(&o, "e", STR("x\"\n"));
    buf_adds(&b, ",\"f\":");
    json_open(&inner, &b);
    json_close(&inner);
    json_close(&o);
    assert_string_equal(buf_text(&b),
                        "{\"a\":false,\"b\":-9223372036854775808,\"c\":[1,2],\"d\":null,\"e\":\"x\\\"\\n\",\"f\":{}}");
    assert_int_equal(json_read((struct str){b.data, b.len}, &v, &e), 0);
    assert_int_equal(json_add_value(&again, v), 0);
    assert_string_equal(buf_text(&b), buf_text(&again));
    json_decref(v);
    buf_free(&b);
    buf_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_every_byte_in_every_place_reads_back),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_floats_have_one_spelling),
        cmocka_unit_test(test_every_float_reads_back_bit_by_bit),
        cmocka_unit_test(test_what_is_no_number_is_refused),
        cmocka_unit_test(test_a_full_buffer_is_reported),
        cmocka_unit_test(test_values_have_one_spelling),
        cmocka_unit_test(test_bad_documents_are_refused),
        cmocka_unit_test(test_a_document_cut_anywhere_is_refused),
        cmocka_unit_test(test_depth_is_bounded_both_ways),
        cmocka_unit_test(test_values_are_bounded),
        cmocka_unit_test(test_many_keys_and_a_long_text),
        cmocka_unit_test(test_fields_have_defaults),
        cmocka_unit_test(test_objects_written_in_c_are_canonical),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
