/* SPDX-License-Identifier: Apache-2.0 */
/* Growth by doubling up to the maximum; the one place where bytes are appended.
 * Whatever path was taken, data[len] is NUL as soon as there are data. */
#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_BLOCK 1024

void out_of_memory(void)
{
    fputs("midwatch: out of memory\n", stderr);
    abort();
}

static void *checked(void *p)
{
    if (!p)
        out_of_memory();
    return p;
}

void *xmalloc(size_t n) { return checked(malloc(n ? n : 1)); }
void *xrealloc(void *p, size_t n) { return checked(realloc(p, n ? n : 1)); }

/* The cache of a thread, which malloc takes small blocks from, calloc does not look into. */
void *xcalloc(size_t n, size_t size)
{
    if (n && size && size <= SMALL_BLOCK / n)
        return memset(xmalloc(n * size), 0, n * size);
    return checked(calloc(n ? n : 1, size ? size : 1));
}

char *xstrdup(const char *s) { return xstrndup(s, strlen(s)); }

char *xstrndup(const char *s, size_t n)
{
    char *copy = xmalloc(n + 1);

    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

void *xmemdup(const void *p, size_t n)
{
    void *copy = xmalloc(n);

    if (n)
        memcpy(copy, p, n);
    return copy;
}

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf)BUF_INIT(max_bytes);
}

void buf_free(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
    b->failed = false;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t need, cap;

    if (b->failed || n > b->max - b->len || n > SIZE_MAX / 4 - b->len) {
        b->failed = true;
        return NULL;
    }
    need = b->len + n + 1;
    if (need > b->cap) {
        cap = b->cap ? b->cap * 2 : 240;    /* most rows and answers fit; malloc's block is 256 */
        while (cap < need)
            cap *= 2;
        if (cap - 1 > b->max)
            cap = b->max + 1;
        b->data = xrealloc(b->data, cap);
        b->cap = cap;
    }
    /* For a caller that fills all of it and then only adds to len. */
    b->data[b->len + n] = '\0';
    return b->data + b->len;
}

int buf_add(struct buf *b, const void *data, size_t n)
{
    char *to = buf_reserve(b, n);

    if (!to)
        return ERR_LIMIT;
    if (n)
        memcpy(to, data, n);
    b->len += n;
    return 0;
}

int buf_addc(struct buf *b, char c)
{
    if (!b->failed && b->len + 1 < b->cap) {    /* cap never exceeds max + 1 */
        b->data[b->len++] = c;
        b->data[b->len] = '\0';
        return 0;
    }
    return buf_add(b, &c, 1);
}

int buf_adds(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int rc;

    va_start(ap, fmt);
    rc = buf_addv(b, fmt, ap);
    va_end(ap);
    return rc;
}

int buf_addv(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    char *to;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    to = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (!to) {
        b->failed = true;
        return ERR_LIMIT;
    }
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
    return 0;
}

const char *buf_text(const struct buf *b)
{
    if (!b->data)
        return "";
    b->data[b->len] = '\0';
    return b->data;
}

char *buf_take(struct buf *b, size_t *len)
{
    char *data = b->data ? b->data : xstrdup("");

    data[b->len] = '\0';
    if (len)
        *len = b->len;
    b->data = NULL;
    b->len = b->cap = 0;
    return data;
}
