/* SPDX-License-Identifier: Apache-2.0 */
/* One function per kind of row, and one table that says how each kind looks. */
#include "report/sentence.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>

#define TEXT_MAX 300            /* bytes of one value in a sentence */
#define SAID_MAX (2 * KIB)      /* of one text of somebody */

struct words {
    const struct row *row;
    const json_t *args, *payload;
    struct buf *out;
};

static void say_as(struct buf *out, const char *s, size_t n, size_t max, void (*add)(struct buf *out, const char *s, size_t n))
{
    struct str shown = journal_clip((struct str){s, n}, max + 1);

    add(out, shown.p, shown.n);
    if (shown.n < n)
        buf_addf(out, "... (%zu bytes)", n);
}

static void say_at_most(struct buf *out, const char *s, size_t n, size_t max)
{
    say_as(out, s, n, max, str_add_printable);
}

static void say(struct buf *out, const char *s)
{
    say_at_most(out, s, strlen(s), SAID_MAX);
}

/* What the author of a runbook wrote to people may have lines. */
static void say_lines(struct buf *out, const char *s)
{
    say_as(out, s, strlen(s), SAID_MAX, str_add_lines);
}

static void say_str(struct buf *out, struct str s)
{
    say_at_most(out, s.p, s.n, SAID_MAX);
}

static const char *text(const json_t *o, const char *key)
{
    return json_get_string(o, key, "");
}

/* Two units are enough for a person: 30d, 5m7s, 1.25 s, 140 ms. */
static void seconds(double s, struct buf *out)
{
    char text[32];
    double unit = s >= 86400 ? 3600 : s >= 3600 ? 60 : 1;

    if (s < 1)
        buf_addf(out, "%.0f ms", s * 1000);
    else if (s < 120)
        buf_addf(out, "%.3g s", s);
    else
        buf_adds(out, str_duration((int64_t)(s / unit) * (int64_t)unit * 1000, text, sizeof(text)));
}

void sentence_value(const json_t *v, const char *unit, struct buf *out)
{
    struct buf b = BUF_INIT(64 * KIB);
    double n = json_number_value(v);

    if (json_is_number(v) && unit && strcmp(unit, "s") == 0 && n >= 0 && n < 1e12) {
        seconds(n, out);
    } else if (json_is_number(v) && unit && strcmp(unit, "ratio") == 0) {
        buf_addf(out, "%.3g %%", n * 100);
    } else if (json_is_real(v)) {
        buf_addf(out, "%.4g", n);
    } else if (json_is_string(v)) {
        say_at_most(out, json_string_value(v), json_string_length(v), TEXT_MAX);
    } else if (json_is_object(v) && json_object_size(v) == 1) {
        const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)v));

        say_at_most(out, key, strlen(key), TEXT_MAX);
        buf_addc(out, ' ');
        sentence_value(json_object_get(v, key), NULL, out);
    } else {
        json_add_value(&b, v);
        say_at_most(out, buf_text(&b), b.len, TEXT_MAX);
    }
    if (json_is_number(v) && unit && unit[0] && strcmp(unit, "s") != 0 && strcmp(unit, "ratio") != 0)
        buf_addf(out, " %s", unit);
    buf_free(&b);
}

/* "4.p95" and "4.b2.1.p95" are called p95; "4" and "4.b2.1" have no name of their own. */
static struct str label_of(const struct row *row)
{
    const char *dot = row->path.n ? memrchr(row->path.p, '.', row->path.n) : NULL;
    struct str label = dot ? (struct str){dot + 1, (size_t)(row->path.p + row->path.n - dot - 1)} : STR("");
    size_t i = label.n && label.p[0] == 'b';

    while (i < label.n && label.p[i] >= '0' && label.p[i] <= '9')
        i++;
    return i == label.n ? STR("") : label;
}

struct str sentence_name(const struct row *row, const json_t *args)
{
    struct str label = label_of(row);

    if (label.n)
        return label;
    return str_of(text(args, text(args, "called")[0] ? "called" : text(args, "name")[0] ? "name" : "text"));
}

static bool say_start(struct words *w)
{
    const char *name, *separator = " with ";
    const json_t *value;

    buf_adds(w->out, "started by ");
    say(w->out, text(w->payload, "requester"));
    json_object_foreach(json_object_get(w->payload, "params"), name, value) {
        buf_adds(w->out, separator);
        str_add_printable(w->out, name, strlen(name));
        buf_addc(w->out, '=');
        sentence_value(value, NULL, w->out);
        separator = ", ";
    }
    return true;
}

