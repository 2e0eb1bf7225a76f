/* SPDX-License-Identifier: Apache-2.0 */
/* One event, one write of one line, from any thread. What is written has passed
 * log_redact as a whole before it is cut to length, so that a cut never shows the
 * first half of a secret. */
#include "base/log.h"
#include "base/json.h"
#include "base/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PART_MAX (8 * LOG_LINE_MAX)     /* a line's worth of text, every byte escaped */

static struct {
    enum log_level level;
    enum log_format format;
    int fd;
} settings = {LOG_WARN, LOG_TEXT, 2};

void log_setup(enum log_level level, enum log_format format, int fd)
{
    settings.level = level;
    settings.format = format;
    settings.fd = fd;
}

static int64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A logfmt value: printable, in quotes. */
static void add_quoted(struct buf *out, const char *s, size_t n)
{
    size_t i, from = 0;

    buf_addc(out, '"');
    for (i = 0; i < n; i++) {
        if (s[i] != '"' && s[i] != '\\')
            continue;
        str_add_printable(out, s + from, i - from);
        buf_addc(out, '\\');
        buf_addc(out, s[i]);
        from = i + 1;
    }
    str_add_printable(out, s + from, n - from);
    buf_addc(out, '"');
}

static void add_value(struct buf *out, struct str text)
{
    if (settings.format == LOG_JSON)
        json_add_string(out, text.p, text.n);
    else
        add_quoted(out, text.p, text.n);
}

/* Adds as much of the text as fits `room` bytes in its quoted form. No byte becomes
 * shorter by quoting, so a text above room is cut first and then approached. */
static void add_fitting(struct buf *out, struct str text, size_t room)
{
    struct buf part = BUF_INIT(PART_MAX);
    struct str shown = text;
    size_t over;

    if (shown.n > room)
        shown.n = room;
    for (;;) {
        while (shown.n < text.n && shown.n > 0 && ((unsigned char)text.p[shown.n] & 0xc0) == 0x80)
            shown.n--;
        buf_reset(&part);
        add_value(&part, shown);
        if (shown.n < text.n) {
            part.len--;
            buf_adds(&part, "...\"");
        }
        if (part.len <= room || shown.n == 0)
            break;
        over = (part.len - room + 5) / 6;
        shown.n -= over < shown.n ? over : shown.n;
    }
    buf_add(out, buf_text(&part), part.len);
    buf_free(&part);
}

static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(settings.fd, p, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return;     /* nobody is left to tell */
        p += w;
        n -= (size_t)w;
    }
}

static void write_line(enum log_level level, const char *subsystem, struct str text)
{
    static const char *const levels[] = {
        [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
    };
    bool json = settings.format == LOG_JSON;
    struct buf line = BUF_INIT(LOG_LINE_MAX), tail = BUF_INIT(LOG_LINE_MAX / 2);
    char at[40];

    str_time(wall_ms(), at, sizeof(at));
    if (json) {
        buf_addf(&line, "{\"at\":\"%s\",\"level\":\"%s\",\"msg\":", at, levels[level]);
        buf_addf(&tail, ",\"subsystem\":\"%.64s\"}\n", subsystem);
    } else {
        buf_addf(&line, "at=%s level=%s subsystem=%.64s msg=", at, levels[level], subsystem);
        buf_addc(&tail, '\n');
    }
    add_fitting(&line, text, LOG_LINE_MAX - line.len - tail.len);
    buf_add(&line, buf_text(&tail), tail.len);
    write_all(buf_text(&line), line.len);
    buf_free(&tail);
    buf_free(&line);
}

void log_event(enum log_level level, const char *subsystem, const char *fmt, ...)
{
    va_list ap, again;
    struct buf clean;
    char *plain;
    int n;

    if (level > settings.level)
        return;
    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    n = n < 0 ? 0 : n;
    plain = xmalloc((size_t)n + 1);
    plain[0] = '\0';
    vsnprintf(plain, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf_init(&clean, (size_t)n);    /* redaction never makes a text longer */
    log_redact(&clean, (struct str){plain, (size_t)n});
    write_line(level, subsystem, (struct str){buf_text(&clean), clean.len});
    buf_free(&clean);
    free(plain);
}
