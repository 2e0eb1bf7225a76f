/* SPDX-License-Identifier: Apache-2.0 */
/* How long the HTML report of a run of 500 rows takes: median of 101. */
#include "base/limits.h"
#include "report/report.h"

#include <stdio.h>
#include <time.h>

#include "../unit/report_journal.h"

#define TIMES 101

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(void)
{
    struct journal *j = record_repair(244);
    double took[TIMES];
    size_t i, bytes = 0;

    for (i = 0; i < TIMES; i++) {
        struct buf out = BUF_INIT(64 * MIB);
        struct err e = {0};
        double begun = now_ms();

        if (report_html(j, 1, &out, &e) < 0)
            return 1;
        took[i] = now_ms() - begun;
        bytes = out.len;
        buf_free(&out);
    }
    qsort(took, TIMES, sizeof(took[0]), compare);
    printf("html report of %lld rows: median %.2f ms, worst %.2f ms, %zu bytes   # build/report_bench\n", (long long)recorded_seq,
           took[TIMES / 2], took[TIMES - 1], bytes);
    j->ops->free(j);
    return took[TIMES / 2] < 10 ? 0 : 1;
}
