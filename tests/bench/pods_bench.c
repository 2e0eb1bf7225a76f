/* SPDX-License-Identifier: Apache-2.0 */
/* Measures two reads of the kubernetes plugin, through its whole body, each beside its baseline in the same process:
 * 5,000 pods with a field list in pages of 250 against jansson's json_loadb of the same pages, with the memory at the
 * most; 1,000 lines of a log matched. One JSON object on stdout. */
#include "plugin/pick.h"
#include "plugin/plugin.h"

#include "base/json.h"
#include "base/limits.h"
#include "io/host_sim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PODS = 5000, PAGE = 250, PAGES = PODS / PAGE, ROUNDS = 5 };

static const char pod[] =
    "%s{\"metadata\":{\"name\":\"api-service-7d9fb6c8d4-%05d\",\"generateName\":\"api-service-7d9fb6c8d4-\",\"namespac"
    "e\":\"prod\","
    "\"uid\":\"3f0c1d1e-5b6a-4f0e-9c59-0000000%05d\",\"resourceVersion\":\"88%05d\",\"creationTimestamp\":\"2026-11-25"
    "T20:00:00Z\","
    "\"labels\":{\"app\":\"api-service\",\"pod-template-hash\":\"7d9fb6c8d4\",\"team\":\"ml-platform\"},"
    "\"annotations\":{\"prometheus.io/scrape\":\"true\",\"checksum/config\":\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
    "2b0b822c\"},"
    "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"api-service-7d9fb6c8d4\",\"uid\":"
    "\"0c5f4d55-0000-4f0e-9c59-000000000001\",\"controller\":true,\"blockOwnerDeletion\":true}],\"managedFields\":[";
static const char managed[] =
    "%s{\"manager\":\"%s\",\"operation\":\"Update\",\"apiVersion\":\"v1\",\"time\":\"2026-11-25T20:00:00Z\",\"fieldsTy"
    "pe\":\"FieldsV1\","
    "\"fieldsV1\":{\"f:metadata\":{\"f:annotations\":{\".\":{},\"f:checksum/config\":{},\"f:prometheus.io/scrape\":{}}"
    ",\"f:labels\":"
    "{\".\":{},\"f:app\":{},\"f:pod-template-hash\":{},\"f:team\":{}},\"f:ownerReferences\":{\".\":{},\"k:{\\\"uid\\\""
    ":\\\"0c5f\\\"}\":"
    "{}}},\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"main\\\"}\":{\".\":{},\"f:env\":{\".\":{},\"k:{\\\"name"
    "\\\":\\\"MODEL\\\"}\":"
    "{\".\":{},\"f:name\":{},\"f:value\":{}}},\"f:image\":{},\"f:imagePullPolicy\":{},\"f:livenessProbe\":{\".\":{},"
    "\"f:failureThreshold\":{},\"f:httpGet\":{\".\":{},\"f:path\":{},\"f:port\":{},\"f:scheme\":{}}},\"f:name\":{},\"f"
    ":ports\":{},"
    "\"f:resources\":{\".\":{},\"f:limits\":{\".\":{},\"f:memory\":{}},\"f:requests\":{\".\":{},\"f:cpu\":{},\"f:memory\":{}}}}},"
    "\"f:dnsPolicy\":{},\"f:restartPolicy\":{},\"f:schedulerName\":{},\"f:terminationGracePeriodSeconds\":{}}}}";
