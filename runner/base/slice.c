/* SPDX-License-Identifier: Apache-2.0 */
/* A scanner that skips values by quotes and brackets. Its input is canonical JSON
 * of ours; on anything else it finds nothing rather than something wrong. */
#include "base/slice.h"

#include <stdlib.h>

/* Behind the string that starts at i, or n. */
static size_t skip_string(struct str s, size_t i)
{
    for (i++; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return s.n;
}

static size_t skip_value(struct str s, size_t i)
{
    int depth = 0;

    while (i < s.n) {
        char c = s.p[i];

        if (c == '"') {
            i = skip_string(s, i);
            if (depth == 0)
                return i;
            continue;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return i;
            if (--depth == 0)
                return i + 1;
        } else if (c == ',' && depth == 0) {
            return i;
        }
        i++;
    }
    return s.n;
}

struct str json_slice(struct str object, const char *key)
{
    size_t len = strlen(key), i = 1;

    if (object.n < 2 || object.p[0] != '{')
        return STR("");
    while (i < object.n && object.p[i] == '"') {
        size_t name = i + 1, end = skip_string(object, i), value;

        if (end >= object.n || object.p[end] != ':')
            return STR("");
        value = end + 1;
        i = skip_value(object, value);
        if (end - 1 - name == len && memcmp(object.p + name, key, len) == 0)
            return (struct str){object.p + value, i - value};
        if (i < object.n && object.p[i] == ',')
            i++;
    }
    return STR("");
}

int64_t json_slice_int(struct str object, const char *key, int64_t absent)
{
    struct str v = json_slice(object, key);
    char digits[24], *end;
    long long n;

    if (v.n == 0 || v.n >= sizeof(digits))
        return absent;
    memcpy(digits, v.p, v.n);
    digits[v.n] = '\0';
    n = strtoll(digits, &end, 10);
    return *end ? absent : n;
}
