/* SPDX-License-Identifier: Apache-2.0 */
/* What a run costs the disk, counted where it is paid, and what a sleeping run costs the memory: nothing. */
#include "journal_test.h"

#include "base/json.h"
#include "base/slice.h"
#include "book/source.h"
#include "io/host_sim.h"
#include "run/engine.h"
#include "run/run.h"

#include <fcntl.h>
#include <sys/syscall.h>

static int syncs;
static const char *halt_file;       /* made while the disk is at work */

/* SQLite is linked from its archive: these are what it calls. */
int fdatasync(int fd)
{
    syncs++;
    if (halt_file)
        close(open(halt_file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fsync, fd);
}

#define CONFIG                                                                                                         \
    "instances: { sh: { plugin: shell } }\n"                                                                           \
    "commands:\n"                                                                                                      \
    "  one: { argv: [one], read: { returns: integer } }\n"                                                             \
    "  set_one: { argv: [set, \"{{n}}\"], params: { n: { type: integer } },\n"                                         \
    "             effect: { class: ensure, target: pool, state: one, sets: n } }\n"                                   \
    "  once: { argv: [once], effect: { class: never_twice, target: pool } }\n"

struct stage {
    struct engine_options o;
    struct config *config;
    struct engine *engine;
    char *dir;
    const char *outcome;        /* of every run; NULL = resolved */
    int settled, replayed;
    const char *halts;          /* the file that appears while the intent is written */
    int refused;                /* rows that say so */
    size_t most, first;         /* bytes that the Lua state of a run had, and at its first row */
};

static void on_settled(void *ctx, const struct run *r)
{
    struct stage *s = ctx;

    if (strcmp(run_outcome(r), s->outcome ? s->outcome : "resolved") != 0)
        fail_msg("%s: %s", run_outcome(r), run_text(r));
    s->settled++;
}

static void on_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct stage *s = ctx;
    const struct str asked[] = {row->name, STR("sh"), row->args};
    struct hash hash = hash_parts(asked, 3);

    if (row->kind == ROW_PLAN)
        halt_file = s->halts;
    if (row->kind == ROW_REFUSED || json_slice(row->payload, "refused").n > 0)
        s->refused++;
    if (row->kind == ROW_OBS)
        assert_true(hash_eq(&row->args_hash, &hash));
    if (s->first == 0)
        s->first = run_vm_bytes(r);
    assert_int_equal(run_holds_rows(r), replayed);      /* a run that goes on has done with them */
    s->replayed += replayed;
    if (run_vm_bytes(r) > s->most)
        s->most = run_vm_bytes(r);
}

/* Takes the journal. */
static void stage_on(struct stage *s, struct journal *journal, const char *scenario, bool always)
{
    struct host_sim_options ho = {.wall_ms = 1767225600000, .seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true};
    struct err e = {0};
    json_t *v = NULL;

    good(json_read(str_of(scenario), &v, &e), &e);
    good(host_sim_new(&ho, &s->o.host, &e), &e);
    good(config_read(STR(CONFIG), "test.yaml", &s->config, &e), &e);
    good(writer_new(journal, false, NULL, NULL, &s->o.writer, &e), &e);
    ro.host = s->o.host;
    ro.config = s->config;
    good(registry_new(&ro, &s->o.registry, &e), &e);
    s->o.config = s->config;
    s->o.answerer = answer_script_new(v, s->o.host, s->o.registry);
    s->o.people = people_script_new(v, s->o.host);
    s->o.stop_when_settled = true;
    s->o.evict_always = always;
    s->o.watch = (struct engine_watch){.settled = on_settled, .row = on_row, .ctx = s};
    good(engine_new(&s->o, &s->engine, &e), &e);
    json_decref(v);
}

static void stage_open(struct stage *s, const char *scenario, bool always)
{
    struct journal *journal;
    struct err e = {0};

    *s = (struct stage){.dir = state_dir_new()};
    good(journal_sqlite_open(s->dir, "test", NULL, &journal, &e), &e);
    stage_on(s, journal, scenario, always);
}

