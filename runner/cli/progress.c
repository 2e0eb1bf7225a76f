/* SPDX-License-Identifier: Apache-2.0 */
/* Lines from rows; what comes from outside has been made printable by sentence_of. */
#include "cli/progress.h"

#include "base/limits.h"
#include "base/slice.h"
#include "report/sentence.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct progress {
    bool json, terminal, colour, drawn;
    int64_t started;
    char section[128];
    struct buf last;            /* what the last look of a wait said: repeated looks are not repeated lines */
    bool waiting;
};

struct progress *progress_new(bool json)
{
    struct progress *p = xcalloc(1, sizeof(*p));
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

    p->json = json;
    p->terminal = isatty(1) && term && strcmp(term, "dumb") != 0;
    p->colour = p->terminal && !(no_colour && no_colour[0]);
    buf_init(&p->last, 4 * KIB);
    return p;
}

void progress_free(struct progress *p)
{
    if (p)
        buf_free(&p->last);
    free(p);
}

void progress_clear(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stdout);
    p->drawn = false;
}

static const char *colour_of(enum row_kind kind)
{
    switch (kind) {
    case ROW_INTENT:
        return "\033[1;33m";
    case ROW_UNKNOWN:
    case ROW_REFUSED:
    case ROW_ESCALATION:
        return "\033[1;31m";
    case ROW_CAUSE:
    case ROW_END:
        return "\033[1m";
    default:
        return "";
    }
}

static void status(struct progress *p, const char *what)
{
    if (!p->terminal)
        return;
    progress_clear(p);
    printf("  ... %.90s  (Ctrl-C to stop)", what);
    p->drawn = true;
}

/* A new heading of the runbook, once. */
static void section(struct progress *p, const struct run *r, const struct row *row)
{
    int64_t line = json_slice_int(row->payload, "line", 0);
    const char *title = line > 0 ? book_section(run_book(r), (int)line) : "";
    struct buf b = BUF_INIT(KIB);

    if (title[0] == '\0' || strncmp(title, p->section, sizeof(p->section) - 1) == 0)
        return;
    snprintf(p->section, sizeof(p->section), "%s", title);
    str_add_printable(&b, title, strlen(title));
    printf("%s%s%s\n", p->colour ? "\033[4m" : "", buf_text(&b), p->colour ? "\033[0m" : "");
    buf_free(&b);
}

static void line(struct progress *p, const struct row *row, const char *text)
{
    double t = (double)(row->at - p->started) / 1000;
    const char *colour = p->colour ? colour_of(row->kind) : "";

    printf("%7.1fs  %s%s%s\n", t, colour, text, colour[0] ? "\033[0m" : "");
}

void progress_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct progress *p = ctx;
    struct buf b = BUF_INIT(4 * KIB);

    if (row->kind == ROW_START)
        p->started = row->at;
    if (p->json || replayed || !sentence_of(row, &b)) {
        buf_free(&b);
        return;
    }
    if (row->kind == ROW_WAIT)
        p->waiting = true;
    else if (row->kind != ROW_OBS)
        p->waiting = false;
    /* While it waits, the same answer again is no news. */
    if (!(p->waiting && row->kind == ROW_OBS && strcmp(buf_text(&b), buf_text(&p->last)) == 0)) {
        progress_clear(p);
        section(p, r, row);
        line(p, row, buf_text(&b));
    }
    if (row->kind == ROW_OBS) {
        buf_reset(&p->last);
        buf_add(&p->last, b.data, b.len);
    }
    if (row->kind == ROW_WAIT || row->kind == ROW_INTENT)
        status(p, buf_text(&b));
    fflush(stdout);
    buf_free(&b);
}
