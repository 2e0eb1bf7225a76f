/* SPDX-License-Identifier: Apache-2.0 */
/* The branches of a state and the only lua_resume of the program. A branch is
 * free, ready, running, parked with a request, forking (parked until its children
 * have returned), or ended (parked for ever). A preempted branch goes to the front
 * of the queue, so no sibling runs inside its slice; so do children when they are
 * made and a parent when the last one returns. What answers make ready goes to the
 * end: the order in which branches run is that of the rows that answered them,
 * however many rows came at once, so a replay that brings them one by one runs the
 * same way. Answers name the generation of the request; a stale one is dropped.
 * Killed and dropped coroutines are never resumed, reset or closed. */
#include "vm/sched.h"

#include "base/limits.h"
#include "vm/value.h"

#include <stdio.h>
#include <stdlib.h>

#define SLOT_BITS 20
#define BRANCHES_MAX (1u << 17)
#define DEEP 10000          /* calls inside calls that nobody means */
#define FORKS_MAX 10000      /* without a look at the world in between: a loop that no clock sees */
#define POOLED 4            /* coroutines of the first slots are used again */

static uint32_t slot_of(const struct vm *vm, const struct branch *b)
{
    return (uint32_t)(b - vm->branches) + 1;
}

static struct branch *find(struct vm *vm, uint32_t id)
{
    uint32_t slot = id & ((1u << SLOT_BITS) - 1);
    if (slot == 0 || slot > vm->nbranches)
        return NULL;
    struct branch *b = &vm->branches[slot - 1];
    return b->state != BRANCH_FREE && b->id == id ? b : NULL;
}

static void enqueue(struct vm *vm, struct branch *b, bool in_front)
{
    uint32_t slot = slot_of(vm, b);
    b->state = BRANCH_READY;
    b->prev = in_front ? 0 : vm->ready_last;
    b->next = in_front ? vm->ready_first : 0;
    if (b->prev)
        vm->branches[b->prev - 1].next = slot;
    else
        vm->ready_first = slot;
    if (b->next)
        vm->branches[b->next - 1].prev = slot;
    else
        vm->ready_last = slot;
}

static void dequeue(struct vm *vm, struct branch *b)
{
    if (b->prev)
        vm->branches[b->prev - 1].next = b->next;
    else
        vm->ready_first = b->next;
    if (b->next)
        vm->branches[b->next - 1].prev = b->prev;
    else
        vm->ready_last = b->prev;
}

static void push_threads(struct vm *vm)
{
    lua_rawgetp(vm->L, LUA_REGISTRYINDEX, vm_key(KEY_THREADS));
}

/* The slot becomes free; with `keep` its coroutine, which ended well, is used again. */
static void release(struct vm *vm, struct branch *b, bool keep)
{
    uint32_t slot = slot_of(vm, b);
    if (b->state == BRANCH_READY)
        dequeue(vm, b);
    if (keep && slot <= POOLED) {
        lua_settop(b->co, 0);
    } else {
        push_threads(vm);
        lua_pushboolean(vm->L, 0);
        lua_rawseti(vm->L, -2, slot);
        lua_pop(vm->L, 1);
        b->co = NULL;
    }
    b->state = BRANCH_FREE;
    b->next = vm->free_first;
    vm->free_first = slot;
}

static struct branch *take_slot(struct vm *vm)
{
    if (vm->free_first) {
        struct branch *b = &vm->branches[vm->free_first - 1];
        vm->free_first = b->next;
        b->id += 1u << SLOT_BITS;
        return b;
    }
    if (vm->nbranches == BRANCHES_MAX)
        return NULL;
    if (vm->nbranches == vm->branches_cap) {
        vm->branches_cap = vm->branches_cap ? 2 * vm->branches_cap : 4;
        vm->branches = xrealloc(vm->branches, vm->branches_cap * sizeof *vm->branches);
    }
    struct branch *b = &vm->branches[vm->nbranches++];
    *b = (struct branch){.id = (uint32_t)vm->nbranches};
    buf_init(&b->request, 4 * VALUE_BYTES_MAX);
    return b;
}

struct branch *sched_new(struct vm *vm, struct err *e)
{
    if (vm->dead) {
        err_set(e, ERR_LIMIT, "the lua state is dead: %s", vm->dead == VM_NOMEM ? "out of memory" : "out of time");
        return NULL;
    }
    struct branch *b = take_slot(vm);
    if (!b) {
        err_set(e, ERR_LIMIT, "more than %u branches", BRANCHES_MAX);
        return NULL;
    }
    if (!vm->started) {
        vm->started = true;
        lua_gc(vm->L, LUA_GCRESTART);
        if (vm->gc_mode == 2)
            lua_gc(vm->L, LUA_GCINC, 400, 400, 16);
        else if (vm->gc_mode)
            lua_gc(vm->L, LUA_GCINC, 1, 1000, 1);
        else    /* the language stays: nothing is looked at before as much again was made */
            lua_gc(vm->L, LUA_GCSTEP, -(int)(vm->used / KIB));
    }
    if (!b->co) {
        push_threads(vm);
        b->co = lua_newthread(vm->L);
        lua_rawseti(vm->L, -2, slot_of(vm, b));
        lua_pop(vm->L, 1);
    }
    b->generation = 0;
    b->parent = b->joining = 0;
    b->now_ms = 0;
    b->spent_us = 0;
    b->forbid[0] = '\0';
    b->state = BRANCH_PARKED;
    return b;
}