static void stage_close(struct stage *s)
{
    engine_free(s->engine);
    s->o.answerer->ops->free(s->o.answerer);
    s->o.people->ops->free(s->o.people);
    registry_free(s->o.registry);
    writer_free(s->o.writer);
    config_free(s->config);
    s->o.host->ops->free(s->o.host);
    if (s->dir)
        state_dir_free(s->dir);
}

static void start(struct stage *s, const char *code, struct run **r)
{
    struct buf text = BUF_INIT(64 * KIB);
    struct run_request q = {.command = "test", .requester = "test", .seed = 1, .params = json_object()};
    struct err e = {0};

    buf_addf(&text,
             "---\nrunbook: t\nuses: { shell: sh }\nmay:\n  - { effect: shell.set_one, target: pool }\n"
             "  - { effect: shell.once, target: pool }\n"
             "limits: { time: 48h, cooldown: 0s }\n---\n```lua\n%s\nresolve \"done\"\n```\n",
             code);
    good(book_read((struct str){text.data, text.len}, "t.md", &q.book, &e), &e);
    good(engine_start(s->engine, &q, r, &e), &e);
    json_decref(q.params);
    buf_free(&text);
}

static void go(struct stage *s)
{
    struct err e = {0};

    good(s->o.host->ops->run(s->o.host, engine_turn, s->engine, &e), &e);
    if (engine_failure(s->engine))
        good(-1, engine_failure(s->engine));
}

static int syncs_of(const char *code)
{
    struct stage s;
    struct run *r;
    int n;

    stage_open(&s, "{\"given\":{\"shell.one()\":0},\"people\":{\"approve\":{\"say\":\"yes\"}},"
                   "\"effects\":{\"shell.set_one\":\"applied\",\"shell.once\":\"applied\"}}", false);
    syncs = 0;
    start(&s, code, &r);
    go(&s);
    n = syncs;
    assert_int_equal(s.settled, 1);
    stage_close(&s);
    return n;
}

#define POLLS(within)                                                                                                  \
    "wait_until(\"w\", { every = \"10s\", within = \"" within "\" }, function() return observe(shell.one()) == 1 end)"
#define CHANGE(n) "remedy(\"set\", shell.set_one { n = " n " }, { verify = \"applied\" })\n"

#define ONCE                                                                                                           \
    "remedy(\"once\", shell.once(), { verify = function() return observe(shell.one()) == 0 end, "                     \
    "when = function() return true end })\n"

static void reads_and_polls_cost_nothing(void **state)
{
    int one = syncs_of("observe(shell.one())");

    (void)state;
    assert_int_equal(one, 1);                                                   /* the end */
    assert_int_equal(syncs_of("for _ = 1, 200 do observe(shell.one()) end"), one);
    assert_int_equal(syncs_of(POLLS("5m")), one + 1);                           /* one wait */
    assert_int_equal(syncs_of(POLLS("50m")), one + 1);
    assert_int_equal(syncs_of("sleep \"1h\" sleep \"1h\" sleep \"1h\""), one + 3);
}

static void an_intent_costs_one(void **state)
{
    int one = syncs_of(CHANGE("1")), two = syncs_of(CHANGE("1") CHANGE("2"));
    int once = syncs_of(ONCE), twice = syncs_of(ONCE ONCE);

    (void)state;
    assert_int_equal(two - one, 1);
    /* The question to people, the intent, its result (at once), the wait for its proof. */
    assert_int_equal(twice - once, 4);
}

