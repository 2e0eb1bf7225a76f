/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the rows. Secrets are struck out of the rows' own JSON, before any
 * renderer's escaping could hide them from the search. */
#include "report/timeline.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "book/book.h"
#include "report/planned.h"

#include <stdlib.h>

#define CHUNK (64 * KIB)

struct chunk {
    struct chunk *next;
    size_t used, size;
    char bytes[];
};

struct reader {
    struct timeline *t;
    struct buf text, redacted[3], looks;
    const char *last_seen;          /* sentence of the last observation */
    bool acted;
};

static const char *keep(struct timeline *t, const char *s, size_t n)
{
    struct chunk *c = t->chunks;
    char *to;

    if (!c || c->size - c->used < n + 1) {
        size_t size = n + 1 > CHUNK ? n + 1 : CHUNK;

        c = xmalloc(sizeof(*c) + size);
        *c = (struct chunk){.next = t->chunks, .size = size};
        t->chunks = c;
    }
    to = c->bytes + c->used;
    memcpy(to, n ? s : "", n);
    to[n] = '\0';
    c->used += n + 1;
    return to;
}

static const char *keep_as(struct timeline *t, struct str s, void (*add)(struct buf *out, const char *s, size_t n))
{
    struct buf plain = BUF_INIT(16 * KIB), b = BUF_INIT(64 * KIB);
    struct str shown = journal_clip(s, 2 * KIB);
    const char *kept;

    log_redact(&plain, shown);
    add(&b, buf_text(&plain), plain.len);
    kept = keep(t, buf_text(&b), b.len);
    buf_free(&plain);
    buf_free(&b);
    return kept;
}

static const char *keep_printable(struct timeline *t, struct str s)
{
    return keep_as(t, s, str_add_printable);
}

/* What the author wrote to people may have lines. */
static const char *keep_lines(struct timeline *t, const json_t *args)
{
    return keep_as(t, str_of(json_get_string(args, "text", "")), str_add_lines);
}

static const char *keep_buf(struct timeline *t, struct buf *b)
{
    const char *kept = keep(t, buf_text(b), b->len);

    buf_reset(b);
    return kept;
}

static const char *keep_value(struct timeline *t, const json_t *v, const char *unit)
{
    struct buf b = BUF_INIT(16 * KIB);
    const char *kept;

    sentence_value(v, unit, &b);
    kept = keep_buf(t, &b);
    buf_free(&b);
    return kept;
}

/* Grows list by one zeroed entry: powers of two, so that no capacity is needed beside n. */
static void *grown(void *list, size_t n, size_t size)
{
    if ((n & (n - 1)) == 0)
        list = xrealloc(list, (n ? 2 * n : 1) * size);
    memset((char *)list + n * size, 0, size);
    return list;
}

static struct series *series_of(struct timeline *t, struct str name)
{
    const char *shown = keep_printable(t, name);
    size_t i;

    for (i = 0; i < t->nseries; i++) {
        if (strcmp(t->series[i].name, shown) == 0)
            return &t->series[i];
    }
    t->series = grown(t->series, t->nseries, sizeof(*t->series));
    t->series[t->nseries].name = shown;
    return &t->series[t->nseries++];
}

static void add_point(struct reader *r, const struct row *row, const json_t *args, const json_t *payload)
{
    bool measured = row->kind == ROW_NOTE;
    const json_t *o = measured ? args : json_object_get(payload, "o"), *v = json_object_get(o, "value");
    const char *unit = json_get_string(json_object_get(o, "unit") ? o : args, "unit", "");
    struct series *s;
    struct point *p;

    if (measured && (!str_is(row->name, "measure") || !v))
        return;
    s = series_of(r->t, sentence_name(row, args));
    s->points = grown(s->points, s->n, sizeof(*s->points));
    p = &s->points[s->n++];
    p->at = row->at;
    p->known = !json_object_get(o, "unknown");
    p->number = p->known && json_is_number(v);
    p->value = p->number ? json_number_value(v) : 0;
    if (p->known) {
        p->text = keep_value(r->t, v, unit);
    } else {
        struct buf b = BUF_INIT(8 * KIB);

        buf_addf(&b, "unknown (%.40s)", json_get_string(o, "unknown", ""));
        p->text = keep_printable(r->t, (struct str){b.data, b.len});
        buf_free(&b);
    }
}