void sched_ready(struct vm *vm, struct branch *b, int nargs)
{
    b->nargs = nargs;
    enqueue(vm, b, false);
}

static void request_event(struct vm *vm, struct branch *b, struct vm_event *ev)
{
    b->spent_us = 0;
    vm->forks = 0;
    b->generation = ++vm->generation;
    ev->outcome = VM_PARKED;
    ev->request = (struct vm_request){
        .branch = b->id,
        .generation = b->generation,
        .op = {buf_text(&b->request), b->op_len},
        .calls = b->calls,
        .ncalls = b->ncalls,
        .line = b->line,
        .now_ms = b->now_ms,
    };
}

/* The list of functions at the top of the branch's stack becomes its children. */
static void fork_event(struct vm *vm, struct branch *b, struct vm_event *ev)
{
    uint32_t slot = slot_of(vm, b);
    lua_State *L = b->co;
    uint32_t n = (uint32_t)lua_rawlen(L, -1);
    struct err e = {0};
    if (++vm->forks > FORKS_MAX) {
        *ev = (struct vm_event){.outcome = VM_ERROR, .branch = b->id, .line = b->line, .chunk = vm->main + 1,
                                .error = "branches again and again, and no look at the world between them"};
        return;
    }
    vm->children = xrealloc(vm->children, n * sizeof *vm->children);
    for (uint32_t i = 0; i < n; i++) {
        struct branch *child = sched_new(vm, &e);
        b = &vm->branches[slot - 1];
        if (!child) {
            snprintf(vm->error, sizeof vm->error, "%s", e.msg);
            *ev = (struct vm_event){.outcome = VM_ERROR, .branch = b->id, .error = vm->error, .line = b->line,
                                    .chunk = vm->main + 1};
            return;
        }
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        lua_xmove(L, child->co, 1);
        child->parent = b->id;
        child->now_ms = b->now_ms;
        child->spent_us = b->spent_us;
        vm->children[i] = child->id;
    }
    lua_pop(L, 1);
    b->joining = n;
    for (uint32_t i = n; i > 0; i--)
        enqueue(vm, find(vm, vm->children[i - 1]), true);
    ev->outcome = VM_FORKED;
    ev->children = vm->children;
    ev->nchildren = n;
    ev->line = b->line;
}

/* A child has returned; with the last one its parent goes on. What they computed counts for it too. */
static void join(struct vm *vm, const struct branch *child)
{
    struct branch *parent = find(vm, child->parent);
    if (!parent || parent->state != BRANCH_FORKING)
        return;
    if (child->spent_us > parent->spent_us)
        parent->spent_us = child->spent_us;
    if (--parent->joining > 0)
        return;
    parent->now_ms = child->now_ms;
    enqueue(vm, parent, true);
}

static void done_event(struct vm *vm, struct branch *b, int nresults, struct vm_event *ev)
{
    lua_State *L = b->co;
    bool lossy = false;
    buf_reset(&vm->json);
    buf_addc(&vm->json, '[');
    for (int i = 1; i <= nresults; i++) {
        char name[32] = "result 1";
        if (i > 1)
            snprintf(name, sizeof name, "result %d", i);
        if (i > 1)
            buf_addc(&vm->json, ',');
        ev->error = value_encode(L, lua_gettop(L) - nresults + i, name, &vm->json, &lossy);
        if (ev->error) {
            ev->outcome = VM_ERROR;
            release(vm, b, false);
            return;
        }
    }
    buf_addc(&vm->json, ']');
    ev->outcome = VM_DONE;
    ev->json = (struct str){buf_text(&vm->json), vm->json.len};
    if (b->parent)
        join(vm, b);
    release(vm, b, true);
}

/* The text of the error value at the top of L, which is not run. */
static const char *error_text(struct vm *vm, lua_State *L)
{
    size_t size = sizeof vm->error;
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        lua_pushvalue(L, -1);
        snprintf(vm->error, size, "%s", lua_tostring(L, -1));
        lua_pop(L, 1);
    } else if (type == LUA_TTABLE) {
        lua_pushliteral(L, "message");
        if (lua_rawget(L, -2) == LUA_TSTRING)
            snprintf(vm->error, size, "%s", lua_tostring(L, -1));
        else
            snprintf(vm->error, size, "an error that is a table");
        lua_pop(L, 1);
    } else {
        snprintf(vm->error, size, "an error that is a %s value", lua_typename(L, type));
    }
    for (char *p = vm->error; *p; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    return vm->error;
}

