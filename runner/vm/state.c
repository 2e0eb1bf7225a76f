/* SPDX-License-Identifier: Apache-2.0 */
/* The state: exact memory accounting, the hook, two clocks.
 *
 * A count hook alone is no CPU limit (one instruction can copy 16 MiB) and an
 * allocator alone is no memory limit, so the clock is read at three places: in
 * the hook, every 256 KiB of growth, and every quarter million units of work
 * that C functions report. The slice is wall time and only preempts; the budget
 * is CPU time and kills, so a stalled machine kills nobody. The CPU clock is a
 * system call: it is read only once a branch has outlived its slice.
 *
 * Where texts are long, one instruction (a comparison, a sum of two texts of
 * digits) costs as much as a thousand others: the longer the longest text was,
 * the more often the hook looks.
 *
 * Killing is a yield that is never resumed: no protected call of Lua sees it. */
#include "vm/state.h"

#include "base/limits.h"
#include "base/log.h"
#include "vm/sandbox.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define GROWTH_STEP (256 * KIB)
#define WORK_STEP (1u << 18)
#define BUDGET_MS 2000
#define SLICE_US 1000
#define HOOK_COUNT 1000
#define LONG_TEXT (256 * KIB)
#define TURNS_AWAY 64       /* of others: it is no longer in the caches */
#define FETCH_BYTES (256 * KIB)

const char vm_keys[KEY_COUNT];

static _Thread_local uint64_t turns;

static int64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* True once the slice is over. Past the budget it also marks the state dead. */
static bool slice_is_over(struct vm *vm)
{
    if (vm->dead)
        return true;
    if (clock_us(CLOCK_MONOTONIC) < vm->slice_end_us)
        return false;
    int64_t cpu = clock_us(CLOCK_THREAD_CPUTIME_ID);
    if (vm->cpu_start_us < 0)
        vm->cpu_start_us = cpu - vm->slice_us;
    const struct branch *b = vm_running(vm);
    if ((b ? b->spent_us : 0) + cpu - vm->cpu_start_us >= vm->budget_us)
        vm->dead = VM_KILLED;
    return true;
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct vm *vm = vm_of(L);
    if (!vm->running && !vm->loading)
        return;
    if (vm->gc_mode == 1 && vm->running && !vm->dead)
        lua_gc(L, LUA_GCCOLLECT);
    if (!slice_is_over(vm))
        return;
    if (vm->dead && !vm->dead_line) {
        struct str chunk;
        vm->dead_line = vm_place(L, &chunk);
        snprintf(vm->dead_place, sizeof vm->dead_place, "%.*s", (int)chunk.n, chunk.p);
    }
    if (lua_isyieldable(L)) {
        vm->preempted = true;
        lua_yield(L, 0);
    } else if (vm->dead) {
        lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
        vm->tight_hook = true;
        vm_die(L);
    }
}

/* Lets the very next instruction reach the hook. */
static void tighten_hook(struct vm *vm)
{
    const struct branch *b = vm_running(vm);
    if (b && !vm->tight_hook) {
        vm->tight_hook = true;
        lua_sethook(b->co, on_count, LUA_MASKCOUNT, 1);
    }
}

static bool fault_says_no(struct vm *vm, bool is_retry)
{
    vm->growths++;
    if (vm->alloc_fault == 1)
        return !is_retry;
    /* Lua collects garbage and asks again: refuse that too. */
    return vm->alloc_fault > 1 && vm->growths - (unsigned)vm->alloc_fault <= 1;
}

static bool is_refused(struct vm *vm, size_t n, bool is_retry)
{
    if (vm->dead || n > vm->limit || vm->used > vm->limit - n)
        return true;
    if (vm->alloc_fault && !vm->loading && fault_says_no(vm, is_retry))
        return true;
    vm->grown += n;
    if (vm->grown >= GROWTH_STEP) {
        vm->grown = 0;
        if (slice_is_over(vm))
            tighten_hook(vm);
    }
    return vm->dead;
}

/* A refusal is final when the same request comes again (Lua collects garbage in between) and is
 * refused again, or when something else is asked for instead (luaL_Buffer and lua_checkstack turn
 * it into ordinary errors). What happens after a final refusal depends on the collector, so the
 * state is dead from there on. */
