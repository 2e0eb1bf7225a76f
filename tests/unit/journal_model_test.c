/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite against the reference model: seeded random batches go to both, and whatever
 * one answers the other must answer: results, refusals, errors, and after every
 * operation the whole state. The file is closed and opened again in between. */
#include "journal_test.h"

#include "journal/audit.h"

enum { SEEDS = 30, STEPS = 300, ITEMS = 5, ROWS = 3, GUARDS = 3, CHANGES = 4, RUNS = 12 };

struct draft {              /* an item and all it points to */
    struct row rows[ROWS];
    struct guard guards[GUARDS];
    struct change changes[CHANGES];
    char uuid[40];
};
struct world {
    struct journal *file, *model;
    char *dir;
    uint64_t dice;
    int64_t now, system_next, runs[RUNS], nruns, uuids;
    struct draft drafts[ITEMS];
    const char *bundles[4];
    int seed, step;
    struct buf left, right;
};

/* What happened over all seeds: a kind that never did would be untested. */
static struct {
    int64_t committed, fenced, halted, target_busy, cooling_down, over_budget, duplicate, invalid, reopened, bundles,
        takeovers, audited;
    int64_t refused[GUARD_KINDS], asked[GUARD_KINDS][2];
} seen;

static uint64_t dice(struct world *w, uint64_t n)
{
    uint64_t z = w->dice += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

static bool one_in(struct world *w, uint64_t n)
{
    return dice(w, n) == 0;
}

/* Texts that people and systems write; the long ones are cut in some places, in the middle of a character. */
static struct str text(struct world *w)
{
    static char cut[2000];
    static const char *const texts[] = {"", "a", "x'; drop table journal; --", "{\"a\":[1,2]}", "na\xc3\xafve \xe2\x82\xac",
                                        "\"quoted\"\n\\", "%s %n", "resolved"};

    if (!one_in(w, 12))
        return str_of(texts[dice(w, sizeof(texts) / sizeof(texts[0]))]);
    for (size_t i = 0; i + 2 < sizeof(cut); i += 3)
        memcpy(cut + i, "\xe2\x82\xac", 3);
    return (struct str){cut, 3 * dice(w, sizeof(cut) / 3)};
}

static struct str target(struct world *w)
{
    static const char *const targets[] = {"prod-eu:deployment/prod/api", "prod-eu:deployment/prod/db", "sh:a", "sh:b", ""};

    return str_of(targets[dice(w, 5)]);
}

static struct str path(struct world *w)
{
    static const char *const paths[] = {"1", "2", "2.1", "3.b2.1"};

    return str_of(paths[dice(w, 4)]);
}

static struct row new_row(struct world *w, int64_t seq)
{
    struct row r = {.seq = seq, .epoch = 1 + (int64_t)dice(w, 3), .kind = (enum row_kind)dice(w, ROW_KINDS), .path = path(w),
                    .name = text(w), .args = text(w), .payload = text(w), .at = w->now};

    if (r.args.n)
        r.args_hash = hash_of(r.args);
    return r;
}

static struct str runbook(struct world *w)
{
    static const char *const runbooks[] = {"high-latency", "disk-full", ""};

    return str_of(runbooks[dice(w, 3)]);
}

static struct str commit_id(struct world *w)
{
    static const char *const ids[] = {"0123456789abcdef0123456789abcdef01234567", "0123456789abffff0123456789abcdef01234567",
                                      "fedcba9876543210fedcba9876543210fedcba98", ""};

    return str_of(ids[dice(w, 4)]);
}

static struct guard new_guard(struct world *w)
{
    static const char *const patterns[] = {"", "prod-eu:deployment/prod/*", "sh:*", "sh:a", "*"};

    return (struct guard){.kind = (enum guard_kind)dice(w, GUARD_KINDS), .target = target(w), .now = w->now,
                          .max = (int64_t)dice(w, 4), .since = w->now - (int64_t)dice(w, 40000), .commit = commit_id(w),
                          .path = path(w), .action = STR("sh.x"), .pattern = str_of(patterns[dice(w, 5)]),
                          .runbook = runbook(w)};
}

/* seq: a row of the item, no other change's, or 0. An effect is intended by a row. */
static struct change new_change(struct world *w, const struct journal_item *item, int64_t seq)
{
    static const enum change_kind kinds[] = {CHANGE_RUN_STATE, CHANGE_RUN_END, CHANGE_LOCK, CHANGE_LOCK, CHANGE_LOCK,
                                             CHANGE_UNLOCK, CHANGE_UNLOCK, CHANGE_UNLOCK, CHANGE_UNLOCK_ALL, CHANGE_EFFECT_NEW,
                                             CHANGE_EFFECT_STATE, CHANGE_EFFECT_STATE, CHANGE_ESCALATION, CHANGE_APPROVED,
                                             CHANGE_APPROVAL_USED, CHANGE_VERDICT, CHANGE_VERDICT};
    static const enum change_kind system[] = {CHANGE_HALT, CHANGE_HALT, CHANGE_ESCALATION, CHANGE_REVOKE, CHANGE_RUNBOOK_ON};
    struct change c = {.kind = kinds[dice(w, sizeof(kinds) / sizeof(kinds[0]))], .target = target(w), .path = path(w),
                       .key = STR("k"), .action = STR("sh.x"),
                       .text = text(w), .outcome = text(w), .reason = text(w), .seq = seq, .n = w->now, .runbook = runbook(w)};

    if (item->run == 0)
        c.kind = system[dice(w, 5)];
    else if (one_in(w, 15))
        c.kind = CHANGE_RUN_EPOCH;
    else if (c.kind == CHANGE_EFFECT_NEW && seq == 0)
        c.kind = CHANGE_EFFECT_STATE;
    c.run_state = (enum run_state)dice(w, RUN_ENDED);
    c.effect_state = (enum effect_state)dice(w, EFFECT_UNDONE + 1);
    if (c.kind == CHANGE_RUN_EPOCH)
        c.n = item->epoch + (int64_t)dice(w, 3) - 1;
    else if (c.kind == CHANGE_UNLOCK || c.kind == CHANGE_UNLOCK_ALL)
        c.n = w->now + 1000 * ((int64_t)dice(w, 12) - 4);
    else if (c.kind == CHANGE_ESCALATION || c.kind == CHANGE_HALT || c.kind == CHANGE_REVOKE || c.kind == CHANGE_VERDICT)
        c.n = one_in(w, 2);
    else if (c.kind == CHANGE_EFFECT_NEW && one_in(w, 4))
        c.n = 0;
    else if (c.kind == CHANGE_APPROVED)
        c.n = (int64_t)dice(w, 4) - 1;
    if (c.kind == CHANGE_REVOKE)
        c.key = (struct str){commit_id(w).p, 7 + dice(w, 7)};
    if (c.kind == CHANGE_REVOKE && c.key.p[0] == '\0')
        c.key = STR("0123456789abc");
    if (c.kind == CHANGE_VERDICT)
        c.seq = 2;
    return c;
}

static void new_run(struct world *w, struct draft *d, struct journal_item *item)
{
    static const char *const keys[] = {"", "", "alert/1", "alert/2"};

    item->run = w->file->ops->next_run(w->file);
    item->epoch = 1;
    w->runs[w->nruns++] = item->run;
    snprintf(d->uuid, sizeof(d->uuid), "01993%02x%d-%lld", (unsigned)dice(w, 3), w->seed, (long long)w->uuids++);
    d->changes[0] = (struct change){.kind = CHANGE_RUN_NEW, .uuid = str_of(d->uuid), .command = STR("run"),
                                    .runbook = one_in(w, 3) ? text(w) : runbook(w),
                                    .bundle = STR("b"), .params = text(w), .trigger = text(w), .dedup = str_of(keys[dice(w, 4)])};
    item->nchanges = 1;
}

/* Whose item it is: a new run's, the system's, nobody's, or that of a run there is. Returns the seq of its first row. */
static int64_t choose_run(struct world *w, struct draft *d, struct journal_item *item)
{
    struct run_info info;

    if (w->nruns < RUNS && one_in(w, 9)) {
        new_run(w, d, item);
        return 1;
    }
    if (one_in(w, 12))
        return w->system_next;
    item->run = w->nruns && !one_in(w, 25) ? w->runs[dice(w, (uint64_t)w->nruns)] : 4711;
    item->epoch = 1;
    if (w->model->ops->get_run(w->model, item->run, &info, NULL) < 0)
        return 1;
    item->epoch = info.epoch - one_in(w, 12);
    run_info_deinit(&info);
    return info.next_seq;
}

/* Only the first item of a run in a batch has rows: where the next would begin depends on what becomes of it. */
static bool is_first(const struct journal_item *items, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (items[k].run == items[i].run)
            return false;
    }
    return true;
}

