/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch show and midwatch report: one run, for people or for programs. */
#include "base/limits.h"
#include "cli/cli.h"
#include "io/file.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static bool locale_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *value = NULL;
    size_t i;

    for (i = 0; i < 3 && !(value && value[0]); i++)
        value = getenv(names[i]);
    return value && (strcasestr(value, "utf-8") || strcasestr(value, "utf8"));
}

struct view cli_view(void)
{
    struct view v = {.utf8 = locale_is_utf8(), .width = 100};
    struct winsize size;

    if (ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        v.width = size.ws_col;
    return v;
}

static int text_for_terminal(struct journal *j, int64_t run, struct buf *out, struct err *e)
{
    struct view v = cli_view();

    return report_text_view(j, run, &v, out, e);
}

static int deliver(struct cli *c, const struct buf *out)
{
    struct str text = {buf_text(out), out->len};
    struct err e = {0};

    if (!c->out_file)
        return fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0 ? 0 : EXIT_INTERNAL;
    return file_write(c->out_file, text, &e) < 0 ? cli_fail(&e) : 0;
}

static int print(struct cli *c, report_fn *render)
{
    struct buf out = BUF_INIT(256 * MIB);
    struct journal *j;
    struct err e = {0};
    int64_t id;
    int rc = cli_read_journal(c, &j);

    if (rc)
        return rc;
    rc = cli_run_id(j, c->args[0], &id);
    if (rc == 0 && render(j, id, &out, &e) < 0)
        rc = cli_fail(&e);
    if (rc == 0)
        rc = deliver(c, &out);
    buf_free(&out);
    j->ops->free(j);
    return rc;
}

int verb_show(struct cli *c)
{
    return print(c, c->json ? report_json : text_for_terminal);
}

int verb_report(struct cli *c)
{
    static const struct {
        const char *name;
        report_fn *render;
    } forms[] = {{"md", report_markdown}, {"html", report_html}, {"json", report_json}, {"text", text_for_terminal},
                 {"escalation", report_evidence}};
    size_t i;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(c->form ? c->form : "md", forms[i].name) == 0)
            return print(c, forms[i].render);
    }
    fprintf(stderr, "midwatch: -o is md, html, json, text or escalation, not '%.60s'\n", c->form);
    return EXIT_USAGE;
}
