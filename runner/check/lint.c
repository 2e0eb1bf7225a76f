/* SPDX-License-Identifier: Apache-2.0 */
/* Lint: the front matter's schema, what plugins declare, and the code (lint_code.c). */
#include "check/lint.h"

#include "base/json.h"
#include "base/limits.h"
#include "book/book.h"
#include "io/host_sim.h"
#include "plugin/plugin.h"

#include <stdio.h>
#include <string.h>

void lint_found(struct lint *l, int line, int column, const char *rule, const char *why, const char *mend)
{
    json_array_append_new(l->findings, json_pack("{s:s s:i s:i s:s s:s s:s*}", "file", l->file, "line", line, "column",
                                                 column, "rule", rule, "why", why, "mend", mend));
}

void lint_found_err(struct lint *l, const struct err *e, const char *rule)
{
    const char *outer = l->file, *colon = strchr(e->where, ':');
    int line = 0, column = 0;
    char file[sizeof(e->where)];

    /* "file:line:column", maybe of a module */
    if (colon && sscanf(colon, ":%d:%d", &line, &column) >= 1) {
        snprintf(file, sizeof(file), "%.*s", (int)(colon - e->where), e->where);
        l->file = file;
    }
    lint_found(l, line, column, rule, e->msg, e->hint[0] ? e->hint : NULL);
    l->file = outer;
}

static const char *nearest_of(const json_t *declared, const char *name, const char *const *sections, size_t n)
{
    const char *names[256], *key;
    size_t k = 0, i;
    json_t *v;

    for (i = 0; i < n; i++) {
        json_object_foreach(json_object_get(declared, sections[i]), key, v) {
            if (k < 256)
                names[k++] = key;
        }
    }
    return str_nearest(str_of(name), names, k);
}

static void no_such(struct lint *l, int line, int column, const char *rule, const char *why, const char *near)
{
    char mend[200];

    snprintf(mend, sizeof(mend), "did you mean '%s'?", near ? near : "");
    lint_found(l, line, column, rule, why, near ? mend : NULL);
}

/* Declarations of what is used, by alias; of what cannot be told before a run, the names. */
static void check_uses(struct lint *l)
{
    size_t i;

    for (i = 0; i < l->book->nuses; i++) {
        const struct use *u = &l->book->uses[i];
        const json_t *declared;
        struct err e = {0};

        if (strchr(u->instance, '{')) {
            json_array_append_new(l->unknown_uses, json_string(u->alias));
        } else if (registry_describe(l->registry, u->instance, l->config ? NULL : u->alias, &declared, &e) < 0) {
            err_wrap(&e, "uses");
            lint_found(l, u->line, u->column, "uses", e.msg, e.hint[0] ? e.hint : NULL);
            json_array_append_new(l->unknown_uses, json_string(u->alias));
        } else {
            json_object_set(l->declared, u->alias, (json_t *)declared);
        }
    }
}

static void check_may_entry(struct lint *l, const struct may *m)
{
    static const char *const sections[] = {"effects"};
    const char *dot = strchr(m->effect, '.');
    const json_t *declared, *effect;
    char alias[128], why[400];
    size_t k;

    snprintf(alias, sizeof(alias), "%.*s", (int)(dot - m->effect), m->effect);
    declared = json_object_get(l->declared, alias);
    if (!declared)
        return;
    effect = json_object_get(json_object_get(declared, "effects"), dot + 1);
    if (!effect) {
        snprintf(why, sizeof(why), "may: %.100s has no effect '%.200s'", alias, dot + 1);
        if (json_object_size(json_object_get(declared, "effects")) == 0)
            lint_found(l, m->line, m->column, "may", why, DECLARES_NOTHING);
        else
            no_such(l, m->line, m->column, "may", why, nearest_of(declared, dot + 1, sections, 1));
    }
    for (k = 0; effect && k < m->nbounds; k++) {
        if (json_object_get(json_object_get(effect, "params"), m->bounds[k].arg))
            continue;
        snprintf(why, sizeof(why), "may: %.200s has no argument '%.100s'", m->effect, m->bounds[k].arg);
        lint_found(l, m->line, m->column, "may", why, NULL);
    }
}

/* Not a finding: a runbook is right without a route. */
static void say_routes(const struct lint *l, const struct config *c, struct buf *notes)
{
    size_t i;

    for (i = 0; c && i < c->nroutes; i++) {
        const struct route *r = &c->routes[i];

        if (r->kind == ROUTE_OFFERED ? l->book->ntriggers && r == config_accepts(c, l->book->name)
                                     : strcmp(r->runbook, l->book->name) == 0)
            buf_addf(notes, "%s: would be started by the route in %s:%d\n", l->file, c->file, r->line);
    }
}

static void check_book(struct lint *l)
{
    size_t i;

    check_uses(l);
    for (i = 0; i < l->book->nmay; i++)
        check_may_entry(l, &l->book->may[i]);
    lint_code(l);
}

static void complain(void *ctx, const struct err *e)
{
    lint_found_err(ctx, e, "runbook");
}

void lint_runbook(struct source *source, const char *name, struct config *config, json_t *findings, struct buf *notes)
{
    struct host_sim_options ho = {.seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true, .config = config};
    struct lint l = {.file = name, .config = config && config->file ? config : NULL, .findings = findings,
                     .declared = json_object(), .unknown_uses = json_array()};
    struct runbook *book = NULL;
    struct host *host = NULL;
    struct err e = {0};

    if (host_sim_new(&ho, &host, &e) == 0) {
        ro.host = host;
        if (registry_new(&ro, &l.registry, &e) == 0 && source_load(source, name, &book, &e) == 0) {
            l.book = book;
            l.file = book->file;
            say_routes(&l, config, notes);
            check_book(&l);
        }
    }
    /* All that is wrong with the front matter, in one go; anything else is one error. */
    if (e.code && (!l.registry || source_complaints(source, name, complain, &l) <= 0))
        complain(&l, &e);
    book_free(book);
    registry_free(l.registry);
    if (host)
        host->ops->free(host);
    json_decref(l.declared);
    json_decref(l.unknown_uses);
}

void lint_text(const json_t *finding, struct buf *out)
{
    const char *mend = json_get_string(finding, "mend", NULL);
    int64_t line = json_get_int(finding, "line", 0);

    buf_addf(out, "%s:", json_get_string(finding, "file", ""));
    if (line)
        buf_addf(out, "%lld:%lld:", (long long)line, (long long)json_get_int(finding, "column", 0));
    buf_addf(out, " %s", json_get_string(finding, "why", ""));
    if (mend)
        buf_addf(out, " (%s)", mend);
    buf_addc(out, '\n');
}
