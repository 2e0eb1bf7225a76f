/* SPDX-License-Identifier: Apache-2.0 */
/* YAML: the core schema, places, and everything outside the subset refused where it stands. */
#include "base/json.h"
#include "base/limits.h"
#include "base/yaml.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct yaml *read_good(struct str text)
{
    struct yaml *y = NULL;
    struct err e = {0};
    char why[2000];

    if (yaml_read(text, "a.yaml", 1, &y, &e) != 0)
        fail_msg("%.*s: %s", (int)(text.n > 200 ? 200 : text.n), text.p, err_text(&e, why, sizeof(why)));
    return y;
}

static void assert_json(struct str text, const char *want)
{
    struct yaml *y = read_good(text);
    struct buf b = BUF_INIT(100000);
    json_t *v = yaml_to_json(y);

    assert_int_equal(json_add_value(&b, v), 0);
    assert_string_equal(buf_text(&b), want);
    json_decref(v);
    yaml_tree_free(y);
    buf_free(&b);
}

/* Refused at `where` with a message that contains `reason`; nothing is handed out. */
static void assert_refused(struct str text, int code, const char *where, const char *reason)
{
    struct yaml untouched, *y = &untouched;
    struct err e = {0};
    char why[2000];
    int rc = yaml_read(text, "a.yaml", 1, &y, &e);

    if (rc != code || e.code != code || y != &untouched || !strstr(e.msg, reason) || strcmp(e.where, where) != 0)
        fail_msg("%.*s: %d %s", (int)(text.n > 60 ? 60 : text.n), text.p, rc, err_text(&e, why, sizeof(why)));
    assert_int_equal(yaml_read(text, NULL, 1, &y, NULL), code);
    assert_ptr_equal(y, &untouched);
}

static void test_scalars_follow_the_core_schema(void **state)
{
    static const struct {
        const char *text;
        enum yaml_type type;
        const char *json;
    } cases[] = {
        {"null", YAML_NULL, "null"},       {"~", YAML_NULL, "null"},          {"NULL", YAML_NULL, "null"},
        {"nUll", YAML_STRING, "\"nUll\""}, {"true", YAML_BOOL, "true"},       {"False", YAML_BOOL, "false"},
        {"no", YAML_STRING, "\"no\""},     {"NO", YAML_STRING, "\"NO\""},     {"yes", YAML_STRING, "\"yes\""},
        {"on", YAML_STRING, "\"on\""},     {"y", YAML_STRING, "\"y\""},       {"0", YAML_INT, "0"},
        {"-0", YAML_INT, "0"},             {"+12", YAML_INT, "12"},           {"-12", YAML_INT, "-12"},
        {"012", YAML_STRING, "\"012\""},   {"-012", YAML_STRING, "\"-012\""}, {"00", YAML_STRING, "\"00\""},
        {"0x1F", YAML_INT, "31"},          {"0o17", YAML_INT, "15"},          {"0o18", YAML_STRING, "\"0o18\""},
        {"0x", YAML_STRING, "\"0x\""},     {"0b11", YAML_STRING, "\"0b11\""}, {"1_000", YAML_STRING, "\"1_000\""},
        {"1:30", YAML_STRING, "\"1:30\""}, {"1.0", YAML_FLOAT, "1.0"},        {"1.", YAML_FLOAT, "1.0"},
        {".5", YAML_FLOAT, "0.5"},         {"-.5", YAML_FLOAT, "-0.5"},       {"-0.0", YAML_FLOAT, "-0.0"},
        {"1e3", YAML_FLOAT, "1000.0"},     {"1E-2", YAML_FLOAT, "0.01"},      {"1e", YAML_STRING, "\"1e\""},
        {"e1", YAML_STRING, "\"e1\""},     {"1e+", YAML_STRING, "\"1e+\""},   {".", YAML_STRING, "\".\""},
        {"+", YAML_STRING, "\"+\""},       {"-.", YAML_STRING, "\"-.\""},     {".e1", YAML_STRING, "\".e1\""},
        {"1.2.3", YAML_STRING, "\"1.2.3\""},
        {"1-2", YAML_STRING, "\"1-2\""},
        {"2026-11-24", YAML_STRING, "\"2026-11-24\""},
        {"10m", YAML_STRING, "\"10m\""},
        {"inf", YAML_STRING, "\"inf\""},
        {"nan", YAML_STRING, "\"nan\""},
        {"1e-999", YAML_FLOAT, "0.0"},
        {"9223372036854775807", YAML_INT, "9223372036854775807"},
        {"-9223372036854775808", YAML_INT, "-9223372036854775808"},
        {"0x7fffffffffffffff", YAML_INT, "9223372036854775807"},
        {"'12'", YAML_STRING, "\"12\""},
        {"\"true\"", YAML_STRING, "\"true\""},
        {"\"\"", YAML_STRING, "\"\""},
        {"\"a\\tb\\u00e9\\r\\n\"", YAML_STRING, "\"a\\tb\xc3\xa9\\r\\n\""},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yaml *y = read_good(str_of(cases[i].text));

        if (y->type != cases[i].type)
            fail_msg("%s is %s", cases[i].text, yaml_type_name(y->type));
        yaml_tree_free(y);
        assert_json(str_of(cases[i].text), cases[i].json);
    }
}

