/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the vm layer share: run one chunk to its end and look at
 * what came out. Gate calls are answered with `answer`. */
#ifndef MIDWATCH_TESTS_VM_TEST_H
#define MIDWATCH_TESTS_VM_TEST_H

#include "vm/vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

struct outcome {
    enum vm_outcome outcome;
    int line;
    int slices;             /* how often it was preempted */
    int requests;
    char text[8192];        /* JSON of the results, or the error */
    char json[4096];        /* of an error value */
};

static inline struct vm *vm_make(struct vm_options o)
{
    struct vm *vm = NULL;
    struct err e = {0};
    assert_int_equal(vm_new(&o, &vm, &e), 0);
    return vm;
}

static inline void outcome_set(struct outcome *out, const struct vm_event *ev)
{
    out->outcome = ev->outcome;
    out->line = ev->line;
    if (ev->outcome == VM_DONE)
        snprintf(out->text, sizeof out->text, "%.*s", (int)ev->json.n, ev->json.p);
    else
        snprintf(out->text, sizeof out->text, "%s", ev->error ? ev->error : "");
    if (ev->outcome == VM_ERROR)
        snprintf(out->json, sizeof out->json, "%.*s", (int)ev->json.n, ev->json.p ? ev->json.p : "");
}

/* Until a branch ends. */
static inline struct outcome vm_finish(struct vm *vm, const char *answer)
{
    struct outcome out = {.outcome = VM_PARKED};
    struct vm_event ev;
    struct err e = {0};
    int rc;
    while ((rc = vm_step(vm, &ev)) != 0) {
        if (rc == 2) {
            out.slices++;
        } else if (ev.outcome == VM_PARKED) {
            out.requests++;
            if (vm_answer(vm, ev.request.branch, ev.request.generation, str_of(answer), &e) < 0)
                break;
        } else {
            outcome_set(&out, &ev);
            break;
        }
    }
    return out;
}

static inline struct outcome vm_run(struct vm *vm, const char *text)
{
    struct outcome out = {.outcome = VM_ERROR};
    struct err e = {0};
    uint32_t branch;
    if (vm_start_chunk(vm, "t.md", str_of(text), &branch, &e) < 0) {
        err_text(&e, out.text, sizeof out.text);
        out.outcome = e.code == ERR_LIMIT ? VM_NOMEM : VM_ERROR;
        return out;
    }
    return vm_finish(vm, "null");
}

/* Runs text in a fresh state. */
static inline struct outcome run_text(const char *text)
{
    struct vm *vm = vm_make((struct vm_options){.seed = 7});
    struct outcome out = vm_run(vm, text);
    vm_free(vm);
    return out;
}

static inline void expect_results(const char *text, const char *json)
{
    struct outcome out = run_text(text);
    if (out.outcome != VM_DONE || strcmp(out.text, json) != 0)
        fail_msg("%s\n  gave (%d) %s\n  not %s", text, out.outcome, out.text, json);
}

static inline void expect_error(const char *text, const char *part)
{
    struct outcome out = run_text(text);
    if (out.outcome != VM_ERROR || !strstr(out.text, part))
        fail_msg("%s\n  gave (%d) %s\n  not an error with: %s", text, out.outcome, out.text, part);
}

static inline void load_module(struct vm *vm, const char *name, const char *text)
{
    struct err e = {0};
    if (vm_load_trusted(vm, name, str_of(text), (struct str){0}, &e) < 0 || vm_publish(vm, name, &e) < 0)
        fail_msg("module %s: %s", name, e.msg);
}

#endif
