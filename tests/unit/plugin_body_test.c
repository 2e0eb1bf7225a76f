/* SPDX-License-Identifier: Apache-2.0 */
/* Who may act: under a plan a body's own checks and the other side's dry run go through, a change does not; and what is no
 * effect changes nothing, whatever its body tries. */
#include "plugin/plugin.h"

#include "base/json.h"
#include "base/limits.h"
#include "io/host_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEPLOYMENT                                                                                                     \
    "{\"metadata\":{\"name\":\"api\",\"uid\":\"u\",\"resourceVersion\":\"5\",\"generation\":2},\"spec\":{\"replicas\":3}}"

struct world {
    struct host *host;
    struct registry *registry;
    struct buf seen;            /* requests, one a line */
    int patch_status;
    char answer[512];
};

static const char *const methods[] = {
    [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH",
    [HTTP_DELETE] = "DELETE",
};

static int http(void *ctx, const struct http_request *r, struct buf *body, int64_t *delay_ms)
{
    struct world *w = ctx;
    const char *path = strstr(r->url, "6443") + 4;

    *delay_ms = 5;
    buf_addf(&w->seen, "%s %s\n", methods[r->method], path);
    if (r->method == HTTP_PATCH) {
        buf_adds(body, w->patch_status == 200 ? DEPLOYMENT
                 : "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"replicas: too many\"}");
        return w->patch_status;
    }
    buf_adds(body, r->method == HTTP_POST ? "{\"status\":{\"allowed\":true}}"
             : strstr(path, "autoscalers") ? "{\"items\":[]}" : DEPLOYMENT);
    return r->method == HTTP_POST ? 201 : 200;
}

static void answered(void *ctx, struct str answer)
{
    struct world *w = ctx;

    snprintf(w->answer, sizeof(w->answer), "%.*s", (int)answer.n, answer.p);
    w->host->ops->stop(w->host);
}

static bool turn(void *ctx)
{
    return registry_turn(((struct world *)ctx)->registry);
}

/* One call of the kubernetes body in a registry that only reads; its answer. */
static const char *call(struct world *w, enum body_kind kind, struct err *e)
{
    struct body_request q = {
        .kind = kind, .instance = "k", .verb = "scale",
        .args = STR("{\"kind\":\"deployment\",\"name\":\"api\",\"namespace\":\"prod\",\"replicas\":5}"),
        .extra = STR("{\"from\":{\"generation\":2,\"replicas\":3,\"uid\":\"u\"},\"key\":\"x\",\"to\":{\"replicas\":5}}"),
    };
    struct body_call *c;

    buf_reset(&w->seen);
    w->answer[0] = '\0';
    if (body_start(w->registry, &q, answered, w, &c, e) < 0)
        return NULL;
    assert_int_equal(w->host->ops->run(w->host, turn, w, e), 0);
    return w->answer;
}

static void under_a_plan(void **state)
{
    char file[] = "/tmp/midwatch-kubeconfig-XXXXXX", text[512];
    struct world w = {.seen = BUF_INIT(16 * KIB), .patch_status = 200};
    struct host_sim_options ho = {.http = http, .real_files = true, .ctx = &w, .wall_ms = 1800000000000};
    struct registry_options ro = {.reads_only = true};
    struct config *config = NULL;
    struct err e = {0};
    int fd = mkstemp(file);

    (void)state;
    dprintf(fd, "{current-context: c, clusters: [{name: k, cluster: {server: \"http://127.0.0.1:6443\"}}],"
                " contexts: [{name: c, context: {cluster: k}}]}\n");
    close(fd);
    snprintf(text, sizeof(text), "instances: { k: { plugin: kubernetes, kubeconfig: %s } }\n", file);
    assert_int_equal(config_read(str_of(text), "midwatch.yaml", &config, &e), 0);
    assert_int_equal(host_sim_new(&ho, &w.host, &e), 0);
    ro.host = w.host;
    ro.config = config;
    assert_int_equal(registry_new(&ro, &w.registry, &e), 0);

    assert_string_equal(call(&w, BODY_STATE, &e), "{\"value\":{\"generation\":2,\"replicas\":3,\"uid\":\"u\"}}");
    assert_non_null(strstr(buf_text(&w.seen), "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews\n"));
    assert_string_equal(call(&w, BODY_PREFLIGHT, &e), "{\"value\":true}");
    assert_non_null(strstr(buf_text(&w.seen), "PATCH /apis/apps/v1/namespaces/prod/deployments/api/scale?fieldManager=midwatch"
                                              "&dryRun=All\n"));
    w.patch_status = 422;
    assert_non_null(strstr(call(&w, BODY_PREFLIGHT, &e), "\"refused\":\"error\""));
    assert_non_null(strstr(w.answer, "replicas: too many"));
    assert_null(call(&w, BODY_APPLY, &e));
    assert_int_equal(e.code, ERR_DENIED);
    assert_null(strstr(buf_text(&w.seen), "PATCH"));

    registry_free(w.registry);
    config_free(config);
    w.host->ops->free(w.host);
    buf_free(&w.seen);
    unlink(file);
}

/* An operator's plugin that tries to act, by a request or by a program, wherever it is asked. */
static const char busy[] =
    "local function act(word)\n"
    "  if word == 'http' then return http({ method = 'POST', url = 'http://127.0.0.1:6443/x' }).status end\n"
    "  return exec({ argv = { 'true' }, changes = true }).code\n"
    "end\n"
    "local word = { args = { 'target' }, params = { target = 'string' } }\n"
    "return plugin 'busy' {\n"
    "  settings = {}, permitted = function(_, target) act(target) return true end,\n"
    "  reads = { go = { args = word.args, params = word.params, returns = 'any', read = function(a) return act(a.target) end } },\n"
    "  effects = { go = { args = word.args, params = word.params, class = 'ensure', target = 'it',\n"
    "    state = function(a) return { n = act(a.target) } end, want = function() return { n = 1 } end,\n"
    "    check = function(a) act(a.target) return 'absent' end, preflight = function(a) act(a.target) end,\n"
    "    apply = function(a) act(a.target) end } },\n"
    "}\n";

static int spawned(void *ctx, const struct spawn_request *r, struct buf *out, struct buf *errout, int64_t *delay_ms)
{
    struct world *w = ctx;

    (void)out, (void)errout;
    *delay_ms = 5;
    buf_addf(&w->seen, "%s\n", r->argv[0]);
    return 0;
}

static void write_text(const char *dir, const char *name, mode_t mode, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

/* The plugins `busy` and `program`, on a host that notes what is sent and run. */
static void open_busy(struct world *w, char *dir, bool reads_only, struct config **config)
{
    struct host_sim_options ho = {.http = http, .spawn = spawned, .real_files = true, .ctx = w, .wall_ms = 1800000000000};
    struct registry_options ro = {.reads_only = reads_only, .plugin_dir = dir};
    struct err e = {0};

    assert_non_null(mkdtemp(dir));
    write_text(dir, "busy.lua", 0600, busy);
    write_text(dir, "program", 0700, "#!/bin/sh\n");
    write_text(dir, "program.json", 0600, "{\"abi\":1,\"name\":\"program\",\"reads\":{\"go\":{\"returns\":\"integer\"}}}");
    assert_int_equal(config_read(STR("instances: { busy: { plugin: busy }, program: { plugin: program } }\n"), "midwatch.yaml",
                                 config, &e), 0);
    assert_int_equal(host_sim_new(&ho, &w->host, &e), 0);
    ro.host = w->host;
    ro.config = *config;
    assert_int_equal(registry_new(&ro, &w->registry, &e), 0);
}

static void close_busy(struct world *w, const char *dir, struct config *config)
{
    static const char *const names[] = {"busy.lua", "program", "program.json"};
    char path[128];

    registry_free(w->registry);
    config_free(config);
    w->host->ops->free(w->host);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

/* What `busy` did by `word` in a call of this kind. */
static const char *tried(struct world *w, enum body_kind kind, const char *word, struct err *e)
{
    char args[32];
    struct body_request q = {.kind = kind, .instance = "busy", .verb = "go",
                             .extra = STR("{\"from\":{\"n\":0},\"key\":\"x\",\"to\":{\"n\":1}}")};
    struct body_call *c;

    snprintf(args, sizeof(args), "{\"target\":\"%s\"}", word);
    q.args = str_of(args);
    buf_reset(&w->seen);
    w->answer[0] = '\0';
    *e = (struct err){0};
    if (body_start(w->registry, &q, answered, w, &c, e) == 0)
        assert_int_equal(w->host->ops->run(w->host, turn, w, e), 0);
    return buf_text(&w->seen);
}

static void only_an_effect_acts(void **state)
{
    static const enum body_kind looks[] = {BODY_READ, BODY_STATE, BODY_CHECK, BODY_PERMITTED, BODY_PREFLIGHT};
    static const struct { const char *word, *did, *why; } ways[] = {
        {"http", "POST /x\n", "only an effect may send POST"},
        {"exec", "true\n", "only an effect may run what changes something"},
    };

    (void)state;
    for (int reads_only = 0; reads_only <= 1; reads_only++) {
        char dir[] = "/tmp/midwatch-plugins-XXXXXX";
        struct world w = {.seen = BUF_INIT(16 * KIB)};
        struct config *config = NULL;
        struct err e;

        open_busy(&w, dir, reads_only, &config);
        for (size_t i = 0; i < 2; i++) {
            for (size_t k = 0; k < sizeof(looks) / sizeof(looks[0]); k++) {
                assert_string_equal(tried(&w, looks[k], ways[i].word, &e), "");
                assert_non_null(strstr(w.answer, ways[i].why));
            }
            assert_string_equal(tried(&w, BODY_APPLY, ways[i].word, &e), reads_only ? "" : ways[i].did);
            assert_int_equal(e.code, reads_only ? ERR_DENIED : 0);
        }
        close_busy(&w, dir, config);
        buf_free(&w.seen);
    }
}

/* What a program does in a read nobody can police. */
static void a_plan_asks_no_program(void **state)
{
    static const enum body_kind kinds[] = {BODY_READ, BODY_STATE, BODY_CHECK, BODY_APPLY};
    char dir[] = "/tmp/midwatch-plugins-XXXXXX";
    struct world w = {.seen = BUF_INIT(16 * KIB)};
    struct config *config = NULL;

    (void)state;
    open_busy(&w, dir, true, &config);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct body_request q = {.kind = kinds[k], .instance = "program", .verb = "go", .args = STR("{}")};
        struct body_call *c;
        struct err e = {0};

        assert_int_equal(body_start(w.registry, &q, answered, &w, &c, &e), ERR_DENIED);
    }
    close_busy(&w, dir, config);
    buf_free(&w.seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(under_a_plan), cmocka_unit_test(only_an_effect_acts),
                                       cmocka_unit_test(a_plan_asks_no_program)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