static void new_item(struct world *w, struct journal_item *items, size_t i)
{
    struct journal_item *item = &items[i];
    struct draft *d = &w->drafts[i];
    int64_t seq;
    size_t k, n;

    *item = (struct journal_item){.rows = d->rows, .guards = d->guards, .changes = d->changes, .at = w->now};
    seq = choose_run(w, d, item);
    item->nrows = is_first(items, i) ? dice(w, ROWS + 1) : 0;
    for (k = 0; k < item->nrows; k++)
        d->rows[k] = new_row(w, seq + (int64_t)k);
    for (n = one_in(w, 2) ? 0 : dice(w, GUARDS + 1); item->nguards < n; item->nguards++)
        d->guards[item->nguards] = new_guard(w);
    for (n = dice(w, CHANGES + 1); item->nchanges < n; item->nchanges++)
        d->changes[item->nchanges] = new_change(w, item, item->nchanges < item->nrows ? seq + (int64_t)item->nchanges : 0);
}

/* Breaks one item in a way that journal_check must see. */
static void spoil(struct world *w, struct journal_item *item)
{
    static char long_target[600];
    struct draft *d = &w->drafts[0];

    memset(long_target, 't', sizeof(long_target));
    d->changes[0] = (struct change){.kind = one_in(w, 2) ? CHANGE_LOCK : CHANGE_HALT, .target = {long_target, 600}};
    d->rows[0].seq = d->rows[1].seq = 1;
    item->run = 1;
    item->nrows = one_in(w, 2) ? 2 : 0;
    item->nchanges = 1;
}

