/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a struct err: bounded, without allocation, one line each. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* A message is one line whatever went into it. */
static void one_line(char *s)
{
    for (; *s; s++) {
        if (*s == '\n' || *s == '\r')
            *s = ' ';
    }
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    e->code = code;
    e->where[0] = '\0';
    e->hint[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    one_line(e->msg);
    return code;
}

int err_at(struct err *e, int code, const char *file, int line, int column, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    e->code = code;
    e->hint[0] = '\0';
    if (line > 0 && column > 0)
        snprintf(e->where, sizeof(e->where), "%s:%d:%d", file ? file : "", line, column);
    else if (line > 0)
        snprintf(e->where, sizeof(e->where), "%s:%d", file ? file : "", line);
    else
        snprintf(e->where, sizeof(e->where), "%s", file ? file : "");
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    one_line(e->msg);
    return code;
}

int err_hint(struct err *e, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return 0;
    va_start(ap, fmt);
    vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
    va_end(ap);
    one_line(e->hint);
    return e->code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char front[256], old[sizeof(e->msg)];
    va_list ap;

    if (!e)
        return 0;
    va_start(ap, fmt);
    vsnprintf(front, sizeof(front), fmt, ap);
    va_end(ap);
    memcpy(old, e->msg, sizeof(old));
    snprintf(e->msg, sizeof(e->msg), "%s: %.500s", front, old);
    one_line(e->msg);
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
    if (e)
        *e = (struct err){0};
}

const char *err_code_name(int code)
{
    static const char *const names[] = {
        [0] = "ok", [-ERR_INVALID] = "invalid", [-ERR_IO] = "io", [-ERR_LIMIT] = "limit", [-ERR_BUSY] = "busy",
        [-ERR_NOT_FOUND] = "not_found", [-ERR_CORRUPT] = "corrupt", [-ERR_DENIED] = "denied",
        [-ERR_TIMEOUT] = "timeout", [-ERR_INTERNAL] = "internal", [-ERR_DISK] = "disk",
    };
    int n = -code;

    return n >= 0 && n < (int)(sizeof(names) / sizeof(names[0])) ? names[n] : "unknown";
}
