/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch plan: the code of a runbook with what can be looked at now, up to the changes that it would make, and all ways on
 * from there. Nothing is sent and nothing is written: bodies of a registry that is reads_only answer reads, `state` and the
 * target's own checks; what an effect may have changed is a symbol (check/explore.h). */
#ifndef MIDWATCH_CHECK_PLAN_H
#define MIDWATCH_CHECK_PLAN_H

#include "base/buf.h"
#include "base/err.h"
#include "book/book.h"
#include "config/config.h"
#include "journal/journal.h"
#include "plugin/plugin.h"

#include <jansson.h>

struct plan_request {           /* borrowed */
    struct runbook *book;
    struct registry *registry;  /* reads_only */
    struct config *config;
    struct host *host;
    struct journal *journal;    /* read-only, for locks, cooldowns, halt and history; NULL = there is none */
    const char *state_dir;      /* of the halt file */
    const json_t *params;       /* resolved */
    const json_t *trigger;      /* NULL = command line */
    const char *requester;
};

/* *plan is owned; the map of explore.h without its paths, and
 *   { bundle, commit, dirty, plan_id, params, exit,
 *     reads: [{ label, name, instance, text, line, unit, value } | { .., unknown, why }], in the order of looking,
 *     decisions: [{ file, line, text, yes }], comparisons that the code made while everything was known,
 *     effects: [{ effect, instance, target, args, class, undo, from, to, already, later, line, title, temporary_s,
 *                 refused | unknown, why,      policy, or the target itself, says no | it is an UNKNOWN EFFECT
 *                 later: planned behind a change or a wait, `from` is what is there now with earlier changes of that target,
 *                 needs_approval, permitted, preflight, denied_by, denied_why }],
 *     remedies: { title: { within_s, verify: [{ text, line }], approval: { by, of, within, text, why } } } }
 * ERR_INVALID: the code or what it uses is wrong. */
int plan_make(const struct plan_request *q, json_t **plan, struct err *e);

/* As people read it. */
void plan_text(const json_t *plan, const struct runbook *book, struct buf *out);

/* What a run by this plan keeps of it: { bundle, plan_id, effects: [{effect, target, to}], ends: [[outcome, reason]] }; `to` is
 * missing where it was not known. `text` is what plan -o json printed; ERR_INVALID: it is not, or of another runbook. Owned. */
int plan_expected(struct str text, const struct runbook *book, json_t **out, struct err *e);

/* 0; the exit code that the run would have now, where it would end on every way before it changes anything; strict: 6 if an
 * effect is unknown or something was not explored. */
int plan_exit_code(const json_t *plan, bool strict);

#endif
