/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch undo: put back what an ended run changed. It says first what that would be,
 * and asks where somebody can answer. */
#include "base/limits.h"
#include "cli/session.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool list_effect(void *ctx, const struct effect_info *x)
{
    bool *listed = ctx;
    struct buf b = BUF_INIT(4 * KIB);

    if (!*listed)
        printf("run %lld changed, and the latest is put back first:\n", (long long)x->run);
    *listed = true;
    str_add_printable(&b, x->target, strlen(x->target));
    printf("  %s on %s (%s)\n", x->action, buf_text(&b), effect_state_name(x->state));
    buf_free(&b);
    return true;
}

/* True if it may go on. */
static bool agreed(void)
{
    char answer[16] = "";

    fflush(stdout);
    if (!isatty(0) || !isatty(1))
        return true;
    fprintf(stderr, "Undo this? [y/N] ");
    return read(0, answer, sizeof(answer) - 1) > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

int verb_undo(struct cli *c)
{
    struct session s = {.executes = true};
    struct err e = {0};
    bool listed = false;
    int64_t id;
    int rc = session_open(&s, c, "midwatch undo");

    if (rc == 0)
        rc = cli_run_id(writer_journal(s.writer), c->args[0], &id);
    if (rc == 0 && engine_undo_list(s.engine, id, list_effect, &listed, &e) < 0)
        rc = cli_fail(&e);
    else if (rc == 0 && !agreed())
        rc = EXIT_USAGE;
    else if (rc == 0)
        rc = engine_undo(s.engine, id, cli_who(), &s.run, &e) < 0 ? cli_fail(&e) : session_run(&s);
    session_close(&s);
    return rc;
}
