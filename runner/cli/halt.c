/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch halt: a file that every dispatch looks for. It works with a dead journal and a full
 * disk; where the journal can be written, the halt is also a row of the system's own journal. */
#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/socket.h"
#include "io/host.h"
#include "run/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWNER_WAIT_S = 10 };

/* Where nobody owns the journal. */
static int write_row(struct cli *c, struct host *h, bool on, const char *why, struct err *e)
{
    struct journal *j;
    struct writer *w = NULL;
    int rc = journal_sqlite_open(c->state_dir, "midwatch halt", NULL, &j, e);

    if (rc == 0)
        rc = writer_new(j, false, NULL, NULL, &w, e);
    if (rc == 0)
        rc = system_halt(w, h, on, cli_who(), why, e);
    writer_free(w);
    return rc;
}

/* The journal's owner writes it, else this command does. */
static int journal_it(struct cli *c, struct host *h, bool on, const char *why, struct err *e)
{
    json_t *request = json_pack("{s:b s:s s:s}", "halt", on, "verb", "decide", "why", why);
    struct buf text = BUF_INIT(KIB);
    int rc = socket_ask(c->state_dir, request, OWNER_WAIT_S, &text, e);

    json_decref(request);
    buf_free(&text);
    if (rc != ERR_NOT_FOUND)
        return rc;
    *e = (struct err){0};
    return write_row(c, h, on, why, e);
}

/* A full disk may have no room for a reason, and still some for a name. */
static int write_halt(struct host *h, const char *path, const char *why, struct err *e)
{
    int fd;

    if (h->ops->write_file(h, path, str_of(why), e) == 0)
        return 0;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return e->code;
    close(fd);
    *e = (struct err){0};
    return 0;
}

/* Either halts. */
static int halt(struct cli *c, struct host *h, const char *path, const char *why)
{
    struct err file = {0}, row = {0};

    write_halt(h, path, why, &file);
    journal_it(c, h, true, why, &row);
    if (file.code && row.code)
        return cli_fail(&file);
    if (file.code)
        fprintf(stderr, "midwatch: the file could not be written (%s); the journal halts all the same\n", file.msg);
    if (row.code)
        fprintf(stderr, "midwatch: the journal could not take it up (%s); the file halts all the same\n", row.msg);
    return 0;
}

/* What is released is recorded, or it is not released. */
static int release(struct cli *c, struct host *h, const char *path)
{
    struct err e = {0};

    if (journal_it(c, h, false, "", &e) < 0) {
        fprintf(stderr, "midwatch: still halted: the journal has to take that up first\n");
        return cli_fail(&e);
    }
    return h->ops->remove_file(h, path, &e) < 0 && e.code != ERR_NOT_FOUND ? cli_fail(&e) : 0;
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
    rc = c->release ? release(c, h, path) : halt(c, h, path, why);
    if (rc == 0)
        cli_tell(c, json_pack("{s:b}", "halted", !c->release), "%s",
                 c->release ? "released: effects may be sent again" : "halted: nothing is sent until midwatch halt --release");
    h->ops->free(h);
    return rc;
}