static const char rest[] =
    "]},\"spec\":{\"volumes\":[{\"name\":\"token\",\"projected\":{\"sources\":[{\"serviceAccountToken\":{\"expirationS"
    "econds\":3607,"
    "\"path\":\"token\"}}],\"defaultMode\":420}}],\"containers\":[{\"name\":\"main\",\"image\":\"registry.example.net/"
    "model-service:v1\","
    "\"ports\":[{\"containerPort\":8080,\"protocol\":\"TCP\"}],\"env\":[{\"name\":\"MODEL\",\"value\":\"ranker\"},{\"n"
    "ame\":\"LEVEL\","
    "\"value\":\"info\"}],\"resources\":{\"limits\":{\"memory\":\"2Gi\"},\"requests\":{\"cpu\":\"500m\",\"memory\":\"2Gi\"}},"
    "\"volumeMounts\":[{\"name\":\"token\",\"readOnly\":true,\"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\"}],"
    "\"livenessProbe\":{\"httpGet\":{\"path\":\"/healthz\",\"port\":8080,\"scheme\":\"HTTP\"},\"timeoutSeconds\":1},"
    "\"terminationMessagePath\":\"/dev/termination-log\",\"imagePullPolicy\":\"IfNotPresent\"}],\"restartPolicy\":\"Always\","
    "\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\",\"serviceAccountName\":\"default\",\"nodeName"
    "\":\"node-%d\","
    "\"securityContext\":{},\"schedulerName\":\"default-scheduler\",\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\","
    "\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}]},\"status\":{\"phase\":\"Running\","
    "\"conditions\":"
    "[{\"type\":\"Initialized\",\"status\":\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\"2026-11-25T20:00:01Z\"},"
    "{\"type\":\"Ready\",\"status\":\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\"2026-11-25T20:00:05Z\"},"
    "{\"type\":\"PodScheduled\",\"status\":\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\"2026-11-25T20:00:00Z\"}],"
    "\"hostIP\":\"10.0.0.7\",\"podIP\":\"10.1.2.3\",\"podIPs\":[{\"ip\":\"10.1.2.3\"}],\"startTime\":\"2026-11-25T20:00:00Z\","
    "\"containerStatuses\":[{\"name\":\"main\",\"state\":{\"running\":{\"startedAt\":\"2026-11-25T20:00:03Z\"}},\"lastState\":{},"
    "\"ready\":true,\"restartCount\":%d,\"image\":\"registry.example.net/model-service:v1\",\"imageID\":\"registry.example.net/"
    "model-service@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\",\"containerID\":\"containerd://"
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\",\"started\":true}],\"qosClass\":\"Burstable\"}}";
static const char *const managers[] = {"kube-controller-manager", "kubelet", "kubectl-rollout"};

struct bench {
    struct host *host;
    struct registry *registry;
    size_t page_bytes, answer_bytes;
    bool is_list;
};

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The most memory this process had, in MiB. */
static double peak_mib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    }
    if (f)
        fclose(f);
    return (double)kib / 1024;
}

static void make_page(int number, struct buf *out)
{
    int i, k, n;

    buf_addf(out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"990000\"");
    if (number + 1 < PAGES)
        buf_addf(out, ",\"continue\":\"%d\"", number + 1);
    buf_addf(out, "},\"items\":[");
    for (i = 0; i < PAGE; i++) {
        n = number * PAGE + i;
        buf_addf(out, pod, i ? "," : "", n, n, n);
        for (k = 0; k < 3; k++)
            buf_addf(out, managed, k ? "," : "", managers[k]);
        buf_addf(out, rest, n % 300, n % 7);
    }
    buf_addf(out, "]}");
}

static int http(void *ctx, const struct http_request *r, struct buf *body, int64_t *delay_ms)
{
    const char *token = strstr(r->url, "continue=");

    (void)ctx;
    *delay_ms = 1;
    if (strstr(r->url, "/pods?"))
        make_page(token ? (int)strtol(token + 9, NULL, 10) : 0, body);
    else
        buf_adds(body, "{\"resources\":[{\"name\":\"pods\",\"singularName\":\"pod\",\"kind\":\"Pod\",\"namespaced\":true}]}");
    return 200;
}

static void answered(void *ctx, struct str answer)
{
    struct bench *b = ctx;

    b->answer_bytes = answer.n;
    b->is_list = answer.n > 11 && strncmp(answer.p, "{\"value\":[{", 11) == 0;
    if (!b->is_list)
        fprintf(stderr, "pods: %.*s\n", (int)(answer.n < 300 ? answer.n : 300), answer.p);
    b->host->ops->stop(b->host);
}

static bool turn(void *ctx)
{
    return registry_turn(((struct bench *)ctx)->registry);
}

