/* SPDX-License-Identifier: Apache-2.0 */
/* One event, one write. Redaction works on whole texts by searching for each known
 * form of each secret: there are few, and what is logged is short. */
#include "base/log.h"
#include "base/json.h"
#include "base/limits.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SECRET_MIN 6
#define FORMS_MAX 512

static struct {
    enum log_level level;
    enum log_format format;
    int fd;
} settings = {LOG_WARN, LOG_TEXT, 2};

static struct str forms[FORMS_MAX];
static size_t nforms;

void log_setup(enum log_level level, enum log_format format, int fd)
{
    settings.level = level;
    settings.format = format;
    settings.fd = fd;
}

static void add_form(const char *p, size_t n)
{
    size_t i;

    for (i = 0; i < nforms; i++) {
        if (str_eq(forms[i], (struct str){p, n}))
            return;
    }
    if (n >= SECRET_MIN && nforms < FORMS_MAX)
        forms[nforms++] = (struct str){xstrndup(p, n), n};
}

static void add_base64(struct str s)
{
    unsigned char *out = xmalloc(4 * (s.n / 3 + 1) + 1);
    int n = EVP_EncodeBlock(out, (const unsigned char *)s.p, (int)s.n);

    /* The last group depends on what follows in a larger text. */
    while (n > 0 && (out[n - 1] == '='))
        n--;
    add_form((char *)out, (size_t)(n > 2 && s.n % 3 ? n - 1 : n));
    free(out);
}

static void add_url(struct str s)
{
    struct buf b = BUF_INIT(3 * MIB);
    size_t i;

    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-_.~", c))
            buf_addc(&b, (char)c);
        else
            buf_addf(&b, "%%%02X", c);
    }
    add_form(buf_text(&b), b.len);
    buf_free(&b);
}

static void add_json_form(struct str s)
{
    struct buf b = BUF_INIT(6 * MIB);

    json_add_string(&b, s.p, s.n);
    if (b.len > 2)
        add_form(b.data + 1, b.len - 2);
    buf_free(&b);
}

void log_secret(struct str secret)
{
    while (secret.n && (secret.p[secret.n - 1] == '\n' || secret.p[secret.n - 1] == '\r'))
        secret.n--;
    if (secret.n < SECRET_MIN || secret.n > MIB)
        return;
    add_form(secret.p, secret.n);
    add_base64(secret);
    add_url(secret);
    add_json_form(secret);
}

bool log_has_secrets(void)
{
    return nforms > 0;
}

/* The longest form that starts at p, or 0. */
static size_t form_at(const char *p, size_t n)
{
    size_t i, best = 0;

    for (i = 0; i < nforms; i++) {
        if (forms[i].n <= n && forms[i].n > best && forms[i].p[0] == p[0] && memcmp(forms[i].p, p, forms[i].n) == 0)
            best = forms[i].n;
    }
    return best;
}

void log_redact(struct buf *out, struct str text)
{
    size_t i = 0, from = 0, n;

    while (i < text.n) {
        n = nforms ? form_at(text.p + i, text.n - i) : 0;
        if (n == 0) {
            i++;
            continue;
        }
        buf_add(out, text.p + from, i - from);
        buf_adds(out, "***");
        i += n;
        from = i;
    }
    if (text.n > from)
        buf_add(out, text.p + from, text.n - from);
}

static int64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void write_line(enum log_level level, const char *subsystem, struct str text)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    struct buf line = BUF_INIT(8 * LOG_LINE_MAX);
    char at[40];

    str_time(wall_ms(), at, sizeof(at));
    if (settings.format == LOG_JSON) {
        buf_addf(&line, "{\"at\":\"%s\",\"level\":\"%s\",\"msg\":", at, levels[level]);
        json_add_string(&line, text.p, text.n);
        buf_addf(&line, ",\"subsystem\":\"%s\"}\n", subsystem);
    } else {
        buf_addf(&line, "%s %s %s: ", at, levels[level], subsystem);
        str_add_printable(&line, text.p, text.n);
        buf_addc(&line, '\n');
    }
    if (line.len > LOG_LINE_MAX && settings.format == LOG_TEXT) {
        line.len = LOG_LINE_MAX;
        line.data[LOG_LINE_MAX - 1] = '\n';
    }
    if (write(settings.fd, line.data, line.len) < 0)
        line.len = 0;   /* nobody is left to tell */
    buf_free(&line);
}

void log_event(enum log_level level, const char *subsystem, const char *fmt, ...)
{
    struct buf clean = BUF_INIT(2 * LOG_LINE_MAX);
    char plain[LOG_LINE_MAX / 2];
    va_list ap;

    if (level > settings.level)
        return;
    va_start(ap, fmt);
    vsnprintf(plain, sizeof(plain), fmt, ap);
    va_end(ap);
    log_redact(&clean, str_of(plain));
    write_line(level, subsystem, (struct str){clean.data, clean.len});
    buf_free(&clean);
}
