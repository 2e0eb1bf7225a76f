/* SPDX-License-Identifier: Apache-2.0 */
/* plugin describe: the declaration, from the process itself. */
#include "check/plugin_test.h"

#include "base/json.h"
#include "base/limits.h"
#include "check/plugin_bench.h"
#include "plugin/declaration.h"

#include <stdio.h>
#include <stdlib.h>

struct described {
    struct host *host;
    struct buf out;
    struct err e;
    bool over;
};

static void on_described(void *ctx, const struct spawn_answer *a)
{
    struct described *d = ctx;
    const char *end = memchr(a->out.p, '\n', a->out.n);

    d->over = true;
    if (a->err)
        d->e = *a->err;
    else if (!end)
        err_set(&d->e, ERR_INVALID, "it answered no line to describe: %.*s", (int)(a->errout.n < 200 ? a->errout.n : 200),
                a->errout.p);
    else
        buf_add(&d->out, a->out.p, (size_t)(end - a->out.p));
}

static bool described_turn(void *ctx)
{
    struct described *d = ctx;

    if (d->over)
        d->host->ops->stop(d->host);
    return false;
}

/* Asks the program itself, which then reads the end of its input and goes. */
static int describe_process(const char *program, struct buf *answer, struct err *e)
{
    const char *const argv[] = {program, NULL};
    struct spawn_request q = {.argv = argv, .cwd = "/", .input = STR("{\"abi\":1,\"call\":\"describe\",\"id\":1}\n"),
                              .timeout_ms = BENCH_CALL_MS};
    struct described d = {.out = BUF_INIT(MODULE_BYTES_MAX)};
    struct host_op *op;
    int rc = host_real_new(&d.host, e);

    if (rc == 0)
        rc = d.host->ops->spawn(d.host, &q, on_described, &d, &op, e);
    if (rc == 0)
        rc = d.host->ops->run(d.host, described_turn, &d, e);
    if (rc == 0 && d.e.code) {
        *e = d.e;
        rc = e->code;
    }
    if (rc == 0)
        buf_add(answer, d.out.data, d.out.len);
    buf_free(&d.out);
    if (d.host)
        d.host->ops->free(d.host);
    return rc;
}

int plugin_describe(const char *path, struct buf *out, struct err *e)
{
    struct buf line = BUF_INIT(MODULE_BYTES_MAX);
    json_t *said = NULL, *checked = NULL;
    struct plugin_place at;
    char program[4300], *text = NULL;
    int rc = plugin_place_of(path, &at, e);

    if (rc < 0)
        return rc;
    snprintf(program, sizeof(program), "%s/%s", at.dir, at.name);
    rc = describe_process(program, &line, e);
    if (rc == 0)
        rc = json_read((struct str){line.data, line.len}, &said, e);
    if (rc == 0) {
        checked = json_deep_copy(json_object_get(said, "value"));
        rc = declaration_of_process(checked, at.name, e);
    }
    if (rc == 0) {
        text = json_dumps(json_object_get(said, "value"), JSON_INDENT(2));
        buf_adds(out, text);
        buf_addc(out, '\n');
    }
    free(text);
    json_decref(checked);
    json_decref(said);
    buf_free(&line);
    return rc;
}
