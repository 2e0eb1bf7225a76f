/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets of the process and how to strike them out. A secret is known in every
 * form in which systems echo it: raw, line by line, base64 at each of the three
 * alignments in a larger text, hex, URL-encoded, escaped in JSON. A hash of the first
 * four bytes finds the forms that may start at a byte, so the cost does not grow with
 * their number. If the table is full nothing passes any more: better mute than leaking. */
#include "base/base64.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SECRET_MIN 6
#define PREFIX_MIN 4            /* of a secret that was cut off: what bucket_of needs */
#define LINE_MIN 16             /* a line of a longer secret that is a secret of its own */
#define ENCODED_MAX (64 * KIB)  /* longer ones are known raw and line by line only */
#define FORMS_MAX 16384
#define BUCKETS 1024

struct form {
    struct str text;
    struct form *next;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct form *buckets[BUCKETS];
static uint64_t starts[1024];   /* a bit for each two bytes that a form starts with: most text is none */
static size_t nforms;
static bool full;
static atomic_bool any;

/* At least PREFIX_MIN bytes stand at p. */
static size_t bucket_of(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return (v * 2654435761u) >> 22;
}

static bool may_start(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return starts[v >> 6] >> (v & 63) & 1;
}

static void mark_start(const char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    starts[v >> 6] |= (uint64_t)1 << (v & 63);
}

static void add_form(const char *p, size_t n)
{
    struct form *f;
    size_t at;

    if (n < SECRET_MIN)
        return;
    at = bucket_of(p);
    for (f = buckets[at]; f; f = f->next) {
        if (str_eq(f->text, (struct str){p, n}))
            return;
    }
    if (nforms == FORMS_MAX) {
        full = true;
        return;
    }
    f = xmalloc(sizeof(*f));
    *f = (struct form){{xstrndup(p, n), n}, buckets[at]};
    buckets[at] = f;
    mark_start(p);
    nforms++;
}

/* The characters that the secret alone decides when `before` bytes (0..2) of other text
 * share its first group; in both alphabets. */
static void add_base64(struct str s, size_t before)
{
    size_t from = (before * 8 + 5) / 6, to = (before + s.n) * 8 / 6, i;
    char *in = xcalloc(1, before + s.n);
    struct buf out = BUF_INIT(4 * ENCODED_MAX);

    memcpy(in + before, s.p, s.n);
    base64_add(&out, in, before + s.n);
    add_form(out.data + from, to - from);
    for (i = from; i < to; i++)
        out.data[i] = out.data[i] == '+' ? '-' : out.data[i] == '/' ? '_' : out.data[i];
    add_form(out.data + from, to - from);
    free(in);
    buf_free(&out);
}

static void add_hex(struct str s, const char *byte)
{
    struct buf b = BUF_INIT(2 * ENCODED_MAX);
    size_t i;

    for (i = 0; i < s.n; i++) {
        buf_addc(&b, byte[(unsigned char)s.p[i] >> 4]);
        buf_addc(&b, byte[s.p[i] & 15]);
    }
    add_form(buf_text(&b), b.len);
    buf_free(&b);
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("-_.~", c));
}

static void add_url(struct str s, const char *byte, bool plus)
{
    struct buf b = BUF_INIT(3 * ENCODED_MAX);
    size_t i;

    for (i = 0; i < s.n; i++) {
        if (is_unreserved(s.p[i])) {
            buf_addc(&b, s.p[i]);
        } else if (plus && s.p[i] == ' ') {
            buf_addc(&b, '+');
        } else {
            buf_addc(&b, '%');
            buf_addc(&b, byte[(unsigned char)s.p[i] >> 4]);
            buf_addc(&b, byte[s.p[i] & 15]);
        }
    }
    add_form(buf_text(&b), b.len);
    buf_free(&b);
}

/* Each character that `from` has becomes the text at its place in `to`. */
static void add_escaped(struct str s, const char *from, const char *const *to)
{
    struct buf b = BUF_INIT(6 * ENCODED_MAX);
    const char *at;
    size_t i;

    for (i = 0; i < s.n; i++) {
        at = s.p[i] ? strchr(from, s.p[i]) : NULL;
        if (at)
            buf_adds(&b, to[at - from]);
        else
            buf_addc(&b, s.p[i]);
    }
    add_form(buf_text(&b), b.len);
    buf_free(&b);
}