static bool say_obs(struct words *w)
{
    const json_t *o = json_object_get(w->payload, "o"), *absent = json_object_get(w->args, "absent");

    say_str(w->out, sentence_name(w->row, w->args));
    buf_adds(w->out, " = ");
    if (absent && strcmp(text(o, "unknown"), "no_data") == 0) {
        sentence_value(absent, text(w->args, "unit"), w->out);
        buf_adds(w->out, " (its default, for no_data: ");
        say(w->out, text(o, "why"));
        buf_addc(w->out, ')');
    } else if (json_object_get(o, "unknown")) {
        buf_adds(w->out, "unknown (");
        say(w->out, text(o, "unknown"));
        buf_adds(w->out, "): ");
        say(w->out, text(o, "why"));
    } else {
        sentence_value(json_object_get(o, "value"), text(json_object_get(o, "unit") ? o : w->args, "unit"), w->out);
    }
    return true;
}

static bool say_plan(struct words *w)
{
    buf_adds(w->out, "plan: ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_addc(w->out, ' ');
    say(w->out, text(w->payload, "target"));
    if (json_object_get(w->payload, "refused")) {
        buf_adds(w->out, ": refused, ");
        say(w->out, text(w->payload, "refused"));
        buf_adds(w->out, ": ");
        say(w->out, text(w->payload, "why"));
    } else if (json_object_get(w->payload, "unknown")) {
        buf_adds(w->out, ": its state is unknown: ");
        say(w->out, text(w->payload, "why"));
    } else if (json_is_true(json_object_get(w->payload, "already"))) {
        buf_adds(w->out, ": already so");
    } else {
        buf_adds(w->out, " -> ");
        sentence_value(json_object_get(w->payload, "to"), NULL, w->out);
    }
    return true;
}

static bool say_intent(struct words *w)
{
    int64_t attempt = json_get_int(w->payload, "attempt", 1);

    buf_adds(w->out, json_object_get(w->payload, "undo_of") ? "UNDO " : "CHANGE ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_addc(w->out, ' ');
    say(w->out, text(w->args, "target"));
    buf_adds(w->out, " -> ");
    sentence_value(json_object_get(w->args, "to"), NULL, w->out);
    if (attempt > 1)
        buf_addf(w->out, " (attempt %lld)", (long long)attempt);
    return true;
}

static bool say_result(struct words *w)
{
    buf_adds(w->out, "result: ");
    say(w->out, text(w->payload, "outcome"));
    buf_adds(w->out, " (");
    say(w->out, text(w->payload, "how"));
    buf_addc(w->out, ')');
    if (json_object_get(w->payload, "why")) {
        buf_adds(w->out, ": ");
        say(w->out, text(w->payload, "why"));
    }
    return true;
}

static bool say_unknown(struct words *w)
{
    buf_adds(w->out, "the outcome is UNKNOWN: ");
    say(w->out, text(w->payload, "why"));
    return true;
}

static bool say_check(struct words *w)
{
    buf_adds(w->out, "read back: ");
    say(w->out, text(w->payload, "verdict"));
    if (json_object_get(w->payload, "why")) {
        buf_adds(w->out, ": ");
        say(w->out, text(w->payload, "why"));
    }
    return true;
}

static bool say_settle(struct words *w)
{
    say(w->out, text(w->payload, "by"));
    buf_adds(w->out, " says: ");
    say(w->out, text(w->payload, "verdict"));
    return true;
}

static bool say_skip(struct words *w)
{
    const char *why = text(w->args, "why");

    buf_adds(w->out, "nothing sent: ");
    say(w->out, why[0] ? why : text(w->payload, "why"));
    return true;
}

static bool say_refused(struct words *w)
{
    buf_adds(w->out, "REFUSED, ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_adds(w->out, ": ");
    say(w->out, text(w->payload, "why"));
    return true;
}

/* A verdict on something with a title, and why. */
static bool say_judged(struct words *w, const char *what)
{
    buf_addf(w->out, "%s \"", what);
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_adds(w->out, "\": ");
    say(w->out, text(w->args, "verdict"));
    if (json_object_get(w->args, "why")) {
        buf_adds(w->out, ": ");
        say(w->out, text(w->args, "why"));
    }
    return true;
}

static bool say_verify(struct words *w)
{
    return say_judged(w, "verify");
}

static bool say_wait(struct words *w)
{
    char within[32];

    buf_adds(w->out, "waiting: ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_addf(w->out, ", at most %s",
             str_duration((int64_t)(json_number_value(json_object_get(w->args, "within")) * 1000), within, sizeof(within)));
    return true;
}

static bool say_verdict(struct words *w)
{
    return say_judged(w, "hypothesis");
}

static bool say_cause(struct words *w)
{
    buf_adds(w->out, "cause: ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    return true;
}

static bool say_ask(struct words *w)
{
    const json_t *choice, *x;
    size_t i;
    bool approval = strcmp(text(w->args, "kind"), "approval") == 0;

    buf_adds(w->out, approval ? "APPROVAL wanted: " : "QUESTION: ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    if (text(w->args, "text")[0]) {
        buf_adds(w->out, ": ");
        say_lines(w->out, text(w->args, "text"));
    }
    json_array_foreach(json_object_get(w->args, "effects"), i, x) {
        buf_adds(w->out, i ? ", " : ": ");
        say(w->out, text(x, "text"));
    }
    buf_adds(w->out, " [");
    json_array_foreach(json_object_get(w->args, "choices"), i, choice) {
        buf_adds(w->out, i ? "/" : "");
        say(w->out, json_string_value(choice));
    }
    buf_addc(w->out, ']');
    return true;
}

static bool say_answer(struct words *w)
{
    if (text(w->payload, "answer")[0]) {
        say(w->out, text(w->payload, "by"));
        buf_adds(w->out, " says ");
        say(w->out, text(w->payload, "answer"));
        if (json_object_get(w->payload, "more"))
            buf_adds(w->out, " (more people must agree)");
    } else {
        buf_adds(w->out, "no answer: ");
        say(w->out, text(w->payload, "why"));
    }
    return true;
}

static bool say_notify(struct words *w)
{
    buf_adds(w->out, "message to ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_adds(w->out, ": ");
    say_lines(w->out, text(w->args, "text"));
    return true;
}

static bool say_sent(struct words *w)
{
    if (!text(w->payload, "why")[0])
        return false;
    buf_adds(w->out, "the message to ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_adds(w->out, " could not be sent: ");
    say(w->out, text(w->payload, "why"));
    return true;
}

static bool say_note(struct words *w)
{
    const json_t *value = json_object_get(w->args, "value");

    if (str_is(w->row->name, "measure") && value) {
        say_str(w->out, sentence_name(w->row, w->args));
        buf_adds(w->out, " = ");
        sentence_value(value, text(w->args, "unit"), w->out);
        return true;
    }
    buf_adds(w->out, str_is(w->row->name, "follow_up") ? "follow up: " : "note: ");
    say_lines(w->out, text(w->args, "text"));
    return true;
}

static bool say_escalation(struct words *w)
{
    buf_adds(w->out, "ESCALATION");
    if (text(w->payload, "to")[0]) {
        buf_adds(w->out, " to ");
        say(w->out, text(w->payload, "to"));
    }
    buf_adds(w->out, ": ");
    say_lines(w->out, text(w->payload, "text"));
    return true;
}

static bool say_resume(struct words *w)
{
    buf_adds(w->out, "taken up again by ");
    say(w->out, text(w->payload, "by"));
    if (json_object_get(w->payload, "strike")) {
        buf_adds(w->out, "; it had ended the process ");
        say(w->out, text(w->payload, "strike"));
    }
    return true;
}

static bool say_quarantine(struct words *w)
{
    buf_adds(w->out, "QUARANTINED: ");
    say(w->out, text(w->payload, "text"));
    return true;
}

static bool say_ending(struct words *w)
{
    buf_adds(w->out, "ending, ");
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_adds(w->out, ": ");
    say_lines(w->out, text(w->args, "text"));
    return true;
}

static bool say_end(struct words *w)
{
    str_add_printable(w->out, w->row->name.p, w->row->name.n);
    buf_adds(w->out, " (");
    say(w->out, text(w->args, "reason"));
    buf_addc(w->out, ')');
    if (text(w->args, "text")[0]) {
        buf_adds(w->out, ": ");
        say_lines(w->out, text(w->args, "text"));
    }
    return true;
}

static bool say_nothing(struct words *w)
{
    (void)w;
    return false;
}

/* A kind that has no sentence yet still says what it holds. */
static bool say_any(struct words *w)
{
    const json_t *parts[] = {w->args, w->payload};
    size_t i;

    buf_adds(w->out, row_kind_name(w->row->kind));
    buf_addc(w->out, ' ');
    say_at_most(w->out, w->row->name.p, w->row->name.n, TEXT_MAX);
    for (i = 0; i < 2; i++) {
        if (json_object_size(parts[i]) == 0 || (i == 1 && json_object_size(parts[i]) == 1 && json_object_get(parts[i], "line")))
            continue;
        buf_addc(w->out, ' ');
        sentence_value(parts[i], NULL, w->out);
    }
    return true;
}

/* What people see of a row: sentence, lane of the picture, colour, step of the worksheet. A new kind is one line. */
static const struct {
    bool (*say)(struct words *w);
    struct kind_look look;
} kinds[ROW_KINDS] = {
    [ROW_START] = {say_start, {LANE_END, TONE_PLAIN, STEP_NONE}},
    [ROW_OBS] = {say_obs, {LANE_READ, TONE_PLAIN, STEP_OBSERVE}},
    [ROW_PLAN] = {say_plan, {LANE_CHANGE, TONE_PLAIN, STEP_FIX}},
    [ROW_INTENT] = {say_intent, {LANE_CHANGE, TONE_CHANGE, STEP_FIX}},
    [ROW_RESULT] = {say_result, {LANE_CHANGE, TONE_PLAIN, STEP_FIX}},
    [ROW_UNKNOWN] = {say_unknown, {LANE_CHANGE, TONE_BAD, STEP_FIX}},
    [ROW_CHECK] = {say_check, {LANE_CHANGE, TONE_PLAIN, STEP_FIX}},
    [ROW_SETTLE] = {say_settle, {LANE_PEOPLE, TONE_STRONG, STEP_FIX}},
    [ROW_SKIP] = {say_skip, {LANE_CHANGE, TONE_PLAIN, STEP_FIX}},
    [ROW_REFUSED] = {say_refused, {LANE_CHANGE, TONE_BAD, STEP_FIX}},
    [ROW_VERIFY] = {say_verify, {LANE_THINK, TONE_STRONG, STEP_FIX}},
    [ROW_WAIT] = {say_wait, {LANE_WAIT, TONE_PLAIN, STEP_FIX}},
    [ROW_TIMER] = {say_nothing, {LANE_WAIT, TONE_PLAIN, STEP_NONE}},
    [ROW_VERDICT] = {say_verdict, {LANE_THINK, TONE_PLAIN, STEP_TEST}},
    [ROW_CAUSE] = {say_cause, {LANE_THINK, TONE_STRONG, STEP_ANALYZE}},
    [ROW_NOTE] = {say_note, {LANE_READ, TONE_PLAIN, STEP_OBSERVE}},
    [ROW_ESCALATION] = {say_escalation, {LANE_PEOPLE, TONE_BAD, STEP_FIX}},
    [ROW_ASK] = {say_ask, {LANE_PEOPLE, TONE_STRONG, STEP_FIX}},
    [ROW_ANSWER] = {say_answer, {LANE_PEOPLE, TONE_STRONG, STEP_FIX}},
    [ROW_NOTIFY] = {say_notify, {LANE_PEOPLE, TONE_PLAIN, STEP_FIX}},
    [ROW_SENT] = {say_sent, {LANE_PEOPLE, TONE_BAD, STEP_FIX}},
    [ROW_ENDING] = {say_ending, {LANE_END, TONE_STRONG, STEP_FIX}},
    [ROW_RESUME] = {say_resume, {LANE_PEOPLE, TONE_PLAIN, STEP_NONE}},
    [ROW_QUARANTINE] = {say_quarantine, {LANE_PEOPLE, TONE_BAD, STEP_FIX}},
    [ROW_END] = {say_end, {LANE_END, TONE_STRONG, STEP_NONE}},
};

struct kind_look kind_look(enum row_kind k)
{
    return kinds[k].say ? kinds[k].look : (struct kind_look){LANE_PEOPLE, TONE_PLAIN, STEP_FIX};
}

bool sentence_say(const struct row *row, const json_t *args, const json_t *payload, struct buf *out)
{
    struct words w = {.row = row, .args = args, .payload = payload, .out = out};

    return (kinds[row->kind].say ? kinds[row->kind].say : say_any)(&w);
}

bool sentence_of(const struct row *row, struct buf *out)
{
    json_t *args = NULL, *payload = NULL;
    bool said;

    if (row->args.n)
        json_read(row->args, &args, NULL);
    if (row->payload.n)
        json_read(row->payload, &payload, NULL);
    said = sentence_say(row, args, payload, out);
    json_decref(args);
    json_decref(payload);
    return said;
}