/* The value is looked at on the main stack: a stack that overflowed may have been shrunk since to what is in use. */
static void error_event(struct vm *vm, struct branch *b, struct vm_event *ev)
{
    lua_State *L = vm->L;
    bool lossy = false;
    struct str chunk;
    lua_xmove(b->co, L, 1);
    ev->outcome = VM_ERROR;
    buf_reset(&vm->json);
    if (lua_type(L, -1) == LUA_TTABLE && !value_encode(L, lua_gettop(L), "error", &vm->json, &lossy))
        ev->json = (struct str){buf_text(&vm->json), vm->json.len};
    ev->error = error_text(vm, L);
    lua_pop(L, 1);
    ev->line = vm_place(b->co, &chunk);
    snprintf(vm->place, sizeof vm->place, "%.*s", (int)chunk.n, chunk.p);
    ev->chunk = vm->place;
    release(vm, b, false);
}

static void dead_event(struct vm *vm, struct branch *b, struct vm_event *ev)
{
    struct str chunk;
    ev->outcome = vm->dead;
    snprintf(vm->place, sizeof vm->place, "%s", vm->dead_place);
    ev->line = vm->dead_line;
    if (!ev->line) {
        ev->line = vm_place(b->co, &chunk);
        snprintf(vm->place, sizeof vm->place, "%.*s", (int)chunk.n, chunk.p);
    }
    ev->chunk = vm->place;
    lua_Debug ar;
    if (vm->dead == VM_NOMEM)
        snprintf(vm->error, sizeof vm->error, "more than %zu KiB of memory%s", vm->limit / KIB,
                 lua_getstack(b->co, DEEP, &ar) ? " (a function that calls itself for ever?)" : "");
    else
        snprintf(vm->error, sizeof vm->error, "more than %lld ms of computing between two looks at the world",
                 (long long)(vm->budget_us / 1000));
    ev->error = vm->error;
    release(vm, b, false);
}

bool vm_is_ready(const struct vm *vm)
{
    return !vm->dead && vm->ready_first;
}

uint32_t vm_next(const struct vm *vm)
{
    return vm_is_ready(vm) ? vm->branches[vm->ready_first - 1].id : 0;
}

int vm_step(struct vm *vm, struct vm_event *ev)
{
    if (vm->dead || !vm->ready_first)
        return 0;
    uint32_t slot = vm->ready_first;
    struct branch *b = &vm->branches[slot - 1];
    *ev = (struct vm_event){.branch = b->id};
    dequeue(vm, b);
    b->state = BRANCH_RUNNING;
    vm->running = slot;
    if (b->now_ms == 0)
        b->now_ms = vm->now_ms;
    state_enter(vm, b);
    int nresults = 0;
    int status = lua_resume(b->co, vm->L, b->nargs, &nresults);
    state_leave(vm, b);
    vm->running = 0;
    b->nargs = 0;
    if (state_is_dead(vm, status)) {
        dead_event(vm, b, ev);
    } else if (status == LUA_YIELD && b->state == BRANCH_RUNNING) {
        enqueue(vm, b, true);
        return 2;
    } else if (status == LUA_YIELD && b->state == BRANCH_FORKING) {
        fork_event(vm, b, ev);
    } else if (status == LUA_YIELD) {
        request_event(vm, b, ev);
    } else if (status == LUA_OK) {
        done_event(vm, b, nresults, ev);
    } else {
        error_event(vm, b, ev);
    }
    return 1;
}

int vm_answer(struct vm *vm, uint32_t branch, uint32_t generation, struct str json, struct err *e)
{
    struct branch *b = find(vm, branch);
    if (vm->dead || !b || b->state != BRANCH_PARKED || b->generation != generation)
        return err_set(e, ERR_NOT_FOUND, "answer for branch %u, request %u: nobody waits for it", branch, generation);
    const char *bad = value_decode(b->co, json);
    if (bad)
        return err_set(e, ERR_INVALID, "answer for branch %u: %s", branch, bad);
    b->generation = 0;
    b->now_ms = vm->now_ms;
    sched_ready(vm, b, 1);
    return 0;
}

void vm_prefer(struct vm *vm, uint32_t branch)
{
    struct branch *b = find(vm, branch);
    if (!b || b->state != BRANCH_READY)
        return;
    dequeue(vm, b);
    enqueue(vm, b, true);
}

void vm_drop(struct vm *vm, uint32_t branch)
{
    struct branch *b = find(vm, branch);
    if (b && b->state != BRANCH_RUNNING)
        release(vm, b, false);
}