/* "replicas 3, paused false": the fields of `values` that `to` names. */
static const char *fields(struct timeline *t, const json_t *values, const json_t *to)
{
    struct buf b = BUF_INIT(32 * KIB);
    const char *key, *kept;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)to, key, v) {
        const json_t *is = json_object_get(values, key);

        if (!is)
            continue;
        if (b.len)
            buf_adds(&b, ", ");
        str_add_printable(&b, key, strlen(key) > 200 ? 200 : strlen(key));
        buf_addc(&b, ' ');
        sentence_value(is, NULL, &b);
    }
    kept = keep_buf(t, &b);
    buf_free(&b);
    return kept;
}

static struct effect_view *effect_at(struct timeline *t, const char *path)
{
    size_t i;

    for (i = 0; path && i < t->neffects; i++) {
        if (strcmp(t->effects[i].path, path) == 0)
            return &t->effects[i];
    }
    return NULL;
}

static void add_intent(struct reader *r, const struct row *row, const json_t *args, const json_t *payload)
{
    struct timeline *t = r->t;
    const char *path = keep(t, row->path.p, row->path.n), *undo_of = json_get_string(payload, "undo_of", NULL);
    const json_t *to = json_object_get(args, "to");
    struct effect_view *x = effect_at(t, path);

    if (!x) {
        t->effects = grown(t->effects, t->neffects, sizeof(*t->effects));
        x = &t->effects[t->neffects++];
    }
    *x = (struct effect_view){
        .path = path, .action = keep_printable(t, row->name), .intent_seq = row->seq, .intent_at = row->at,
        .target = keep_printable(t, str_of(json_get_string(args, "target", ""))), .state = EFFECT_INTENDED,
        .before = fields(t, json_object_get(args, "from"), to),
        .after = json_object_size(to) ? fields(t, to, to) : "as asked", .result = "", .proof = "",
        .undo_of = undo_of ? keep_printable(t, str_of(undo_of)) : NULL};
}

static void add_result(struct reader *r, const struct row *row, const json_t *payload)
{
    struct timeline *t = r->t;
    struct effect_view *x = effect_at(t, keep(t, row->path.p, row->path.n));

    if (!x)
        return;
    x->result_at = row->at;
    x->result = keep(t, buf_text(&r->text), r->text.len);
    (void)payload;
}

static void add_proof(struct reader *r, const struct row *row, const json_t *args)
{
    struct timeline *t = r->t;
    struct buf b = BUF_INIT(16 * KIB);
    const json_t *path;
    const char *proof;
    size_t i;

    buf_adds(&b, json_get_string(args, "verdict", ""));
    buf_addf(&b, ": %s", r->looks.len ? buf_text(&r->looks) : "the state read back is the wanted one");
    proof = keep_printable(t, (struct str){b.data, b.len});
    buf_free(&b);
    json_array_foreach(json_object_get(args, "effects"), i, path) {
        struct effect_view *x = effect_at(t, json_string_value(path));

        if (x) {
            x->proved_at = row->at;
            x->proof = proof;
        }
    }
}

static void add_hypothesis(struct reader *r, const struct row *row, const json_t *args)
{
    struct timeline *t = r->t;
    struct buf b = BUF_INIT(16 * KIB);
    struct hypothesis *h;
    const json_t *entry;
    size_t i;

    t->hypotheses = grown(t->hypotheses, t->nhypotheses, sizeof(*t->hypotheses));
    h = &t->hypotheses[t->nhypotheses++];
    h->title = keep_printable(t, row->name);
    h->likelihood = keep_printable(t, str_of(json_get_string(args, "likelihood", "?")));
    h->impact = keep_printable(t, str_of(json_get_string(args, "impact", "?")));
    h->verdict = keep_printable(t, str_of(json_get_string(args, "verdict", "?")));
    json_array_foreach(json_object_get(args, "evidence"), i, entry) {
        const char *name = json_get_string(entry, "name", "?");

        if (i)
            buf_adds(&b, ", ");
        str_add_printable(&b, name, strlen(name));
        buf_addf(&b, " (row %lld)", (long long)json_get_int(entry, "row", 0));
    }
    h->evidence = keep_buf(t, &b);
    buf_free(&b);
}

