/* SPDX-License-Identifier: Apache-2.0 */
/* YAML as a tree in which every node knows its line and column. A strict
 * subset: one document, no tags, no aliases, no merge keys, no duplicate keys,
 * string keys only, bounded depth, nodes and bytes. Plain scalars follow the
 * YAML 1.2 core schema (null, true/false, integers, floats): `no`, `012` and
 * `1:30` are strings. An integer beyond 64 bits, an infinite number or a key that
 * is no string (1, true) is an error that asks for quotes. */
#ifndef MIDWATCH_BASE_YAML_H
#define MIDWATCH_BASE_YAML_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>

enum yaml_type { YAML_NULL, YAML_BOOL, YAML_INT, YAML_FLOAT, YAML_STRING, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_type type;
    int line;               /* from 1, of the file, not of the snippet */
    int column;             /* from 1 */
    struct str text;        /* the scalar as written (unquoted), for every scalar type */
    bool boolean;
    int64_t integer;
    double number;          /* for YAML_INT too */
    struct yaml **items;    /* list: n items; map: n values */
    struct yaml **keys;     /* map: n keys, each a YAML_STRING */
    size_t n;
};

/* Parses `text`; the first line counts as `first_line` of `file` in messages and marks.
 * *out is owned (yaml_tree_free) and set only on success. ERR_INVALID, or ERR_LIMIT for bytes, depth
 * and nodes. CRLF, a BOM and tabs in indentation are errors that say so. */
int yaml_read(struct str text, const char *file, int first_line, struct yaml **out, struct err *e);
/* libyaml.so calls an exported function of this name to free its own memory; hidden, ours
 * cannot take its place. */
void yaml_tree_free(struct yaml *y) __attribute__((visibility("hidden")));
/* The value under key, or NULL. Borrowed. */
struct yaml *yaml_get(const struct yaml *map, const char *key);
/* Where a path leads to, as far as it does: the key in a map, the element of a list. Steps are keys and places in lists
 * (from 0), each begun by YAML_STEP; *depth is how many were there. Borrowed. */
#define YAML_STEP '\x1f'
const struct yaml *yaml_at(const struct yaml *root, const char *path, size_t *depth);
/* The value as a new jansson reference. */
json_t *yaml_to_json(const struct yaml *y);
/* "a list", "a map", "an integer"...: for messages. */
const char *yaml_type_name(enum yaml_type t);
/* ERR_INVALID at y's place; y NULL: in the file. */
int yaml_err(struct err *e, const char *file, const struct yaml *y, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Refuses what is no map (NULL is fine) and a map that has a key outside known[nknown], naming the
 * nearest valid key, or all. */
int yaml_only_keys(const struct yaml *map, const char *file, const char *const *known, size_t nknown,
                   struct err *e);

#endif
