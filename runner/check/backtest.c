/* SPDX-License-Identifier: Apache-2.0 */
/* The changed runbook runs on a simulated host with a journal in memory, from the
 * moment the recorded run started; the record stands for the world and the people.
 * It is compared decision by decision: what happens behind the first effect that
 * differs nobody can know. */
#include "check/backtest.h"

#include "base/json.h"
#include "base/limits.h"
#include "gate/answer_recorded.h"
#include "io/host_sim.h"
#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const verdict_names[BACKTEST_VERDICTS] = {
    [BACKTEST_SAME] = "same",           [BACKTEST_EARLIER] = "earlier", [BACKTEST_LATER] = "later",
    [BACKTEST_DIFFERENT] = "different", [BACKTEST_UNKNOWN] = "unknown", [BACKTEST_SKIPPED] = "skipped",
};

const char *backtest_verdict_name(enum backtest_verdict v)
{
    return verdict_names[v];
}

static void decisions_free(struct decisions *d)
{
    size_t i;

    for (i = 0; i < d->n; i++) {
        free(d->list[i].text);
        free(d->list[i].source);
    }
    for (i = 0; i < d->ntested; i++) {
        free(d->tested[i].title);
        free(d->tested[i].verdict);
    }
    free(d->list);
    free(d->tested);
    *d = (struct decisions){0};
}

void backtest_deinit(struct backtest *b)
{
    decisions_free(&b->recorded);
    decisions_free(&b->changed);
    free(b->where);
}

static struct decision *decide(struct decisions *d)
{
    d->list = xrealloc(d->list, (d->n + 1) * sizeof(*d->list));
    d->list[d->n] = (struct decision){0};
    return &d->list[d->n++];
}

static void take_verdict(struct decisions *d, const char *title, const json_t *args, const json_t *payload)
{
    int64_t line = json_get_int(payload, "line", 0);
    const json_t *seen;
    size_t i;

    json_array_foreach(json_object_get(args, "evidence"), i, seen) {
        line = json_get_int(seen, "line", line);
    }

    d->tested = xrealloc(d->tested, (d->ntested + 1) * sizeof(*d->tested));
    d->tested[d->ntested++] = (struct tested){xstrdup(title), xstrdup(json_get_string(args, "verdict", "?")), (int)line, d->n};
}

/* "kubernetes.scale prod-eu:deployment/prod/api replicas=6": what the target says already is left out. */
static void effect_text(const json_t *args, const json_t *payload, const char *name, struct buf *out)
{
    const char *target = json_get_string(args, "target", "?"), *key;
    bool is_undo = json_object_get(payload, "undo_of") != NULL;
    json_t *v;

    buf_addf(out, "%s%s %s", is_undo ? "undo " : "", name, target);
    json_object_foreach(json_object_get(args, is_undo ? "to" : "args"), key, v) {
        if (json_is_string(v) && json_string_length(v) && strstr(target, json_string_value(v)))
            continue;
        buf_addf(out, " %s=", key);
        json_add_value(out, v);
    }
}

/* What a row decides, if it decides anything. */
static void take(struct decisions *d, enum row_kind kind, const char *name, const json_t *args, const json_t *payload,
                 int64_t after_ms)
{
    struct buf text = BUF_INIT(VALUE_BYTES_MAX);
    struct decision *x;

    if (kind == ROW_VERDICT)
        take_verdict(d, name, args, payload);
    if (kind != ROW_CAUSE && kind != ROW_END && (kind != ROW_INTENT || json_get_int(payload, "attempt", 1) != 1))
        return;
    x = decide(d);
    if (kind == ROW_CAUSE) {
        x->kind = DECISION_CAUSE;
        buf_addf(&text, "cause: %s", name);
    } else if (kind == ROW_END) {
        x->kind = DECISION_END;
        buf_addf(&text, "%s (%s)", name, json_get_string(args, "reason", ""));
    } else {
        x->kind = DECISION_EFFECT;
        effect_text(args, payload, name, &text);
    }
    x->text = buf_take(&text, NULL);
    x->line = (int)json_get_int(payload, "line", 0);
    x->after_ms = after_ms;
}

/* "high-latency.md:58: local cause = diagnose { ... }" */
static char *source_line(const char *name, struct str text, int line)
{
    struct buf b = BUF_INIT(4 * KIB);
    const char *p = text.p, *end = text.p + text.n, *eol = end;
    int i;

    for (i = 1; p < end && i < line; i++) {
        eol = memchr(p, '\n', (size_t)(end - p));
        p = eol ? eol + 1 : end;
    }
    if (line > 0 && p < end) {
        eol = memchr(p, '\n', (size_t)(end - p));
        eol = eol ? eol : end;
        while (p < eol && (*p == ' ' || *p == '\t'))
            p++;
        buf_addf(&b, "%s.md:%d: ", name, line);
        str_add_printable(&b, p, (size_t)(eol - p) > 200 ? 200 : (size_t)(eol - p));
    }
    return buf_take(&b, NULL);
}

