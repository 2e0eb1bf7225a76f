/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/message.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 2
#define AGAIN_AFTER_MS 2000

struct message {
    struct host *host;
    struct question *q;
    const struct channel *channel;  /* NULL = the terminal, which shows the row itself */
    struct host_op *op;
    struct buf text;
    char key[64];
    int tries;
};

static void done(struct message *m, const char *why)
{
    struct question *q = m->q;
    struct buf answer = BUF_INIT(4 * KIB);
    struct json_object o;

    json_open(&o, &answer);
    if (why)
        json_put_string(&o, "why", str_of(why));
    else
        json_put_bool(&o, "sent", true);
    json_close(&o);
    buf_free(&m->text);
    free(m);
    q->in_flight = NULL;
    q->done(q->ctx, (struct str){answer.data, answer.len});
    buf_free(&answer);
}

static void attempt(void *ctx);

static void failed(struct message *m, const char *why)
{
    struct err e = {0};

    if (m->tries >= TRIES || m->host->ops->timer(m->host, AGAIN_AFTER_MS, attempt, m, &m->op, &e) < 0)
        done(m, why);
}

static void ended(void *ctx, const struct spawn_answer *a)
{
    struct message *m = ctx;
    char why[1024];

    m->op = NULL;
    if (!a->err && a->exit_code == 0) {
        done(m, NULL);
        return;
    }
    if (a->err)
        snprintf(why, sizeof(why), "%s", a->err->msg);
    else if (a->timed_out)
        snprintf(why, sizeof(why), "%s took longer than it may", m->channel->argv[0]);
    else
        snprintf(why, sizeof(why), "%s: exit %d: %.*s", m->channel->argv[0], a->exit_code,
                 (int)(a->errout.n > 200 ? 200 : a->errout.n), a->errout.n ? a->errout.p : "");
    failed(m, why);
}

static void attempt(void *ctx)
{
    struct message *m = ctx;
    const char *env[] = {m->key, NULL};
    struct err e = {0};

    m->op = NULL;
    m->tries++;
    if (!m->channel) {
        done(m, NULL);
        return;
    }
    if (m->host->ops->spawn(m->host, &(struct spawn_request){
            .argv = (const char *const *)m->channel->argv, .more_env = env, .timeout_ms = m->channel->timeout_ms,
            .input = {m->text.data, m->text.len}}, ended, m, &m->op, &e) < 0)
        failed(m, e.msg);
}

int message_send(struct host *h, const struct config *c, struct question *q, struct err *e)
{
    const struct channel *channel = str_is(q->name, "terminal") ? NULL : config_channel(c, q->name, e);
    json_t *args = NULL, *extra = NULL;
    struct message *m;

    if (!channel && !str_is(q->name, "terminal"))
        return e->code;
    if (json_read(q->args, &args, e) < 0 || json_read(q->extra, &extra, e) < 0) {
        json_decref(args);
        return e->code;
    }
    m = xcalloc(1, sizeof(*m));
    m->host = h;
    m->q = q;
    m->channel = channel;
    buf_init(&m->text, VALUE_BYTES_MAX);
    buf_adds(&m->text, json_get_string(args, "text", ""));
    snprintf(m->key, sizeof(m->key), "MIDWATCH_KEY=%s", json_get_string(extra, "key", ""));
    json_decref(args);
    json_decref(extra);
    if (h->ops->timer(h, 0, attempt, m, &m->op, e) < 0) {
        buf_free(&m->text);
        free(m);
        return e->code;
    }
    q->in_flight = m;
    return 0;
}

void message_cancel(struct message *m)
{
    if (m->op)
        m->host->ops->cancel(m->host, m->op);
    buf_free(&m->text);
    free(m);
}
