/* SPDX-License-Identifier: Apache-2.0 */
/* One sealed Lua state per run (and one per plugin): sandbox by addition, exact
 * memory accounting, two clocks, and the one place that calls lua_resume. The
 * state talks to the world by requests only: code calls a gate primitive, its
 * branch yields, the owner sees a struct vm_request and answers it with canonical
 * JSON. Answers are decoded from those bytes, also live, so live equals replay.
 *
 * A vm never calls upwards and never blocks. Not thread-safe: one thread. */
#ifndef MIDWATCH_VM_VM_H
#define MIDWATCH_VM_VM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;

struct vm_options {
    size_t memory_limit;        /* bytes; 0 = VM_MEMORY_MAX */
    int64_t budget_ms;          /* CPU of one resume chain between two requests; 0 = 2000. Beyond: killed, sticky */
    int64_t slice_us;           /* preemption inside it; 0 = 1000 */
    uint64_t seed;              /* math.random and the order-free rest; from the run's START row */
    int gc_mode;                /* 0 normal; 1 collect all the time (determinism tests); 2 seldom, at four times what
                                 * was kept: what computes long */
    int hook_count;             /* 0 = 1000 instructions */
    /* Allocator faults for tests: 0 none, 1 refuse once then grant at every growth, n>1 fail the nth growth. */
    int alloc_fault;
};

/* *out is owned. */
int vm_new(const struct vm_options *o, struct vm **out, struct err *e);
void vm_free(struct vm *vm);

/* Loads one module of the language into the state; its `...` is the decoded JSON `arg`, nothing if
 * that is empty. It is trusted: in its environment, which it shares with the other trusted modules,
 * it sees vm/primitives as a table `host`. `code` is text, or the bytecode that this very build made.
 * Its return value is kept under `name` for `host.module(name)`. Chunk names that begin with '@' are
 * places that messages point at (runbooks; plugins, if their bytecode says so); text loaded here is
 * "=name". */
int vm_load_trusted(struct vm *vm, const char *name, struct str code, struct str arg, struct err *e);

/* A record whose fields are decoded when they are first looked at. */
struct vm_field {
    const char *name;
    struct str json;
};
struct vm_record {
    const struct vm_field *fields;      /* sorted by name */
    size_t n;
};
/* In the argument of the next vm_load_trusted, and nowhere else, @0 stands for the first of these, @1 for the second, ...
 * Borrowed for the life of the vm. */
void vm_argument_records(struct vm *vm, const struct vm_record *records, size_t n);

/* The same without an argument, at the first host.module(name): what a run does not use costs it
 * nothing. `code` is borrowed for the life of the vm. ERR_LIMIT beyond 48. */
int vm_offer_trusted(struct vm *vm, const char *name, struct str code, struct err *e);

/* Publishes what code of the sandbox sees: the trusted module `name` returned a table; each of
 * its fields becomes a global of the sandbox. A plain table with functions in it (a library) is
 * seen through a read-only view; if the sandbox has a library of that name already (string table
 * math utf8), its fields are added to that one. A field that is host.later(module) becomes a global
 * when it is first used: the field of that name in the module's table `public`, else the module. */
int vm_publish(struct vm *vm, const char *name, struct err *e);
/* Sets one global of the sandbox to a decoded, read-only value. */
int vm_set_global(struct vm *vm, const char *name, struct str json, struct err *e);

/* Starts a branch that runs sandboxed text (text only; line numbers as given). `chunk` is the
 * name in messages ("high-latency.md"). ERR_INVALID with place for a syntax error. */
int vm_start_chunk(struct vm *vm, const char *chunk, struct str text, uint32_t *branch, struct err *e);
/* What `require(name)` gives: the value that the sandboxed text returns when it is first required. `file` is its name
 * in messages. Everything is borrowed for the life of the vm. ERR_INVALID with place for a syntax error. */
int vm_offer_required(struct vm *vm, const char *name, const char *file, struct str text, struct err *e);
/* The same with the checked form of a text (lua/instrument.lua): a chunk that takes the table `ops` of trusted module
 * `module` and returns the program. The program itself cannot reach that table. */
int vm_start_checked(struct vm *vm, const char *chunk, struct str text, const char *module, uint32_t *branch, struct err *e);
/* The same program as trusted module `name`: host.module(name) gives the function, for those who run it more than once.
 * The first one's file is the runbook. */
