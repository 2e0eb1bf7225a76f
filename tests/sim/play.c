/* SPDX-License-Identifier: Apache-2.0 */
/* One seed: processes that live, die and take up again what the last one left, until
 * every run has ended; then the checks. */
#include "sim.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define STARTED_MS 1767225600000    /* 2026-01-01 */
#define HALT_FILE "/state/halt"

/* splitmix64 */
static uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
    return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

int64_t rng_between(struct rng *r, int64_t low, int64_t high)
{
    return low + (int64_t)(rng_next(r) % (uint64_t)(high - low + 1));
}

bool rng_chance(struct rng *r, uint32_t percent)
{
    return rng_below(r, 100) < percent;
}

int64_t sim_now(const struct sim *s)
{
    return s->base + (s->host ? s->host->ops->mono_ms(s->host) : 0);
}

bool sim_is_calm(const struct sim *s)
{
    return s->nth || s->life >= CALM_FROM;
}

void sim_log(struct sim *s, const char *fmt, ...)
{
    va_list ap;

    buf_addf(&s->log, "%d.%lld ", s->life, (long long)(sim_now(s) - STARTED_MS));
    va_start(ap, fmt);
    buf_addv(&s->log, fmt, ap);
    va_end(ap);
    buf_addc(&s->log, '\n');
}

void sim_wrong(struct sim *s, const char *checker, const char *fmt, ...)
{
    va_list ap;

    buf_addf(&s->why, "%s: ", checker);
    va_start(ap, fmt);
    buf_addv(&s->why, fmt, ap);
    va_end(ap);
    buf_addc(&s->why, '\n');
}

int sim_point(void *sim, const char *call)
{
    struct sim *s = sim;
    bool writes;

    if (s->quiet)
        return 0;
    s->points++;
    if (!s->down && s->points == s->crash_at) {
        s->down = true;
        sim_log(s, "killed at %s", call);
        s->host->ops->stop(s->host);
    }
    if (s->down)
        return ERR_IO;
    if (s->points == s->fail_at) {
        sim_log(s, "%s fails", call);
        return ERR_IO;
    }
    writes = strcmp(call, "begin") == 0 || strcmp(call, "disk write") == 0;
    return writes && s->points >= s->full_from && s->points < s->full_till ? ERR_DISK : 0;
}

static void on_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct sim *s = ctx;

    if (!replayed)
        sim_log(s, "run %lld row %lld %s %.*s at %.*s: %lld %.*s %.*s", (long long)run_id(r), (long long)row->seq,
                row_kind_name(row->kind), (int)row->name.n, row->name.p, (int)row->path.n, row->path.p,
                (long long)(row->at - STARTED_MS), (int)(row->args.n < 300 ? row->args.n : 300), row->args.p,
                (int)(row->payload.n < 300 ? row->payload.n : 300), row->payload.p);
}

static void set_halt(struct sim *s, bool on)
{
    struct err e = {0};

    if (on == s->halted)
        return;
    s->halted = on;
    s->halted_at = sim_now(s);
    sim_log(s, "halt %s", on ? "on" : "off");
    if (s->plant == PLANT_DEAF_HALT)
        return;
    s->quiet = true;
    if (on)
        s->host->ops->write_file(s->host, HALT_FILE, STR("x"), &e);
    else
        s->host->ops->remove_file(s->host, HALT_FILE, &e);
    s->quiet = false;
}

/* What happens around the runs, from a timer: it may not touch the engine. */
static void happen(void *ctx)
{
    struct sim *s = ctx;

    if (s->down)
        return;
    switch (rng_below(&s->rng, 4)) {
    case 0:
        set_halt(s, !s->halted);
        break;
    case 1:
        host_sim_step_clock(s->host, rng_between(&s->rng, -2 * 3600, 2 * 3600) * 1000);
        sim_log(s, "the clock jumps");
        break;
    default:
        world_move(s);
    }
}

static void set_due(void *ctx)
{
    (void)ctx;      /* the turn that follows looks at the time */
}

static void arm(struct sim *s, int64_t delay, host_timer_fn fn)
{
    struct host_op *op;
    struct err e = {0};

    s->host->ops->timer(s->host, delay > 0 ? delay : 0, fn, s, &op, &e);
}

static void start_run(struct sim *s, struct sim_run *r)
{
    struct run_request q = {.command = "run", .requester = "anna", .seed = s->seed + 7};
    struct err e = {0};
    struct run *run;
    char name[32];
    int rc;

    snprintf(name, sizeof(name), "book%d.md", r->book + 1);
    rc = book_read(str_of(s->texts[r->book]), name, &q.book, &e);

    q.params = json_object();
    if (rc == 0)
        rc = engine_start(s->engine, &q, &run, &e);
    json_decref(q.params);
    if (rc == 0) {
        r->id = run_id(run);
        sim_log(s, "run %lld starts, book %d", (long long)r->id, r->book + 1);
    } else if (!s->down && e.code != ERR_IO && e.code != ERR_DISK) {
        sim_wrong(s, "start", "%s %s", e.where, e.msg);
    }
}