static void test_numbers_that_do_not_fit_ask_for_quotes(void **state)
{
    static const char *const bad[] = {
        "9223372036854775808", "-9223372036854775809", "0x8000000000000000", "123456789012345678901234567890", "1e999",
        "-1e999", ".inf", "-.Inf", "+.INF", ".nan", ".NaN",
    };
    struct yaml *y = NULL;
    struct err e = {0};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[64];

        snprintf(text, sizeof(text), "a: %s", bad[i]);
        assert_refused(str_of(text), ERR_INVALID, "a.yaml:1:4", bad[i]);
        assert_int_equal(yaml_read(str_of(text), "a.yaml", 1, &y, &e), ERR_INVALID);
        assert_non_null(strstr(e.hint, "quotes"));
        snprintf(text, sizeof(text), "a: '%s'", bad[i]);
        y = read_good(str_of(text));
        assert_true(str_is(yaml_get(y, "a")->text, bad[i]));
        yaml_tree_free(y);
        y = NULL;
    }
}

static void test_trees(void **state)
{
    (void)state;
    assert_json(STR("a: 1\nb: [x, {c: 2.5}, ~]\nc:\n  - y\n  -\n    z: true\nd:\n"),
                "{\"a\":1,\"b\":[\"x\",{\"c\":2.5},null],\"c\":[\"y\",{\"z\":true}],\"d\":null}");
    assert_json(STR("{}"), "{}");
    assert_json(STR("[]"), "[]");
    assert_json(STR("--- a\n...\n"), "\"a\"");
    assert_json(STR("# only\na: b # comment\n"), "{\"a\":\"b\"}");
    assert_json(STR("a: |\n  x\n   y\nb: >\n  p\n  q\n"), "{\"a\":\"x\\n y\\n\",\"b\":\"p q\\n\"}");
    assert_json(STR("{\"a\": [1, 2], \"b\": {\"c\": null}}"), "{\"a\":[1,2],\"b\":{\"c\":null}}");
    assert_json(STR("\xc3\xa9: \xf0\x9f\x98\x80\n"), "{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}");
}

static void test_nodes_know_their_place_in_the_file(void **state)
{
    const struct str text = STR("a: 1\nb:\n  - x\n  - {c: y}\n");
    struct yaml *y = NULL, *b;
    struct err e = {0};

    (void)state;
    assert_int_equal(yaml_read(text, "book.md", 10, &y, &e), 0);
    assert_int_equal(y->line, 10);
    assert_int_equal(y->column, 1);
    b = yaml_get(y, "b");
    assert_int_equal(y->keys[1]->line, 11);
    assert_int_equal(b->line, 12);
    assert_int_equal(b->items[0]->column, 5);
    assert_int_equal(b->items[1]->items[0]->line, 13);
    assert_int_equal(b->items[1]->items[0]->column, 9);
    assert_int_equal(yaml_err(&e, "book.md", b->items[0], "not %s", "this"), ERR_INVALID);
    assert_string_equal(e.where, "book.md:12:5");
    assert_string_equal(e.msg, "not this");
    yaml_err(&e, "book.md", NULL, "x");
    assert_string_equal(e.where, "book.md");
    yaml_tree_free(y);
    assert_int_equal(yaml_read(STR("a: 1\nb: [\n"), "book.md", 10, &y, &e), ERR_INVALID);
    assert_memory_equal(e.where, "book.md:1", 9);
    assert_int_equal(yaml_read(STR("\xc3\xa9: [\xc3\xa9, .inf]\n"), "book.md", 10, &y, &e), ERR_INVALID);
    assert_string_equal(e.where, "book.md:10:8");
}