static bool may_grow(struct vm *vm, const void *block, size_t size, size_t n)
{
    bool is_retry = vm->pending_size == size && vm->pending_block == block;
    bool was_pending = vm->pending_size > 0;
    bool refused = (was_pending && !is_retry) || is_refused(vm, n, is_retry);
    if (refused && was_pending && !vm->dead) {
        vm->dead = VM_NOMEM;
        tighten_hook(vm);
    }
    vm->pending_size = refused ? size : 0;
    vm->pending_block = block;
    return !refused;
}

/* A text of `size` bytes, the longest so far: the instructions between two hooks become fewer in proportion. */
static void watch_closer(struct vm *vm, size_t size)
{
    const struct branch *b = vm_running(vm);
    size_t count = (size_t)vm->hook_count * LONG_TEXT / size;
    vm->longest = size;
    vm->hook_count_now = count < 1 ? 1 : (int)count;
    if (b && !vm->tight_hook)
        lua_sethook(b->co, on_count, LUA_MASKCOUNT, vm->hook_count_now);
}

/* What was taken of `calm` counts, and nothing more may be. */
static void end_calm(struct vm *vm)
{
    vm->grown += vm->calm_given - vm->calm;
    vm->calm = vm->calm_given = 0;
}

static void begin_calm(struct vm *vm)
{
    size_t to_limit = vm->limit > vm->used ? vm->limit - vm->used : 0, to_clock = GROWTH_STEP - 1 - vm->grown;

    if (!vm->alloc_fault)
        vm->calm = vm->calm_given = to_limit < to_clock ? to_limit : to_clock;
}

/* Whatever is not a new block in calm. */
static __attribute__((noinline)) void *change(struct vm *vm, void *block, size_t old_size, size_t size)
{
    size_t old = block ? old_size : 0;      /* without a block old_size is a type tag */
    end_calm(vm);
    if (size > old && vm->inside && !may_grow(vm, block, size, size - old))
        return NULL;
    void *p = pool_change(&vm->pool, block, old, size);
    if (!p && size > old)
        return NULL;
    vm->used += size - old;
    if (!block && old_size == LUA_TSTRING && size > vm->longest)
        watch_closer(vm, size);
    if (vm->inside)
        begin_calm(vm);
    return p ? p : block;                   /* Lua relies on it that shrinking succeeds */
}

static void *allocate(void *ud, void *block, size_t old_size, size_t size)
{
    struct vm *vm = ud;
    void *p;
    if (size == 0) {
        vm->used -= block ? old_size : 0;
        return pool_change(&vm->pool, block, block ? old_size : 0, 0);
    }
    if (block || size > vm->calm || vm->dead || vm->pending_size)
        return change(vm, block, old_size, size);
    p = pool_change(&vm->pool, NULL, 0, size);
    if (p) {
        vm->calm -= size;
        vm->used += size;
    }
    return p;
}

static int on_panic(lua_State *L)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error without text";
    log_event(LOG_ERROR, "vm", "panic: %s", text);
    abort();
}

static void on_warning(void *ud, const char *text, int continued)
{
    (void)ud;
    (void)continued;
    log_event(LOG_WARN, "vm", "lua: %s", text);
}

static void seed_random(uint64_t state[4], uint64_t seed)
{
    for (int i = 0; i < 4; i++) {           /* splitmix64: no seed gives the forbidden all-zero state */
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        state[i] = z ^ (z >> 31);
    }
}

/* Where many states take turns, each would wait for its memory, a line at a time. */
static void take_turn(struct vm *vm)
{
    if (++turns - vm->turn > TURNS_AWAY)
        pool_fetch(&vm->pool, FETCH_BYTES);
    vm->turn = turns;
}

void state_enter(struct vm *vm, const struct branch *b)
{
    take_turn(vm);
    if (b && lua_gethookcount(b->co) != vm->hook_count_now)
        lua_sethook(b->co, on_count, LUA_MASKCOUNT, vm->hook_count_now);
    vm->slice_end_us = clock_us(CLOCK_MONOTONIC) + vm->slice_us;
    vm->cpu_start_us = b && b->spent_us > 0 ? clock_us(CLOCK_THREAD_CPUTIME_ID) : -1;
    vm->pending_size = 0;
    vm->preempted = false;
    vm->inside = true;
}

