/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the vm layer share: the state itself, its branches, and the
 * two things every C function under Lua needs: the vm behind a lua_State and a
 * clear error with the runbook's place in front. Not for other layers.
 *
 * Host code touches the Lua stack with `inside` off: limits do not apply, so it
 * can fail only when the machine is out of memory. A function marked RAISES may
 * longjmp and is called only under lua_pcall or lua_resume. */
#ifndef MIDWATCH_VM_STATE_H
#define MIDWATCH_VM_STATE_H

#include "vm/keys.h"
#include "vm/pool.h"
#include "vm/vm.h"

#include <lauxlib.h>
#include <lua.h>

#define RAISES

enum branch_state { BRANCH_FREE, BRANCH_READY, BRANCH_RUNNING, BRANCH_PARKED, BRANCH_FORKING, BRANCH_ENDED };

/* One coroutine and the request it waits with. Slots are reused; the id is not. */
struct branch {
    lua_State *co;              /* anchored in the registry under KEY_THREADS */
    uint32_t id;                /* slot + 1, and above it how often the slot was reused */
    uint32_t generation;        /* of the request it is parked with */
    enum branch_state state;
    int nargs;                  /* values on co's stack for the next resume */
    uint32_t prev, next;        /* ready queue or free list, as slot + 1 */
    uint32_t parent;            /* the branch that forked it and waits for it, 0 = none */
    uint32_t joining;           /* children that it waits for */
    int64_t now_ms;             /* of the row that made it ready; 0 = not resumed yet */
    int64_t spent_us;           /* CPU since its last request, from the first preemption on */
    char forbid[48];            /* why gate calls are refused now ("inside table.sort"), or "" */
    struct buf request;         /* bytes behind op and calls */
    struct vm_call *calls;
    size_t ncalls, calls_cap;
    size_t op_len;
    int line;
};

/* A trusted module that is loaded when it is asked for. */
struct offer {
    char name[64];
    struct str code;
};

/* A module of the runbook's repository; everything is borrowed. */
struct required {
    const char *name, *file;
    struct str text;
};

struct vm {
    lua_State *L;               /* the main thread: never runs sandboxed code */
    struct pool pool;
    size_t used, limit;         /* bytes */
    size_t grown;               /* since the clock was last looked at, but for what was taken of `calm` */
    size_t calm, calm_given;    /* bytes that may be taken before a limit or the clock is looked at again; as it was given */
    size_t pending_size;        /* of the request that was just refused, 0 = none */
    const void *pending_block;
    size_t work;                /* uninterruptible work in C since then */
    bool inside;                /* sandboxed code is running: limits apply */
    bool loading;               /* a trusted module is being loaded: limits and clock apply to it, too */
    bool tight_hook;            /* the hook of the running branch fires at every instruction */
    bool preempted;
    uint64_t turn;              /* of its thread, when it ran the last time */
    bool started;
    enum vm_outcome dead;       /* VM_NOMEM or VM_KILLED; 0 while alive. Sticky */
    int dead_line;              /* where it ran out of time; a yield in a hook moves the place back */
    char dead_place[256];       /* and in which chunk */
    int alloc_fault;
    unsigned growths;
    int hook_count, gc_mode;
    int hook_count_now;         /* fewer instructions where texts are long */
    size_t longest;             /* text there ever was, in bytes; at least what counts as long */
    int64_t slice_us, budget_us;
    int64_t slice_end_us;       /* monotonic */
    int64_t cpu_start_us;       /* of this resume; -1 until it lasted a slice */
    int64_t now_ms;
    uint64_t random[4];
    lua_Integer last_id;        /* of tostring's "table: #n" */
    const void *mt_array, *mt_readonly, *mt_weak;

    struct branch *branches;
    size_t nbranches, branches_cap;
    uint32_t running;           /* slot + 1, 0 = none */
    uint32_t ready_first, ready_last, free_first;
    uint32_t generation;
    unsigned forks;             /* since the last request of any branch */

