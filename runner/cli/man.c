/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch(1) as mdoc. */
#include "cli/cli.h"

#include "base/str.h"

#define DATED "November 25, 2026"       /* of the text below */

/* Text that mdoc takes as text: no escape, no macro, no end of a quoted argument. */
static void add_text(struct buf *out, const char *s)
{
    if ((*s == '.' || *s == '\'') && (out->len == 0 || out->data[out->len - 1] == '\n'))
        buf_adds(out, "\\&");
    for (; *s; s++) {
        if (*s == '\\')
            buf_adds(out, "\\e");
        else if (*s == '-')
            buf_adds(out, "\\-");
        else if (*s == '"')
            buf_adds(out, "\\(dq");
        else
            buf_addc(out, *s);
    }
}

/* Sentences begin on a line of their own, as mdoc wants them, and lines end before column 80. */
static void add_sentences(struct buf *out, const char *s)
{
    bool ended = false;
    size_t column = 0;

    while (*s) {
        size_t n = strcspn(s, " ");
        char *word = xstrndup(s, n);

        if (column)
            buf_addc(out, ended || column + n > 70 ? '\n' : ' ');
        column = column && !ended && column + n <= 70 ? column + n + 1 : n;
        add_text(out, word);
        ended = word[n - 1] == '.' && s[n];
        s += n + strspn(s + n, " ");
        if (!*s)
            buf_adds(out, word[n - 1] == '.' ? "\n" : ".\n");
        free(word);
    }
}

static void add_sentence(struct buf *out, const char *s)
{
    char *one = xstrdup(s);

    if (one[0] >= 'a' && one[0] <= 'z')
        one[0] = (char)(one[0] - 'a' + 'A');
    add_sentences(out, one);
    free(one);
}

static void add_argument(struct buf *out, const char *macro, const char *text)
{
    if (!text || !text[0])
        return;
    buf_addf(out, " %s \"", macro);
    add_text(out, text);
    buf_addc(out, '"');
}

static void add_item(struct buf *out, const char *macro, const char *name, const char *argument, const char *text)
{
    buf_adds(out, ".It");
    add_argument(out, macro, name);
    add_argument(out, "Ar", argument);
    buf_addc(out, '\n');
    add_sentence(out, text);
}

static void add_verb(struct buf *out, const struct verb *v)
{
    size_t i, n;
    bool first = true;
    const struct option *o = cli_options(&n);

    add_item(out, "Cm", v->name, v->usage, v->summary);
    add_sentences(out, v->more);
    for (i = 0; i < n; i++) {
        if (!(v->flags & o[i].flag))
            continue;
        buf_adds(out, first ? "Options:\n" : " ,\n");
        first = false;
        buf_adds(out, ".Fl");
        buf_addf(out, " %s", o[i].name[1] == '-' ? "\\-" : "");
        add_text(out, o[i].name + 1 + (o[i].name[1] == '-'));
    }
    if (!first)
        buf_adds(out, " .\n");
}

static void add_commands(struct buf *out)
{
    size_t i, n;
    const struct verb *v = cli_verbs(&n);

    buf_adds(out, ".Sh COMMANDS\n");
    for (i = 0; i < n && v[i].group != GROUP_HIDDEN; i++) {
        if (i == 0 || v[i].group != v[i - 1].group)
            buf_addf(out, "%s.Ss %s\n.Bl -tag -width Ds\n", i ? ".El\n" : "", cli_group_title(v[i].group));
        add_verb(out, &v[i]);
    }
    buf_adds(out, ".El\n");
}

static void add_options(struct buf *out)
{
    size_t i, n;
    const struct option *o = cli_options(&n);

    buf_adds(out, ".Sh OPTIONS\nWhich command takes which option, its entry says.\n.Bl -tag -width Ds\n");
    for (i = 0; i < n; i++)
        add_item(out, "Fl", o[i].name + 1, o[i].value, o[i].help);
    buf_adds(out, ".It Fl h , Fl \\-help\nPrint all about the command.\n.El\n");
}

struct named {
    const char *name, *text;
};
static const struct named environment[] = {
    {"MIDWATCH_CONFIG", "the configuration file"},
    {"MIDWATCH_STATE", "the state directory, where neither the option nor the configuration names one"},
    {"KUBECONFIG", "makes an instance named kubernetes where there is no configuration"},
    {"PROMETHEUS_URL", "makes an instance named prometheus where there is no configuration"},
    {"NO_COLOR", "if it is set and not empty, nothing is coloured"},
    {"LC_ALL, LC_CTYPE, LANG", "whether the terminal shows UTF-8"},
};
static const struct named files[] = {
    {"./midwatch.yaml", "the configuration, if no other is named"},
    {"~/.config/midwatch/midwatch.yaml", "the user's configuration"},
    {"/etc/midwatch/midwatch.yaml", "the configuration of the machine"},
    {"./runbooks/NAME.md", "the runbook NAME"},
    {"./runbooks/NAME.test.yaml", "its scenarios"},
    {"~/.local/state/midwatch", "the state directory; of root: /var/lib/midwatch"},
    {"journal.db", "in the state directory: the journal, everything that every run saw, decided and changed"},
    {"halt", "in the state directory: while it is there, no effect is sent"},
    {"escalations/RUN.md", "in the state directory: the evidence of a run that was handed over"},
    {"owner.sock", "in the state directory: how other commands reach the run that is being executed"},
};

static void add_list(struct buf *out, const char *section, const char *macro, const struct named *list, size_t n)
{
    size_t i;

    buf_addf(out, ".Sh %s\n.Bl -tag -width Ds\n", section);
    for (i = 0; i < n; i++)
        add_item(out, macro, list[i].name, NULL, list[i].text);
    buf_adds(out, ".El\n");
}

static void add_exits(struct buf *out)
{
    size_t i, n;
    const struct exit_code *x = cli_exits(&n);

    buf_adds(out, ".Sh EXIT STATUS\nOf several that hold, 6 comes before 4, and 4 before 3.\n.Bl -tag -width Ds\n");
    for (i = 0; i < n; i++) {
        buf_addf(out, ".It %d\n", x[i].code);
        add_sentence(out, x[i].meaning);
    }
    buf_adds(out, ".El\n");
}

void cli_man(struct buf *out)
{
    buf_adds(out, ".Dd " DATED "\n.Dt MIDWATCH 1\n.Os\n.Sh NAME\n.Nm midwatch\n.Nd executes runbooks\n"
                  ".Sh SYNOPSIS\n.Nm\n.Ar verb\n.Op Ar argument ...\n.Sh DESCRIPTION\n.Nm\nexecutes runbooks.\n");
    add_sentences(out, "A runbook is one Markdown file that a person can read and the program can run: it looks, decides, "
                       "repairs, proves that the repair worked, undoes it if not, and hands over to a person, with the "
                       "evidence, whenever it is not sure. No effect is sent before its intent is on disk; one whose outcome "
                       "is not known is read back, never sent blindly again and never reported as done.");
    add_commands(out);
    add_options(out);
    add_list(out, "ENVIRONMENT", "Ev", environment, sizeof(environment) / sizeof(environment[0]));
    add_list(out, "FILES", "Pa", files, sizeof(files) / sizeof(files[0]));
    add_exits(out);
    buf_adds(out, ".Sh EXAMPLES\nWrite, test and run a runbook:\n.Bd -literal -offset indent\n"
                  "midwatch new web\\-down\nmidwatch test web\\-down\nmidwatch run web\\-down \\-p service=api\n.Ed\n");
}