static void add_sources(struct decisions *d, const char *name, struct str text)
{
    size_t i;

    for (i = 0; i < d->n; i++)
        d->list[i].source = source_line(name, text, d->list[i].line);
}

/* The recorded values for what the changed runbook declares; what it did not have then as if nobody had said anything. */
static int params_of(const struct runbook *book, const json_t *start, json_t **out, struct err *e)
{
    const json_t *recorded = json_object_get(start, "params"), *trigger = json_object_get(start, "trigger");
    size_t i;

    *out = json_object();
    for (i = 0; i < book->nparams; i++) {
        const struct param *p = &book->params[i];
        json_t *v = json_object_get(recorded, p->name), *one = NULL;
        char where[200];

        snprintf(where, sizeof(where), "parameter '%.100s' of the recorded run", p->name);
        if (v && !json_is_null(v) && param_check(p, v, where, e) < 0)
            return e->code;
        if (v)
            json_object_set(*out, p->name, v);
        else if (params_resolve(p, 1, NULL, 0, trigger, &one, e) < 0)
            return e->code;
        json_object_update(*out, one);
        json_decref(one);
    }
    return 0;
}

struct stage {
    struct host *host;
    struct writer *writer;
    struct registry *registry;
    struct answerer *answerer;
    struct people *people;
    struct engine *engine;
    struct run *run;
    struct record *record;
    struct bundle *bundle;              /* of the recorded run */
    const struct runbook *book;         /* the changed one; the run's */
    struct decisions *seen;
    int line;                           /* of the last row that knows one */
    int stopped_line;
};

static void on_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct stage *s = ctx;
    json_t *args = NULL, *payload = NULL;
    char *name = xstrndup(row->name.p, row->name.n);

    (void)r, (void)replayed;
    if (row->args.n)
        json_read(row->args, &args, NULL);
    if (row->payload.n)
        json_read(row->payload, &payload, NULL);
    take(s->seen, row->kind, name, args, payload, row->at - json_get_int(json_object_get(s->record->start, "run"), "started", 0));
    json_decref(args);
    json_decref(payload);
    free(name);
}

static void recorded_decisions(const struct record *rec, struct decisions *out)
{
    int64_t started = rec->rows[0].at;
    size_t i;

    for (i = 0; i < rec->n; i++)
        take(out, rec->rows[i].kind, rec->rows[i].name, rec->rows[i].args, rec->rows[i].payload, rec->rows[i].at - started);
}

static int stage_open(struct stage *s, struct journal *j, int64_t id, struct config *config, struct err *e)
{
    const json_t *run = json_object_get(s->record->start, "run");
    struct host_sim_options ho = {.wall_ms = json_get_int(run, "started", s->record->rows[0].at), .seed = 1,
                                  .real_files = true};
    struct registry_options ro = {.sealed = true, .config = config};
    struct engine_options eo = {.stop_when_settled = true, .config = config, .watch = {.row = on_row, .ctx = s}, .past = j,
                                .past_run = id};
    struct journal *memory;

    if (host_sim_new(&ho, &s->host, e) < 0 || journal_memory_open(NULL, &memory, e) < 0 ||
        writer_new(memory, false, NULL, NULL, &s->writer, e) < 0)
        return e->code;
    s->record->shift = ho.wall_ms - s->record->rows[0].at;
    ro.host = s->host;
    if (registry_new(&ro, &s->registry, e) < 0)
        return e->code;
    registry_pin(s->registry, s->bundle);
    eo.host = s->host;
    eo.writer = s->writer;
    eo.registry = s->registry;
    eo.answerer = s->answerer = answer_recorded_new(s->record, s->host);
    eo.people = s->people = people_recorded_new(s->record, s->host);
    return engine_new(&eo, &s->engine, e);
}

static void stage_close(struct stage *s)
{
    engine_free(s->engine);
    if (s->answerer)
        s->answerer->ops->free(s->answerer);
    if (s->people)
        s->people->ops->free(s->people);
    registry_free(s->registry);
    writer_free(s->writer);
    if (s->host)
        s->host->ops->free(s->host);
    record_free(s->record);
    bundle_free(s->bundle);
}