/* Every run of a journal, asleep and woken many times, ends; nothing of it is in memory meanwhile. */
static void sleeping_runs_are_rows(void **state)
{
    struct stage s;
    struct err e = {0};
    int i, most = 0;
    int64_t id;

    (void)state;
    stage_open(&s, "{\"given\":{\"shell.one()\":0}}", false);
    good(engine_recover(s.engine, "test", NULL, &e), &e);
    for (i = 0; i < 50; i++)
        start(&s, POLLS("10m") "sleep \"2h\"", NULL);
    go(&s);
    assert_int_equal(s.settled, 50);
    for (id = 1; id <= 50; id++)
        most += engine_has(s.engine, id);
    assert_int_equal(most, 0);
    stage_close(&s);
}

/* Each look by the hash of what it asks, also where it asks the same as the one before (on_row). */
static void looks_are_known_by_what_they_ask(void **state)
{
    static const char code[] = "local a, b = shell.one(), shell.one({}, { max_age = \"1h\" })\n"
                               "observe(a) observe(a) observe(b) observe(a) observe { a = a, b = b } observe(b) observe(b)";
    struct stage s;
    struct run *r;

    (void)state;
    stage_open(&s, "{\"given\":{\"shell.one()\":0}}", false);
    start(&s, code, &r);
    go(&s);
    assert_int_equal(run_rows(r), 10);
    stage_close(&s);
}

/* Before its code looks at anything, a run has of the language what every run needs. */
static void a_state_begins_small(void **state)
{
    struct stage s;
    struct run *r;

    (void)state;
    stage_open(&s, "{}", false);
    start(&s, "", &r);
    go(&s);
    assert_in_range(s.first, 1, 72 * KIB);
    stage_close(&s);
}

/* The same rows whether it was evicted at every step, when it waited, or never. */
static void eviction_changes_no_row(void **state)
{
    static const char code[] = POLLS("3m") CHANGE("3")
        "parallel { function() sleep \"5m\" end, function() " POLLS("10m") " end }";
    static const char scenario[] = "{\"given\":{\"shell.one()\":0},\"effects\":{\"shell.set_one\":\"applied\"}}";
    struct run_info info;
    struct hash chains[3];
    struct err e = {0};
    struct stage s;
    struct run *r;
    int way;

    (void)state;
    for (way = 0; way < 3; way++) {
        stage_open(&s, scenario, way == 1);
        if (way == 2)
            good(engine_recover(s.engine, "test", NULL, &e), &e);
        start(&s, code, way == 2 ? NULL : &r);
        go(&s);
        assert_int_equal(s.settled, 1);
        good(writer_journal(s.o.writer)->ops->get_run(writer_journal(s.o.writer), 1, &info, &e), &e);
        chains[way] = info.chain;
        assert_true(info.next_seq > 30);
        assert_int_equal(s.replayed > 0, way > 0);
        run_info_deinit(&info);
        stage_close(&s);
    }
    assert_memory_equal(&chains[0], &chains[1], sizeof(chains[0]));
    assert_memory_equal(&chains[0], &chains[2], sizeof(chains[0]));
}

/* The most that the run had in memory while it looked so often; the number stands between the two texts.
 * always: it is rebuilt from its journal at every wait. */
static size_t bytes_of(const char *before, int looks, const char *after, bool always, const char *outcome)
{
    struct journal *journal;
    struct stage s = {0};
    struct err e = {0};
    char text[512];
    struct run *r;

    snprintf(text, sizeof(text), "%s%d%s", before, looks, after);
    good(journal_memory_open(NULL, &journal, &e), &e);
    stage_on(&s, journal, "{\"given\":{\"a\":0},\"effects\":{\"shell.set_one\":\"applied\"}}", always);
    s.outcome = outcome;
    start(&s, text, &r);
    go(&s);
    assert_int_equal(s.settled, 1);
    stage_close(&s);
    return s.most;
}

