/* SPDX-License-Identifier: Apache-2.0 */
/* A run from its journal: its sources out of the bundle, its inputs out of START,
 * its rows as what the replay will hand out. */
#include "run/run.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdio.h>
#include <stdlib.h>

void recorded_add(struct recorded *rec, const struct row *row)
{
    struct row *copy;

    if (rec->n == rec->cap) {
        rec->cap = rec->cap ? 2 * rec->cap : 64;
        rec->rows = xrealloc(rec->rows, rec->cap * sizeof(*rec->rows));
    }
    copy = &rec->rows[rec->n++];
    *copy = *row;
    copy->path = arena_copy(rec->arena, row->path);
    copy->name = arena_copy(rec->arena, row->name);
    copy->args = arena_copy(rec->arena, row->args);
    copy->payload = arena_copy(rec->arena, row->payload);
}

void recorded_release(struct recorded *rec)
{
    arena_free(rec->arena);
    free(rec->rows);
    rec->arena = NULL;
    rec->rows = NULL;
}

static bool keep_row(void *ctx, const struct row *row)
{
    struct recorded *rec = ctx;

    recorded_add(rec, row);
    return rec->n < RUN_ROWS_MAX;
}

static int restore_file(struct journal *from, const char *id, struct bundle *b, const char *path, struct err *e)
{
    struct buf text = BUF_INIT(MODULE_BYTES_MAX + RUNBOOK_BYTES_MAX);
    int rc = from->ops->get_file(from, id, path, &text, e);

    if (rc == 0)
        rc = bundle_restore_file(b, path, (struct str){buf_text(&text), text.len}, e);
    buf_free(&text);
    return rc;
}

int engine_recorded_bundle(struct journal *from, const char *id, struct bundle **out, struct err *e)
{
    struct buf manifest = BUF_INIT(MIB);
    int rc = from->ops->get_bundle(from, id, &manifest, NULL, NULL, e);
    size_t i;

    if (rc == 0)
        rc = bundle_open((struct str){buf_text(&manifest), manifest.len}, out, e);
    for (i = 0; rc == 0 && i < (*out)->nfiles; i++) {
        if (!(*out)->files[i].text.p)
            rc = restore_file(from, id, *out, (*out)->files[i].path, e);
    }
    buf_free(&manifest);
    return rc;
}

void run_takes_book(struct run *r, struct runbook *book)
{
    size_t n = strlen(book->name) + sizeof(".md");

    r->book = book;
    r->file = xmalloc(n);
    snprintf(r->file, n, "%s.md", book->name);
}

/* The runbook is the bundle's one .md file; its modules stand beside it. */
static int load_book(struct run *r, struct err *e)
{
    const struct bundle *b = r->bundle;
    struct runbook *book = NULL;
    size_t i, n;
    int rc = 0;

    for (i = 0; i < b->nfiles && rc == 0 && !book; i++) {
        n = strlen(b->files[i].path);
        if (n > 3 && strcmp(b->files[i].path + n - 3, ".md") == 0)
            rc = book_read(b->files[i].text, b->files[i].path, &book, e);
    }
    if (book)
        run_takes_book(r, book);
    else if (rc == 0)
        rc = err_set(e, ERR_CORRUPT, "run %lld: its bundle has no runbook", (long long)r->id);
    for (i = 0; i < b->nfiles && rc == 0; i++) {
        if (b->files[i].module)
            book_add_module(r->book, b->files[i].module, bundle_module_path(&b->files[i]), b->files[i].text);
    }
    return rc;
}

int rebuild_sources(struct run *r, struct journal *from, const char *bundle, struct err *e)
{
    int rc = engine_recorded_bundle(from, bundle, &r->bundle, e);

    return rc == 0 ? load_book(r, e) : rc;
}

struct registries {
    struct registry *registry;
    struct registries *next;
};

/* Loads what the run uses, from its bundle where it is not loaded yet. True if it is all of the bundle's texts. */
static bool serves(struct run *r, struct registry *registry)
{
    json_t *use;
    size_t i, k;
    bool same = true;

    registry_pin(registry, r->bundle);
    json_array_foreach(json_object_get(r->start, "uses"), i, use) {
        const struct plugin_source *s;
        const json_t *declared;
        const char *plugin;
        struct err e = {0};
        size_t n;

        if (registry_describe(registry, json_get_string(use, "instance", ""), json_get_string(use, "plugin", NULL), &declared,
                              &e) < 0 ||
            registry_sources(registry, json_get_string(use, "instance", ""), &plugin, &s, &n, &e) < 0)
            continue;       /* setup_vm says why */
        for (k = 0; k < n; k++)
            same = same && str_eq(bundle_get(r->bundle, s[k].path), s[k].text);
    }
    registry_pin(registry, NULL);
    return same;
}

/* The plugins as the run's bundle has them: runs of several releases of a plugin each have their own. */
int rebuild_registry(struct run *r, struct err *e)
{
    struct engine *n = r->engine;
    struct registries *x;
    int rc;

    r->registry = n->o.registry;
    if (serves(r, r->registry))
        return 0;
    for (x = n->more; x; x = x->next) {
        r->registry = x->registry;
        if (serves(r, x->registry))
            return 0;
    }
    x = xcalloc(1, sizeof(*x));
    rc = registry_like(n->o.registry, &x->registry, e);
    if (rc < 0) {
        free(x);
        return rc;
    }
    x->next = n->more;
    n->more = x;
    r->registry = x->registry;
    serves(r, x->registry);
    return 0;
}

