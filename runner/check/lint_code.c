/* SPDX-License-Identifier: Apache-2.0 */
/* The code of a runbook, judged by lua/lint.lua in a state of its own. The compiler has the last word on what
 * is a program; the parser says where in the line. */
#include "check/lint.h"

#include "base/embedded.h"
#include "base/json.h"
#include "base/limits.h"
#include "vm/vm.h"

#include <stdio.h>
#include <string.h>

#define BUDGET_MS 20000

static int load_rules(struct vm *vm, struct err *e)
{
    static const char *const modules[] = {"prelude",     "syntax_lexer", "syntax_scope", "syntax",
                                          "syntax_walk", "lint_types",   "lint_calls",   "lint"};
    const size_t last = sizeof(modules) / sizeof(modules[0]) - 1;
    char path[64];
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i <= last; i++) {
        const struct embedded *m;

        snprintf(path, sizeof(path), "lua/%s.lua", modules[i]);
        m = embedded_find(path);
        if (!m)
            rc = err_set(e, ERR_INTERNAL, "%s is not in this program", path);
        else if (i < last)
            rc = vm_offer_trusted(vm, modules[i], m->code, e);
        else
            rc = vm_load_trusted(vm, modules[i], m->code, (struct str){0}, e);
    }
    return rc;
}

/* Numbers of lines that are neither code nor blank. */
static json_t *prose_lines(const struct runbook *b)
{
    const char *p = b->text, *end = b->text + b->text_len, *code = b->chunk, *code_end = b->chunk + b->chunk_len;
    json_t *lines = json_array();
    int line;

    for (line = 1; p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        const char *code_stop = code < code_end ? memchr(code, '\n', (size_t)(code_end - code)) : NULL;
        size_t n = (size_t)((stop ? stop : end) - p), k = (size_t)((code_stop ? code_stop : code_end) - code);

        if (k == 0 && strspn(p, " \t\r") < n)
            json_array_append_new(lines, json_integer(line));
        p += n + 1;
        code = code_stop ? code_stop + 1 : code_end;
    }
    return lines;
}

static void add_name(void *ctx, struct str name)
{
    json_array_append_new(ctx, json_stringn(name.p, name.n));
}

static json_t *names_in_templates(const struct runbook *b)
{
    json_t *names = json_array();
    struct err e = {0};
    size_t i;

    for (i = 0; i < b->nuses; i++)
        template_names(str_of(b->uses[i].instance), add_name, names, &e);
    for (i = 0; i < b->nmay; i++)
        template_names(str_of(b->may[i].target), add_name, names, &e);
    return names;
}

static json_t *permitted(const struct runbook *b)
{
    json_t *names = json_array();
    size_t i;

    for (i = 0; i < b->nmay; i++)
        json_array_append_new(names, json_string(b->may[i].effect));
    return names;
}

/* NULL where nothing is configured. */
static json_t *channel_names(const struct config *c)
{
    json_t *names = c ? json_array() : NULL;
    size_t i;

    for (i = 0; c && i < c->nchannels; i++)
        json_array_append_new(names, json_string(c->channels[i].name));
    return names;
}

static bool module_uses_params(const struct runbook *b)
{
    size_t i;

    for (i = 0; i < b->nmodules; i++) {
        if (memmem(b->modules[i].text, b->modules[i].len, "params", 6))
            return true;
    }
    return false;
}

static void arguments(const struct lint *l, struct str code, bool is_module, struct buf *out)
{
    json_t *params = json_object(), *given;
    size_t i;

    for (i = 0; i < l->book->nparams; i++) {
        const struct param *p = &l->book->params[i];

        json_object_set_new(params, p->name, json_pack("{s:i s:i}", "line", p->line, "column", p->column));
    }
    given = json_pack("[{s:o* s:O s:b s:o s:b s:o s:o s:o s:s% s:O}]", "channels", channel_names(l->config), "declared",
                      l->declared, "is_module", is_module, "may", permitted(l->book), "used_all",
                      module_uses_params(l->book), "params", params, "prose", prose_lines(l->book), "templates",
                      names_in_templates(l->book), "text", code.p, code.n, "unknown_uses", l->unknown_uses);
    json_add_value(out, given);
    json_decref(given);
}

static void take(struct lint *l, struct str json)
{
    json_t *results = json_loadb(json.p, json.n, 0, NULL), *finding;
    size_t i;

    json_array_foreach(json_array_get(results, 0), i, finding)
        lint_found(l, (int)json_get_int(finding, "line", 0), (int)json_get_int(finding, "column", 0),
                   json_get_string(finding, "rule", ""), json_get_string(finding, "why", ""),
                   json_get_string(finding, "mend", NULL));
    json_decref(results);
}

static int judge(struct lint *l, struct vm *vm, struct str code, bool is_module, struct err *e)
{
    struct buf args = BUF_INIT(4 * RUNBOOK_BYTES_MAX);
    struct vm_event ev;
    uint32_t branch;
    int rc;

    arguments(l, code, is_module, &args);
    rc = args.failed ? err_set(e, ERR_LIMIT, "its code is too large to be looked at") : load_rules(vm, e);
    if (rc == 0)
        rc = vm_start_call(vm, "lint", "check", (struct str){args.data, args.len}, &branch, e);
    while (rc == 0 && (rc = vm_step(vm, &ev)) == 2)
        rc = 0;
    buf_free(&args);
    if (rc < 0)
        return rc;
    if (ev.outcome != VM_DONE)
        return err_set(e, ERR_INTERNAL, "lint could not look at its code: %s", ev.error ? ev.error : "out of memory or time");
    take(l, ev.json);
    return 0;
}

/* One text: the runbook's chunk, or a module. */
static void look(struct lint *l, const char *file, struct str code, bool is_module)
{
    struct vm_options o = {.seed = 1, .budget_ms = BUDGET_MS};
    size_t before = json_array_size(l->findings);
    struct vm *vm = NULL;
    struct err e = {0}, refused = {0};
    int rc = vm_new(&o, &vm, &e);

    l->file = file;
    if (rc == 0)
        vm_check_chunk(vm, file, code, &refused);
    if (rc == 0)
        rc = judge(l, vm, code, is_module, &e);
    if (rc < 0)
        lint_found_err(l, &e, "internal");
    else if (refused.code && json_array_size(l->findings) == before)
        lint_found_err(l, &refused, "syntax");
    vm_free(vm);
}

void lint_code(struct lint *l)
{
    const struct runbook *b = l->book;
    size_t i;

    for (i = 0; i < b->nmodules; i++)
        look(l, b->modules[i].path, (struct str){b->modules[i].text, b->modules[i].len}, true);
    look(l, b->file, (struct str){b->chunk, b->chunk_len}, false);
}
