/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to people and what they approved. Only files of run/ include this. */
#ifndef MIDWATCH_RUN_ASK_H
#define MIDWATCH_RUN_ASK_H

#include "gate/people.h"
#include "run/run.h"

int ask_begin(struct call *c, struct err *e);
void ask_live(struct call *c);
int ask_row(struct call *c, struct part *p, const struct row *row, struct err *e);
void ask_drop(struct call *c);
int64_t ask_wakes(const struct call *c);

#define VOTES_MAX 16

/* How many people must say yes. */
size_t ask_votes_needed(const json_t *args);
/* Why a word does not count for the question `args` (of an ASK row), or NULL. voters: who said yes before. */
const char *ask_refuses(const json_t *args, const char *requester, char *const *voters, size_t votes, const struct reply *w);
/* Adds what the operator demands, which the payload of the ASK row says, to its args. */
void ask_operator_rules(json_t *args, struct str payload);
/* How many intents an answer is good for; -1 = any number, 0 = it is no approval. */
int64_t ask_good_for(const json_t *args, const char *answer);
/* The payload of an ANSWER row. more: other people must agree, too. */
void ask_answer_payload(const json_t *args, const char *requester, const struct reply *w, bool more, struct buf *out);

/* The effects of an approval { target, from, to }, each good for one intent. */
struct approval {
    char path[80];
    json_t *effects;
    struct approval *next;
};
void approval_add(struct run *r, const char *path, const json_t *effects);
void approval_free_all(struct run *r);
/* True if people approved this very effect under the call at `path`, and it was not sent yet. */
bool approval_covers(struct run *r, const char *path, const char *target, const json_t *from, const json_t *to);
/* It is being sent. */
void approval_use(struct run *r, const char *path, const char *target, const json_t *from, const json_t *to);

#endif