static int skip(struct backtest *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int skip(struct backtest *b, const char *fmt, ...)
{
    va_list ap;

    b->verdict = BACKTEST_SKIPPED;
    va_start(ap, fmt);
    vsnprintf(b->why, sizeof(b->why), fmt, ap);
    va_end(ap);
    return 0;
}

static int play(struct stage *s, struct source *source, const char *name, struct backtest *b, struct err *e)
{
    const json_t *start = s->record->start;
    struct run_request q = {.command = "backtest", .requester = json_get_string(start, "requester", ""), .as = start,
                            .trigger = json_object_get(start, "trigger"),
                            .seed = (uint64_t)json_get_int(start, "seed", 1) << 1};
    struct err missing = {0};
    int rc = source_load(source, name, &q.book, e);

    if (rc < 0)
        return rc;
    s->book = q.book;
    if (params_of(q.book, start, &q.params, &missing) < 0) {
        skip(b, "the changed runbook does not take its parameters: %.600s", missing.msg);
        book_free(q.book);
        s->book = NULL;
    } else {
        rc = engine_start(s->engine, &q, &s->run, e);
        if (rc == 0)
            rc = s->host->ops->run(s->host, engine_turn, s->engine, e);
        if (rc == 0 && engine_failure(s->engine)) {
            *e = *engine_failure(s->engine);
            rc = e->code;
        }
    }
    json_decref(q.params);
    return rc;
}

/* How many decisions the recorded run took by itself: a person may have ended it from outside. */
static size_t own_decisions(const struct record *rec, const struct decisions *d, const char **by_whom)
{
    const struct record_row *row;
    size_t i, n = 0;

    for (i = 0; i < rec->n; i++) {
        row = &rec->rows[i];
        if ((row->kind == ROW_ENDING && strcmp(json_get_string(row->args, "reason", ""), "cancelled_by") == 0) ||
            (row->kind == ROW_END && (json_object_get(row->payload, "released_by") ||
                                      strcmp(json_get_string(row->args, "reason", ""), "cancelled_by") == 0))) {
            *by_whom = json_get_string(row->args, "text", "a person");
            return n;
        }
        n += row->kind == ROW_CAUSE || row->kind == ROW_END ||
             (row->kind == ROW_INTENT && json_get_int(row->payload, "attempt", 1) == 1);
    }
    return d->n;
}

static void say_time(struct backtest *b, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        int64_t by = b->changed.list[i].after_ms - b->recorded.list[i].after_ms;

        if (b->recorded.list[i].kind == DECISION_CAUSE || (by <= BACKTEST_TOLERANCE_MS && by >= -BACKTEST_TOLERANCE_MS))
            continue;
        b->first = i;
        b->by_ms = by < 0 ? -by : by;
        b->verdict = by < 0 ? BACKTEST_EARLIER : BACKTEST_LATER;
        return;
    }
}

/* The effect that it wanted, and that could not even be planned on what was recorded. */
static void wanted_effect(struct stage *s, struct backtest *b)
{
    struct decision *x;

    if (s->record->stop != RECORD_OTHER_EFFECT || (b->changed.n && b->changed.list[b->changed.n - 1].kind == DECISION_EFFECT &&
                                                   b->changed.n > b->first))
        return;
    x = decide(&b->changed);
    x->kind = DECISION_EFFECT;
    x->text = xstrdup(s->record->why);
    x->line = run_line(s->run);
    x->after_ms = s->host->ops->wall_ms(s->host) - json_get_int(json_object_get(s->record->start, "run"), "started", 0);
}

static size_t first_difference(const struct backtest *b)
{
    size_t i, n = b->recorded.n < b->changed.n ? b->recorded.n : b->changed.n;

    for (i = 0; i < n && strcmp(b->recorded.list[i].text, b->changed.list[i].text) == 0; i++)
        continue;
    return i;
}

static void say_because(struct decision *d, const struct tested *t)
{
    struct buf text = BUF_INIT(64 * KIB);

    buf_addf(&text, "%s, because \"%s\" is %s", d->text, t->title, t->verdict);
    free(d->text);
    d->text = buf_take(&text, NULL);
    d->line = t->line;
}

/* A cause differs because a hypothesis does. */
static void explain_cause(struct backtest *b)
{
    size_t i, k;

    if (b->first >= b->recorded.n || b->first >= b->changed.n || b->recorded.list[b->first].kind != DECISION_CAUSE)
        return;
    for (i = 0; i < b->recorded.ntested; i++) {
        const struct tested *x = &b->recorded.tested[i], *y;

        for (k = 0; x->before == b->first && k < b->changed.ntested; k++) {
            y = &b->changed.tested[k];
            if (y->before != b->first || strcmp(x->title, y->title) != 0 || strcmp(x->verdict, y->verdict) == 0)
                continue;
            say_because(&b->recorded.list[b->first], x);
            say_because(&b->changed.list[b->first], y);
            return;
        }
    }
}

