/* SPDX-License-Identifier: Apache-2.0 */
/* The small blocks of one Lua state, side by side in a few pieces of memory of its own: what one run
 * touches lies together, and a block costs a handful of instructions. The pieces hold at most POOL_BYTES_MAX, those of a
 * state that computes long as much as it likes; what is larger, or comes when they are full, is malloc's. All of it goes
 * with the state. */
#ifndef MIDWATCH_VM_POOL_H
#define MIDWATCH_VM_POOL_H

#include <stdbool.h>
#include <stddef.h>

#define POOL_UNIT 16        /* bytes; blocks are multiples of it */
#define POOL_CLASSES 32     /* so the largest block has 512 bytes */
#define POOL_PIECES 4       /* each twice as large as the one before */
#define POOL_PIECES_LONG 12
#define POOL_FIRST_PIECE (64 * 1024)
#define POOL_BYTES_MAX (POOL_FIRST_PIECE * ((1 << POOL_PIECES) - 1))

struct pool_large;

struct pool {
    char *pieces[POOL_PIECES_LONG], *ends[POOL_PIECES_LONG];
    int npieces;
    bool computes_long;
    char *next, *end;               /* of the last piece: what was never given out */
    void *free[POOL_CLASSES];       /* returned blocks of (index + 1) units, each holding the next */
    struct pool_large *large;       /* those of malloc */
};

/* realloc and free of one function: size 0 frees. `old` is the block's size, 0 without one. NULL only if the
 * machine has no memory; then the block is as it was. */
void *pool_change(struct pool *p, void *block, size_t old, size_t size);
/* Asks the processor for the first `most` bytes that were given out, before somebody waits for one after the other. */
void pool_fetch(const struct pool *p, size_t most);
/* Frees all blocks, whether they were given back or not. */
void pool_free(struct pool *p);

#endif
