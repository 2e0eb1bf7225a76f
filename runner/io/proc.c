/* SPDX-License-Identifier: Apache-2.0 */
/* Children on the loop. The end is seen on a pidfd, and while the leader is
 * still unreaped its number cannot be reused, so the group is always killed
 * before waitid. After KILL nothing is waited for longer than the grace: a
 * process stuck in the kernel is answered for and reaped when it goes. */
#include "io/proc.h"

#include "base/limits.h"
#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TIMEOUT_MS = 60 * 1000,
    GRACE_MS = 2000,
    DRAIN_READS = 64,           /* after the end: more than a pipe can hold */
    ENV_MINIMAL = 4,
};

enum stage { RUNNING, TERMINATED, KILLED, GIVEN_UP };

struct proc {
    struct host_op op;
    host_spawn_fn done;         /* NULL once answered or cancelled */
    void *ctx;
    pid_t pid;
    int pidfd;                  /* -1 once reaped */
    uv_poll_t ended;
    uv_timer_t timer;
    enum stage stage;
    int64_t grace_ms;
    struct stream out[2], in;
    struct buf read[2];         /* from out */
    char *input;
    size_t input_len, input_sent;
    int handles;                /* open uv handles; the object goes with the last */
    struct spawn_answer answer;
};

static void on_closed(uv_handle_t *handle)
{
    struct proc *p = handle->data;

    if (--p->handles > 0)
        return;
    buf_free(&p->read[0]);
    buf_free(&p->read[1]);
    free(p->input);
    free(p);
}

/* Lets go of everything but the watch on a child that is not reaped yet. */
static void release(struct proc *p)
{
    for (int i = 0; i < 2; i++)
        stream_close(&p->out[i]);
    stream_close(&p->in);
    handle_close((uv_handle_t *)&p->timer, on_closed);
}

static void deliver(struct proc *p)
{
    host_spawn_fn done = p->done;

    p->done = NULL;
    op_remove(&p->op);
    p->answer.out = (struct str){buf_text(&p->read[0]), p->read[0].len};
    p->answer.errout = (struct str){buf_text(&p->read[1]), p->read[1].len};
    if (done)
        done(p->ctx, &p->answer);
}

/* Returns true while there may be more to read at once. */
static bool read_some(struct proc *p, int i)
{
    struct buf *b = &p->read[i];
    struct str bytes;

    if (stream_read(&p->out[i], &bytes) <= 0)
        return false;
    if (bytes.n > b->max - b->len) {
        p->answer.truncated = true;
        bytes.n = b->max - b->len;
    }
    buf_add(b, bytes.p, bytes.n);
    return true;
}

static void on_output(uv_poll_t *poll, int status, int events)
{
    struct proc *p = poll->data;

    (void)status;       /* an error shows in read */
    (void)events;
    read_some(p, poll == &p->out[0].poll ? 0 : 1);
}

static void send_input(struct proc *p)
{
    while (p->input_sent < p->input_len) {
        ssize_t n = write(p->in.fd, p->input + p->input_sent, p->input_len - p->input_sent);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break;      /* a child that does not want its input is no error */
        p->input_sent += (size_t)n;
    }
    stream_close(&p->in);
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    send_input(poll->data);
}

void proc_reap(int *pidfd, int *exit_code, int *signal)
{
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)*pidfd, &info, WEXITED) != 0)
        info.si_status = SIGKILL;
    *exit_code = info.si_code == CLD_EXITED ? info.si_status : -1;
    *signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    close(*pidfd);
    *pidfd = -1;
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
    struct proc *p = poll->data;

    (void)status;
    (void)events;
    kill(-p->pid, SIGKILL);
    for (int i = 0; i < 2; i++)
        for (int reads = 0; p->out[i].fd >= 0 && reads < DRAIN_READS && read_some(p, i); reads++)
            ;
    handle_close((uv_handle_t *)&p->ended, on_closed);
    proc_reap(&p->pidfd, &p->answer.exit_code, &p->answer.signal);
    if (p->done)
        deliver(p);
    release(p);
}

static void on_timer(uv_timer_t *timer)
{
    struct proc *p = timer->data;

    p->stage++;
    p->answer.timed_out = true;
    if (p->stage == GIVEN_UP) {
        p->answer.exit_code = -1;
        p->answer.signal = SIGKILL;
        deliver(p);
        release(p);
        return;
    }
    kill(-p->pid, p->stage == TERMINATED ? SIGTERM : SIGKILL);
    uv_timer_start(timer, on_timer, (uint64_t)p->grace_ms, 0);
}