static void count(const struct journal_item *item)
{
    const char *why = item->refusal ? item->refusal : "";

    seen.committed += item->result == ITEM_COMMITTED;
    seen.fenced += item->result == ITEM_FENCED;
    seen.halted += strcmp(why, "halted") == 0;
    seen.target_busy += strcmp(why, "target_busy") == 0;
    seen.cooling_down += strcmp(why, "cooling_down") == 0;
    seen.over_budget += strcmp(why, "over_budget") == 0;
    for (size_t k = 0; item->refusal && k < item->nguards; k++)
        seen.refused[item->guards[k].kind] += item->nguards == 1;
    seen.duplicate += strcmp(why, "duplicate") == 0;
    for (size_t k = 0; k < item->nchanges; k++)
        seen.takeovers += item->result == ITEM_COMMITTED && item->changes[k].kind == CHANGE_RUN_EPOCH;
}

static void compare(struct world *w, const char *what)
{
    const char *a = buf_text(&w->left), *b = buf_text(&w->right);
    size_t i = 0, line = 0;

    for (; a[i] && a[i] == b[i]; i++)
        line = a[i] == '\n' ? i + 1 : line;
    if (a[i] != b[i] || strstr(a, "BROKEN"))
        fail_msg("seed %d step %d: %s\nsqlite: %.*s\nmemory: %.*s", w->seed, w->step, what,
                 (int)strcspn(a + line, "\n"), a + line, (int)strcspn(b + line, "\n"), b + line);
    buf_reset(&w->left);
    buf_reset(&w->right);
}

