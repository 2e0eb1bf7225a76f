/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/pool.h"

#include <stdlib.h>
#include <string.h>

/* A sanitizer sees what happens to a block only if the block is malloc's. */
#if defined(__SANITIZE_ADDRESS__)
#define PIECES_USED(p) 0
#else
#define PIECES_USED(p) ((p)->computes_long ? POOL_PIECES_LONG : POOL_PIECES)
#endif

#define CACHE_LINE 64

/* In front of a block of malloc's. `at` is what points to it. Its size keeps the block aligned as malloc's are. */
struct pool_large {
    struct pool_large *next, **at;
};

static void *link_large(struct pool_large *l)
{
    *l->at = l;
    if (l->next)
        l->next->at = &l->next;
    return l + 1;
}

static void *new_large(struct pool *p, size_t size)
{
    struct pool_large *l = malloc(sizeof(*l) + size);

    if (!l)
        return NULL;
    *l = (struct pool_large){p->large, &p->large};
    return link_large(l);
}

static void free_large(void *block)
{
    struct pool_large *l = (struct pool_large *)block - 1;

    *l->at = l->next;
    if (l->next)
        l->next->at = l->at;
    free(l);
}

static void *resize_large(void *block, size_t size)
{
    struct pool_large *l = realloc((struct pool_large *)block - 1, sizeof(*l) + size);

    return l ? link_large(l) : NULL;
}

static size_t class_of(size_t size)
{
    return (size - 1) / POOL_UNIT;
}

/* Says whose a block is, because a small one may be malloc's. What is given back lies most often in a late piece. */
static bool is_ours(const struct pool *p, const char *block)
{
    for (int i = p->npieces - 1; i >= 0; i--) {
        if (block >= p->pieces[i] && block < p->ends[i])
            return true;
    }
    return false;
}

static bool new_piece(struct pool *p)
{
    size_t size = (size_t)POOL_FIRST_PIECE << p->npieces;
    char *piece = p->npieces < PIECES_USED(p) ? malloc(size) : NULL;

    if (!piece)
        return false;
    p->pieces[p->npieces] = p->next = piece;
    p->ends[p->npieces++] = p->end = piece + size;
    return true;
}

static void *take(struct pool *p, size_t size)
{
    size_t class = class_of(size), rounded = (class + 1) * POOL_UNIT;
    char *block = p->free[class];

    if (block) {
        p->free[class] = *(void **)block;
        return block;
    }
    if ((size_t)(p->end - p->next) < rounded && !new_piece(p))
        return new_large(p, size);
    block = p->next;
    p->next += rounded;
    return block;
}

static void give_back(struct pool *p, void *block, size_t size)
{
    size_t class = class_of(size);

    *(void **)block = p->free[class];
    p->free[class] = block;
}

static bool is_small(size_t size)
{
    return size <= (size_t)POOL_CLASSES * POOL_UNIT;
}

/* From the pool or into it. */
static void *move(struct pool *p, void *block, size_t old, size_t size)
{
    void *to = is_small(size) ? take(p, size) : new_large(p, size);

    if (!to)
        return NULL;
    memcpy(to, block, old < size ? old : size);
    pool_change(p, block, old, 0);
    return to;
}

void *pool_change(struct pool *p, void *block, size_t old, size_t size)
{
    bool ours = block && is_small(old) && is_ours(p, block);

    if (size == 0) {
        if (ours)
            give_back(p, block, old);
        else if (block)
            free_large(block);
        return NULL;
    }
    if (!block)
        return is_small(size) ? take(p, size) : new_large(p, size);
    if (ours && is_small(size) && class_of(old) == class_of(size))
        return block;
    return ours || is_small(size) ? move(p, block, old, size) : resize_large(block, size);
}

void pool_fetch(const struct pool *p, size_t most)
{
    for (int i = 0; i < p->npieces; i++) {
        const char *end = i == p->npieces - 1 ? p->next : p->ends[i];

        for (const char *at = p->pieces[i]; at < end && most >= CACHE_LINE; at += CACHE_LINE, most -= CACHE_LINE)
            __builtin_prefetch(at, 0, 2);
    }
}

void pool_free(struct pool *p)
{
    while (p->large)
        free_large(p->large + 1);
    for (int i = 0; i < p->npieces; i++)
        free(p->pieces[i]);
}