/* What the model keeps of a row beside its moment. */
static void take(struct reader *r, const struct row *row, json_t *args, json_t *payload)
{
    struct timeline *t = r->t;

    switch (row->kind) {
    case ROW_START:
        t->begun = row->at;
        json_decref(t->start);
        t->start = json_incref(payload);
        t->requester = keep_printable(t, str_of(json_get_string(payload, "requester", "")));
        break;
    case ROW_OBS:
        add_point(r, row, args, payload);
        buf_addf(&r->looks, "%s%s", r->looks.len ? ", " : "", buf_text(&r->text));
        break;
    case ROW_NOTE:
        add_point(r, row, args, payload);
        if (str_is(row->name, "follow_up")) {
            t->follow_ups = grown(t->follow_ups, t->nfollow_ups, sizeof(*t->follow_ups));
            t->follow_ups[t->nfollow_ups++] = keep_lines(t, args);
        }
        break;
    case ROW_INTENT:
        add_intent(r, row, args, payload);
        break;
    case ROW_RESULT:
        add_result(r, row, payload);
        buf_reset(&r->looks);
        break;
    case ROW_WAIT:
    case ROW_TIMER:
        buf_reset(&r->looks);
        break;
    case ROW_VERIFY:
        add_proof(r, row, args);
        break;
    case ROW_VERDICT:
        add_hypothesis(r, row, args);
        break;
    case ROW_CAUSE:
        t->cause = keep_printable(t, row->name);
        break;
    case ROW_END:
        t->text = keep_lines(t, args);
        break;
    default:
        break;
    }
}

static enum tone tone_of(const struct row *row, const json_t *args, enum tone usual)
{
    const char *verdict = json_get_string(args, "verdict", "");

    if (row->kind == ROW_END)
        return str_is(row->name, "escalated") ? TONE_BAD : TONE_GOOD;
    if (row->kind == ROW_VERIFY)
        return strcmp(verdict, "holds") == 0 ? TONE_GOOD : TONE_BAD;
    if (row->kind == ROW_VERDICT && strcmp(verdict, "supported") == 0)
        return TONE_GOOD;
    return usual;
}

/* Waits last until the run does something else than look. */
static void end_waits(struct timeline *t, const struct row *row)
{
    size_t i;

    if (row->kind == ROW_OBS || row->kind == ROW_TIMER)
        return;
    for (i = t->nmoments; i-- > 0 && !t->moments[i].until;) {
        if (t->moments[i].kind == ROW_WAIT)
            t->moments[i].until = row->at;
        if (t->moments[i].kind != ROW_OBS)
            return;
    }
}

static void add_moment(struct reader *r, const struct row *row, const json_t *args, const json_t *payload)
{
    struct timeline *t = r->t;
    struct moment *m;

    end_waits(t, row);
    t->moments = grown(t->moments, t->nmoments, sizeof(*m));
    m = &t->moments[t->nmoments++];
    *m = (struct moment){.seq = row->seq, .at = row->at, .line = (int)json_get_int(payload, "line", 0), .kind = row->kind,
                         .look = kind_look(row->kind), .text = keep(t, buf_text(&r->text), r->text.len), .section = "",
                         .acted = r->acted};
    m->look.tone = tone_of(row, args, m->look.tone);
    if (m->line > 0 && t->book)
        m->section = keep_printable(t, str_of(book_section(t->book, m->line)));
    if (row->kind == ROW_OBS) {
        m->repeated = r->last_seen && strcmp(m->text, r->last_seen) == 0;
        r->last_seen = m->text;
    }
    if (row->kind == ROW_OBS && m->acted)
        m->look.step = STEP_FIX;
    if (row->kind == ROW_NOTE && str_is(row->name, "follow_up"))
        m->look.step = STEP_PREVENT;
}

static struct str without_secrets(struct buf *b, struct str s)
{
    if (!log_has_secrets())
        return s;
    buf_reset(b);
    log_redact(b, s);
    return (struct str){b->data ? b->data : "", b->len};
}

/* A secret that stood bare (a number) leaves no JSON behind: then the row says only that. */
static json_t *parsed(struct str s)
{
    json_t *v = NULL;

    if (s.n && json_read(s, &v, NULL) < 0)
        return json_pack("{s:s}", "text", "*** (not shown)");
    return v;
}

static bool add_row(void *ctx, const struct row *original)
{
    struct reader *r = ctx;
    struct row row = *original;
    json_t *args, *payload;

    row.name = without_secrets(&r->redacted[0], row.name);
    row.args = without_secrets(&r->redacted[1], row.args);
    row.payload = without_secrets(&r->redacted[2], row.payload);
    args = parsed(row.args);
    payload = parsed(row.payload);
    buf_reset(&r->text);
    r->acted = r->acted || row.kind == ROW_PLAN;
    r->t->last = row.at;
    if (sentence_say(&row, args, payload, &r->text))
        add_moment(r, &row, args, payload);
    take(r, &row, args, payload);
    json_decref(args);
    json_decref(payload);
    return true;
}

