/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal is opened anew as /dev/tty, because a watched descriptor does not
 * block, and the shell's own must not be left that way. */
#include "cli/desk.h"

#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "run/engine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

struct seat {                       /* one open question */
    struct enquiry *q;
    struct seat *next;
};

struct desk {
    struct people base;
    struct host *host;
    struct progress *progress;
    struct seat *seats;             /* the oldest first */
    int tty;                        /* -1 = nobody sits here */
    struct host_op *watch;
    struct buf line;
};

static void say(const char *s)
{
    struct buf b = BUF_INIT(64 * KIB);

    str_add_printable(&b, s, strlen(s));
    fputs(buf_text(&b), stdout);
    buf_free(&b);
}

/* Words of the runbook's author, line by line. */
static void say_lines(const char *s)
{
    struct buf b = BUF_INIT(64 * KIB), lines = BUF_INIT(128 * KIB);

    str_add_lines(&b, s, strlen(s));
    str_add_indented(&lines, buf_text(&b), 2);
    fputs(buf_text(&lines), stdout);
    buf_free(&b);
    buf_free(&lines);
}

/* "3 -> 6"; without the first where nobody can look. */
static void add_field(struct buf *out, const json_t *x, const char *key)
{
    const json_t *from = json_object_get(json_object_get(x, "from"), key);

    if (from) {
        json_add_value(out, from);
        buf_adds(out, " -> ");
    }
    json_add_value(out, json_object_get(json_object_get(x, "to"), key));
}

/* "replicas: 3 -> 6", for every field that the effect changes; was: as it was asked for before, or NULL. */
static void print_change(const json_t *x, const json_t *was)
{
    struct buf b = BUF_INIT(64 * KIB), before = BUF_INIT(64 * KIB);
    const char *key;
    json_t *v;

    printf("  - ");
    say(json_get_string(x, "text", json_get_string(x, "target", "?")));
    puts(json_get_bool(x, "later", false) ? "  (planned when its turn comes; asked again then)"
         : json_get_bool(x, "already", false) ? "  (already so: nothing is sent)" : "");
    json_object_foreach(json_object_get(x, "to"), key, v) {
        buf_reset(&b);
        buf_reset(&before);
        add_field(&b, x, key);
        if (json_object_get(json_object_get(was, "to"), key))
            add_field(&before, was, key);
        printf("      %s: ", key);
        say(buf_text(&b));
        if (before.len && strcmp(buf_text(&before), buf_text(&b)) != 0) {
            fputs("   (asked before: ", stdout);
            say(buf_text(&before));
            putchar(')');
        }
        putchar('\n');
    }
    buf_free(&b);
    buf_free(&before);
}

static void print_choices(const struct enquiry *q)
{
    const json_t *choice;
    size_t i;

    fputs("Type ", stdout);
    json_array_foreach(json_object_get(q->args, "choices"), i, choice) {
        fputs(i ? " or " : "", stdout);
        say(json_string_value(choice));
    }
    fputs(": ", stdout);
    fflush(stdout);
}

static void print_question(struct desk *d)
{
    const struct enquiry *q = d->seats->q;
    const json_t *x;
    char within[32];
    int64_t left = q->deadline - d->host->ops->wall_ms(d->host);
    size_t i;

    /* What was typed before the question was seen is no answer to it. */
    tcflush(d->tty, TCIFLUSH);
    buf_reset(&d->line);
    progress_clear(d->progress);
    printf("\n%s: ", strcmp(json_get_string(q->args, "kind", ""), "approval") == 0 ? "APPROVAL" : "QUESTION");
    say(q->title);
    printf("   (within %s)\n", str_duration((left + 999) / 1000 * 1000, within, sizeof(within)));
    if (json_get_bool(q->args, "changed", false))
        puts("  The target has changed since it was asked; this is what would happen now:");
    if (json_get_string(q->args, "text", NULL)) {
        fputs("  ", stdout);
        say_lines(json_get_string(q->args, "text", ""));
        putchar('\n');
    }
    if (json_get_string(q->args, "why", NULL))
        printf("  It needs approval: %s.\n", json_get_string(q->args, "why", ""));
    json_array_foreach(json_object_get(q->args, "effects"), i, x)
        print_change(x, json_array_get(json_object_get(q->args, "was"), i));
    if (json_get_string(q->args, "once", NULL)) {
        fputs("  One yes is for all that this run asks as \"", stdout);
        say(json_get_string(q->args, "once", ""));
        puts("\": also for later changes that are not shown here, as far as may permits them.");
    }
    if (q->requester_may)
        print_choices(q);
    else
        printf("  Somebody else must answer:  midwatch approve %lld   or   midwatch deny %lld\n", (long long)q->run,
               (long long)q->run);
    fflush(stdout);
}

