/* SPDX-License-Identifier: Apache-2.0 */
/* posix_spawn with the house's rules. */
#include "io/spawn.h"

#include "base/buf.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENV_MINIMAL = 4 };

int spawn_pipe(int ends[2])
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

static void free_env(char **env)
{
    for (int i = 0; env && env[i]; i++)
        free(env[i]);
    free(env);
}

int spawn_child(const char *const *argv, const char *const *own, const char *cwd, const int theirs[3], pid_t *pid)
{
    char **env = own ? NULL : minimal_env();
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    sigset_t all, none;
    int rc;

    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawn_file_actions_init(&fa);
    rc = theirs[0] < 0 ? posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0)
                       : posix_spawn_file_actions_adddup2(&fa, theirs[0], 0);
    for (int i = 1; rc == 0 && i < 3; i++)
        rc = posix_spawn_file_actions_adddup2(&fa, theirs[i], i);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&fa, 3);
    if (rc == 0 && cwd)
        rc = posix_spawn_file_actions_addchdir_np(&fa, cwd);
    if (rc == 0)
        rc = posix_spawnp(pid, argv[0], &fa, &attr, (char *const *)argv,
                          env ? env : (char *const *)own);
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&attr);
    free_env(env);
    return rc;
}

int spawn_failed(const char *name, const char *cwd, int errnum, struct err *e)
{
    struct stat st;

    if (cwd && (stat(cwd, &st) != 0 || !S_ISDIR(st.st_mode)))
        return err_set(e, ERR_IO, "run %s: no directory %s", name, cwd);
    if (errnum == ENOENT)
        return err_set(e, ERR_IO, "run %s: not found", name);
    if (errnum == ENOEXEC)
        return err_set(e, ERR_IO, "run %s: not a program (a script needs a #! line)", name);
    return err_set(e, ERR_IO, "run %s: %s", name, strerror(errnum));
}
