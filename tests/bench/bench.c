/* SPDX-License-Identifier: Apache-2.0 */
/* Measures inside one process, each figure beside its baseline in the same run:
 * a new Lua state with the language, a run of 1,000 reads, a run of 1,000 effects
 * against the bare rate of one-row commits of SQLite on the same disk.
 *
 * bench SOURCE_DIR STATE_DIR: one JSON object on stdout.
 * bench peak COMMAND [ARG]...: runs it and prints its peak memory in KiB. From here, because a child's
 * peak is never less than what its parent had at the fork. */
#include "run/engine.h"

#include "base/embedded.h"
#include "base/limits.h"
#include "book/source.h"
#include "vm/vm.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const struct err *e)
{
    char text[1400];

    fprintf(stderr, "bench: %s\n", err_text(e, text, sizeof(text)));
    exit(1);
}

struct seen {
    size_t rows, commits_before;
    double first, last;
    enum row_kind kind;
};

static void on_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct seen *s = ctx;

    (void)r, (void)replayed;
    if (row->kind != s->kind)
        return;
    if (s->rows++ == 0)
        s->first = now_s();
    s->last = now_s();
}

struct setting {
    struct host *host;
    struct config *config;
    struct registry *registry;
    struct writer *writer;
};

static void wake(void *ctx)
{
    struct host *h = ctx;

    h->ops->wake(h);
}

static void open_all(struct setting *s, const char *source, const char *state)
{
    static char plugins[4096];
    struct journal *j;
    struct registry_options ro;
    struct err e = {0};

    snprintf(plugins, sizeof(plugins), "%s/tests/bench/plugins", source);
    if (host_real_new(&s->host, &e) < 0 ||
        config_read(STR("instances: { bench: { plugin: bench } }\n"), "bench.yaml", &s->config, &e) < 0 ||
        journal_sqlite_open(state, "bench", NULL, &j, &e) < 0 ||
        writer_new(j, true, wake, s->host, &s->writer, &e) < 0)
        die(&e);
    ro = (struct registry_options){.host = s->host, .config = s->config, .plugin_dir = plugins};
    if (registry_new(&ro, &s->registry, &e) < 0)
        die(&e);
}

/* One run of tests/bench/NAME.md; what was seen of rows of one kind. */
static int64_t measure_run(struct setting *s, const char *source, const char *name, struct seen *seen)
{
    char path[4096];
    struct run_request q = {.command = "run", .requester = "bench", .seed = 1, .params = json_object()};
    struct engine_options o = {.host = s->host, .writer = s->writer, .registry = s->registry, .config = s->config,
                               .answerer = answer_live_new(s->registry), .stop_when_settled = true,
                               .watch = {.row = on_row, .ctx = seen}};
    int64_t commits = writer_commits(s->writer);
    struct engine *n;
    struct err e = {0};
    struct run *r;

    snprintf(path, sizeof(path), "%s/tests/bench/%s.md", source, name);
    if (source_load(NULL, path, &q.book, &e) < 0 || engine_new(&o, &n, &e) < 0 ||
        engine_start(n, &q, &r, &e) < 0 || s->host->ops->run(s->host, engine_turn, n, &e) < 0)
        die(&e);
    if (strcmp(run_outcome(r), "escalated") == 0) {
        fprintf(stderr, "bench: %s: %s\n", name, run_text(r));
        exit(1);
    }
    engine_free(n);
    o.answerer->ops->free(o.answerer);
    json_decref(q.params);
    return writer_commits(s->writer) - commits;
}