int vm_load_checked(struct vm *vm, const char *name, const char *chunk, struct str text, const char *module, struct err *e);
/* Only compiles: for lint. */
int vm_check_chunk(struct vm *vm, const char *chunk, struct str text, struct err *e);
/* Starts a branch that calls function `function` of trusted module `module` with the decoded
 * JSON arguments `args` (a JSON list; spread). Its results come with VM_DONE as JSON. */
int vm_start_call(struct vm *vm, const char *module, const char *function, struct str args, uint32_t *branch,
                  struct err *e);

/* One gate call as Lua made it. */
struct vm_call {
    struct str label;           /* name in a group ("p95"), or "" */
    struct str name;            /* "prometheus.quantile", "note", ... */
    struct str instance;        /* "metrics", or "" */
    struct str args;            /* canonical JSON */
    bool lossy;                 /* args held bytes that are not UTF-8 */
};

/* What a parked branch waits for. Borrowed until the branch is answered. */
struct vm_request {
    uint32_t branch;
    uint32_t generation;        /* give it back with the answer: stale answers are dropped */
    struct str op;              /* "read", "plan", "apply", ... the owner knows the list */
    const struct vm_call *calls;
    size_t ncalls;
    int line;                   /* of the runbook, whatever module the call stands in; 0 = none */
    int64_t now_ms;             /* what the branch takes for now: of the row that it was answered with */
};

enum vm_outcome {
    VM_PARKED,          /* ev.request is set */
    VM_FORKED,          /* ev.children run from now on; the branch goes on when all are done */
    VM_DONE,            /* ev.json: results as a JSON list */
    VM_ERROR,           /* ev.error: text with place; ev.json: the error value if it was a table, else "" */
    VM_NOMEM,           /* memory limit: the state is dead */
    VM_KILLED,          /* budget used up: the state is dead */
};

struct vm_event {
    enum vm_outcome outcome;
    uint32_t branch;
    struct vm_request request;
    const uint32_t *children;   /* borrowed until the next vm call */
    size_t nchildren;
    struct str json;            /* borrowed until the next vm call */
    const char *error;          /* one line; borrowed until the next vm call */
    int line;                   /* where the error was raised, 0 = unknown */
    const char *chunk;          /* and in which file; borrowed like error; set if line is */
};

/* Resumes ready branches (newly started, answered, preempted; preempted first, then in the order
 * they became ready) until one of them has something to say, which goes to *ev, or one slice is
 * over. Returns 1 if *ev is set, 0 if nothing is ready, 2 if the slice is over and more is ready. */
int vm_step(struct vm *vm, struct vm_event *ev);

/* Answers a parked branch: it becomes ready with the decoded value as the result of its call.
 * ERR_NOT_FOUND if branch or generation is stale, or the branch asked with host.finish (the answer is
 * dropped); ERR_INVALID if it is no JSON (the branch still waits). Does not run Lua. */
int vm_answer(struct vm *vm, uint32_t branch, uint32_t generation, struct str json, struct err *e);
/* Puts a ready branch before all others: the next events are its own until it parks or ends. */
void vm_prefer(struct vm *vm, uint32_t branch);
/* Ends a branch without resuming it, ever. */
void vm_drop(struct vm *vm, uint32_t branch);

size_t vm_memory(const struct vm *vm);      /* bytes in use */
void vm_limit_memory(struct vm *vm, size_t bytes);      /* from now on, in the place of memory_limit */
/* The time of the last row consumed (Unix milliseconds): what host.now() returns in branches that are made
 * ready from now on. */
void vm_set_now(struct vm *vm, int64_t unix_ms);
/* True if a branch could be stepped. */
bool vm_is_ready(const struct vm *vm);
/* The branch that the next step runs; 0 = none. */
uint32_t vm_next(const struct vm *vm);
/* Every name reachable from the sandbox, or from trusted modules (of a plugin's body), sorted, one per line: the
 * golden lists of tests/escape. */
int vm_reachable(struct vm *vm, bool trusted, struct buf *out, struct err *e);
/* The Lua release, part of the abi ("Lua 5.4.4"). */
const char *vm_release(void);

#endif