static void judge(struct stage *s, struct backtest *b)
{
    enum record_stop_kind stop = s->record->stop;
    const char *by_whom = NULL;
    size_t own = own_decisions(s->record, &b->recorded, &by_whom);

    if (stop == RECORD_REFUSED && b->changed.n && b->changed.list[b->changed.n - 1].kind == DECISION_EFFECT &&
        b->changed.n > first_difference(b)) {
        b->changed.n--;             /* it was refused then, so there is no such effect in the record */
        free(b->changed.list[b->changed.n].text);
    }
    b->first = first_difference(b);
    wanted_effect(s, b);
    if (stop == RECORD_REFUSED && b->first == b->changed.n) {
        b->verdict = BACKTEST_SAME;
        snprintf(b->why, sizeof(b->why), "up to the effect that policy refused then: %s", s->record->why);
    } else if (by_whom && b->first >= own && (stop == RECORD_BEYOND || b->first == b->changed.n)) {
        b->verdict = BACKTEST_SAME;
        snprintf(b->why, sizeof(b->why), "until it was ended from outside: %s", by_whom);
    } else if (stop == RECORD_BEYOND && b->first == b->changed.n) {
        b->verdict = BACKTEST_UNKNOWN;
        snprintf(b->why, sizeof(b->why), "%s", s->record->why);
    } else if (b->first < b->recorded.n || b->first < b->changed.n) {
        b->verdict = BACKTEST_DIFFERENT;
        explain_cause(b);
        if (stop == RECORD_OTHER_EFFECT || b->first < b->recorded.n)
            snprintf(b->why, sizeof(b->why), "what follows is no evidence: the recorded world did not see it");
    } else {
        b->verdict = BACKTEST_SAME;
    }
    if (b->verdict == BACKTEST_SAME)
        say_time(b, b->first);
}

/* The runbook that the recorded run was pinned to. */
static struct str recorded_text(const struct bundle *b)
{
    size_t i;

    for (i = 0; i < b->nfiles; i++) {
        size_t n = strlen(b->files[i].path);

        if (n > 3 && strcmp(b->files[i].path + n - 3, ".md") == 0)
            return b->files[i].text;
    }
    return STR("");
}

static int compare(struct stage *s, struct journal *j, struct source *source, const char *name, struct config *config,
                   struct backtest *b, struct err *e)
{
    int rc = stage_open(s, j, b->run, config, e);

    recorded_decisions(s->record, &b->recorded);
    if (rc == 0)
        rc = play(s, source, name ? name : b->runbook, b, e);
    if (rc < 0 || b->verdict == BACKTEST_SKIPPED)
        return rc;
    judge(s, b);
    add_sources(&b->recorded, b->runbook, recorded_text(s->bundle));
    add_sources(&b->changed, s->book->name, (struct str){s->book->text, s->book->text_len});
    if (s->record->stop == RECORD_BEYOND)
        b->where = source_line(s->book->name, (struct str){s->book->text, s->book->text_len}, run_line(s->run));
    return 0;
}

int backtest_run(struct journal *j, int64_t id, struct source *source, const char *name, struct config *config,
                 struct backtest *out, struct err *e)
{
    struct stage s = {.seen = &out->changed};
    struct run_info info = {0};
    int rc = j->ops->get_run(j, id, &info, e);

    *out = (struct backtest){.run = id, .at = info.created_at};
    snprintf(out->runbook, sizeof(out->runbook), "%s", info.runbook);
    if (rc < 0) {
        run_info_deinit(&info);
        return rc;
    }
    if (info.state != RUN_ENDED)
        rc = skip(out, "it has not ended");
    else if (strcmp(info.command, "run") != 0)
        rc = skip(out, "it is no run of a runbook but of: midwatch %s", info.command);
    else if (engine_recorded_bundle(j, info.bundle, &s.bundle, e) < 0)
        rc = e->code == ERR_INVALID ? skip(out, "%s", e->msg) : e->code;
    else if ((rc = record_load(j, id, &s.record, e)) == 0)
        rc = compare(&s, j, source, name, config, out, e);
    if (out->verdict == BACKTEST_SKIPPED && rc == 0)
        err_clear(e);
    run_info_deinit(&info);
    stage_close(&s);
    return rc;
}
