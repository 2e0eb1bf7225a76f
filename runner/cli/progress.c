/* SPDX-License-Identifier: Apache-2.0 */
/* Lines from rows; what comes from outside has been made printable by sentence_of. */
#include "cli/progress.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "cli/cli.h"
#include "report/sentence.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT_COLUMN 10          /* behind the seconds */

struct progress {
    bool json, terminal, colour, drawn;
    int64_t started;
    char section[128];
    struct buf last;            /* what the last look of a wait said: repeated looks are not repeated lines */
    bool waiting;
    double looks[60];           /* values of `looked` since the wait began, the newest last */
    size_t nlooks;
    char looked[64];
    struct view view;
    const char *hint;           /* what Ctrl-C does */
};

struct progress *progress_new(bool json)
{
    struct progress *p = xcalloc(1, sizeof(*p));
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

    p->json = json;
    p->hint = "Ctrl-C to stop";
    p->terminal = isatty(1) && term && strcmp(term, "dumb") != 0;
    p->colour = p->terminal && !(no_colour && no_colour[0]);
    p->view = cli_view();
    buf_init(&p->last, 4 * KIB);
    return p;
}

void progress_hint(struct progress *p, const char *hint)
{
    p->hint = hint;
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
    printf("  ... %.90s  (%s)", what, p->hint);
    p->drawn = true;
}

/* A new heading of the runbook, once. */
static void section(struct progress *p, const struct runbook *book, const struct row *row)
{
    int64_t line = json_slice_int(row->payload, "line", 0);
    const char *title = line > 0 && book ? book_section(book, (int)line) : "";
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
    struct buf lines = BUF_INIT(64 * KIB);

    str_add_indented(&lines, text, TEXT_COLUMN);
    printf("%7.1fs  %s%s%s\n", t, colour, buf_text(&lines), colour[0] ? "\033[0m" : "");
    buf_free(&lines);
}

static void looks_line(struct progress *p, const char *end)
{
    struct buf b = BUF_INIT(4 * KIB);

    sparkline(p->looks, p->nlooks, p->view.width > 60 ? p->view.width - 60 : 8, p->view.utf8, &b);
    progress_clear(p);
    printf("  ... %s  %.*s%s", buf_text(&b), (int)journal_clip(str_of(buf_text(&p->last)), 40).n, buf_text(&p->last), end);
    p->drawn = end[0] == '\0';
    fflush(stdout);
    buf_free(&b);
}

/* One more look of a wait; true if it was shown as the one line that moves. */
static bool look_again(struct progress *p, const struct row *row, const char *text)
{
    size_t most = sizeof(p->looks) / sizeof(p->looks[0]);
    struct str name;
    json_t *payload = NULL, *args = NULL, *value;

    if (json_read(row->payload, &payload, NULL) < 0)
        return false;
    json_read(row->args, &args, NULL);
    name = sentence_name(row, args);
    value = json_object_get(json_object_get(payload, "o"), "value");
    if (p->nlooks == 0)
        snprintf(p->looked, sizeof(p->looked), "%.*s", (int)(name.n < 60 ? name.n : 60), name.p);
    if (name.n && str_is(name, p->looked)) {
        if (p->nlooks == most)
            memmove(p->looks, p->looks + 1, --p->nlooks * sizeof(p->looks[0]));
        p->looks[p->nlooks++] = json_is_number(value) ? json_number_value(value) : NAN;
        buf_reset(&p->last);
        buf_adds(&p->last, text);
    } else {
        name = STR("");
    }
    json_decref(payload);
    json_decref(args);
    if (p->nlooks < 2 || !name.n)
        return false;
    looks_line(p, "");
    return true;
}

void progress_row(void *ctx, const struct run *r, const struct row *row, bool replayed)
{
    struct progress *p = ctx;

    if (!replayed)
        progress_show(p, run_book(r), row);
    else if (row->kind == ROW_START)
        p->started = row->at;
}

void progress_show(struct progress *p, const struct runbook *book, const struct row *row)
{
    struct buf b = BUF_INIT(4 * KIB);

    if (row->kind == ROW_START)
        p->started = row->at;
    if (p->json || !sentence_of(row, &b)) {
        buf_free(&b);
        return;
    }
    if (row->kind == ROW_WAIT) {
        p->waiting = true;
        p->nlooks = 0;
    } else if (row->kind != ROW_OBS) {
        if (p->terminal && p->waiting && p->nlooks > 1)
            looks_line(p, "\n");
        p->waiting = false;
    }
    /* While it waits, the same answer again is no news. */
    if (p->terminal && p->waiting && row->kind == ROW_OBS && look_again(p, row, buf_text(&b))) {
        buf_free(&b);
        return;
    }
    if (!(p->waiting && row->kind == ROW_OBS && strcmp(buf_text(&b), buf_text(&p->last)) == 0)) {
        progress_clear(p);
        section(p, book, row);
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
