/* SPDX-License-Identifier: Apache-2.0 */
/* sim: plays seeds, each twice, and compares the two logs to the byte.
 *
 *   sim [--seeds N] [--from SEED] [--jobs N]     N seeds, in so many processes
 *   sim --show SEED                              the log of one, and what is wrong with it
 *   sim --planted                                each planted fault must be found by its checker
 *   sim --nth [--every N]                        one process dies, one call fails, the disk is full, at each (Nth) point there is
 *   sim --regressions                            the seeds that once found something */
#include "sim.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PLANTED_SEEDS = 600 };

static const struct {
    enum plant plant;
    const char *what, *checker;
} planted[] = {
    {PLANT_LOSE_COMMIT, "a commit is called durable and is lost", "intent"},
    {PLANT_ACT_TWICE, "the world makes each change twice", "twice"},
    {PLANT_BLIND_LOOKS, "looks never show what happened", "twice"},
    {PLANT_NO_GUARDS, "the journal evaluates no guard", "exclusive"},
    {PLANT_FALSE_ABSENT, "what happened is recorded as absent", "reality"},
    {PLANT_FALSE_APPLIED, "what failed is recorded as verified", "reality"},
    {PLANT_UNKNOWN_EVIDENCE, "what an intent rests on was unknown", "data"},
    {PLANT_TWO_ENDS, "a run has two ENDs", "ends"},
    {PLANT_NO_ESCALATION, "an escalation is not opened", "escalation"},
    {PLANT_LOSE_RUN, "a run is gone", "lost"},
    {PLANT_STUCK, "a run is never taken up again", "lost"},
    {PLANT_SLOW, "hours pass between two processes", "late"},
    {PLANT_CHANGED_ROW, "an observation is changed afterwards", "replay"},
    {PLANT_NO_ANSWERS, "nobody had said yes", "approval"},
    {PLANT_KEEP_LOCKS, "an END frees nothing", "locks"},
    {PLANT_FREE_LOCKS, "an END frees everything", "locks"},
    {PLANT_DEAF_HALT, "a halt is not heard", "halt"},
    {PLANT_SILENT_END, "an escalated run is called resolved", "rows"},
    {PLANT_REAL_RANDOM, "something is really random", "twin"},
};

static const struct {
    uint64_t seed;
    const char *name;
} regressions[] = {
    {14, "a run that was taken up again ended its wait with the time of the resume"},
    {98, "a timer failed while an intent was committed, and the effect was freed under it"},
    {60, "a person's word about an effect that a crash cut off stopped the run for good"},
    {9253, "an undo that found everything back already left its effect unverified in the journal"},
    {1162, "a run was released while it waited for something else, and nobody was told"},
    {4005, "a run was cancelled while an effect was unknown, which somebody else then moved, and nobody was told"},
    {17777, "a run was resolved although one of its effects was moved, and held that target for good"},
    {46364, "a change that was only read back was put back by its code, and a doubled request did it twice"},
    {54171, "a change that was only read back was put back in a branch, and a doubled request did it twice"},
    {92317, "a change that was only read back was put back by the end of its run, and a doubled request did it twice"},
    {54435, "a person's word had the time of a clock that was set back, and the run stood still for hours"},
};

static struct config *config;
static char dir[64];

static const char config_text[] =
    "instances:\n"
    "  east: { plugin: target, url: \"http://127.0.0.1:7001\" }\n"
    "  west: { plugin: target, url: \"http://127.0.0.1:7002\" }\n"
    "channels:\n  ops: { argv: [hello] }\n"
    "plugins: /plugins\n";

/* Length of the line that begins there. */
static int line_of(struct str log, size_t from)
{
    const char *end = memchr(log.p + from, '\n', log.n - from);

    return (int)(end ? (size_t)(end - log.p) - from : log.n - from);
}

/* The first line in which two logs differ. */
static void compare(struct str a, struct str b, struct buf *why)
{
    size_t line = 0, n = a.n < b.n ? a.n : b.n;

    if (str_eq(a, b))
        return;
    for (size_t i = 0; i < n && a.p[i] == b.p[i]; i++)
        line = a.p[i] == '\n' ? i + 1 : line;
    buf_addf(why, "twin: the same seed went two ways: '%.*s' and '%.*s'\n", line_of(a, line), a.p + line, line_of(b, line),
             b.p + line);
}

