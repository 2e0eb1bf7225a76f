/* SPDX-License-Identifier: Apache-2.0 */
/* What midwatch doctor finds out: what is configured, reachable and permitted here,
 * without changing anything. */
#ifndef MIDWATCH_CHECK_DOCTOR_H
#define MIDWATCH_CHECK_DOCTOR_H

#include "config/config.h"
#include "plugin/plugin.h"

enum finding_level { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct doctor {
    struct host *host;
    struct config *config;
    struct registry *registry;
    const char *state_dir;
    /* One line of text; area is one word ("secret"). */
    void (*found)(void *ctx, enum finding_level level, const char *area, const char *text);
    void *ctx;
};

/* Everything, in the order of the file. Runs the host's loop. */
void doctor_check(struct doctor *d);

/* Its parts */
void doctor_secrets(struct doctor *d);
void doctor_instances(struct doctor *d);
void doctor_runbooks(struct doctor *d);
void doctor_state(struct doctor *d);
void doctor_machine(struct doctor *d);
/* Tells one finding, its secrets struck out and control bytes made visible. */
void doctor_found(struct doctor *d, enum finding_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Calls of bodies, made at once. */
struct doctor_call {
    struct doctor *doctor;
    struct body_call *call;
    json_t *answer;             /* NULL until it came; owned by whoever made the call */
    size_t *waiting;
};
/* Starts a call; doctor_wait runs them all. What cannot start is answered {"unknown":"error","why":..} at once. */
void doctor_ask(struct doctor *d, struct doctor_call *c, const struct body_request *q, size_t *waiting);
void doctor_wait(struct doctor *d, const size_t *waiting);

#endif
