/* SPDX-License-Identifier: Apache-2.0 */
/* One run on the simulated host, whose world and whose life belong to the parent
 * (crash.py): every host call and every journal step is a line on the descriptor named by CRASH_FD, and
 * the child goes on only when the parent answers. The parent kills it wherever it
 * likes; the journal file and the world stay.
 *
 * child STATE CONFIG RUNBOOK WALL_MS [RUN]     RUN: resume it; CRASH_CANCEL: and cancel it; CRASH_PARAMS: "name=value ...";
 * CRASH_UNDO: undo it, once it has ended */
#include "run/engine.h"

#include "base/json.h"
#include "base/limits.h"
#include "book/source.h"
#include "io/host_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static FILE *from_parent, *to_parent;

/* One line to the parent, one line back into `reply`. A parent that is gone ends us. */
static void exchange(const struct buf *line, struct buf *reply)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t n;

    fwrite(line->data, 1, line->len, to_parent);
    fputc('\n', to_parent);
    fflush(to_parent);
    n = getline(&text, &size, from_parent);
    if (n <= 0)
        _exit(99);
    buf_reset(reply);
    buf_add(reply, text, (size_t)n);
    free(text);
}

static void say(const char *key, struct str value)
{
    struct buf line = BUF_INIT(KIB), reply = BUF_INIT(MIB);
    struct json_object o;

    json_open(&o, &line);
    json_put_string(&o, key, value);
    json_close(&o);
    exchange(&line, &reply);
    buf_free(&line);
    buf_free(&reply);
}

static int host_point(void *ctx, const char *call)
{
    (void)ctx;
    say("point", str_of(call));
    return 0;
}

static int journal_point(void *ctx, const char *step)
{
    char text[64];

    (void)ctx;
    snprintf(text, sizeof(text), "journal %s", step);
    say("point", str_of(text));
    return 0;
}

static void tick(void *ctx, int64_t wall_ms)
{
    char text[32];

    (void)ctx;
    snprintf(text, sizeof(text), "%lld", (long long)wall_ms);
    say("tick", str_of(text));
}

