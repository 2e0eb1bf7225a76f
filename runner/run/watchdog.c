/* SPDX-License-Identifier: Apache-2.0 */
#include "run/watchdog.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* At one piece of work, a quarter of the limit apart: it waits for something that does not come. They are counted, not timed:
 * a process that is stopped does not look. */
#define LOOKS_MAX 24

/* In the file. Plain stores: the page belongs to the file, whatever becomes of the process. */
struct box {
    volatile int64_t run;
    volatile int line;
    char instance[64];
    volatile int seen;
};

struct watchdog {
    struct box *box;
    int64_t limit_ms;
    void (*stuck)(const struct inside *where);
    uint64_t beat;              /* odd = at work */
    clockid_t worked;           /* the processor time of the thread that opened it */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
};

static void put(char **at, const char *end, const char *text)
{
    while (*text && *at < end - 1)
        *(*at)++ = *text++;
    **at = '\0';
}

/* Without stdio: a signal handler wants it, too. */
static void describe(const struct box *b, struct inside *out)
{
    char *at = out->place, *end = out->place + sizeof(out->place), digits[16], *d = digits + sizeof(digits) - 1;
    unsigned line = b->line > 0 ? (unsigned)b->line : 0;

    *out = (struct inside){.run = b->run, .seen = b->seen != 0};
    if (memchr(b->instance, '\0', sizeof(b->instance)) && b->instance[0]) {
        put(&at, end, "in the plugin of instance ");
        put(&at, end, b->instance);
        return;
    }
    *d = '\0';
    do {
        *--d = (char)('0' + line % 10);
        line /= 10;
    } while (line);
    put(&at, end, b->line > 0 ? "behind line " : "before its first look at the world");
    if (b->line > 0)
        put(&at, end, d);
}

bool watchdog_inside(const struct watchdog *w, struct inside *out)
{
    *out = (struct inside){0};
    if (w && w->box->run)
        describe(w->box, out);
    return out->run != 0;
}

void watchdog_enter(struct watchdog *w, int64_t run, int line, const char *instance)
{
    if (!w)
        return;
    w->box->line = line;
    w->box->instance[0] = '\0';
    if (instance)
        snprintf(w->box->instance, sizeof(w->box->instance), "%s", instance);
    w->box->run = run;
    __atomic_store_n(&w->beat, (w->beat + 2) | 1, __ATOMIC_RELEASE);
}

void watchdog_seen(struct watchdog *w)
{
    w->box->seen = 1;
}

void watchdog_leave(struct watchdog *w)
{
    if (!w)
        return;
    w->box->run = 0;
    __atomic_store_n(&w->beat, (w->beat + 1) & ~(uint64_t)1, __ATOMIC_RELEASE);
}

static int64_t worked_ms(const struct watchdog *w)
{
    struct timespec t;

    clock_gettime(w->worked, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_a_while(struct watchdog *w)
{
    struct timespec until;
    int64_t ms;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ms = until.tv_nsec / 1000000 + w->limit_ms / 4 + 1;
    until.tv_sec += ms / 1000;
    until.tv_nsec = ms % 1000 * 1000000;
    pthread_cond_timedwait(&w->changed, &w->mutex, &until);
}

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    uint64_t seen = 0, beat;
    int64_t since = worked_ms(w);
    int looks = 0;
    struct inside where;

    pthread_mutex_lock(&w->mutex);
    while (!w->stopping) {
        sleep_a_while(w);
        if (w->stopping)
            break;
        beat = __atomic_load_n(&w->beat, __ATOMIC_ACQUIRE);
        if (beat != seen || !(beat & 1)) {
            seen = beat;
            since = worked_ms(w);
            looks = 0;
        } else if (++looks > LOOKS_MAX || worked_ms(w) - since > w->limit_ms) {
            describe(w->box, &where);
            w->stuck(&where);
        }
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static int map_box(const char *dir, struct watchdog *w, struct err *e)
{
    char path[4200];
    void *map = MAP_FAILED;
    int fd, why;

    snprintf(path, sizeof(path), "%s/inside", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    why = fd < 0 ? errno : posix_fallocate(fd, 0, sizeof(struct box));
    if (why == 0)
        map = mmap(NULL, sizeof(struct box), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED && why == 0)
        why = errno;
    if (fd >= 0)
        close(fd);
    if (why)
        return err_set(e, ERR_DISK, "%s: %s", path, strerror(why));
    w->box = map;
    return 0;
}

int watchdog_open(const char *dir, int64_t limit_ms, void (*stuck)(const struct inside *where), struct watchdog **out,
                  struct inside *died, struct err *e)
{
    struct watchdog *w = xcalloc(1, sizeof(*w));
    pthread_condattr_t monotonic;
    int rc = map_box(dir, w, e), why;

    if (rc < 0) {
        free(w);
        return rc;
    }
    watchdog_inside(w, died);
    w->box->run = 0;
    w->box->seen = 0;
    w->limit_ms = limit_ms;
    w->stuck = stuck;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    why = pthread_getcpuclockid(pthread_self(), &w->worked);
    if (why == 0)
        why = pthread_create(&w->thread, NULL, watch, w);
    if (why) {
        munmap(w->box, sizeof(*w->box));
        free(w);
        return err_set(e, ERR_IO, "the watching thread cannot be started: %s", strerror(why));
    }
    *out = w;
    return 0;
}

void watchdog_stop(struct watchdog *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

void watchdog_free(struct watchdog *w)
{
    if (!w)
        return;
    watchdog_stop(w);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->changed);
    munmap(w->box, sizeof(*w->box));
    free(w);
}
