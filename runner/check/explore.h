/* SPDX-License-Identifier: Apache-2.0 */
/* All branches of a runbook's code, without touching anything: the checked form of its sources runs again and again in
 * one Lua state, a path per time, and what it asks at the gate is answered with symbols (lua/symbols.lua), which fork.
 * `map` answers nothing itself; `plan` answers what it looked at, and leaves to symbols what an effect may have changed. */
#ifndef MIDWATCH_CHECK_EXPLORE_H
#define MIDWATCH_CHECK_EXPLORE_H

#include "book/book.h"
#include "config/config.h"
#include "plugin/plugin.h"

/* One gate call of one path, as the engine would see it. Everything is borrowed for the call. */
struct explore_call {
    struct str op;              /* "read", "plan", "apply", "undo", "ask", "wait", "timer", "notify", ... (run/ops.c). Before the
                                   reads of a group: "reads", args = [{name, instance, label, args}]; its answer does not count */
    struct str path;            /* where the call stands in the order of the run's calls: "4", "4.p95", "4.b2.1" */
    struct str label, name, instance;   /* "p95", "prometheus.quantile", "metrics" */
    struct str args;            /* JSON as the verb gives it to the gate; a symbol in it is {"symbol":"its text"} */
    struct str text;            /* a read or an effect as printed, else "" */
    int line;                   /* of the runbook */
    int part;                   /* of a call for several: 1 is the first */
    bool symbolic;              /* args hold a symbol */
    const json_t *changed;      /* [{effect, instance, target, to, path}]: those, but for what was undone; NULL = none */
    size_t effects;             /* effects that this path has applied before */
    int64_t waited_ms;          /* how long this path has waited before */
};

struct explore_options {
    const struct runbook *book;
    struct registry *registry;  /* sealed is enough: only declarations are asked for */
    struct config *config;      /* whose `allow` counts; NULL = nobody's */
    const json_t *params;       /* resolved, or NULL: defaults, and names where there is none */
    const json_t *given;        /* object whose keys are the parameters that are fixed: the others fork where the code branches on
                                   them. NULL = all are fixed */
    const json_t *trigger;      /* {"kind","labels",...} with an answer callback; NULL = command line */
    const char *requester;      /* the same; NULL = nobody */
    int64_t started_ms;         /* Unix ms; 0 = some time */
    size_t paths_max;           /* 0 = 50,000 */
    int64_t time_ms;            /* of computing; 0 = 20 s */
    const char *program;        /* the code in a form that notes its decisions (cover_program); NULL = as it is */
    const json_t *witness;      /* {"given","params"} that scenarios share: the map gets `witnesses`; NULL = none */
    bool separate;              /* paths that go on alike are all followed; for comparison with those that are not */
    /* The answer to one call, as run/ gives it to Lua: {"o":{"value":..}|{"unknown":..},"row":n} of a read, the payload of a
     * PLAN row, {"answer":..} of a question, ... Appended to `out`: 1. Nobody knows: 0, it becomes a symbol (or the fork of
     * its verb). Below 0 the exploration ends with *e. Asked again for every path that comes through the call: the same
     * call must get the same answer. May block. NULL = nobody knows anything. */
    int (*answer)(void *ctx, const struct explore_call *call, struct buf *out, struct err *e);
    void *ctx;
};

/* *map is owned:
 *   { runbook, file, params, explored, ways, ended: "all" | "paths" | "time", root, nodes, paths, notes, hypotheses, unknown,
 *     by_default, may_unused }
 * explored: paths that were followed; ways: with those that joined one of them where it went on alike, at most 2^53.
 * nodes: [{ kind, line, file, of: [{ text, because, more, to }] }], equal ones once; `to` and root are places in nodes, from
 * 1. A leaf: { kind: "leaf", outcome, reason, text, line, file }.
 * paths: [{ conditions: [{ text, line, file }], effects: [{ effect, target, title, line, file, outcome, undo, approved }],
 *   outcome, reason, text, line, file, uncaught }], one for those that go on alike.
 * witnesses, if asked for: [{ conditions, hits, cause, outcome, reason, line, file, scenario | why }], a scenario for each path to an
 * end, in the order of the paths, those that joined another last; hits: what the path noted; scenario: lua/explore_witness.lua.
 * notes: [{ line, file, what, why }], what was not explored. unknown: [{ effect, target, line, read, read_line }], effects that
 * a missing answer leads to; by_default: the same, where its default stands in for it. may_unused: places in book->may. */
int explore(const struct explore_options *o, json_t **map, struct err *e);

#endif