static bool turn(void *ctx)
{
    struct sim *s = ctx;

    world_arrive(s);
    for (size_t i = 0; i < s->nruns && !s->down; i++) {
        if (s->runs[i].id == 0 && s->runs[i].at <= sim_now(s))
            start_run(s, &s->runs[i]);
    }
    if (s->cancel_at && s->cancel_at <= sim_now(s)) {
        s->cancel_at = 0;
        sim_log(s, "anna cancels");
        engine_cancel(s->engine, "anna");
    }
    return engine_turn(s->engine);
}

struct open_runs {
    int64_t ids[64];
    size_t n;
};

static bool is_open(void *ctx, const struct run_info *r)
{
    struct open_runs *o = ctx;

    if (o->n < 64)
        o->ids[o->n++] = r->id;
    return true;
}

static size_t open_runs(struct sim *s, struct open_runs *o)
{
    struct err e = {0};

    o->n = 0;
    if (s->inner)
        s->inner->ops->runs(s->inner, true, is_open, o, &e);
    return o->n;
}

static void resume_all(struct sim *s)
{
    struct open_runs o;
    struct err e;

    open_runs(s, &o);
    for (size_t i = o.n; i > 0 && !s->down; i--) {
        struct run *r;

        if (s->plant == PLANT_STUCK && o.ids[i - 1] == 1)
            continue;
        err_clear(&e);
        if (engine_resume(s->engine, o.ids[i - 1], "anna", &r, &e) < 0 && !s->down && e.code != ERR_IO && e.code != ERR_DISK)
            sim_wrong(s, "resume", "run %lld: %s", (long long)o.ids[i - 1], e.msg);
    }
}

/* Starts that did not become durable are made again. */
static void forget_lost_starts(struct sim *s)
{
    for (size_t i = 0; i < s->nruns; i++) {
        struct sim_run *r = &s->runs[i];
        bool durable = false;

        for (size_t k = 0; k < s->ndurable; k++)
            durable = durable || s->durable[k].id == r->id;
        if (!durable)
            r->id = 0;
    }
}

static void fate_of_nth(struct sim *s)
{
    if (s->nth->how == NTH_DIES)
        s->crash_at = s->nth->at;
    else if (s->nth->how == NTH_FAILS)
        s->fail_at = s->nth->at;
    else
        s->full_from = s->nth->at, s->full_till = INT64_MAX;
}

/* What goes wrong in this life. */
static void fate(struct sim *s)
{
    s->points = s->crash_at = s->fail_at = s->full_from = s->full_till = s->cancel_at = 0;
    for (size_t i = 0; i < s->nruns; i++) {
        if (s->runs[i].id == 0)
            arm(s, s->runs[i].at - sim_now(s), set_due);
    }
    if (s->nth && s->life == 0)
        fate_of_nth(s);
    if (sim_is_calm(s))
        return;
    if (rng_chance(&s->rng, 60))
        s->crash_at = rng_between(&s->rng, 1, rng_chance(&s->rng, 50) ? 40 : 300);
    if (rng_chance(&s->rng, 15))
        s->fail_at = rng_between(&s->rng, 1, 200);
    if (rng_chance(&s->rng, 15)) {
        s->full_from = rng_between(&s->rng, 1, 200);
        s->full_till = s->full_from + rng_between(&s->rng, 1, 50);
    }
    for (uint32_t n = rng_below(&s->rng, 4); n > 0; n--)
        arm(s, rng_between(&s->rng, 0, 60000), happen);
    if (rng_chance(&s->rng, 6)) {
        s->cancel_at = sim_now(s) + rng_between(&s->rng, 0, 40000);
        arm(s, s->cancel_at - sim_now(s), set_due);
    }
}

static int write_plugin(struct sim *s, struct err *e)
{
    extern const char target_lua[];
    int rc = s->host->ops->write_file(s->host, "/plugins/target.lua", str_of(target_lua), e);

    if (rc == 0 && s->halted && s->plant != PLANT_DEAF_HALT)
        rc = s->host->ops->write_file(s->host, HALT_FILE, STR("x"), e);
    return rc;
}

struct process {
    struct engine_options eo;
    struct journal *journal;
};

static int born(struct sim *s, struct process *p, struct err *e)
{
    struct host_sim_options ho = {.seed = s->seed * 31 + (uint64_t)s->life, .wall_ms = s->base + s->skew, .http = world_http,
                                  .spawn = world_spawn, .point = sim_point, .ctx = s};
    struct registry_options ro = {.config = s->config};

    s->down = false;
    s->quiet = true;
    if (host_sim_new(&ho, &s->host, e) < 0 || write_plugin(s, e) < 0 || store_open(s, &p->journal, e) < 0 ||
        writer_new(p->journal, false, NULL, NULL, &p->eo.writer, e) < 0)
        return e->code;
    ro.host = p->eo.host = s->host;
    if (registry_new(&ro, &p->eo.registry, e) < 0)
        return e->code;
    p->eo.config = s->config;
    p->eo.people = crowd_new(s);
    p->eo.answerer = answer_live_new(p->eo.registry);
    p->eo.state_dir = "/state";
    p->eo.watch = (struct engine_watch){.row = on_row, .ctx = s};
    return engine_new(&p->eo, &s->engine, e);
}

