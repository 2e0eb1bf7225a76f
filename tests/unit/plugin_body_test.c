/* SPDX-License-Identifier: Apache-2.0 */
/* A body under a plan: its own checks and the other side's dry run go through, a change does not. */
#include "plugin/plugin.h"

#include "base/json.h"
#include "base/limits.h"
#include "io/host_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(under_a_plan)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
