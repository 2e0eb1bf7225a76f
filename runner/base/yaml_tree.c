/* SPDX-License-Identifier: Apache-2.0 */
/* What a YAML tree can be asked: its values, itself as JSON, and errors that stand
 * where the value stands. Recursion is as deep as the reader allowed. */
#include "base/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void yaml_tree_free(struct yaml *y)
{
    size_t i;

    if (!y)
        return;
    for (i = 0; i < y->n; i++) {
        yaml_tree_free(y->items[i]);
        if (y->keys)
            yaml_tree_free(y->keys[i]);
    }
    free(y->items);
    free(y->keys);
    free((char *)y->text.p);
    free(y);
}

struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    size_t i;

    for (i = 0; map && map->type == YAML_MAP && i < map->n; i++) {
        if (str_is(map->keys[i]->text, key))
            return map->items[i];
    }
    return NULL;
}

const struct yaml *yaml_at(const struct yaml *root, const char *path, size_t *depth)
{
    const struct yaml *at = root, *place = root;
    const char *end;
    size_t i, n;

    for (*depth = 0; *path == YAML_STEP; path = end, ++*depth) {
        end = path + 1 + strcspn(path + 1, (char[]){YAML_STEP, 0});
        n = (size_t)(end - path - 1);
        for (i = 0; at->type == YAML_MAP && i < at->n; i++) {
            if (at->keys[i]->text.n == n && memcmp(at->keys[i]->text.p, path + 1, n) == 0)
                break;
        }
        if (at->type == YAML_LIST)
            i = (size_t)strtoul(path + 1, NULL, 10);
        if ((at->type != YAML_MAP && at->type != YAML_LIST) || i >= at->n)
            break;
        place = at->type == YAML_MAP ? at->keys[i] : at->items[i];
        at = at->items[i];
    }
    return place;
}

json_t *yaml_to_json(const struct yaml *y)
{
    json_t *out;
    size_t i;

    switch (y ? y->type : YAML_NULL) {
    case YAML_BOOL:
        return json_boolean(y->boolean);
    case YAML_INT:
        return json_integer(y->integer);
    case YAML_FLOAT:
        return json_real(y->number);
    case YAML_STRING:
        return json_stringn(y->text.p, y->text.n);
    case YAML_LIST:
        out = json_array();
        for (i = 0; i < y->n; i++)
            json_array_append_new(out, yaml_to_json(y->items[i]));
        return out;
    case YAML_MAP:
        out = json_object();
        for (i = 0; i < y->n; i++)
            json_object_set_new(out, y->keys[i]->text.p, yaml_to_json(y->items[i]));
        return out;
    case YAML_NULL:
        break;
    }
    return json_null();
}

const char *yaml_type_name(enum yaml_type t)
{
    static const char *const names[] = {
        [YAML_NULL] = "nothing", [YAML_BOOL] = "true or false", [YAML_INT] = "an integer", [YAML_FLOAT] = "a number",
        [YAML_STRING] = "a text", [YAML_LIST] = "a list", [YAML_MAP] = "a map",
    };

    return names[t];
}

int yaml_err(struct err *e, const char *file, const struct yaml *y, const char *fmt, ...)
{
    char msg[sizeof(((struct err *)0)->msg)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    return err_at(e, ERR_INVALID, file, y ? y->line : 0, y ? y->column : 0, "%s", msg);
}

/* The nearest name, or all of them if none is near and they fit a line. */
static void hint_known(struct err *e, struct str key, const char *const *known, size_t nknown)
{
    const char *near = str_nearest(key, known, nknown);
    struct buf all = BUF_INIT(sizeof(e->hint) - sizeof("known are "));
    size_t i;

    for (i = 0; i < nknown; i++)
        buf_addf(&all, "%s%s", i ? ", " : "", known[i]);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else if (nknown && !all.failed)
        err_hint(e, "known are %s", buf_text(&all));
    buf_free(&all);
}

int yaml_only_keys(const struct yaml *map, const char *file, const char *const *known, size_t nknown, struct err *e)
{
    size_t i, k;

    if (!map)
        return 0;
    if (map->type != YAML_MAP)
        return yaml_err(e, file, map, "a map is expected here, not %s", yaml_type_name(map->type));
    for (i = 0; i < map->n; i++) {
        const struct yaml *key = map->keys[i];

        for (k = 0; k < nknown && !str_is(key->text, known[k]); k++)
            ;
        if (k < nknown)
            continue;
        yaml_err(e, file, key, "unknown key '%.100s'", key->text.p);
        if (e && map->items[i]->type == YAML_NULL && memchr(key->text.p, ' ', key->text.n))
            err_hint(e, "a text with a comma is written in quotes; known are %s, ...", known[0]);
        else if (e)
            hint_known(e, key->text, known, nknown);
        return ERR_INVALID;
    }
    return 0;
}
