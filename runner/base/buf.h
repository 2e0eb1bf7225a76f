/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer that cannot be created without its maximum. The data
 * are always followed by a NUL that does not count. A buffer that reached its
 * maximum stays failed: later additions do nothing, so a sequence of additions
 * needs one check at its end. */
#ifndef MIDWATCH_BASE_BUF_H
#define MIDWATCH_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;     /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max;     /* bytes; never exceeded */
    bool failed;    /* an addition did not fit */
};

#define BUF_INIT(maximum) {.data = NULL, .len = 0, .cap = 0, .max = (maximum), .failed = false}

void buf_init(struct buf *b, size_t max_bytes);
void buf_free(struct buf *b);
/* Empties and un-fails it; keeps the memory. */
void buf_reset(struct buf *b);
/* Each returns 0, or ERR_LIMIT once the buffer has failed. */
int buf_add(struct buf *b, const void *data, size_t n);
int buf_addc(struct buf *b, char c);
int buf_adds(struct buf *b, const char *s);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_addv(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Makes room for `n` more bytes and returns where they go (then add to len), or NULL. */
char *buf_reserve(struct buf *b, size_t n);
/* The text, "" when empty. Borrowed. */
const char *buf_text(const struct buf *b);
/* Hands the memory over; the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *b, size_t *len);

/* Allocation that aborts on real exhaustion of the host (limits are never this). */
/* Says so and aborts: also for a library that has no other reason to fail. */
void out_of_memory(void) __attribute__((noreturn));
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t n);

#endif