/* Plays a seed and checks it. If `twice` it is played again: both logs must be equal, and with them go the checks of the
 * second. Adds what is wrong to why, and the log to `log` if it is not NULL. */
static void play(uint64_t seed, enum plant plant, bool twice, struct buf *why, struct buf *log)
{
    struct sim *s = xcalloc(2, sizeof(*s));
    size_t played;

    sim_play(&s[0], seed, plant, NULL, config, dir);
    played = s[0].log.len;
    sim_check(&s[0]);
    if (twice) {
        sim_deinit_journal(&s[0]);
        sim_play(&s[1], seed, plant, NULL, config, dir);
        compare((struct str){s[0].log.data, played}, (struct str){s[1].log.data, s[1].log.len}, why);
        sim_deinit(&s[1]);
    }
    buf_add(why, s[0].why.data, s[0].why.len);
    if (log)
        buf_add(log, s[0].log.data, s[0].log.len);
    sim_deinit(&s[0]);
    free(s);
}

static void report(const char *what, uint64_t seed, const struct buf *why)
{
    printf("not ok - %s: seed %llu\n%s", what, (unsigned long long)seed, buf_text(why));
    fflush(stdout);
}

struct count {
    long tried, failed;
};

static int open_place(struct err *e)
{
    snprintf(dir, sizeof(dir), "/tmp/midwatch-sim-XXXXXX");
    if (!mkdtemp(dir))
        return err_set(e, ERR_IO, "no directory for journals");
    return config_read(str_of(config_text), "midwatch.yaml", &config, e);
}

static void close_place(void)
{
    char file[128];

    snprintf(file, sizeof(file), "%s/journal.lock", dir);
    unlink(file);
    rmdir(dir);
    config_free(config);
}

/* One of `jobs` processes. */
static void work(uint64_t from, uint64_t n, uint64_t jobs, uint64_t job, int fd)
{
    struct count c = {0};
    struct err e = {0};

    if (open_place(&e) < 0)
        c.failed++;
    for (uint64_t seed = from + job; seed < from + n && config; seed += jobs) {
        struct buf why = BUF_INIT(MIB);

        play(seed, PLANT_NONE, true, &why, NULL);
        c.tried++;
        c.failed += why.len > 0;
        if (why.len)
            report("sim", seed, &why);
        buf_free(&why);
    }
    close_place();
    if (write(fd, &c, sizeof(c)) != sizeof(c))
        _exit(1);
    _exit(0);
}

static int many(uint64_t from, uint64_t n, uint64_t jobs)
{
    struct count all = {0}, c;
    struct timespec t0, t1;
    double seconds;
    int fds[2];

    clock_gettime(CLOCK_MONOTONIC, &t0);
    if (pipe(fds) < 0)
        return 1;
    for (uint64_t job = 0; job < jobs; job++) {
        if (fork() == 0)
            work(from, n, jobs, job, fds[1]);
    }
    close(fds[1]);
    while (read(fds[0], &c, sizeof(c)) == sizeof(c)) {
        all.tried += c.tried;
        all.failed += c.failed;
    }
    while (wait(NULL) > 0)
        continue;
    clock_gettime(CLOCK_MONOTONIC, &t1);
    seconds = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
    if ((uint64_t)all.tried != n)
        printf("not ok - sim: a process ended early, %ld seeds of %llu were played\n", all.tried, (unsigned long long)n);
    printf("sim: seeds %llu to %llu, each twice: %ld played, %ld failed, %.0f a second\n", (unsigned long long)from,
           (unsigned long long)(from + n - 1), all.tried, all.failed, (double)all.tried / seconds);
    return all.failed || (uint64_t)all.tried != n;
}

static int show(uint64_t seed)
{
    struct buf why = BUF_INIT(MIB), log = BUF_INIT(16 * MIB);

    play(seed, PLANT_NONE, true, &why, &log);
    fputs(buf_text(&log), stdout);
    fputs(buf_text(&why), stdout);
    buf_free(&log);
    buf_free(&why);
    return 0;
}

