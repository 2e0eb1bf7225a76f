/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: the journal's place, the clock, the programs. Only looks; the journal is
 * opened as a reader, and its lock is seen in /proc/locks instead of tried. */
#include "check/doctor.h"

#include "base/limits.h"
#include "journal/journal.h"
#include "journal/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <unistd.h>

#define FREE_WARN ((int64_t)256 * MIB)
#define FREE_FAIL ((int64_t)16 * MIB)
#define CLOCK_MIN_MS 1735689600000      /* 2025: a machine without a battery starts in 1970 */

/* "pid what" of the process that holds the journal's lock; false if nobody does. */
static bool owner_of(const char *dir, char *out, size_t size)
{
    char path[4200], line[256], want[64];
    FILE *locks = fopen("/proc/locks", "re");
    struct stat st;
    bool held = false;
    int fd;
    ssize_t n;

    snprintf(path, sizeof(path), "%s/journal.lock", dir);
    if (locks && stat(path, &st) == 0) {
        snprintf(want, sizeof(want), " %02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
        while (!held && fgets(line, sizeof(line), locks))
            held = strstr(line, "FLOCK") && strstr(line, want);
    }
    if (locks)
        fclose(locks);
    if (!held || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return true;
}

struct count {
    size_t open, person, aside;
    int64_t newest_ms;
};

static bool count_run(void *ctx, const struct run_info *r)
{
    struct count *n = ctx;

    n->open += r->state != RUN_ENDED;
    n->person += r->state == RUN_WAITING_PERSON;
    n->aside += r->state == RUN_QUARANTINED;
    n->newest_ms = r->created_at > n->newest_ms ? r->created_at : n->newest_ms;
    return true;
}

static void check_journal(struct doctor *d)
{
    struct journal_options o = {.read_only = true};
    struct journal *j = NULL;
    struct count n = {0};
    struct err e = {0};
    char who[512];

    if (owner_of(d->state_dir, who, sizeof(who)))
        doctor_found(d, FINDING_OK, "journal", "in use by process %s", who);
    if (journal_sqlite_open(d->state_dir, "doctor", &o, &j, &e) < 0 || j->ops->runs(j, false, count_run, &n, &e) < 0) {
        if (e.code == ERR_NOT_FOUND)
            doctor_found(d, FINDING_OK, "journal", "none yet; the first run makes it");
        else
            doctor_found(d, FINDING_FAIL, "journal", "%s", e.msg);
    } else {
        doctor_found(d, n.person + n.aside ? FINDING_WARN : FINDING_OK, "journal",
                     "%zu open run%s, %zu waiting for a person, %zu quarantined%s", n.open, n.open == 1 ? "" : "s", n.person,
                     n.aside, n.person + n.aside ? " (midwatch list)" : "");
        if (n.newest_ms > d->host->ops->wall_ms(d->host) + 60000)
            doctor_found(d, FINDING_FAIL, "clock", "the newest run was started in the future: the clock went back");
    }
    if (j)
        j->ops->free(j);
}

static void check_space(struct doctor *d, const char *dir)
{
    struct statfs fs;
    int64_t left;

    if (statfs(dir, &fs) < 0)
        return;
    left = (int64_t)fs.f_bavail * fs.f_bsize;
    doctor_found(d, left < FREE_FAIL ? FINDING_FAIL : left < FREE_WARN ? FINDING_WARN : FINDING_OK, "state",
                 "%lld MiB free for the journal", (long long)(left / MIB));
    if (fs.f_type == NFS_SUPER_MAGIC || fs.f_type == SMB_SUPER_MAGIC || fs.f_type == (long)SMB2_SUPER_MAGIC)
        doctor_found(d, FINDING_WARN, "state", "%s is on a network file system, whose locks the journal cannot rely on", dir);
}

void doctor_state(struct doctor *d)
{
    char dir[4096], halt[4200], *slash;
    struct stat st;

    snprintf(dir, sizeof(dir), "%s", d->state_dir);
    /* What is not there yet will be made in the nearest directory that is. */
    while (stat(dir, &st) < 0 && errno == ENOENT && (slash = strrchr(dir, '/')) != NULL && slash != dir)
        *slash = '\0';
    if (stat(dir, &st) < 0 && errno == ENOENT)
        snprintf(dir, sizeof(dir), dir[0] == '/' ? "/" : ".");
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || access(dir, W_OK | X_OK) < 0) {
        doctor_found(d, FINDING_FAIL, "state", "%s cannot be written (--state DIR, or state: in the file)", d->state_dir);
        return;
    }
    if (strcmp(dir, d->state_dir) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)))
        doctor_found(d, FINDING_WARN, "state", "%s can be read or entered by others (chmod 700)", d->state_dir);
    else
        doctor_found(d, FINDING_OK, "state", "%s can be written", d->state_dir);
    check_space(d, dir);
    check_journal(d);
    snprintf(halt, sizeof(halt), "%s/halt", d->state_dir);
    if (d->host->ops->exists(d->host, halt))
        doctor_found(d, FINDING_WARN, "halt", "midwatch halt is on: nothing is sent until midwatch halt --release");
}

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    char *copy, *rest, *dir, full[4200];
    bool found = false;

    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    copy = rest = xstrdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
    while (!found && (dir = strsep(&rest, ":")) != NULL) {
        snprintf(full, sizeof(full), "%s/%s", dir[0] ? dir : ".", program);
        found = access(full, X_OK) == 0;
    }
    free(copy);
    return found;
}

static void check_programs(struct doctor *d)
{
    static const struct {
        const char *name, *what_for;
    } programs[] = {{"git", "runbooks from a repository"}, {"ssh", "commands on other machines"}};
    const char *name, *argv0;
    json_t *command;
    size_t i;

    for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (!in_path(programs[i].name))
            doctor_found(d, FINDING_WARN, "program", "%s is missing: no %s", programs[i].name, programs[i].what_for);
        else
            doctor_found(d, FINDING_OK, "program", "%s is there", programs[i].name);
    }
    json_object_foreach(d->config->commands, name, command) {
        argv0 = json_string_value(json_array_get(json_object_get(command, "argv"), 0));
        if (argv0 && !strstr(argv0, "{{") && !json_object_get(command, "cwd") && !in_path(argv0))
            doctor_found(d, FINDING_FAIL, "program", "%s, of the command %s, is missing", argv0, name);
    }
}

void doctor_machine(struct doctor *d)
{
    int64_t now = d->host->ops->wall_ms(d->host);
    struct timex t = {0};
    char text[40];

    str_time(now, text, sizeof(text));
    if (now < CLOCK_MIN_MS)
        doctor_found(d, FINDING_FAIL, "clock", "it is %s here, which cannot be", text);
    else if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC))
        doctor_found(d, FINDING_WARN, "clock", "%s, not synchronised: the samples of others may seem stale", text);
    else
        doctor_found(d, FINDING_OK, "clock", "%s, synchronised", text);
    check_programs(d);
}
