/* SPDX-License-Identifier: Apache-2.0 */
/* test --faults: a scenario with one fault at a time, at every question and wait. */
#include "check/check.h"
#include "check/faults.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

/* So often the same question may fail: what follows are polls that differ in nothing. */
#define SAME_MAX 3

static bool is_poll(const struct fault_plan *base, size_t k)
{
    size_t i, same = 0;

    for (i = 0; i + 1 < k; i++)
        same += base->kinds[i] == base->kinds[k - 1] && strcmp(base->names[i], base->names[k - 1]) == 0;
    return same >= SAME_MAX;
}

static void tell_fault(struct scenario_result *out, const struct fault_plan *base, size_t k, enum fault f,
                       const struct scenario_result *got, const struct err *e)
{
    buf_addf(&out->why, "  %s at question %zu, %s:%s", fault_name(f), k, base->names[k - 1], e->code ? " " : "\n");
    if (e->code)
        buf_addf(&out->why, "%s\n", e->msg);
    else
        buf_addf(&out->why, "%s", buf_text(&got->why));
    out->passed = false;
}

/* Equal where all that led to question k is equal, and what was answered to it and to those asked with it: the rows until
 * something is asked again. */
static void key_of(const struct fault_plan *base, size_t k, enum fault f, char out[2 * HASH_BYTES + 60])
{
    const struct hash *here = &base->before[k - 1], *behind = &base->so_far;
    char hex[2 * HASH_BYTES + 1];
    size_t i, first = k - 1;

    for (i = k; i < base->calls && hash_eq(&base->before[i], here); i++)
        continue;
    if (i < base->calls)
        behind = &base->before[i];
    while (first > 0 && hash_eq(&base->before[first - 1], here))
        first--;
    snprintf(out, 2 * HASH_BYTES + 60, "%s %s %zu", fault_name(f), hash_hex(behind, hex), k - first);
}

/* True if the fault was tried in a run that was equal so far; else it is from now on. */
static bool is_tried(const struct check_mode *mode, const struct fault_plan *base, size_t k, enum fault f)
{
    char key[2 * HASH_BYTES + 60];

    if (!mode->tried)
        return false;
    key_of(base, k, f, key);
    if (json_object_get(mode->tried, key))
        return true;
    json_object_set_new(mode->tried, key, json_true());
    return false;
}

int scenario_faults(struct source *source, const char *runbook, struct config *config, const struct scenarios *all, size_t i,
                    const struct check_mode *mode, struct scenario_result *out, struct err *e)
{
    struct fault_plan base = {0};
    char before[80] = "";
    struct check_mode with = *mode;
    struct scenario_result got;
    size_t k, tried = 0, shared = 0;
    enum fault f;
    int rc;

    with.cover = NULL;
    with.fault = &base;
    rc = scenario_run(source, runbook, config, all, i, &with, &got, e);
    *out = (struct scenario_result){.passed = true, .why = BUF_INIT(256 * KIB)};
    scenario_result_deinit(&got);
    for (k = 1; rc == 0 && k <= base.calls; k++) {
        for (f = 0; f < FAULTS; f++) {
            struct fault_plan plan = {.at = k, .fault = f};
            struct err wrong = {0};

            if (!fault_fits(f, base.kinds[k - 1]) || is_poll(&base, k))
                continue;
            if (is_tried(mode, &base, k, f)) {
                shared++;
                continue;
            }
            with.fault = &plan;
            tried++;
            if (scenario_run(source, runbook, config, all, i, &with, &got, &wrong) < 0 || !got.passed)
                tell_fault(out, &base, k, f, &got, &wrong);
            scenario_result_deinit(&got);
            fault_plan_deinit(&plan);
        }
    }
    if (shared)
        snprintf(before, sizeof(before), "; %zu others: tried already, where a scenario began alike", shared);
    snprintf(out->name, sizeof(out->name), "%.160s: %zu faults%s", json_get_string(json_array_get(all->list, i), "name", "?"),
             tried, before);
    fault_plan_deinit(&base);
    return rc;
}