void state_leave(struct vm *vm, struct branch *b)
{
    vm->inside = false;
    end_calm(vm);
    if (vm->cpu_start_us >= 0 && b)
        b->spent_us += clock_us(CLOCK_THREAD_CPUTIME_ID) - vm->cpu_start_us;
    if (vm->tight_hook && b) {
        vm->tight_hook = false;
        lua_sethook(b->co, on_count, LUA_MASKCOUNT, vm->hook_count_now);
    }
}

void vm_charge(lua_State *L, size_t units)
{
    struct vm *vm = vm_of(L);
    vm->work += units;
    if (vm->work < WORK_STEP || !vm->running)
        return;
    vm->work = 0;
    if (slice_is_over(vm))
        tighten_hook(vm);
    if (vm->dead)
        vm_die(L);
}

void vm_die(lua_State *L)
{
    if (lua_isyieldable(L))
        lua_yield(L, 0);
    else {
        lua_pushlightuserdata(L, vm_key(KEY_COUNT - 1));
        lua_error(L);
    }
    abort();
}

bool state_is_dead(struct vm *vm, int status)
{
    if (!vm->dead && (status == LUA_ERRMEM || (status != LUA_OK && status != LUA_YIELD && vm->pending_size > 0)))
        vm->dead = VM_NOMEM;
    return vm->dead;
}

int vm_new(const struct vm_options *o, struct vm **out, struct err *e)
{
    struct vm *vm = xcalloc(1, sizeof *vm);
    vm->limit = o->memory_limit ? o->memory_limit : VM_MEMORY_MAX;
    vm->budget_us = (o->budget_ms ? o->budget_ms : BUDGET_MS) * 1000;
    vm->slice_us = o->slice_us ? o->slice_us : SLICE_US;
    vm->hook_count = vm->hook_count_now = o->hook_count ? o->hook_count : HOOK_COUNT;
    vm->longest = LONG_TEXT;
    vm->gc_mode = o->gc_mode;
    vm->pool.computes_long = o->gc_mode == 2;
    vm->alloc_fault = o->alloc_fault;
    buf_init(&vm->scratch, HTTP_BODY_MAX);
    buf_init(&vm->json, VALUE_BYTES_MAX);
    seed_random(vm->random, o->seed);
    vm->L = lua_newstate(allocate, vm);
    if (!vm->L) {
        pool_free(&vm->pool);
        free(vm);
        return err_set(e, ERR_INTERNAL, "lua state: out of memory");
    }
    *(struct vm **)lua_getextraspace(vm->L) = vm;
    lua_atpanic(vm->L, on_panic);
    lua_setwarnf(vm->L, on_warning, NULL);
    lua_gc(vm->L, LUA_GCSTOP);              /* until the language is loaded: all of it stays */
    sandbox_open(vm->L);
    lua_sethook(vm->L, on_count, LUA_MASKCOUNT, vm->hook_count);    /* every new thread inherits it */
    *out = vm;
    return 0;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    /* Nothing of a state is anything but memory, and all of that is the pool's: lua_close would free it block by block. */
    for (size_t i = 0; i < vm->nbranches; i++) {
        buf_free(&vm->branches[i].request);
        free(vm->branches[i].calls);
    }
    free(vm->branches);
    free(vm->offers);
    free(vm->children);
    free(vm->required);
    keys_free(&vm->keys);
    buf_free(&vm->scratch);
    buf_free(&vm->json);
    pool_free(&vm->pool);
    free(vm);
}

size_t vm_memory(const struct vm *vm)
{
    return vm->used;
}

void vm_limit_memory(struct vm *vm, size_t bytes)
{
    end_calm(vm);
    vm->limit = bytes;
}

void vm_set_now(struct vm *vm, int64_t unix_ms)
{
    vm->now_ms = unix_ms;
}

const char *vm_release(void)
{
    return LUA_RELEASE;
}