static void test_what_is_outside_the_subset(void **state)
{
    (void)state;
    assert_refused(STR("a: &x 1\n"), ERR_INVALID, "a.yaml:1:4", "anchors");
    assert_refused(STR("a: *x\n"), ERR_INVALID, "a.yaml:1:4", "aliases");
    assert_refused(STR("a: &x [1]\nb: *x\n"), ERR_INVALID, "a.yaml:1:4", "anchors");
    assert_refused(STR("a: &x {b: *x}\n"), ERR_INVALID, "a.yaml:1:4", "anchors");
    assert_refused(STR("&x a: 1\n"), ERR_INVALID, "a.yaml:1:1", "anchors");
    assert_refused(STR("a: !!str 1\n"), ERR_INVALID, "a.yaml:1:4", "tags");
    assert_refused(STR("a: ! 1\n"), ERR_INVALID, "a.yaml:1:4", "tags");
    assert_refused(STR("a: !!python/object/apply:os.system [id]\n"), ERR_INVALID, "a.yaml:1:4", "tags");
    assert_refused(STR("!!map {a: 1}\n"), ERR_INVALID, "a.yaml:1:1", "tags");
    assert_refused(STR("<<: {a: 1}\n"), ERR_INVALID, "a.yaml:1:1", "merge");
    assert_refused(STR("a: 1\n---\nb: 2\n"), ERR_INVALID, "a.yaml:2:1", "second document");
    assert_refused(STR("a: 1\n...\n---\nb: 2\n"), ERR_INVALID, "a.yaml:3:1", "second document");
    assert_refused(STR("1: a\n"), ERR_INVALID, "a.yaml:1:1", "key must be a text, not an integer");
    assert_refused(STR("a: {true: b}\n"), ERR_INVALID, "a.yaml:1:5", "key must be a text, not true or false");
    assert_refused(STR("~: a\n"), ERR_INVALID, "a.yaml:1:1", "key is missing");
    assert_refused(STR("? [a]\n: b\n"), ERR_INVALID, "a.yaml:1:3", "key must be a text, not a list");
    assert_refused(STR("{a: b}: c\n"), ERR_INVALID, "a.yaml:1:1", "key must be a text, not a map");
    assert_refused(STR(""), ERR_INVALID, "a.yaml:1:1", "empty");
    assert_refused((struct str){NULL, 0}, ERR_INVALID, "a.yaml:1:1", "empty");
    assert_refused(STR("# nothing\n"), ERR_INVALID, "a.yaml:1:1", "empty");
    assert_refused(STR("a: \"x\\0y\"\n"), ERR_INVALID, "a.yaml:1:4", "NUL");
    assert_refused(STR("a: x\0y\n"), ERR_INVALID, "a.yaml:1:5", "control characters");
    assert_refused(STR("a: 1\nb: \x1b[31m\n"), ERR_INVALID, "a.yaml:2:4", "control characters");
    assert_refused(STR("a: \"\\ud800\"\n"), ERR_INVALID, "a.yaml:1:7", "Unicode");
    assert_refused(STR("a: [1\nb: 2\n"), ERR_INVALID, "a.yaml:2:2", "did not find");
    assert_refused(STR("a: 1\n b: 2\n"), ERR_INVALID, "a.yaml:2:3", "not allowed");
    assert_refused(STR("a: 'x\n"), ERR_INVALID, "a.yaml:2:1", "quoted scalar");
}

static void test_duplicate_keys(void **state)
{
    (void)state;
    assert_refused(STR("a: 1\nb: 2\na: 3\n"), ERR_INVALID, "a.yaml:3:1",
                   "'a' stands here a second time (first in line 1)");
    assert_refused(STR("x:\n  - {k: 1, 'k': 2}\n"), ERR_INVALID, "a.yaml:2:12", "'k'");
    assert_refused(STR("\"\\x61\": 1\na: 2\n"), ERR_INVALID, "a.yaml:2:1", "'a'");
    assert_refused(STR("z: 1\nb: 1\nb: 2\nz: 2\n"), ERR_INVALID, "a.yaml:3:1", "'b'");
    assert_refused(STR("a: 1\na: 2\na: 3\n"), ERR_INVALID, "a.yaml:2:1", "first in line 1");
    assert_json(STR("a: {k: 1}\nb: {k: 2}\nk: 3\nkk: 4\n"), "{\"a\":{\"k\":1},\"b\":{\"k\":2},\"k\":3,\"kk\":4}");
}

