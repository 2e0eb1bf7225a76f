/* SPDX-License-Identifier: Apache-2.0 */
/* One life of a run: a process that dies where it is told to. Its questions to the world go to the process that has it. */
#include "scenes.h"

#include "base/slice.h"
#include "gate/pending.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int parent;              /* our end of the pair */

static uint64_t step(const char *what)
{
    static uint64_t last[STEPS];
    uint64_t h = 14695981039346656037u;     /* FNV-1a */

    for (; *what; what++)
        h = (h ^ (unsigned char)*what) * 1099511628211u;
    memmove(last + 1, last, (STEPS - 1) * sizeof(*last));
    last[0] = h;
    for (int i = 1; i < STEPS; i++)
        h = (h ^ last[i]) * 1099511628211u;
    return h;
}

static int point(void *ctx, const char *what)
{
    (void)ctx;
    snprintf(life->where, sizeof(life->where), "%s", what);
    if (++life->points == life->kill_at)
        kill(getpid(), SIGKILL);
    if (life->points < POINTS_MAX)
        life->steps[life->points] = step(what);
    return 0;
}

static void point_of(const struct question *q, const char *what)
{
    char text[sizeof(life->where)];

    snprintf(text, sizeof(text), "%s %.*s", what, (int)q->name.n, q->name.p);
    point(NULL, text);
}

static void tick(void *ctx, int64_t wall_ms)
{
    (void)ctx;
    life->wall_ms = wall_ms;
}

static void exchange(char what)
{
    if (write(parent, &what, 1) != 1 || read(parent, &what, 1) != 1)
        _exit(99);
}

static struct str keep(struct str s)
{
    char *at = life->text + life->used;

    if (s.n > sizeof(life->text) - life->used)
        abort();
    memcpy(at, s.n ? s.p : "", s.n);
    life->used += s.n;
    return (struct str){at, s.n};
}

struct distant {
    struct answerer base;
    struct host *host;
};

static int ask(struct answerer *a, struct question *q, struct err *e)
{
    json_t *answer;

    point_of(q, "question");
    life->used = 0;
    life->q = *q;
    life->q.label = keep(q->label);
    life->q.name = keep(q->name);
    life->q.instance = keep(q->instance);
    life->q.args = keep(q->args);
    life->q.text = keep(q->text);
    life->q.target = keep(q->target);
    life->q.extra = keep(q->extra);
    exchange('?');
    point_of(q, "answer");
    if (json_read((struct str){life->answer, life->nanswer}, &answer, e) < 0)
        return e->code;
    return pending_start(((struct distant *)a)->host, q, answer, 0, e);
}

static void cancel(struct answerer *a, struct question *q)
{
    pending_cancel(((struct distant *)a)->host, q);
}

static const struct answerer_ops distant_ops = {.name = "distant", .answers_checks = true, .ask = ask, .cancel = cancel};

/* The world is told which of its answers the journal knows. */
static bool is_known(void *ctx, const struct row *row)
{
    (void)ctx;
    if (row->kind != ROW_OBS)
        return true;
    life->used = 0;
    life->q = (struct question){.name = keep(row->name), .args = keep(json_slice(row->args, "args"))};
    exchange('!');
    return true;
}

static bool not_sound(void *ctx, int64_t run, int64_t seq, const char *where, const char *what)
{
    (void)ctx, (void)run, (void)seq;
    snprintf(life->end.wrong, sizeof(life->end.wrong), "the journal, %s: %.1500s", where, what);
    return false;
}

/* Whatever was killed: the journal holds, and gives the same run again. */
static int inspect(const struct scene *x, struct journal *j, bool ended, struct err *e)
{
    const struct check_mode mode = {.registry = x->registry};
    struct buf why = BUF_INIT(64 * KIB);
    struct replay_result replayed;
    struct audit_counts counts;

    if (journal_verify(j, AUDIT_ALL, &counts, not_sound, NULL, e) < 0 || audit_sources(j, not_sound, NULL, e) < 0 ||
        journal_rebuild(j, false, not_sound, NULL, e) < 0 || invariants_check(j, 1, ended, &why, e) < 0 ||
        replay_run(x->config, j, 1, &mode, &replayed, e) < 0)
        return e->code;
    if (why.len)
        not_sound(NULL, 1, 0, "its rows", buf_text(&why));
    buf_free(&why);
    return 0;
}

