/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a struct err: bounded, without allocation, one line each. Every text is
 * formatted aside first, so that an error may quote itself; a text that does not
 * fit ends before the UTF-8 sequence that would have been cut. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* The length of text without a UTF-8 sequence that its end cuts short. */
static size_t whole_characters(const char *text, size_t n)
{
    size_t i = n, len;
    unsigned char first;

    while (i > 0 && n - i < 3 && ((unsigned char)text[i - 1] & 0xc0) == 0x80)
        i--;
    first = i > 0 ? (unsigned char)text[i - 1] : 0;
    len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    return len > 1 && n - (i - 1) < len ? i - 1 : n;
}

/* Moves the formatted text, of which `wanted` bytes were asked for, to its field. */
static void put(char *field, size_t size, const char *text, int wanted)
{
    size_t n = strlen(text), i;

    if (wanted >= 0 && (size_t)wanted > n)
        n = whole_characters(text, n);
    if (n >= size)
        n = size - 1;
    for (i = 0; i < n; i++)
        field[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
    field[n] = '\0';
}

static void put_msg(struct err *e, const char *fmt, va_list ap)
{
    char text[sizeof(e->msg)];
    int n = vsnprintf(text, sizeof(text), fmt, ap);

    put(e->msg, sizeof(e->msg), n < 0 ? "" : text, n);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    va_start(ap, fmt);
    put_msg(e, fmt, ap);
    va_end(ap);
    e->code = code;
    e->where[0] = '\0';
    e->hint[0] = '\0';
    return code;
}

int err_at(struct err *e, int code, const char *file, int line, int column, const char *fmt, ...)
{
    char where[sizeof(e->where)];
    va_list ap;
    int n;

    if (!e)
        return code;
    va_start(ap, fmt);
    put_msg(e, fmt, ap);
    va_end(ap);
    /* A long path loses its end, never the line behind it. */
    if (line > 0 && column > 0)
        n = snprintf(where, sizeof(where), "%.220s:%d:%d", file ? file : "", line, column);
    else if (line > 0)
        n = snprintf(where, sizeof(where), "%.220s:%d", file ? file : "", line);
    else
        n = snprintf(where, sizeof(where), "%s", file ? file : "");
    put(e->where, sizeof(e->where), where, n);
    e->code = code;
    e->hint[0] = '\0';
    return code;
}

int err_hint(struct err *e, const char *fmt, ...)
{
    char text[sizeof(e->hint)];
    va_list ap;
    int n;

    if (!e)
        return 0;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    put(e->hint, sizeof(e->hint), n < 0 ? "" : text, n);
    return e->code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char front[256], text[sizeof(e->msg)];
    va_list ap;
    int n;

    if (!e)
        return 0;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(front), fmt, ap);
    va_end(ap);
    put(front, sizeof(front), n < 0 ? "" : text, n);
    n = snprintf(text, sizeof(text), "%s: %s", front, e->msg);
    put(e->msg, sizeof(e->msg), text, n);
    return e->code;
}

const char *err_text(const struct err *e, char *out, unsigned long size)
{
    snprintf(out, size, "%s%s%s%s%s%s", e->where, e->where[0] ? ": " : "", e->msg, e->hint[0] ? " (" : "", e->hint,
             e->hint[0] ? ")" : "");
    return out;
}

void err_clear(struct err *e)
{
    if (e) {
        e->code = 0;
        e->where[0] = e->msg[0] = e->hint[0] = '\0';
    }
}

const char *err_code_name(int code)
{
    static const char *const names[] = {
        [0] = "ok", [-ERR_INVALID] = "invalid", [-ERR_IO] = "io", [-ERR_LIMIT] = "limit", [-ERR_BUSY] = "busy",
        [-ERR_NOT_FOUND] = "not_found", [-ERR_CORRUPT] = "corrupt", [-ERR_DENIED] = "denied",
        [-ERR_TIMEOUT] = "timeout", [-ERR_INTERNAL] = "internal", [-ERR_DISK] = "disk",
    };
    int last = -(int)(sizeof(names) / sizeof(names[0])) + 1;

    return code <= 0 && code >= last ? names[-code] : "unknown";
}