static void test_what_editors_leave_behind(void **state)
{
    (void)state;
    assert_refused(STR("\xef\xbb\xbf"
                       "a: 1\n"),
                   ERR_INVALID, "a.yaml:1:1", "byte order mark");
    assert_refused(STR("a: 1\r\nb: 2\r\n"), ERR_INVALID, "a.yaml:1:5", "CR LF");
    assert_refused(STR("a: 1\nb: |\n  x\r\n"), ERR_INVALID, "a.yaml:3:4", "CR LF");
    assert_refused(STR("a: 1\rb: 2"), ERR_INVALID, "a.yaml:1:5", "carriage return");
    assert_refused(STR("\xff\xfe"
                       "a\0:\0"),
                   ERR_INVALID, "a.yaml:1:1", "not UTF-8");
    assert_refused(STR("a: 1\n\xc3\xa9: \xe9\n"), ERR_INVALID, "a.yaml:2:4", "not UTF-8");
    assert_refused(STR("a: 1\nb: x\xe2\x82"), ERR_INVALID, "a.yaml:2:5", "not UTF-8");
    assert_refused(STR("a: \xed\xa0\x80\n"), ERR_INVALID, "a.yaml:1:4", "not UTF-8");
}

static void test_tabs_do_not_indent(void **state)
{
    (void)state;
    assert_refused(STR("a:\n\tb: 1\n"), ERR_INVALID, "a.yaml:2:1", "a tab indents here");
    assert_refused(STR("a:\n  \tb: 1\n"), ERR_INVALID, "a.yaml:2:3", "a tab indents here");
    assert_refused(STR("a: [\n\t1]\n"), ERR_INVALID, "a.yaml:2:1", "a tab indents here");
    assert_refused(STR("a: x\n\ty\n"), ERR_INVALID, "a.yaml:2:1", "a tab indents here");
    assert_refused(STR("a: 1\n\t\nb: 2\n"), ERR_INVALID, "a.yaml:2:1", "a tab indents here");
    assert_refused(STR("a: 1\n\t# comment\n"), ERR_INVALID, "a.yaml:2:1", "a tab indents here");
    assert_refused(STR("a: |\n\tx\n"), ERR_INVALID, "a.yaml:2:1", "a tab indents here");
    assert_refused(STR("a: |\n  x\n  \ty\nb:\n\tc: 1\n"), ERR_INVALID, "a.yaml:5:1", "a tab indents here");
    assert_refused(STR("\ta: |\n  \tx\n"), ERR_INVALID, "a.yaml:1:1", "a tab indents here");
}

static void test_tabs_elsewhere_are_content(void **state)
{
    (void)state;
    assert_json(STR("a: |\n  all:\n  \tcc x\n\nb: 1\n"), "{\"a\":\"all:\\n\\tcc x\\n\",\"b\":1}");
    assert_json(STR("a: |\n  all:\n  \tcc x"), "{\"a\":\"all:\\n\\tcc x\"}");
    assert_json(STR("a: >-\n  p\n  \tq\nb: |2\n  \tr\n  \ts\n"), "{\"a\":\"p\\n\\tq\",\"b\":\"\\tr\\n\\ts\\n\"}");
    assert_json(STR("a:\tx\ty\t# c\n"), "{\"a\":\"x\\ty\"}");
    assert_json(STR("a: 1\n   \nb: 2\n"), "{\"a\":1,\"b\":2}");
}

