/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch undo: put back what an ended run changed. It looks first what that would be,
 * and asks where somebody can answer. */
#include "base/limits.h"
#include "check/undo.h"
#include "cli/session.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Prints what would be put back, and what has moved. 0, or an exit code. */
static int show(struct session *s, int64_t id, FILE *to)
{
    struct registry_options ro = {.host = s->host, .config = s->cli->config, .reads_only = true};
    struct registry *looks = NULL;
    struct buf text = BUF_INIT(MIB);
    json_t *list = NULL;
    struct err e = {0};
    int rc = engine_undo_list(s->engine, id, &list, &e);

    if (rc == 0)
        rc = registry_new(&ro, &looks, &e);
    if (rc == 0) {
        undo_look(looks, s->host, list);
        undo_text(id, list, &text);
        fputs(buf_text(&text), to);
        fflush(to);
    }
    registry_free(looks);
    json_decref(list);
    buf_free(&text);
    return rc < 0 ? cli_fail(&e) : 0;
}

/* True if it may go on: nobody is asked where nobody sits, as by cancel and settle. */
static bool agreed(FILE *terminal)
{
    char answer[16] = "";

    if (!terminal)
        return true;
    fprintf(terminal, "Undo this? [y/N] ");
    fflush(terminal);
    return read(0, answer, sizeof(answer) - 1) > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

int verb_undo(struct cli *c)
{
    struct session s = {.executes = true};
    struct err e = {0};
    /* Where somebody is asked, they see on the terminal what they agree to. */
    FILE *tty = isatty(0) ? fopen("/dev/tty", "we") : NULL, *terminal = tty || !isatty(0) ? tty : stderr;
    int64_t id;
    int rc = session_open(&s, c, "midwatch undo");

    if (rc == 0)
        rc = cli_run_id(writer_journal(s.writer), c->args[0], &id);
    if (rc == 0)
        rc = show(&s, id, terminal ? terminal : stdout);
    if (rc == 0 && (!agreed(terminal) || s.interrupts > 0))
        rc = EXIT_USAGE;
    else if (rc == 0)
        rc = engine_undo(s.engine, id, cli_who(), &s.run, &e) < 0 ? cli_fail(&e) : session_run(&s);
    session_close(&s);
    if (tty)
        fclose(tty);
    return rc;
}