/* True if a line of `why` begins with the checker's name. */
static bool names(const struct buf *why, const char *checker)
{
    size_t n = strlen(checker);
    const char *line;

    for (line = buf_text(why); *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n')) {
        if (strncmp(line, checker, n) == 0 && line[n] == ':')
            return true;
    }
    return false;
}

static int find_planted(void)
{
    int missed = 0;

    for (size_t i = 0; i < sizeof(planted) / sizeof(planted[0]); i++) {
        uint64_t seed = 0;
        bool found = false;

        while (!found && seed++ < PLANTED_SEEDS) {
            struct buf why = BUF_INIT(MIB);

            play(seed, planted[i].plant, planted[i].plant == PLANT_REAL_RANDOM, &why, NULL);
            found = names(&why, planted[i].checker);
            buf_free(&why);
        }
        missed += !found;
        if (found)
            printf("ok - planted: %s -> %s, seed %llu\n", planted[i].what, planted[i].checker, (unsigned long long)seed);
        else
            printf("not ok - planted: %s: %s did not find it in %d seeds\n", planted[i].what, planted[i].checker, PLANTED_SEEDS);
    }
    return missed > 0;
}

/* Every point of one seed (or every so many), until the first process passes untouched. */
static int every_point(uint64_t seed, int how, int64_t stride)
{
    static const char *const words[NTH_KINDS] = {"dies at", "fails in call", "has a full disk from"};
    struct nth nth = {.how = how};
    struct sim *s = xcalloc(1, sizeof(*s));
    int failed = 0;

    do {
        nth.at += stride;
        sim_play(s, seed, PLANT_NONE, &nth, config, dir);
        sim_check(s);
        if (s->why.len)
            printf("not ok - sim: seed %llu %s %lld\n%s", (unsigned long long)seed, words[how], (long long)nth.at,
                   buf_text(&s->why));
        failed += s->why.len > 0;
        sim_deinit(s);
    } while (s->reached >= nth.at && failed < 5);
    if (!failed)
        printf("ok - sim: seed %llu %s %lld points\n", (unsigned long long)seed, words[how], (long long)(nth.at / stride - 1));
    fflush(stdout);
    free(s);
    return failed > 0;
}

static int64_t stride = 1;     /* --every */

static int play_nth(void)
{
    static const uint64_t seeds[] = {7, 11};     /* branches, changes that stay and changes for a while */
    int failed = 0;

    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        for (int how = 0; how < NTH_KINDS; how++)
            failed += every_point(seeds[i], how, stride);
    }
    return failed > 0;
}

static int play_regressions(void)
{
    int failed = 0;

    for (size_t i = 0; i < sizeof(regressions) / sizeof(regressions[0]); i++) {
        struct buf why = BUF_INIT(MIB);

        play(regressions[i].seed, PLANT_NONE, true, &why, NULL);
        if (why.len)
            report(regressions[i].name, regressions[i].seed, &why);
        else
            printf("ok - sim: %s (seed %llu)\n", regressions[i].name, (unsigned long long)regressions[i].seed);
        failed += why.len > 0;
        buf_free(&why);
    }
    return failed > 0;
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t absent)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return strtoull(argv[i + 1], NULL, 10);
    }
    return absent;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    const char *what = argc > 1 ? argv[1] : "";
    static const struct {
        const char *name;
        int (*play)(void);
    } others[] = {{"--planted", find_planted}, {"--nth", play_nth}, {"--regressions", play_regressions}};
    int (*other)(void) = NULL;
    int rc;

    srandom((unsigned)time(NULL));
    stride = (int64_t)option(argc, argv, "--every", 1);
    for (size_t i = 0; i < 3; i++)
        other = strcmp(what, others[i].name) == 0 ? others[i].play : other;
    if (!other && strcmp(what, "--show") != 0)
        return many(option(argc, argv, "--from", 1), option(argc, argv, "--seeds", 1000), option(argc, argv, "--jobs", 2));
    if (open_place(&e) < 0) {
        fprintf(stderr, "sim: %s\n", e.msg);
        return 1;
    }
    rc = other ? other() : show(option(argc, argv, "--show", 1));
    close_place();
    return rc;
}
