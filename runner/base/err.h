/* SPDX-License-Identifier: Apache-2.0 */
/* Errors are values: every fallible function returns 0 or a negative code and
 * fills the `struct err` that its caller passed last. A message is one line,
 * lower case, and names the object and the reason ("fetch main: connection
 * refused"), never the caller's intent. Nothing here allocates. */
#ifndef MIDWATCH_BASE_ERR_H
#define MIDWATCH_BASE_ERR_H

#include <stdarg.h>

enum err_code {
    ERR_INVALID = -1,   /* what somebody wrote or sent is wrong */
    ERR_IO = -2,        /* the system refused: file, socket, process */
    ERR_LIMIT = -3,     /* a maximum given at creation was reached */
    ERR_BUSY = -4,      /* somebody else holds it */
    ERR_NOT_FOUND = -5,
    ERR_CORRUPT = -6,   /* stored data contradict themselves */
    ERR_DENIED = -7,    /* refused by policy or permission */
    ERR_TIMEOUT = -8,
    ERR_INTERNAL = -9,  /* our fault */
    ERR_DISK = -10,     /* disk full or journal not writable: stop acting */
};

struct err {
    int code;           /* 0 while nothing failed */
    char where[256];    /* "file:line:column" or "" */
    char msg[768];      /* what, and why */
    char hint[256];     /* what would be right, or "" */
};

/* Sets the error and returns `code`, so that `return err_set(...)` reads well.
 * `e` may be NULL. Overwrites what was there. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As err_set, with a place: `file` may be NULL; line and column from 1, 0 = unknown. */
int err_at(struct err *e, int code, const char *file, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* Adds what would be right; keeps code and message. Returns e->code. */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " in front of the message. Returns e->code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "where: msg (hint)" in one line, into `out` (always ended by NUL). Returns out. */
const char *err_text(const struct err *e, char *out, unsigned long size);
void err_clear(struct err *e);
/* The name of a code for logs and JSON ("invalid", "io", ...). */
const char *err_code_name(int code);

#endif
