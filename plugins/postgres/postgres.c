/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: a line, a call, a line. */
#include "postgres.h"

#include "base/buf.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const unsigned char declaration[];
extern const size_t declaration_len;

static json_t *unknown(const struct trouble *t)
{
    return json_pack("{s:s s:s}", "unknown", t->unknown ? t->unknown : "error", "why", t->why);
}

static json_t *of_value(json_t *value, const struct trouble *t)
{
    return value ? json_pack("{s:o}", "value", value) : unknown(t);
}

static json_t *describe(void)
{
    return json_pack("{s:o}", "value", json_loadb((const char *)declaration, declaration_len, 0, NULL));
}

static json_t *configure(struct database *db, const json_t *call)
{
    const json_t *settings = json_object_get(call, "settings"), *port = json_object_get(settings, "port");
    struct trouble t = {0};

    if (!pg_check_queries(json_object_get(settings, "queries"), &t))
        return json_pack("{s:s}", "error", t.why);
    if (port && (!json_is_integer(port) || json_integer_value(port) < 1 || json_integer_value(port) > 65535))
        return json_pack("{s:s}", "error", "port must be a number from 1 to 65535");
    db->settings = json_deep_copy(settings);
    db->dir = xstrdup(json_get_string(call, "dir", "/"));
    return json_pack("{s:b}", "value", 1);
}

static json_t *state(struct database *db, const char *verb, const json_t *args)
{
    struct trouble t = {0};
    json_t *v = pg_state(db, verb, args, &t);

    return !v && t.refused ? json_pack("{s:s}", "refused", t.why) : of_value(v, &t);
}

/* A signal that was asked for over a connection that then broke may have been sent. */
static json_t *apply(struct database *db, const char *verb, const json_t *args)
{
    struct trouble t = {0};

    if (pg_apply(db, verb, args, &t))
        return json_pack("{s:s}", "outcome", "sent");
    return json_pack("{s:s s:s}", "outcome", t.lost ? "unknown" : "refused", "why", t.why);
}

static json_t *answer(struct database *db, const json_t *call)
{
    const char *kind = json_get_string(call, "call", ""), *verb = json_get_string(call, "verb", "");
    const json_t *args = json_object_get(call, "args");
    struct trouble t = {0};

    if (strcmp(kind, "describe") == 0)
        return describe();
    if (strcmp(kind, "configure") == 0)
        return configure(db, call);
    if (strcmp(kind, "read") == 0)
        return of_value(pg_read(db, verb, args, &t), &t);
    if (strcmp(kind, "state") == 0)
        return state(db, verb, args);
    if (strcmp(kind, "apply") == 0)
        return apply(db, verb, args);
    if (strcmp(kind, "probe") == 0)
        return of_value(pg_probe(db, &t), &t);
    return json_pack("{s:s}", "error", "there is no such call");
}

int main(void)
{
    struct database db = {0};
    size_t size = 0;
    char *line = NULL;
    ssize_t n;

    json_set_alloc_funcs(xmalloc, free);    /* it would answer without the values for which there is no memory */
    while ((n = getline(&line, &size, stdin)) > 0) {
        json_t *call = json_loadb(line, (size_t)n, 0, NULL), *said;

        if (!json_is_object(call))
            break;
        said = answer(&db, call);
        json_object_set(said, "id", json_object_get(call, "id"));
        json_dumpf(said, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(said);
        json_decref(call);
    }
    free(line);
    db_close(&db);
    json_decref(db.settings);
    free(db.dir);
    return 0;
}
