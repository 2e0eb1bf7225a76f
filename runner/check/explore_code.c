/* SPDX-License-Identifier: Apache-2.0 */
#include "check/explore_code.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAKER_BUDGET_MS 20000

static const char *const makers[] = {"prelude", "syntax_lexer", "syntax_scope", "syntax", "syntax_walk", "instrument_join",
                                     "instrument_steps", "instrument", "explore_scan"};
/* In this order behind fork and explore_gate. */
static const char *const plain[] = {"prelude", "observe", "ending", "diagnose", "wait", "people", "branches", "effects",
                                    "approve", "remedy", "temporarily", "undo", "fork_names", "fork_exits", "fork_places",
                                    "fork_same", "symbols_spell", "symbols_bounds", "symbols_narrow", "symbols",
                                    "symbols_text", "symbols_shape", "steps", "checked", "explore_state", "explore_tree", "fork",
                                    "witness_text", "witness_values", "explore_witness"};
static const char *const language[EXPLORE_LANGUAGE] = {"options", "units", "face", "face_call", "face_make", "face_record",
                                                        "face_things", "face_window", "record", "list", "text", "stats"};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct embedded *find(const char *name, struct err *e)
{
    const struct embedded *m;
    char path[64];

    snprintf(path, sizeof(path), "lua/%s.lua", name);
    m = embedded_find(path);
    if (!m)
        err_set(e, ERR_INTERNAL, "%s is not in this program", path);
    return m;
}

static int offer(struct vm *vm, const char *name, struct err *e)
{
    const struct embedded *m = find(name, e);

    return m ? vm_offer_trusted(vm, name, m->code, e) : e->code;
}

static int load(struct vm *vm, const char *name, struct str arg, struct err *e)
{
    const struct embedded *m = find(name, e);

    return m ? vm_load_trusted(vm, name, m->code, arg, e) : e->code;
}

static int new_maker(struct vm **vm, struct err *e)
{
    struct vm_options o = {.seed = 1, .budget_ms = MAKER_BUDGET_MS};
    size_t i;
    int rc = vm_new(&o, vm, e);

    for (i = 0; rc == 0 && i < COUNT(makers); i++)
        rc = offer(*vm, makers[i], e);
    if (rc == 0)
        rc = load(*vm, "instrument", (struct str){0}, e);
    return rc ? rc : load(*vm, "explore_scan", (struct str){0}, e);
}

/* The results of module.function(text), owned, or NULL. */
static json_t *make(struct vm *vm, const char *module, const char *function, struct str text, struct err *e)
{
    struct buf args = BUF_INIT(8 * RUNBOOK_BYTES_MAX);
    struct vm_event ev = {0};
    json_t *results = NULL;
    uint32_t branch;
    int rc;

    buf_addc(&args, '[');
    json_add_string(&args, text.p, text.n);
    buf_addc(&args, ']');
    rc = vm_start_call(vm, module, function, (struct str){args.data, args.len}, &branch, e);
    while (rc == 0 && (rc = vm_step(vm, &ev)) == 2)
        rc = 0;
    if (rc >= 0 && ev.outcome == VM_DONE)
        results = json_loadb(ev.json.p, ev.json.n, 0, NULL);
    else if (rc >= 0)
        err_set(e, ERR_LIMIT, "its code cannot be read: %s", ev.error ? ev.error : "out of memory or time");
    buf_free(&args);
    return results;
}

static char *checked_form(struct vm *vm, const char *function, const char *file, struct str text, struct err *e)
{
    json_t *results = make(vm, "instrument", function, text, e);
    const json_t *wrong = json_array_get(results, 1);
    const char *form = json_string_value(json_array_get(results, 0));
    char *out = NULL;

    if (form)
        out = xstrdup(form);
    else if (results)
        err_at(e, ERR_INVALID, file, (int)json_get_int(wrong, "line", 0), (int)json_get_int(wrong, "column", 0), "%s",
               json_get_string(wrong, "message", "no program"));
    json_decref(results);
    return out;
}

