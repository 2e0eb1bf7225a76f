/* SPDX-License-Identifier: Apache-2.0 */
/* Branch coverage of a runbook, over the runs of its scenarios. */
#include "check/cover.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>

struct cover {
    json_t *plan;               /* {text, program, branches: [{line, why, hit}], hypotheses: [{line, title, supported, refuted}]} */
    json_t *latest;             /* numbers that the latest run noted */
};

static int offer(struct vm *vm, struct err *e)
{
    static const char *const modules[] = {"prelude", "syntax_lexer", "syntax_scope", "syntax", "syntax_walk", "cover"};
    const size_t last = sizeof(modules) / sizeof(modules[0]) - 1;
    char path[64];
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i <= last; i++) {
        snprintf(path, sizeof(path), "lua/%s.lua", modules[i]);
        rc = i < last ? vm_offer_trusted(vm, modules[i], embedded_find(path)->code, e)
                      : vm_load_trusted(vm, modules[i], embedded_find(path)->code, STR(""), e);
    }
    return rc;
}

int cover_new(const struct runbook *book, bool decisions, struct cover **out, struct err *e)
{
    struct vm_options o = {.budget_ms = 20000, .slice_us = 20000000, .seed = 1};
    struct buf args = BUF_INIT(4 * MIB);
    struct vm_event ev;
    json_t *list = NULL;
    struct vm *vm = NULL;
    uint32_t branch;
    int rc = vm_new(&o, &vm, e);

    buf_addc(&args, '[');
    json_add_string(&args, book->chunk, book->chunk_len);
    buf_addc(&args, ']');
    if (rc == 0)
        rc = offer(vm, e);
    if (rc == 0)
        rc = vm_start_call(vm, "cover", decisions ? "decided" : "text", (struct str){args.data, args.len}, &branch, e);
    while (rc == 0 && (rc = vm_step(vm, &ev)) == 2)
        rc = 0;
    if (rc == 1)
        rc = ev.outcome == VM_DONE ? json_read(ev.json, &list, e) : err_set(e, ERR_INVALID, "%s: %s", book->file, ev.error);
    if (rc == 0) {
        *out = xcalloc(1, sizeof(**out));
        (*out)->plan = json_incref(json_array_get(list, 0));
        (*out)->latest = json_array();
    }
    json_decref(list);
    vm_free(vm);
    buf_free(&args);
    return rc;
}

void cover_free(struct cover *c)
{
    if (!c)
        return;
    json_decref(c->plan);
    json_decref(c->latest);
    free(c);
}

struct str cover_code(const struct cover *c)
{
    return str_of(json_get_string(c->plan, "text", ""));
}

const char *cover_program(const struct cover *c)
{
    return json_get_string(c->plan, "program", "");
}

const json_t *cover_latest(const struct cover *c)
{
    return c->latest;
}

bool cover_is_branch(const struct cover *c, int64_t number)
{
    return number <= (int64_t)json_array_size(json_object_get(c->plan, "branches"));
}

void cover_verdict(struct cover *c, struct str title, struct str args)
{
    struct str verdict = json_slice(args, "verdict");
    json_t *h;
    size_t i;

    json_array_foreach(json_object_get(c->plan, "hypotheses"), i, h) {
        if (str_is(title, json_get_string(h, "title", "")))
            json_object_set_new(h, str_is(verdict, "\"supported\"") ? "supported"
                                   : str_is(verdict, "\"refuted\"") ? "refuted"
                                                                    : "other", json_true());
    }
}

void cover_take(struct cover *c, struct run *r)
{
    struct buf b = BUF_INIT(MIB);
    struct err e = {0};
    json_t *hits = NULL, *n;
    size_t i;

    json_array_clear(c->latest);
    if (run_counted(r, &b, &e) == 0 && json_read((struct str){b.data, b.len}, &hits, &e) == 0) {
        json_array_foreach(json_array_get(hits, 0), i, n) {
            json_t *branch = json_array_get(json_object_get(c->plan, "branches"), (size_t)json_integer_value(n) - 1);

            json_object_set_new(branch, "hit", json_true());
        }
        json_array_extend(c->latest, json_array_get(hits, 0));
    }
    json_decref(hits);
    buf_free(&b);
}

size_t cover_count(const struct cover *c, size_t *covered)
{
    json_t *missed = cover_missed(c);
    size_t n = json_array_size(json_object_get(c->plan, "branches")) +
               2 * json_array_size(json_object_get(c->plan, "hypotheses"));

    *covered = n - json_array_size(missed);
    json_decref(missed);
    return n;
}

static int by_line(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;

    return (int)(json_get_int(*x, "line", 0) - json_get_int(*y, "line", 0));
}

static void miss(json_t **list, size_t *n, const json_t *at, const char *what, const char *title)
{
    char why[700];

    snprintf(why, sizeof(why), "%.500s%s%.190s%s", what, title ? " \"" : "", title ? title : "", title ? "\"" : "");
    list[(*n)++] = json_pack("{s:O s:s}", "line", json_object_get(at, "line"), "why", why);
}

json_t *cover_missed(const struct cover *c)
{
    const json_t *branches = json_object_get(c->plan, "branches"), *hypotheses = json_object_get(c->plan, "hypotheses"), *v;
    json_t **list = xcalloc(json_array_size(branches) + 2 * json_array_size(hypotheses) + 1, sizeof(json_t *));
    json_t *out = json_array();
    size_t i, n = 0;

    json_array_foreach((json_t *)branches, i, v) {
        if (!json_object_get(v, "hit"))
            miss(list, &n, v, json_get_string(v, "why", ""), NULL);
    }
    json_array_foreach((json_t *)hypotheses, i, v) {
        if (!json_object_get(v, "supported"))
            miss(list, &n, v, "no scenario supports", json_get_string(v, "title", ""));
        if (!json_object_get(v, "refuted"))
            miss(list, &n, v, "no scenario refutes", json_get_string(v, "title", ""));
    }
    qsort(list, n, sizeof(*list), by_line);
    for (i = 0; i < n; i++)
        json_array_append_new(out, list[i]);
    free(list);
    return out;
}