static void buried(struct sim *s, struct process *p)
{
    engine_free(s->engine);
    s->engine = NULL;
    if (p->eo.people)
        p->eo.people->ops->free(p->eo.people);
    if (p->eo.answerer)
        p->eo.answerer->ops->free(p->eo.answerer);
    registry_free(p->eo.registry);
    writer_free(p->eo.writer);
    s->base = sim_now(s);
    s->host->ops->free(s->host);
    s->host = NULL;
}

/* Between two processes: time passes, requests arrive or do not, the clock is set, the halt may be released. */
static void between(struct sim *s)
{
    s->base += rng_between(&s->rng, 0, 20000) + (s->plant == PLANT_SLOW ? 3 * 3600000 : 0);
    world_arrive(s);
    world_settle(s);
    if (rng_chance(&s->rng, 15))
        s->skew += rng_between(&s->rng, -3 * 3600, 3 * 3600) * 1000;
    if (rng_chance(&s->rng, 30))
        world_move(s);
    if (s->halted && (sim_is_calm(s) || rng_chance(&s->rng, 60))) {
        s->halted = false;
        sim_log(s, "halt off");
    }
}

static void live(struct sim *s)
{
    struct process p = {0};
    struct err e = {0};

    sim_log(s, "a process starts");
    if (born(s, &p, &e) < 0) {
        sim_log(s, "it cannot: %s", e.msg);
        if (!s->on_disk)
            sim_wrong(s, "start", "%s", e.msg);
        goto out;
    }
    crowd_meanwhile(s, p.eo.writer);
    fate(s);
    s->quiet = false;
    resume_all(s);
    s->host->ops->run(s->host, turn, s, &e);
    if (engine_failure(s->engine))
        sim_log(s, "it stops: %s", engine_failure(s->engine)->msg);
    else if (!s->down)
        writer_flush(p.eo.writer, &e);
out:
    s->quiet = true;
    buried(s, &p);
    store_close(s);
    if (s->on_disk)
        disk_crash(s->down && rng_chance(&s->rng, 50));
    s->down = false;
    forget_lost_starts(s);
    between(s);
}

static bool all_started(const struct sim *s)
{
    for (size_t i = 0; i < s->nruns; i++) {
        if (s->runs[i].id == 0)
            return false;
    }
    return true;
}

static bool is_over(struct sim *s)
{
    struct open_runs o;
    struct journal *j;
    bool over;

    if (!all_started(s))
        return false;
    if (!s->on_disk)
        return open_runs(s, &o) == 0;
    if (store_open(s, &j, &(struct err){0}) < 0)
        return false;
    over = open_runs(s, &o) == 0;
    j->ops->free(j);
    store_close(s);
    return over;
}

static void set_up(struct sim *s)
{
    s->faults = (int)rng_below(&s->rng, 3) * (int)rng_below(&s->rng, 30);
    s->base = STARTED_MS;
    world_init(s);
    for (int i = 0; i < BOOKS; i++)
        buf_adds(&s->log, s->texts[i] = invent_book(&s->rng, i + 1));
    s->nruns = 1 + rng_below(&s->rng, 4);
    for (size_t i = 0; i < s->nruns; i++)
        s->runs[i] = (struct sim_run){.at = s->base + rng_between(&s->rng, 0, 20000) * rng_below(&s->rng, 2),
                                      .book = (int)rng_below(&s->rng, BOOKS)};
}

void sim_play(struct sim *s, uint64_t seed, enum plant plant, const struct nth *nth, struct config *config, const char *dir)
{
    *s = (struct sim){.seed = seed, .plant = plant, .nth = nth, .config = config, .rng = {seed}, .log = BUF_INIT(16 * MIB),
                      .why = BUF_INIT(MIB)};
    snprintf(s->dir, sizeof(s->dir), "%s", dir);
    s->on_disk = rng_chance(&s->rng, 25) || nth;
    if (s->on_disk)
        disk_init(s);
    set_up(s);
    for (s->life = 0; s->life < LIVES_MAX; s->life++) {
        live(s);
        s->reached = s->life == 0 ? s->points : s->reached;
        if (is_over(s))
            break;
    }
}

void sim_check(struct sim *s)
{
    struct process p = {0};
    struct err e = {0};

    s->quiet = true;
    if (born(s, &p, &e) < 0)
        sim_wrong(s, "start", "at the end: %s", e.msg);
    else
        check_all(s);
    buried(s, &p);
    store_close(s);
}

void sim_deinit_journal(struct sim *s)
{
    if (s->inner)
        s->inner->ops->free(s->inner);
    s->inner = NULL;
    disk_clear();
}

void sim_deinit(struct sim *s)
{
    sim_deinit_journal(s);
    for (int i = 0; i < BOOKS; i++)
        free(s->texts[i]);
    buf_free(&s->log);
    buf_free(&s->why);
}