static void compare_batch(struct world *w, struct journal_item *items, size_t n)
{
    struct journal_item copy[ITEMS];
    struct err a = {0}, b = {0};
    int x, y;
    size_t i;

    memcpy(copy, items, sizeof(copy));
    x = w->file->ops->commit(w->file, items, n, &a);
    y = w->model->ops->commit(w->model, copy, n, &b);
    buf_addf(&w->left, "%d %s", x, a.msg);
    buf_addf(&w->right, "%d %s", y, b.msg);
    compare(w, "commit");
    seen.invalid += x < 0;
    for (i = 0; x == 0 && i < n; i++) {
        buf_addf(&w->left, "item %zu: %d %s", i, items[i].result, items[i].refusal ? items[i].refusal : "");
        buf_addf(&w->right, "item %zu: %d %s", i, copy[i].result, copy[i].refusal ? copy[i].refusal : "");
        compare(w, "result");
        count(&items[i]);
        if (items[i].run == 0 && items[i].result == ITEM_COMMITTED)
            w->system_next += (int64_t)items[i].nrows;
    }
}

static void commit(struct world *w, bool may_spoil)
{
    struct journal_item items[ITEMS] = {0};
    size_t i, n = 1 + dice(w, ITEMS);

    for (i = 0; i < n; i++)
        new_item(w, items, i);
    if (may_spoil && one_in(w, 40))
        spoil(w, &items[0]);
    compare_batch(w, items, n);
}

/* The same bundle twice is the same; its files come in the order of their paths. */
static void put_bundle(struct world *w)
{
    static const char *const ids[] = {"aa", "bb", "cc", "dd"};
    struct journal_item nothing[ITEMS] = {{.at = w->now}};
    struct blob_ref files[] = {{.path = "z.lua", .data = STR("return 1"), .stays = true},
                               {.path = "a.md", .data = STR("# A\0B")},
                               {.path = "m.lua", .data = STR("")}};
    size_t i = dice(w, 4), n = dice(w, 4);
    struct err e = {0};

    good(w->file->ops->put_bundle(w->file, ids[i], STR("{}"), files, n, &e), &e);
    good(w->model->ops->put_bundle(w->model, ids[i], STR("{}"), files, n, &e), &e);
    w->bundles[i] = ids[i];
    seen.bundles++;
    commit(w, false);
    compare_batch(w, nothing, 1);       /* the one before may have been refused for its texts */
}

static bool dump_file(void *ctx, const char *name, struct str data)
{
    buf_addf(ctx, "file %s ", name);
    buf_add(ctx, data.p, data.n);
    buf_addc(ctx, '\n');
    return true;
}

static void dump_all(struct world *w, struct journal *j, struct buf *out)
{
    struct run_info info;
    struct err e = {0};
    size_t i;

    for (i = 0; i < (size_t)w->nruns; i++) {
        if (j->ops->get_run(j, w->runs[i], &info, &e) < 0)
            continue;
        dump_run(out, &info);
        dump_rows(j, w->runs[i], out);
        good(j->ops->effects(j, w->runs[i], dump_effect, out, &e), &e);
        run_info_deinit(&info);
    }
    assert_int_equal(dump_rows(j, 0, out), w->system_next);
    for (i = 0; i < 4; i++) {
        int rc = j->ops->get_bundle(j, w->bundles[i] ? w->bundles[i] : "none", out, dump_file, out, &e);

        assert_int_equal(rc, w->bundles[i] ? 0 : ERR_NOT_FOUND);
        rc = j->ops->get_file(j, w->bundles[i] ? w->bundles[i] : "none", "a.md", out, &e);
        assert_true(rc == 0 || rc == ERR_NOT_FOUND);
        buf_addf(out, " a.md: %d\n", rc);
    }
}

/* Prefixes of uuids find the same run, none or several. */
static void compare_find(struct world *w)
{
    char prefix[40];
    int64_t a = 0, b = 0;
    int x, y;

    snprintf(prefix, sizeof(prefix), "01993%02x%d-%d", (unsigned)dice(w, 3), w->seed, (int)dice(w, RUNS));
    prefix[dice(w, strlen(prefix)) + 1] = '\0';
    x = w->file->ops->find_run(w->file, str_of(prefix), &a, NULL);
    y = w->model->ops->find_run(w->model, str_of(prefix), &b, NULL);
    buf_addf(&w->left, "%s: %d %lld", prefix, x, (long long)(x ? 0 : a));
    buf_addf(&w->right, "%s: %d %lld", prefix, y, (long long)(y ? 0 : b));
    compare(w, "find");
}