static double read_pods(struct bench *b)
{
    struct body_request q = {
        .kind = BODY_READ, .instance = "k", .verb = "objects", .timeout_ms = 600000,
        .args = STR("{\"at_most\":5000,\"fields\":{\"name\":\"metadata.name\",\"node\":\"spec.nodeName\","
                    "\"phase\":\"status.phase\",\"restarts\":\"status.containerStatuses[].restartCount\"},"
                    "\"namespace\":\"prod\",\"object\":\"pods\"}"),
    };
    struct body_call *c;
    struct err e = {0};
    double from = cpu_s();

    if (body_start(b->registry, &q, answered, b, &c, &e) < 0 || b->host->ops->run(b->host, turn, b, &e) < 0) {
        fprintf(stderr, "pods: %s\n", e.msg);
        exit(1);
    }
    return cpu_s() - from;
}

/* Makes the same pages; *load is the time that jansson takes for them, by the fastest page of all: the strictest baseline. */
static double pages(struct bench *b, double *load)
{
    struct buf page = BUF_INIT(HTTP_BODY_MAX);
    double made = 0, from;
    json_error_t why;
    json_t *v;
    int i;

    for (i = 0; i < PAGES; i++) {
        from = cpu_s();
        buf_reset(&page);
        make_page(i, &page);
        made += cpu_s() - from;
        b->page_bytes = page.len;
        from = cpu_s();
        v = json_loadb(page.data, page.len, 0, &why);
        json_decref(v);
        *load = fmin(*load, PAGES * (cpu_s() - from));
    }
    buf_free(&page);
    return made;
}

static double match_lines(void)
{
    struct buf text = BUF_INIT(MIB);
    json_t *how = json_pack("{s:i s:s}", "at_most", 1000, "match", "status 5[0-9]{2}.*(timeout|refused)"), *out = NULL;
    struct err e = {0};
    double from, took;
    int i;

    for (i = 0; i < 1000; i++)
        buf_addf(&text, "2026-11-25T20:%02d:%02d.123Z INFO request %d status %d from upstream: connection %s\n",
                 i / 60 % 60, i % 60, i, 200 + i % 5 * 100, i % 3 ? "refused" : "kept");
    from = cpu_s();
    pick_lines((struct str){text.data, text.len}, how, &out, &e);
    took = cpu_s() - from;
    json_decref(out);
    json_decref(how);
    buf_free(&text);
    return took;
}

static void begin(struct bench *b, const char *file, struct config **config)
{
    struct host_sim_options ho = {.http = http, .real_files = true, .ctx = b, .wall_ms = 1800000000000};
    struct registry_options ro = {.reads_only = true};
    struct err e = {0};
    char text[512];

    snprintf(text, sizeof(text), "instances: { k: { plugin: kubernetes, kubeconfig: %s } }\n", file);
    if (config_read(str_of(text), "bench.yaml", config, &e) < 0 || host_sim_new(&ho, &b->host, &e) < 0)
        exit(1);
    ro.host = b->host;
    ro.config = *config;
    registry_new(&ro, &b->registry, &e);
}

int main(void)
{
    char file[] = "/tmp/midwatch-pods-XXXXXX";
    double whole = 1e9, made = 1e9, loaded = 1e9, lines = 1e9, memory;
    struct config *config = NULL;
    struct bench b = {0};
    int i, fd = mkstemp(file);

    dprintf(fd, "{current-context: c, clusters: [{name: k, cluster: {server: \"http://127.0.0.1:6443\"}}],"
                " contexts: [{name: c, context: {cluster: k}}]}\n");
    close(fd);
    begin(&b, file, &config);
    read_pods(&b);
    memory = peak_mib();
    for (i = 0; i < ROUNDS; i++) {
        whole = fmin(whole, read_pods(&b));
        made = fmin(made, pages(&b, &loaded));
        lines = fmin(lines, match_lines());
    }
    printf("{\"json_loadb_ms\":%.1f,\"lines_ms\":%.3f,\"page_kib\":%zu,\"peak_mib\":%.1f,\"pods\":%d,\"ratio\":%.2f,"
           "\"read_ms\":%.1f,\"value_kib\":%zu}\n",
           loaded * 1e3, lines * 1e3, b.page_bytes / 1024, memory, PODS, (whole - made) / loaded, (whole - made) * 1e3,
           b.answer_bytes / 1024);
    registry_free(b.registry);
    config_free(config);
    b.host->ops->free(b.host);
    unlink(file);
    return b.is_list ? 0 : 1;
}