static void test_bombs_are_bounded(void **state)
{
    struct buf b = BUF_INIT(2 * MIB);
    struct yaml *y;
    int i, k;

    (void)state;
    buf_adds(&b, "a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (i = 'b'; i < 'j'; i++) {
        buf_addf(&b, "%c: &%c [", i, i);
        for (k = 0; k < 9; k++)
            buf_addf(&b, "*%c, ", i - 1);
        buf_adds(&b, "]\n");
    }
    assert_refused((struct str){b.data, b.len}, ERR_INVALID, "a.yaml:1:4", "anchors");

    for (i = YAML_DEPTH_MAX; i <= YAML_DEPTH_MAX + 1; i++) {
        buf_reset(&b);
        while (b.len < (size_t)i)
            buf_addc(&b, '[');
        while (b.len < 2 * (size_t)i)
            buf_addc(&b, ']');
        if (i == YAML_DEPTH_MAX)
            yaml_tree_free(read_good((struct str){b.data, b.len}));
    }
    assert_refused((struct str){b.data, b.len}, ERR_LIMIT, "a.yaml:1:33", "nested deeper");
    buf_reset(&b);
    while (b.len < 500000)
        buf_adds(&b, "[{a: ");
    assert_refused((struct str){b.data, b.len}, ERR_LIMIT, "a.yaml:1:81", "nested deeper");

    buf_reset(&b);
    for (i = 0; i < YAML_NODES_MAX - 1; i++)
        buf_adds(&b, "- 1\n");
    y = read_good((struct str){b.data, b.len});
    assert_int_equal(y->n, YAML_NODES_MAX - 1);
    yaml_tree_free(y);
    buf_adds(&b, "- 1\n");
    assert_refused((struct str){b.data, b.len}, ERR_LIMIT, "a.yaml:100000:3", "values");

    buf_reset(&b);
    while (b.len <= YAML_BYTES_MAX)
        buf_adds(&b, "#");
    assert_refused((struct str){b.data, b.len}, ERR_LIMIT, "a.yaml:1:1", "larger");
    buf_free(&b);
}

static void test_many_keys_of_one_map(void **state)
{
    struct buf b = BUF_INIT(2 * MIB);
    struct yaml *y;
    int i;

    (void)state;
    for (i = 0; i < 49000; i++)
        buf_addf(&b, "key-%d: x\n", i);
    y = read_good((struct str){b.data, b.len});
    assert_int_equal(y->n, 49000);
    assert_non_null(yaml_get(y, "key-48999"));
    yaml_tree_free(y);
    buf_adds(&b, "key-77: x\n");
    assert_refused((struct str){b.data, b.len}, ERR_INVALID, "a.yaml:49001:1",
                   "'key-77' stands here a second time (first in line 78)");
    buf_free(&b);
}

/* Every prefix is either a shorter document or one error in the file; none reads past its end. */
static void test_a_text_cut_anywhere(void **state)
{
    const struct str whole = STR("a: &x [1, 'two', \"thr\\u00e9e\"]\nb:\n  c: |\n    te\n    \txt\n"
                                 "  d: {e: ~, f: \xe2\x82\xac}\n? g\n: !!str h\n");
    const struct str good = STR("a: [1, 'two', \"thr\\u00e9e\"]\nb:\n  c: |\n    te\n    \txt\n"
                                "  d: {e: ~, f: \xe2\x82\xac}\n? g\n: h\n");
    struct str texts[] = {whole, good};
    size_t i, k;

    (void)state;
    for (k = 0; k < 2; k++) {
        for (i = 0; i <= texts[k].n; i++) {
            char *cut = xmemdup(texts[k].p, i);
            struct yaml *y = NULL;
            struct err e = {0};
            int rc = yaml_read((struct str){cut, i}, "a.yaml", 1, &y, &e);

            assert_true(rc == 0 ? y && e.code == 0 : !y && e.code == rc && strncmp(e.where, "a.yaml:", 7) == 0);
            yaml_tree_free(y);
            free(cut);
        }
    }
    yaml_tree_free(read_good(good));
}

static void test_random_damage_never_confuses_it(void **state)
{
    static const char bytes[] = "\t\r\n :-?[]{}&*!|>'\"%@`#,\\\0\x80\xff" "a0.~<";
    const struct str good = STR("a: [1, 'two', \"x\"]\nb:\n  c: |\n    text\n  d: {e: ~, f: g}\n- h\n");
    char text[80];
    int round, hits;

    (void)state;
    srand(5);
    for (round = 0; round < 20000; round++) {
        struct yaml *y = NULL;
        struct err e = {0};
        int rc;

        memcpy(text, good.p, good.n);
        for (hits = 1 + rand() % 4; hits > 0; hits--)
            text[(size_t)rand() % good.n] = bytes[(size_t)rand() % (sizeof(bytes) - 1)];
        rc = yaml_read((struct str){text, good.n}, "a.yaml", 1, &y, &e);
        if (rc == 0) {
            json_t *v = yaml_to_json(y);
            struct buf b = BUF_INIT(1000);

            assert_int_equal(json_add_value(&b, v), 0);
            json_decref(v);
            buf_free(&b);
        }
        assert_true(rc == 0 ? y != NULL : !y && e.msg[0] && strncmp(e.where, "a.yaml:", 7) == 0);
        yaml_tree_free(y);
    }
}