/* Bare SQLite: one row per commit, WAL, synchronous=FULL. */
static double sqlite_rate(const char *state, int n)
{
    char path[4096];
    sqlite3_stmt *insert = NULL;
    sqlite3 *db = NULL;
    double start;
    int i;

    snprintf(path, sizeof(path), "%s/baseline.db", state);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        exit(1);
    sqlite3_exec(db,
                 "pragma journal_mode=wal; pragma synchronous=full;"
                 "create table if not exists t(id integer primary key, v text)",
                 NULL, NULL, NULL);
    sqlite3_prepare_v2(db, "insert into t(v) values(?)", -1, &insert, NULL);
    start = now_s();
    for (i = 0; i < n; i++) {
        sqlite3_bind_text(insert, 1, "a payload as a row of a journal would have it, with some words and a number, 42",
                          -1, SQLITE_STATIC);
        sqlite3_step(insert);
        sqlite3_reset(insert);
    }
    start = now_s() - start;
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return n / start;
}

/* The language in a fresh state, as every run has it. */
static void measure_state(double *us, size_t *bytes)
{
    static const char *const modules[] = {"prelude", "options", "units", "face", "face_call", "face_make", "face_record",
        "face_things", "face_window", "observe", "ending", "diagnose", "wait", "record", "people", "branches",
        "effects", "approve", "remedy", "temporarily", "list", "text", "stats", "language"};
    static const char setup[] = "{\"param_names\":{},\"params\":{},\"run\":{\"id\":1,\"requester\":\"\",\"started\":0.5},"
                                "\"trigger\":{\"kind\":\"command line\"},\"uses\":[]}";
    struct vm_options o = {.seed = 1};
    double best = 1e9, start;
    struct err e = {0};
    struct vm *vm;
    char path[64];
    size_t i;
    int round;

    for (round = 0; round < 300; round++) {
        start = now_s();
        if (vm_new(&o, &vm, &e) < 0)
            die(&e);
        for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
            snprintf(path, sizeof(path), "lua/%s.lua", modules[i]);
            if ((strcmp(modules[i], "language") == 0
                     ? vm_load_trusted(vm, modules[i], embedded_find(path)->code, str_of(setup), &e)
                     : vm_offer_trusted(vm, modules[i], embedded_find(path)->code, &e)) < 0)
                die(&e);
        }
        if (vm_publish(vm, "language", &e) < 0)
            die(&e);
        start = now_s() - start;
        best = start < best ? start : best;
        *bytes = vm_memory(vm);
        vm_free(vm);
    }
    *us = best * 1e6;
}

static int peak(char **argv)
{
    struct rusage usage;
    int status = 1;
    pid_t pid = fork();

    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr))
            execv(argv[0], argv);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0)
        return 1;
    printf("%ld\n", usage.ru_maxrss);
    return 0;
}

int main(int argc, char **argv)
{
    struct setting s = {0};
    struct seen reads = {.kind = ROW_OBS}, effects = {.kind = ROW_RESULT};
    double state_us, baseline, baseline_again;
    int64_t read_commits, effect_commits;
    size_t bytes;

    if (argc > 2 && strcmp(argv[1], "peak") == 0)
        return peak(argv + 2);
    if (argc != 3)
        return 2;
    measure_state(&state_us, &bytes);
    open_all(&s, argv[1], argv[2]);
    read_commits = measure_run(&s, argv[1], "reads", &reads);
    baseline = sqlite_rate(argv[2], 1000);
    effect_commits = measure_run(&s, argv[1], "effects", &effects);
    baseline_again = sqlite_rate(argv[2], 1000);
    printf("{\"state_us\":%.1f,\"state_kib\":%.1f,\"reads_per_s\":%.0f,\"read_commits\":%lld,\"effects_per_s\":%.0f,"
           "\"effect_commits\":%lld,\"sqlite_commits_per_s\":%.0f}\n",
           state_us, (double)bytes / KIB, ((double)reads.rows - 1) / (reads.last - reads.first), (long long)read_commits,
           ((double)effects.rows - 1) / (effects.last - effects.first), (long long)effect_commits,
           (baseline + baseline_again) / 2);
    registry_free(s.registry);
    writer_free(s.writer);
    config_free(s.config);
    s.host->ops->free(s.host);
    return 0;
}