static void answer_first(struct desk *d, const char *text)
{
    struct enquiry *q = d->seats->q;
    struct reply w = {.answer = text, .by = cli_who(), .via = "terminal"};
    const char *wrong = q->answer(q->ctx, &w);

    if (!wrong)
        return;
    printf("%s\n", wrong);
    if (d->seats)
        print_choices(d->seats->q);
}

static void hang_up(struct desk *d)
{
    if (d->watch)
        d->host->ops->cancel(d->host, d->watch);
    d->watch = NULL;
}

static void readable(void *ctx)
{
    struct desk *d = ctx;
    char data[512], *end;
    ssize_t n = read(d->tty, data, sizeof(data));

    if (n <= 0) {
        hang_up(d);
        return;
    }
    buf_add(&d->line, data, (size_t)n);
    end = memchr(buf_text(&d->line), '\n', d->line.len);
    if (!end)
        return;
    *end = '\0';
    if (d->seats && end != d->line.data)
        answer_first(d, d->line.data);
    buf_reset(&d->line);
}

static int ask(struct people *p, struct enquiry *q, struct err *e)
{
    struct desk *d = (struct desk *)p;
    struct seat **at = &d->seats, *s;

    if (d->tty < 0 && d->progress)
        return err_set(e, ERR_NOT_FOUND, "nobody can be asked: this is no terminal");
    if (d->progress && !d->watch && d->host->ops->watch(d->host, d->tty, readable, d, &d->watch, e) < 0)
        return e->code;
    s = xcalloc(1, sizeof(*s));
    s->q = q;
    while (*at)
        at = &(*at)->next;
    *at = s;
    if (s == d->seats && d->progress)
        print_question(d);
    return 0;
}

static void withdraw(struct people *p, struct enquiry *q)
{
    struct desk *d = (struct desk *)p;
    struct seat **at = &d->seats, *s;
    bool first = d->seats && d->seats->q == q;

    while (*at && (*at)->q != q)
        at = &(*at)->next;
    s = *at;
    if (!s)
        return;
    *at = s->next;
    free(s);
    if (!d->seats)
        hang_up(d);
    else if (first && d->progress)
        print_question(d);
}

int desk_say(struct desk *d, int64_t run, const char *path, const struct reply *w, struct err *e)
{
    struct enquiry *found = NULL;
    const struct seat *s;
    const char *wrong;
    size_t n = 0;

    for (s = d->seats; s; s = s->next) {
        if (s->q->run != run || (path && strcmp(path, s->q->path) != 0))
            continue;
        found = s->q;
        n++;
    }
    if (n == 0)
        return err_set(e, ERR_NOT_FOUND, "run %lld asks nothing%s%s now", (long long)run, path ? " at " : "", path ? path : "");
    if (n > 1)
        return err_set(e, ERR_INVALID, "run %lld asks several things at once; say which (midwatch show %lld)",
                       (long long)run, (long long)run);
    wrong = found->answer(found->ctx, w);
    return wrong ? answer_refused(found->args, run, path, w, wrong, e) : 0;
}

static const struct people_ops desk_ops = {.ask = ask, .withdraw = withdraw};

struct desk *desk_new(struct host *h, struct progress *p)
{
    struct desk *d = xcalloc(1, sizeof(*d));

    d->base.ops = &desk_ops;
    d->host = h;
    d->progress = p;
    d->tty = p && isatty(0) && isatty(1) ? open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    buf_init(&d->line, 4 * KIB);
    return d;
}

void desk_free(struct desk *d)
{
    if (!d)
        return;
    hang_up(d);
    while (d->seats)
        withdraw(&d->base, d->seats->q);
    if (d->tty >= 0)
        close(d->tty);
    buf_free(&d->line);
    free(d);
}

struct people *desk_people(struct desk *d)
{
    return &d->base;
}
