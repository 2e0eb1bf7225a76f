/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds on arguments: how they are written, and whether they hold. */
#include "base/bound.h"

#include <stdio.h>
#include <stdlib.h>

int bound_read(const struct yaml *key, const struct yaml *y, const char *file, struct bound *out, struct err *e)
{
    static const char *const keys[] = {"min", "max", "one_of"};
    const struct yaml *min, *max, *one_of;
    size_t i;

    out->arg = xstrndup(key->text.p, key->text.n);
    if (y->type != YAML_MAP) {
        yaml_err(e, file, y, "'%s' must be a bound like { max: 10 }", out->arg);
        return err_hint(e, "keys of may: effect, target, at_most, and arguments of the effect");
    }
    if (yaml_only_keys(y, file, keys, 3, e) < 0)
        return e->code;
    min = yaml_get(y, "min");
    max = yaml_get(y, "max");
    one_of = yaml_get(y, "one_of");
    if ((min && min->type != YAML_INT && min->type != YAML_FLOAT) || (max && max->type != YAML_INT && max->type != YAML_FLOAT))
        return yaml_err(e, file, y, "min and max of '%s' must be numbers", out->arg);
    out->has_min = min != NULL;
    out->has_max = max != NULL;
    out->min = min ? min->number : 0;
    out->max = max ? max->number : 0;
    if (min && max && out->min > out->max)
        return yaml_err(e, file, y, "min of '%s' is above max", out->arg);
    if (one_of && one_of->type != YAML_LIST)
        return yaml_err(e, file, one_of, "one_of of '%s' must be a list", out->arg);
    out->one_of = one_of ? xcalloc(one_of->n, sizeof(*out->one_of)) : NULL;
    for (i = 0; one_of && i < one_of->n; i++)
        out->one_of[out->none_of++] =
            xstrndup(one_of->items[i]->text.p ? one_of->items[i]->text.p : "", one_of->items[i]->text.n);
    return 0;
}

void bound_deinit(struct bound *b)
{
    size_t i;

    for (i = 0; i < b->none_of; i++)
        free(b->one_of[i]);
    free(b->one_of);
    free(b->arg);
}

static bool in_list(const char *s, char *const *list, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (strcmp(list[i], s) == 0)
            return true;
    }
    return false;
}

bool bound_holds(const struct bound *b, const json_t *args, const char *whose, struct buf *why)
{
    const json_t *v = json_object_get(args, b->arg);
    char text[64];

    if (!v) {
        buf_addf(why, "%s bounds '%s', which the effect does not have", whose, b->arg);
        return false;
    }
    if ((b->has_min || b->has_max) && !json_is_number(v)) {
        buf_addf(why, "'%s' is not a number", b->arg);
        return false;
    }
    if (b->has_min && json_number_value(v) < b->min) {
        buf_addf(why, "%s = %g is below the minimum %g in %s", b->arg, json_number_value(v), b->min, whose);
        return false;
    }
    if (b->has_max && json_number_value(v) > b->max) {
        buf_addf(why, "%s = %g is above the maximum %g in %s", b->arg, json_number_value(v), b->max, whose);
        return false;
    }
    if (b->none_of == 0)
        return true;
    if (json_is_integer(v))
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));
    if (in_list(json_is_string(v) ? json_string_value(v) : json_is_integer(v) ? text : "", b->one_of, b->none_of))
        return true;
    buf_addf(why, "'%s' is not one of those in %s", b->arg, whose);
    return false;
}
