/* SPDX-License-Identifier: Apache-2.0 */
/* Changes as bytes of the log: what was written is read again, what cannot be read is
 * refused; projections that were altered are put right from them. */
#include "journal_test.h"

#include "journal/audit.h"
#include "journal/change.h"

static bool say(void *ctx, int64_t run, int64_t seq, const char *where, const char *what)
{
    (void)run, (void)seq;
    buf_addf(ctx, "%s: %s\n", where, what);
    return true;
}

static const struct change some[] = {
    {.kind = CHANGE_LOCK, .target = STR("sh:a")},
    {.kind = CHANGE_EFFECT_NEW, .target = STR("sh:a"), .key = STR("k"), .path = STR("4"), .action = STR("x"), .seq = 3},
    {.kind = CHANGE_EFFECT_STATE, .path = STR("4"), .effect_state = EFFECT_UNDONE, .seq = INT64_MIN},
    {.kind = CHANGE_UNLOCK, .target = STR("sh:b"), .n = -1},
    {.kind = CHANGE_RUN_STATE, .run_state = RUN_LEFT, .n = INT64_MAX},
    {.kind = CHANGE_RUN_END, .outcome = STR("resolved"), .reason = STR("a\0b")},
};
#define NSOME (sizeof(some) / sizeof(some[0]))

static void encode(struct buf *out)
{
    struct journal_item item = {.run = 1, .epoch = 7, .changes = some, .nchanges = NSOME};

    changes_encode(&item, out);
}

static void test_read_again(void **state)
{
    struct buf bytes = BUF_INIT(4 * KIB);
    struct changes_room room = {0};
    struct journal_item item = {.run = 1};
    struct err e = {0};
    size_t i;

    (void)state;
    encode(&bytes);
    good(changes_decode((struct str){bytes.data, bytes.len}, &room, &item, &e), &e);
    assert_int_equal(item.epoch, 7);
    assert_int_equal(item.nchanges, NSOME);
    for (i = 0; i < NSOME; i++) {
        const struct change *a = &some[i], *b = &item.changes[i];

        assert_true(a->kind == b->kind && a->seq == b->seq && a->n == b->n);
        assert_true(a->run_state == b->run_state && a->effect_state == b->effect_state);
        assert_true(str_eq(a->target, b->target) && str_eq(a->key, b->key) && str_eq(a->path, b->path));
        assert_true(str_eq(a->action, b->action) && str_eq(a->outcome, b->outcome) && str_eq(a->reason, b->reason));
    }
    free(room.list);
    buf_free(&bytes);
}

/* Cut anywhere or with any byte another one: changes or a refusal, and nothing outside is read. */
static void test_bytes_that_say_nothing(void **state)
{
    struct buf bytes = BUF_INIT(4 * KIB);
    struct changes_room room = {0};
    size_t i, refused = 0;
    int v;

    (void)state;
    encode(&bytes);
    for (i = 0; i < bytes.len; i++) {
        for (v = -1; v < 256; v++) {
            struct journal_item item = {.run = 1};
            size_t n = v < 0 ? i : bytes.len;
            char *copy = xmemdup(bytes.data, n ? n : 1);

            if (v >= 0)
                copy[i] = (char)v;
            refused += changes_decode((struct str){copy, n}, &room, &item, NULL) < 0;
            free(copy);
        }
    }
    assert_true(refused > 1000);
    free(room.list);
    buf_free(&bytes);
}

static void test_projections_are_put_right(void **state)
{
    static const char *const damage[] = {
        "update run set outcome = 'x', epoch = 9, next_seq = 77, chain = zeroblob(32) where id = 2",
        "delete from run where id = 3",
        "insert into lock(target, fence, run) values('sh:a', 3, 1)",
        "insert into halt values(1, 5, 'nobody')",
        "update system set next_seq = 9",
    };
    char *dir = state_dir_new();
    struct journal *j = open_sqlite(dir, NULL);
    struct buf before = BUF_INIT(MIB), after = BUF_INIT(MIB), said = BUF_INIT(MIB);
    struct err e = {0};
    size_t i;

    (void)state;
    good(commit_batch(j, 0, &e), &e);
    good(commit_batch(j, 1, &e), &e);
    dump_state(j, &before);
    for (i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        j->ops->free(j);
        sql(dir, damage[i]);
        j = open_sqlite(dir, NULL);
        buf_reset(&said);
        good(journal_rebuild(j, false, say, &said, &e), &e);
        assert_true(said.len > 0);
        good(journal_rebuild(j, true, say, &said, &e), &e);
        buf_reset(&said);
        good(journal_rebuild(j, false, say, &said, &e), &e);
        assert_string_equal(buf_text(&said), "");
        buf_reset(&after);
        dump_state(j, &after);
        assert_string_equal(buf_text(&before), buf_text(&after));
        /* The owner goes on in the file's own tables. */
        good(commit_batch(j, 2 + (int64_t)i, &e), &e);
        buf_reset(&before);
        dump_state(j, &before);
    }
    j->ops->free(j);
    buf_free(&before);
    buf_free(&after);
    buf_free(&said);
    state_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_again),
        cmocka_unit_test(test_bytes_that_say_nothing),
        cmocka_unit_test(test_projections_are_put_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
