/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/socket.h"

#include "base/json.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define CLIENT_MS 5000              /* for its whole request, however slowly it comes */

struct client {
    struct socket *socket;
    int fd;                         /* -1 = free */
    int64_t since;                  /* mono ms */
    struct host_op *watch, *timer;
    struct buf line;
};

struct socket {
    struct host *host;
    int fd;
    struct host_op *watch;
    socket_fn fn;
    void *ctx;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct client clients[CLIENTS_MAX];
};

static int address_of(const char *state_dir, struct sockaddr_un *a, struct err *e)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((size_t)snprintf(a->sun_path, sizeof(a->sun_path), "%s/owner.sock", state_dir) >= sizeof(a->sun_path))
        return err_set(e, ERR_LIMIT, "the path of the state directory is too long for a socket");
    return 0;
}

static void hang_up(struct client *c)
{
    struct host *h = c->socket->host;

    if (c->watch)
        h->ops->cancel(h, c->watch);
    if (c->timer)
        h->ops->cancel(h, c->timer);
    if (c->fd >= 0)
        close(c->fd);
    buf_free(&c->line);
    c->watch = c->timer = NULL;
    c->fd = -1;
}

static void is_too_slow(void *ctx)
{
    struct client *c = ctx;

    c->timer = NULL;
    hang_up(c);
}

uid_t socket_person(uid_t uid, pid_t pid, const char *sudo_uid)
{
    char path[64], text[32] = "";
    unsigned long login;
    FILE *f;

    if (uid != 0)
        return uid;
    snprintf(path, sizeof(path), "/proc/%ld/loginuid", (long)pid);
    f = fopen(path, "re");
    if (f && !fgets(text, sizeof(text), f))
        text[0] = '\0';
    if (f)
        fclose(f);
    login = strtoul(text, NULL, 10);
    if (!text[0] || login == (uid_t)-1)
        login = sudo_uid ? strtoul(sudo_uid, NULL, 10) : 0;
    return getpwuid((uid_t)login) ? (uid_t)login : 0;
}

void socket_groups(uid_t uid, struct buf *text, const char **names)
{
    gid_t ids[GROUPS_MAX];
    size_t at[GROUPS_MAX], n = 0;
    int count = GROUPS_MAX, i;
    const struct passwd *p = getpwuid(uid);
    const struct group *g;

    names[0] = NULL;
    if (!p || getgrouplist(p->pw_name, p->pw_gid, ids, &count) < 0)
        return;
    for (i = 0; i < count; i++) {
        g = getgrgid(ids[i]);
        if (!g)
            continue;
        at[n++] = text->len;
        buf_add(text, g->gr_name, strlen(g->gr_name) + 1);
    }
    for (i = 0; (size_t)i < n; i++)
        names[i] = text->data + at[i];
    names[n] = NULL;
}

static void serve(struct client *c, const json_t *request, struct buf *out)
{
    struct buf groups = BUF_INIT(64 * KIB), text = BUF_INIT(64 * KIB);
    const char *names[GROUPS_MAX + 1] = {NULL};
    struct ucred cred = {.uid = (uid_t)-1};
    socklen_t n = sizeof(cred);
    const struct passwd *p;
    struct peer who = {.groups = names};
    char host[128] = "", why[1400];
    struct err e = {0};
    struct json_object o;
    uid_t person;
    int rc;

    getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n);
    person = socket_person(cred.uid, cred.pid, json_get_string(request, "sudo_uid", NULL));
    p = getpwuid(person);
    gethostname(host, sizeof(host) - 1);
    snprintf(who.name, sizeof(who.name), "%s@%s", p ? p->pw_name : "?", host);
    if (p)
        socket_groups(person, &groups, names);
    rc = p ? c->socket->fn(c->socket->ctx, &who, request, &text, &e)
           : err_set(&e, ERR_DENIED, "nobody knows user %ld", (long)cred.uid);
    json_open(&o, out);
    if (rc < 0)
        json_put_string(&o, "error", str_of(err_text(&e, why, sizeof(why))));
    else
        json_put_string(&o, "text", str_of(buf_text(&text)));
    json_close(&o);
    buf_addc(out, '\n');
    buf_free(&groups);
    buf_free(&text);
}

static void client_ready(void *ctx)
{
    struct client *c = ctx;
    struct buf out = BUF_INIT(64 * KIB);
    json_t *request = NULL;
    struct err e = {0};
    char data[4096];
    ssize_t n = read(c->fd, data, sizeof(data));

    if (n > 0)
        buf_add(&c->line, data, (size_t)n);
    if (n <= 0 || c->line.failed) {
        hang_up(c);
        return;
    }
    if (c->line.data[c->line.len - 1] != '\n')
        return;
    if (json_read((struct str){c->line.data, c->line.len - 1}, &request, &e) < 0)
        buf_adds(&out, "{\"error\":\"one JSON object in one line is wanted\"}\n");
    else
        serve(c, request, &out);
    if (write(c->fd, out.data, out.len) < 0)
        n = 0;                      /* it did not wait for the answer */
    json_decref(request);
    buf_free(&out);
    hang_up(c);
}