    struct offer *offers;
    size_t noffers;
    struct required *required;
    size_t nrequired;
    const struct vm_record *records;    /* of the next argument */
    size_t nrecords;

    struct keys keys;           /* scratch of sorted iteration and of the encoder */
    struct buf scratch;         /* decoded escapes, encoded values */
    struct buf json;            /* behind vm_event.json */
    uint32_t *children;         /* behind vm_event.children */
    char error[1024];           /* behind vm_event.error */
    char place[256];            /* behind vm_event.chunk */
    char main[256];             /* the runbook's chunk, as Lua has its name: "@high-latency.md" */
};

/* Registry keys and private table keys are addresses of these. */
enum vm_key {
    KEY_TRUSTED,        /* environment of trusted modules */
    KEY_SANDBOX,        /* environment of sandboxed chunks: empty, strict, in front of KEY_GLOBALS */
    KEY_GLOBALS,        /* what the sandbox sees */
    KEY_MODULES,        /* name -> what the trusted module returned, false while it is being loaded */
    KEY_LATER,          /* name of a global -> module that will have it; in a marker: the module */
    KEY_REQUIRED,       /* name -> what a module of the repository returned, false while it is being loaded */
    KEY_THREADS,        /* slot -> coroutine */
    KEY_ARRAY,          /* metatable that marks JSON arrays */
    KEY_READONLY,       /* metatable of read-only views */
    KEY_WEAK,           /* metatable of tables that hold their keys weakly */
    KEY_IDS,            /* weak: object -> number in its tostring */
    KEY_DATA,           /* in a view: the table behind it */
    KEY_WHAT,           /* in a view: its name in messages */
    KEY_NAMES,          /* in a view: names that may be absent */
    KEY_SEALED,         /* in a metatable: its private copy */
    KEY_PROXY,          /* in a sealed copy: only the host writes its tables, also raw */
    KEY_FIELDS,         /* metatable of records that are decoded field by field; in one: its vm_record */
    KEY_NULL,           /* the JSON null, a light userdata */
    KEY_COUNT
};
extern const char vm_keys[KEY_COUNT];

static inline void *vm_key(enum vm_key k)
{
    return (void *)&vm_keys[k];
}

static inline struct vm *vm_of(lua_State *L)
{
    return *(struct vm **)lua_getextraspace(L);
}

/* The running branch, or NULL while a module is being loaded. */
static inline struct branch *vm_running(struct vm *vm)
{
    return vm->running ? &vm->branches[vm->running - 1] : NULL;
}

/* state.c */
/* Around lua_resume (b), lua_load or the loading of a module (NULL): limits and clocks are on between them. */
void state_enter(struct vm *vm, const struct branch *b);
void state_leave(struct vm *vm, struct branch *b);
/* Counts work that no hook can interrupt (steps, elements, bytes); ends the branch once its time is up. */
RAISES void vm_charge(lua_State *L, size_t units);
/* Leaves a dead state: by yield, where that is not possible by an error. Never returns. */
RAISES void vm_die(lua_State *L) __attribute__((noreturn));
/* True if the state is dead, also because a call that ended with `status` ran out of memory. */
bool state_is_dead(struct vm *vm, int status);

/* place.c */
/* The nearest sandboxed frame: its line, 0 if there is none. */
int vm_place(lua_State *L, struct str *chunk);
/* The line of the runbook that led here, also through modules and loaded texts; 0 if there is none. */
int vm_runbook_line(lua_State *L);
/* Raises "chunk:line: message" with the place of the nearest sandboxed frame. */
RAISES int vm_fail(lua_State *L, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
/* Adds " (did you mean 'x'?)" when a string key of the table at `index` is near to `name`. */
void vm_suggest(lua_State *L, int index, const char *name, char *out, size_t size);

/* loader.c */
/* Pushes what the trusted module `name` returned, loading it if it was only offered. [-0, +1, e] */
RAISES void loader_push_module(lua_State *L, const char *name);

#endif
