/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, its secrets, its instances: what they say of themselves. */
#include "check/doctor.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBE_TIMEOUT_MS 10000

void doctor_found(struct doctor *d, enum finding_level level, const char *area, const char *fmt, ...)
{
    struct buf raw = BUF_INIT(8 * KIB), clean = BUF_INIT(8 * KIB), line = BUF_INIT(32 * KIB);
    va_list ap;

    va_start(ap, fmt);
    buf_addv(&raw, fmt, ap);
    va_end(ap);
    log_redact(&clean, (struct str){buf_text(&raw), raw.len});
    str_add_printable(&line, buf_text(&clean), clean.len);
    d->found(d->ctx, level, area, buf_text(&line));
    buf_free(&raw);
    buf_free(&clean);
    buf_free(&line);
}

/* Calls of bodies */

static void on_answer(void *ctx, struct str answer)
{
    struct doctor_call *c = ctx;
    struct err e = {0};

    if (json_read(answer, &c->answer, &e) < 0)
        c->answer = json_pack("{s:s s:s}", "unknown", "error", "why", e.msg);
    (*c->waiting)--;
    c->doctor->host->ops->wake(c->doctor->host);
}

void doctor_ask(struct doctor *d, struct doctor_call *c, const struct body_request *q, size_t *waiting)
{
    struct err e = {0};

    *c = (struct doctor_call){.doctor = d, .waiting = waiting};
    if (body_start(d->registry, q, on_answer, c, &c->call, &e) < 0)
        c->answer = json_pack("{s:s s:s}", "unknown", "error", "why", e.msg);
    else
        (*waiting)++;
}

struct wait {
    struct doctor *d;
    const size_t *waiting;
};

static bool turn(void *ctx)
{
    struct wait *w = ctx;
    bool more = registry_turn(w->d->registry);

    if (*w->waiting == 0)
        w->d->host->ops->stop(w->d->host);
    return more;
}

void doctor_wait(struct doctor *d, const size_t *waiting)
{
    struct wait w = {d, waiting};
    struct err e = {0};

    if (*waiting > 0 && d->host->ops->run(d->host, turn, &w, &e) < 0)
        doctor_found(d, FINDING_FAIL, "doctor", "the loop ended: %s", e.msg);
}

/* The configuration */

static void check_config(struct doctor *d)
{
    static const char *const how[] = {"", "named by --config", "named by $MIDWATCH_CONFIG", "in the working directory",
                                      "the user's", "the system's"};
    const struct config *c = d->config;

    if (!c->file) {
        doctor_found(d, FINDING_WARN, "config", "no midwatch.yaml: not here, not the user's, not in /etc/midwatch; only what "
                     "needs none can be used (shell, kubernetes by kubeconfig, prometheus by $PROMETHEUS_URL)");
        return;
    }
    doctor_found(d, FINDING_OK, "config", "%s (%s): %zu instance%s, %zu command%s, %zu secret%s, %zu route%s", c->file,
                 how[c->found], c->ninstances, c->ninstances == 1 ? "" : "s", json_object_size(c->commands),
                 json_object_size(c->commands) == 1 ? "" : "s", c->nsecrets, c->nsecrets == 1 ? "" : "s", c->nroutes,
                 c->nroutes == 1 ? "" : "s");
    if (c->plugin_dir)
        doctor_found(d, d->host->ops->exists(d->host, c->plugin_dir) ? FINDING_OK : FINDING_FAIL, "config", "plugins: %s%s",
                     c->plugin_dir, d->host->ops->exists(d->host, c->plugin_dir) ? "" : " is not there");
    if (!c->has_allow)
        doctor_found(d, FINDING_OK, "config", "no allow: run permits what the may of a runbook says, a server nothing");
    else
        doctor_found(d, FINDING_OK, "config", "allow: %zu entr%s; what they do not name is refused", c->nallow,
                     c->nallow == 1 ? "y" : "ies");
}

/* Secrets */

struct secret_run {
    struct doctor *d;
    const struct secret_source *s;
    size_t *waiting;
};

static void secret_verdict(struct doctor *d, const struct secret_source *s, struct buf *value, const struct err *e)
{
    struct buf who = BUF_INIT(4 * KIB);
    char where[4200];
    size_t i;

    for (i = 0; s->origins && s->origins[i]; i++)
        buf_addf(&who, "%s%s", who.len ? ", " : "", s->origins[i]);
    for (i = 0; s->programs && s->programs[i]; i++)
        buf_addf(&who, "%s%s", who.len ? ", " : "", s->programs[i]);
    secret_where(s, where, sizeof(where));
    if (e->code)
        doctor_found(d, FINDING_FAIL, "secret", "%s from %s: %s", s->name, where, e->msg);
    else
        doctor_found(d, FINDING_OK, "secret", "%s from %s, %zu bytes, for %s", s->name, where, value->len, buf_text(&who));
    if (value->data)
        explicit_bzero(value->data, value->cap);
    buf_free(value);
    buf_free(&who);
}