static bool add_effect(void *ctx, const struct effect_info *info)
{
    struct timeline *t = ctx;
    struct effect_view *x = effect_at(t, info->path);

    if (x)
        x->state = info->state;
    return true;
}

static bool add_lock(void *ctx, const struct lock_info *l)
{
    struct timeline *t = ctx;

    t->holds_locks = t->holds_locks || l->run == t->info.id;
    return true;
}

static bool find_book(void *ctx, const char *path, struct str data)
{
    struct timeline *t = ctx;
    struct hash h = hash_of(data);
    struct err ignored = {0};
    size_t n = strlen(path);
    char hex[2 * HASH_BYTES + 1];

    if (n < 3 || strcmp(path + n - 3, ".md") != 0 || t->book)
        return true;
    t->sha256 = keep_printable(t, str_of(hash_hex(&h, hex)));
    if (book_read(data, path, &t->book, &ignored) < 0)
        t->book = NULL;
    return true;
}

static void read_sources(struct timeline *t, struct journal *j)
{
    struct buf meta = BUF_INIT(MIB);
    struct err ignored = {0};
    json_t *manifest = NULL;

    if (j->ops->get_bundle(j, t->info.bundle, &meta, find_book, t, &ignored) == 0 &&
        json_read((struct str){meta.data, meta.len}, &manifest, &ignored) == 0) {
        t->commit = keep_printable(t, str_of(json_get_string(manifest, "commit", "")));
        t->dirty = json_get_bool(manifest, "dirty", false);
    }
    if (t->book && t->book->severity)
        t->severity = keep_printable(t, str_of(t->book->severity));
    if (t->book && t->book->nsections)
        t->title = keep_printable(t, str_of(t->book->sections[0].title));
    json_decref(manifest);
    buf_free(&meta);
}

static int read_plan(struct timeline *t, struct journal *j, struct err *e)
{
    struct buf text = BUF_INIT(64 * KIB);
    struct planned p;
    int rc = planned_read(j, &t->info, &p, e);

    if (rc == 0 && p.there) {
        if (p.differs)
            buf_addf(&text, "It differs from plan %s: %s.", p.id, buf_text(&p.why));
        else
            buf_addf(&text, "%s as planned (plan %s).", t->info.state == RUN_ENDED ? "It went" : "It goes", p.id);
        t->plan = keep_printable(t, (struct str){buf_text(&text), text.len});
        t->differs = p.differs;
    }
    planned_deinit(&p);
    buf_free(&text);
    return rc;
}

int timeline_read(struct journal *j, int64_t run, struct timeline **out, struct err *e)
{
    struct timeline *t = xcalloc(1, sizeof(*t));
    struct reader r = {.t = t, .text = BUF_INIT(64 * KIB), .looks = BUF_INIT(16 * KIB)};
    size_t i;
    int rc = j->ops->get_run(j, run, &t->info, e);

    for (i = 0; i < 3; i++)
        buf_init(&r.redacted[i], 32 * MIB);
    t->title = t->text = t->requester = t->severity = t->cause = t->commit = t->sha256 = "";
    t->begun = t->last = t->info.created_at;
    if (rc == 0) {
        read_sources(t, j);
        rc = j->ops->rows(j, run, 1, add_row, &r, e);
    }
    if (rc == 0)
        rc = j->ops->effects(j, run, add_effect, t, e);
    if (rc == 0)
        rc = timeline_read_later(t, j, e);
    if (rc == 0)
        rc = j->ops->locks(j, add_lock, t, e);
    if (rc == 0)
        rc = read_plan(t, j, e);
    if (rc == 0 && !t->severity[0])
        t->severity = keep_printable(t, str_of(json_get_string(
            json_object_get(json_object_get(t->start, "trigger"), "labels"), "severity", "")));
    for (i = 0; i < 3; i++)
        buf_free(&r.redacted[i]);
    buf_free(&r.text);
    buf_free(&r.looks);
    if (rc < 0)
        timeline_free(t);
    else
        *out = t;
    return rc;
}

void timeline_free(struct timeline *t)
{
    struct chunk *c, *next;
    size_t i;

    if (!t)
        return;
    for (i = 0; i < t->nseries; i++)
        free(t->series[i].points);
    for (c = t->chunks; c; c = next) {
        next = c->next;
        free(c);
    }
    free(t->moments);
    free(t->series);
    free(t->effects);
    free(t->hypotheses);
    free(t->follow_ups);
    book_free(t->book);
    json_decref(t->start);
    run_info_deinit(&t->info);
    free(t);
}