bool rebuild_turn(struct engine *n)
{
    struct registries *x;
    bool moved = n->o.registry && registry_turn(n->o.registry);

    for (x = n->more; x; x = x->next)
        moved |= registry_turn(x->registry);
    return moved;
}

void rebuild_free(struct engine *n)
{
    struct registries *x, *next;

    for (x = n->more; x; x = next) {
        next = x->next;
        registry_free(x->registry);
        free(x);
    }
    n->more = NULL;
}

static int load_start(struct run *r, struct err *e)
{
    const struct row *row = r->recorded.rows;

    if (r->recorded.n == 0 || row->kind != ROW_START)
        return err_set(e, ERR_CORRUPT, "run %lld: its journal does not begin with START", (long long)r->id);
    if (json_read(row->payload, &r->start, e) < 0)
        return e->code;
    r->params = json_object_get(r->start, "params");
    r->trigger = json_object_get(r->start, "trigger");
    r->started_at = json_get_int(json_object_get(r->start, "run"), "started", row->at);
    return 0;
}

/* A row that was changed since it was written tells nothing: neither what was sent nor what was seen. */
static int check_chain(const struct run *r, const struct run_info *info, struct err *e)
{
    struct hash chain = {{0}}, args;
    size_t i;

    for (i = 0; i < r->recorded.n; i++) {
        const struct row *row = &r->recorded.rows[i];

        if (i == 0 || !str_eq(row->args, row[-1].args))
            args = journal_args_hash(row);
        chain = journal_chain_with(&chain, row, &args);
        if (row->seq != (int64_t)i + 1 || !hash_eq(&chain, &row->chain))
            return err_set(e, ERR_CORRUPT, "run %lld: row %zu is not as it was written (its hash chain breaks there)",
                           (long long)r->id, i + 1);
    }
    if (info->next_seq != (int64_t)i + 1 || !hash_eq(&chain, &info->chain))
        return err_set(e, ERR_CORRUPT, "run %lld: %zu rows are not all that were written", (long long)r->id, i);
    return 0;
}

struct run *run_empty(struct engine *n)
{
    struct run *r = xcalloc(1, sizeof(*r));

    r->engine = n;
    r->registry = n->o.registry;
    r->hashed = (struct hashed)HASHED_INIT;
    return r;
}

static struct str machine_of(struct str who)
{
    size_t i = who.n;

    while (i > 0 && who.p[i - 1] != '@')
        i--;
    return i > 0 ? (struct str){who.p + i, who.n - i} : STR("");
}

struct str rebuild_moved(const struct run *r, const char *who)
{
    struct str here = machine_of(str_of(who)), last = STR("");
    size_t i;

    for (i = r->recorded.n; i > 0 && last.n == 0; i--) {
        const struct row *row = &r->recorded.rows[i - 1];

        if (row->kind == ROW_START || row->kind == ROW_RESUME)
            last = json_slice(row->payload, row->kind == ROW_START ? "requester" : "by");
    }
    last = machine_of(last);
    last.n -= last.n > 0;           /* the quote behind it */
    return here.n == 0 || str_eq(last, here) ? STR("") : last;
}

/* The wall's clock may have been set back since any of the rows: people's words have its time, and the run's own never
 * steps back, nor stands still until the wall's has come so far. */
static int64_t now_behind(const struct recorded *rec, int64_t wall)
{
    size_t i;

    for (i = 0; i < rec->n; i++) {
        if (rec->rows[i].at > wall)
            wall = rec->rows[i].at;
    }
    return wall;
}

int rebuild_run(struct run *r, struct journal *from, int64_t id, bool replay_only, struct err *e)
{
    struct host *h = engine_host(r->engine);
    struct run_info info = {0};
    struct err changed = {0};
    int rc;

    r->replay_only = replay_only;
    r->phase = PHASE_REPLAY;
    r->recorded.arena = arena_new();
    rc = from->ops->get_run(from, id, &info, e);
    if (rc == 0) {
        r->id = id;
        r->epoch = info.epoch;
        r->next_seq = info.next_seq;
        snprintf(r->uuid, sizeof(r->uuid), "%s", info.uuid);
        if (!replay_only && info.state == RUN_ENDED)
            rc = err_set(e, ERR_INVALID, "run %lld has ended (%s, %s); see midwatch show %lld", (long long)id, info.outcome,
                         info.reason, (long long)id);
    }
    if (rc == 0)
        rc = rebuild_sources(r, from, info.bundle, e);
    if (rc == 0)
        rc = from->ops->rows(from, id, 1, keep_row, &r->recorded, e);
    if (rc == 0)
        rc = check_chain(r, &info, e);
    if (rc == 0)
        rc = load_start(r, e);
    if (rc == 0)
        rc = rebuild_registry(r, e);
    if (rc == 0 && json_object_get(r->start, "undoes"))
        rc = undo_seed(r, from, json_get_int(r->start, "undoes", 0), id, e);
    r->base_at = now_behind(&r->recorded, h->ops->wall_ms(h));
    r->base_mono = h->ops->mono_ms(h);
    if (rc == 0)
        rc = setup_vm(r, e);
    /* Where exactly memory ends depends on the collector: what fitted when it was recorded, fits. */
    if (rc == 0)
        vm_limit_memory(r->vm, 2 * VM_MEMORY_MAX);
    if (rc == 0 && !replay_only && setup_same_settings(r, &changed) < 0)
        r->elsewhere = xstrdup(changed.msg);
    run_info_deinit(&info);
    return rc;
}
