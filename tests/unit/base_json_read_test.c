/* SPDX-License-Identifier: Apache-2.0 */
/* The quick reader and jansson agree on every text: what one takes the other takes, with the same value in the same
 * order. */
#include "base/json.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed = 20260;

static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static const char *const atoms[] = {
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\"a\"", "\"b\"", "\"\"", "\"\\n\"", "\"\xc3\xa9\"", "\"\xc3\"", "\"\xed\xa0\x80\"",
    "\"\x01\"", "\"\\u0061\"", "0", "-0", "1", "-1", "01", "-", "+1", ".5", "1.", "1.5", "-0.0", "1e3", "1E+3", "1e", "1e-400",
    "1e999", "123456789012345678", "1234567890123456789", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "0.1000000000000000055511151231257827021181583404541015625", "true", "false", "null", "truex", "nul", " ", "\n", "\t", "\r",
    "\v", "x", "{\"a\":1}", "{\"a\":{\"b\":[1,2,{}]}}", "[[],[0.25,\"x y\"]]", "{\"a\":1,\"a\":2}", "{\"\xc3\xa9\":1}",
    "{\"b\":1,\"a\":2}", "\xef\xbb\xbf",
};

static void add_random(struct buf *out, int depth)
{
    unsigned n = below(4), i;

    switch (depth > 4 ? 3 : below(5)) {
    case 0:
        buf_addc(out, '{');
        for (i = 0; i < n; i++) {
            buf_addf(out, "%s\"%c\":", i ? "," : "", 'a' + below(6));
            add_random(out, depth + 1);
        }
        buf_addc(out, '}');
        break;
    case 1:
        buf_addc(out, '[');
        for (i = 0; i < n; i++) {
            buf_adds(out, i ? ", " : "");
            add_random(out, depth + 1);
        }
        buf_addc(out, ']');
        break;
    default:
        buf_adds(out, atoms[below(sizeof(atoms) / sizeof(atoms[0]))]);
    }
}

/* One change of a text: an atom goes in, bytes go out, or one becomes another. */
static void mutate(struct buf *b)
{
    const char *atom = atoms[below(sizeof(atoms) / sizeof(atoms[0]))];
    size_t at = below((unsigned)b->len + 1), cut = below(3);
    struct buf out = BUF_INIT(MIB);

    cut = cut > b->len - at ? b->len - at : cut;
    buf_add(&out, b->data ? b->data : "", at);
    if (below(2))
        buf_adds(&out, atom);
    if (b->len)
        buf_add(&out, b->data + at + cut, b->len - at - cut);
    buf_free(b);
    *b = out;
}

/* Returns whether it is JSON. */
static bool compare(struct str text)
{
    json_t *ours = NULL, *theirs = json_loadb(text.n ? text.p : "", text.n,
                                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    int rc = json_read(text, &ours, NULL);
    bool same = (rc == 0) == (theirs != NULL) && (rc != 0 || json_equal(ours, theirs));

    if (same && theirs) {
        char *a = json_dumps(ours, JSON_ENCODE_ANY), *b = json_dumps(theirs, JSON_ENCODE_ANY);

        same = (!a && !b) || (a && b && strcmp(a, b) == 0);
        free(a);
        free(b);
    }
    if (!same)
        fail_msg("%.*s: %d, jansson %s", (int)text.n, text.p, rc, theirs ? "takes it" : "does not");
    json_decref(ours);
    json_decref(theirs);
    return rc == 0;
}

static void test_atoms(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(atoms) / sizeof(atoms[0]); i++)
        compare(str_of(atoms[i]));
}

static void test_random_texts(void **state)
{
    int i, taken = 0, refused = 0;

    (void)state;
    for (i = 0; i < 60000; i++) {
        struct buf b = BUF_INIT(MIB);
        unsigned changes = below(3);

        add_random(&b, 0);
        while (changes-- > 0)
            mutate(&b);
        if (compare((struct str){b.data, b.len}))
            taken++;
        else
            refused++;
        buf_free(&b);
    }
    assert_true(taken > 5000 && refused > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atoms),
        cmocka_unit_test(test_random_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