/* What it saw long ago is gone, also from what it says at its next verdict and intent. */
static void many_looks_take_no_memory(void **state)
{
    static const char poll[] = "wait_until(\"w\", { every = \"1s\", within = \"";
    static const char poll_rest[] =
        "s\" }, function()\n"
        "  local o = observe { a = shell.one() }\n"
        "  return known(o, \"a\") and o.a == 1\n"
        "end)\n" CHANGE("1");
    static const char values[] = "local h\nfor _ = 1, ";
    static const char values_rest[] =
        " do\n"
        "  h = hypothesis \"h\" { evidence = { \"a\" }, test = function()\n"
        "    return observe { a = shell.one() }.a == 0 end }\n"
        "  shell.set_one { n = 2 }\n"
        "  diagnose { h }\n"
        "end\n" CHANGE("1");

    (void)state;
    assert_in_range(bytes_of(poll, 20000, poll_rest, false, NULL), 1, bytes_of(poll, 1000, poll_rest, false, NULL) + 128 * KIB);
    assert_in_range(bytes_of(poll, 300, poll_rest, true, NULL), 1, bytes_of(poll, 30, poll_rest, true, NULL) + 128 * KIB);
    assert_in_range(bytes_of(values, 2000, values_rest, false, NULL), 1,
                    bytes_of(values, 500, values_rest, false, NULL) + 128 * KIB);
}

/* A run that takes all memory ends, also where nothing else is to come. */
static void no_memory_is_an_end(void **state)
{
    static const char hoard[] = "local t = {}\nwait_until(\"w\", { every = \"1s\", within = \"";
    static const char hoard_rest[] =
        "s\" }, function()\n"
        "  t[#t + 1] = string.rep(\"y\", 20000) .. #t\n"
        "  return observe { a = shell.one() }.a == 1\n"
        "end)\n";

    (void)state;
    assert_in_range(bytes_of(hoard, 100000, hoard_rest, false, "escalated"), 60 * MIB, 64 * MIB);
}

struct jump {
    struct host *host;
    int64_t ms;
};

static void jump(void *ctx)
{
    struct jump *j = ctx;

    host_sim_step_clock(j->host, j->ms);
}

/* Minutes that a sleep of five hours takes, if the wall's clock is set after one. */
static int slept_min(bool tend, int64_t ms)
{
    struct stage s;
    struct jump j = {.ms = ms};
    struct host_op *timer;
    struct err e = {0};
    struct run *r;
    int64_t begun;

    stage_open(&s, "{}", false);
    if (tend)
        good(engine_recover(s.engine, "test", NULL, &e), &e);
    j.host = s.o.host;
    begun = j.host->ops->mono_ms(j.host);
    good(j.host->ops->timer(j.host, 3600000, jump, &j, &timer, &e), &e);
    start(&s, "sleep \"5h\"", tend ? NULL : &r);
    go(&s);
    assert_int_equal(s.settled, 1);
    begun = j.host->ops->mono_ms(j.host) - begun;
    stage_close(&s);
    return (int)(begun / 60000);
}

/* Who is in memory waits by the clock that never steps; who is a row wakes when the wall's clock says so, and no jump is
 * overlooked for longer than a minute. */
static void the_clock_may_be_set(void **state)
{
    (void)state;
    assert_in_range(slept_min(false, 3 * 3600000), 300, 300);
    assert_in_range(slept_min(false, -3 * 3600000), 300, 300);
    assert_in_range(slept_min(true, 0), 300, 300);
    assert_in_range(slept_min(true, 3 * 3600000), 120, 121);
    assert_in_range(slept_min(true, 9 * 3600000), 60, 61);
    assert_in_range(slept_min(true, -3 * 3600000), 480, 481);
}

static void stop(void *ctx)
{
    struct host *h = ctx;

    h->ops->stop(h);
}

/* A process begins on the journal in `dir`, with the wall's clock that many hours behind that of the first. */
static void begin_on(struct stage *s, const char *dir, int hours)
{
    struct journal *journal;
    struct err e = {0};

    *s = (struct stage){0};
    good(journal_sqlite_open(dir, "test", NULL, &journal, &e), &e);
    stage_on(s, journal, "{\"people\":{\"q\":[]}}", false);
    host_sim_step_clock(s->o.host, -hours * 3600000LL);
}

