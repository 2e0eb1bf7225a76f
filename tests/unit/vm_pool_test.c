/* SPDX-License-Identifier: Apache-2.0 */
/* The pool against a model: what a block holds stays in it, whatever is taken, changed and given back around it, also when
 * the pool is full. */
#include "vm/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKS = 6000 };

static uint64_t seed = 7;

static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

struct block {
    unsigned char *p;
    size_t size;
    unsigned char filled;
};

static void check(const struct block *b, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        assert_int_equal(b->p[i], b->filled);
}

static void change(struct pool *pool, struct block *b, size_t size)
{
    size_t kept = b->size < size ? b->size : size;

    check(b, b->size);
    b->p = pool_change(pool, b->p, b->size, size);
    b->size = size;
    assert_true((b->p == NULL) == (size == 0));
    if (!b->p)
        return;
    assert_int_equal((uintptr_t)b->p % 16, 0);
    check(b, kept);
    b->filled = (unsigned char)below(256);
    memset(b->p, b->filled, size);
}

static size_t some_size(void)
{
    switch (below(4)) {
    case 0:
        return 0;
    case 1:
        return 1 + below(3000);
    default:
        return 1 + below(POOL_UNIT * POOL_CLASSES + 16);
    }
}

static void blocks_keep_what_they_hold(void **state)
{
    static struct block blocks[BLOCKS];
    struct pool pool = {0};
    size_t live = 0, most = 0;
    int i;

    (void)state;
    for (i = 0; i < 400000; i++) {
        struct block *b = &blocks[below(BLOCKS)];

        live -= b->size;
        change(&pool, b, some_size());
        live += b->size;
        most = live > most ? live : most;
    }
    assert_true(most > POOL_BYTES_MAX);
    for (i = 0; i < BLOCKS; i++)
        change(&pool, &blocks[i], 0);
    pool_free(&pool);
}

/* What one run touches lies together. */
static void small_blocks_are_neighbours(void **state)
{
    struct pool pool = {0};
    char *first = pool_change(&pool, NULL, 0, 24), *second = pool_change(&pool, NULL, 0, 24), *again;

    (void)state;
    if (pool.npieces > 0) {         /* under a sanitizer they are malloc's */
        assert_ptr_equal(second, first + 32);
        pool_change(&pool, first, 24, 0);
        again = pool_change(&pool, NULL, 0, 32);
        assert_ptr_equal(again, first);
    } else {
        again = first;
    }
    pool_change(&pool, again, 32, 0);
    pool_change(&pool, second, 24, 0);
    pool_free(&pool);
}

/* What the leak checker of the sanitizer sees: some of every size was given back, the rest goes with the pool. */
static void all_goes_with_the_pool(void **state)
{
    struct pool pool = {0};
    char *blocks[300];
    size_t i, size[300];

    (void)state;
    for (i = 0; i < 300; i++) {
        size[i] = i % 3 ? 1 + below(600) : 1 + below(40000);
        blocks[i] = pool_change(&pool, NULL, 0, size[i]);
        memset(blocks[i], 1, size[i]);
    }
    for (i = 0; i < 300; i += 2) {
        blocks[i] = pool_change(&pool, blocks[i], size[i], i % 4 ? 0 : 2 * size[i]);
        if (blocks[i])
            memset(blocks[i], 2, 2 * size[i]);
    }
    assert_non_null(pool.large);
    pool_free(&pool);
    assert_null(pool.large);
}

/* A state that computes long goes on taking pieces where another asks malloc. */
static void computing_long_takes_more_pieces(void **state)
{
    struct pool few = {0}, many = {.computes_long = true};
    size_t size = (size_t)POOL_CLASSES * POOL_UNIT;
    char **of_few, **of_many;
    size_t n = POOL_BYTES_MAX / size + 100, i;

    (void)state;
    of_few = test_malloc(n * sizeof(*of_few));
    of_many = test_malloc(n * sizeof(*of_many));
    for (i = 0; i < n; i++) {
        of_few[i] = pool_change(&few, NULL, 0, size);
        of_many[i] = pool_change(&many, NULL, 0, size);
    }
    assert_true(few.npieces == 0 || (few.npieces == POOL_PIECES && many.npieces > POOL_PIECES));
    for (i = 0; i < n; i++) {
        pool_change(&few, of_few[i], size, 0);
        pool_change(&many, of_many[i], size, 0);
    }
    test_free(of_few);
    test_free(of_many);
    pool_free(&few);
    pool_free(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_what_they_hold),
        cmocka_unit_test(small_blocks_are_neighbours),
        cmocka_unit_test(computing_long_takes_more_pieces),
        cmocka_unit_test(all_goes_with_the_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
