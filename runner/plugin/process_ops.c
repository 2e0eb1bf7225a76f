/* SPDX-License-Identifier: Apache-2.0 */
/* A process as a body: what registry and calls want of it. */
#include "plugin/process.h"

#include "base/json.h"
#include "plugin/declaration.h"
#include "plugin/secret.h"

#include <stdlib.h>

static int process_start(struct body_call *c, const struct body_request *q, struct err *e)
{
    struct process *p;
    int rc = 0;

    if (c->kind == BODY_PERMITTED || c->kind == BODY_PREFLIGHT)
        return err_set(e, ERR_DENIED, "plugin %s cannot tell what is permitted", c->body->plugin);
    /* What a program does in a read nobody can police: it is its word, or it is not asked. */
    if (c->body->registry->o.reads_only && c->kind != BODY_PROBE && !json_get_bool(c->body->declared, "plan", false))
        return err_set(e, ERR_DENIED, "plugin %s does not say that a plan may ask it", c->body->plugin);
    for (p = c->body->processes; p && (p->draining || p->broken[0] || p->ended[0]); p = p->next)
        ;
    if (!p)
        rc = process_begin(c->body, &p, e);
    if (rc < 0)
        return rc;
    c->verb = xstrdup(q->verb);
    c->id = p->next_id++;
    buf_init(&c->line, PROCESS_LINE_MAX);
    rc = process_request(c, q, c->id, &c->line, e);
    if (rc < 0) {
        buf_free(&c->line);
        free(c->verb);
        return rc;
    }
    c->process = p;
    p->ncalls++;
    if (p->stage == READY)
        process_send(p, c);
    return 0;
}

static void process_drop(struct body_call *c)
{
    struct process *p = c->process;

    if (p) {
        p->ncalls--;
        p->draining |= c->timed_out;
        if (c->sent && p->nforgotten < FORGOTTEN_MAX)
            p->forgotten[p->nforgotten++] = c->id;
        else
            p->draining |= c->sent;
    }
    buf_free(&c->line);
    free(c->verb);
}

static int process_load(struct body *b, struct err *e)
{
    int rc = json_read(b->sources[0].text, &b->declared, e);

    if (rc == 0)
        rc = declaration_of_process(b->declared, b->plugin, e);
    if (rc < 0 || !b->config)
        return rc;
    if (declaration_settings(b->declared, b->config->settings, b->setting, e) < 0 || secret_check_settings(b, e) < 0)
        return body_at_instance(b, e);
    return 0;
}

static int process_want(struct body *b, const char *verb, struct str args, struct str state, struct str history,
                        struct buf *out, struct err *e)
{
    const json_t *effect = json_object_get(json_object_get(b->declared, "effects"), verb);
    json_t *a = NULL, *s = NULL, *to = NULL;
    int rc = effect ? json_read(args, &a, e) : err_set(e, ERR_INVALID, "plugin %s has no effect '%s'", b->plugin, verb);

    (void)history;
    if (rc == 0 && state.n)
        rc = json_read(state, &s, e);
    if (rc == 0)
        rc = declaration_want(effect, a, s, &to, e);
    if (rc == 0)
        json_add_value(out, to);
    json_decref(to);
    json_decref(s);
    json_decref(a);
    return rc;
}

static void process_free_all(struct body *b)
{
    while (b->processes)
        process_free(b->processes);
}

const struct body_ops process_ops = {.load = process_load, .want = process_want, .start = process_start,
                                     .drop = process_drop, .turn = process_turn, .free = process_free_all};
