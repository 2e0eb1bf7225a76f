/* SPDX-License-Identifier: Apache-2.0 */
/* The escape corpus against what a run really has: the whole language, the faces of plugins, modules to require. The gate
 * answers what it would if all goes well. Also: every function that the golden list names is called with hostile values. */
#include "escape_test.h"

#include "plugin/plugin.h"

#define LANGUAGE_KIB 3072       /* what the language and the faces take of a state */
#define REQUESTS_MAX 50000

static const char *const modules[] = {
    "prelude", "options", "units", "face", "face_call", "face_make", "face_record", "face_things", "face_window", "observe",
    "ending", "diagnose", "wait", "record", "people", "branches", "effects", "approve", "remedy", "temporarily",
    "list", "text", "stats",
};
static const char attempt[] = "return { attempt = function(f, ...) return host.pcall(f, ...) end }\n";
static const char bare[] =
    "return { try = function(f, ...) return host.pcall(f, ...) end,\n"
    "  look = function(x) return host.gate('read', {{ name = 'look', args = x }}) end }\n";

static struct buf setup;        /* the argument of the language */
static char *required[16], *required_names[16];
static size_t required_sizes[16], nrequired;

static void add_use(json_t *uses, struct registry *r, const char *plugin)
{
    const json_t *declared;
    struct err e = {0};
    if (registry_describe(r, plugin, plugin, &declared, &e) < 0)
        fail_msg("%s: %s", plugin, e.msg);
    json_array_append_new(uses, json_pack("{s:s s:s s:s s:O}", "alias", plugin, "instance", plugin, "plugin", plugin,
                                          "declared", declared));
}

static int make_setup(void **state)
{
    static const char *const plugins[] = {"kubernetes", "prometheus", "postgres", "http"};
    struct registry_options ro = {.sealed = true};
    struct registry *r = NULL;
    struct err e = {0};
    json_t *uses = json_array();
    (void)state;
    assert_int_equal(registry_new(&ro, &r, &e), 0);
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++)
        add_use(uses, r, plugins[i]);
    json_t *all = json_pack("{s:{s:s s:i} s:[s s] s:{s:i s:s s:f} s:{s:s s:{s:s}} s:o}", "params", "service", "api", "n", 3,
                            "param_names", "service", "n", "run", "id", 1, "requester", "me", "started", 1.0, "trigger",
                            "kind", "alert", "labels", "severity", "page", "uses", uses);
    buf_init(&setup, 4 * MIB);
    json_add_value(&setup, all);
    json_decref(all);
    registry_free(r);
    struct dirent **entries;
    int n = scandir(MIDWATCH_SOURCE_DIR "/tests/escape/language/modules", &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *dot = strstr(entries[i]->d_name, ".lua");
        if (dot && nrequired < 16) {
            char path[400];
            snprintf(path, sizeof path, "tests/escape/language/modules/%s", entries[i]->d_name);
            required_names[nrequired] = xstrndup(entries[i]->d_name, (size_t)(dot - entries[i]->d_name));
            required[nrequired] = file_text(path, &required_sizes[nrequired]);
            nrequired++;
        }
        free(entries[i]);
    }
    free(entries);
    return 0;
}

static struct vm *make(const struct escape_mode *m, bool is_killer, const char *more)
{
    struct err e = {0};
    struct vm *vm = vm_make((struct vm_options){
        .seed = 1,
        .memory_limit = m->memory_limit ? m->memory_limit + LANGUAGE_KIB * KIB : 0,
        .alloc_fault = m->alloc_fault,
        .hook_count = m->hook_count,
        .budget_ms = is_killer ? KILL_BUDGET_MS : 60000,
    });
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        offer(vm, modules[i]);
    const struct embedded *language = embedded_find("lua/language.lua");
    if (vm_load_trusted(vm, "language", language->code, (struct str){setup.data, setup.len}, &e) < 0 ||
        vm_publish(vm, "language", &e) < 0)
        fail_msg("language: %s", e.msg);
    load_module(vm, "more", more);
    for (size_t i = 0; i < nrequired; i++) {
        struct str text = {required[i], required_sizes[i]};
        if (vm_offer_required(vm, required_names[i], required_names[i], text, &e) < 0 && e.code != ERR_LIMIT)
            fail_msg("%s: %s %s", required_names[i], e.where, e.msg);
    }
    return vm;
}

static void answer(const struct vm_request *q, struct buf *out)
{
    buf_reset(out);
    if (!str_is(q->op, "read") && !str_is(q->op, "plan")) {
        buf_adds(out, str_is(q->op, "ask") ? "{\"answer\":\"done\",\"by\":\"me\"}"
                                           : "{\"at\":1,\"outcome\":\"applied\",\"path\":\"1\"}");
        return;
    }
    buf_addc(out, '[');
    for (size_t i = 0; i < q->ncalls; i++)
        buf_addf(out, "%s%s", i ? "," : "",
                 str_is(q->op, "read") ? "{\"o\":{\"value\":3},\"row\":1}"
                                       : "{\"from\":{\"n\":1},\"to\":{\"n\":2},\"target\":\"t\",\"undo\":\"possible\"}");
    buf_addc(out, ']');
}