/* `watched`: what the code changes openly is compared (lua/instrument_join.lua). */
static void scan(struct explore_code *c, struct vm *vm, struct str text, bool watched, struct err *e)
{
    json_t *results = make(vm, "explore_scan", "program", text, e), *name;
    const json_t *found = json_array_get(results, 0);
    size_t i;

    c->changes = c->changes || json_get_bool(found, watched ? "hidden" : "changes", true);
    json_array_foreach(json_object_get(found, "branched"), i, name)
        json_object_set_new(c->branched, json_string_value(name), json_true());
    json_decref(results);
}

/* A trusted module in its checked form: the functions come from lua/checked.lua. */
static char *checked_module(struct vm *vm, const char *name, struct err *e)
{
    static const char before[] = "return (function(...) ", after[] = " end)(host.module('checked').ops)(...)";
    const struct embedded *m = find(name, e);
    char *form = m ? checked_form(vm, "text", name, m->text, e) : NULL, *out = NULL;

    if (form) {
        size_t n = strlen(form) + sizeof(before) + sizeof(after);

        out = xcalloc(1, n);
        snprintf(out, n, "%s%s%s", before, form, after);
    }
    free(form);
    return out;
}

int explore_code_read(struct explore_code *c, const struct runbook *b, const char *program, struct err *e)
{
    struct vm *vm = NULL;
    struct str code = {b->chunk, b->chunk_len};
    size_t i;
    int rc = new_maker(&vm, e);

    *c = (struct explore_code){.book = b, .branched = json_object(), .modules = xcalloc(b->nmodules + 1, sizeof(char *))};
    if (rc == 0)
        c->program = checked_form(vm, "program", b->file, program ? str_of(program) : code, e);
    if (c->program)
        scan(c, vm, code, true, e);
    for (i = 0; e->code == 0 && i < b->nmodules; i++) {
        struct str text = {b->modules[i].text, b->modules[i].len};

        c->modules[i] = checked_form(vm, "text", b->modules[i].path, text, e);
        scan(c, vm, text, false, e);
    }
    for (i = 0; e->code == 0 && i < EXPLORE_LANGUAGE; i++)
        c->language[i] = checked_module(vm, language[i], e);
    vm_free(vm);
    return e->code;
}

static int load_programs(const struct explore_code *c, struct vm *vm, struct err *e)
{
    const struct runbook *b = c->book;
    char name[128];
    size_t i;
    int rc = vm_load_checked(vm, "program", b->file, str_of(c->program), "checked", e);

    for (i = 0; rc == 0 && i < b->nmodules; i++) {
        snprintf(name, sizeof(name), "program:%s", b->modules[i].name);
        rc = vm_load_checked(vm, name, b->modules[i].path, str_of(c->modules[i]), "checked", e);
    }
    return rc;
}

int explore_code_load(const struct explore_code *c, struct vm *vm, struct str setup, struct err *e)
{
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < COUNT(plain); i++)
        rc = offer(vm, plain[i], e);
    for (i = 0; rc == 0 && i < EXPLORE_LANGUAGE; i++)
        rc = vm_offer_trusted(vm, language[i], str_of(c->language[i]), e);
    if (rc == 0)
        rc = load(vm, "explore_gate", (struct str){0}, e);
    if (rc == 0)
        rc = load(vm, "language", setup, e);
    if (rc == 0)
        rc = load(vm, "explore_library", setup, e);
    if (rc == 0)
        rc = load(vm, "explore", setup, e);
    if (rc == 0)
        rc = vm_publish(vm, "language", e);
    return rc ? rc : load_programs(c, vm, e);
}

void explore_code_free(struct explore_code *c)
{
    size_t i;

    free(c->program);
    for (i = 0; c->modules && i < c->book->nmodules; i++)
        free(c->modules[i]);
    free(c->modules);
    for (i = 0; i < EXPLORE_LANGUAGE; i++)
        free(c->language[i]);
    json_decref(c->branched);
}