static const char *const methods[] = {
    [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

static int http(void *ctx, const struct http_request *r, struct buf *body, int64_t *delay_ms)
{
    struct buf line = BUF_INIT(4 * MIB), reply = BUF_INIT(32 * MIB);
    json_t *headers = json_object(), *message, *answer = NULL;
    struct err e = {0};
    int status = 0;
    size_t i;

    (void)ctx;
    for (i = 0; i < r->nheaders; i++)
        json_object_set_new(headers, r->headers[i].name, json_string(r->headers[i].value));
    message = json_pack("{s:{s:s s:s s:o s:s%}}", "http", "method", methods[r->method], "url", r->url, "headers", headers,
                        "body", r->body.n ? r->body.p : "", r->body.n);
    json_add_value(&line, message);
    json_decref(message);
    exchange(&line, &reply);
    if (json_read((struct str){reply.data, reply.len}, &answer, &e) == 0 && json_get_int(answer, "status", 0) > 0) {
        status = (int)json_get_int(answer, "status", 0);
        buf_adds(body, json_get_string(answer, "body", ""));
    }
    *delay_ms = answer ? json_get_int(answer, "delay_ms", 20) : 20;
    json_decref(answer);
    buf_free(&line);
    buf_free(&reply);
    return status;
}

static int fail(const struct err *e)
{
    char text[1400];

    fprintf(stderr, "child: %s\n", err_text(e, text, sizeof(text)));
    return 1;
}

static void report(const struct run *r)
{
    char hex[65];
    struct hash h = run_chain(r);

    struct buf out = BUF_INIT(64 * KIB);
    struct json_object o;

    json_open(&o, &out);
    json_put_string(&o, "chain", str_of(hash_hex(&h, hex)));
    json_put_string(&o, "outcome", str_of(run_outcome(r)));
    json_put_string(&o, "reason", str_of(run_reason(r)));
    json_put_int(&o, "rows", (int64_t)run_rows(r));
    json_put_int(&o, "run", run_id(r));
    json_put_string(&o, "state", str_of(run_state_name(run_state_of(r))));
    json_put_string(&o, "text", str_of(run_text(r)));
    json_put_int(&o, "unknown", (int64_t)run_unknown_effects(r));
    json_close(&o);
    puts(buf_text(&out));
    buf_free(&out);
}

static int start(struct engine *n, const char *file, struct run **r, struct err *e)
{
    struct run_request q = {.command = "run", .requester = "crash test", .seed = 1};
    char *given = xstrdup(getenv("CRASH_PARAMS") ? getenv("CRASH_PARAMS") : ""), *rest = given;
    const char *pairs[16], *pair;
    json_t *params = NULL;
    size_t npairs = 0;
    int rc = source_load(NULL, file, &q.book, e);

    while (npairs < 16 && (pair = strsep(&rest, " ")) != NULL) {
        if (*pair)
            pairs[npairs++] = pair;
    }
    if (rc == 0)
        rc = params_resolve(q.book->params, q.book->nparams, pairs, npairs, NULL, &params, e);
    free(given);
    q.params = params;
    if (rc == 0)
        rc = engine_start(n, &q, r, e);
    json_decref(params);
    return rc;
}

int main(int argc, char **argv)
{
    struct journal_options jo = {.point = journal_point};
    struct host_sim_options ho = {.seed = 7, .http = http, .point = host_point, .tick = tick, .real_files = true};
    struct engine_options eo = {.stop_when_settled = true, .chains = true};
    struct registry_options ro = {0};
    struct config *config = NULL;
    struct journal *journal;
    struct engine *engine;
    struct err e = {0};
    json_t *yes;
    struct run *r;
    int fd;

    if (argc < 5)
        return 2;
    fd = (int)strtol(getenv("CRASH_FD") ? getenv("CRASH_FD") : "3", NULL, 10);
    from_parent = fdopen(fd, "r");
    to_parent = fdopen(dup(fd), "w");
    ho.wall_ms = strtoll(argv[4], NULL, 10);
    if (!from_parent || !to_parent || host_sim_new(&ho, &eo.host, &e) < 0 || config_load(argv[2], &config, &e) < 0 ||
        journal_sqlite_open(argv[1], "crash test", &jo, &journal, &e) < 0 ||
        writer_new(journal, false, NULL, NULL, &eo.writer, &e) < 0)
        return fail(&e);
    ro = (struct registry_options){.host = eo.host, .config = config};
    if (registry_new(&ro, &eo.registry, &e) < 0)
        return fail(&e);
    eo.config = config;
    if (getenv("CRASH_YES")) {      /* somebody approves everything */
        yes = json_pack("{s:{s:{s:s}}}", "people", "approve", "say", "yes");
        eo.people = people_script_new(yes, eo.host);
        json_decref(yes);
    }
    eo.answerer = answer_live_new(eo.registry);
    eo.state_dir = argv[1];
    if (engine_new(&eo, &engine, &e) < 0 ||
        (argc > 5 && getenv("CRASH_UNDO")
             ? engine_undo(engine, strtoll(argv[5], NULL, 10), "crash test", &r, &e)
         : argc > 5 ? engine_resume(engine, strtoll(argv[5], NULL, 10), "crash test", &r, &e)
                  : start(engine, argv[3], &r, &e)) < 0)
        return fail(&e);
    if (getenv("CRASH_CANCEL"))
        engine_cancel(engine, getenv("CRASH_CANCEL"));
    if (eo.host->ops->run(eo.host, engine_turn, engine, &e) < 0)
        return fail(&e);
    if (engine_failure(engine))
        return fail(engine_failure(engine));
    report(r);
    engine_free(engine);
    if (eo.people)
        eo.people->ops->free(eo.people);
    eo.answerer->ops->free(eo.answerer);
    registry_free(eo.registry);
    writer_free(eo.writer);
    config_free(config);
    eo.host->ops->free(eo.host);
    return 0;
}
