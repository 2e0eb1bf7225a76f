/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of an answer: rows of a list, an object, lines of a log. */
#include "plugin/pick.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char items[] =
    "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"tok\",\"resourceVersion\":\"7\"},\"items\":["
    "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x.y/z\":\"1\"},\"managedFields\":[1,2]},\"n\":9007199254740993,\"none\":null,"
    "\"c\":[{\"r\":{\"s\":1}},{\"r\":{}},{\"r\":{\"s\":3}}],\"cond\":[{\"type\":\"A\",\"status\":\"no\"},"
    "{\"type\":\"B\",\"status\":\"yes\",\"gone\":null}]},"
    "{\"metadata\":{\"name\":\"b\\u0000\\u001b\"}}]}";

/* The canonical text of what pick_list makes of `text` with one path, or the error's text. */
static const char *list(const char *text, const char *path)
{
    static char out[2048];
    struct buf b = BUF_INIT(8 * KIB);
    json_t *fields = json_pack("{s:s}", "f", path), *picked = NULL;
    struct err e = {0};

    if (pick_list(str_of(text), fields, &picked, &e) < 0) {
        snprintf(out, sizeof(out), "%s", e.msg);
    } else {
        json_add_value(&b, json_object_get(picked, "rows"));
        snprintf(out, sizeof(out), "%s", buf_text(&b));
    }
    json_decref(fields);
    json_decref(picked);
    buf_free(&b);
    return out;
}

static void paths(void **state)
{
    static const struct {
        const char *path, *rows;
    } cases[] = {
        {"metadata.name", "[{\"f\":\"a\"},{\"f\":\"b\\u0000\\u001b\"}]"},
        {"metadata.labels[\"x.y/z\"]", "[{\"f\":\"1\"},{}]"},
        {"n", "[{\"f\":9007199254740993},{}]"},
        {"none", "[{},{}]"},
        {"c[].r.s", "[{\"f\":[1,3]},{}]"},
        {"c[]", "[{\"f\":[{\"r\":{\"s\":1}},{\"r\":{}},{\"r\":{\"s\":3}}]},{}]"},
        {"cond[type=B].status", "[{\"f\":\"yes\"},{}]"},
        {"cond[type=B]", "[{\"f\":{\"status\":\"yes\",\"type\":\"B\"}},{}]"},
        {"cond[type=C].status", "[{},{}]"},
        {"metadata.name.more", "[{},{}]"},
        {"metadata[].x", "[{},{}]"},
        {"metadata.managedFields[type=x]", "[{},{}]"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(list(items, cases[i].path), cases[i].rows);
}

static void broken_paths(void **state)
{
    static const char *const broken[] = {"", ".", "a..b", "a.", "[", "a[b]", "a[\"b]", "]", "a]b", "a[x=1", ".a"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_non_null(strstr(list(items, broken[i]), "is no path"));
    assert_non_null(strstr(list(items, "a.b.c.d.e.f.g.h.i.j.k.l.m"), "more than 12 steps"));
}

static void broken_lists(void **state)
{
    (void)state;
    assert_non_null(strstr(list("<html>", "a"), "no JSON"));
    assert_non_null(strstr(list("", "a"), "no JSON"));
    assert_non_null(strstr(list("{\"items\":[{}", "a"), "no JSON"));
    assert_non_null(strstr(list("{\"items\":{}}", "a"), "no list"));
    assert_non_null(strstr(list("{\"items\":[{\"a\":\"\xff\"}]}", "a"), "no JSON"));
    assert_string_equal(list("{\"items\":null}", "a"), "[]");
    assert_string_equal(list("{\"items\":[null,1,[],{}]}", "a"), "[{},{},{},{}]");
}

static void objects(void **state)
{
    struct buf b = BUF_INIT(8 * KIB);
    json_t *o = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(pick_object(STR("{\"metadata\":{\"managedFields\":[{\"a\\\\\":\"]\\\"[\"},[]],\"x\":null,\"y\":[{\"z\":null}]},"
                                     "\"n\":1.5}"), &o, &e), 0);
    json_add_value(&b, o);
    assert_string_equal(buf_text(&b), "{\"metadata\":{\"y\":[{}]},\"n\":1.5}");
    json_decref(o);
    buf_free(&b);
    assert_int_equal(pick_object(STR("[]"), &o, &e), ERR_INVALID);
    assert_int_equal(pick_object(STR("login"), &o, &e), ERR_INVALID);
    assert_int_equal(pick_object(STR("{\"managedFields\":[[\"]"), &o, &e), ERR_INVALID);
    assert_int_equal(pick_object(STR("{\"managedFields\":[{}"), &o, &e), ERR_INVALID);
}

static const char *lines(struct str text, const char *match, int at_most)
{
    static char out[2048];
    struct buf b = BUF_INIT(64 * KIB);
    json_t *how = json_pack("{s:s* s:i}", "match", match, "at_most", at_most), *picked = NULL;
    struct err e = {0};

    if (pick_lines(text, how, &picked, &e) < 0) {
        snprintf(out, sizeof(out), "%s", e.msg);
    } else {
        json_add_value(&b, picked);
        snprintf(out, sizeof(out), "%s", buf_text(&b));
    }
    json_decref(how);
    json_decref(picked);
    buf_free(&b);
    return out;
}

static void log_lines(void **state)
{
    (void)state;
    assert_string_equal(lines(STR("a\nb\r\nc"), NULL, 9),
                        "{\"bytes\":6,\"lines\":[\"a\",\"b\",\"c\"],\"matched\":3,\"total\":3}");
    assert_string_equal(lines(STR("a1\nb2\na3\n"), "^a", 1), "{\"bytes\":9,\"lines\":[\"a3\"],\"matched\":2,\"total\":3}");
    assert_string_equal(lines(STR(""), "x", 5), "{\"bytes\":0,\"lines\":[],\"matched\":0,\"total\":0}");
    assert_string_equal(lines(STR("x\0ERR\n\xff\n"), "ERR", 5),
                        "{\"bytes\":8,\"lines\":[\"x\\u0000ERR\"],\"matched\":1,\"total\":2}");
    assert_string_equal(lines(STR("\x1b[31mERR\xff\n"), "ERR", 5),
                        "{\"bytes\":10,\"lines\":[\"\\u001b[31mERR\xef\xbf\xbd\"],\"matched\":1,\"total\":1}");
    assert_non_null(strstr(lines(STR("a"), "(", 1), "is no regular expression"));
    assert_non_null(strstr(lines(STR("a"), "(a)\\1", 1), "back-references"));
    assert_non_null(strstr(lines(STR("a"), "(a{9}){9}", 1), "one {bound}"));
    assert_string_equal(lines(STR("a\\1"), "a\\\\1", 1), "{\"bytes\":3,\"lines\":[\"a\\\\1\"],\"matched\":1,\"total\":1}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths), cmocka_unit_test(broken_paths), cmocka_unit_test(broken_lists),
        cmocka_unit_test(objects), cmocka_unit_test(log_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