/* As this program writes it, as servers do that escape <, > and & in JSON or / there, and in HTML. */
static void add_json(struct str s)
{
    static const char *const unicode[] = {"\\u003c", "\\u003e", "\\u0026"}, *const slash[] = {"\\/"};
    static const char *const html[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};
    static const char *const html_hex[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#x27;"};
    struct buf b = BUF_INIT(6 * ENCODED_MAX);
    struct str json;

    json_add_string(&b, s.p, s.n);
    json = (struct str){b.data + 1, b.len - 2};
    add_form(json.p, json.n);
    add_escaped(json, "<>&", unicode);
    add_escaped(json, "/", slash);
    add_escaped(s, "<>&\"'", html);
    add_escaped(s, "<>&\"'", html_hex);
    buf_free(&b);
}

static void add_encoded(struct str s)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    size_t i;

    for (i = 0; i < 3; i++)
        add_base64(s, i);
    add_hex(s, lower);
    add_hex(s, upper);
    for (i = 0; i < 2; i++) {
        add_url(s, lower, i == 1);
        add_url(s, upper, i == 1);
    }
    add_json(s);
}

/* The lines of a key file, except those that say what it is. */
static void add_lines(struct str s)
{
    size_t from, to;

    for (from = 0; from < s.n; from = to + 1) {
        const char *end = memchr(s.p + from, '\n', s.n - from);
        size_t n;

        to = end ? (size_t)(end - s.p) : s.n;
        n = to - from - (to > from && s.p[to - 1] == '\r');
        if (n >= LINE_MIN && !str_starts((struct str){s.p + from, n}, "-----"))
            add_form(s.p + from, n);
    }
}

void log_secret(struct str secret)
{
    while (secret.n && (secret.p[secret.n - 1] == '\n' || secret.p[secret.n - 1] == '\r'))
        secret.n--;
    if (secret.n < SECRET_MIN)
        return;
    pthread_rwlock_wrlock(&lock);
    add_form(secret.p, secret.n);
    if (memchr(secret.p, '\n', secret.n))
        add_lines(secret);
    if (secret.n <= ENCODED_MAX / 2)
        add_encoded(secret);
    atomic_store(&any, true);
    pthread_rwlock_unlock(&lock);
}

bool log_has_secrets(void)
{
    return atomic_load_explicit(&any, memory_order_acquire);
}

/* The length of the longest form that starts at p, or 0. Where the text is cut, one that goes on behind it counts. */
static size_t form_at(const char *p, size_t n, bool cut)
{
    const struct form *f;
    size_t best = 0, len;

    if (n < (cut ? PREFIX_MIN : SECRET_MIN))
        return 0;
    for (f = buckets[bucket_of(p)]; f; f = f->next) {
        len = cut && f->text.n > n ? n : f->text.n;
        if (len <= n && len > best && memcmp(f->text.p, p, len) == 0)
            best = len;
    }
    return best;
}

static void redact(struct buf *out, struct str text, bool cut)
{
    size_t i, from = 0, end, n;

    if (!log_has_secrets()) {
        buf_add(out, text.n ? text.p : "", text.n);
        return;
    }
    pthread_rwlock_rdlock(&lock);
    for (i = 0; i < text.n && !full; i++) {
        while (i + 1 < text.n && !may_start(text.p + i))
            i++;
        n = form_at(text.p + i, text.n - i, cut);
        if (n == 0)
            continue;
        buf_add(out, text.p + from, i - from);
        buf_adds(out, "***");
        /* Another one may begin inside this one and end behind it. */
        for (end = i + n; i < end; i++) {
            n = form_at(text.p + i, text.n - i, cut);
            end = i + n > end ? i + n : end;
        }
        from = i--;
    }
    if (full && text.n)
        buf_adds(out, "***");
    else if (text.n > from)
        buf_add(out, text.p + from, text.n - from);
    pthread_rwlock_unlock(&lock);
}

void log_redact(struct buf *out, struct str text)
{
    redact(out, text, false);
}

void log_redact_cut(struct buf *out, struct str text)
{
    redact(out, text, true);
}
