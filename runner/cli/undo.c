/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch undo: put back what an ended run changed. It says first what that would be,
 * and asks where somebody can answer. */
#include "base/limits.h"
#include "cli/session.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct listing {
    FILE *to;                       /* the terminal, where somebody is asked: they see what they agree to */
    bool listed;
};

static bool list_effect(void *ctx, const struct effect_info *x)
{
    struct listing *l = ctx;
    struct buf b = BUF_INIT(4 * KIB);

    if (!l->listed)
        fprintf(l->to, "run %lld changed, and the latest is put back first:\n", (long long)x->run);
    l->listed = true;
    str_add_printable(&b, x->target, strlen(x->target));
    fprintf(l->to, "  %s on %s (%s)\n", x->action, buf_text(&b), effect_state_name(x->state));
    buf_free(&b);
    return true;
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
    FILE *terminal = isatty(0) ? fopen("/dev/tty", "we") : NULL;
    struct listing l = {.to = terminal ? terminal : isatty(0) ? stderr : stdout};
    int64_t id;
    int rc = session_open(&s, c, "midwatch undo");

    if (rc == 0)
        rc = cli_run_id(writer_journal(s.writer), c->args[0], &id);
    if (rc == 0 && engine_undo_list(s.engine, id, list_effect, &l, &e) < 0)
        rc = cli_fail(&e);
    else if (rc == 0 && !agreed(l.to == stdout ? NULL : l.to))
        rc = EXIT_USAGE;
    else if (rc == 0)
        rc = engine_undo(s.engine, id, cli_who(), &s.run, &e) < 0 ? cli_fail(&e) : session_run(&s);
    session_close(&s);
    if (terminal)
        fclose(terminal);
    return rc;
}
