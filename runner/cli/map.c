/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch map: all branches of a runbook, what is wrong with them, and how a change alters them. */
#include "check/check.h"
#include "check/map.h"

#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make(struct cli *c, struct source *source, json_t **map, struct err *e)
{
    struct map_request q = {.source = source, .name = c->args[0], .config = c->config, .params = c->params,
                            .nparams = c->nparams, .each = c->each};

    if (c->within && (str_duration_ms(str_of(c->within), &q.time_ms) < 0 || q.time_ms < 1000))
        return err_set(e, ERR_INVALID, "--within is how long it may compute, from 1s on, as 2m: not '%.60s'", c->within);
    return map_make(&q, map, e);
}

static void as_json(const json_t *map, struct buf *out)
{
    json_add_value(out, map);
    buf_addc(out, '\n');
}

static const struct form {
    const char *name;
    void (*write)(const json_t *map, struct buf *out);
} forms[] = {{"text", map_text}, {"json", as_json}, {"mermaid", map_mermaid}, {"svg", map_svg}, {"markdown", map_markdown}};

static const struct form *form_of(const struct cli *c)
{
    const char *name = c->form ? c->form : "text";
    size_t i;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(name, forms[i].name) == 0)
            return &forms[i];
    }
    fprintf(stderr, "midwatch: -o is text, json, mermaid, svg or markdown, not '%.60s'\n", name);
    return NULL;
}

static int put(struct buf *out, int rc)
{
    if (out->failed) {
        fprintf(stderr, "midwatch: the map is larger than can be written\n");
        rc = EXIT_USAGE;
    } else {
        fwrite(buf_text(out), 1, out->len, stdout);
    }
    buf_free(out);
    return rc;
}

static void tell_finding(const json_t *f, struct buf *out)
{
    const char *when = json_get_string(f, "when", "");
    int64_t paths = json_get_int(f, "paths", 1);

    lint_text(f, out);
    if (when[0])
        buf_addf(out, "    when %s\n", when);
    if (paths > 1)
        buf_addf(out, "    and on %lld more path%s\n", (long long)paths - 1, paths == 2 ? "" : "s");
}

static int check(const struct cli *c, const json_t *map)
{
    struct buf out = BUF_INIT(64 * MIB);
    const json_t *findings = json_object_get(map, "findings"), *f;
    size_t n = json_array_size(findings), warnings = 0, i;

    json_array_foreach(findings, i, f)
        warnings += json_object_get(f, "level") != NULL;
    if (c->form && strcmp(c->form, "json") == 0) {
        as_json(findings, &out);
    } else {
        json_array_foreach(findings, i, f)
            tell_finding(f, &out);
        if (n == warnings)
            buf_addf(&out, "%s: %lld paths, %s\n", json_get_string(map, "file", ""), (long long)json_get_int(map, "explored", 0),
                     n ? "nothing wrong" : "nothing to complain about");
    }
    return put(&out, n == warnings ? EXIT_OK : EXIT_USAGE);
}

/* One side of REF1..REF2; empty = the working tree. */
static int side(struct cli *c, const char *ref, json_t **map, struct err *e)
{
    struct source *source = NULL;
    int rc = ref[0] || c->repo ? source_open(c->repo, ref[0] ? ref : NULL, c->args[0], &source, e) : 0;

    if (rc == 0)
        rc = make(c, source, map, e);
    source_close(source);
    return rc;
}

static int diff(struct cli *c, const struct form *form)
{
    struct buf out = BUF_INIT(64 * MIB);
    const char *dots = strstr(c->diff, "..");
    json_t *before = NULL, *after = NULL;
    struct err e = {0};
    char *from;
    int rc;

    if (!dots) {
        fprintf(stderr, "midwatch: --diff takes REF1..REF2 (or REF.. for the working tree), not '%.100s'\n", c->diff);
        return EXIT_USAGE;
    }
    from = xstrndup(c->diff, (size_t)(dots - c->diff));
    rc = side(c, from, &before, &e);
    if (rc == 0)
        rc = side(c, dots + 2, &after, &e);
    if (rc == 0)
        map_diff(before, after, form->name, &out);
    json_decref(before);
    json_decref(after);
    free(from);
    if (rc == 0)
        return put(&out, EXIT_OK);
    buf_free(&out);
    return cli_fail(&e);
}

int verb_map(struct cli *c)
{
    struct buf out = BUF_INIT(64 * MIB);
    const struct form *form = form_of(c);
    struct source *source = NULL;
    struct err e = {0};
    json_t *map = NULL;
    int rc;

    if (!form)
        return EXIT_USAGE;
    rc = cli_source(c, &source);
    if (rc == 0 && c->diff) {
        source_close(source);
        return diff(c, form);
    }
    if (rc == 0 && make(c, source, &map, &e) < 0)
        rc = cli_fail(&e);
    else if (rc == 0 && c->check)
        rc = check(c, map);
    else if (rc == 0)
        form->write(map, &out);
    json_decref(map);
    source_close(source);
    return rc ? rc : put(&out, rc);
}
