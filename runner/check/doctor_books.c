/* SPDX-License-Identifier: Apache-2.0 */
/* The runbooks of ./runbooks: what they may change, whether the operator and the systems
 * let them, and what would start them. */
#include "check/doctor.h"

#include "base/json.h"
#include "base/limits.h"
#include "book/source.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#define ASK_TIMEOUT_MS 10000

/* The use that an entry of may names by its alias; NULL if its instance is a template. */
static const struct use *use_of(const struct runbook *book, const struct may *m)
{
    size_t i, n = strcspn(m->effect, ".");

    for (i = 0; i < book->nuses; i++) {
        if (strlen(book->uses[i].alias) == n && strncmp(book->uses[i].alias, m->effect, n) == 0)
            return strchr(book->uses[i].instance, '{') ? NULL : &book->uses[i];
    }
    return NULL;
}

/* What the system itself says, where its plugin can ask. */
static void check_permitted(struct doctor *d, const struct runbook *book, const struct use *u, const char *verb,
                            const char *target)
{
    struct doctor_call call;
    struct buf args = BUF_INIT(4 * KIB);
    const json_t *declared;
    struct json_object o;
    size_t waiting = 0;

    if (registry_describe(d->registry, u->instance, NULL, &declared, &(struct err){0}) < 0 ||
        !json_get_bool(declared, "has_permitted", false) || strpbrk(target, "*?["))
        return;
    json_open(&o, &args);
    json_put_string(&o, "target", str_of(target));
    json_close(&o);
    doctor_ask(d, &call, &(struct body_request){.kind = BODY_PERMITTED, .instance = u->instance, .verb = verb,
                                                .args = {args.data, args.len}, .timeout_ms = ASK_TIMEOUT_MS}, &waiting);
    doctor_wait(d, &waiting);
    if (!json_get_bool(call.answer, "value", false))
        doctor_found(d, json_object_get(call.answer, "value") ? FINDING_FAIL : FINDING_WARN, "permitted",
                     "%s: %s refuses %s on %s: %s", book->name, u->instance, verb, target,
                     json_get_string(call.answer, "why", "no reason given"));
    json_decref(call.answer);
    buf_free(&args);
}

/* What the operator says of verb on target of instance x. */
static void check_allow(struct doctor *d, const struct runbook *book, const struct instance *x, const char *verb,
                        struct str target)
{
    struct buf effect = BUF_INIT(KIB), why = BUF_INIT(2 * KIB);
    const struct config *c = d->config;
    const struct allow *a;

    buf_addf(&effect, "%s.%s", x->plugin, verb);
    a = c->has_allow ? config_allows(c, buf_text(&effect), str_of(x->name), target, NULL, &why) : NULL;
    if (!c->has_allow)
        doctor_found(d, FINDING_OK, "permitted", "%s: %s on %s:%s (its own may)", book->name, buf_text(&effect), x->name,
                     target.p);
    else if (a)
        doctor_found(d, FINDING_OK, "permitted", "%s: %s on %s:%s (%s:%d)", book->name, buf_text(&effect), x->name, target.p,
                     c->file, a->line);
    else
        doctor_found(d, FINDING_FAIL, "permitted", "%s: no allow names { effect: %s, target: \"%s:%s\" }", book->name,
                     buf_text(&effect), x->name, target.p);
    buf_free(&effect);
    buf_free(&why);
}

static void check_may(struct doctor *d, const struct runbook *book, const json_t *values, const struct may *m)
{
    const struct use *u = use_of(book, m);
    const struct instance *x = u ? config_instance(d->config, u->instance) : NULL;
    const char *verb = strchr(m->effect, '.') + 1;
    struct buf target = BUF_INIT(2 * KIB);

    if (u && !x) {
        doctor_found(d, d->config->file ? FINDING_FAIL : FINDING_WARN, "permitted", "%s: %s is on '%s', which is no instance",
                     book->name, m->effect, u->instance);
    } else if (!u || !values || template_fill(str_of(m->target), values, true, &target, &(struct err){0}) < 0) {
        doctor_found(d, FINDING_OK, "permitted", "%s: %s on %s depends on its parameters", book->name, m->effect, m->target);
    } else {
        check_allow(d, book, x, verb, (struct str){buf_text(&target), target.len});
        check_permitted(d, book, u, verb, buf_text(&target));
    }
    buf_free(&target);
}