/* The end of a child that could not be watched: it was killed and reaped at its start. */
static void on_unwatched(uv_timer_t *timer)
{
    struct proc *p = timer->data;

    p->answer.exit_code = -1;
    p->answer.signal = SIGKILL;
    deliver(p);
    release(p);
}

static void cancel(struct host_op *op)
{
    struct proc *p = (struct proc *)op;

    op_remove(op);
    p->done = NULL;
    if (p->pidfd >= 0)
        kill(-p->pid, SIGKILL);
    release(p);
}

int proc_pipe(int ends[2])
{
    int low[2];
    int r = -1;

    if (pipe2(low, O_CLOEXEC) != 0)
        return -1;
    if (low[0] > 2 && low[1] > 2) {
        ends[0] = low[0];
        ends[1] = low[1];
        return 0;
    }
    ends[0] = fcntl(low[0], F_DUPFD_CLOEXEC, 3);
    ends[1] = fcntl(low[1], F_DUPFD_CLOEXEC, 3);
    if (ends[0] >= 0 && ends[1] >= 0) {
        r = 0;
    } else {
        if (ends[0] >= 0)
            close(ends[0]);
        if (ends[1] >= 0)
            close(ends[1]);
    }
    close(low[0]);
    close(low[1]);
    return r;
}

static int open_stream(struct proc *p, struct stream *s, bool to_child, uv_loop_t *loop, int *theirs)
{
    int rc = stream_open(s, to_child, loop, p, on_closed, theirs);

    p->handles += rc == 0;
    return rc;
}