static void cancel_all(void *engine)
{
    engine_cancel(engine, "somebody");
}

/* Starts the run, takes it up, or finds that it has ended: then *r stays NULL, and info says how. */
static int go_on(const struct scene *x, struct engine *n, struct journal *j, struct run_info *info, struct run **r, struct err *e)
{
    struct run_request q = {.command = "run", .requester = "crash test", .seed = 1};
    int rc = j->ops->get_run(j, 1, info, e);

    if (rc == 0 && info->state == RUN_ENDED)
        return 0;
    if (rc == 0)
        rc = j->ops->rows(j, 1, 1, is_known, NULL, e);
    if (rc == 0)
        return engine_resume(n, 1, "crash test", r, e);
    if (rc != ERR_NOT_FOUND)
        return rc;
    err_clear(e);
    rc = scenario_request(NULL, x->runbook, x->scenario, &q, e);
    return rc ? rc : engine_start(n, &q, r, e);
}

static int run_it(const struct scene *x, struct engine *n, struct host *host, struct run *r, struct err *e)
{
    const char *after = json_get_string(x->scenario, "cancel", NULL);
    struct host_op *timer;
    int64_t ms;
    int rc = 0;

    if (after && str_duration_ms(str_of(after), &ms) == 0) {
        ms += STARTED_MS - host->ops->wall_ms(host);
        rc = host->ops->timer(host, ms > 0 ? ms : 0, cancel_all, n, &timer, e);
    }
    if (rc == 0)
        rc = host->ops->run(host, engine_turn, n, e);
    if (rc == 0 && engine_failure(n)) {
        *e = *engine_failure(n);
        rc = e->code;
    }
    life->end = (struct ending){.unknown = run_unknown_effects(r)};
    snprintf(life->end.outcome, sizeof(life->end.outcome), "%s", run_outcome(r));
    snprintf(life->end.reason, sizeof(life->end.reason), "%s", run_reason(r));
    snprintf(life->end.state, sizeof(life->end.state), "%s", run_state_name(run_state_of(r)));
    snprintf(life->end.text, sizeof(life->end.text), "%s", run_text(r));
    return rc;
}

int life_live(const struct scene *x, int line, struct err *e)
{
    struct host_sim_options ho = {.wall_ms = life->wall_ms, .seed = (uint64_t)life->wall_ms, .point = point, .tick = tick,
                                  .real_files = true};
    struct journal_options jo = {.point = point};
    struct engine_options eo = {.registry = x->registry, .config = x->config, .stop_when_settled = true};
    struct distant world = {.base = {.ops = &distant_ops}};
    struct run_info info = {0};
    struct engine *n;
    struct journal *j;
    struct run *r = NULL;

    parent = line;
    if (host_sim_new(&ho, &eo.host, e) < 0 || journal_sqlite_open(x->dir, "crash test", &jo, &j, e) < 0 ||
        writer_new(j, false, NULL, NULL, &eo.writer, e) < 0)
        return e->code;
    world.host = eo.host;
    eo.answerer = &world.base;
    eo.people = people_script_new(x->scenario, eo.host);
    if (engine_new(&eo, &n, e) < 0 || go_on(x, n, j, &info, &r, e) < 0 || (r && run_it(x, n, eo.host, r, e) < 0) ||
        writer_flush(eo.writer, e) < 0)
        return e->code;
    if (!r) {
        life->end = (struct ending){.state = "ended"};
        snprintf(life->end.outcome, sizeof(life->end.outcome), "%s", info.outcome);
        snprintf(life->end.reason, sizeof(life->end.reason), "%s", info.reason);
    }
    life->kill_at = 0;
    return inspect(x, j, strcmp(life->end.state, "ended") == 0, e);
}