static void check_routes(struct doctor *d, const struct runbook *book)
{
    static const char *const kinds[] = {"alert", "chat", "schedule"};
    const struct config *c = d->config;
    const struct route *accepted = config_accepts(c, book->name);
    size_t i, n = 0;

    for (i = 0; i < c->nroutes; i++) {
        const struct route *r = &c->routes[i];
        char *what;

        if (r->kind == ROUTE_OFFERED || strcmp(r->runbook, book->name) != 0)
            continue;
        what = json_dumps(r->what, JSON_ENCODE_ANY | JSON_SORT_KEYS);
        doctor_found(d, FINDING_OK, "route", "%s %s would start %s (%s:%d)", kinds[r->kind], what ? what : "", book->name,
                     c->file, r->line);
        free(what);
        n++;
    }
    if (accepted && book->ntriggers)
        doctor_found(d, FINDING_OK, "route", "the %zu trigger%s that %s offers would start it (%s:%d)", book->ntriggers,
                     book->ntriggers == 1 ? "" : "s", book->name, c->file, accepted->line);
    else if (book->ntriggers && n == 0)
        doctor_found(d, FINDING_OK, "route", "%s offers %zu trigger%s; no route accepts any", book->name, book->ntriggers,
                     book->ntriggers == 1 ? "" : "s");
}

/* Values of the parameters without anybody giving one; NULL if one has no default. */
static json_t *defaults(const struct runbook *book)
{
    json_t *values = NULL;

    return params_resolve(book->params, book->nparams, NULL, 0, NULL, &values, &(struct err){0}) == 0 ? values : NULL;
}

static void check_book(struct doctor *d, const char *path, json_t *names)
{
    struct runbook *book = NULL;
    struct err e = {0};
    char why[1400];
    json_t *values;
    size_t i;

    if (source_load(NULL, path, &book, &e) < 0) {
        doctor_found(d, FINDING_FAIL, "runbook", "%s", err_text(&e, why, sizeof(why)));
    } else {
        json_object_set_new(names, book->name, json_true());
        values = defaults(book);
        for (i = 0; i < book->nmay; i++)
            check_may(d, book, values, &book->may[i]);
        check_routes(d, book);
        json_decref(values);
    }
    book_free(book);
}

/* What lies beside runbooks and has no front matter is a text for people. */
static bool is_prose(const char *path)
{
    char first[4] = "";
    FILE *f = fopen(path, "re");
    bool read = f && fgets(first, sizeof(first), f);

    if (f)
        fclose(f);
    return read && strcmp(first, "---") != 0;
}

void doctor_runbooks(struct doctor *d)
{
    json_t *names = json_object();
    glob_t g = {0};
    size_t i;

    if (glob("runbooks/*.md", 0, NULL, &g) != 0)
        doctor_found(d, FINDING_OK, "runbook", "there is no runbook in ./runbooks");
    for (i = 0; i < g.gl_pathc; i++)
        if (!is_prose(g.gl_pathv[i]))
            check_book(d, g.gl_pathv[i], names);
    for (i = 0; g.gl_pathc && i < d->config->nroutes; i++) {
        const struct route *r = &d->config->routes[i];

        if (r->kind != ROUTE_OFFERED && !json_object_get(names, r->runbook))
            doctor_found(d, FINDING_FAIL, "route", "%s:%d names the runbook '%s', which is not in ./runbooks", d->config->file,
                         r->line, r->runbook);
    }
    globfree(&g);
    json_decref(names);
}