/* Asked without a commit: by the connection that writes, or by another one. */
static void compare_guards(struct world *w, struct journal *file)
{
    for (int i = 0; i < 4; i++) {
        struct journal_item item = {.run = w->nruns ? w->runs[dice(w, (uint64_t)w->nruns)] : 1};
        struct guard g = new_guard(w);
        int holds = w->model->ops->guard(w->model, &item, &g, NULL);

        buf_addf(&w->left, "guard %d: %d", (int)g.kind, file->ops->guard(file, &item, &g, NULL));
        buf_addf(&w->right, "guard %d: %d", (int)g.kind, holds);
        compare(w, "guard");
        seen.asked[g.kind][holds]++;
    }
}

static bool complain(void *ctx, int64_t run, int64_t seq, const char *where, const char *what)
{
    buf_addf(ctx, "BROKEN %s (run %lld, row %lld): %s\n", where, (long long)run, (long long)seq, what);
    return true;
}

/* The log says all that the projections do, and its chains hold. */
static void audit(struct world *w)
{
    struct audit_counts counts;
    struct err e = {0};

    good(w->file->ops->commit(w->file, NULL, 0, &e), &e);      /* a bundle may wait for the next one */
    good(journal_rebuild(w->file, false, complain, &w->left, &e), &e);
    good(journal_verify(w->file, -1, &counts, complain, &w->left, &e), &e);
    compare(w, "audit");
    seen.audited += counts.changes;
}

/* Every row ever, and every bundle; then the same file by another connection. */
static void reopen(struct world *w)
{
    struct journal *reader;

    dump_all(w, w->file, &w->left);
    dump_all(w, w->model, &w->right);
    compare(w, "rows and bundles");
    audit(w);
    w->file->ops->free(w->file);
    w->file = open_sqlite(w->dir, NULL);
    dump_all(w, w->file, &w->left);
    dump_all(w, w->model, &w->right);
    compare(w, "rows and bundles of the reopened file");
    good(w->file->ops->reader(w->file, &reader, NULL), NULL);
    compare_guards(w, reader);
    reader->ops->free(reader);
    seen.reopened++;
}

static void one_seed(int seed)
{
    struct world w = {.dice = (uint64_t)seed * 7919, .now = 1764000000000, .system_next = 1, .seed = seed,
                      .dir = state_dir_new()};

    buf_init(&w.left, 8 * MIB);
    buf_init(&w.right, 8 * MIB);
    w.file = open_sqlite(w.dir, NULL);
    good(journal_memory_open(NULL, &w.model, NULL), NULL);
    for (w.step = 0; w.step < STEPS; w.step++) {
        w.now += (int64_t)dice(&w, 1500);
        if (one_in(&w, 25))
            put_bundle(&w);
        else
            commit(&w, true);
        dump_state(w.file, &w.left);
        dump_state(w.model, &w.right);
        compare(&w, "state");
        compare_find(&w);
        compare_guards(&w, w.file);
        if (one_in(&w, 70))
            reopen(&w);
    }
    reopen(&w);
    w.file->ops->free(w.file);
    w.model->ops->free(w.model);
    buf_free(&w.left);
    buf_free(&w.right);
    state_dir_free(w.dir);
}

static void test_sqlite_is_the_model(void **state)
{
    int seed;

    (void)state;
    for (seed = 1; seed <= SEEDS; seed++)
        one_seed(seed);
    assert_true(seen.committed > 1000 && seen.fenced > 100 && seen.halted > 100 && seen.target_busy > 100);
    assert_true(seen.cooling_down > 10 && seen.over_budget > 100 && seen.duplicate > 10 && seen.invalid > 10);
    for (int k = 0; k < GUARD_KINDS; k++) {
        if (seen.refused[k] < 3)
            fail_msg("guard %d refused only %d times", k, (int)seen.refused[k]);
        if (seen.asked[k][0] < 3 || seen.asked[k][1] < 3)
            fail_msg("guard %d was asked for too seldom", k);
    }
    assert_true(seen.reopened > SEEDS && seen.bundles > 10 && seen.takeovers > 10 && seen.audited > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite_is_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