/* A free place, or that of the client that has been silent for longest. */
static struct client *place(struct socket *s)
{
    struct client *oldest = &s->clients[0];
    int i;

    for (i = 0; i < CLIENTS_MAX; i++) {
        if (s->clients[i].fd < 0)
            return &s->clients[i];
        if (s->clients[i].since < oldest->since)
            oldest = &s->clients[i];
    }
    hang_up(oldest);
    return oldest;
}

static void listener_ready(void *ctx)
{
    struct socket *s = ctx;
    struct host *h = s->host;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct client *c;
    struct err e = {0};

    if (fd < 0)
        return;
    c = place(s);
    c->fd = fd;
    c->since = h->ops->mono_ms(h);
    buf_init(&c->line, 64 * KIB);
    if (h->ops->watch(h, fd, client_ready, c, &c->watch, &e) < 0 ||
        h->ops->timer(h, CLIENT_MS, is_too_slow, c, &c->timer, &e) < 0)
        hang_up(c);
}

int socket_listen(struct host *h, const char *state_dir, socket_fn fn, void *ctx, struct socket **out, struct err *e)
{
    struct socket *s = xcalloc(1, sizeof(*s));
    struct sockaddr_un a;
    int i;

    s->host = h;
    s->fn = fn;
    s->ctx = ctx;
    for (i = 0; i < CLIENTS_MAX; i++)
        s->clients[i] = (struct client){.socket = s, .fd = -1};
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *out = s;
    if (address_of(state_dir, &a, e) < 0)
        return e->code;
    /* The journal's lock is ours, so whoever left this file is gone. */
    unlink(a.sun_path);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s->fd, 8) < 0)
        return err_set(e, ERR_IO, "%s: %s", a.sun_path, strerror(errno));
    snprintf(s->path, sizeof(s->path), "%s", a.sun_path);
    /* Who may reach it, the directory decides; who it is, the kernel says. */
    chmod(s->path, 0666);
    return h->ops->watch(h, s->fd, listener_ready, s, &s->watch, e);
}

void socket_free(struct socket *s)
{
    int i;

    if (!s)
        return;
    for (i = 0; i < CLIENTS_MAX; i++)
        hang_up(&s->clients[i]);
    if (s->watch)
        s->host->ops->cancel(s->host, s->watch);
    if (s->path[0])
        unlink(s->path);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

static int exchange(int fd, const json_t *request, struct buf *line, struct err *e)
{
    char data[4096];
    ssize_t n;

    json_add_value(line, request);
    buf_addc(line, '\n');
    if (send(fd, line->data, line->len, MSG_NOSIGNAL) != (ssize_t)line->len)
        return err_set(e, ERR_IO, "the owner of the journal does not listen: %s", strerror(errno));
    buf_reset(line);
    while ((n = read(fd, data, sizeof(data))) > 0)
        buf_add(line, data, (size_t)n);
    if (n < 0 || line->len == 0)
        return err_set(e, ERR_IO, "the owner of the journal gave no answer%s%s", n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
    return 0;
}

int socket_ask(const char *state_dir, const json_t *request, int within_s, struct buf *text, struct err *e)
{
    struct timeval within = {.tv_sec = within_s};
    struct buf line = BUF_INIT(64 * KIB);
    struct sockaddr_un a;
    json_t *answer = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = address_of(state_dir, &a, e);

    if (rc < 0)         /* nor could anybody listen there */
        rc = err_set(e, ERR_NOT_FOUND, "nobody can be reached at the journal in %s", state_dir);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof(within));
    if (rc == 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        rc = errno == ENOENT || errno == ECONNREFUSED
                 ? err_set(e, ERR_NOT_FOUND, "nobody works on the journal in %s now", state_dir)
                 : err_set(e, ERR_IO, "%s: %s", a.sun_path, strerror(errno));
    if (rc == 0)
        rc = exchange(fd, request, &line, e);
    if (rc == 0)
        rc = json_read((struct str){line.data, line.len}, &answer, e);
    if (rc == 0 && json_get_string(answer, "error", NULL))
        rc = err_set(e, ERR_INVALID, "%s", json_get_string(answer, "error", ""));
    if (rc == 0)
        buf_adds(text, json_get_string(answer, "text", ""));
    json_decref(answer);
    close(fd);
    buf_free(&line);
    return rc;
}
