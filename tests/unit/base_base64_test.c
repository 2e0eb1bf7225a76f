/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: the vectors of RFC 4648, every byte at every place, what is no base64, and room that is too small. */
#include "base/base64.h"
#include "base/err.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *bytes, *text;
} vectors[] = {
    {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

static void test_published_vectors(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct buf text = BUF_INIT(KIB), bytes = BUF_INIT(KIB);

        base64_add(&text, vectors[i].bytes, strlen(vectors[i].bytes));
        assert_string_equal(buf_text(&text), vectors[i].text);
        assert_int_equal(base64_read(str_of(vectors[i].text), &bytes), 0);
        assert_string_equal(buf_text(&bytes), vectors[i].bytes);
        buf_free(&text);
        buf_free(&bytes);
    }
}

static void test_every_byte_reads_back_at_every_place(void **state)
{
    unsigned char in[259];
    size_t i, n;

    (void)state;
    for (i = 0; i < sizeof(in); i++)
        in[i] = (unsigned char)(i * 7);
    for (n = 253; n <= sizeof(in); n++) {
        struct buf text = BUF_INIT(KIB), bytes = BUF_INIT(KIB);

        buf_adds(&text, "before ");
        base64_add(&text, in, n);
        assert_int_equal(text.len, 7 + (n + 2) / 3 * 4);
        assert_int_equal(base64_read(str_of(buf_text(&text) + 7), &bytes), 0);
        assert_int_equal(bytes.len, n);
        assert_memory_equal(bytes.data, in, n);
        buf_free(&text);
        buf_free(&bytes);
    }
}

static void test_what_is_no_base64(void **state)
{
    static const char *const bad[] = {"Z", "Zg=", "Zg", "Zg===", "====", "Z===", "Z=g=", "Zm9=v",
                                      "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm9-", "Zm\xc3\xb6", "Zm9vZ!=="};
    struct buf out = BUF_INIT(KIB);
    size_t i;

    (void)state;
    buf_adds(&out, "kept");
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (base64_read(str_of(bad[i]), &out) != ERR_INVALID)
            fail_msg("%s was taken", bad[i]);
        assert_string_equal(buf_text(&out), "kept");
    }
    assert_int_equal(base64_read((struct str){"Zm\0v", 4}, &out), ERR_INVALID);
    buf_free(&out);
}

static void test_no_room(void **state)
{
    struct buf text = BUF_INIT(7), bytes = BUF_INIT(3);

    (void)state;
    base64_add(&text, "foob", 4);
    assert_true(text.failed);
    assert_int_equal(text.len, 0);
    assert_int_equal(base64_read(STR("Zm9vYg=="), &bytes), ERR_LIMIT);
    buf_free(&text);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_every_byte_reads_back_at_every_place),
        cmocka_unit_test(test_what_is_no_base64),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
