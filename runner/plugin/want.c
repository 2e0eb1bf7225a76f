/* SPDX-License-Identifier: Apache-2.0 */
/* `want` of a process plugin: a template, so that planning, testing and mapping never
 * start the process. */
#include "plugin/declaration.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"

#include <stdio.h>

static const json_t *named_value(const char *name, const json_t *args, const json_t *state, struct err *e)
{
    bool of_state = strncmp(name, "state.", 6) == 0;
    const json_t *v = of_state ? json_object_get(state, name + 6) : json_object_get(args, name);

    if (!v)
        err_set(e, ERR_INVALID, "want: {{%.60s}} has no value", name);
    return v;
}

/* A text that is one name and nothing else takes the value as it is. */
static json_t *fill_text(const char *text, const json_t *args, const json_t *state, struct err *e)
{
    struct buf out = BUF_INIT(VALUE_BYTES_MAX);
    const char *p = text, *open, *end;
    char name[80];
    json_t *filled = NULL;

    while ((open = strstr(p, "{{")) != NULL && (end = strstr(open, "}}")) != NULL) {
        const json_t *v;

        snprintf(name, sizeof(name), "%.*s", (int)(end - open - 2), open + 2);
        v = named_value(name, args, state, e);
        if (!v)
            goto out;
        if (open == text && end[2] == '\0') {
            filled = json_deep_copy(v);
            goto out;
        }
        buf_add(&out, p, (size_t)(open - p));
        if (json_is_string(v))
            buf_add(&out, json_string_value(v), json_string_length(v));
        else
            json_add_value(&out, v);
        p = end + 2;
    }
    buf_adds(&out, p);
    filled = json_stringn(buf_text(&out), out.len);
out:
    buf_free(&out);
    return filled;
}

static json_t *fill(const json_t *template, const json_t *args, const json_t *state, struct err *e)
{
    json_t *out, *v, *filled;
    const char *key;

    if (json_is_string(template))
        return fill_text(json_string_value(template), args, state, e);
    if (!json_is_object(template))
        return json_deep_copy(template);
    out = json_object();
    json_object_foreach((json_t *)template, key, v) {
        filled = fill(v, args, state, e);
        if (!filled) {
            json_decref(out);
            return NULL;
        }
        json_object_set_new(out, key, filled);
    }
    return out;
}

int declaration_want(const json_t *effect, const json_t *args, const json_t *state, json_t **out, struct err *e)
{
    const json_t *want = json_object_get(effect, "want");

    if (json_is_string(want))
        *out = json_deep_copy(args);
    else
        *out = fill(want, args, state, e);
    return *out ? 0 : e->code ? e->code : err_set(e, ERR_INVALID, "want gives no state");
}
