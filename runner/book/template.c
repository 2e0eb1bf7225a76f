/* SPDX-License-Identifier: Apache-2.0 */
/* "{{name}}" and nothing else: no nesting, no filters, no second pass over what was
 * filled in. */
#include "book/book.h"

#include "base/json.h"

#include <stdio.h>

/* The next {{name}} at or behind i; *from and *to span it. 1, 0 = none, < 0 = unclosed. */
static int next_name(struct str text, size_t i, size_t *from, size_t *to, struct str *name)
{
    const char *open = memmem(text.p + i, text.n - i, "{{", 2), *close;
    size_t a, b;

    if (!open)
        return 0;
    *from = (size_t)(open - text.p);
    close = memmem(open + 2, text.n - *from - 2, "}}", 2);
    if (!close)
        return -1;
    *to = (size_t)(close + 2 - text.p);
    for (a = *from + 2; text.p[a] == ' '; a++)
        ;
    for (b = (size_t)(close - text.p); b > a && text.p[b - 1] == ' '; b--)
        ;
    *name = (struct str){text.p + a, b - a};
    return 1;
}

static int unclosed(struct str text, struct err *e)
{
    return err_set(e, ERR_INVALID, "'%.*s' opens {{ and does not close it", (int)(text.n > 200 ? 200 : text.n), text.p);
}

int template_names(struct str text, void (*fn)(void *ctx, struct str name), void *ctx, struct err *e)
{
    size_t i = 0, from, to;
    struct str name;
    int rc;

    while ((rc = next_name(text, i, &from, &to, &name)) == 1) {
        fn(ctx, name);
        i = to;
    }
    return rc < 0 ? unclosed(text, e) : 0;
}

/* What does not fit shows in out->failed. */
static int add_value(struct str name, const json_t *v, bool one_segment, struct buf *out, struct err *e)
{
    const char *s = json_string_value(v);
    size_t n = json_string_length(v), i;

    if (json_is_integer(v)) {
        json_add_int(out, json_integer_value(v));
        return 0;
    }
    if (json_is_real(v)) {
        json_add_double(out, json_real_value(v));
        return 0;
    }
    if (json_is_boolean(v)) {
        buf_adds(out, json_is_true(v) ? "true" : "false");
        return 0;
    }
    if (!json_is_string(v))
        return err_set(e, ERR_INVALID, "{{%.*s}}: a list or a missing value cannot be filled in", (int)name.n, name.p);
    for (i = 0; one_segment && i < n; i++) {
        if (strchr("/*?[]\\", s[i]) || (unsigned char)s[i] < 0x20)
            return err_set(e, ERR_INVALID, "{{%.*s}}: '%.100s' holds a '%c', which a target's part may not", (int)name.n,
                           name.p, s, s[i] < 0x20 ? '.' : s[i]);
    }
    if (one_segment && n == 0)
        return err_set(e, ERR_INVALID, "{{%.*s}} is empty", (int)name.n, name.p);
    if (one_segment && (strcmp(s, ".") == 0 || strcmp(s, "..") == 0))
        return err_set(e, ERR_INVALID, "{{%.*s}}: '%s' is no name for a target's part", (int)name.n, name.p, s);
    buf_add(out, s, n);
    return 0;
}

int template_fill(struct str text, const json_t *values, bool one_segment, struct buf *out, struct err *e)
{
    size_t i = 0, from, to;
    struct str name;
    char key[128];
    int rc;

    while ((rc = next_name(text, i, &from, &to, &name)) == 1) {
        const json_t *v;

        buf_add(out, text.p + i, from - i);
        str_copy(key, sizeof(key), name);
        v = json_object_get(values, key);
        if (!v)
            return err_set(e, ERR_INVALID, "{{%s}} has no value", key);
        if (add_value(name, v, one_segment, out, e) < 0)
            return ERR_INVALID;
        i = to;
    }
    if (rc < 0)
        return unclosed(text, e);
    buf_add(out, text.p + i, text.n - i);
    return out->failed ? err_set(e, ERR_LIMIT, "a filled-in text is longer than %zu bytes", out->max) : 0;
}
