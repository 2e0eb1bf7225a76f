/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle's id is what its sources are: the same sources, the same id; nothing comes
 * back from a journal that is not what the manifest says. */
#include "book/bundle.h"

#include "base/embedded.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct source {
    const char *path, *text;
};
static const struct source sources[] = {{"t.md", "# T"}, {"lua/a.lua", "return 1"}, {"plugins/shell.lua", "return {}"}};

static struct bundle *make(const struct source *list, size_t n, bool backwards)
{
    struct bundle *b = bundle_new();
    struct err e = {0};
    size_t i;

    for (i = 0; i < n; i++) {
        const struct source *s = &list[backwards ? n - 1 - i : i];

        assert_int_equal(bundle_add(b, s->path, str_of(s->text), &e), 0);
    }
    return b;
}

static void assert_other(struct bundle *b, const char *id)
{
    bundle_seal(b, "5.4.4");
    assert_string_not_equal(b->id, id);
    bundle_free(b);
}

static void test_the_id_is_the_content(void **state)
{
    struct source other[3];
    struct bundle *a = make(sources, 3, false), *b = make(sources, 3, true);

    (void)state;
    bundle_seal(a, "5.4.4");
    bundle_seal(b, "5.4.4");
    assert_string_equal(a->id, b->id);
    assert_int_equal(strlen(a->id), 64);
    assert_string_equal(a->files[0].path, "lua/a.lua");
    bundle_free(b);
    memcpy(other, sources, sizeof(other));
    other[1].text = "return 2";
    assert_other(make(other, 3, false), a->id);
    other[1] = (struct source){"lua/b.lua", "return 1"};
    assert_other(make(other, 3, false), a->id);
    assert_other(make(sources, 2, false), a->id);
    b = make(sources, 3, false);
    b->commit = xstrdup("0123456789abcdef");
    assert_other(b, a->id);
    b = make(sources, 3, false);
    b->dirty = true;
    assert_other(b, a->id);
    b = make(sources, 3, false);
    bundle_seal(b, "5.4.6");
    assert_string_not_equal(b->id, a->id);
    bundle_free(b);
    bundle_free(a);
}

static void test_a_manifest_says_all(void **state)
{
    struct bundle *b = make(sources, 2, false);
    struct buf m = BUF_INIT(MIB);

    (void)state;
    bundle_seal(b, "5.4.4");
    bundle_manifest(b, &m);
    assert_string_equal(buf_text(&m),
                        "{\"abi\":2,\"dirty\":false,\"files\":{"
                        "\"lua/a.lua\":\"486d9affb60dbb0063b03d8e23a6ccf6364ce203dc3a9f56f20e750eb41ecade\","
                        "\"t.md\":\"4321893dc18b145ad336300ff5929711a5a3836075522f016a319d8b3793304e\"},\"lua\":\"5.4.4\"}");
    buf_free(&m);
    bundle_free(b);
}

static void test_from_the_journal(void **state)
{
    struct bundle *a = make(sources, 3, false), *b = NULL;
    struct buf m = BUF_INIT(MIB);
    struct err e = {0};
    size_t i;

    (void)state;
    bundle_seal(a, "5.4.4");
    bundle_manifest(a, &m);
    assert_int_equal(bundle_open((struct str){m.data, m.len}, &b, &e), 0);
    assert_string_equal(b->id, a->id);
    assert_string_equal(b->lua_release, "5.4.4");
    assert_int_equal(b->nfiles, 3);
    assert_int_equal(bundle_get(b, "t.md").n, 0);
    for (i = 0; i < 3; i++)
        assert_int_equal(bundle_restore_file(b, sources[i].path, str_of(sources[i].text), &e), 0);
    assert_true(str_is(bundle_get(b, "lua/a.lua"), "return 1"));
    assert_true(str_is(bundle_get(b, "nothing"), ""));
    assert_int_equal(bundle_restore_file(b, "t.md", STR("# t"), &e), ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "t.md in the journal is not what its hash says"));
    assert_true(str_is(bundle_get(b, "t.md"), "# T"));
    assert_int_equal(bundle_restore_file(b, "lua/z.lua", STR("x"), &e), ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "lua/z.lua is not in the manifest"));
    bundle_free(a);
    bundle_free(b);
    buf_free(&m);
}