static void on_command(void *ctx, const struct spawn_answer *a)
{
    struct secret_run *x = ctx;
    struct buf value = BUF_INIT(2 * SECRET_BYTES_MAX);
    struct err e = {0};

    if (a->err) {
        e = *a->err;
    } else if (a->timed_out || a->signal || a->exit_code != 0) {
        err_set(&e, ERR_IO, a->timed_out ? "it took longer than it may" : "it ended with %s %d: %.*s",
                a->signal ? "signal" : "exit", a->signal ? a->signal : a->exit_code,
                (int)(a->errout.n < 200 ? strcspn(a->errout.p, "\n") : 200), a->errout.p);
    } else {
        buf_add(&value, a->out.p, a->out.n);
        secret_check(x->s->name, &value, &e);
    }
    secret_verdict(x->d, x->s, &value, &e);
    (*x->waiting)--;
    x->d->host->ops->wake(x->d->host);
}

static void check_command(struct secret_run *x)
{
    struct spawn_request q = {.argv = (const char *const *)x->s->argv, .timeout_ms = x->s->timeout_ms,
                              .more_env = (const char *const *)x->s->env, .max_output = 2 * SECRET_BYTES_MAX};
    struct buf none = BUF_INIT(1);
    struct host_op *op;
    struct err e = {0};

    if (x->d->host->ops->spawn(x->d->host, &q, on_command, x, &op, &e) < 0)
        secret_verdict(x->d, x->s, &none, &e);
    else
        (*x->waiting)++;
}

void doctor_secrets(struct doctor *d)
{
    struct secret_run *runs = xcalloc(d->config->nsecrets + 1, sizeof(*runs));
    size_t i, waiting = 0;

    for (i = 0; i < d->config->nsecrets; i++) {
        const struct secret_source *s = &d->config->secrets[i];
        struct buf value = BUF_INIT(2 * SECRET_BYTES_MAX);
        struct secret_stamp stamp;
        struct err e = {0};

        runs[i] = (struct secret_run){d, s, &waiting};
        if (s->from == SECRET_COMMAND) {
            check_command(&runs[i]);
        } else {
            secret_read(s, &value, &stamp, &e);
            secret_verdict(d, s, &value, &e);
        }
    }
    doctor_wait(d, &waiting);
    free(runs);
}

/* Instances */

static void probe_verdict(struct doctor *d, const struct instance *x, const json_t *a)
{
    const char *text = json_get_string(a, "value", NULL);

    if (text)
        doctor_found(d, FINDING_OK, "instance", "%s (%s): %s", x->name, x->plugin, text);
    else
        doctor_found(d, FINDING_FAIL, "instance", "%s (%s): %s", x->name, x->plugin, json_get_string(a, "why", "no answer"));
}

void doctor_instances(struct doctor *d)
{
    size_t i, waiting = 0, n;
    struct doctor_call *calls;

    /* Those that need no configuration, where the environment has them. */
    if (!d->config->file) {
        config_instance(d->config, "kubernetes");
        config_instance(d->config, "prometheus");
    }
    n = d->config->ninstances;
    calls = xcalloc(n + 1, sizeof(*calls));
    for (i = 0; i < n; i++) {
        const struct instance *x = &d->config->instances[i];
        const json_t *declared;
        struct err e = {0};
        char text[1400];

        if (registry_describe(d->registry, x->name, NULL, &declared, &e) < 0)
            doctor_found(d, FINDING_FAIL, "instance", "%s (%s): %s", x->name, x->plugin, err_text(&e, text, sizeof(text)));
        else if (!json_get_bool(declared, "has_probe", false))
            doctor_found(d, FINDING_OK, "instance", "%s (%s): loaded; the plugin has no probe", x->name, x->plugin);
        else
            doctor_ask(d, &calls[i], &(struct body_request){.kind = BODY_PROBE, .instance = x->name, .verb = "probe",
                                                            .timeout_ms = PROBE_TIMEOUT_MS}, &waiting);
    }
    doctor_wait(d, &waiting);
    for (i = 0; i < n; i++) {
        if (calls[i].answer)
            probe_verdict(d, &d->config->instances[i], calls[i].answer);
        json_decref(calls[i].answer);
    }
    free(calls);
}

void doctor_check(struct doctor *d)
{
    check_config(d);
    doctor_secrets(d);
    doctor_instances(d);
    doctor_runbooks(d);
    doctor_state(d);
    doctor_machine(d);
}
