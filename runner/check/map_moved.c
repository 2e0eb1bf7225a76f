/* SPDX-License-Identifier: Apache-2.0 */
/* A threshold that is moved changes every path behind it. What such paths have in common is told once: decisions of two
 * maps that come to the same and differ in one condition of one subject are the same decision behind another condition.
 */
#include "check/map.h"

#include "base/json.h"
#include "base/limits.h"

#include <string.h>

struct twin {
    const char *key; /* of `added`; NULL = there is none */
    const char *before, *after;
    size_t shared; /* so many bytes of both conditions are equal */
};

/* A decision without its hole-th condition: two that have an equal one differ in no other. */
static char *with_hole(const json_t *decision, size_t hole)
{
    struct buf b = BUF_INIT(64 * KIB);
    const json_t *c;
    size_t i;

    json_array_foreach(json_object_get(decision, "conditions"), i, c)
        buf_addf(&b, "%s\n", i == hole ? "" : json_string_value(c));
    buf_adds(&b, json_get_string(decision, "to", ""));
    return buf_take(&b, NULL);
}

static json_t *index_of(const json_t *decisions)
{
    json_t *index = json_object(), *v;
    const char *key;

    json_object_foreach((json_t *)decisions, key, v) {
        size_t i, n = json_array_size(json_object_get(v, "conditions"));

        for (i = 0; i < n; i++) {
            char *hole = with_hole(v, i);

            if (!json_object_get(index, hole))
                json_object_set_new(index, hole, json_array());
            json_array_append_new(json_object_get(index, hole), json_string(key));
            free(hole);
        }
    }
    return index;
}

static size_t shared(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

/* Of several, the one whose condition is most alike: "x > 1" became "x > 3" and not "x <= 3". */
static void look_for(struct twin *best, const json_t *list, const json_t *added, const char *before, size_t hole)
{
    const json_t *key;
    size_t i;

    json_array_foreach(list, i, key) {
        const json_t *d = json_object_get(added, json_string_value(key));
        const char *after = json_string_value(json_array_get(json_object_get(d, "conditions"), hole));
        size_t n = d ? shared(before, after) : 0;

        if (n > best->shared && n >= strcspn(before, " "))
            *best = (struct twin){.key = json_string_value(key), .before = before, .after = after, .shared = n};
    }
}

static struct twin twin_of(const json_t *decision, const json_t *index, const json_t *added)
{
    struct twin best = {0};
    const json_t *c;
    size_t i;

    json_array_foreach(json_object_get(decision, "conditions"), i, c) {
        char *hole = with_hole(decision, i);

        look_for(&best, json_object_get(index, hole), added, json_string_value(c), i);
        free(hole);
    }
    return best;
}

/* One more decision behind `after` in the place of `before`. */
static void count(json_t *out, const struct twin *t)
{
    json_t *d;
    size_t i;

    json_array_foreach(out, i, d) {
        if (strcmp(json_get_string(d, "before", ""), t->before) == 0 &&
            strcmp(json_get_string(d, "after", ""), t->after) == 0) {
            json_object_set_new(d, "decisions", json_integer(json_get_int(d, "decisions", 0) + 1));
            return;
        }
    }
    json_array_append_new(out, json_pack("{s:s s:s s:s s:i}", "what", "condition", "before", t->before, "after",
                                         t->after, "decisions", 1));
}

json_t *map_moved(json_t *removed, json_t *added)
{
    json_t *out = json_array(), *index = index_of(added), *v;
    const char *key;
    void *next;
    size_t i;

    json_object_foreach_safe(removed, next, key, v) {
        struct twin t = twin_of(v, index, added);

        if (!t.key)
            continue;
        count(out, &t);
        json_object_del(added, t.key);
        json_object_del(removed, key);
    }
    json_decref(index);
    json_array_foreach(out, i, v) {
        int n = (int)json_get_int(v, "decisions", 0);

        json_object_set_new(v, "when",
                            json_sprintf(n == 1 ? "%d decision, which comes to the same as before"
                                                : "%d decisions, which come to the same as before",
                                         n));
    }
    return out;
}