/* What the program has itself has the hash of its text, and is not copied; another text of that name is. */
static void test_texts_of_the_program(void **state)
{
    size_t i, n;
    const struct embedded *all = embedded_all(&n);
    struct bundle *b = bundle_new();
    struct err e = {0};
    struct hash h;

    (void)state;
    assert_true(n > 50);
    for (i = 0; i < n; i++) {
        h = hash_of(all[i].text);
        assert_true(hash_eq(&all[i].sha256, &h));
        assert_ptr_equal(embedded_find(all[i].path), &all[i]);
    }
    assert_null(embedded_find("lua/nothing.lua"));
    assert_int_equal(bundle_add(b, "lua/remedy.lua", embedded_find("lua/remedy.lua")->text, &e), 0);
    assert_int_equal(bundle_add(b, "lua/wait.lua", STR("return 1"), &e), 0);
    assert_ptr_equal(b->files[0].text.p, embedded_find("lua/remedy.lua")->text.p);
    assert_true(hash_eq(&b->files[0].sha256, &embedded_find("lua/remedy.lua")->sha256));
    h = hash_of(STR("return 1"));
    assert_true(hash_eq(&b->files[1].sha256, &h));
    assert_true(str_is(b->files[1].text, "return 1"));
    bundle_free(b);
}

static void test_manifests_that_are_refused(void **state)
{
    static const struct {
        const char *manifest;
        int code;
        const char *says;
    } cases[] = {
        {"", ERR_INVALID, ""},
        {"[", ERR_INVALID, ""},
        {"[]", ERR_INVALID, ""},
        {"{\"abi\":3,\"files\":{}}", ERR_INVALID, "the run has abi 3, this program runs abi 2 and the one before"},
        {"{\"abi\":0,\"files\":{}}", ERR_INVALID, "the run has abi 0"},
        {"{\"files\":{}}", ERR_INVALID, "abi"},
        {"{\"abi\":1,\"files\":{\"t.md\":\"12\"}}", ERR_CORRUPT, "the manifest's hash of t.md is no hash"},
        {"{\"abi\":1,\"files\":{\"t.md\":7}}", ERR_CORRUPT, "is no hash"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bundle *b = NULL;
        struct err e = {0};
        int rc = bundle_open(str_of(cases[i].manifest), &b, &e);

        if (rc != cases[i].code || b || !strstr(e.msg, cases[i].says))
            fail_msg("%s: %d %s", cases[i].manifest, rc, e.msg);
    }
}

static void test_files_have_a_largest_size(void **state)
{
    struct bundle *b = bundle_new();
    char *big = xcalloc(1, RUNBOOK_BYTES_MAX + 1);
    struct err e = {0};

    (void)state;
    assert_int_equal(bundle_add(b, "a.lua", (struct str){big, MODULE_BYTES_MAX}, &e), 0);
    assert_int_equal(bundle_add(b, "b.lua", (struct str){big, MODULE_BYTES_MAX + 1}, &e), ERR_LIMIT);
    assert_int_equal(bundle_add(b, "a.md", (struct str){big, RUNBOOK_BYTES_MAX}, &e), 0);
    assert_int_equal(bundle_add(b, "b.md", (struct str){big, RUNBOOK_BYTES_MAX + 1}, &e), ERR_LIMIT);
    assert_int_equal(b->nfiles, 2);
    bundle_free(b);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_id_is_the_content),      cmocka_unit_test(test_a_manifest_says_all),
        cmocka_unit_test(test_from_the_journal),           cmocka_unit_test(test_texts_of_the_program),
        cmocka_unit_test(test_manifests_that_are_refused),
        cmocka_unit_test(test_files_have_a_largest_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
