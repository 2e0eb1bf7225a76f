/* SPDX-License-Identifier: Apache-2.0 */
/* Kills the scenarios of a runbook at every journal write, host call and question to the world, and looks at what is left.
 *
 *   crash_scenes RUNBOOK CONFIG DIR [AT_MOST [SAME]]
 *
 * AT_MOST: so many points of a scenario, spread over all of it, and every third also in recovery; 0: all, also in recovery.
 * SAME: so many of the points that are reached by the same last steps (3: what follows are polls that differ in nothing);
 * 0: all.
 *
 * The scenario's world stays with this process. Each life of the run is a child with its journal in a file in DIR, which
 * SIGKILL ends at the point it was given; the next life takes the run up. It must end as the run that nobody killed did,
 * with the same effects, each received once, or hand over by name an effect that is unknown, or that must not be sent twice
 * and did not arrive; and its journal must pass its audit and replay to equal rows. */
#include "scenes.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct life *life;

/* One life, which dies at point kill_at (0: it does not). */
static void one_life(struct scene *x, struct world *w, int64_t kill_at)
{
    struct err e = {0};
    int fds[2], status;
    char what, text[1400];
    pid_t pid;

    json_decref(w->known);
    w->known = json_object();
    w->lives++;
    life->points = 0;
    life->kill_at = kill_at;
    life->end = (struct ending){0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || (pid = fork()) < 0)
        abort();
    if (pid == 0) {
        close(fds[0]);
        if (life_live(x, fds[1], &e) < 0)
            snprintf(life->end.wrong, sizeof(life->end.wrong), "%s", err_text(&e, text, sizeof(text)));
        _exit(0);
    }
    close(fds[1]);
    while (read(fds[0], &what, 1) == 1) {
        world_serve(w, what);
        if (write(fds[0], &what, 1) != 1)
            break;
    }
    close(fds[0]);
    waitpid(pid, &status, 0);
    x->kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (status != 0 && !(kill_at && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        snprintf(life->end.wrong, sizeof(life->end.wrong), "the process ended with status %d", status);
    life->wall_ms += RESTART_MS;
}

static bool is_over(void)
{
    return life->end.state[0] || life->end.wrong[0];
}

static void clear_dir(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *f;

    while (d && (f = readdir(d)) != NULL)
        unlinkat(dirfd(d), f->d_name, 0);
    if (d)
        closedir(d);
}

/* An effect is named that the kill made uncertain, or that it prevented for good. */
static bool is_handed_over(const struct world *w, const struct ending *is, const struct ending *should)
{
    if (w->unsure && strcmp(is->state, run_state_name(RUN_WAITING_PERSON)) == 0 && is->unknown > should->unknown)
        return true;
    return w->given_up && strcmp(is->outcome, "escalated") == 0 && (!is->text[0] || strstr(is->text, "it did not arrive"));
}

/* What is wrong with an ending. */
static void judge(struct scene *x, const struct world *w, struct buf *why)
{
    const struct ending *is = &life->end, *should = &x->end;

    buf_add(why, w->wrong.data, w->wrong.len);
    if (is->wrong[0]) {
        buf_addf(why, "%s; ", is->wrong);
    } else if (is_handed_over(w, is, should)) {
        x->parked++;
    } else if (strcmp(is->state, should->state) != 0 || strcmp(is->outcome, should->outcome) != 0 ||
               strcmp(is->reason, should->reason) != 0) {
        buf_addf(why, "%s %s %s (%s) instead of %s %s %s; ", is->state, is->outcome, is->reason, is->text,
                 should->state, should->outcome, should->reason);
    } else if (!json_equal(w->effects, x->effects)) {
        buf_adds(why, "effects ");
        json_add_value(why, w->effects);
        buf_adds(why, " instead of ");
        json_add_value(why, x->effects);
    }
}

/* Kills the run at `first` and, taken up, at `second` (0: not). Returns the points of the first life taken up. */
static int64_t attempt(struct scene *x, int64_t first, int64_t second)
{
    const int64_t kill_at[LIVES_MAX] = {first, second};
    struct buf why = BUF_INIT(64 * KIB), where = BUF_INIT(4 * KIB);
    int64_t points = 0;
    struct world w;

    clear_dir(x->dir);
    world_init(&w, x);
    for (int i = 0; i < LIVES_MAX; i++) {
        one_life(x, &w, kill_at[i]);
        if (i == 1)
            points = life->points;
        if (is_over())
            break;
        buf_addf(&where, "%s%lld (%s)", i ? ", then at " : "", (long long)kill_at[i], life->where);
    }
    judge(x, &w, &why);
    if (why.len) {
        x->failures++;
        printf("not ok - crash: %s: %s: killed at %s: %s\n", x->runbook, json_get_string(x->scenario, "name", "?"),
               buf_text(&where), buf_text(&why));
        fflush(stdout);
    }
    world_deinit(&w);
    buf_free(&why);
    buf_free(&where);
    return points;
}

/* The run that nobody kills. Returns its points. */
static int64_t reference(struct scene *x)
{
    int64_t points;
    struct world w;

    clear_dir(x->dir);
    world_init(&w, x);
    one_life(x, &w, 0);
    points = life->points;
    x->end = life->end;
    json_decref(x->effects);
    x->effects = json_incref(w.effects);
    if (points >= POINTS_MAX)
        snprintf(life->end.wrong, sizeof(life->end.wrong), "it has more than %d points", POINTS_MAX);
    if (life->end.wrong[0] || w.wrong.len) {
        printf("not ok - crash: %s: %s: %s %s\n", x->runbook, json_get_string(x->scenario, "name", "?"), life->end.wrong,
               buf_text(&w.wrong));
        x->failures++;
        points = 0;
    }
    world_deinit(&w);
    return points;
}

/* The points to kill at, in order: chosen[0..n). Returns n. */
static size_t choose(int64_t points, int64_t same, int64_t *chosen)
{
    size_t n = 0;

    for (int64_t k = 1; k <= points; k++) {
        int64_t before = 0;

        for (int64_t i = 1; i < k && (same == 0 || before < same); i++)
            before += same && life->steps[i] == life->steps[k];
        if (same == 0 || before < same)
            chosen[n++] = k;
    }
    return n;
}

/* A point of recovery that moves on from attempt to attempt is killed, too: of all attempts, or of every third. */
static int64_t play(struct scene *x, size_t number, int64_t at_most, int64_t same)
{
    static int64_t chosen[POINTS_MAX];
    int64_t points = reference(x);
    size_t n = choose(points, same, chosen), every = at_most ? (n + (size_t)at_most - 1) / (size_t)at_most : 1, tried = 0;

    for (size_t i = number * 7 % (every ? every : 1); i < n; i += every, tried++) {
        int64_t k = chosen[i], resumed = attempt(x, k, 0);

        if (resumed && (!at_most || tried % 3 == 0))
            attempt(x, k, 1 + k * 7 % resumed);
    }
    x->chosen += tried;
    return points;
}

static int open_scene(struct scene *x, const char *config, struct scenarios **all, struct err *e)
{
    struct host_sim_options ho = {.seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true};

    if (config_load(config, &x->config, e) < 0 || host_sim_new(&ho, &ro.host, e) < 0)
        return e->code;
    ro.config = x->config;
    if (registry_new(&ro, &x->registry, e) < 0)
        return e->code;
    return scenarios_load(NULL, x->runbook, all, e);
}

int main(int argc, char **argv)
{
    struct scene x = {0};
    struct scenarios *all;
    struct err e = {0};
    int64_t points = 0, at_most, same;
    char text[1400];
    size_t i;

    if (argc < 4)
        return 2;
    x.runbook = argv[1];
    x.dir = argv[3];
    at_most = argc > 4 ? strtoll(argv[4], NULL, 10) : 0;
    same = argc > 5 ? strtoll(argv[5], NULL, 10) : 3;
    signal(SIGPIPE, SIG_IGN);
    life = mmap(NULL, sizeof(*life), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (life == MAP_FAILED || open_scene(&x, argv[2], &all, &e) < 0) {
        fprintf(stderr, "crash_scenes: %s\n", err_text(&e, text, sizeof(text)));
        return 2;
    }
    for (i = 0; i < json_array_size(all->list); i++) {
        x.scenario = json_array_get(all->list, i);
        points += play(&x, i, at_most, same);
    }
    clear_dir(x.dir);
    printf("crash: %s: %zu scenarios, killed at %zu of %lld points; %zu kills, %zu parked, %zu failures\n", x.runbook, i,
           x.chosen, (long long)points, x.kills, x.parked, x.failures);
    return x.failures || x.kills == 0;
}
