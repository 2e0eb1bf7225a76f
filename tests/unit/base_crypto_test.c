/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes: published vectors, unambiguous parts, HMAC, hex and key texts, threads. */
#include "base/crypto.h"
#include "base/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_hash(struct hash h, const char *hex)
{
    char text[2 * HASH_BYTES + 1];

    assert_string_equal(hash_hex(&h, text), hex);
}

static void test_published_vectors(void **state)
{
    char *million = malloc(1000000);

    (void)state;
    assert_hash(hash_of(STR("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash(hash_of((struct str){NULL, 0}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash(hash_of(STR("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    memset(million, 'a', 1000000);
    assert_hash(hash_of((struct str){million, 1000000}),
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void test_parts_are_length_and_bytes(void **state)
{
    const struct str parts[] = {STR("ab"), {NULL, 0}, STR("c")};
    const struct hash joined = hash_parts(parts, 3);

    (void)state;
    assert_true(hash_eq(&joined, &(struct hash[]){hash_of(STR("\2\0\0\0\0\0\0\0ab"
                                                              "\0\0\0\0\0\0\0\0"
                                                              "\1\0\0\0\0\0\0\0c"))}[0]));
    assert_hash(hash_parts(NULL, 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_where_the_parts_end_matters(void **state)
{
    const struct str a[] = {STR("ab"), STR("c")}, b[] = {STR("a"), STR("bc")}, c[] = {STR("abc")};
    const struct hash ha = hash_parts(a, 2), hb = hash_parts(b, 2), hc = hash_parts(c, 1);

    (void)state;
    assert_false(hash_eq(&ha, &hb));
    assert_false(hash_eq(&ha, &hc));
    assert_true(hash_eq(&ha, &ha));
}

static void test_hex_reads_back(void **state)
{
    const struct hash h = hash_of(STR("x"));
    char text[2 * HASH_BYTES + 1];
    struct hash back;

    (void)state;
    assert_int_equal(hash_from_hex(str_of(hash_hex(&h, text)), &back), 0);
    assert_true(hash_eq(&h, &back));
}

static void test_bad_hex_is_refused_and_changes_nothing(void **state)
{
    static const char bad[] = "/:@G`g \xff";
    const struct hash before = hash_of(STR("before"));
    char text[2 * HASH_BYTES + 2];
    struct hash h = before;
    size_t i, k;

    (void)state;
    memset(text, 'a', sizeof(text));
    for (i = 0; i < 2 * HASH_BYTES; i++) {
        assert_int_equal(hash_from_hex((struct str){text, i}, &h), ERR_INVALID);
        for (k = 0; k < sizeof(bad); k++) {
            text[i] = bad[k];
            assert_int_equal(hash_from_hex((struct str){text, 2 * HASH_BYTES}, &h), ERR_INVALID);
            text[i] = 'a';
        }
    }
    assert_int_equal(hash_from_hex((struct str){text, 2 * HASH_BYTES + 1}, &h), ERR_INVALID);
    assert_true(hash_eq(&h, &before));
    assert_int_equal(hash_from_hex((struct str){text, 2 * HASH_BYTES}, &h), 0);
    assert_int_equal(h.bytes[31], 0xaa);
}

static void test_keys_are_base32_of_twenty_bytes(void **state)
{
    struct hash h = {{0}};
    char key[33];
    int i;

    (void)state;
    assert_string_equal(hash_key(&h, key), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    memset(h.bytes, 0xff, 20);
    assert_string_equal(hash_key(&h, key), "77777777777777777777777777777777");
    memcpy(h.bytes, "foobarfoobarfoobarxy", 20);
    assert_string_equal(hash_key(&h, key), "mzxw6ytbojtg633cmfzgm33pmjqxe6dz");
    for (i = 20; i < HASH_BYTES; i++)
        h.bytes[i] ^= 0x5a;
    assert_string_equal(hash_key(&h, key), "mzxw6ytbojtg633cmfzgm33pmjqxe6dz");
}

/* Cases 1 and 6 of RFC 4231; keys of a whole block and of none. */
static void test_hmac(void **state)
{
    static const struct {
        size_t n;
        unsigned char key;
        const char *message, *narrow, *wide;
    } cases[] = {
        {20, 0x0b, "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
         "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
         "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
        {131, 0xaa, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
         "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
         "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
        {64, 0xaa, "x",
         "ce3c639dcb9d8baae5d44c3b8b5e233faab4d1860e07489af5c84f213998bd79",
         "43e1927b78bafac7eb42cae22fd2bcd682bf1950e06f3f11b69e282fe4c07318"
         "b8238181c28545ad2fb0ef6d09ec493589e70b8a562220e27e760cfa6c1c388a"},
        {128, 0xaa, "x",
         "35b047d8fc6684a7357de8ccd05befb40d1ca848dd14f7eb51baccf4446d0db7",
         "5b82498ec1ea9861b32c8a2c37a8a910f741ec22bc639eb1e6132f2d03677a28"
         "d81f94b00c5fc256fb8f0fcdd0ace0dc79d1a0b102b08187d51a1a2ad0bcec9e"},
        {0, 0xaa, "",
         "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
         "b936cee86c9f87aa5d3c6f2e84cb5a4239a5fe50480a6ec66b70ab5b1f4ac673"
         "0c6c515421b327ec1d69402e53dfb49ad7381eb067b338fd7b0cb22247225d47"},
    };
    unsigned char key[131], mac[HMAC_BYTES_MAX];
    char hex[2 * HMAC_BYTES_MAX + 1];
    size_t i, k, n;
    int wide;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (wide = 0; wide < 2; wide++) {
            memset(key, cases[i].key, sizeof(key));
            n = hash_hmac(wide, (struct str){(char *)key, cases[i].n}, str_of(cases[i].message), mac);
            for (k = 0; k < n; k++)
                snprintf(hex + 2 * k, 3, "%02x", mac[k]);
            assert_string_equal(hex, wide ? cases[i].wide : cases[i].narrow);
        }
    }
}

static void *hash_much(void *wanted)
{
    struct hash h = {{0}};
    int i;

    for (i = 0; i < 2000; i++)
        h = hash_of((struct str){(const char *)h.bytes, HASH_BYTES});
    return hash_eq(&h, wanted) ? wanted : NULL;
}

static void test_threads_hash_independently(void **state)
{
    pthread_t threads[4];
    struct hash wanted = {{0}};
    void *got;
    int i;

    (void)state;
    for (i = 0; i < 2000; i++)
        wanted = hash_of((struct str){(const char *)wanted.bytes, HASH_BYTES});
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_much, &wanted), 0);
    for (i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &got), 0);
        assert_ptr_equal(got, &wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_parts_are_length_and_bytes),
        cmocka_unit_test(test_where_the_parts_end_matters),
        cmocka_unit_test(test_hex_reads_back),
        cmocka_unit_test(test_bad_hex_is_refused_and_changes_nothing),
        cmocka_unit_test(test_keys_are_base32_of_twenty_bytes),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_threads_hash_independently),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
