/* SPDX-License-Identifier: Apache-2.0 */
/* Many runs in one engine. Each prints one JSON object.
 *
 * many_bench effects SOURCE DIR     200 runs of 20 effects, against the same items written by a C loop
 * many_bench hostile SOURCE DIR     the gate calls of five runs, without and beside ten runs that burn
 * many_bench wake SOURCE DIR        a sleeping run with a thousand rows is woken
 * many_bench waiting SOURCE DIR N   writes N copies of a sleeping run
 * many_bench interrupted SOURCE DIR N   starts N runs and dies */
#include "run/engine.h"

#include "base/json.h"
#include "base/limits.h"
#include "book/source.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { RUNS = 200, EFFECTS = 20, BATCH = 64, SLICE_US = 100, HOSTILE = 10, OTHERS = 5, ROWS = 1000 };

static double seconds(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now_s(void) { return seconds(CLOCK_MONOTONIC); }

/* Of this process alone: what others do on the machine does not show. */
static double cpu_s(void) { return seconds(CLOCK_PROCESS_CPUTIME_ID); }

static void die(const struct err *e)
{
    char text[1400];

    fprintf(stderr, "many_bench: %s\n", err_text(e, text, sizeof(text)));
    exit(1);
}

/* The journal that writes, and keeps the items. */
struct recorder {
    struct journal base;
    struct journal_ops ops;
    struct journal *to;
    struct journal_item *items;
    size_t n;
};

static struct str keep(struct str s)
{
    return (struct str){xstrndup(s.n ? s.p : "", s.n), s.n};
}

static struct journal_item copy_item(const struct journal_item *item)
{
    struct journal_item c = *item;
    struct row *rows = xmemdup(item->nrows ? (const void *)item->rows : "", item->nrows * sizeof(*rows) + 1);
    struct change *changes = xmemdup(item->nchanges ? (const void *)item->changes : "", item->nchanges * sizeof(*changes) + 1);
    struct guard *guards = xmemdup(item->nguards ? (const void *)item->guards : "", item->nguards * sizeof(*guards) + 1);
    size_t i, k;

    for (i = 0; i < item->nrows; i++) {
        rows[i].path = keep(rows[i].path);
        rows[i].name = keep(rows[i].name);
        rows[i].args = keep(rows[i].args);
        rows[i].payload = keep(rows[i].payload);
    }
    for (i = 0; i < item->nchanges; i++) {
        struct change *x = &changes[i];
        struct str *texts[] = {&x->target, &x->key,    &x->path,   &x->action,  &x->text,  &x->uuid,    &x->runbook,
                               &x->command, &x->bundle, &x->params, &x->trigger, &x->dedup, &x->outcome, &x->reason};

        for (k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
            *texts[k] = keep(*texts[k]);
    }
    for (i = 0; i < item->nguards; i++) {
        struct str *texts[] = {&guards[i].target, &guards[i].commit,  &guards[i].path,
                               &guards[i].action, &guards[i].pattern, &guards[i].runbook};

        for (k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
            *texts[k] = keep(*texts[k]);
    }
    c.rows = rows;
    c.changes = changes;
    c.guards = guards;
    return c;
}

static int record(struct journal *j, struct journal_item *items, size_t n, struct err *e)
{
    struct recorder *r = (struct recorder *)j;
    size_t i;

    for (i = 0; i < n; i++) {
        r->items = xrealloc(r->items, (r->n + 1) * sizeof(*r->items));
        r->items[r->n++] = copy_item(&items[i]);
    }
    return r->to->ops->commit(r->to, items, n, e);
}

static int64_t next_run(struct journal *j) { return ((struct recorder *)j)->to->ops->next_run(((struct recorder *)j)->to); }

static int put_bundle(struct journal *j, const char *id, struct str meta, const struct blob_ref *files, size_t n, struct err *e)
{
    struct recorder *r = (struct recorder *)j;

    return r->to->ops->put_bundle(r->to, id, meta, files, n, e);
}

static int effects(struct journal *j, int64_t run, effect_fn fn, void *ctx, struct err *e)
{
    struct recorder *r = (struct recorder *)j;

    return r->to->ops->effects(r->to, run, fn, ctx, e);
}

static void recorder_free(struct journal *j)
{
    struct recorder *r = (struct recorder *)j;

    r->to->ops->free(r->to);
}

struct stage {
    struct host *host;
    struct config *config;
    struct registry *registry;
    struct writer *writer;
    struct engine *engine;
    struct engine_options o;
};

static void wake(void *ctx)
{
    struct host *h = ctx;

    h->ops->wake(h);
}

static void open_stage(struct stage *s, const char *source, const char *state, struct recorder *recorder)
{
    static char plugins[4096];
    struct registry_options ro;
    struct journal *j;
    struct err e = {0};

    snprintf(plugins, sizeof(plugins), "%s/tests/bench/plugins", source);
    if (host_real_new(&s->host, &e) < 0 ||
        config_read(STR("instances: { bench: { plugin: bench } }\n"), "bench.yaml", &s->config, &e) < 0 ||
        journal_sqlite_open(state, "bench", NULL, &j, &e) < 0)
        die(&e);
    if (recorder) {
        *recorder = (struct recorder){.to = j, .ops = {.commit = record, .next_run = next_run, .put_bundle = put_bundle,
                                                       .effects = effects, .free = recorder_free}};
        recorder->base.ops = &recorder->ops;
        j = &recorder->base;
    }
    if (writer_new(j, true, wake, s->host, &s->writer, &e) < 0)
        die(&e);
    ro = (struct registry_options){.host = s->host, .config = s->config, .plugin_dir = plugins};
    if (registry_new(&ro, &s->registry, &e) < 0)
        die(&e);
    s->o.host = s->host;
    s->o.writer = s->writer;
    s->o.registry = s->registry;
    s->o.config = s->config;
    s->o.answerer = answer_live_new(s->registry);
    s->o.stop_when_settled = true;
    if (engine_new(&s->o, &s->engine, &e) < 0)
        die(&e);
}

static void close_stage(struct stage *s)
{
    engine_free(s->engine);
    s->o.answerer->ops->free(s->o.answerer);
    registry_free(s->registry);
    writer_free(s->writer);
    config_free(s->config);
    s->host->ops->free(s->host);
}

static struct run *start(struct stage *s, const char *source, const char *name, const char *n)
{
    struct run_request q = {.command = "run", .requester = "bench", .seed = 1,
                            .params = n ? json_pack("{s:s}", "n", n) : json_object()};
    char path[4096];
    struct err e = {0};
    struct run *r;

    snprintf(path, sizeof(path), "%s/tests/bench/%s.md", source, name);
    if (source_load(NULL, path, &q.book, &e) < 0 || engine_start(s->engine, &q, &r, &e) < 0)
        die(&e);
    json_decref(q.params);
    return r;
}

static void go(struct stage *s)
{
    struct err e = {0};

    if (s->host->ops->run(s->host, engine_turn, s->engine, &e) < 0)
        die(&e);
    if (engine_failure(s->engine))
        die(engine_failure(s->engine));
}

static void subdir(const char *dir, const char *name, char out[4096])
{
    snprintf(out, 4096, "%s/%s", dir, name);
    mkdir(out, 0700);
}

/* Seconds that 200 runs take from the first step to the last end. */
static double run_effects(const char *source, const char *state, struct recorder *recorder, int64_t *commits)
{
    struct stage s = {.o = {.slice_us = SLICE_US}};
    struct run *runs[RUNS];
    double begun;
    char n[16];
    int i;

    open_stage(&s, source, state, recorder);
    for (i = 0; i < RUNS; i++) {
        snprintf(n, sizeof(n), "%d", i);
        runs[i] = start(&s, source, "many", n);
    }
    begun = now_s();
    go(&s);
    begun = now_s() - begun;
    for (i = 0; i < RUNS; i++) {
        if (strcmp(run_outcome(runs[i]), "resolved") != 0) {
            fprintf(stderr, "many_bench: run %d: %s: %s\n", i, run_outcome(runs[i]), run_text(runs[i]));
            exit(1);
        }
    }
    *commits = writer_commits(s.writer);
    close_stage(&s);
    return begun;
}

/* The k-th item of every run, then the next of every run: as full as batches can be. */
static double write_items(const char *state, const struct recorder *r)
{
    struct journal_item batch[BATCH];
    size_t *at = xcalloc(r->n, sizeof(*at)), i, n = 0, left = r->n, round;
    int64_t *rounds = xcalloc(RUNS + 2, sizeof(*rounds));
    struct journal *j;
    struct err e = {0};
    double begun;

    for (i = 0; i < r->n; i++)
        at[i] = (size_t)rounds[r->items[i].run]++;
    if (journal_sqlite_open(state, "bench", NULL, &j, &e) < 0)
        die(&e);
    begun = now_s();
    for (round = 0; left > 0; round++) {
        for (i = 0; i < r->n; i++) {
            if (at[i] != round)
                continue;
            batch[n++] = r->items[i];
            left--;
            if (n == BATCH && (j->ops->commit(j, batch, n, &e) < 0))
                die(&e);
            n = n == BATCH ? 0 : n;
        }
        if (n && j->ops->commit(j, batch, n, &e) < 0)
            die(&e);
        n = 0;
    }
    begun = now_s() - begun;
    j->ops->free(j);
    free(at);
    free(rounds);
    return begun;
}

static int bench_effects(const char *source, const char *dir)
{
    struct recorder recorder;
    char state[4096];
    int64_t commits, ignored;
    double engine, loop, engine_cpu, loop_cpu;

    subdir(dir, "recorded", state);
    run_effects(source, state, &recorder, &ignored);
    subdir(dir, "engine", state);
    engine_cpu = cpu_s();
    engine = run_effects(source, state, NULL, &commits);
    engine_cpu = cpu_s() - engine_cpu;
    subdir(dir, "loop", state);
    loop_cpu = cpu_s();
    loop = write_items(state, &recorder);
    loop_cpu = cpu_s() - loop_cpu;
    printf("{\"engine_cpu_s\":%.3f,\"loop_cpu_s\":%.3f,"
           "\"effects_per_s\":%.0f,\"loop_per_s\":%.0f,\"commits\":%lld,\"items\":%zu}\n",
           engine_cpu, loop_cpu, RUNS * EFFECTS / engine, RUNS * EFFECTS / loop, (long long)commits, recorder.n);
    return 0;
}

/* Times between two answers of one run. */
struct gaps {
    double last[64];
    double *all;
    size_t n;
    int ended;
    struct host *host;
};

/* The burning ones need not be waited for. */
static void see_end(void *ctx, const struct run *r)
{
    struct gaps *g = ctx;

    if (strcmp(run_outcome(r), "no_action") == 0 && ++g->ended == OTHERS)
        g->host->ops->stop(g->host);
}

static void see_call(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct gaps *g = ctx;
    double now = cpu_s();
    int64_t id = run_id(r);

    if (replayed || row->kind != ROW_OBS || id >= 64)
        return;
    if (g->last[id] > 0) {
        g->all = xrealloc(g->all, (g->n + 1) * sizeof(*g->all));
        g->all[g->n++] = now - g->last[id];
    }
    g->last[id] = now;
}

static int by_size(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static double p99_ms(const char *source, const char *state, int hostile)
{
    struct gaps g = {0};
    struct stage s = {.o = {.slice_us = SLICE_US, .watch = {.row = see_call, .settled = see_end, .ctx = &g}}};
    double p99;
    int i;

    open_stage(&s, source, state, NULL);
    g.host = s.host;
    for (i = 0; i < hostile; i++)
        start(&s, source, "burn", NULL);
    for (i = 0; i < OTHERS; i++)
        start(&s, source, "calls", NULL);
    go(&s);
    qsort(g.all, g.n, sizeof(*g.all), by_size);
    p99 = g.all[g.n * 99 / 100] * 1000;
    free(g.all);
    close_stage(&s);
    return p99;
}

static int bench_hostile(const char *source, const char *dir)
{
    char alone[4096], beside[4096];

    subdir(dir, "alone", alone);
    subdir(dir, "beside", beside);
    printf("{\"alone_p99_ms\":%.3f,", p99_ms(source, alone, 0));
    printf("\"beside_p99_ms\":%.3f}\n", p99_ms(source, beside, HOSTILE));
    return 0;
}

struct rows_seen {
    size_t replayed;
    double done, cpu_done;
};

static void see_replay(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct rows_seen *s = ctx;

    (void)r, (void)row;
    s->replayed += replayed;
    if (s->replayed == ROWS) {      /* looking at the clock at each would be a tenth of it */
        s->done = now_s();
        s->cpu_done = cpu_s();
    }
}

static void stop(void *ctx)
{
    struct host *h = ctx;

    h->ops->stop(h);
}

static void run_for(struct stage *s, int64_t ms)
{
    struct host_op *op;
    struct err e = {0};

    if (s->host->ops->timer(s->host, ms, stop, s->host, &op, &e) < 0)
        die(&e);
    go(s);
}

/* A journal with N runs that are asleep: the engine's own. */
static void sleeping(const char *source, const char *state, const char *name, int n, bool dies)
{
    struct stage s = {0};
    struct err e = {0};
    int i;

    open_stage(&s, source, state, NULL);
    for (i = 0; i < n; i++)
        start(&s, source, name, NULL);
    run_for(&s, 1500);
    if (writer_flush(s.writer, &e) < 0)
        die(&e);
    if (dies)
        raise(SIGKILL);
    close_stage(&s);
}

static int bench_wake(const char *source, const char *dir)
{
    struct rows_seen seen = {0};
    struct stage s = {.o = {.slice_us = SLICE_US, .watch = {.row = see_replay, .ctx = &seen}}};
    double best = 1e9, best_cpu = 1e9, begun, cpu;
    struct err e = {0};
    char state[4096];
    int i;

    subdir(dir, "wake", state);
    sleeping(source, state, "thousand", 1, false);
    open_stage(&s, source, state, NULL);
    if (engine_recover(s.engine, "bench", NULL, &e) < 0)
        die(&e);
    for (i = 0; i < 20; i++) {
        do
            run_for(&s, 50);
        while (engine_has(s.engine, 1));
        seen.replayed = 0;
        begun = now_s();
        cpu = cpu_s();
        if (engine_wake(s.engine, 1, &e) < 0)
            die(&e);
        while (seen.replayed < ROWS)
            run_for(&s, 5);
        begun = seen.done - begun;
        cpu = seen.cpu_done - cpu;
        best = begun < best ? begun : best;
        best_cpu = cpu < best_cpu ? cpu : best_cpu;
    }
    printf("{\"wake_ms\":%.3f,\"wake_cpu_ms\":%.3f,\"rows\":%zu}\n", best * 1000, best_cpu * 1000, seen.replayed);
    close_stage(&s);
    return 0;
}

/* One sleeping run's rows. */
struct template {
    struct row rows[8];
    size_t n;
    struct run_info info;
};

static bool keep_row(void *ctx, const struct row *row)
{
    struct template *t = ctx;
    struct row *r = &t->rows[t->n++];

    *r = *row;
    r->path = keep(row->path);
    r->name = keep(row->name);
    r->args = keep(row->args);
    r->payload = keep(row->payload);
    return t->n < 8;
}

static int write_waiting(const char *source, const char *dir, long n)
{
    struct template t = {0};
    struct journal_item items[512];
    static char uuids[512][40];
    struct change changes[512][2];
    struct err e = {0};
    struct journal *j;
    int64_t wake_at = (int64_t)time(NULL) * 1000 + 20 * 3600 * 1000;
    long done, k;

    sleeping(source, dir, "waiting", 1, false);
    if (journal_sqlite_open(dir, "bench", NULL, &j, &e) < 0 || j->ops->get_run(j, 1, &t.info, &e) < 0 ||
        j->ops->rows(j, 1, 1, keep_row, &t, &e) < 0)
        die(&e);
    for (done = 0; done < n; done += k) {
        for (k = 0; k < 512 && done + k < n; k++) {
            int64_t id = j->ops->next_run(j);

            snprintf(uuids[k], sizeof(uuids[k]), "copy-%lld", (long long)id);
            changes[k][0] = (struct change){.kind = CHANGE_RUN_NEW, .uuid = str_of(uuids[k]), .runbook = STR("waiting"),
                                            .command = STR("run"), .bundle = str_of(t.info.bundle), .params = STR("{}"),
                                            .trigger = STR("{}"), .n = 1};
            changes[k][1] = (struct change){.kind = CHANGE_RUN_STATE, .run_state = RUN_WAITING_TIME, .n = wake_at + id};
            items[k] = (struct journal_item){.run = id, .epoch = 1, .rows = t.rows, .nrows = t.n, .changes = changes[k],
                                             .nchanges = 2, .at = t.info.created_at};
        }
        if (j->ops->commit(j, items, (size_t)k, &e) < 0)
            die(&e);
    }
    j->ops->free(j);
    printf("{\"rows_each\":%zu}\n", t.n);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "effects") == 0)
        return bench_effects(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "hostile") == 0)
        return bench_hostile(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "wake") == 0)
        return bench_wake(argv[2], argv[3]);
    if (argc == 5 && strcmp(argv[1], "waiting") == 0)
        return write_waiting(argv[2], argv[3], strtol(argv[4], NULL, 10));
    if (argc == 5 && strcmp(argv[1], "interrupted") == 0)
        sleeping(argv[2], argv[3], "waiting", (int)strtol(argv[4], NULL, 10), true);
    return 2;
}
