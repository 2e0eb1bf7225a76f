/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch halt: a file that every dispatch looks for. It works with a dead journal;
 * where the journal can be owned, the halt is also a row of the system's own journal. */
#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "io/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct last {
    int64_t seq;
};

static bool see(void *ctx, const struct row *r)
{
    ((struct last *)ctx)->seq = r->seq;
    return true;
}

/* Row and projection; an owner or a dead journal leaves the file alone to halt. */
static void journal_it(struct cli *c, struct host *h, bool on, const char *why)
{
    struct buf payload = BUF_INIT(4 * KIB);
    struct json_object o;
    struct journal *j = NULL;
    struct last last = {0};
    struct err e = {0};
    struct row row;
    struct change change = {.kind = CHANGE_HALT, .n = on, .text = str_of(why)};
    struct journal_item item = {.rows = &row, .nrows = 1, .changes = &change, .nchanges = 1, .at = h->ops->wall_ms(h)};

    json_open(&o, &payload);
    json_put_string(&o, "by", str_of(cli_who()));
    json_put_string(&o, "why", str_of(why));
    json_close(&o);
    if (journal_sqlite_open(c->state_dir, "midwatch halt", NULL, &j, &e) < 0 ||
        j->ops->rows(j, 0, 1, see, &last, &e) < 0) {
        fprintf(stderr, "midwatch: the journal could not take it up (%s); the file halts all the same\n", e.msg);
    } else {
        row = (struct row){.seq = last.seq + 1, .kind = ROW_SYSTEM, .name = on ? STR("halt") : STR("release"),
                           .payload = {payload.data, payload.len}, .at = item.at};
        if (j->ops->commit(j, &item, 1, &e) < 0)
            fprintf(stderr, "midwatch: %s; the file halts all the same\n", e.msg);
    }
    if (j)
        j->ops->free(j);
    buf_free(&payload);
}

int verb_halt(struct cli *c)
{
    const char *why = c->nargs ? c->args[0] : "";
    struct host *h = NULL;
    struct err e = {0};
    char path[4200];
    int rc = cli_config(c);

    if (rc)
        return rc;
    if (c->release && c->nargs) {
        fprintf(stderr, "midwatch halt: --release takes no reason\n");
        return EXIT_USAGE;
    }
    if (host_real_new(&h, &e) < 0)
        return cli_fail(&e);
    snprintf(path, sizeof(path), "%s/halt", c->state_dir);
    mkdir(c->state_dir, 0700);
    if (c->release ? h->ops->remove_file(h, path, &e) : h->ops->write_file(h, path, str_of(why), &e))
        rc = e.code == ERR_NOT_FOUND ? 0 : cli_fail(&e);
    if (rc == 0) {
        journal_it(c, h, !c->release, why);
        cli_tell(c, json_pack("{s:b}", "halted", !c->release), "%s",
                 c->release ? "released: effects may be sent again" : "halted: nothing is sent until midwatch halt --release");
    }
    h->ops->free(h);
    return rc;
}
