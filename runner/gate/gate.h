/* SPDX-License-Identifier: Apache-2.0 */
/* The gate is where reads, effects and waits leave Lua, and answerers are what
 * stands behind it: the journal first (run/replay feeds recorded rows), then one of
 * `live` (plugin bodies) and `script` (a scenario). A question is one contact with
 * the world; an answerer answers it once, never before ask() has returned.
 *
 * Loop thread only. */
#ifndef MIDWATCH_GATE_GATE_H
#define MIDWATCH_GATE_GATE_H

#include "base/crypto.h"
#include "base/err.h"
#include "plugin/plugin.h"

#include <jansson.h>

enum question_kind { ASK_READ, ASK_STATE, ASK_CHECK, ASK_APPLY, ASK_NOTIFY };

struct question {
    enum question_kind kind;
    struct registry *registry;  /* with the plugins that are meant; NULL = the answerer's own */
    int64_t run;                /* who asks */
    struct str label;           /* the read's name in its group, or "" */
    struct str name;            /* "kubernetes.rollback": alias.verb */
    struct str instance;
    struct str args;            /* canonical JSON object of the plugin's arguments */
    struct str text;            /* as printed, for scenarios: "kubernetes.replicas(deployment/prod/api)" */
    struct hash args_hash;
    struct str target;          /* of an effect, without instance */
    struct str extra;           /* APPLY, CHECK: {"from","key","to"}; NOTIFY: {"key"} */
    int64_t timeout_ms;
    /* Shape of the answers: plugin/plugin.h, body_fn. A state or apply answer with "assumed":true
     * stands for one that nobody looked at (script). */
    void (*done)(void *ctx, struct str answer);
    void *ctx;
    void *in_flight;            /* the answerer's own, while it works on it */
};

struct answerer;
struct answerer_ops {
    const char *name;
    bool answers_checks;    /* ASK_CHECK is answered for every effect, not only for those with a check of their own */
    /* Everything in q is borrowed until done or cancel; q itself must stay where it is. */
    int (*ask)(struct answerer *a, struct question *q, struct err *e);
    void (*cancel)(struct answerer *a, struct question *q);
    /* Why policy refuses the effect now that it is to be sent, or NULL: only a scenario says so, and says it once. NULL = it
     * never does. */
    const char *(*refuses)(struct answerer *a, struct str effect, bool is_undo);
    void (*free)(struct answerer *a);
};
struct answerer {
    const struct answerer_ops *ops;
};

/* Asks plugin bodies. Borrows the registry. */
struct answerer *answer_live_new(struct registry *r);

/* Answers from a scenario (DESIGN section 4): given, after, effects, state. Errors of the scenario (a read nobody
 * listed, an answer that its plugin could not give) come as unknown "error" and are kept for
 * answer_script_complaint. Copies the scenario; borrows the registry. */
struct answerer *answer_script_new(const json_t *scenario, struct host *host, struct registry *r);
/* What the scenario lacks, with the line to add, or what is wrong in it; NULL if nothing. `path`: where in the scenario
 * (yaml_at), or "". Borrowed. */
const struct err *answer_script_complaint(const struct answerer *a, const char **path);

/* Last part of "alias.verb", and its alias. */
struct str gate_verb(struct str name);
struct str gate_alias(struct str name);

#endif