static void test_values_are_found_by_key(void **state)
{
    struct yaml *y = read_good(STR("a: 1\nb: [x]\n"));

    (void)state;
    assert_int_equal(yaml_get(y, "a")->integer, 1);
    assert_true(yaml_get(y, "a")->number == 1.0);
    assert_true(str_is(yaml_get(y, "a")->text, "1"));
    assert_null(yaml_get(y, "c"));
    assert_null(yaml_get(y, ""));
    assert_null(yaml_get(NULL, "a"));
    assert_null(yaml_get(yaml_get(y, "b"), "x"));
    assert_null(yaml_get(yaml_get(y, "a"), "x"));
    yaml_tree_free(y);
    yaml_tree_free(NULL);
}

static void test_unknown_keys_name_the_nearest(void **state)
{
    static const char *const known[] = {"limits", "may", "runbook"};
    struct yaml *y = read_good(STR("may: []\nlimit: 3\n")), *other;
    struct err e = {0};

    (void)state;
    assert_int_equal(yaml_only_keys(y, "a.md", known, 3, &e), ERR_INVALID);
    assert_string_equal(e.where, "a.md:2:1");
    assert_string_equal(e.msg, "unknown key 'limit'");
    assert_string_equal(e.hint, "did you mean 'limits'?");
    assert_int_equal(yaml_only_keys(y, "a.md", known, 3, NULL), ERR_INVALID);
    yaml_tree_free(y);
    y = read_good(STR("may: { runbook: no page, and no answer }\n"));
    assert_int_equal(yaml_only_keys(yaml_get(y, "may"), "a.md", known, 3, &e), ERR_INVALID);
    assert_string_equal(e.msg, "unknown key 'and no answer'");
    assert_non_null(strstr(e.hint, "written in quotes"));
    yaml_tree_free(y);
    y = read_good(STR("something-else: 3\n"));
    yaml_only_keys(y, "a.md", known, 3, &e);
    assert_string_equal(e.hint, "known are limits, may, runbook");
    yaml_tree_free(y);
    y = read_good(STR("may: [a]\nrunbook: x\n"));
    err_clear(&e);
    assert_int_equal(yaml_only_keys(y, "a.md", known, 3, &e), 0);
    assert_int_equal(yaml_only_keys(NULL, "a.md", known, 3, &e), 0);
    assert_int_equal(e.code, 0);
    other = yaml_get(y, "may");
    assert_int_equal(yaml_only_keys(other, "a.md", known, 3, &e), ERR_INVALID);
    assert_string_equal(e.msg, "a map is expected here, not a list");
    assert_string_equal(e.where, "a.md:1:6");
    assert_int_equal(yaml_only_keys(yaml_get(y, "runbook"), "a.md", known, 3, &e), ERR_INVALID);
    yaml_tree_free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars_follow_the_core_schema),
        cmocka_unit_test(test_numbers_that_do_not_fit_ask_for_quotes),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_nodes_know_their_place_in_the_file),
        cmocka_unit_test(test_what_is_outside_the_subset),
        cmocka_unit_test(test_duplicate_keys),
        cmocka_unit_test(test_what_editors_leave_behind),
        cmocka_unit_test(test_tabs_do_not_indent),
        cmocka_unit_test(test_tabs_elsewhere_are_content),
        cmocka_unit_test(test_bombs_are_bounded),
        cmocka_unit_test(test_many_keys_of_one_map),
        cmocka_unit_test(test_a_text_cut_anywhere),
        cmocka_unit_test(test_random_damage_never_confuses_it),
        cmocka_unit_test(test_values_are_found_by_key),
        cmocka_unit_test(test_unknown_keys_name_the_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
