/* SPDX-License-Identifier: Apache-2.0 */
/* The escape corpus against the body of a plugin: each file of tests/escape/body is what a read does, in an operator's
 * plugin on a simulated host. Whatever it does, the call is answered and the process goes on. */
#define KILLED_WITHIN_MS 20000       /* of CPU; a body has 2 s */
#include "escape_test.h"

#include "io/host_sim.h"
#include "plugin/internal.h"

#include <sys/stat.h>
#include <unistd.h>

struct world {
    struct host *host;
    struct registry *registry;
    struct config *config;
    char dir[64];
    char answer[4096];
    int requests;
};

static int http(void *ctx, const struct http_request *r, struct buf *body, int64_t *delay_ms)
{
    struct world *w = ctx;
    (void)r;
    w->requests++;
    *delay_ms = 5;
    buf_adds(body, "{\"value\":1}");
    return 200;
}

static void answered(void *ctx, struct str answer)
{
    struct world *w = ctx;
    snprintf(w->answer, sizeof w->answer, "%.*s", (int)answer.n, answer.p);
    w->host->ops->stop(w->host);
}

static bool turn(void *ctx)
{
    return registry_turn(((struct world *)ctx)->registry);
}

static void write_file(const char *dir, const char *name, struct str head, struct str text, struct str tail)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fwrite(head.p, 1, head.n, f);
    fwrite(text.p, 1, text.n, f);
    fwrite(tail.p, 1, tail.n, f);
    fclose(f);
}

/* The plugin `evil` whose read `go` has `text` as its body. */
static void open_world(struct world *w, struct str text)
{
    struct host_sim_options ho = {.http = http, .real_files = true, .ctx = w, .wall_ms = 1800000000000};
    struct registry_options ro = {0};
    struct err e = {0};
    snprintf(w->dir, sizeof w->dir, "/tmp/midwatch-escape-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    write_file(w->dir, "evil.lua", STR("local it = { settings = {}, reads = {}, effects = {} }\n"
                                       "it.reads.well = { returns = 'any', read = function() return 7 end }\n"
                                       "it.reads.go = { returns = 'any', read = function()\n"), text,
               STR("\nend }\nreturn plugin 'evil'(it)\n"));
    assert_int_equal(config_read(STR("instances: { evil: { plugin: evil }, other: { plugin: evil } }\n"), "midwatch.yaml",
                                 &w->config, &e), 0);
    assert_int_equal(host_sim_new(&ho, &w->host, &e), 0);
    ro.host = w->host;
    ro.config = w->config;
    ro.plugin_dir = w->dir;
    assert_int_equal(registry_new(&ro, &w->registry, &e), 0);
}

static void close_world(struct world *w)
{
    char path[128];
    registry_free(w->registry);
    config_free(w->config);
    w->host->ops->free(w->host);
    snprintf(path, sizeof path, "%s/evil.lua", w->dir);
    unlink(path);
    rmdir(w->dir);
}

static int call(struct world *w, const char *instance, const char *verb, struct err *e)
{
    struct body_request q = {.kind = BODY_READ, .instance = instance, .verb = verb, .args = STR("{}"), .timeout_ms = 5000};
    struct body_call *c;
    w->answer[0] = '\0';
    int rc = body_start(w->registry, &q, answered, w, &c, e);
    return rc < 0 ? rc : w->host->ops->run(w->host, turn, w, e);
}

static struct outcome in_a_body(const struct escape_file *f, const struct escape_mode *m)
{
    struct world w = {0};
    struct outcome out = {.outcome = VM_ERROR};
    struct err e = {0};
    (void)m;
    open_world(&w, f->text);
    if (call(&w, "evil", "go", &e) < 0) {
        snprintf(out.text, sizeof out.text, "%.1000s", e.msg);
        out.outcome = e.code == ERR_LIMIT ? VM_KILLED : VM_ERROR;
    } else {
        snprintf(out.text, sizeof out.text, "%s", w.answer);
        out.outcome = strstr(w.answer, "{\"value\":") == w.answer      ? VM_DONE
                      : strstr(w.answer, "too much memory or time") ? VM_KILLED
                                                                    : VM_ERROR;
    }
    if (!w.answer[0] && !e.code)
        fail_msg("%s: no answer", f->name);
    /* The other instance of the same plugin lives on. */
    if (call(&w, "other", "well", &e) < 0 || strcmp(w.answer, "{\"value\":7}") != 0)
        fail_msg("%s: the other instance answered %s %s", f->name, w.answer, e.msg);
    close_world(&w);
    return out;
}

static void corpus(void **state)
{
    (void)state;
    escape_folder("/body", false, ESCAPE_NORMAL, 1, 25, in_a_body);
}

/* A plugin that never finishes loading, or takes all memory while it does, is an error of that plugin. */
static void while_it_is_loaded(void **state)
{
    static const char *const texts[] = {"end } while true do end it.x = { f = function()",
                                        "end } local t = {} while true do t[#t + 1] = {} end it.x = { f = function()",
                                        "end } it.reads = setmetatable({}, { __index = function() end }) "
                                        "it.x = { f = function()"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct world w = {0};
        struct err e = {0};
        const json_t *declared;
        open_world(&w, str_of(texts[i]));
        int rc = registry_describe(w.registry, "evil", NULL, &declared, &e);
        if (i < 2 && (rc != ERR_LIMIT || !strstr(e.msg, "more memory or time")))
            fail_msg("%s: %d %s", texts[i], rc, e.msg);
        close_world(&w);
    }
}

static void reachable(void **state)
{
    struct world w = {0};
    struct buf out = BUF_INIT(MIB);
    struct body *b;
    struct err e = {0};
    (void)state;
    open_world(&w, STR("return 1"));
    assert_int_equal(body_find(w.registry, "evil", NULL, &b, &e), 0);
    if (vm_reachable(b->vm, true, &out, &e) < 0)
        fail_msg("%s", e.msg);
    escape_golden("reachable_body.txt", &out);
    buf_free(&out);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reachable),
        cmocka_unit_test(while_it_is_loaded),
        cmocka_unit_test(corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
