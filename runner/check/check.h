/* SPDX-License-Identifier: Apache-2.0 */
/* What can be known of a runbook without touching anything: lint, and its scenarios
 * over virtual time. */
#ifndef MIDWATCH_CHECK_CHECK_H
#define MIDWATCH_CHECK_CHECK_H

#include "book/source.h"
#include "config/config.h"
#include "journal/audit.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/yaml.h"

#include <jansson.h>

struct cover;
struct fault_plan;
struct registry;
struct run_request;

/* What helps where a verb is missing because nothing is configured; lua/face_call.lua and lua/lint.lua say the same. */
#define DECLARES_NOTHING                                                                                     \
    "its instance declares nothing: midwatch.yaml does, or --config FILE; for the shipped runbooks: --config " \
    "runbooks/midwatch.example.yaml"

/* `source` NULL: the working tree. Appends what is wrong with a runbook and its modules to a list, as {file, line,
 * column, rule, why, mend}, and to notes what is worth saying and not wrong, as lines. */
void lint_runbook(struct source *source, const char *name, struct config *config, json_t *findings, struct buf *notes);
/* "file:line:column: why (mend)\n" */
void lint_text(const json_t *finding, struct buf *out);

struct scenario_result {
    char name[256];
    bool passed;
    char chain[65];             /* over all rows: equal runs have equal chains */
    char outcome[24], reason[40];
    struct buf why;             /* what differs, or what the scenario lacks; scenario_result_deinit */
    json_t *seen;               /* with check_mode.wants_seen: { effects, cause, end, events: [text], plans: { target: wanted } } */
};
void scenario_result_deinit(struct scenario_result *r);

/* The scenarios beside a runbook: FILE.test.yaml beside FILE.md. */
struct scenarios {
    char *file;                 /* in messages */
    struct yaml *tree;
    json_t *list;               /* objects with the file's defaults filled in */
};
/* Strict keys. *out is owned (scenarios_free). */
int scenarios_load(struct source *source, const char *runbook, struct scenarios **out, struct err *e);
/* The same of a text; `file` is for messages. */
int scenarios_read(struct str text, const char *file, struct scenarios **out, struct err *e);
void scenarios_free(struct scenarios *s);
/* Appends a scenario { name, params, given, ... } as an element of the list in such a file, whose dash stands behind `indent`
 * blanks. Parameters are resolved ones, and written as people type them. */
void scenario_write(const struct runbook *book, const json_t *scenario, int indent, struct buf *out);
/* Where the path (yaml_at) of scenario i leads: in the scenario, else in the file's defaults; as e->where. */
void scenarios_place(const struct scenarios *s, size_t i, const char *path, struct err *e);
/* What must not make a difference to a run, and what tests therefore change. */
struct check_mode {
    int gc_mode;                /* engine_options */
    bool evict_always;          /* the same */
    uint64_t seed;              /* of the host; 0 = 1 */
    const char *state_dir;      /* of a journal file for scenarios, whose audit then counts, too; NULL: in memory */
    bool no_replay;             /* scenarios are not replayed */
    bool wants_seen;            /* scenario_result.seen is filled */
    struct registry *registry;  /* sealed, for all the runs of a test; NULL: one of its own for each */
    struct runbook *book;       /* of the scenarios; NULL: each reads it */
    struct fault_plan *fault;   /* happens in the run; then only what must always hold is judged, not what is expected */
    struct cover *cover;        /* what the runs reach is added to it, or NULL */
};
/* The parameters of a run of this scenario, resolved. Owned. */
int scenario_params(const struct runbook *book, const json_t *scenario, json_t **out, struct err *e);
/* Runs scenario i. An error is about the runbook, not about the expectation. */
int scenario_run(struct source *source, const char *runbook, struct config *config, const struct scenarios *all, size_t i,
                 const struct check_mode *mode, struct scenario_result *out, struct err *e);

/* What starts scenario i's run: its book (read, unless there is one), which engine_start takes, its params and its trigger, which are the caller's also
 * after an error. */
int scenario_request(struct source *source, const char *runbook, const json_t *scenario, struct run_request *q,
                     struct err *e);

/* Runs scenario i again with every fault at every question that it asks the world or people and at every wait, one at a time (at
 * the first three of the same question: the others are polls). The result has a line per
 * fault behind which something does not hold that always must. */
int scenario_faults(struct source *source, const char *runbook, struct config *config, const struct scenarios *all, size_t i,
                    const struct check_mode *mode, struct scenario_result *out, struct err *e);

/* A scenario file with the one scenario that a recorded run was: what it saw, in order, and what it came to. ERR_INVALID: the
 * run has not ended, or is of an abi that this program does not know. */
int scenario_of_run(struct journal *j, int64_t id, struct buf *out, struct err *e);

struct replay_result {
    size_t rows;                /* of the run, all equal */
    bool ended;                 /* else it is equal as far as it is */
};
/* Replays one run, whether it has ended or not, from rows of j, which may be read beside its owner. Touches nothing; its
 * memory is that of one run. ERR_CORRUPT names the first difference, ERR_INVALID why this program cannot tell (another
 * abi), other errors are of reading. */
int replay_run(struct config *config, struct journal *j, int64_t id, const struct check_mode *mode,
               struct replay_result *out, struct err *e);
/* The run with the highest id below `before` (0: of all): for going through a journal that grows. ERR_NOT_FOUND: none. */
int replay_next(struct journal *j, int64_t before, int64_t *id, struct err *e);

/* The sources of all runs against their manifests, for journal_verify's listener. */
int audit_sources(struct journal *j, audit_fn fn, void *ctx, struct err *e);
/* One line of JSON that says what a journal holds now: its heads, and their hash. */
int audit_anchor(struct journal *j, int64_t now_ms, struct buf *out, char hash[2 * HASH_BYTES + 1], struct err *e);
/* Whether all that an anchor (such a line) names is still there, as it was: calls fn for what is not. Proves something
 * only of a journal whose chains hold (journal_verify). ERR_INVALID: this is no anchor. at: when it was made. */
int audit_against(struct journal *j, struct str anchor, int64_t *at, audit_fn fn, void *ctx, struct err *e);

/* Adds a line per rule that the rows of a run break: no effect without its intent, none twice, none begun behind an
 * end, none in silence. */
int invariants_check(struct journal *j, int64_t run, bool ended, struct buf *why, struct err *e);

#endif