/* PATH, HOME and LANG=C: what a program needs to find itself, nothing of ours. */
static char **minimal_env(void)
{
    char **env = xcalloc(ENV_MINIMAL, sizeof *env);
    const char *path = getenv("PATH");
    const char *home = getenv("HOME");
    struct buf b;

    buf_init(&b, 64 * KIB);
    buf_addf(&b, "PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
    env[0] = buf_take(&b, NULL);
    buf_init(&b, 64 * KIB);
    buf_addf(&b, "HOME=%s", home ? home : "/");
    env[1] = buf_take(&b, NULL);
    env[2] = xstrdup("LANG=C");
    return env;
}

/* Takes env over; what `more` names stands as it says. */
static char **with_more(char **env, const char *const *more)
{
    size_t n = 0, i;

    while (env[n])
        n++;
    for (; more && *more; more++) {
        size_t key = strcspn(*more, "=") + 1;

        for (i = 0; i < n && strncmp(env[i], *more, key) != 0; i++)
            ;
        if (i < n) {
            free(env[i]);
        } else {
            env = xrealloc(env, (n + 2) * sizeof *env);
            env[++n] = NULL;
        }
        env[i] = xstrdup(*more);
    }
    return env;
}

static char **copy_env(const char *const *from)
{
    char **env = xcalloc(1, sizeof *env);

    return with_more(env, from);
}

static void free_env(char **env)
{
    for (int i = 0; env[i]; i++) {
        explicit_bzero(env[i], strlen(env[i]));
        free(env[i]);
    }
    free(env);
}

/* What the child does between vfork and exec, on its parent's memory: system calls only. Returns what failed. It dies
 * with the thread that starts it, which is the loop's and lives as long as the program: a server that a plugin is would
 * wait for ever, and an effect whose deadline nobody keeps any more could happen after it was read back as absent. */
static int become(const struct spawn_request *r, const char *file, char **env, const int theirs[3], pid_t parent)
{
    sigset_t none;
    int in = theirs[0];

    if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return errno;
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    if (in < 0 && (in = open("/dev/null", O_RDONLY)) < 0)
        return errno;
    if ((in != 0 && dup2(in, 0) < 0) || dup2(theirs[1], 1) < 0 || dup2(theirs[2], 2) < 0)
        return errno;
    closefrom(3);
    if (r->cwd && chdir(r->cwd) != 0)
        return errno;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(file, (char *const *)r->argv, env);
    return errno;
}

/* The file that a program's name means: itself, or the first that may be executed in PATH. 0 or an errno. */
static int find_program(const char *name, struct buf *file)
{
    const char *path = getenv("PATH"), *end;
    int rc = ENOENT;

    if (strchr(name, '/')) {
        buf_adds(file, name);
        return 0;
    }
    for (path = path ? path : "/usr/local/bin:/usr/bin:/bin"; path; path = end ? end + 1 : NULL) {
        struct stat st;

        end = strchr(path, ':');
        buf_reset(file);
        buf_addf(file, "%.*s/%s", end ? (int)(end - path) : (int)strlen(path), path, name);
        if (stat(buf_text(file), &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (access(buf_text(file), X_OK) == 0)
            return 0;
        rc = EACCES;
    }
    return rc;
}

int proc_spawn(const struct spawn_request *r, const int theirs[3], pid_t *pid)
{
    struct buf file = BUF_INIT(8 * KIB);
    volatile int failed = find_program(r->argv[0], &file);
    char **env = with_more(r->env ? copy_env(r->env) : minimal_env(), r->more_env);
    pid_t parent = getpid(), child = -1;
    sigset_t all, before;

    if (failed == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        child = vfork();
        if (child == 0) {
            failed = become(r, buf_text(&file), env, theirs, parent);
            _exit(EXIT_FAILURE);
        }
        if (child < 0)
            failed = errno;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (child > 0 && failed) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    *pid = child;
    free_env(env);
    buf_free(&file);
    return failed;
}

int proc_failed(const struct spawn_request *r, int errnum, struct err *e)
{
    const char *name = r->argv[0];
    struct stat st;

    if (r->cwd && (stat(r->cwd, &st) != 0 || !S_ISDIR(st.st_mode)))
        return err_set(e, ERR_IO, "run %s: no directory %s", name, r->cwd);
    if (errnum == ENOENT)
        return err_set(e, ERR_IO, "run %s: not found", name);
    if (errnum == ENOEXEC)
        return err_set(e, ERR_IO, "run %s: not a program (a script needs a #! line)", name);
    return err_set(e, ERR_IO, "run %s: %s", name, strerror(errnum));
}

/* From here on the child runs: whatever fails, the caller hears of its end. */
static void watch(struct proc *p, uv_loop_t *loop, int64_t timeout_ms)
{
    p->ended.data = p;
    p->pidfd = pidfd_open(p->pid, 0);
    uv_update_time(loop);
    if (p->pidfd < 0 || uv_poll_init(loop, &p->ended, p->pidfd) != 0) {
        kill(-p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        if (p->pidfd >= 0)
            close(p->pidfd);
        p->pidfd = -1;
        uv_timer_start(&p->timer, on_unwatched, 0, 0);
        return;
    }
    p->handles++;
    uv_poll_start(&p->ended, UV_READABLE, on_ended);
    uv_timer_start(&p->timer, on_timer, (uint64_t)timeout_ms, 0);
    for (int i = 0; i < 2; i++)
        uv_poll_start(&p->out[i].poll, UV_READABLE, on_output);
    if (p->in.fd >= 0)
        uv_poll_start(&p->in.poll, UV_WRITABLE, on_input);
}

int proc_start(uv_loop_t *loop, struct host_op **list, const struct spawn_request *r, host_spawn_fn done, void *ctx,
               struct host_op **out, struct err *e)
{
    int theirs[3] = {-1, -1, -1};
    struct proc *p;
    int rc = 0;

    if (!r->argv || !r->argv[0] || !r->argv[0][0])
        return err_set(e, ERR_INVALID, "run: no program named");
    p = xcalloc(1, sizeof *p);
    p->pidfd = p->in.fd = p->out[0].fd = p->out[1].fd = -1;
    p->grace_ms = r->grace_ms > 0 ? r->grace_ms : GRACE_MS;
    for (int i = 0; i < 2; i++)
        buf_init(&p->read[i], r->max_output ? r->max_output : PROC_OUTPUT_MAX);
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    p->handles = 1;

    if (open_stream(p, &p->out[0], false, loop, &theirs[1]) != 0 ||
        open_stream(p, &p->out[1], false, loop, &theirs[2]) != 0 ||
        (r->input.n > 0 && open_stream(p, &p->in, true, loop, &theirs[0]) != 0))
        rc = errno;
    else
        rc = proc_spawn(r, theirs, &p->pid);
    for (int i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    if (rc != 0) {
        release(p);
        return proc_failed(r, rc, e);
    }
    if (r->input.n > 0) {
        p->input = xmemdup(r->input.p, r->input.n);
        p->input_len = r->input.n;
    }
    p->done = done;
    p->ctx = ctx;
    p->op.cancel = cancel;
    watch(p, loop, r->timeout_ms > 0 ? r->timeout_ms : TIMEOUT_MS);
    op_add(list, &p->op);
    *out = &p->op;
    return 0;
}