/* The clock is set back between two processes, and a person's word has its time: the run's own goes on behind the latest row,
 * and the time that people were waited for is none that is missing. */
static void a_word_may_come_before_its_question(void **state)
{
    const struct reply word = {.answer = "a", .by = "dora", .via = "test"};
    char *dir = state_dir_new();
    struct host_op *timer;
    struct host *h;
    struct err e = {0};
    struct stage s;
    struct run *r;
    bool more;

    (void)state;
    begin_on(&s, dir, 0);
    start(&s, "ask(\"q\", { \"a\", \"b\" }, { within = \"10h\", otherwise = \"b\" }) sleep \"1h\"", &r);
    good(s.o.host->ops->timer(s.o.host, 60000, stop, s.o.host, &timer, &e), &e);
    go(&s);
    assert_int_equal(s.settled, 0);
    stage_close(&s);

    begin_on(&s, dir, 72);
    h = s.o.host;
    good(answer_question(s.o.writer, h, 1, NULL, &word, &more, &e), &e);
    good(engine_resume(s.engine, 1, "test", &r, &e), &e);
    go(&s);
    assert_int_equal(s.settled, 1);
    assert_int_equal(h->ops->mono_ms(h) / 60000, 60);
    stage_close(&s);
    state_dir_free(dir);
}

/* The last moment to look for it is behind the commit. */
static void a_halt_may_come_while_the_intent_is_written(void **state)
{
    char halt[256];
    struct stage s;
    struct run *r;

    (void)state;
    stage_open(&s, "{\"given\":{\"shell.one()\":0},\"state\":{\"pool\":{\"n\":0}}}", false);
    snprintf(halt, sizeof(halt), "%s/halt", s.dir);
    s.halts = halt;
    s.o.state_dir = s.dir;
    s.outcome = "escalated";
    engine_free(s.engine);
    good(engine_new(&s.o, &s.engine, &(struct err){0}), &(struct err){0});
    start(&s, CHANGE("1"), &r);
    go(&s);
    assert_string_equal(run_reason(r), "halted");
    assert_int_equal(s.refused, 1);
    halt_file = NULL;
    unlink(halt);
    stage_close(&s);
}

static void apply_unasked(void *ctx)
{
    struct run *r = ctx;
    struct err e = {0};

    good(call_host(r, STR("apply"), "end.x", STR("shell.once"), STR("sh"),
                   STR("{\"args\":{},\"from\":null,\"remedy\":1,\"target\":\"sh:pool\",\"title\":\"t\",\"to\":{}}"), &e), &e);
}

/* Whatever the language asks people: what cannot be undone is not sent without their yes. */
static void the_host_wants_the_approval_itself(void **state)
{
    struct host_op *timer;
    struct err e = {0};
    struct stage s;
    struct run *r;

    (void)state;
    stage_open(&s, "{\"effects\":{\"shell.once\":\"applied\"}}", false);
    start(&s, "sleep \"1h\"", &r);
    good(s.o.host->ops->timer(s.o.host, 60000, apply_unasked, r, &timer, &e), &e);
    go(&s);
    assert_int_equal(s.settled, 1);
    assert_int_equal(s.refused, 1);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_polls_cost_nothing),
        cmocka_unit_test(an_intent_costs_one),
        cmocka_unit_test(looks_are_known_by_what_they_ask),
        cmocka_unit_test(a_state_begins_small),
        cmocka_unit_test(sleeping_runs_are_rows),
        cmocka_unit_test(eviction_changes_no_row),
        cmocka_unit_test(no_memory_is_an_end),
        cmocka_unit_test(many_looks_take_no_memory),
        cmocka_unit_test(the_clock_may_be_set),
        cmocka_unit_test(a_word_may_come_before_its_question),
        cmocka_unit_test(a_halt_may_come_while_the_intent_is_written),
        cmocka_unit_test(the_host_wants_the_approval_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
