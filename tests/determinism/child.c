/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios in a process whose accidents the parent (gate.py) chooses; a line of JSON
 * per scenario with the hash chain of its journal.
 *
 * child [gc] [pad=N] [state=DIR [one]] [plant=KIND] [config=FILE] RUNBOOK...
 *   gc     the collector runs all the time
 *   pad    so many blocks of odd sizes lie in the heap before anything begins
 *   state  the journal is a file, one per scenario, in directories there, and its audit counts
 *   one    all scenarios go into one file, in `state` itself
 *   plant  an answer of the world depends on an accident: `address`, `heap` or `collector`. A gate that does not see
 *          it is blind */
#include "check/check.h"

#include "base/json.h"
#include "base/limits.h"
#include "vm/vm.h"

#include <stdio.h>
#include <stdlib.h>

struct wish {
    struct check_mode mode;
    const char *plant, *config, *state;
    long pad;
    bool one;
    int number;
};

/* Bytes that a state has after it made garbage: as the collector left them. */
static double collector(int gc_mode)
{
    struct vm_options o = {.gc_mode = gc_mode, .seed = 1};
    struct vm *vm = NULL;
    struct vm_event ev;
    uint32_t branch;
    double n;
    int rc;

    if (vm_new(&o, &vm, NULL) < 0 ||
        vm_start_chunk(vm, "plant", STR("local t for i = 1, 2000 do t = { i } end return t"), &branch, NULL) < 0)
        return -1;
    do
        rc = vm_step(vm, &ev);
    while (rc == 2 || (rc == 1 && ev.outcome != VM_DONE && ev.outcome != VM_ERROR));
    n = (double)vm_memory(vm);
    vm_free(vm);
    return n;
}

static double planted(const struct wish *w)
{
    void *block;
    double n;

    if (strcmp(w->plant, "address") == 0)
        return (double)((uintptr_t)&block >> 12);
    if (strcmp(w->plant, "collector") == 0)
        return collector(w->mode.gc_mode);
    /* From the start of the heap, which the address layout moves: only what lies in it counts. */
    block = malloc(40);
    n = (double)((uintptr_t)block & 0xfff);
    free(block);
    return n;
}

/* Holes and blocks between which everything else will lie. */
static void pad_heap(long n)
{
    static void *blocks[4096];
    long i;

    for (i = 0; i < n && i < 4096; i++)
        blocks[i] = malloc((size_t)(24 + i * 40 % 1000));
    for (i = 0; i < n && i < 4096; i += 3) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static int fail(const struct err *e)
{
    char text[1400];

    fprintf(stderr, "child: %s\n", err_text(e, text, sizeof(text)));
    return 1;
}

static void report(const char *runbook, const struct scenario_result *r)
{
    struct buf line = BUF_INIT(MIB);
    struct json_object o;

    json_open(&o, &line);
    json_put_string(&o, "chain", str_of(r->chain));
    json_put_string(&o, "name", str_of(r->name));
    json_put_bool(&o, "passed", r->passed);
    json_put_string(&o, "runbook", str_of(runbook));
    json_put_string(&o, "why", str_of(buf_text(&r->why)));
    json_close(&o);
    puts(buf_text(&line));
    buf_free(&line);
}

static int play(struct wish *w, const char *runbook, struct config *config)
{
    struct scenario_result r;
    struct scenarios *scenarios = NULL;
    struct err e = {0};
    size_t i;

    if (scenarios_load(NULL, runbook, &scenarios, &e) < 0)
        return fail(&e);
    for (i = 0; i < json_array_size(scenarios->list); i++) {
        json_t *scenario = json_array_get(scenarios->list, i);
        char dir[4096];
        int rc;

        w->number++;
        snprintf(dir, sizeof(dir), "%s", w->state ? w->state : "");
        if (!w->one)
            snprintf(dir, sizeof(dir), "%s/%d", w->state ? w->state : "", w->number);
        w->mode.state_dir = w->state ? dir : NULL;
        w->mode.seed = w->one ? (uint64_t)w->number : 0;
        if (w->plant)
            json_object_set_new(json_object_get(scenario, "given"), "plant", json_real(planted(w)));
        rc = scenario_run(NULL, runbook, config, scenarios, i, &w->mode, &r, &e);
        if (rc == 0)
            report(runbook, &r);
        scenario_result_deinit(&r);
        if (rc < 0)
            return fail(&e);
    }
    scenarios_free(scenarios);
    return 0;
}

static bool take(struct wish *w, const char *word)
{
    if (strcmp(word, "gc") == 0)
        w->mode.gc_mode = 1;
    else if (strcmp(word, "evict") == 0)
        w->mode.evict_always = true;
    else if (strncmp(word, "pad=", 4) == 0)
        w->pad = strtol(word + 4, NULL, 10);
    else if (strncmp(word, "state=", 6) == 0)
        w->state = word + 6;
    else if (strcmp(word, "one") == 0)
        w->one = true;
    else if (strncmp(word, "plant=", 6) == 0)
        w->plant = word + 6;
    else if (strncmp(word, "config=", 7) == 0)
        w->config = word + 7;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct wish w = {0};
    struct config *config = NULL;
    struct err e = {0};
    int i = 1, rc = 0;

    for (; i < argc && take(&w, argv[i]); i++) {
    }
    pad_heap(w.pad);
    if (config_load(w.config, &config, &e) < 0)
        return fail(&e);
    for (; rc == 0 && i < argc; i++)
        rc = play(&w, argv[i], config);
    config_free(config);
    return rc;
}
