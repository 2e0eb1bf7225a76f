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
    size_t *n = ctx;
    struct buf b = BUF_INIT(4 * KIB);

    if (!effect_in_force(x->state))
        return true;
    str_add_printable(&b, x->target, strlen(x->target));
    printf("  %s on %s (%s)\n", x->action, buf_text(&b), effect_state_name(x->state));
    buf_free(&b);
    (*n)++;
    return true;
}

/* True if it may go on. */
static bool agreed(struct session *s, int64_t id)
{
    struct journal *j = writer_journal(s->writer);
    struct err e = {0};
    char answer[16] = "";
    size_t n = 0;

    printf("run %lld changed, and the latest is put back first:\n", (long long)id);
    j->ops->effects(j, id, list_effect, &n, &e);
    fflush(stdout);
    if (n == 0 || !isatty(0) || !isatty(1))
        return true;
    fprintf(stderr, "Undo this? [y/N] ");
    return read(0, answer, sizeof(answer) - 1) > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

int verb_undo(struct cli *c)
{
    struct session s = {0};
    struct err e = {0};
    int64_t id;
    int rc = session_open(&s, c, "midwatch undo");

    if (rc == 0)
        rc = cli_run_id(writer_journal(s.writer), c->args[0], &id);
    if (rc == 0 && !agreed(&s, id))
        rc = EXIT_USAGE;
    else if (rc == 0)
        rc = engine_undo(s.engine, id, cli_who(), &s.run, &e) < 0 ? cli_fail(&e) : session_run(&s);
    session_close(&s);
    return rc;
}