/* Until the first branch, or the run, has ended. A run that waits for nothing is "FORKED": stuck for ever. */
static struct outcome live(struct vm *vm, uint32_t first)
{
    struct outcome out = {.outcome = VM_FORKED};
    struct buf b = BUF_INIT(MIB);
    struct vm_event ev;
    struct err e = {0};
    int rc;
    while ((rc = vm_step(vm, &ev)) != 0) {
        if (rc == 2 || ev.outcome == VM_FORKED || (ev.outcome == VM_DONE && ev.branch != first))
            continue;
        if (ev.outcome != VM_PARKED) {
            outcome_set(&out, &ev);
            break;
        }
        if (str_is(ev.request.op, "end") || ++out.requests > REQUESTS_MAX) {
            out.outcome = VM_PARKED;
            break;
        }
        if (str_is(ev.request.op, "never"))
            continue;
        answer(&ev.request, &b);
        vm_set_now(vm, ev.request.now_ms + 60000);
        if (vm_answer(vm, ev.request.branch, ev.request.generation, (struct str){b.data, b.len}, &e) < 0)
            fail_msg("%.*s: %s", (int)ev.request.op.n, ev.request.op.p, e.msg);
        if (vm_answer(vm, ev.request.branch, ev.request.generation, STR("1"), &e) != ERR_NOT_FOUND)
            fail_msg("an answer was taken twice");
    }
    buf_free(&b);
    return out;
}

static struct outcome run(struct vm *vm, const char *name, struct str text)
{
    struct outcome out = {.outcome = VM_NOMEM};
    struct err e = {0};
    uint32_t branch;
    vm_set_now(vm, 1000);
    int rc = vm_start_chunk(vm, name, text, &branch, &e);
    if (rc == 0)
        out = live(vm, branch);
    else if (rc != ERR_LIMIT)
        fail_msg("%s: %s", name, e.msg);
    vm_free(vm);
    return out;
}

static struct outcome with_language(const struct escape_file *f, const struct escape_mode *m)
{
    return run(make(m, f->is_killer, attempt), f->name, f->text);
}

static struct outcome bare_with_language(const struct escape_file *f, const struct escape_mode *m)
{
    return run(make(m, f->is_killer, bare), f->name, f->text);
}

static void corpus(void **state)
{
    (void)state;
    escape_folder("/language", false, escape_modes, ESCAPE_MODES, 30, with_language);
}

/* What the bare sandbox withstands, the language withstands too. */
static void bare_corpus(void **state)
{
    (void)state;
    escape_folder("", false, ESCAPE_NORMAL, 1, 130, bare_with_language);
}

static void reachable(void **state)
{
    (void)state;
    struct vm *vm = make(ESCAPE_NORMAL, false, "return {}");
    struct buf out = BUF_INIT(MIB);
    struct err e = {0};
    if (vm_reachable(vm, false, &out, &e) < 0)
        fail_msg("%s", e.msg);
    escape_golden("reachable_language.txt", &out);
    buf_free(&out);
    vm_free(vm);
}

/* Every function by its name, and every member of the faces, from what they declare. */
static void add_functions(struct buf *out)
{
    size_t n;
    char *list = file_text("tests/escape/reachable_language.txt", &n), *save = NULL;
    for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *space = strrchr(line, ' ');
        if (line[0] != '(' && space && strcmp(space, " function") == 0 && !strpbrk(line, "[^"))
            buf_addf(out, "probe('%.*s', %.*s)\n", (int)(space - line), line, (int)(space - line), line);
    }
    free(list);
}

static void add_members(struct buf *out, const char *face, const json_t *declared, const char *of)
{
    const char *verb;
    json_t *spec;
    json_object_foreach(json_object_get(declared, of), verb, spec) {
        if (json_is_string(json_object_get(spec, "on")) || json_is_array(json_object_get(spec, "on")))
            buf_addf(out, "method('%s', '%s')\n", face, json_get_string(spec, "called", verb));
        else
            buf_addf(out, "probe('%s.%s', %s.%s)\n", face, verb, face, verb);
    }
}

static void every_function(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(MIB);
    size_t n, i;
    char *head = file_text("tests/escape/language/every_function.head", &n);
    json_t *all, *use;
    struct err e = {0};
    assert_int_equal(json_read((struct str){setup.data, setup.len}, &all, &e), 0);
    buf_add(&text, head, n);
    add_functions(&text);
    json_array_foreach(json_object_get(all, "uses"), i, use) {
        const json_t *declared = json_object_get(use, "declared");
        const char *face = json_get_string(use, "alias", ""), *thing;
        json_t *spec;
        json_object_foreach(json_object_get(declared, "things"), thing, spec)
            buf_addf(&text, "thing('%s', '%s')\n", face, thing);
        add_members(&text, face, declared, "reads");
        add_members(&text, face, declared, "effects");
    }
    buf_adds(&text, "return calls\n");
    struct escape_file f = {.name = "every_function", .text = {text.data, text.len}};
    for (i = 0; i < ESCAPE_MODES; i++) {
        if (escape_modes[i].hook_count == 1)
            continue;       /* too long for what the scripts of the corpus show as well */
        assert_int_equal(escape_run(&f, "OK", &escape_modes[i], with_language), 0);
    }
    json_decref(all);
    buf_free(&text);
    free(head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reachable),
        cmocka_unit_test(corpus),
        cmocka_unit_test(bare_corpus),
        cmocka_unit_test(every_function),
    };
    return cmocka_run_group_tests(tests, make_setup, NULL);
}
