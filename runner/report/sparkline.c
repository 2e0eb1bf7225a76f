/* SPDX-License-Identifier: Apache-2.0 */
/* Values as a row of bars. With more values than room each bar is the highest of its share: peaks matter. */
#include "report/report.h"

#include <math.h>

#define LEVELS 8

static const char *const bars[LEVELS] = {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
static const char *const ascii[LEVELS] = {"_", ".", ":", "-", "=", "+", "*", "#"};

static double highest(const double *values, size_t from, size_t to)
{
    double best = NAN;

    for (; from < to; from++)
        best = isnan(best) || values[from] > best ? values[from] : best;
    return best;
}

void sparkline(const double *values, size_t n, size_t width, bool utf8, struct buf *out)
{
    size_t shown = n < width ? n : width, i;
    double low = NAN, high = highest(values, 0, n);

    for (i = 0; i < n; i++)
        low = isnan(low) || values[i] < low ? values[i] : low;
    for (i = 0; i < shown; i++) {
        double v = highest(values, i * n / shown, (i + 1) * n / shown);
        /* Halves, so that the distance of two huge values does not overflow. */
        double part = high > low ? (v / 2 - low / 2) / (high / 2 - low / 2) : 0.5;
        size_t level = isnan(v) ? 0 : (size_t)(part * (LEVELS - 1) + 0.5);

        buf_adds(out, isnan(v) ? "?" : (utf8 ? bars : ascii)[level < LEVELS ? level : LEVELS - 1]);
    }
}
